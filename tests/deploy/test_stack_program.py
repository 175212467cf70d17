"""The program behind ``make stack``: one at a time, nothing left behind, no password where others read."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from adbc_driver_postgresql import dbapi
from prefect.events.schemas.automations import EventTrigger

from deploy.automations import automations
from deploy.stack import __main__ as program
from deploy.stack import place as places
from deploy.stack.parts import console, dask, server, worker
from deploy.stack.place import HOST, MARK, ROLE, USUAL_PORTS, ObjectStore, Place, Trouble, free_ports, is_free
from deploy.stack.postgres import clear_postgres, postgres
from deploy.stack.programs import Part, clear, end, leftovers, start
from tests.support.servers import free_port, unavailable

SLEEPER: Final = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")


@pytest.fixture
def place() -> Iterator[Place]:
    """A place of its own, under a path that another user may walk through and that is short enough for a socket."""
    with TemporaryDirectory(prefix="trimtab-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        place = Place(Path(name).resolve() / "stack", free_ports(USUAL_PORTS))
        place.make_folders()
        yield place
        clear_postgres(place.folder)
        clear(place.folder)


def asleep(place: Place) -> "subprocess.Popen[bytes]":
    """A program in a session of its own that carries the mark of a stack."""
    return subprocess.Popen(SLEEPER, env={MARK: str(place.folder)}, start_new_session=True, stdout=subprocess.DEVNULL)


def test_what_a_killed_stack_left_behind_is_ended_and_nothing_else(place: Place) -> None:
    other = Place(place.folder.with_name("stack2"), place.ports)
    left, foreign = asleep(place), asleep(other)
    try:
        assert clear(place.folder) == 1
        assert left.wait(timeout=10) == -9
        assert foreign.poll() is None
        assert leftovers(place.folder) == []
    finally:
        foreign.kill()
        foreign.wait()


def test_a_part_that_ends_at_once_is_told_with_the_end_of_its_log(place: Place) -> None:
    words = (sys.executable, "-c", "print('no room for me'); raise SystemExit(3)")
    with pytest.raises(Trouble, match=r"(?s)broken ended at once.*no room for me.*Hint: .*broken.log"):
        start(place, Part("broken", words, {}, lambda: False))


def test_a_part_is_ended_with_what_it_started(place: Place) -> None:
    words = ("/bin/sh", "-c", f"{sys.executable} -c 'import time; time.sleep(600)' & wait")
    for _ in range(20):  # one that is killed while it starts may be gone only a moment later
        running = start(place, Part("parent", words, place.environment(), lambda: True))
        end(place, running)
        assert running.process.returncode == -15
        assert leftovers(place.folder) == []


def test_a_second_stack_in_a_folder_is_refused_and_names_the_first(place: Place) -> None:
    with program._only_one(place.folder):
        done = subprocess.run(
            [sys.executable, "-m", "deploy.stack", "up", "--folder", str(place.folder), "--free-ports"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"is up already, process {os.getpid()}" in done.stderr
    assert "Hint: end it with Ctrl-C" in done.stderr
    assert done.stdout == ""


def test_nothing_is_told_of_a_stack_that_is_not_up(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write_env()
    assert program.main(["env", "--folder", str(place.folder)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "no stack is up in" in told.err


def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(places, "USUAL_PORTS", {"console": port})
    assert places.usual_ports() == {"console": port}
    with closing(places.socket.create_server((HOST, port))), pytest.raises(Trouble, match=rf"{port} \(console\)"):
        places.usual_ports()


def test_no_password_stands_on_a_command_line(place: Place) -> None:
    words = " ".join(
        word for part in (*dask(place), server(place, 90), worker(place), console(place)) for word in part.words
    )
    assert place.password not in words
    assert place.s3_secret not in words
    assert place.prefect_secret not in words
    assert place.prefect_secret not in repr(place)
    assert place.password not in repr(place)


def test_passwords_are_drawn_anew(place: Place) -> None:
    again = Place(place.folder, place.ports)
    first, second = ({one.password, one.s3_secret, one.prefect_secret} for one in (place, again))
    assert first.isdisjoint(second)


def test_prefects_server_has_a_lock_and_whoever_asks_it_the_key(place: Place) -> None:
    lock = f"trimtab:{place.prefect_secret}"
    asked = server(place, 90)
    assert asked.environment["PREFECT_SERVER_API_AUTH_STRING"] == lock
    assert asked.environment["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"] == place.url("server")
    assert asked.words[asked.words.index("--host") + 1] == "127.0.0.1"
    assert {part.environment["PREFECT_API_AUTH_STRING"] for part in (asked, worker(place), console(place))} == {lock}
    assert place.exports()["PREFECT_API_AUTH_STRING"] == lock


def test_an_object_store_of_the_callers_is_reached_with_the_callers_keys(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("TRIMTAB_EXCHANGE", "XLON")
    own = Place(place.folder, place.ports, ObjectStore("https://objects.example", "books"))
    told = own.environment()
    assert (told["AWS_ACCESS_KEY_ID"], told["AWS_ENDPOINT_URL"]) == ("mine", "https://objects.example")
    assert told["TRIMTAB_LAKE_DATA_URL"] == "s3://books/lake/"
    assert place.environment()["AWS_ACCESS_KEY_ID"] != "mine"
    assert "TRIMTAB_EXCHANGE" not in told


def databases(place: Place) -> set[str]:
    address = f"postgresql://{ROLE}:{place.password}@{HOST}:{place.ports['postgres']}/prefect"
    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE NOT datistemplate")
        return {name for (name,) in cursor.fetchall()}


def test_a_database_server_that_was_left_behind_is_ended_and_keeps_its_facts(place: Place) -> None:
    try:
        part = postgres(place)
    except Trouble as trouble:
        unavailable(str(trouble))
    left = start(place, part)
    assert databases(place) == {"postgres", "prefect", "lake", "ledger"}

    clear_postgres(place.folder)

    left.process.wait(timeout=30)
    assert is_free(place.ports["postgres"])
    again = Place(place.folder, place.ports)
    running = start(again, postgres(again))
    try:
        assert databases(again) >= {"prefect", "lake", "ledger"}
        with pytest.raises(dbapi.OperationalError, match="password"):
            databases(place)
    finally:
        end(again, running)


def test_silence_is_waited_for_as_long_as_was_said_and_a_crashed_run_goes_on_once_an_hour() -> None:
    waits = [one.trigger.within for one in automations(timedelta(seconds=40)) if isinstance(one.trigger, EventTrigger)]
    assert waits == [timedelta(seconds=40), timedelta(seconds=40), timedelta(hours=1)]
    usual = [one.trigger.within for one in automations() if isinstance(one.trigger, EventTrigger)]
    assert usual == [timedelta(minutes=5), timedelta(minutes=5), timedelta(hours=1)]


@pytest.mark.parametrize("state", ["heartbeat", "Held", "Refused", "Skipped", "NotDelivered", "Alarm", "Completed"])
def test_any_state_of_ours_ends_the_wait_for_a_heartbeat(state: str) -> None:
    from prefect.server.events.schemas.automations import EventTrigger as Watched  # noqa: PLC0415 - the server, seconds

    for waiting in automations()[:2]:
        watched = Watched.model_validate(waiting.trigger.model_dump(mode="json"))
        assert watched.expects(f"prefect.flow-run.{state}")
        assert not watched.starts_after("prefect.flow-run.Completed")

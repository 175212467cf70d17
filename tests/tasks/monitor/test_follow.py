"""Following a price stream on real stores: what goes out, once; what is held; what is reloaded; a stream that breaks and returns."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from schemas.enums import Role
from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.monitor.breach_batches import instruction_for, sources_of_batch
from tasks.monitor.follow import Follower, follow_stream
from tasks.monitor.follow_look import FollowLook, FollowState
from tasks.monitor.look import look
from tasks.monitor.price_stream import FIRST_PAUSE, LONGEST_PAUSE, PriceBoard, PriceStream, StreamState, next_pause
from tasks.runtime.run_settings import use_settings
from tasks.runtime.steps import Stores
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.cli_session import environment, variables_of
from tests.support.monitor_scene import NIGHT, TODAY, Scene
from tests.support.night_driver import export, run_night, run_request
from tests.support.quote_server import quote_lines, quote_server, wait_until
from warehouse.lake.lake import open_lake
from warehouse.ledger import Filter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]
ON, OFF = (
    StreamState(is_connected=True, since=utc_now()),
    StreamState(is_connected=False, since=utc_now(), trouble="host: it broke"),
)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    scene = Scene(tmp_path_factory.mktemp("evening")).delivered("acme", "other")
    scene.night()
    return scene


@pytest.fixture
def scene(evening: Scene, tmp_path: Path) -> Scene:
    there = evening.again(tmp_path)
    there.quote(100)
    return there


class Watch:
    """Steps of a follower at moments of our own."""

    def __init__(self, at: Stores, **settings: Any) -> None:
        self.now = utc_now()
        self.follower = Follower(
            Stores(at.settings.model_copy(update=settings), at.lake, at.ledger), PriceBoard(), TODAY
        )

    def quote(self, at: datetime | None = None, **prices: float) -> None:
        self.follower.board.take(quote_lines(prices, at or self.now), self.now)

    def step(self, stream: StreamState = ON, *, later: float = 1, **prices: float) -> FollowLook:
        self.now += timedelta(seconds=later)
        self.quote(**prices)
        return self.follower.step(stream, self.now)


@contextmanager
def watch(scene: Scene, **settings: Any) -> Iterator[Watch]:
    with scene.stores() as at:
        yield Watch(at, **settings)


def scopes(scene: Scene) -> list[tuple[str, ...]]:
    with scene.stores() as at:
        rows = at.ledger.breaches.scopes_to_announce(utc_now() + timedelta(days=1))
        return [at.ledger.breaches.accounts_of_scope(row.scope_id) for row in rows]


def test_a_step_finds_what_a_look_at_files_finds_and_enters_it_once(scene: Scene) -> None:
    with watch(scene) as watching:
        calm = watching.step(STK=100, BND=100)
        assert (calm.state, calm.looked_at, calm.out_of_band, calm.reasons) == (FollowState.LOOKING, 4, 0, ())
        found = watching.step(STK=60)
        assert (found.out_of_band, found.newly, len(found.breach_batch_ids)) == (3, 2, 1)
        again = [watching.step(STK=price) for price in (60, 83, 60)]
        assert [each.newly for each in again] == [0, 0, 0]
        assert watching.step(STK=100).armed_again == 2
        assert watching.step(STK=60).newly == 2
    assert scopes(scene) == [("A1", "A3"), ("A1", "A3")]
    with scene.stores() as at:
        assert at.ledger.audit.verify_audit() > 0


def test_two_followers_and_a_look_at_files_make_one_scope(scene: Scene) -> None:
    scene.quote(60)
    with watch(scene) as one, watch(scene) as other:
        one.step(STK=100, BND=100)
        other.step(STK=100, BND=100)
        made = [
            *one.step(STK=60).breach_batch_ids,
            *other.step(STK=60).breach_batch_ids,
            *scene.look().breach_batch_ids,
        ]
    assert len(made) == 1
    assert scopes(scene) == [("A1", "A3")]


def test_a_dry_step_writes_nothing(scene: Scene) -> None:
    with watch(scene) as watching:
        watching.follower.is_dry = True
        watching.step(STK=100, BND=100)
        assert watching.step(STK=60).newly == 2
        assert watching.step(later=10_000).state is FollowState.AWAY
    assert scopes(scene) == []
    assert not (scene.folder / "home" / "streamed").exists()


def test_a_run_over_a_breach_takes_the_prices_that_the_stream_gave(scene: Scene) -> None:
    with watch(scene) as watching:
        watching.step(STK=100, BND=100)
        (scope,) = watching.step(STK=61.5).breach_batch_ids
        *others, prices = sources_of_batch(watching.follower.at, watching.follower.at.ledger.breaches.get_scope(scope))
    assert [source.name for source in others] == ["book", "acme", "other"]
    rows = pl.read_parquet(Path(prices.url) / "prices.parquet")
    assert [(name, float(price), day) for name, price, day in rows.rows()] == [
        ("STK", 61.5, TODAY),
        ("BND", 100.0, TODAY),
    ]
    folder = scene.folder / "home" / "streamed"
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, *folder.rglob("*"))] == ["0o700", "0o700", "0o600"]


def test_prices_of_earlier_days_are_removed(scene: Scene) -> None:
    old = scene.folder / "home" / "streamed" / NIGHT.isoformat()
    old.mkdir(parents=True)
    with watch(scene) as watching:
        watching.step(STK=60, BND=100)
    assert [path.name for path in old.parent.iterdir()] == [TODAY.isoformat()]


def test_a_price_that_jumps_beyond_the_guard_holds_the_look(scene: Scene) -> None:
    with watch(scene) as watching:
        held = watching.step(STK=59, BND=100)
        assert (held.state, held.newly, held.breach_batch_ids) == (FollowState.HELD, 2, ())
        assert held.reasons == ("1 security held moved by more than 40%: STK from 100.00 to 59.00",)
        assert scopes(scene) == []
        assert watching.step(STK=61).newly == 2
    assert scopes(scene) == [("A1", "A3")]


def test_too_large_a_share_of_the_book_holds_the_look_until_it_is_not(scene: Scene) -> None:
    with watch(scene, guard_min_accounts=0, monitor_max_out_fraction=0.5) as watching:
        held = watching.step(STK=62, BND=100)
        assert held.state is FollowState.HELD
        assert held.reasons == ("3 of 4 accounts are out of band and were not so in the night: 75%, more than 50%",)
        assert scopes(scene) == []
        assert watching.step(STK=100).state is FollowState.LOOKING


def test_what_has_an_old_quote_or_none_is_not_looked_at(scene: Scene) -> None:
    with watch(scene) as watching:
        none = watching.step(STK=60)
        assert (none.state, none.looked_at, none.skipped, none.never_quoted) == (FollowState.LOOKING, 0, 4, 1)
        watching.quote(BND=100)
        assert watching.step(later=899, STK=60).looked_at == 4
        old = watching.step(later=2, STK=60)
        assert (old.skipped, old.old, old.fresh, old.newly) == (4, 1, 1, 0)


def test_while_the_stream_is_away_files_are_looked_at(scene: Scene) -> None:
    with watch(scene) as watching:
        watching.step(STK=100, BND=100)
        (scope,) = watching.step(STK=60).breach_batch_ids
        scene.quote(100)
        stays = watching.step(OFF, later=100)
        assert (stays.state, stays.looked_at) == (FollowState.LOOKING, 4)  # the last quotes are young enough
        away = watching.step(OFF, later=1000)
        assert away.state is FollowState.AWAY
        assert away.reasons == ("prices are old: host: it broke; 2 securities have an old quote, 0 none",)
        assert (away.looked_at, away.armed_again) == (4, 2)  # by the files' prices
        waits = watching.step(OFF, later=10)
        assert (waits.state, waits.looked_at) == (FollowState.AWAY, 0)
        scene.quote(60)
        assert watching.step(OFF, later=300).newly == 2
        row = watching.follower.at.ledger.breaches.get_scope(scope)
        prices = sources_of_batch(watching.follower.at, row)[-1]
        assert prices.url.endswith("fresh")
        back = watching.step(later=5, STK=60, BND=100)
        assert (back.state, back.newly, back.out_of_band) == (FollowState.LOOKING, 0, 3)


def test_cash_and_models_that_change_in_files_are_seen(scene: Scene) -> None:
    with watch(scene) as watching:
        assert watching.step(STK=100, BND=100).newly == 0
        scene.send("acme", deposit=700)
        assert watching.step(STK=100).newly == 0
        assert watching.step(later=300, STK=100, BND=100).newly == 1
        scene.target(0.5)
        changed = watching.step(later=300, STK=100, BND=100)
        assert changed.newly == 2
        assert watching.step(STK=100).newly == 0
    with scene.stores() as at:
        assert look(at, TODAY, utc_now()).verdict.new.is_empty()


def test_a_late_file_is_entered_as_by_any_look(tmp_path: Path) -> None:
    scene = Scene(tmp_path).delivered("acme")
    scene.night()
    scene.quote(100)
    with watch(scene) as watching:
        assert watching.step(STK=100, BND=100).looked_at == 2
        scene.send("other")
        watching.step(later=300, STK=100, BND=100)
        (row,) = watching.follower.at.ledger.breaches.scopes_to_announce(utc_now() + timedelta(days=1))
    assert row.cause == "late_file"


def test_the_book_is_loaded_again_after_a_night(scene: Scene) -> None:
    with watch(scene) as watching:
        before = watching.step(STK=100, BND=100)
        watching.step(STK=60)
        run_id = run_night(scene.settings.model_copy(update={"prices_url": ""}), None, TODAY).run_id
        after = watching.step(STK=60, BND=100)
        assert (before.night_run_id != run_id, after.night_run_id) == (True, run_id)


def test_the_book_is_loaded_again_after_an_export(scene: Scene) -> None:
    """What left may be filled: an account of which orders are open is looked at as one that waits, and not found newly out of band."""
    with watch(scene) as watching:
        watching.step(STK=100, BND=100)
        (scope,) = watching.step(STK=61.5).breach_batch_ids
        with use_settings(scene.settings):
            request = instruction_for(scope, "somebody").request
        run_id = run_request(scene.settings, request).run_id
        watching.step(STK=61.5)
        ledger, before = watching.follower.at.ledger, watching.follower.resident
        ids = ledger.queue.page(Filter(run=run_id), limit=10).rows["proposal_id"].to_list()
        assert ids
        ledger.users.add_user("ann", [Role.REVIEWER], actor=current_actor(), now=utc_now())
        ledger.decisions.decide(ids, decision="approve", actor="ann", note="", now=utc_now())
        assert watching.step(STK=61.5).newly == 0
        assert watching.follower.resident is not None
        assert before is not None
        assert watching.follower.resident.night_prices is before.night_prices
        assert export(scene.settings, run_id)
        after = watching.step(STK=61.5)
        assert (after.state, after.newly) == (FollowState.LOOKING, 0)
        assert watching.follower.resident.night_prices is not before.night_prices
    assert len(scopes(scene)) <= 1


def test_before_the_first_night_and_outside_of_sessions_it_waits(scene: Scene, tmp_path: Path) -> None:
    empty = Scene(tmp_path / "empty").delivered("acme")
    with watch(empty) as watching:
        found = watching.step(STK=60)
        assert (found.state, found.reasons) == (FollowState.WAITING, (f"no night up to {TODAY} is done yet",))
        empty.night()
        assert watching.step(STK=60, BND=100).looked_at == 2
    with watch(scene) as watching:
        watching.follower.day = None
        watching.now = datetime.fromisoformat("2026-01-04T15:00:00+00:00")  # Sunday
        found = watching.step(STK=60)
        assert (found.state, found.reasons) == (FollowState.WAITING, ("XNYS does not trade now",))


def test_what_breaks_off_a_step_is_told_and_tried_again(scene: Scene) -> None:
    home = scene.folder / "home"
    settings = scene.settings.model_copy(update={"ledger_url": f"sqlite:///{home}/ledger.sqlite?timeout=0.1"})
    with closing(open_ledger(settings)) as ledger, closing(sqlite3.connect(home / "ledger.sqlite")) as other:
        watching = Watch(Stores(settings, open_lake(settings), ledger))
        watching.step(STK=100, BND=100)
        other.execute("BEGIN IMMEDIATE")
        told = watching.step(STK=60)
        assert (told.state, told.looked_at, len(told.reasons)) == (FollowState.WAITING, 0, 1)
        other.rollback()
        assert watching.step(STK=60).newly == 2
    assert scopes(scene) == [("A1", "A3")]


# --- the stream


def test_a_board_keeps_the_newest_quote_and_counts_what_it_refuses() -> None:
    board, now = PriceBoard(), utc_now()
    assert board.take(f"{quote_lines({'A': 1, 'B': 2}, now)}\n\nnonsense\n", now) == 2
    assert board.take(quote_lines({"A": 3}, now - timedelta(seconds=1)), now) == 0
    assert board.take(quote_lines({"A": 4}, now).encode(), now) == 1
    assert {name: quote.millionths for name, quote in board.quotes().items()} == {"A": 4_000_000, "B": 2_000_000}
    assert board.faults() == {"out_of_order": 1, "unreadable": 1}


def test_pauses_grow_up_to_a_minute() -> None:
    for attempts in range(200):
        most = min(FIRST_PAUSE * 2**attempts, LONGEST_PAUSE)
        assert most / 2 <= next_pause(attempts) <= most


def test_a_stream_that_breaks_is_connected_again_with_growing_pauses() -> None:
    board, pauses = PriceBoard(), list[float]()

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        time.sleep(0.05)
        return False

    with quote_server({"STK": 100}) as server:
        server.extra.append('{"security_id":"STK","bid":2,"ask":1,"time":0}')
        with PriceStream(server.url, "subscribe", board, pause) as stream:
            wait_until(lambda: "STK" in board.quotes(), "no quote came")
            assert (stream.state.is_connected, server.greetings) == (True, ["subscribe"])
            server.stop()
            wait_until(lambda: len(pauses) >= 6, "it did not try again")
            state = stream.state
            assert (state.is_connected, state.trouble.partition(":")[0]) == (False, "127.0.0.1")
            assert "secret" not in state.trouble
            assert max(pauses[:2]) <= 4
            assert pauses[5] >= 8
            server.prices["STK"] = 50
            server.start()
            wait_until(lambda: board.quotes()["STK"].millionths == 50_000_000, "it did not come back")
            assert stream.state.is_connected
    assert board.faults()["crossed"] >= 2


def test_without_an_address_there_is_nothing_to_follow(scene: Scene) -> None:
    with scene.stores() as at, pytest.raises(WrongUsage, match="no price stream is set"):
        follow_stream(at, TODAY, print, lambda _: True)


@pytest.mark.parametrize("url", ["http://host/x", "wss:/host", "wss://a b/", "host/secret"])
def test_an_address_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match="needed one that begins with ws://, wss://, kafka:// or nats://") as refused:
        Settings(stream_url=SecretStr(url))
    assert url not in str(refused.value)


# --- the command


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "flows.commands.cli", "monitor", "--follow", "--as-of", TODAY.isoformat(), *words]


def shell(scene: Scene, url: str) -> Mapping[str, str]:
    given = variables_of(scene.settings.model_copy(update={"stream_look_seconds": 0.2}))
    return environment(scene.folder / "home", **{**given, "TRIMTAB_STREAM_URL": url, "POLARS_MAX_THREADS": "1"})


@pytest.mark.system
def test_as_somebody_uses_it_and_killed_at_any_moment(scene: Scene) -> None:
    """Prices cross the band time and again while the process is killed and started anew: each crossing makes one scope."""
    with quote_server({"STK": 100, "BND": 100}) as server:
        for crossing in range(2):
            for delay in (0.0, 0.25):
                server.prices["STK"] = 60
                with following(scene, server.url) as process:
                    next(iter(process.stdout or ()))
                    time.sleep(delay)
                    process.send_signal(signal.SIGKILL)
            done = followed(scene, server.url, looks=8)
            assert len(scopes(scene)) == crossing + 1, done
            server.prices["STK"] = 100
            followed(scene, server.url, looks=8)
    with scene.stores() as at:
        assert at.ledger.audit.verify_audit() > 0
    assert set(scopes(scene)) == {("A1", "A3")}


def following(scene: Scene, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command(), env=shell(scene, url), stdout=subprocess.PIPE, text=True)


def followed(scene: Scene, url: str, looks: int) -> list[dict[str, Any]]:
    words = ("--json", "--looks", str(looks))
    done = subprocess.run(command(*words), env=shell(scene, url), capture_output=True, text=True, check=True)
    assert "secret" not in done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.system
def test_it_ends_well_when_it_is_told_to(scene: Scene) -> None:
    with quote_server({"STK": 100, "BND": 100}) as server, following(scene, server.url) as process:
        line = next(line for line in process.stdout or () if "away" not in line)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert line.partition("Z ")[2] == "looking: 4 looked at, 0 out of band\n"

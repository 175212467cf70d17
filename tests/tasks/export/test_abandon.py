"""An export is given up or leaves, never both, whoever is faster and whatever is killed; and none leaves late."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from schemas.errors import DecisionRefused, Terminal, TrimtabError, WrongUsage
from tasks.export.abandon import AbandonResult, abandon_export
from tasks.export.deliver import Deliverer, deliver_exports
from tasks.export.tombstone import TOMBSTONE, TOMBSTONE_CHECKPOINTS
from tasks.export.verification import verify
from tests.support.export_scene import (
    CUSTODIAN,
    NOW,
    POINTS,
    RUN,
    Interrupted,
    Scene,
    assert_exported_once,
    contents,
    crash_at,
    interrupt,
    meet,
)
from tests.support.servers import Postgres
from warehouse.ledger import ExportState

EXPORT: Final = f"{RUN}-export-1"
CLAIMED: Final = ("-a3", "a1", "a2")
TIMES: Final = 5
"""How often two processes race."""
STEPS: Final = (*TOMBSTONE_CHECKPOINTS, "abandoned")


def abandon(
    scene: Scene, checkpoint: Callable[[str], None] = lambda _: None, actor: str = "ops", note: str = "too late"
) -> AbandonResult:
    return abandon_export(
        EXPORT,
        abandonments=scene.ledger.abandonments,
        exports=scene.ledger.exports,
        export_folder=scene.exports,
        actor=actor,
        note=note,
        now=NOW,
        checkpoint=checkpoint,
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three proposals approved, made once: the migrations take longer than most tests."""
    home = tmp_path_factory.mktemp("template")
    Scene(home).prepare().ledger.close()
    return home


@pytest.fixture
def in_postgres(postgres: Postgres, tmp_path: Path) -> Scene:
    """As the template, in a database of its own."""
    address = postgres.url(postgres.new_database()).replace("postgresql://", "postgresql+psycopg://")
    return Scene(tmp_path, address=address).prepare()


@pytest.fixture(params=["sqlite", "postgres"])
def scene(request: pytest.FixtureRequest, template: Path, tmp_path: Path) -> Iterator[Scene]:
    """Three proposals approved and claimed, nothing written."""
    is_postgres = request.param == "postgres"
    scene = claimed(request.getfixturevalue("in_postgres") if is_postgres else copied(template, tmp_path))
    yield scene
    scene.ledger.close()


@pytest.fixture
def plain(template: Path, tmp_path: Path) -> Iterator[Scene]:
    """As the scene, in SQLite."""
    scene = claimed(copied(template, tmp_path))
    yield scene
    scene.ledger.close()


def copied(template: Path, home: Path) -> Scene:
    shutil.copytree(template, home, dirs_exist_ok=True)
    return Scene(home)


def claimed(scene: Scene, now: datetime = NOW) -> Scene:
    with pytest.raises(Interrupted):
        scene.export_all(now, checkpoint=crash_at(0, interrupt))
    return scene


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    scene = Scene(tmp_path_factory.mktemp("undisturbed")).prepare()
    scene.export()
    return contents(scene.exports)


def assert_given_up(scene: Scene) -> None:
    """Nothing of it can be seen but the tombstone, and nothing of it ever leaves."""
    told = {f"2026-03-02/{RUN}/{TOMBSTONE}"}
    assert set(contents(scene.exports)) == told
    (export,) = scene.ledger.exports.exports_of(RUN)
    assert (export.state, export.abandoned_by, export.manifest_sha256) == (ExportState.ABANDONED, "ops", None)
    states = scene.states()
    assert {states[account] for account in CLAIMED} == {"withdrawn"}
    assert scene.export() is None
    assert scene.ledger.exports.open_export(RUN) is None
    assert set(contents(scene.exports)) == told
    scene.ledger.audit.verify_audit()


def is_left(scene: Scene) -> bool:
    return (scene.final / "_SUCCESS").exists()


# --- giving up


def test_an_export_that_is_given_up_leaves_a_tombstone_and_withdraws_its_proposals(scene: Scene) -> None:
    done = abandon(scene)
    assert (done.export_id, done.folder, done.proposal_count, done.is_done_here) == (EXPORT, scene.final, 3, True)
    assert EXPORT in (scene.final / TOMBSTONE).read_text()
    assert_given_up(scene)
    rows = [row for row in scene.ledger.audit.audit_rows() if row.event in {"export_abandoned", "withdrawn"}]
    assert [row.event for row in rows] == ["withdrawn"] * 3 + ["export_abandoned"]
    assert {row.actor for row in rows} == {"ops"}
    assert all('"note":"too late"' in row.detail and EXPORT in row.detail for row in rows)


def test_giving_up_again_changes_nothing(plain: Scene) -> None:
    abandon(plain)
    rows = len(plain.ledger.audit.audit_rows())
    assert abandon(plain, note="again").is_done_here is False
    assert len(plain.ledger.audit.audit_rows()) == rows
    assert_given_up(plain)


def test_everything_may_be_halted_while_an_export_is_given_up(plain: Scene) -> None:
    plain.ledger.halts.halt("ops", "a wrong price", NOW)
    abandon(plain)
    plain.ledger.halts.lift_halt("ops", "mended", NOW)
    assert_given_up(plain)


def test_what_is_approved_later_leaves_under_the_next_number(scene: Scene) -> None:
    abandon(scene)
    scene.approve_the_waiting()
    (result,) = scene.export_all().results
    assert (result.sequence, result.folder.name, result.account_count) == (2, f"{RUN}.2", 1)
    assert {path.stem for path in (result.folder / "accounts").iterdir()} == {"b4"}
    assert scene.states() == {"-a3": "withdrawn", "a1": "withdrawn", "a2": "withdrawn", "b4": "exported"}


def test_what_was_given_up_is_neither_sent_nor_delivered_nor_verified(plain: Scene) -> None:
    abandon(plain)
    assert plain.ledger.answers.sent_orders([f"{account}-sell" for account in CLAIMED]).is_empty()
    assert plain.ledger.exports.last_exports().is_empty()
    assert plain.ledger.deliveries.published_exports() == []
    assert deliver_exports(Deliverer(ledger=plain.ledger, deliveries=(), now=lambda: NOW)) == []
    with pytest.raises(WrongUsage, match="one was given up here before it left"):
        verify(plain.final)


# --- refused, and nothing done


def test_who_may_not_export_may_not_give_up_and_a_note_is_needed(plain: Scene) -> None:
    plain.ledger.users.add_user("vic", [], actor="ops", now=NOW)
    with pytest.raises(DecisionRefused, match="vic has no role"):
        abandon(plain, actor="vic")
    with pytest.raises(DecisionRefused, match="needs a note"):
        abandon(plain, note="  ")
    assert contents(plain.exports) == {}


def test_an_export_that_nobody_claimed_cannot_be_given_up(tmp_path: Path) -> None:
    scene = Scene(tmp_path).prepare()
    with pytest.raises(WrongUsage, match=f"there is no export {EXPORT}"):
        abandon(scene)
    assert not scene.exports.exists()


@pytest.mark.parametrize("point", ["renamed", "placed", "published"])
def test_an_export_that_has_left_cannot_be_given_up(plain: Scene, undisturbed: dict[str, bytes], point: str) -> None:
    with pytest.raises(Interrupted):
        plain.export(crash_at(POINTS.index(point), interrupt))
    with pytest.raises(Terminal, match=f"export {EXPORT} has left"):
        abandon(plain)
    plain.export()
    assert_exported_once(plain, undisturbed)


def test_a_strange_folder_in_the_place_is_left_alone(plain: Scene) -> None:
    plain.final.mkdir(parents=True)
    (plain.final / "letter.txt").write_text("hello")
    with pytest.raises(Terminal, match="is neither export"):
        abandon(plain)
    assert set(contents(plain.exports)) == {f"2026-03-02/{RUN}/letter.txt"}
    assert plain.ledger.exports.open_export(RUN) is not None


def test_a_tombstone_that_somebody_wrote_beside_is_none(plain: Scene) -> None:
    with pytest.raises(Interrupted):
        abandon(plain, crash_at(STEPS.index("placed"), interrupt))
    (plain.final / "orders.csv").write_text("")
    with pytest.raises(Terminal, match="is neither export"):
        abandon(plain)
    with pytest.raises(Terminal, match="exists and is not this export"):
        plain.export()
    assert plain.ledger.exports.open_export(RUN) is not None


def test_an_export_begun_elsewhere_is_given_up_there(plain: Scene) -> None:
    with pytest.raises(Terminal, match=r"was begun in .*, not in"):
        abandon_export(
            EXPORT,
            abandonments=plain.ledger.abandonments,
            exports=plain.ledger.exports,
            export_folder=plain.home / "elsewhere",
            actor="ops",
            note="late",
            now=NOW,
        )
    assert not (plain.home / "elsewhere").exists()
    assert plain.ledger.exports.open_export(RUN) is not None


# --- crashes and races


@pytest.mark.parametrize("call", range(len(STEPS)), ids=STEPS)
def test_a_giving_up_that_is_interrupted_is_finished_by_the_next(scene: Scene, call: int) -> None:
    with pytest.raises(Interrupted):
        abandon(scene, crash_at(call, interrupt))
    assert set(contents(scene.exports)) <= {f"2026-03-02/{RUN}/{TOMBSTONE}"}
    assert abandon(scene).is_done_here is (STEPS[call] != "abandoned")
    assert_given_up(scene)


@pytest.mark.parametrize("call", range(len(STEPS)), ids=STEPS)
def test_an_exporter_after_a_giving_up_that_was_interrupted_exports_or_says_what_to_do(
    scene: Scene, undisturbed: dict[str, bytes], call: int
) -> None:
    with pytest.raises(Interrupted):
        abandon(scene, crash_at(call, interrupt))
    if call < STEPS.index("renamed"):
        assert scene.export() is not None
        assert_exported_once(scene, undisturbed)
    elif STEPS[call] == "abandoned":
        assert_given_up(scene)
    else:
        with pytest.raises(
            Terminal, match=f"(?s)is being given up.*Hint: `trimtab export abandon {EXPORT} --note WHY`"
        ):
            scene.export()
        abandon(scene)
        assert_given_up(scene)


def at(point: str, act: Callable[[], object]) -> Callable[[str], None]:
    """A checkpoint that acts the first time the point is reached."""
    waiting = [act]

    def checkpoint(reached: str) -> None:
        if reached == point and waiting:
            waiting.pop()()

    return checkpoint


@pytest.mark.parametrize("point", dict.fromkeys(POINTS))
def test_an_exporter_overtaken_by_a_giving_up_exports_all_or_nothing(
    scene: Scene, undisturbed: dict[str, bytes], point: str
) -> None:
    refused: list[str] = []

    def give_up() -> None:
        try:
            abandon(scene)
        except Terminal as error:
            refused.append(str(error))

    if POINTS.index(point) < POINTS.index("renamed"):
        with pytest.raises(Terminal, match="given up"):
            scene.export(at(point, give_up))
        assert refused == []
        assert_given_up(scene)
    else:
        scene.export(at(point, give_up))
        assert len(refused) == 1
        assert "has left" in refused[0]
        assert_exported_once(scene, undisturbed)


@pytest.mark.parametrize("point", ["files", "flushed"])
def test_a_tombstone_that_somebody_took_away_lets_nothing_leave(plain: Scene, point: str) -> None:
    def give_up_and_clear() -> None:
        abandon(plain)
        shutil.rmtree(plain.final)

    with pytest.raises(DecisionRefused, match="was given up by ops: too late"):
        plain.export(at(point, give_up_and_clear))
    assert contents(plain.exports) == {}


@pytest.mark.parametrize("point", STEPS)
def test_a_giving_up_overtaken_by_an_exporter_is_refused_or_was_first(
    scene: Scene, undisturbed: dict[str, bytes], point: str
) -> None:
    def export() -> None:
        with suppress(Terminal):
            scene.export()

    if STEPS.index(point) < STEPS.index("renamed"):
        with pytest.raises(Terminal, match="has left"):
            abandon(scene, at(point, export))
        assert_exported_once(scene, undisturbed)
    else:
        abandon(scene, at(point, export))
        assert_given_up(scene)


@pytest.mark.parametrize("point", STEPS)
def test_of_two_who_give_up_at_once_one_does_so(scene: Scene, point: str) -> None:
    others: list[AbandonResult] = []
    mine = abandon(scene, at(point, lambda: others.append(abandon(scene))))
    assert sorted([mine.is_done_here, others[0].is_done_here]) == [False, True]
    events = [row.event for row in scene.ledger.audit.audit_rows()]
    assert events.count("export_abandoned") == 1
    assert_given_up(scene)


def test_an_exporter_and_a_giver_up_who_meet_before_the_rename_agree_every_time(template: Path, tmp_path: Path) -> None:
    homes = [tmp_path / str(number) for number in range(TIMES)]
    for home in homes:
        claimed(copied(template, home)).ledger.close()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "POLARS_MAX_THREADS": "1"}
    words = [[sys.executable, __file__, name, *map(str, homes)] for name in ("export", "abandon")]
    racers = [subprocess.Popen(each, env=environment) for each in words]
    assert [racer.wait(120) for racer in racers] == [0, 0]
    for home in homes:
        scene = Scene(home)
        (export,) = scene.ledger.exports.exports_of(RUN)
        assert is_left(scene) is (export.state is ExportState.PUBLISHED)
        assert (scene.final / TOMBSTONE).exists() is (export.state is ExportState.ABANDONED)
        wanted = "exported" if is_left(scene) else "withdrawn"
        assert {state for account, state in scene.states().items() if account in CLAIMED} == {wanted}
        scene.ledger.close()


@pytest.mark.parametrize("call", range(len(STEPS)), ids=STEPS)
def test_a_giving_up_that_is_killed_is_finished_by_the_next(plain: Scene, call: int) -> None:
    plain.ledger.close()
    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            abandon(Scene(plain.home), crash_at(call, lambda: os.kill(os.getpid(), signal.SIGKILL)))
        os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    abandon(plain)
    assert_given_up(plain)


# --- never late


def in_time_until(home: Path, hours: float) -> Scene:
    """Claimed at ``NOW``; the custodian's cut-off is so many hours later, or none: proposals expire after 20."""
    cut_offs = {CUSTODIAN: NOW + timedelta(hours=hours)} if hours < 20 else {}
    return claimed(Scene(home).prepare(cut_offs))


@pytest.mark.parametrize(
    ("hours", "why"),
    [
        (1, f"the cut-off of {CUSTODIAN} was at 2026-03-03 02:00 UTC"),
        (20, f"for {CUSTODIAN} expired at 2026-03-03 21:00 UTC"),
    ],
)
def test_a_claim_that_is_too_late_does_not_leave_and_says_how_to_give_it_up(
    tmp_path: Path, hours: float, why: str
) -> None:
    scene = in_time_until(tmp_path, hours)
    done = scene.export_all(NOW + timedelta(hours=hours))
    assert done.results == ()
    (problem,) = done.problems
    assert f"export {EXPORT} is too late to leave" in problem
    assert why in problem
    assert f"Hint: `trimtab export abandon {EXPORT} --note WHY`" in problem
    assert contents(scene.exports) == {}
    abandon(scene)
    assert_given_up(scene)


@pytest.mark.parametrize("hours", [1, 20])
def test_a_claim_goes_on_until_the_last_moment(tmp_path: Path, undisturbed: dict[str, bytes], hours: float) -> None:
    scene = in_time_until(tmp_path, hours)
    (result,) = scene.export_all(NOW + timedelta(hours=hours, seconds=-60)).results
    assert result.account_count == 3
    assert_exported_once(scene, undisturbed)


@pytest.mark.parametrize("point", ["renamed", "placed"])
def test_a_folder_that_has_its_name_has_left_whatever_the_time(
    tmp_path: Path, undisturbed: dict[str, bytes], point: str
) -> None:
    scene = Scene(tmp_path).prepare({CUSTODIAN: NOW + timedelta(hours=1)})
    with pytest.raises(Interrupted):
        scene.export(crash_at(POINTS.index(point), interrupt))
    (result,) = scene.export_all(NOW + timedelta(days=3)).results
    assert result.is_published_here
    assert_exported_once(scene, undisturbed)


def test_a_halt_that_lasts_for_days_lets_nothing_leave_when_it_is_lifted(tmp_path: Path) -> None:
    scene = Scene(tmp_path).prepare()
    with pytest.raises(TrimtabError, match="a wrong price"):
        scene.export(at("flushed", lambda: scene.ledger.halts.halt("ops", "a wrong price", NOW)))
    scene.ledger.halts.lift_halt("ops", "the price is mended", NOW + timedelta(days=3))
    done = scene.export_all(NOW + timedelta(days=3))
    assert done.results == ()
    assert "is too late to leave" in done.problems[0]
    assert contents(scene.exports) == {}


def race(name: str, home: Path) -> None:
    """Export or give up, from the moment on at which the other is ready for the rename too."""
    scene, checkpoint = Scene(home), meet(home, name)
    with suppress(Terminal):
        if name == "abandon":
            abandon(scene, checkpoint)
        else:
            scene.export(checkpoint)


if __name__ == "__main__":
    for place in sys.argv[2:]:
        race(sys.argv[1], Path(place))

"""The kill switch: what it stops, what it leaves, and that everything goes on to the same bytes once it is lifted."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from flows.commands.cli import app
from schemas.enums import Step
from schemas.errors import RunHeld, WrongUsage
from schemas.settings import load_settings
from tasks.core.export.package import Export, ExportPackage, ProposedTables, make_release
from tasks.export.packages import BOOK
from tasks.export.render import LOOK_SECONDS, Sending, render_export
from tasks.runtime.stores import current_actor, open_ledger
from tests.support.export_scene import AS_OF, NOW, POINTS, RUN, Scene, assert_exported_once, contents
from tests.support.ledger_book import new_run, route
from warehouse.ledger import ExportPart, InputRow, InputState, Ledger

# --- exports


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path).prepare()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    scene = Scene(tmp_path_factory.mktemp("undisturbed")).prepare()
    scene.export()
    return contents(scene.exports)


def test_no_export_starts_while_everything_is_halted(scene: Scene) -> None:
    scene.ledger.halts.halt("ops", "a wrong price", NOW)

    refusal = "halted since 2026-03-03 01:00 UTC by ops: a wrong price\n\nHint: .*`trimtab resume --note WHY`"
    with pytest.raises(RunHeld, match=refusal):
        scene.export()
    with pytest.raises(RunHeld, match="a wrong price"):
        scene.export_all(NOW)

    assert scene.ledger.exports.exports_of(RUN) == []
    assert not scene.exports.exists()


def halt_at(scene: Scene, call: int) -> Callable[[str], None]:
    """A checkpoint at whose n-th call, counted from 0, somebody throws the switch."""
    calls = count()

    def checkpoint(_point: str) -> None:
        if next(calls) == call:
            scene.ledger.halts.halt("ops", "a wrong price", NOW)

    return checkpoint


@pytest.mark.parametrize("call", range(POINTS.index("renamed")))
def test_an_export_halted_before_it_can_be_seen_is_finished_once_the_halt_is_lifted(
    scene: Scene, undisturbed: dict[str, bytes], call: int
) -> None:
    with pytest.raises(RunHeld, match="a wrong price"):
        scene.export(halt_at(scene, call))
    assert contents(scene.exports) == {}
    assert scene.ledger.exports.open_export(RUN) is not None
    with pytest.raises(RunHeld):
        scene.export()

    scene.ledger.halts.lift_halt("ops", "the price is mended", NOW)

    assert scene.export() is not None
    assert_exported_once(scene, undisturbed)


@pytest.mark.parametrize("call", range(POINTS.index("renamed"), len(POINTS)))
def test_an_export_that_can_be_seen_already_is_recorded_though_everything_is_halted(
    scene: Scene, undisturbed: dict[str, bytes], call: int
) -> None:
    assert scene.export(halt_at(scene, call)) is not None

    scene.ledger.halts.lift_halt("ops", "the price is mended", NOW)
    assert_exported_once(scene, undisturbed)


@pytest.fixture
def release(scene: Scene) -> ExportPackage:
    """What an export of the scene would write."""
    book = ProposedTables(*(scene.lake.read(name, RUN) for name in BOOK))
    ids = scene.ledger.exports.exportable(RUN, NOW)
    approved = scene.ledger.proposals.list_proposals(run_id=RUN).filter(pl.col("proposal_id").is_in(ids))
    orders = book.orders.filter(pl.col("proposal_id").is_in(ids)).select("order_id", "proposal_id")
    return make_release(Export(RUN, AS_OF, 1, "export"), book, approved=approved, claimed=orders)


class Switch:
    """Stops at the n-th look; remembers how many accounts' files were there at each."""

    def __init__(self, folder: Path, last: int) -> None:
        self.folder, self.last = folder, last
        self.seen: list[int] = []

    def __call__(self) -> None:
        self.seen.append(len(list(self.folder.rglob("accounts/*.csv"))))
        if len(self.seen) == self.last:
            raise RunHeld("halted")


def ticking(step: float) -> Callable[[], float]:
    """A clock that goes on by ``step`` seconds each time it is read."""
    times = iter(range(10_000))
    return lambda: next(times) * step


def test_an_export_under_way_stops_between_two_accounts_files(release: ExportPackage, tmp_path: Path) -> None:
    switch = Switch(tmp_path, last=3)

    with pytest.raises(RunHeld):
        render_export(Sending(release), tmp_path / "out" / "run", lambda _: None, switch, ticking(2 * LOOK_SECONDS))

    assert switch.seen == [0, 1, 2]
    assert contents(tmp_path / "out") == {}


def test_the_switch_is_looked_at_at_most_every_tenth_of_a_second(release: ExportPackage, tmp_path: Path) -> None:
    """One look at the first file, one each time the clock has gone on enough, and one before the rename."""
    often, rarely, once = (Switch(tmp_path, last=0) for _ in range(3))
    for name, switch, seconds in (("a", often, LOOK_SECONDS), ("b", rarely, LOOK_SECONDS / 4), ("c", once, 0.0)):
        render_export(Sending(release), tmp_path / "out" / name, lambda _: None, switch, ticking(seconds))

    files = len(contents(tmp_path / "out" / "a"))
    assert (len(often.seen), len(rarely.seen), len(once.seen)) == (files + 1, -(-files // 4) + 1, 2)


# --- commands


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Run monday waits for a person; whoever runs the tests is the admin."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    ledger = open_ledger(load_settings())
    route(ledger, "monday", ["aa"], now=datetime.now(UTC))
    yield ledger
    ledger.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_halting_and_lifting_at_the_terminal(ledger: Ledger) -> None:
    halted = run("halt", "--note", "a wrong price")

    assert (halted.exit_code, halted.stderr) == (0, "")
    assert halted.stdout.startswith("Halted: nothing is exported")
    assert "`trimtab resume --note WHY`" in halted.stdout
    halt = ledger.halts.current_halt()
    assert (halt.actor, halt.note) == (current_actor(), "a wrong price")

    lifted = run("resume", "--note", "mended")

    assert lifted.exit_code == 0
    assert f"by {current_actor()}: a wrong price" in lifted.stdout
    assert ledger.halts.current_halt() is None


def test_halting_again_says_whose_halt_stands(ledger: Ledger) -> None:
    run("halt", "--note", "a wrong price")

    again = run("halt", "--note", "another reason")

    assert again.exit_code == 0
    assert again.stderr.startswith("It was halted since ")
    assert "a wrong price already; that halt stands." in again.stderr
    assert ledger.halts.current_halt().note == "a wrong price"


@pytest.mark.parametrize("words", [("halt",), ("resume",), ("resume", "monday")])
def test_a_halt_and_a_resumption_need_a_note(ledger: Ledger, words: tuple[str, ...]) -> None:
    result = run(*words)

    assert result.exit_code == 2
    assert "Missing option '--note'" in result.stderr
    assert ledger.halts.current_halt() is None


def test_lifting_what_is_not_halted_says_that_a_run_is_released_by_name(ledger: Ledger) -> None:
    assert ledger.halts.current_halt() is None
    result = run("resume", "--note", "mended")

    assert isinstance(result.exception, WrongUsage)
    assert str(result.exception) == "nothing is halted\n\nHint: name a run to release that run."


def test_a_held_run_is_not_released_while_everything_is_halted(ledger: Ledger) -> None:
    ledger.runs.hold_run("monday", "prices are stale", NOW)
    run("halt", "--note", "a wrong price")

    result = run("resume", "monday", "--note", "the exchange was closed")

    assert isinstance(result.exception, RunHeld)
    assert result.exception.exit_code == 3
    assert "a wrong price" in str(result.exception)
    assert ledger.runs.get_run("monday").released_by is None


def test_status_says_that_everything_is_halted(ledger: Ledger) -> None:
    assert json.loads(run("status", "--json").stdout)["halt"] is None
    assert "halted" not in run("status").stdout

    run("halt", "--note", "a wrong price")

    assert json.loads(run("status", "--json").stdout)["halt"]["note"] == "a wrong price"
    text = run("status").stdout
    assert text.startswith("Everything is halted since ")
    assert "`trimtab resume --note WHY`" in text
    assert "monday: running" in text
    assert ledger.audit.verify_audit()


def test_status_gives_each_guards_reason_a_line_and_says_how_the_run_goes_on(ledger: Ledger) -> None:
    ledger.runs.hold_run(
        "monday", "the newest price is old\ntoo many orders", NOW, guards=["stale_prices", "order_count"]
    )

    lines = run("status").stdout.splitlines()

    assert lines[:4] == [
        "monday: held because",
        "  the newest price is old",
        "  too many orders",
        "A releaser or an admin lets it go on with `trimtab resume monday --note WHY`.",
    ]
    assert json.loads(run("status", "--json").stdout)["held_guards"] == ["stale_prices", "order_count"]


def test_status_lists_what_the_run_took_and_what_it_waits_for(ledger: Ledger) -> None:
    read = InputRow(
        number=0,
        source="northbank",
        name="positions.txt",
        table_name="lots",
        first_row=1,
        row_count=12_345,
        last_row=12_345,
        size_bytes=1,
        sha256="f00d",
        state=InputState.READ,
        taken_at=NOW,
    )
    awaited = replace(read, number=1, name="cash.txt", state=InputState.AWAITED, note="not there at 22:00", row_count=0)
    ledger.inputs.record_inputs("monday", [read, awaited])
    ledger.runs.finish_step("monday", Step.PULL, -1, rows=12_345, seconds=1, now=NOW)

    text = run("status").stdout

    lines = [" ".join(line.replace("│", " ").split()) for line in text.splitlines()]
    assert "northbank positions.txt lots 12,345 read" in lines
    assert "northbank cash.txt lots 0 awaited: not there at 22:00" in lines
    told = json.loads(run("status", "--json").stdout)["inputs"]
    assert [(one["name"], one["row_count"], one["state"]) for one in told] == [
        ("positions.txt", 12_345, "read"),
        ("cash.txt", 0, "awaited"),
    ]


def test_status_of_a_home_without_runs_shows_a_halt_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    open_ledger(load_settings()).close()
    run("halt", "--note", "a wrong price")

    text = run("status")

    assert "a wrong price" in text.stdout
    assert text.stderr.startswith("no run yet")
    told = json.loads(run("status", "--json").stdout)
    assert (told["run_id"], told["halt"]["note"]) == (None, "a wrong price")


def test_the_ledger_itself_refuses_claims_and_releases_while_halted(ledger: Ledger) -> None:
    ledger.runs.hold_run("monday", "prices are stale", NOW)
    ledger.runs.start_run(replace(new_run("tuesday"), as_of_date=date(2026, 7, 2)), NOW)
    ledger.runs.finish_run("tuesday", {}, NOW)
    ledger.halts.halt(current_actor(), "a wrong price", NOW)

    with pytest.raises(RunHeld, match="a wrong price"):
        ledger.runs.release_run("monday", actor=current_actor(), note="fine", now=NOW)
    with pytest.raises(RunHeld, match="a wrong price"):
        ledger.exports.claim_export(
            "tuesday",
            [ExportPart(orders=pl.DataFrame({"order_id": ["o"], "proposal_id": ["p"]}))],
            actor=current_actor(),
            folder="x",
            now=NOW,
        )

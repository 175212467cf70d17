import csv
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import ProposalState, Role, RunKind
from schemas.errors import ConservationBroken, DecisionRefused, RunHeld, WrongUsage
from tasks.export.export import CHECKPOINTS, export_run
from tasks.export.plan import ExportPlan
from tests.support.export_scene import (
    ACCOUNTS,
    AS_OF,
    NOW,
    POINTS,
    RUN,
    Interrupted,
    Scene,
    contents,
    crash_at,
    interrupt,
    routed,
)
from warehouse.ledger import NewRun


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path).prepare()


def test_every_approved_account_has_a_file_and_the_manifest_names_every_file(scene: Scene) -> None:
    result = scene.export()
    assert result is not None
    assert (result.account_count, result.order_count, result.sequence) == (3, 6, 1)
    assert result.folder == scene.final
    found = contents(scene.final)
    manifest = json.loads(found.pop("manifest.json"))
    assert hashlib.sha256((scene.final / "manifest.json").read_bytes()).hexdigest() == result.manifest_sha256
    assert found.pop("_SUCCESS") == f"{result.manifest_sha256}  manifest.json\n".encode()
    approved = ["-a3", "a1", "a2"]
    assert sorted(found) == sorted(
        [
            *(f"{kind}/{account}.csv" for kind in ("accounts", "lots") for account in approved),
            "allocations.csv",
            "blocks.csv",
        ]
    )
    listed = {entry["path"]: entry for entry in manifest["files"]}
    assert {path: entry["sha256"] for path, entry in listed.items()} == {
        path: hashlib.sha256(content).hexdigest() for path, content in found.items()
    }
    assert {path: entry["bytes"] for path, entry in listed.items()} == {path: len(text) for path, text in found.items()}
    assert {listed[f"accounts/{account}.csv"]["rows"] for account in approved} == {2}
    assert manifest["totals"]["sell_value_usd"] == "92.25"


def test_the_ledger_learns_what_left_and_nothing_leaves_twice(scene: Scene) -> None:
    result = scene.export()
    assert result is not None
    assert result.is_published_here
    assert scene.states() == {
        "a1": ProposalState.EXPORTED,
        "a2": ProposalState.EXPORTED,
        "-a3": ProposalState.EXPORTED,
        "b4": ProposalState.PENDING_REVIEW,
    }
    assert scene.export() is None


def test_files_and_folders_are_for_their_owner_alone(scene: Scene) -> None:
    scene.export()
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in scene.exports.rglob("*")}
    assert modes == {(True, 0o700), (False, 0o600)}
    assert scene.exports.stat().st_mode & 0o777 == 0o700


def test_checkpoints_are_called_in_order(scene: Scene) -> None:
    seen: list[str] = []
    scene.export(seen.append)
    assert tuple(seen) == POINTS
    assert tuple(dict.fromkeys(seen)) == CHECKPOINTS


def test_the_success_file_is_written_after_all_others_and_under_another_name(scene: Scene) -> None:
    """A reader of the final name sees all or nothing."""
    seen = []

    def look(point: str) -> None:
        seen.append((point, scene.final.exists(), any("_SUCCESS" in path for path in contents(scene.exports))))

    scene.export(look)
    assert seen[1:6] == [*[("files", False, False)] * 3, ("manifest", False, True), ("flushed", False, True)]
    assert seen[6] == ("renamed", True, True)


def test_what_is_approved_later_leaves_in_a_second_folder(scene: Scene) -> None:
    scene.export()
    first = contents(scene.final)
    scene.approve_the_waiting()
    result = scene.export()
    assert result is not None
    assert (result.sequence, result.folder.name) == (2, f"{RUN}.2")
    assert sorted(contents(result.folder)) == [
        "_SUCCESS",
        "accounts/b4.csv",
        "allocations.csv",
        "blocks.csv",
        "lots/b4.csv",
        "manifest.json",
    ]
    assert contents(scene.final) == first
    assert json.loads((result.folder / "manifest.json").read_text())["sequence"] == 2
    assert scene.export() is None


def test_what_does_not_add_up_is_not_even_claimed(scene: Scene) -> None:
    scene.lake.tables["lot_relief"] = scene.lake.tables["lot_relief"].slice(1)
    with pytest.raises(ConservationBroken, match="lots closed by sell order a1-sell sum to"):
        scene.export()
    assert scene.ledger.exports.exports_of(RUN) == []
    assert not scene.exports.exists()


def test_a_proposal_whose_orders_are_gone_stops_the_export(scene: Scene) -> None:
    scene.lake.tables["orders"] = scene.lake.tables["orders"].filter(pl.col("account_id") != "a2")
    with pytest.raises(ConservationBroken, match="proposal p-a2 was approved with 2 orders, the lake has None"):
        scene.export()
    assert scene.ledger.exports.exports_of(RUN) == []


def test_a_proposal_changed_after_the_claim_stops_the_export(scene: Scene) -> None:
    with pytest.raises(Interrupted):
        scene.export(crash_at(0, interrupt))
    scene.lake.tables["proposals"] = scene.lake.tables["proposals"].with_columns(content_hash=pl.lit("other"))
    with pytest.raises(ConservationBroken, match="is not what was approved"):
        scene.export()
    assert contents(scene.exports) == {}


def test_an_order_changed_after_the_claim_stops_the_export(scene: Scene) -> None:
    with pytest.raises(Interrupted):
        scene.export(crash_at(0, interrupt))
    buys = pl.col("side") == "buy"
    more = pl.when(buys).then(pl.col("quantity") + 1).otherwise("quantity").cast(pl.Decimal(18, 6))
    scene.lake.tables["orders"] = scene.lake.tables["orders"].with_columns(quantity=more)
    with pytest.raises(ConservationBroken, match="an order of proposal p--a3 was changed since it was approved"):
        scene.export()
    assert contents(scene.exports) == {}


def test_only_a_releaser_exports_and_resumes(scene: Scene) -> None:
    scene.ledger.users.add_user("reader", {Role.REVIEWER}, actor="ops", now=NOW)
    scene.ledger.users.add_user("releaser", {Role.RELEASER}, actor="ops", now=NOW)
    for actor in ("reader", "nobody"):
        with pytest.raises(DecisionRefused, match=f"{actor} may not export"):
            scene.export(actor=actor)
    with pytest.raises(Interrupted):
        scene.export(crash_at(0, interrupt))
    with pytest.raises(DecisionRefused, match="reader may not export"):
        scene.export(actor="reader")
    assert scene.export(actor="releaser") is not None


def test_a_run_that_is_not_done_is_refused_and_skipped(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    new = NewRun(RUN, AS_OF, RunKind.NIGHTLY, "night", input_hash="i", code_version="c", source="s")
    scene.ledger.runs.start_run(new, NOW)
    scene.ledger.proposals.route_proposals(RUN, routed(), pl.Series(ACCOUNTS), NOW)
    with pytest.raises(RunHeld, match="is running; only a run that is done"):
        scene.export()
    scene.ledger.runs.hold_run(RUN, "prices are stale", NOW)
    with pytest.raises(RunHeld, match="is held: prices are stale"):
        scene.export()
    done = scene.export_all(NOW)
    assert (done.results, done.waiting) == ((), (RUN,))
    assert not scene.exports.exists()


def test_an_unknown_run_is_wrong_usage(scene: Scene) -> None:
    with pytest.raises(WrongUsage, match="there is no run other"):
        export_run("other", scene.exporter(), [ExportPlan()])


def test_what_expired_stays(scene: Scene) -> None:
    later = NOW + timedelta(hours=21)
    done = scene.export_all(later)
    assert done.results == ()
    assert set(scene.states().values()) == {ProposalState.EXPIRED}


def test_no_written_cell_starts_a_formula(scene: Scene) -> None:
    scene.export()
    cells = [
        cell
        for path in scene.exports.rglob("*.csv")
        for line in csv.reader(path.read_text().splitlines())
        for cell in line
    ]
    assert "'=BB" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]

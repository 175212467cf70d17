"""A household that is managed together leaves whole or stays whole, wherever its accounts are."""

from datetime import timedelta
from pathlib import Path

import pytest

from schemas.exports import Delivery
from tasks.export.abandon import abandon_export
from tests.support.export_scene import NOW, POINTS, RUN, Interrupted, Scene, contents, crash_at, interrupt

TOGETHER = {"a1": "h1", "a2": "h1"}
APART = {"a1": "East Trust", "a2": "West Trust", "b4": "West Trust"}
PLACES = tuple(
    Delivery(name=name.lower(), url=f"file:///tmp/{name}", custodians=(f"{name} Trust",)) for name in ("East", "West")
)

FIRST = len(POINTS)
"""The call of the checkpoint at which the household is claimed: the export of everybody else comes first."""


def scene_of(home: Path, custodians: dict[str, str] = APART, **options: object) -> Scene:
    home.mkdir(exist_ok=True)
    return Scene(home, custodians=custodians, households=TOGETHER).prepare(**options)  # type: ignore[arg-type]


def left(scene: Scene) -> dict[str, str | None]:
    """By account of the household, the export that it left in; null: it stays."""
    found = scene.ledger.proposals.list_proposals()
    rows = found.filter(household_id="h1").select("account_id", "state", "export_id").rows()
    return {account: export if state == "exported" else None for account, state, export in rows}


def test_members_at_different_places_leave_in_one_act(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    done = scene.export_all(deliveries=PLACES)

    assert left(scene) == {"a1": f"{RUN}-export-2", "a2": f"{RUN}-export-3"}
    assert sorted(one.sequence for one in done.results) == [1, 2, 3]
    exports = scene.ledger.exports.exports_of(RUN)
    assert [one.part for one in exports] == [1, 1, 2]


@pytest.mark.parametrize("asked", ["East Trust", "West Trust"])
@pytest.mark.parametrize("deliveries", [(), PLACES])
def test_a_member_elsewhere_leaves_with_those_asked_for(
    tmp_path: Path, asked: str, deliveries: tuple[Delivery, ...]
) -> None:
    scene = scene_of(tmp_path)
    scene.approve_the_waiting()

    scene.export_all(custodians=[asked], deliveries=deliveries)

    assert None not in left(scene).values()
    assert scene.states()["-a3"] == "auto_approved"
    assert scene.states()["b4"] == ("exported" if asked == "West Trust" else "approved")


@pytest.mark.parametrize("late", ["East Trust", "West Trust"])
@pytest.mark.parametrize("deliveries", [(), PLACES])
def test_a_cut_off_of_one_keeps_the_others(tmp_path: Path, late: str, deliveries: tuple[Delivery, ...]) -> None:
    scene = scene_of(tmp_path, cut_offs={late: NOW + timedelta(minutes=5)})

    done = scene.export_all(NOW + timedelta(minutes=5), deliveries=deliveries)

    assert left(scene) == {"a1": None, "a2": None}
    assert scene.states()["-a3"] == "exported"
    reasons = dict(done.held_back.select("account_id", "reason").rows())
    kept, other = ("a1", "a2") if late.startswith("East") else ("a2", "a1")
    assert reasons[kept].startswith(f"the cut-off of {late} was at")
    assert reasons[other].startswith(
        f"it leaves together with {kept} of the household h1, which is kept back: the cut-off"
    )


@pytest.mark.parametrize("call", range(FIRST, FIRST + 2 * len(POINTS)))
def test_killed_anywhere_the_household_leaves_whole_and_once(tmp_path: Path, call: int) -> None:
    undisturbed = scene_of(tmp_path / "undisturbed")
    undisturbed.export_all(deliveries=PLACES)
    scene = scene_of(tmp_path / "killed")

    try:
        scene.export_all(deliveries=PLACES, checkpoint=crash_at(call, interrupt))
    except Interrupted:
        claimed = scene.ledger.proposals.list_proposals().filter(household_id="h1")["export_id"]
        assert claimed.null_count() == 0  # both, or neither's folder is begun
        scene.export_all(deliveries=PLACES)

    assert contents(scene.exports) == contents(undisturbed.exports)
    assert left(scene) == left(undisturbed)
    once = [row.proposal_id for row in scene.ledger.audit.audit_rows() if row.event == "exported"]
    assert sorted(filter(None, once)) == ["p--a3", "p-a1", "p-a2"]
    scene.ledger.audit.verify_audit()


@pytest.mark.parametrize("given_up", [2, 3])
def test_giving_up_one_gives_up_what_was_claimed_with_it(tmp_path: Path, given_up: int) -> None:
    scene = scene_of(tmp_path)
    with pytest.raises(Interrupted):
        scene.export_all(deliveries=PLACES, checkpoint=crash_at(FIRST, interrupt))

    ledger = scene.ledger
    done = abandon_export(
        f"{RUN}-export-{given_up}",
        abandonments=ledger.abandonments,
        exports=ledger.exports,
        export_folder=scene.exports,
        actor="ops",
        note="the desk was closed",
        now=NOW,
    )

    assert done.with_it == (f"{RUN}-export-{5 - given_up}",)
    assert {scene.states()[account] for account in TOGETHER} == {"withdrawn"}
    scene.export_all(deliveries=PLACES)
    assert left(scene) == {"a1": None, "a2": None}
    assert scene.states()["-a3"] == "exported"


def test_a_part_that_would_leave_late_stops_the_first(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, cut_offs={"West Trust": NOW + timedelta(minutes=5)})
    with pytest.raises(Interrupted):
        scene.export_all(deliveries=PLACES, checkpoint=crash_at(FIRST, interrupt))

    done = scene.export_all(NOW + timedelta(minutes=5), deliveries=PLACES)

    assert "cut-off of West Trust" in done.problems[0]
    assert left(scene) == {"a1": None, "a2": None}

"""What a simulation exports goes to no place, whatever the settings name."""

from pathlib import Path

from schemas.exports import Delivery
from tests.support.export_scene import RUN, Scene


def plans(home: Path, *, is_simulation: bool) -> tuple[list[str], tuple[str, ...]]:
    scene = Scene(home, is_simulation=is_simulation).prepare()
    done = scene.export_all(deliveries=(Delivery(name="oms", url=str(home / "oms")),))
    return [row.plan or "" for row in scene.ledger.exports.exports_of(RUN)], done.notices


def test_an_export_of_a_simulation_goes_to_no_place(tmp_path: Path) -> None:
    for name, is_simulation in (("real", False), ("tried", True)):
        (tmp_path / name).mkdir()
        (plan,), notices = plans(tmp_path / name, is_simulation=is_simulation)
        assert ("oms" in plan) is not is_simulation
        assert [one.rpartition(": ")[2] for one in notices] == (["its run is a simulation"] if is_simulation else [])

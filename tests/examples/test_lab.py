"""The packaged studies hold together, and their data have what they ask for."""

from pathlib import Path

import pytest

from tasks.lab.study import plan_of, read_study

STUDIES = sorted((Path(__file__).parents[2] / "examples" / "lab").glob("*.toml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_packaged_study_can_be_run(path: Path) -> None:
    study = read_study(path)
    assert study.name == path.stem
    plan = plan_of(study)
    assert len(plan.policies) == len(study.points()) > 1


def test_there_are_studies() -> None:
    assert {path.stem for path in STUDIES} >= {"bands", "calendar-or-threshold"}

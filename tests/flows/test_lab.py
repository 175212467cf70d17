"""``trimtab lab`` as somebody types it, on the packaged example made small: run, run again, list, show, compare, verify, export."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

from schemas.lab import parse_study
from tests.support.cli_session import Command, session

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "lab" / "bands.toml"
BAND = "absolute_band=0.05,look=monthly"


def small(text: str) -> str:
    """The example on 20 courses of 3 years."""
    shorter = re.sub(r"count = \d+", "count = 20", re.sub(r"years = \d+", "years = 3", text))
    assert shorter != text
    return shorter


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Command]]:
    folder = tmp_path_factory.mktemp("lab")
    study = folder / "bands.toml"
    study.write_text(small(EXAMPLE.read_text()))
    wrong = folder / "wrong.toml"
    wrong.write_text(study.read_text().replace("[grid]", "[grid]\nis_harvesting = [true]"))
    lines = [
        ["lab", "list", "--json"],
        ["lab", "run", str(study)],
        ["lab", "run", str(study), "--json"],
        ["lab", "list", "--json"],
        ["lab", "show", "bands"],
        ["lab", "compare", "bands", BAND, "--json"],
        ["lab", "verify", "bands", "--looks", "50", "--json"],
        ["lab", "export", "bands", str(folder / "out")],
        ["lab", "run", str(wrong)],
        ["lab", "show", "another"],
        [
            "frontier",
            "--data",
            "us_1926_2018",
            "--draws",
            "10",
            "--picture",
            str(folder / "f.svg"),
            "--ladder",
            str(folder / "ladder"),
            "--json",
        ],
        ["frontier", "--data", "us_1926_2018", "--draws", "10", "--expected", "stocks=6 %"],
        ["frontier", "--data", "us_1926_2018", "--draws", "10", "--most", "stocks=0.5"],
        ["lab", "adopt", "bands", BAND, "--policy", "standard", "--for", "events", "--note", "to see"],
        ["lab", "changes", "--json"],
        ["lab", "write", "nothing", str(folder / "adopted")],
        ["query", "SELECT count(*) AS n FROM lab_policies WHERE is_hypothetical", "--format", "csv"],
    ]
    return folder, session(folder / "home", *((words, {}) for words in lines))


def test_a_study_is_run_once_and_shown(typed: tuple[Path, list[Command]]) -> None:
    (
        folder,
        (
            before,
            first,
            again,
            listed,
            shown,
            compared,
            verified,
            exported,
            wrong,
            absent,
            drawn,
            unread,
            shown_of,
            adopted,
            changes,
            unwritten,
            counted,
        ),
    ) = typed
    study_id = parse_study((folder / "bands.toml").read_bytes(), source="").study_id
    assert (before.code, json.loads(before.out)) == (0, [])
    assert first.code == 0, first.err
    assert first.out.startswith(study_id)
    assert "lab-paths-0" in first.err
    assert json.loads(again.out) == {"study_id": study_id, "path_count": 20, "policy_count": 9}
    assert "lab-paths-" not in again.err
    assert [row["is_done"] for row in json.loads(listed.out)] == [True]
    assert all(word in shown.out for word in (BAND, "not distinguishable", "±"))
    assert "Hypothetical: no account has had these results." in shown.err
    rows = json.loads(compared.out)
    assert {row["policy_id"] for row in rows} == {BAND, "absolute_band=0.05,look=annual"}
    assert all(row["standard_error"] is not None for row in rows if row["verdict"] == "better")
    assert json.loads(verified.out)["is_same"]
    assert exported.out.splitlines()[0] == str(folder / "out" / "study.html")
    assert pl.read_parquet(folder / "out" / "lab_policies.parquet").height == 9
    assert (wrong.code, absent.code) == (2, 2)
    assert "is_harvesting needs something to buy in place of what is sold" in wrong.err
    assert "no study called another" in absent.err
    found = json.loads(drawn.out)
    assert found["is_hypothetical"]
    assert [row["rung"] for row in found["frontier"]] == list(range(1, 11))
    assert found["files"] == [str(folder / name) for name in ("f.svg", "ladder/ladder.csv", "ladder/model_targets.csv")]
    assert (unread.code, shown_of.code) == (2, 0)
    assert (adopted.code, changes.code, unwritten.code) == (2, 0, 2)
    assert "has no published night" in adopted.err
    assert json.loads(changes.out) == []
    assert "there is no change nothing" in unwritten.err
    assert "--expected is stocks=6 %; needed a class and a number from -1 to 10" in unread.err
    assert "frontier-10" in shown_of.out
    assert "Hypothetical: expected returns are those of the past" in shown_of.err
    assert counted.code == 0, counted.err
    assert counted.out == "n\n9\n"

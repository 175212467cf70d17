"""The golden nights are a function of their files: whatever the surroundings of the process, the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.golden.night import HERE, golden_nights
from tests.golden.test_golden_night import EXPECTED, differences_of, read

pytestmark = pytest.mark.system

SURROUNDINGS: Final = {
    "TZ": "Pacific/Kiritimati",  # where it is tomorrow already
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONHASHSEED": "4242",
    "POLARS_MAX_THREADS": "4",
    "NUMBA_NUM_THREADS": "1",
}


def test_the_golden_nights_are_the_same_in_other_surroundings(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.golden.test_same_anywhere", str(tmp_path / "home"), str(tmp_path / "files.json")],
        env=environment | SURROUNDINGS,
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "files.json").read_text(encoding="utf-8"))
    assert list(differences_of(read(EXPECTED), found)) == []


if __name__ == "__main__":
    files = golden_nights(Path(sys.argv[1])).files
    Path(sys.argv[2]).write_text(json.dumps(dict(files)), encoding="utf-8")

"""The tutorial done as it says: its files written, its commands run, what they answer compared with what it shows."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from flows.commands.cli import main
from tests.support.pages import DOCS, fences

PAGE: Final = DOCS / "tutorial" / "first-night.md"


def answer_to(line: str, before: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a line of a terminal answers; ``ID`` stands for the proposal that was shown before."""
    if not line.startswith("trimtab "):
        return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    proposal = re.search(r"\b[0-9a-f]{20}\b", before)
    words = [proposal[0] if word == "ID" and proposal else word for word in shlex.split(line)[1:]]
    paths = [str(path) for word in words if word.endswith("/*") for path in sorted(Path().glob(word))]
    with pytest.raises(SystemExit):
        main([word for word in words if not word.endswith("/*")] + paths)
    return "".join(capsys.readouterr())


def seen(shown: str, answered: str) -> list[str]:
    """Lines that a page shows and that were not answered in that order; ``…`` stands for anything, spaces for any spaces."""
    rest, missing = re.sub(r"[ \t]+", " ", answered), []
    for line in shown.splitlines():
        pattern = ".*".join(re.escape(part) for part in re.sub(r"\s+", " ", line.strip()).split("…"))
        found = re.search(pattern, rest)
        if found is None:
            missing.append(line)
        else:
            rest = rest[found.end() :]
    return missing


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api")
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1
def test_the_tutorial_ends_with_the_trade_files_that_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRIMTAB_HOME", raising=False)
    answered, listed = "", ""
    for fence in fences(PAGE):
        if fence.language == "csv":
            Path(fence.above.strip("`")).write_text(fence.text)
        elif fence.language == "sh":
            answered = "".join(answer_to(line, listed, capsys) for line in fence.text.splitlines())
            listed = answered if "review list" in fence.text else listed
        else:
            assert seen(fence.text, answered) == [], answered
    assert len(list(Path("var/exports/2025-06-12").glob("*/accounts/*.csv"))) == 2

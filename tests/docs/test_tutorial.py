"""The tutorial done as it says: its files written, its commands run, what they answer compared with what it shows."""

from pathlib import Path
from typing import Final

import pytest

from tests.support.pages import DOCS, answer_to, fences, seen

PAGE: Final = DOCS / "tutorial" / "first-night.md"


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

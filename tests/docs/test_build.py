"""The pages are built without a warning, and whoever reads them asks no other host for anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import DOCS, ROOT

LOADED = re.compile(
    r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"|url\(([^)]+)\)|@import\s+\S+"
)


@pytest.mark.slow
def test_the_pages_are_built_without_a_warning_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    texts = [path.read_text() for ending in ("html", "css") for path in tmp_path.rglob(f"*.{ending}")]
    loaded = {found.strip("'\"") for text in texts for pair in LOADED.findall(text) for found in pair if found}
    assert loaded
    assert [address for address in loaded if re.match(r"(https?:)?//", address)] == []

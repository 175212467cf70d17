"""What a command loads: the contract's library and Prefect take seconds, and who only reads pays for neither."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
READS: Final = """
import sys
import flows.commands.{command}
from schemas.settings import Settings
from warehouse.lake import open_lake

assert open_lake(Settings(home={home!r})).read_account("orders", "none", "a1").is_empty()
loaded = sorted({{name.split(".")[0] for name in sys.modules}} & {{"pandera", "prefect"}})
assert loaded == [], loaded
"""


@pytest.mark.parametrize("command", ["review", "explain", "accounts.account", "orders", "audit", "status"])
def test_what_only_reads_loads_neither_the_contract_nor_prefect(command: str, tmp_path: Path) -> None:
    code = READS.format(command=command, home=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

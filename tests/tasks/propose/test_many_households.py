"""What is asked of every household of a book takes memory as its accounts do, and not as accounts times households."""

import json
import subprocess
import sys
from typing import Final

import polars as pl
import pytest

from tasks.propose.model_changes import of_whole_households

MOST_MIB: Final = 500
PEAKS: Final = """
import json, resource, sys
from dataclasses import replace
import polars as pl
from tasks.core.drift.drift import account_drift, drift_by_class, household_drift
from tasks.core.facts.facts import account_parameters, priced_securities, valued_lots
from tasks.propose.model_changes import of_whole_households
from tests.support.facts_table import facts_of

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

number = int(sys.argv[1])
names = pl.DataFrame({"account_id": [f"A{n:06d}" for n in range(number)], "household_id": [f"H{n // 3}" for n in range(number)]})
world = facts_of(households="household_id\\nH0")
accounts = account_parameters(world).drop("account_id", "household_id", "managed_household_id").join(names, how="cross")
accounts = accounts.with_columns(managed_household_id="household_id")
drift = accounts.select("account_id", asset_class=pl.lit("stocks"), nav_usd=pl.lit(1), drift=pl.lit(0.0), is_out_of_band=pl.lit(False))
joint = pl.DataFrame({"household_id": [], "asset_class": [], "is_out_of_band": []}, {"household_id": pl.String, "asset_class": pl.String, "is_out_of_band": pl.Boolean})
own = names.select("account_id")
before = peak()
found = account_drift(drift, accounts, joint, due=(), changed_models=own, harvestable=own)
assert found.filter(triggers="model_change|harvest").height == number
after_drift = peak()
assert of_whole_households(names, own).height == number
print(json.dumps([after_drift - before, peak() - after_drift]))
"""


def test_memory_grows_with_accounts_and_not_with_accounts_times_households() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAKS, "20000"], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert max(json.loads(done.stdout)) < MOST_MIB, done.stdout


@pytest.mark.parametrize(
    ("passed", "expected"), [(["a", "b", "c"], ["a", "b", "c"]), (["a", "c"], ["c"]), (["b"], []), ([], [])]
)
def test_a_household_is_whole_where_all_its_accounts_passed(passed: list[str], expected: list[str]) -> None:
    landed = pl.DataFrame({"account_id": ["a", "b", "c"], "household_id": ["h", "h", "i"]})
    found = of_whole_households(landed, pl.DataFrame({"account_id": passed}, {"account_id": pl.String}))
    assert found.equals(landed.filter(pl.col("account_id").is_in(expected)))

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.facts.target_hashes import model_hashes
from tasks.propose.measure import changed_models, measure_frames
from tests.support.facts_table import AS_OF, facts_of

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1
SECURITIES = "security_id | asset_class\n S | stocks\n T | stocks\n B | bonds"
BUYS = "asset_class | security_id | rank\n stocks | S | 1\n stocks | T | 2\n bonds | B | 1"
LOTS = "account_id | security_id | quantity | unit_cost_usd\n a | S | 60 | 150\n a | B | 40 | 100"
NIGHT = RunRef("night", AS_OF, RunKind.NIGHTLY, 1)


def tables_of(facts: Facts, run: RunRef = NIGHT) -> dict[str, pl.DataFrame]:
    return measure_frames(facts, run, Settings())


def world(policy: dict[str, Any] | None = None, **drawn: str) -> Facts:
    return facts_of(policy, **{"securities": SECURITIES, "buy_list": BUYS, "lots": LOTS, **drawn})


def exported_under(facts: Facts) -> pl.DataFrame:
    """Last exports that left account ``a`` with the model ``m`` as it stands."""
    hashes = model_hashes(facts.model_targets).filter(pl.col("model_id") == "m")
    return hashes.select(account_id=pl.lit("a"), exported_date=pl.lit(AS_OF), model_hash="model_hash")


def changed(facts: Facts) -> list[str]:
    then = replace(facts, last_exports=exported_under(facts))
    return changed_models(then, account_parameters(then))["account_id"].to_list()


def test_the_tables_have_the_columns_of_the_lake() -> None:
    found = tables_of(world())
    assert {name: frame.schema for name, frame in found.items()} == {
        name: pl.Schema(PUBLIC[name]) for name in ("drift", "account_drift", "household_drift")
    }


@pytest.mark.parametrize(("is_harvesting", "triggers"), [(True, "harvest"), (False, "")])
def test_lots_worth_harvesting_trigger_where_the_policy_harvests(triggers: str, *, is_harvesting: bool) -> None:
    assert tables_of(world({"is_harvesting": is_harvesting}))["account_drift"]["triggers"].to_list() == [triggers]


def test_a_night_that_somebody_asked_for_says_so() -> None:
    asked = RunRef("night", AS_OF, RunKind.MANUAL, 1)
    assert tables_of(world(), asked)["account_drift"]["triggers"].to_list() == ["manual"]


def test_a_model_changes_with_the_household_that_an_account_joins() -> None:
    accounts = "account_id | household_id\n a | h"
    targets = """
        model_id | asset_class | target_weight
        m        | stocks      | 0.6
        m        | bonds       | 0.4
        m        | cash        | 0
        n        | stocks      | 0.5
        n        | bonds       | 0.5
        n        | cash        | 0
    """
    apart = world(accounts=accounts, model_targets=targets)
    joint = world(accounts=accounts, model_targets=targets, households="household_id | model_id\n h | n")
    assert changed(apart) == []
    assert changed(joint) == ["a"]

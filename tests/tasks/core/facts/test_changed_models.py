"""Accounts and households in the models that people approved."""

import polars as pl

from tasks.core.facts import in_changed_models

ACCOUNTS = pl.DataFrame(
    {"account_id": ["A1", "A2", None, "H1"], "model_id": ["old", "old", "old", "old"], "row_number": [1, 2, 3, 4]}
)
HOUSEHOLDS = pl.DataFrame({"household_id": ["H1", "A1"], "model_id": ["old", None]})
CASH = pl.DataFrame({"account_id": ["A1"]})


def changes(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    names = ["subject_kind", "subject_id", "from_model_id", "to_model_id"]
    return pl.DataFrame(list(rows), schema=dict.fromkeys(names, pl.String), orient="row")


def test_what_is_meant_changes_and_nothing_else() -> None:
    tables = {"accounts": ACCOUNTS, "households": HOUSEHOLDS, "cash": CASH}
    found = in_changed_models(tables, changes(("account", "A1", "old", "new"), ("household", "H1", "old", "other")))
    assert found["accounts"]["model_id"].to_list() == ["new", "old", "old", "old"]
    assert found["accounts"].drop("model_id").equals(ACCOUNTS.drop("model_id"))
    assert found["households"]["model_id"].to_list() == ["other", None]
    assert found["cash"].equals(CASH)


def test_a_source_that_says_another_model_is_left_alone() -> None:
    found = in_changed_models({"accounts": ACCOUNTS}, changes(("account", "A1", "older", "new")))
    assert found["accounts"].equals(ACCOUNTS)
    assert in_changed_models({"cash": CASH}, changes(("account", "A1", "old", "new"))) == {"cash": CASH}
    assert in_changed_models({"accounts": ACCOUNTS}, changes())["accounts"].equals(ACCOUNTS)

"""Nights of accounts one after another, in memory: facts drawn as tables in, rows of the record out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import polars as pl

from schemas.tables import USD
from tasks.core.facts.facts import Facts
from tasks.core.performance import Before, Night, NightTerms, first_rows, next_rows, night_of
from tests.support.facts_table import facts_of

NOBODY = pl.DataFrame(schema={"account_id": pl.String, "due_usd": USD})


def facts_on(day: date, drawn: Mapping[str, str | None]) -> Facts:
    """Facts of a day; ``drawn`` as of ``facts_of``."""
    tables = {name: text for name, text in drawn.items() if text is not None}
    return replace(facts_of(**tables), as_of=day, trade_date=day)


def night_on(facts: Facts) -> Night:
    nav = facts.accounts.select("account_id", nav_usd=pl.lit(0, USD))
    return night_of(facts, nav)


def before_of(
    tables: Mapping[str, pl.DataFrame],
    then: Night,
    flows: pl.DataFrame,
    *,
    sessions: int = 1,
    due: pl.DataFrame = NOBODY,
) -> Before:
    """The night before, held as it was."""
    return Before(
        rows=tables["performance"].join(tables["performance_state"], on=["account_id", "night_date"]),
        classes=tables["attribution"],
        holdings=then.holdings.select("account_id", "security_id", "quantity", unit_then_usd="unit_usd"),
        due=due,
        prices=then.prices.drop("asset_class"),
        flows=flows,
        sessions=sessions,
    )


def recorded(
    nights: Sequence[Facts],
    *,
    reported: pl.DataFrame | None = None,
    sessions: int = 1,
    risk_free_rate: float = 0.0,
) -> list[dict[str, pl.DataFrame]]:
    """The tables of each night; ``reported``: flows of all of them."""
    found: list[dict[str, pl.DataFrame]] = []
    flows = pl.DataFrame(schema={"account_id": pl.String, "flow_date": pl.Date, "flow_usd": pl.Float64})
    then: Night | None = None
    for number, facts in enumerate(nights):
        night = night_on(facts)
        if then is None:
            found.append(first_rows(night, "run-0"))
        else:
            before = before_of(found[-1], then, flows, sessions=sessions)
            found.append(next_rows(before, night, NightTerms(f"run-{number}", reported, risk_free_rate)))
        flows = pl.concat([flows, found[-1]["performance_flows"].drop("night_date")])
        then = night
    return found

"""Tables of common rows that need not come: the gate judges as if they had come empty."""

from collections.abc import Mapping
from dataclasses import fields

import polars as pl
import pytest

from schemas.landing import OPTIONAL_TABLES
from tasks.core.gate import Gated, gate_globals
from tests.support.landing_book import AS_OF, GLOBAL_TABLES, parsed, spoilt

OPTIONAL = sorted(OPTIONAL_TABLES & {*GLOBAL_TABLES})


def judged(book: Mapping[str, pl.DataFrame]) -> Gated:
    return gate_globals(parsed({name: rows for name, rows in book.items() if name in GLOBAL_TABLES}), {}, AS_OF)


def frames(common: Gated) -> dict[str, list[dict[str, object]] | list[object]]:
    found = {each.name: getattr(common, each.name) for each in fields(common)}
    return {name: one.to_dicts() if isinstance(one, pl.DataFrame) else one.to_list() for name, one in found.items()}


@pytest.mark.parametrize("absent", [OPTIONAL, *([name] for name in OPTIONAL)], ids="-".join)
@pytest.mark.parametrize("asset_class", ["stocks", "Stocks", "gold"])
def test_a_table_that_did_not_come_is_as_one_without_rows(absent: list[str], asset_class: str) -> None:
    book = spoilt("securities", 1, asset_class=asset_class)
    without = judged({name: rows for name, rows in book.items() if name not in absent})
    assert frames(without) == frames(judged(book | {name: book[name].clear() for name in absent}))


def test_without_a_buy_list_a_class_that_is_spelled_otherwise_still_loses_its_security() -> None:
    book = spoilt("securities", 1, asset_class="Stocks")
    del book["buy_list"]
    common = judged(book)
    assert common.quarantine.filter(table_name="securities")["broken_rules"].to_list() == ["asset_class_spelled_alike"]
    assert "STK" not in common.securities

from collections.abc import Callable

import polars as pl
import pytest

from schemas.tables import PUBLIC
from tasks.core.propose.conservation import cash_gaps, outcome_gaps, oversold, relief_gaps

LOTS = pl.DataFrame(
    [("a", "S", "1", 10), ("a", "S", "2", 5)], schema=["account_id", "security_id", "lot_id", "quantity"], orient="row"
)
ORDERS = pl.DataFrame(
    [
        ("o1", "p1", "sell", 12, 1200, 2),
        ("o2", "p1", "buy", 4, 900, 1),
        ("o3", "p2", "buy", 1, 100, 0),
    ],
    schema=["order_id", "proposal_id", "side", "quantity", "value_usd", "est_cost_usd"],
    orient="row",
)
RELIEF = pl.DataFrame(
    [("o1", "a", "S", "1", 10), ("o1", "a", "S", "2", 2)],
    schema=["order_id", "account_id", "security_id", "lot_id", "quantity"],
    orient="row",
)
PROPOSALS = pl.DataFrame(
    [("p1", 50, 347, 347.0, 0), ("p2", 100, 0, 0.0, 0)],
    schema=["proposal_id", "cash_before_usd", "cash_after_usd", "cash_after", "cash_floor_usd"],
    orient="row",
)
OUTCOMES = pl.DataFrame({"account_id": ["a", "b"], "outcome": ["proposed", "in_band"]})
PULLED = pl.Series("account_id", ["a", "b"])


def exact(frame: pl.DataFrame) -> pl.DataFrame:
    """Money and shares as the night has them."""
    types = {name: dtype for columns in PUBLIC.values() for name, dtype in columns.items() if dtype.is_decimal()}
    return frame.cast({name: types[name] for name in frame.columns if name in types})


def changed(frame: pl.DataFrame, row: int, **cells: object) -> pl.DataFrame:
    rows = frame.to_dicts()
    rows[row] |= cells
    return pl.DataFrame(rows, schema=frame.schema)


def test_what_adds_up_has_no_offenders() -> None:
    assert outcome_gaps(PULLED, OUTCOMES).is_empty()
    assert relief_gaps(exact(ORDERS), exact(RELIEF)).is_empty()
    assert oversold(exact(RELIEF), exact(LOTS)).is_empty()
    assert cash_gaps(exact(PROPOSALS), exact(ORDERS)).is_empty()


def test_nothing_adds_up_to_nothing() -> None:
    assert outcome_gaps(PULLED.clear(), OUTCOMES.clear()).is_empty()
    assert relief_gaps(ORDERS.clear(), RELIEF.clear()).is_empty()
    assert oversold(RELIEF.clear(), LOTS).is_empty()
    assert cash_gaps(PROPOSALS.clear(), ORDERS.clear()).is_empty()


@pytest.mark.parametrize(
    ("outcomes", "offender"),
    [
        (OUTCOMES.head(1), ("b", None)),
        (pl.concat([OUTCOMES, OUTCOMES.head(1)]), ("a", 2)),
        (pl.concat([OUTCOMES, pl.DataFrame({"account_id": ["ghost"], "outcome": ["error"]})]), ("ghost", 1)),
        (pl.concat([OUTCOMES, pl.DataFrame({"account_id": [None], "outcome": ["error"]})]), (None, 1)),
    ],
)
def test_an_account_missing_twice_there_or_never_pulled_is_named(
    outcomes: pl.DataFrame, offender: tuple[str, int]
) -> None:
    assert outcome_gaps(PULLED, outcomes).rows() == [offender]


def test_an_account_pulled_twice_needs_one_outcome() -> None:
    assert outcome_gaps(pl.Series(["a", "a", "b"]), OUTCOMES).is_empty()


@pytest.mark.parametrize(
    ("orders", "relief", "offender"),
    [
        (changed(ORDERS, 0, quantity=13), RELIEF, "o1"),
        (ORDERS, changed(RELIEF, 1, quantity=3), "o1"),
        (ORDERS, changed(RELIEF, 1, quantity=None), "o1"),
        (changed(ORDERS, 0, quantity=10), changed(RELIEF, 1, quantity=None), "o1"),
        (changed(ORDERS, 0, quantity=None), RELIEF, "o1"),
        (ORDERS, RELIEF.clear(), "o1"),
        (ORDERS.tail(2), RELIEF, "o1"),
        (ORDERS, pl.concat([RELIEF, changed(RELIEF, 0, order_id="o2").head(1)]), "o2"),
    ],
)
def test_a_sale_whose_lots_do_not_sum_to_it_is_named(orders: pl.DataFrame, relief: pl.DataFrame, offender: str) -> None:
    assert relief_gaps(exact(orders), exact(relief))["order_id"].to_list() == [offender]


@pytest.mark.parametrize(
    "relief",
    [
        changed(RELIEF, 0, quantity=11),
        changed(RELIEF, 0, quantity=None),
        pl.concat([RELIEF, changed(RELIEF, 0, order_id="o9", quantity=1).head(1)]),
    ],
)
def test_a_lot_of_which_more_is_sold_than_held_is_named(relief: pl.DataFrame) -> None:
    assert oversold(exact(relief), exact(LOTS)).select("account_id", "security_id", "lot_id").rows() == [
        ("a", "S", "1")
    ]


def test_a_lot_that_nobody_holds_is_oversold() -> None:
    assert oversold(exact(changed(RELIEF, 1, lot_id="3")), exact(LOTS))["lot_id"].to_list() == ["3"]
    assert oversold(exact(RELIEF), exact(changed(LOTS, 1, account_id="b")))["lot_id"].to_list() == ["2"]
    assert oversold(exact(RELIEF), exact(changed(LOTS, 1, quantity=None)))["lot_id"].to_list() == ["2"]


def test_selling_all_that_is_held_is_not_too_much() -> None:
    assert oversold(exact(changed(RELIEF, 1, quantity=5)), exact(LOTS)).is_empty()


@pytest.mark.parametrize(
    ("spoil", "offender"),
    [
        (lambda p, o: (changed(p, 0, cash_before_usd=51), o), "p1"),
        (lambda p, o: (changed(p, 0, cash_before_usd=None), o), "p1"),
        (lambda p, o: (changed(p, 0, cash_after_usd=None), o), "p1"),
        (lambda p, o: (changed(p, 0, cash_after=347.02), o), "p1"),
        (lambda p, o: (changed(p, 0, cash_after=None), o), "p1"),
        (lambda p, o: (changed(p, 1, cash_before_usd=99, cash_after_usd=-1, cash_after=-1.0), o), "p2"),
        (lambda p, o: (p, changed(o, 1, value_usd=901)), "p1"),
        (lambda p, o: (p, changed(o, 1, est_cost_usd=None)), "p1"),
        (lambda p, o: (p, o.head(2)), "p2"),
        (lambda p, o: (p.head(1), o), "p2"),
    ],
)
def test_a_proposal_whose_cash_does_not_follow_from_its_orders_is_named(
    spoil: Callable[[pl.DataFrame, pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]], offender: str
) -> None:
    proposals, orders = spoil(PROPOSALS, ORDERS)
    assert cash_gaps(exact(proposals), exact(orders))["proposal_id"].to_list() == [offender]


def test_an_order_without_a_value_breaks_its_proposal_even_where_the_rest_adds_up() -> None:
    orders = pl.concat([ORDERS, changed(ORDERS, 2, order_id="o4", value_usd=None).tail(1)])
    assert cash_gaps(exact(PROPOSALS), exact(orders))["proposal_id"].to_list() == ["p2"]


def test_the_solvers_cash_may_differ_by_a_cent() -> None:
    proposals = changed(PROPOSALS, 0, cash_after=347.009)
    assert cash_gaps(exact(proposals), exact(ORDERS)).is_empty()
    assert cash_gaps(exact(proposals), exact(ORDERS), tolerance_usd=0.001)["proposal_id"].to_list() == ["p1"]

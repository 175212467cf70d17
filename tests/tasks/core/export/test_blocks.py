from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConservationBroken
from tasks.core.export.blocks import allocate, allocation_gaps, block_orders

ORDERS = {
    "order_id": pl.String,
    "account_id": pl.String,
    "custodian": pl.String,
    "side": pl.String,
    "symbol": pl.String,
    "security_id": pl.String,
    "quantity": pl.Decimal(18, 6),
    "value_usd": pl.Decimal(38, 2),
}

amounts = st.integers(1, 10**9)
keys = st.tuples(
    st.sampled_from(["a1", "a2", "a3", "a4"]), st.sampled_from(["s1", "s2"]), st.sampled_from(["buy", "sell"])
)


def orders_of(*rows: tuple[str, str, str, str, int, int]) -> pl.DataFrame:
    """Rows of account, custodian, side, security, millionths of a share, cents."""
    return pl.DataFrame(
        [
            (
                f"{account}-{security}-{side}",
                account,
                custodian,
                side,
                security.upper(),
                security,
                Decimal(millionths).scaleb(-6),
                Decimal(cents).scaleb(-2),
            )
            for account, custodian, side, security, millionths, cents in rows
        ],
        schema=ORDERS,
        orient="row",
    )


@st.composite
def books(draw: st.DrawFn) -> pl.DataFrame:
    drawn = draw(st.dictionaries(keys, st.tuples(amounts, amounts), min_size=1))
    custodian = {account: draw(st.sampled_from(["x", "y"])) for account in ("a1", "a2", "a3", "a4")}
    return orders_of(
        *((account, custodian[account], side, security, *pair) for (account, security, side), pair in drawn.items())
    )


def test_orders_of_one_custodian_security_and_side_make_one_block() -> None:
    blocks = block_orders(
        orders_of(
            ("a1", "x", "buy", "s1", 1_500_000, 150),
            ("a2", "x", "buy", "s1", 2_000_000, 200),
            ("a3", "y", "buy", "s1", 4_000_000, 400),
            ("a3", "y", "sell", "s2", 1_000_000, 50),
        ),
        run_id="run",
        sequence=1,
    )
    shown = blocks.select("custodian", "side", "symbol", "quantity", "value_usd", "account_count", "order_count").rows()
    assert shown == [
        ("x", "buy", "S1", Decimal("3.500000"), Decimal("3.50"), 2, 2),
        ("y", "sell", "S2", Decimal("1.000000"), Decimal("0.50"), 1, 1),
        ("y", "buy", "S1", Decimal("4.000000"), Decimal("4.00"), 1, 1),
    ]


def test_block_ids_are_the_same_every_time_and_differ_between_exports() -> None:
    orders = orders_of(("a1", "x", "buy", "s1", 1, 1), ("a1", "x", "sell", "s2", 1, 1))
    ids = {
        name: block_orders(orders, run_id=run, sequence=sequence)["block_id"].to_list()
        for name, run, sequence in (("first", "run", 1), ("again", "run", 1), ("second", "run", 2), ("other", "nur", 1))
    }
    assert ids["first"] == ids["again"]
    assert len({*ids["first"], *ids["second"], *ids["other"]}) == 6


@given(books(), st.integers(0, 2**31))
def test_allocations_are_the_orders_and_sum_to_the_blocks(orders: pl.DataFrame, seed: int) -> None:
    blocks = block_orders(orders, run_id="run", sequence=1)
    allocations = allocate(orders, blocks)
    assert sorted(allocations["order_id"]) == sorted(orders["order_id"])
    for block in blocks.iter_rows(named=True):
        parts = allocations.filter(pl.col("block_id") == block["block_id"])
        assert sum(parts["quantity"].to_list()) == block["quantity"]
        assert sum(parts["value_usd"].to_list()) == block["value_usd"]
        assert parts.height == block["order_count"]
    shuffled = orders.sample(fraction=1, shuffle=True, seed=seed)
    assert block_orders(shuffled, run_id="run", sequence=1).equals(blocks)
    assert allocate(shuffled, blocks).equals(allocations)


def test_a_block_that_differs_from_its_orders_is_refused() -> None:
    orders = orders_of(("a1", "x", "buy", "s1", 2_000_000, 150), ("a2", "x", "buy", "s1", 1_000_000, 150))
    blocks = block_orders(orders, run_id="run", sequence=1)
    with pytest.raises(ConservationBroken, match=r"sum to 2\.0+, the block.s quantity is 3\.0+"):
        allocate(orders.head(1), blocks)


def test_missing_allocations_blocks_and_values_are_gaps() -> None:
    orders = orders_of(("a1", "x", "buy", "s1", 1, 150), ("a1", "x", "buy", "s2", 1, 150))
    blocks = block_orders(orders, run_id="run", sequence=1)
    allocations = allocate(orders, blocks)
    assert allocation_gaps(blocks, allocations).is_empty()
    assert allocation_gaps(blocks, allocations.head(1)).height == 1
    assert allocation_gaps(blocks.head(1), allocations).height == 1
    less = allocations.with_columns(pl.col("value_usd") - Decimal("0.01"))
    assert allocation_gaps(blocks, less).height == 2

import random
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from schemas.errors import ConservationBroken
from schemas.tables import PUBLIC
from tasks.core.export.content import content_hashes
from tasks.core.export.package import Export, ExportPackage, ProposedTables, make_release

EXPORT = Export("run", date(2026, 3, 2), 1, "run-export-1")


def table(name: str, *rows: dict[str, object]) -> pl.DataFrame:
    """Rows of a public table; what is not given is null."""
    schema = PUBLIC[name]
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema=schema)


def order(
    name: str, side: str, symbol: str, quantity: int, *, proposal: str = "p1", **other: object
) -> dict[str, object]:
    basic = {
        "order_id": name,
        "proposal_id": proposal,
        "account_id": proposal.replace("p", "a"),
        "side": side,
        "symbol": symbol,
        "security_id": symbol.lower(),
        "quantity": Decimal(quantity),
        "price_usd": Decimal(10),
        "value_usd": Decimal(10 * quantity),
    }
    return basic | other


ORDERS = (
    order("o1", "buy", "AAA", 5),
    order("o2", "sell", "ZZZ", 7, value_usd=Decimal("70.005")),
    order("o3", "sell", "BBB", 1),
    order("o4", "buy", "AAA", 2, proposal="p2"),
)
RELIEF = (
    {"order_id": "o2", "lot_id": "l2", "quantity": Decimal(3)},
    {"order_id": "o2", "lot_id": "l1", "quantity": Decimal(4)},
    {"order_id": "o3", "lot_id": "l1", "quantity": Decimal(1)},
    {"order_id": "elsewhere", "lot_id": "l1", "quantity": Decimal(1)},
)
ACCOUNTS = pl.DataFrame(
    {
        "account_id": ["a1", "a2", "a3"],
        "custodian": ["x", "y", "y"],
        "tax_status": "taxable",
        "household_id": ["h1", None, None],
    },
    schema_overrides={"household_id": pl.String},
)
SECURITIES = pl.DataFrame(
    {
        "security_id": ["aaa", "bbb", "zzz"],
        "symbol": ["AAA", "BBB", "ZZZ"],
        **{name: pl.Series([None] * 3, dtype=pl.String) for name in ("exchange", "cusip", "isin")},
        "security_type": ["etf", "mutual_fund", None],
        "name": ["Fund A", "Fund B", "Z"],
        "quantity_step": [Decimal(1), Decimal("0.001"), Decimal(1)],
    }
)
HASHES = content_hashes(table("orders", *ORDERS))["content_hash"].to_list()
APPROVED = pl.DataFrame({"proposal_id": ["p1", "p2"], "content_hash": HASHES, "order_count": [3, 1]})


def release(
    orders: tuple[dict[str, object], ...] = ORDERS,
    relief: tuple[dict[str, object], ...] = RELIEF,
    accounts: pl.DataFrame = ACCOUNTS,
    approved: pl.DataFrame | None = None,
    claimed: tuple[str, ...] = ("o1", "o2", "o3", "o4"),
) -> ExportPackage:
    given = table("orders", *orders)
    hashed = APPROVED.update(content_hashes(given), on="proposal_id")
    approved = hashed if approved is None else approved
    said = hashed.select("proposal_id", "content_hash").to_dicts()
    lake = (table("proposals", *said), given, table("lot_relief", *relief))
    book = ProposedTables(*lake, accounts, SECURITIES)
    of = {"o4": "p2"}
    pairs = pl.DataFrame({"order_id": list(claimed), "proposal_id": [of.get(name, "p1") for name in claimed]})
    return make_release(EXPORT, book, approved=approved, claimed=pairs)


def test_orders_leave_by_account_sells_first_then_by_symbol_in_whole_cents() -> None:
    leaving = release().orders.select("order_id", "custodian", "value_usd").rows()
    assert leaving == [
        ("o3", "x", Decimal("10.00")),
        ("o2", "x", Decimal("70.00")),
        ("o1", "x", Decimal("50.00")),
        ("o4", "y", Decimal("20.00")),
    ]


def test_orders_leave_with_what_is_known_of_their_account_and_security() -> None:
    columns = ("order_id", "tax_status", "household_id", "security_type", "security_name", "quantity_step")
    assert release().orders.select(columns).rows()[:2] == [
        ("o3", "taxable", "h1", "mutual_fund", "Fund B", Decimal("0.001")),
        ("o2", "taxable", "h1", None, "Z", Decimal(1)),
    ]


def test_a_part_of_a_release_is_what_leaves_of_some_custodians() -> None:
    whole = release()
    assert whole.of(()) is whole
    part = whole.of(["y"])
    assert part.orders["order_id"].to_list() == ["o4"]
    assert part.lots.is_empty()
    assert part.blocks["custodian"].to_list() == ["y"]
    assert whole.of(["x"]).lots["order_id"].to_list() == ["o3", "o2", "o2"]


def test_lots_follow_their_orders() -> None:
    assert release().lots.select("order_id", "symbol", "lot_id").rows() == [
        ("o3", "BBB", "l1"),
        ("o2", "ZZZ", "l1"),
        ("o2", "ZZZ", "l2"),
    ]


def test_proposals_that_were_not_approved_stay() -> None:
    only = release(approved=APPROVED.head(1), claimed=("o1", "o2", "o3"))
    assert only.orders["account_id"].unique().to_list() == ["a1"]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_input_changes_nothing(seed: int) -> None:
    orders, relief = (random.Random(seed).sample(rows, len(rows)) for rows in (ORDERS, RELIEF))  # noqa: S311
    shuffled = release(tuple(orders), tuple(relief), ACCOUNTS.reverse(), APPROVED.reverse(), ("o4", "o2", "o1", "o3"))
    straight = release()
    assert shuffled.orders.equals(straight.orders)
    assert shuffled.lots.equals(straight.lots)
    assert shuffled.blocks.equals(straight.blocks)


def test_the_first_export_takes_the_name_of_its_run_and_later_ones_count() -> None:
    assert EXPORT.folder_name == "run"
    assert EXPORT._replace(sequence=12).folder_name == "run.12"


def test_a_claimed_order_that_the_lake_has_not_is_named() -> None:
    with pytest.raises(ConservationBroken, match="order o9 was claimed but the lake has no such order"):
        release(claimed=("o1", "o2", "o3", "o4", "o9"))


def test_an_order_left_out_of_the_claim_is_named() -> None:
    with pytest.raises(ConservationBroken, match=r"order o2 of an approved proposal was not claimed \(and 1 more\)"):
        release(claimed=("o1", "o4"))


def test_an_order_that_stands_twice_is_named() -> None:
    orders = (*ORDERS, ORDERS[3])
    hashes = content_hashes(table("orders", *orders))["content_hash"]
    twice = APPROVED.with_columns(hashes, order_count=pl.Series([3, 2]))
    with pytest.raises(ConservationBroken, match="order o4 stands in the lake twice"):
        release(orders=orders, approved=twice)


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("content_hash", [HASHES[0], "other"], "proposal p2 is not what was approved"),
        ("content_hash", [HASHES[0], None], "proposal p2 is not what was approved"),
        ("proposal_id", ["p1", "p9"], "proposal p9 is not what was approved"),
        ("order_count", [4, 1], "proposal p1 was approved with 4 orders, the lake has 3"),
        ("order_count", [3, None], "proposal p2 was approved with None orders, the lake has 1"),
    ],
)
def test_a_proposal_that_is_not_as_approved_is_named(column: str, values: list[object], sentence: str) -> None:
    with pytest.raises(ConservationBroken, match=sentence):
        release(approved=APPROVED.with_columns(pl.Series(column, values)))


@pytest.mark.parametrize(
    "changed",
    [
        {"quantity": Decimal(3)},
        {"side": "sell"},
        {"security_id": "bbb"},
        {"account_id": "a1"},
        {"price_usd": Decimal(11)},
        {"amount_usd": Decimal(20)},
    ],
)
def test_an_order_that_was_changed_since_it_was_approved_is_found_whatever_the_lake_says_of_itself(
    changed: dict[str, object],
) -> None:
    lake = tuple(
        table(name, *rows)
        for name, rows in (
            ("proposals", APPROVED.select("proposal_id", "content_hash").to_dicts()),
            ("orders", (*ORDERS[:3], {**ORDERS[3], **changed})),
            ("lot_relief", RELIEF),
        )
    )
    claimed = pl.DataFrame({"order_id": ["o1", "o2", "o3", "o4"], "proposal_id": ["p1", "p1", "p1", "p2"]})
    with pytest.raises(ConservationBroken, match="an order of proposal p2 was changed since it was approved"):
        make_release(EXPORT, ProposedTables(*lake, ACCOUNTS, SECURITIES), approved=APPROVED, claimed=claimed)


def test_an_approved_proposal_without_orders_is_named() -> None:
    with pytest.raises(ConservationBroken, match="proposal p2 was approved with 1 orders, the lake has None"):
        release(orders=ORDERS[:3], claimed=("o1", "o2", "o3"))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"side": "short"}, "order o4 lacks a side"),
        ({"side": None}, "order o4 lacks a side"),
        ({"symbol": None}, "order o4 lacks a symbol"),
        ({"security_id": None}, "order o4 lacks a security"),
        ({"quantity": None}, "order o4 lacks a positive quantity"),
        ({"quantity": Decimal(0)}, "order o4 lacks a positive quantity"),
        ({"price_usd": Decimal(-1)}, "order o4 lacks a positive price"),
        ({"value_usd": None}, "order o4 lacks a value"),
        ({"account_id": "a9"}, "order o4 lacks a custodian"),
    ],
)
def test_an_order_that_cannot_be_written_is_named(changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConservationBroken, match=sentence):
        release(orders=(*ORDERS[:3], {**ORDERS[3], **changed}))


@pytest.mark.parametrize("account_id", ["..", "a/b", "../a", "", "a b", "a\n", "x" * 65, "é", None])
def test_an_account_id_that_is_no_identifier_never_names_a_file(account_id: str | None) -> None:
    accounts = pl.concat([ACCOUNTS, pl.DataFrame({"account_id": [account_id], "custodian": ["x"]})], how="diagonal")
    with pytest.raises(ConservationBroken, match="of order o4 cannot name a file"):
        release(orders=(*ORDERS[:3], {**ORDERS[3], "account_id": account_id}), accounts=accounts)


def test_an_account_whose_rows_name_two_custodians_has_none() -> None:
    accounts = pl.concat([ACCOUNTS, pl.DataFrame({"account_id": ["a2"], "custodian": ["z"]})], how="diagonal")
    with pytest.raises(ConservationBroken, match="order o4 lacks a custodian"):
        release(accounts=accounts)


@pytest.mark.parametrize(
    ("relief", "sentence"),
    [
        (RELIEF[1:], "lots closed by sell order o2 sum to 4.000000, needed 7.000000"),
        (RELIEF[:2], "lots closed by sell order o3 sum to None, needed 1.000000"),
        ((*RELIEF, {**RELIEF[0], "order_id": "o1"}), "lots closed by buy order o1 sum to 3.000000, needed None"),
    ],
)
def test_lots_that_do_not_sum_to_their_order_are_named(relief: tuple[dict[str, object], ...], sentence: str) -> None:
    with pytest.raises(ConservationBroken, match=sentence):
        release(relief=relief)

import json
from collections.abc import Callable, Iterator

import polars as pl
import pytest

from schemas.enums import ProfileFormat
from schemas.errors import ConservationBroken
from schemas.exports import Profile
from tasks.core.export import ibkr_allocation, ibkr_basket
from tasks.core.export.blocks import block_orders
from tasks.core.export.package import ExportPackage
from tests.support.packages import EXPORT, release

BASKET = Profile(name="tws", format=ProfileFormat.IBKR_BASKET)
ALLOCATION = Profile(name="advisor", format=ProfileFormat.IBKR_ALLOCATION)
HEADER = "Action,Quantity,Symbol,SecType,Exchange,Currency,TimeInForce,OrderType,BasketTag,Account,OrderRef"
WHOLE = (
    ("A1", "sell", "S2", "12", "410.25"),
    ("A1", "buy", "S1", "17", "289.5"),
    ("A2", "buy", "S1", "5", "289.5"),
)
EVIL = ("=HYPERLINK(1)", "+1", "-A3", "@x", "\tX", "＝X")  # noqa: RUF001 - a full-width sign starts a formula too
Files = Callable[[ExportPackage, Profile], Iterator[pl.DataFrame]]


def named(made: ExportPackage, **changes: object) -> ExportPackage:
    """With ids of letters and digits, as the program makes them, and columns of all orders set."""
    ids = {"order_id": pl.col("order_id").str.replace_all("-", "")}
    orders = made.orders.with_columns(**ids).with_columns(**{name: pl.lit(value) for name, value in changes.items()})
    blocks = block_orders(orders, run_id=EXPORT.run_id, sequence=EXPORT.sequence)
    return ExportPackage(EXPORT, orders, made.lots.with_columns(**ids), blocks)


def text_of(files: Files, made: ExportPackage, profile: Profile, path: str) -> str:
    (text,) = pl.concat(files(made, profile)).filter(pl.col("path") == path)["content"]
    return str(text)


def reasons(made: ExportPackage) -> dict[str, str]:
    refused = ibkr_basket.refusals(made, BASKET)
    assert refused.equals(ibkr_allocation.refusals(made, ALLOCATION))
    return dict(refused.select("order_id", "reason").iter_rows())


def test_a_basket_has_the_guides_columns_and_a_line_an_order() -> None:
    made = named(release(WHOLE))
    assert text_of(ibkr_basket.files, made, BASKET, "basket.csv").split("\n") == [
        HEADER,
        "SELL,12,BRK B,STK,SMART,USD,DAY,MKT,A1sellS2,A1,A1sellS2",
        "BUY,17,VTI,STK,SMART,USD,DAY,MKT,A1buyS1,A1,A1buyS1",
        "BUY,5,VTI,STK,SMART,USD,DAY,MKT,A2buyS1,A2,A2buyS1",
        "",
    ]
    (files,) = ibkr_basket.files(made, BASKET)
    assert files.select("path", "rows").rows() == [("basket.csv", 3)]


def test_a_group_splits_each_block_by_shares_and_the_basket_names_it() -> None:
    made = named(release(WHOLE))
    sell, buy = made.blocks["block_id"]
    assert text_of(ibkr_allocation.files, made, ALLOCATION, "blocks.csv").split("\n") == [
        "Action,Quantity,Symbol,SecType,Exchange,Currency,TimeInForce,OrderType,BasketTag,Profile,OrderRef",
        f"SELL,12,BRK B,STK,SMART,USD,DAY,MKT,{sell},{sell},{sell}",
        f"BUY,22,VTI,STK,SMART,USD,DAY,MKT,{buy},{buy},{buy}",
        "",
    ]
    groups = text_of(ibkr_allocation.files, made, ALLOCATION, "groups.jsonl")
    assert [json.loads(line) for line in groups.splitlines()] == [
        {"name": sell, "accounts": [{"name": "A1", "amount": 12}], "default_method": "S"},
        {
            "name": buy,
            "accounts": [{"name": "A1", "amount": 17}, {"name": "A2", "amount": 5}],
            "default_method": "S",
        },
    ]
    files = pl.concat(ibkr_allocation.files(made, ALLOCATION))
    assert files.select("path", "rows").rows() == [("blocks.csv", 2), ("groups.jsonl", 3)]


def test_the_shares_of_a_groups_accounts_sum_to_the_quantity_in_the_basket() -> None:
    made = named(release(WHOLE))
    lines = text_of(ibkr_allocation.files, made, ALLOCATION, "blocks.csv").splitlines()[1:]
    ordered = {line.split(",")[9]: int(line.split(",")[1]) for line in lines}
    groups = map(json.loads, text_of(ibkr_allocation.files, made, ALLOCATION, "groups.jsonl").splitlines())
    assert {group["name"]: sum(account["amount"] for account in group["accounts"]) for group in groups} == ordered


def test_a_fund_a_bond_and_an_account_with_a_dash_are_refused_with_a_sentence() -> None:
    assert reasons(named(release())) == {
        "A3sellS2": "the account -A3 is no account number of Interactive Brokers: letters and digits only",
        "A3buyS1": "the account -A3 is no account number of Interactive Brokers: letters and digits only",
        "A2sellS3": "a basket of Interactive Brokers takes exchange-listed shares, VBTLX is of type mutual_fund",
    }
    (first, *_) = reasons(named(release(WHOLE), security_type="bond")).values()
    assert first == "a basket of Interactive Brokers takes exchange-listed shares, BRK.B is of type bond"


def test_a_fraction_of_a_share_is_refused() -> None:
    fraction = named(release((("A1", "buy", "S1", "1.5", "289.5"),)))
    (reason,) = reasons(fraction).values()
    assert reason == "a basket of Interactive Brokers takes whole shares, this order is for 1.5 of VTI"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("BRK.B", "BRK B"), ("BRK/B", "BRK B"), ("BRK-B", "BRK B"), ("BRK B", "BRK B"), ("BF.A", "BF A"), ("VTI", "VTI")],
)
def test_a_share_class_stands_after_a_space(ours: str, theirs: str) -> None:
    made = named(release(WHOLE), symbol=ours)
    assert reasons(made) == {}
    line = text_of(ibkr_basket.files, made, BASKET, "basket.csv").splitlines()[1]
    assert line.split(",")[2] == theirs


@pytest.mark.parametrize("symbol", ["BAC.PRK", "brk.b", "A,B", 'A"B', "A  B", " A", "A ", "", "É", *EVIL])
def test_a_symbol_that_tws_does_not_write_is_refused(symbol: str) -> None:
    assert len(reasons(named(release(WHOLE), symbol=symbol))) == 3


@pytest.mark.parametrize("name", ["account_id", "order_id"])
@pytest.mark.parametrize("text", EVIL)
def test_nothing_that_starts_a_formula_reaches_a_basket(name: str, text: str) -> None:
    made = named(release(WHOLE[:1]), **{name: text})
    assert len(reasons(made)) == 1
    with pytest.raises(ConservationBroken, match="cannot be written: the"):
        list(ibkr_basket.files(made, BASKET))
    with pytest.raises(ConservationBroken, match="cannot be written: the"):
        list(ibkr_allocation.files(made, ALLOCATION))


def test_a_formula_in_an_orders_reason_is_not_written() -> None:
    evil, plain = (named(release(WHOLE), reason=reason) for reason in ("=HYPERLINK(1)", "drift"))
    for files, profile in ((ibkr_basket.files, BASKET), (ibkr_allocation.files, ALLOCATION)):
        assert pl.concat(files(evil, profile)).equals(pl.concat(files(plain, profile)))


def test_the_order_of_the_books_rows_changes_no_byte() -> None:
    one, other = named(release(WHOLE)), named(release(WHOLE[::-1]))
    for files, profile in ((ibkr_basket.files, BASKET), (ibkr_allocation.files, ALLOCATION)):
        assert pl.concat(files(one, profile)).equals(pl.concat(files(other, profile)))


def test_nothing_leaves_nothing() -> None:
    made = named(release(WHOLE))
    empty = ExportPackage(made.export, made.orders.clear(), made.lots.clear(), made.blocks.clear())
    for files, profile in ((ibkr_basket.files, BASKET), (ibkr_allocation.files, ALLOCATION)):
        assert pl.concat(files(empty, profile)).is_empty()

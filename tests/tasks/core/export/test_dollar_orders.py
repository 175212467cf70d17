"""What is ordered in dollars, and CUSIPs and ISINs that go along, in every format."""

import json
from collections.abc import Mapping
from decimal import Decimal

import polars as pl
import pytest

from schemas.enums import ProfileFormat
from schemas.errors import ConservationBroken
from schemas.exports import Profile
from schemas.landing_columns import dtypes
from tasks.core.export import files as export_files
from tasks.core.export.order_formats import FORMATS
from tasks.core.export.package import ExportPackage, instruments
from tests.support.packages import release, rows

BUYS = (("A1", "buy", "S1", "17", "289.5"), ("A1", "sell", "S2", "12", "410.25"))
AMOUNT = Decimal("4921.50")
"""17 at 289.5."""
LABELS = {"cusip": "922908769", "isin": "US9229087690"}
SYMBOL = '{ name = "id", field = "client_order_id" }, { name = "sym", field = "symbol" }'
DOLLARS = "VTI is ordered in dollars; needed a column with the field order_usd, or one with order_amount beside one with order_in"


def made(*, is_plain: bool = True, **columns: object) -> ExportPackage:
    """A buy of 4,921.50 dollars and a sell of shares."""
    whole = release(BUYS, **columns)
    is_buy = pl.col("side") == "buy"
    orders = whole.orders.with_columns(amount_usd=pl.when(is_buy).then("value_usd"))
    names = pl.col("order_id").str.replace_all("-", "") if is_plain else pl.col("order_id")
    return ExportPackage(whole.export, orders.with_columns(names), whole.lots.with_columns(names), whole.blocks)


def profile(kind: ProfileFormat, columns: str = "", **more: object) -> Profile:
    is_fix = "fix" in kind
    parties = {"sender": "A", "target": "B"} if is_fix else {}
    mapping = f'files = "orders.csv"\ncolumns = [{columns}]' if columns else ""
    return Profile.model_validate({"name": "p", "format": kind, "mapping": mapping} | parties | more)


def texts(package: ExportPackage, by: Profile) -> Mapping[str, str]:
    return dict(pl.concat(FORMATS[by.format].files(package, by)).select("path", "content").iter_rows())


def reasons(package: ExportPackage, by: Profile) -> dict[str, str]:
    found = FORMATS[by.format].refusals(package, by)
    return dict(found.select("order_id", "reason").iter_rows())


def fields(message: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in message.split("\x01") if "=" in part)


# --- FIX


@pytest.mark.parametrize("kind", [ProfileFormat.FIX44, ProfileFormat.FIX50SP2])
def test_fix_says_dollars_in_the_place_of_shares(kind: ProfileFormat) -> None:
    sell, buy = map(fields, texts(made(), profile(kind))["A1.fix"].splitlines())
    assert (buy.get("38"), buy["152"], buy["40"]) == (None, "4921.5", "1")
    assert (sell["38"], sell.get("152")) == ("12", None)


@pytest.mark.parametrize("kind", [ProfileFormat.FIX44, ProfileFormat.FIX50SP2])
def test_fix_refuses_a_block_in_dollars_for_its_split_is_in_shares(kind: ProfileFormat) -> None:
    by = profile(kind, grain="blocks")
    assert reasons(made(), by) == {"A1buyS1": "FIX splits a block in shares alone, and VTI is ordered in dollars"}
    with pytest.raises(ConservationBroken, match="ordered in dollars"):
        texts(made(), by)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LABELS, ["55", "48", "22", "454", "455", "456", "167"]),
        ({"cusip": LABELS["cusip"]}, ["55", "48", "22", "167"]),
        ({"isin": LABELS["isin"]}, ["55", "48", "22", "167"]),
        ({}, ["55", "167"]),
    ],
)
@pytest.mark.parametrize("grain", ["accounts", "blocks"])
def test_fix_names_a_security_by_what_is_known(labels: dict[str, str], said: list[str], grain: str) -> None:
    package = release(BUYS[1:], **labels)
    (message,) = texts(package, profile(ProfileFormat.FIX44, grain=grain)).values()
    found = fields(message)
    tags = list(found)
    assert tags[tags.index("55") : tags.index("167") + 1] == said
    named = {"1": "cusip", "4": "isin"}.get(found.get("22", ""))
    assert found.get("48") == labels.get(named or "")
    assert found.get("455") == (labels.get("isin") if len(labels) == 2 else None)


@pytest.mark.parametrize("labels", [LABELS, {"cusip": LABELS["cusip"]}, {"isin": LABELS["isin"]}, {}])
def test_a_label_tells_securities_of_one_symbol_apart(labels: dict[str, str]) -> None:
    package = release(BUYS, shares_symbol=True, **labels)
    assert (reasons(package, profile(ProfileFormat.FIX44)) == {}) is bool(labels)


# --- the others


def test_alpaca_takes_a_notional_in_the_place_of_a_quantity() -> None:
    sell, buy = map(json.loads, texts(made(), profile(ProfileFormat.ALPACA))["A1.jsonl"].splitlines())
    assert list(buy) == ["symbol", "side", "notional", "type", "time_in_force", "client_order_id"]
    assert buy["notional"] == "4921.50"
    assert (sell["qty"], "notional" in sell) == ("12", False)


@pytest.mark.parametrize("kind", [ProfileFormat.IBKR_BASKET, ProfileFormat.IBKR_ALLOCATION])
def test_a_basket_has_no_place_for_dollars(kind: ProfileFormat) -> None:
    assert reasons(made(), profile(kind)) == {
        "A1buyS1": "a basket of Interactive Brokers is in shares, and VTI is ordered in dollars"
    }


def test_json_lines_say_all_of_it() -> None:
    lines = texts(made(**LABELS), profile(ProfileFormat.JSONL))["A1.jsonl"].splitlines()
    sell, buy = (
        {name: json.loads(line)[name] for name in ("order_in", "quantity", "amount_usd", *LABELS)} for line in lines
    )
    assert sell == {"order_in": "shares", "quantity": "12", "amount_usd": None, **LABELS}
    assert buy == {"order_in": "usd", "quantity": "17", "amount_usd": "4921.50", **LABELS}


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (
            '{ name = "usd", field = "order_usd", decimals = 2, is_padded = true }',
            ["A1sellS2,BRK.B,", "A1buyS1,VTI,4921.50"],
        ),
        (
            '{ name = "shares", field = "order_quantity" }, { name = "usd", field = "order_usd" }',
            ["A1sellS2,BRK.B,12,", "A1buyS1,VTI,,4921.5"],
        ),
        (
            '{ name = "amount", field = "order_amount" }, { name = "in", field = "order_in", codes = { shares = "S", usd = "D" } }',
            ["A1sellS2,BRK.B,12,S", "A1buyS1,VTI,4921.5,D"],
        ),
        (
            '{ name = "c", field = "cusip" }, { name = "i", field = "isin" }, { name = "usd", field = "order_usd" }',
            ["A1sellS2,BRK.B,922908769,US9229087690,", "A1buyS1,VTI,922908769,US9229087690,4921.5"],
        ),
    ],
)
def test_a_mapping_has_fields_for_it(columns: str, lines: list[str]) -> None:
    by = profile(ProfileFormat.MAPPED, f"{SYMBOL}, {columns}")
    assert reasons(made(**LABELS), by) == {}
    assert texts(made(**LABELS), by)["orders.csv"].splitlines()[1:] == lines


@pytest.mark.parametrize(
    "columns",
    [
        '{ name = "q", field = "quantity" }',
        '{ name = "q", field = "order_amount" }',
        '{ name = "u", field = "order_in" }',
    ],
)
def test_a_mapping_that_cannot_say_dollars_refuses_them(columns: str) -> None:
    by = profile(ProfileFormat.MAPPED, f"{SYMBOL}, {columns}")
    assert reasons(made(), by) == {"A1buyS1": DOLLARS}
    assert reasons(release(BUYS), by) == {}, "shares pass"


@pytest.mark.parametrize(("field", "can"), [("cusip", True), ("isin", True), ("security_name", False)])
def test_a_mapping_tells_by_the_labels_that_it_writes(field: str, *, can: bool) -> None:
    by = profile(ProfileFormat.MAPPED, f'{SYMBOL}, {{ name = "x", field = "{field}" }}')
    assert (reasons(release(BUYS, shares_symbol=True, **LABELS), by) == {}) is can
    assert set(reasons(release(BUYS, shares_symbol=True), by)) == {"A1-buy-S1", "A1-sell-S2"}


def test_a_trailer_sums_shares_and_dollars_apart() -> None:
    by = profile(ProfileFormat.MAPPED, SYMBOL + ', { name = "usd", field = "order_usd" }')
    mapping = 'trailer = ["T;{quantity};{order_quantity};{order_usd};{order_amount}"]\n' + by.mapping
    (text,) = texts(made(), by.model_copy(update={"mapping": mapping})).values()
    assert text.splitlines()[-1] == "T;29;12;4921.50;4933.5"


# --- the files that every export has


def test_the_accounts_file_stays_as_it_is_and_the_manifest_says_what_it_cannot() -> None:
    package = made(is_plain=False)
    plain = release(BUYS)
    assert export_files.account_files(package.orders).equals(export_files.account_files(plain.orders))
    said = json.loads(export_files.manifest_bytes(package, []))["ordered_in_usd"]
    assert (said["orders"], said["value_usd"]) == (1, "4921.50")
    assert "the order is for estimated_value_usd" in said["message"]
    assert "ordered_in_usd" not in json.loads(export_files.manifest_bytes(plain, []))


# --- which labels leave


def test_only_labels_that_can_be_right_leave() -> None:
    listed = [
        {"security_id": "A", "cusip": LABELS["cusip"], "isin": LABELS["isin"]},
        {"security_id": "B", "cusip": "037833101", "isin": "us5949181045"},
        {"security_id": "C", "cusip": LABELS["cusip"], "isin": None},
    ]
    found = instruments(rows(dtypes("securities"), listed)).sort("security_id").select("security_id", "cusip", "isin")
    assert found.rows() == [("A", None, LABELS["isin"]), ("B", None, "US5949181045"), ("C", None, None)]


def test_an_amount_that_is_not_the_orders_value_does_not_leave() -> None:
    with pytest.raises(ConservationBroken, match="lacks an amount that is its value"):
        release_of_amount(AMOUNT + Decimal("0.01"))
    assert release_of_amount(AMOUNT).orders["amount_usd"].to_list() == [AMOUNT]


def release_of_amount(amount: Decimal) -> ExportPackage:
    return release(BUYS[:1], amounts=(amount,))

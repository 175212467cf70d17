"""Two securities of one symbol: told apart by their exchange where a format has room for it, refused where nothing tells."""

import polars as pl
import pytest

from schemas.enums import ProfileFormat
from schemas.exports import Profile
from schemas.landing_columns import dtypes
from tasks.core.export.order_formats import FORMATS
from tasks.core.export.package import ExportPackage, instruments
from tests.support.packages import release

WHOLE = (("A1", "sell", "S2", "12", "410.25"), ("A1", "buy", "S1", "17", "289.5"))
BY_SYMBOL = (
    'files = "orders.csv"\ncolumns = [{ name = "id", field = "client_order_id" }, { name = "what", field = "symbol" }'
)
MAPPINGS = {
    "symbol": BY_SYMBOL + "]",
    "exchange": BY_SYMBOL + ', { name = "where", field = "exchange" }]',
    "security_id": BY_SYMBOL + ', { name = "which", field = "security_id" }]',
}
PLAIN = tuple(each for each in ProfileFormat if each is not ProfileFormat.MAPPED)
TELLS = {ProfileFormat.JSONL: "always", ProfileFormat.FIX44: "by exchange", ProfileFormat.FIX50SP2: "by exchange"}


def listed(*rows: tuple[str, str, str | None]) -> pl.DataFrame:
    """Security, symbol, exchange."""
    names = ("security_id", "symbol", "exchange")
    given = pl.DataFrame(list(rows), schema=dict.fromkeys(names, pl.String), orient="row")
    rest = {name: dtype for name, dtype in dtypes("securities").items() if name not in names}
    return given.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in rest.items()).select(
        dtypes("securities").keys()
    )


def profile(kind: ProfileFormat, mapping: str = "") -> Profile:
    is_fix = "fix" in kind
    return Profile(name="p", format=kind, mapping=mapping, sender="A" if is_fix else "", target="B" if is_fix else "")


def named(made: ExportPackage) -> ExportPackage:
    plain = pl.col("order_id").str.replace_all("-", "")
    return ExportPackage(made.export, made.orders.with_columns(plain), made.lots.with_columns(plain), made.blocks)


def shared(exchange: str | None, *, is_told: bool) -> ExportPackage:
    """A release whose every order is of a security that shares its symbol."""
    made = named(release(WHOLE, shares_symbol=True, is_told_by_exchange=is_told))
    orders = made.orders.with_columns(exchange=pl.lit(exchange, pl.String))
    return ExportPackage(made.export, orders, made.lots, made.blocks)


def is_refused(made: ExportPackage, by: Profile) -> bool:
    found = FORMATS[by.format].refusals(made, by)["reason"].to_list()
    return bool(found) and all("is the symbol of several securities, and here nothing tells" in each for each in found)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("A", "X", "XNYS"), ("B", "Y", "XNYS")], {"A": (False, True), "B": (False, True)}),
        ([("A", "X", "XNYS"), ("B", "X", "XLON")], {"A": (True, True), "B": (True, True)}),
        ([("A", "X", "XNYS"), ("B", "X", "XNYS")], {"A": (True, False), "B": (True, False)}),
        ([("A", "X", "XNYS"), ("B", "X", None)], {"A": (True, True), "B": (True, False)}),
        (
            [("A", "X", None), ("B", "X", None), ("C", "Z", None)],
            {"A": (True, False), "B": (True, False), "C": (False, False)},
        ),
        (
            [("A", "X", "XNYS"), ("B", "X", "XLON"), ("C", "X", "XLON")],
            {"A": (True, True), "B": (True, False), "C": (True, False)},
        ),
        ([("A", "X", "XNYS"), ("A", "X", "XNYS")], {"A": (False, True)}),
    ],
)
def test_what_tells_securities_of_one_symbol_apart(
    rows: list[tuple[str, str, str | None]], told: dict[str, tuple[bool, bool]]
) -> None:
    found = instruments(listed(*rows)).sort("security_id")
    assert {
        name: (shares, by)
        for name, shares, by in found.select("security_id", "shares_symbol", "is_told_by_exchange").rows()
    } == told


@pytest.mark.parametrize("kind", PLAIN)
def test_a_symbol_of_its_own_is_refused_nowhere(kind: ProfileFormat) -> None:
    assert FORMATS[kind].refusals(named(release(WHOLE)), profile(kind)).is_empty()


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize(("exchange", "is_told"), [("XNYS", True), ("XNYS", False), (None, False)])
def test_a_shared_symbol_leaves_only_where_something_tells_it_apart(
    kind: ProfileFormat, exchange: str | None, *, is_told: bool
) -> None:
    can = TELLS.get(kind) == "always" or (TELLS.get(kind) == "by exchange" and is_told)
    assert is_refused(shared(exchange, is_told=is_told), profile(kind)) is not can


@pytest.mark.parametrize(
    ("fields", "is_told", "can"),
    [
        ("symbol", True, False),
        ("exchange", True, True),
        ("exchange", False, False),
        ("security_id", True, True),
        ("security_id", False, True),
    ],
)
def test_a_mapping_tells_by_the_fields_that_it_writes(fields: str, *, is_told: bool, can: bool) -> None:
    by = profile(ProfileFormat.MAPPED, MAPPINGS[fields])
    assert is_refused(shared("XNYS", is_told=is_told), by) is not can


@pytest.mark.parametrize("kind", [ProfileFormat.FIX44, ProfileFormat.FIX50SP2])
@pytest.mark.parametrize("grain", ["orders", "blocks"])
def test_fix_names_the_exchange_behind_the_instrument(kind: ProfileFormat, grain: str) -> None:
    by = profile(kind).model_copy(update={"grain": grain})
    made = shared("XNYS", is_told=True) if grain == "orders" else release(WHOLE, exchange="XNYS")
    (first, *_) = pl.concat(FORMATS[kind].files(made, by))["content"]
    fields = [each.split("=")[0] for each in first.split("\n")[0].split("\x01") if each]
    assert fields[fields.index("55") :][:3] == ["55", "167", "207"]
    assert "\x01207=XNYS\x01" in first

from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.enums import ProfileFormat, SecurityType, Side
from schemas.errors import ConservationBroken
from schemas.exports import Profile
from schemas.units import EXACT
from tasks.core.export import fix_orders
from tasks.core.export.blocks import block_orders
from tasks.core.export.fix_allocations import FilledBlock, allocation_instruction, post_trade, with_allocations
from tasks.core.export.fix_encoding import checksums, frame_messages, is_readable_number
from tasks.core.export.package import ExportPackage
from tests.support.packages import EXPORT, ORDERS, release

SOH = "\x01"
VERSIONS = (ProfileFormat.FIX44, ProfileFormat.FIX50SP2)
BUYS = (("A1", "buy", "S1", "17", "289.5"), ("A2", "buy", "S1", "5", "289.5"))
FILLED = FilledBlock("block-1", Side.BUY, "VTI", SecurityType.ETF, Decimal(22), Decimal("289.123456"), date(2026, 3, 3))
SHARES = pl.DataFrame(
    {"order_id": ["o1", "o2"], "account_id": ["A1", "A2"], "quantity": [Decimal(17), Decimal(5)]},
    schema_overrides={"quantity": EXACT},
)


def profile(version: ProfileFormat, grain: str = "accounts", **names: str) -> Profile:
    return Profile.model_validate(
        {"name": "fix", "format": version, "grain": grain, "sender": "US", "target": "THEM"} | names
    )


def contents(made: ExportPackage, sort: Profile) -> dict[str, str]:
    files = pl.concat(fix_orders.files(made, sort))
    return dict(files.select("path", "content").iter_rows())


def messages(content: str) -> list[list[tuple[str, str]]]:
    """Fields of each message of a file."""
    return [
        [(tag, value) for tag, _, value in (part.partition("=") for part in message.split(SOH)[:-1])]
        for message in content.split("\n")[:-1]
    ]


def shown(content: str) -> list[str]:
    return content.replace(SOH, "|").splitlines()


def summed(text: bytes) -> int:
    """The standard's own sentence, a byte at a time."""
    total = 0
    for byte in text:
        total += byte
    return total % 256


def with_all(**texts: str | None) -> ExportPackage:
    """The release with these columns set in every order."""
    made = release()
    orders = made.orders.with_columns(**{name: pl.lit(text, pl.String) for name, text in texts.items()})
    return ExportPackage(EXPORT, orders, made.lots, made.blocks)


def reasons(made: ExportPackage, sort: Profile) -> set[str]:
    return set(fix_orders.refusals(made, sort)["reason"])


# --- frames


@given(st.lists(st.text(min_size=1, max_size=300), max_size=30))
def test_a_checksum_is_the_sum_of_the_bytes_whatever_stands_beside_it(texts: list[str]) -> None:
    assert checksums(pl.Series(texts, dtype=pl.String)).tolist() == [summed(text.encode()) for text in texts]


@given(st.lists(st.text(st.characters(max_codepoint=126), max_size=2_000), max_size=10))
def test_a_frame_counts_and_sums_what_it_is_around(bodies: list[str]) -> None:
    for body, message in zip(bodies, frame_messages("FIX.4.4", pl.Series(bodies, dtype=pl.String)), strict=True):
        start, end = f"8=FIX.4.4{SOH}9={len(body)}{SOH}", message[-7:]
        assert message == f"{start}{body}{end}"
        assert end == f"10={summed((start + body).encode()):03d}{SOH}"


@given(st.decimals(min_value=0, max_value=10**20, places=6))
def test_a_number_is_readable_with_up_to_fifteen_significant_digits(number: Decimal) -> None:
    found = (
        pl.DataFrame({"n": [number]}, schema={"n": pl.Decimal(38, 6)}).select(is_readable_number(pl.col("n"))).item()
    )
    whole, _, fraction = f"{number:f}".partition(".")
    fraction = fraction.rstrip("0")
    assert found == (len((whole + fraction).lstrip("0")) <= 15)


# --- orders


def test_an_order_is_a_new_order_single_at_the_market_for_the_day() -> None:
    sell, buy = shown(contents(release(), profile(ProfileFormat.FIX44))["A1.fix"])
    assert sell == (
        "8=FIX.4.4|9=151|35=D|49=US|56=THEM|34=1|52=20260302-00:00:00.000|11=A1-sell-S2|1=A1|21=1|55=BRK.B|167=CS|54=2"
        "|60=20260302-00:00:00.000|38=12|40=1|15=USD|59=0|58=drift|10=035|"
    )
    assert buy == (
        "8=FIX.4.4|9=141|35=D|49=US|56=THEM|34=2|52=20260302-00:00:00.000|11=A1-buy-S1|1=A1|21=1|55=VTI|54=1"
        "|60=20260302-00:00:00.000|38=17|40=1|15=USD|59=0|58=drift|10=248|"
    )


def test_in_the_newer_version_a_sell_has_an_allocation_for_each_lot_that_it_closes() -> None:
    sell, buy = shown(contents(release(), profile(ProfileFormat.FIX50SP2))["A1.fix"])
    assert "|35=D|1128=9|49=US|" in sell
    assert (
        "|1=A1|78=2|79=A1|467=A1-sell-S2/L1|80=10|1752=L1|1753=20190506|1754=200"
        "|79=A1|467=A1-sell-S2/L2|80=2|1752=L2|1753=20251201|1754=430.5|21=1|"
    ) in sell
    assert "|78=" not in buy


def test_a_lot_is_named_by_its_id_alone_where_its_basis_is_not_known() -> None:
    (sell, *_) = shown(contents(release(), profile(ProfileFormat.FIX50SP2))["A2.fix"])
    assert "|467=A2-sell-S3/L7|80=100.125|1752=L7|21=1|" in sell
    (gift, *_) = shown(contents(release(), profile(ProfileFormat.FIX50SP2))["-A3.fix"])
    assert "|1752=L1|1753=20010102|1754=0|" in gift, "a cost of nothing is a cost"


def test_the_date_of_a_lot_is_not_said_without_its_cost() -> None:
    made = release()
    lots = made.lots.with_columns(unit_cost_usd=pl.lit(None, EXACT))
    for content in contents(
        ExportPackage(EXPORT, made.orders, lots, made.blocks), profile(ProfileFormat.FIX50SP2)
    ).values():
        assert f"{SOH}1753=" not in content
    lots = made.lots.with_columns(acquired_date=pl.lit(None, pl.Date))
    for content in contents(
        ExportPackage(EXPORT, made.orders, lots, made.blocks), profile(ProfileFormat.FIX50SP2)
    ).values():
        assert f"{SOH}1754=" not in content


def test_the_older_version_says_nothing_of_lots() -> None:
    for grain in ("accounts", "blocks"):
        for content in contents(release(), profile(ProfileFormat.FIX44, grain)).values():
            assert not {"1752", "1753", "1754", "1755"} & {tag for message in messages(content) for tag, _ in message}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_order_is_in_its_accounts_file_numbered_from_one(version: ProfileFormat) -> None:
    made = release()
    found = contents(made, profile(version))
    assert list(found) == ["-A3.fix", "A1.fix", "A2.fix"]
    for account, content in found.items():
        read = [dict(message) for message in messages(content)]
        orders = made.orders.filter(pl.format("{}.fix", "account_id") == account)
        assert [message["34"] for message in read] == ["1", "2"]
        assert [message["11"] for message in read] == orders["order_id"].to_list()
        assert [Decimal(message["38"]) for message in read] == orders["quantity"].to_list()


# --- blocks


def test_a_block_is_one_order_with_the_split_among_its_accounts() -> None:
    made = release(BUYS)
    (block,) = made.blocks["block_id"]
    (message,) = shown(contents(made, profile(ProfileFormat.FIX44, "blocks"))[f"{block}.fix"])
    assert f"|11={block}|78=2|79=A1|467=A1-buy-S1|80=17|79=A2|467=A2-buy-S1|80=5|21=1|55=VTI|54=1|" in message
    assert "|38=22|40=1|15=USD|59=0|10=" in message, "neither an account nor a reason is one of many"


def test_a_block_of_sells_is_split_by_lots_where_they_can_be_said() -> None:
    made = release((("A1", "sell", "S2", "12", "410.25"),))
    ((message,),) = map(shown, contents(made, profile(ProfileFormat.FIX50SP2, "blocks")).values())
    assert "|78=2|79=A1|467=A1-sell-S2/L1|80=10|1752=L1|" in message
    ((message,),) = map(shown, contents(made, profile(ProfileFormat.FIX44, "blocks")).values())
    assert "|78=1|79=A1|467=A1-sell-S2|80=12|21=1|" in message


@pytest.mark.parametrize("version", VERSIONS)
def test_the_allocations_of_every_message_sum_to_its_quantity(version: ProfileFormat) -> None:
    made = release()
    found = contents(made, profile(version, "blocks"))
    assert list(found) == [f"{block}.fix" for block in made.blocks["block_id"]]
    for (message,), (quantity, orders) in zip(
        map(messages, found.values()), made.blocks.select("quantity", "order_count").iter_rows(), strict=True
    ):
        assert sum(Decimal(value) for tag, value in message if tag == "80") == quantity
        assert len({value.partition("/")[0] for tag, value in message if tag == "467"}) == orders
        assert len({value for tag, value in message if tag == "467"}) == int(dict(message)["78"])


def test_a_large_block_names_its_accounts_in_order() -> None:
    made = release(BUYS[:1])
    account = pl.format("A{}", pl.int_range(pl.len()).shuffle(seed=1).cast(pl.String).str.zfill(5))
    orders = pl.concat([made.orders] * 30_000).with_columns(account_id=account).with_columns(order_id="account_id")
    many = ExportPackage(EXPORT, orders, made.lots, block_orders(orders, run_id=EXPORT.run_id, sequence=1))
    (content,) = contents(many, profile(ProfileFormat.FIX50SP2, "blocks")).values()
    named = [value for tag, value in messages(content)[0] if tag == "79"]
    assert named == sorted(orders["account_id"])


def test_allocations_that_do_not_sum_to_the_order_are_not_written() -> None:
    made = release()
    short = ExportPackage(EXPORT, made.orders, made.lots.filter(pl.col("lot_id") != "L2"), made.blocks)
    for grain in ("accounts", "blocks"):
        with pytest.raises(ConservationBroken, match=r"sum to 10\.0+, its quantity is 12"):
            contents(short, profile(ProfileFormat.FIX50SP2, grain))
    more = ExportPackage(EXPORT, made.orders, made.lots, made.blocks.with_columns(pl.col("quantity") + 1))
    with pytest.raises(ConservationBroken, match="allocations of block"):
        contents(more, profile(ProfileFormat.FIX44, "blocks"))


def test_a_message_without_allocations_has_no_group() -> None:
    order = pl.DataFrame({"client_order_id": ["o"], "quantity": [Decimal(1)]})
    nobody = SHARES.clear().with_columns(client_order_id=pl.lit(""))
    assert with_allocations(order, nobody, post_trade())["allocations"].to_list() == [""]


@pytest.mark.parametrize("lot", [f"L{SOH}", "", None])
def test_a_lot_whose_id_would_break_a_message_is_not_written(lot: str | None) -> None:
    made = release()
    broken = ExportPackage(EXPORT, made.orders, made.lots.with_columns(lot_id=pl.lit(lot, pl.String)), made.blocks)
    refused = fix_orders.refusals(broken, profile(ProfileFormat.FIX50SP2))
    assert refused["order_id"].to_list() == ["-A3-sell-S2", "A1-sell-S2", "A2-sell-S3"]
    assert refused["reason"].str.ends_with("the id of a lot that it closes is otherwise").all()
    with pytest.raises(ConservationBroken, match="order -A3-sell-S2 cannot be written"):
        contents(broken, profile(ProfileFormat.FIX50SP2))
    assert contents(broken, profile(ProfileFormat.FIX44)) == contents(made, profile(ProfileFormat.FIX44))


# --- what cannot be said


@pytest.mark.parametrize("name", ["symbol", "account_id", "order_id", "reason"])
@pytest.mark.parametrize("text", [f"A{SOH}11=other", "A\nB", "A\x00", "A\x7f", "Ä", " A", "A ", "A\t"])
@pytest.mark.parametrize("version", VERSIONS)
def test_text_that_would_break_a_message_is_refused(version: ProfileFormat, name: str, text: str) -> None:
    made = release(BUYS[:1], **{name: text})
    (reason,) = reasons(made, profile(version))
    assert reason.startswith("FIX writes printable ASCII that neither starts nor ends with a space, the ")
    assert SOH not in reason
    with pytest.raises(ConservationBroken, match="cannot be written: FIX writes"):
        contents(made, profile(version))


@pytest.mark.parametrize("symbol", ["", "  ", None])
def test_a_security_without_a_symbol_is_refused(symbol: str | None) -> None:
    assert reasons(with_all(symbol=symbol), profile(ProfileFormat.FIX44)) == {
        f"the security {security} has no symbol, and FIX would name it by that" for security in ("S1", "S2", "S3")
    }


@pytest.mark.parametrize("reason", ["", None])
def test_an_order_without_a_reason_has_no_text(reason: str | None) -> None:
    made = with_all(reason=reason)
    assert reasons(made, profile(ProfileFormat.FIX44)) == set()
    assert all(f"{SOH}58=" not in content for content in contents(made, profile(ProfileFormat.FIX44)).values())


@pytest.mark.parametrize("kind", [SecurityType.BOND, SecurityType.OTHER, None])
def test_a_kind_of_security_that_fix_has_no_code_for_is_refused(kind: SecurityType | None) -> None:
    found = reasons(release(BUYS, security_type=kind), profile(ProfileFormat.FIX50SP2))
    assert found == {f"FIX has codes for shares and funds, VTI is of type {kind or 'nothing'}"}


def test_a_quantity_of_too_many_digits_is_refused_and_so_is_its_block() -> None:
    wide = (("A1", "buy", "S1", "600000000.123456", "1"), ("A2", "buy", "S1", "600000000.000001", "1"))
    assert reasons(release(wide), profile(ProfileFormat.FIX44)) == set()
    assert reasons(release(wide), profile(ProfileFormat.FIX44, "blocks")) == {
        "FIX is read to 15 digits, the quantity of VTI has more"
    }
    (alone,) = reasons(release((("A1", "buy", "S1", "1234567890.123456", "1"),)), profile(ProfileFormat.FIX44))
    assert alone == "FIX is read to 15 digits, the quantity of VTI has more"


@pytest.mark.parametrize("name", ["sender", "target"])
def test_a_session_that_cannot_be_written_refuses_every_order(name: str) -> None:
    found = fix_orders.refusals(release(), profile(ProfileFormat.FIX44, **{name: f"A{SOH}"}))
    assert found.height == len(ORDERS)
    assert set(found["reason"]) == {
        "sender and target of the profile fix are to be printable ASCII that neither starts nor ends with a space"
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_else_can_be_said_fractions_too(version: ProfileFormat) -> None:
    for grain in ("accounts", "blocks"):
        assert reasons(release(), profile(version, grain)) == set()


def test_a_large_book_is_looked_at_as_a_small_one() -> None:
    made = release()
    large = ExportPackage(EXPORT, pl.concat([made.orders] * 5_000), made.lots, made.blocks)
    assert fix_orders.refusals(large, profile(ProfileFormat.FIX44)).is_empty()
    assert fix_orders.refusals(large, profile(ProfileFormat.FIX44, sender="Ä")).height == len(ORDERS), (
        "ids are the same"
    )


# --- the same night


@pytest.mark.parametrize("grain", ["accounts", "blocks"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_order_of_the_books_rows_changes_no_byte(version: ProfileFormat, grain: str) -> None:
    assert contents(release(), profile(version, grain)) == contents(release(ORDERS[::-1]), profile(version, grain))


@pytest.mark.parametrize("version", VERSIONS)
def test_an_accounts_file_does_not_depend_on_the_other_accounts(version: ProfileFormat) -> None:
    together = contents(release(), profile(version))
    for account in ("A1", "A2", "-A3"):
        alone = contents(release(tuple(order for order in ORDERS if order[0] == account)), profile(version))
        assert alone == {f"{account}.fix": together[f"{account}.fix"]}


@pytest.mark.parametrize("grain", ["accounts", "blocks"])
def test_files_come_in_groups_with_none_left_out(monkeypatch: pytest.MonkeyPatch, grain: str) -> None:
    sort = profile(ProfileFormat.FIX50SP2, grain)
    whole = contents(release(), sort)
    monkeypatch.setattr("tasks.core.export.fix_orders.FILES_PER_GROUP", 2)
    groups = list(fix_orders.files(release(), sort))
    assert len(groups) == (len(whole) + 1) // 2
    assert contents(release(), sort) == whole
    assert pl.concat(groups)["rows"].sum() == len(ORDERS)


@pytest.mark.parametrize("grain", ["accounts", "blocks"])
@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_to_write_is_no_file(version: ProfileFormat, grain: str) -> None:
    some = release()
    nothing = ExportPackage(EXPORT, some.orders.clear(), some.lots.clear(), some.blocks.clear())
    assert list(fix_orders.files(nothing, profile(version, grain))) == []


# --- filled blocks


@pytest.mark.parametrize(
    ("version", "start"),
    [
        (ProfileFormat.FIX44, "8=FIX.4.4|9=187|35=J|49=US|"),
        (ProfileFormat.FIX50SP2, "8=FIXT.1.1|9=194|35=J|1128=9|49=US|"),
    ],
)
def test_a_filled_block_is_shared_out_by_an_allocation_instruction(version: ProfileFormat, start: str) -> None:
    message = allocation_instruction(FILLED, SHARES, profile(version), allocation_id="block-1-1", sequence=7)
    (text,) = shown(message)
    assert text.startswith(f"{start}56=THEM|34=7|52=20260303-00:00:00.000|")
    assert text[:-7].endswith(
        "|70=block-1-1|71=0|626=2|857=1|73=1|11=block-1|54=1|55=VTI|53=22|6=289.123456|15=USD|75=20260303"
        "|78=2|79=A1|80=17|467=o1|79=A2|80=5|467=o2|"
    )


@pytest.mark.parametrize("kind", [None, SecurityType.EQUITY])
def test_an_instruction_names_the_kind_of_security_where_it_has_a_code(kind: SecurityType | None) -> None:
    filled = FILLED._replace(security_type=kind)
    message = allocation_instruction(filled, SHARES, profile(ProfileFormat.FIX44), allocation_id="a")
    assert (f"{SOH}55=VTI{SOH}167=CS{SOH}" in message) == (kind is SecurityType.EQUITY)


@pytest.mark.parametrize(
    ("filled", "shares", "name", "message"),
    [
        (FILLED._replace(quantity=Decimal(23)), SHARES, "a", "sum to 22.0+, its quantity is 23"),
        (FILLED, SHARES.clear(), "a", "nothing of block block-1 is allocated"),
        (FILLED, SHARES.with_columns(order_id=pl.lit("o1")), "a", "order o1 is allocated to twice"),
        (FILLED, SHARES.with_columns(account_id=pl.lit(f"A{SOH}")), "a", "FIX cannot write the account_id 'A.x01'"),
        (FILLED, SHARES.with_columns(account_id=pl.lit(None, pl.String)), "a", "FIX cannot write the account_id None"),
        (FILLED._replace(symbol="Ä"), SHARES, "a", "FIX cannot write the symbol 'Ä'"),
        (FILLED, SHARES, "", "FIX cannot write the allocation_id ''"),
    ],
)
def test_an_instruction_that_does_not_add_up_is_not_written(
    filled: FilledBlock, shares: pl.DataFrame, name: str, message: str
) -> None:
    with pytest.raises(ConservationBroken, match=message):
        allocation_instruction(filled, shares, profile(ProfileFormat.FIX44), allocation_id=name)

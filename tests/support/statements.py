"""A landing book as a custodian's statements: Interactive Brokers Flex XML and OFX, as their servers write them.

What a statement does not hold is lost: prices of what nobody holds; a cost of 0 in Flex (it stands for an unknown one); lots,
costs and pending cash in OFX, which has holdings and one balance.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

import polars as pl

Book = Mapping[str, pl.DataFrame]
Row = dict[str, str | None]

_TRADE = (
    "transactionType='ExchTrade' levelOfDetail='EXECUTION' assetCategory='STK' currency='USD' multiplier='1' notes='P'"
)
_POSITION = (
    "acctAlias='' model='' currency='USD' fxRateToBase='1' assetCategory='STK' subCategory='ETF' multiplier='1' code=''"
)


def flex_xml(book: Book, as_of: date) -> str:
    """An activity Flex query of every account of the book."""
    accounts = accounts_of(book)
    statements = "\n".join(_flex_statement(book, account, as_of) for account in accounts)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<FlexQueryResponse queryName="trimtab" type="AF">\n'
        f'<FlexStatements count="{len(accounts)}">\n{statements}\n</FlexStatements>\n</FlexQueryResponse>\n'
    )


def ofx(book: Book, as_of: date, *, version: int = 102) -> str:
    """An answer with an investment statement of every account: SGML for versions 1xx, XML for 2xx."""
    statements = "".join(_ofx_statement(book, account, as_of) for account in accounts_of(book))
    securities = "".join(
        "<STOCKINFO><SECINFO>" + _secid(row["security_id"]) + f"<SECNAME>{escape(row['symbol'] or '')}</SECNAME>"
        f"<TICKER>{escape(row['symbol'] or '')}</TICKER></SECINFO></STOCKINFO>\n"
        for row in rows(book["securities"] if "securities" in book else pl.DataFrame())
    )
    signed_on = (
        "<SIGNONMSGSRSV1><SONRS><STATUS><CODE>0</CODE><SEVERITY>INFO</SEVERITY></STATUS>"
        f"<DTSERVER>{_ofx_day(as_of.isoformat())}</DTSERVER><LANGUAGE>ENG</LANGUAGE></SONRS></SIGNONMSGSRSV1>\n"
    )
    body = (
        f"<OFX>\n{signed_on}<INVSTMTMSGSRSV1>\n{statements}</INVSTMTMSGSRSV1>\n"
        f"<SECLISTMSGSRSV1><SECLIST>\n{securities}</SECLIST></SECLISTMSGSRSV1>\n</OFX>\n"
    )
    return _ofx_header(version) + (body if version >= 200 else _without_ends(body))


def accounts_of(book: Book) -> list[str]:
    """Every account that has a lot, cash or a trade."""
    named = [book[table]["account_id"] for table in ("lots", "cash", "trades") if table in book]
    return [str(name) for name in pl.concat(named).drop_nulls().unique().sort()]


def rows(frame: pl.DataFrame) -> Iterator[Row]:
    """Rows as text; a null stays one."""
    yield from frame.select(pl.all().cast(pl.String)).iter_rows(named=True)


def _of(book: Book, table: str, account: str) -> list[Row]:
    frame = book.get(table)
    return [] if frame is None else list(rows(frame.filter(pl.col("account_id").cast(pl.String) == account)))


def _prices(book: Book) -> dict[str | None, Row]:
    return {row["security_id"]: row for row in rows(book["prices"])}


def _flex_statement(book: Book, account: str, as_of: date) -> str:
    named, lots, day = f"accountId={quoteattr(account)}", _of(book, "lots", account), f"{as_of:%Y-%m-%d}"
    positions = [
        _flex_summary(book, named, security, lots) for security in dict.fromkeys(lot["security_id"] for lot in lots)
    ]
    positions += [_flex_lot(book, named, lot) for lot in lots]
    cash = [line for row in _of(book, "cash", account) for line in _flex_cash(named, row)]
    trades = [_flex_trade(named, row) for row in _of(book, "trades", account)]
    return (
        f"<FlexStatement {named} fromDate='2025-01-01' toDate='{day}' period='' whenGenerated='{day};231500'>\n"
        f"<CashReport>\n{''.join(cash)}</CashReport>\n<OpenPositions>\n{''.join(positions)}</OpenPositions>\n"
        f"<Trades>\n{''.join(trades)}</Trades>\n</FlexStatement>"
    )


def _flex_position(book: Book, security: str | None) -> str:
    price = _prices(book)[security]
    conid = quoteattr(security or "")
    return (
        f"{_POSITION} symbol={conid} conid={conid} reportDate='{price['price_date']}' markPrice='{price['price_usd']}'"
    )


def _flex_summary(book: Book, named: str, security: str | None, lots: list[Row]) -> str:
    held = sum(Decimal(lot["quantity"] or 0) for lot in lots if lot["security_id"] == security)
    return (
        f"<OpenPosition {named} {_flex_position(book, security)} position='{held}' costBasisPrice='1' levelOfDetail='SUMMARY' "
        "openDateTime='' originatingOrderID='' originatingTransactionID='' />\n"
    )


def _flex_lot(book: Book, named: str, lot: Row) -> str:
    opened = f"{lot['acquired_date']};093000" if lot["acquired_date"] else ""
    return (
        f"<OpenPosition {named} {_flex_position(book, lot['security_id'])} position='{lot['quantity']}' "
        f"costBasisPrice='{lot['unit_cost_usd'] or 0}' levelOfDetail='LOT' openDateTime='{opened}' "
        f"originatingOrderID='7' originatingTransactionID={quoteattr(lot['lot_id'] or '')} />\n"
    )


def _flex_cash(named: str, row: Row) -> Iterator[str]:
    settled = Decimal(row["settled_usd"] or 0)
    amounts = f"endingCash='{settled + Decimal(row['pending_usd'] or 0)}' endingSettledCash='{settled}'"
    for currency, level in (("BASE_SUMMARY", "BaseCurrency"), ("USD", "Currency")):
        yield f"<CashReportCurrency {named} currency='{currency}' levelOfDetail='{level}' {amounts} />\n"


def _flex_trade(named: str, row: Row) -> str:
    is_sale, conid = row["side"] == "sell", quoteattr(row["security_id"] or "")
    return (
        f"<Trade {named} {_TRADE} symbol={conid} conid={conid} tradeDate='{row['trade_date']}' "
        f"quantity='{'-' if is_sale else ''}{row['quantity']}' tradePrice='{row['price_usd']}' "
        f"buySell='{'SELL' if is_sale else 'BUY'}' fifoPnlRealized='{(row['realized_gain_usd'] or '') if is_sale else 0}' />\n"
    )


def _ofx_header(version: int) -> str:
    if version >= 200:
        return (
            '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
            f'<?OFX OFXHEADER="200" VERSION="{version}" SECURITY="NONE" OLDFILEUID="NONE" NEWFILEUID="NONE"?>\n'
        )
    names = f"DATA:OFXSGML VERSION:{version} SECURITY:NONE ENCODING:USASCII CHARSET:1252 COMPRESSION:NONE"
    return "\n".join(["OFXHEADER:100", *names.split(), "OLDFILEUID:NONE", "NEWFILEUID:NONE", "", ""])


def _without_ends(body: str) -> str:
    """SGML lets an element with text end at the next one: its end is cut off."""
    parts = body.split("<")
    kept = [
        "\n"
        if part.startswith("/") and before.startswith(part[1:].split(">")[0] + ">") and before.partition(">")[2].strip()
        else "<" + part
        for before, part in pairwise(parts)
    ]
    return "".join(kept)


def _ofx_statement(book: Book, account: str, as_of: date) -> str:
    positions = "".join(_ofx_position(book, *each) for each in _held(book, account))
    trades = "".join(_ofx_trade(row, place) for place, row in enumerate(_of(book, "trades", account), 1))
    return (
        "<INVSTMTTRNRS><TRNUID>1</TRNUID><STATUS><CODE>0</CODE><SEVERITY>INFO</SEVERITY></STATUS>\n"
        f"<INVSTMTRS><DTASOF>{as_of:%Y%m%d}200000.000[-5:EST]</DTASOF><CURDEF>USD</CURDEF>"
        f"<INVACCTFROM><BROKERID>example.com</BROKERID><ACCTID>{escape(account)}</ACCTID></INVACCTFROM>\n"
        f"<INVTRANLIST><DTSTART>20250101</DTSTART><DTEND>{as_of:%Y%m%d}</DTEND>\n{trades}</INVTRANLIST>\n"
        f"<INVPOSLIST>\n{positions}</INVPOSLIST>\n{_ofx_balance(book, account)}</INVSTMTRS></INVSTMTTRNRS>\n"
    )


def _held(book: Book, account: str) -> list[tuple[str, Decimal]]:
    held: dict[str, Decimal] = {}
    for lot in _of(book, "lots", account):
        security = lot["security_id"] or ""
        held[security] = held.get(security, Decimal(0)) + Decimal(lot["quantity"] or 0)
    return list(held.items())


def _ofx_balance(book: Book, account: str) -> str:
    cash = sum(Decimal(row[name] or 0) for row in _of(book, "cash", account) for name in ("settled_usd", "pending_usd"))
    return f"<INVBAL><AVAILCASH>{cash}</AVAILCASH><MARGINBALANCE>0</MARGINBALANCE><SHORTBALANCE>0</SHORTBALANCE></INVBAL>\n"


def _ofx_position(book: Book, security: str, units: Decimal) -> str:
    price = _prices(book)[security]
    return (
        f"<POSSTOCK><INVPOS>{_secid(security)}<HELDINACCT>CASH</HELDINACCT><POSTYPE>LONG</POSTYPE><UNITS>{units}</UNITS>"
        f"<UNITPRICE>{price['price_usd']}</UNITPRICE><MKTVAL>{units * Decimal(price['price_usd'] or 0)}</MKTVAL>"
        f"<DTPRICEASOF>{_ofx_day(price['price_date'])}160000</DTPRICEASOF></INVPOS></POSSTOCK>\n"
    )


def _ofx_trade(row: Row, place: int) -> str:
    is_sale = row["side"] == "sell"
    kind, sign = ("SELL", "-") if is_sale else ("BUY", "")
    gain = f"<GAIN>{row['realized_gain_usd']}</GAIN>" if is_sale and row["realized_gain_usd"] else ""
    return (
        f"<{kind}STOCK><INV{kind}><INVTRAN><FITID>{place}</FITID><DTTRADE>{_ofx_day(row['trade_date'])}</DTTRADE></INVTRAN>"
        f"{_secid(row['security_id'])}<UNITS>{sign}{row['quantity']}</UNITS><UNITPRICE>{row['price_usd']}</UNITPRICE>"
        f"<TOTAL>0</TOTAL>{gain}<SUBACCTSEC>CASH</SUBACCTSEC><SUBACCTFUND>CASH</SUBACCTFUND></INV{kind}>"
        f"<{kind}TYPE>{kind}</{kind}TYPE></{kind}STOCK>\n"
    )


def _secid(security: str | None) -> str:
    return f"<SECID><UNIQUEID>{escape(security or '')}</UNIQUEID><UNIQUEIDTYPE>CUSIP</UNIQUEIDTYPE></SECID>"


def _ofx_day(day: str | None) -> str:
    return (day or "").replace("-", "")

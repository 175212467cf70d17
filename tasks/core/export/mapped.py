"""Profile ``mapped``: delimited text as a mapping says, for custodians whose layout is not public.

``mapping_rules`` has the keys of a mapping. Orders come in the order of the accounts' own files; a file is an account's, a
custodian's or everybody's, as its name's pattern says. Sums and counts in header and trailer are those of the file.

1. each column's text is made, null where nothing is known;
2. an order with a text that does not fit its column is refused with a reason: nothing is cut, rounded (unless the mapping says so) or replaced;
3. texts become cells (``null``, quotes) and cells lines.

Known limits: delimited lines only, no fields at fixed places. With ``grain = "lots"`` only sells are written. Custodians whose names differ in capitals alone
have files whose names do too.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl

from schemas.enums import OrderUnit, Side
from schemas.exports import Profile
from tasks.core.export.mapping_rules import COUNTS, ISO, SUMS, OutputColumn, OutputMapping, Piece, pieces, read_mapping
from tasks.core.export.package import Export, ExportPackage, refuse_any
from tasks.core.export.words import NOT_TOLD_APART, first_faults
from tasks.core.facts import FORMULA_START, money_cell, number_cell

FILES_PER_GROUP: Final = 1_000
_HIDDEN_FORMULA: Final = r"[,;|\t]\s*[=+\-@＝＋－＠]"  # noqa: RUF001
"""A spreadsheet that takes another separator than the file's would find a formula there, whatever the quotes."""
_SAY_DOLLARS: Final = ({"order_usd"}, {"order_amount", "order_in"})
_NO_DOLLARS: Final = "{symbol} is ordered in dollars; needed a column with the field order_usd, or one with order_amount beside one with order_in"
WIDE: Final = pl.Decimal(38, 6)
_PLAIN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}"
_LONGEST_NAME: Final = 40
_DIGITS_OF_HASH: Final = 8


def refusals(release: ExportPackage, profile: Profile) -> pl.DataFrame:
    """Orders with a value that does not fit its column, or with a lot that has one, each with its first fault."""
    mapping = read_mapping(profile)
    rows = _rows(release, mapping)
    return first_faults(rows, _faults(mapping, rows.columns))


def files(release: ExportPackage, profile: Profile) -> Iterator[pl.DataFrame]:
    """Files as the mapping names them, in the order of their first line.

    Raises
    ------
    WrongUsage
        The mapping does not hold together.
    ConservationBroken
        An order cannot be written; ``refusals`` says so before.
    """
    mapping = read_mapping(profile)
    rows = _rows(release, mapping)
    refuse_any(refusals(release, profile), "order {order_id} cannot be written: {reason}")
    placed = rows.with_columns(_path(mapping, release))
    both = _bodies(placed, mapping).join(_totals(placed), on="path", how="left", maintain_order="left")
    done = both.select("path", rows="lines", content=_content(mapping, release.export))
    yield from done.iter_slices(FILES_PER_GROUP)


def _bodies(rows: pl.DataFrame, mapping: OutputMapping) -> pl.DataFrame:
    """``path``, ``lines`` and ``body`` of each file, in the order of its first row."""
    lines = rows.select("path", line=_line(mapping))
    bodies = lines.group_by("path", maintain_order=True).agg(
        lines=pl.len().cast(pl.Int64),
        written=pl.col("line").count().cast(pl.Int64),
        body=pl.col("line").str.join(mapping.line_end),
    )
    refuse_any(
        bodies.filter(pl.col("written") != pl.col("lines")), "{path} has {lines} rows but {written} became lines"
    )
    return bodies


def _with_field_names(orders: pl.DataFrame) -> pl.DataFrame:
    """Orders by the names of fields."""
    is_sell, is_in_usd = pl.col("side") == Side.SELL, pl.col("amount_usd").is_not_null()
    amount = pl.col("amount_usd").cast(WIDE)
    return orders.with_columns(
        order_in=pl.when(is_in_usd).then(pl.lit(OrderUnit.USD)).otherwise(pl.lit(OrderUnit.SHARES)),
        order_amount=pl.coalesce(amount, pl.col("quantity").cast(WIDE)),
        order_quantity=pl.when(~is_in_usd).then("quantity"),
        order_usd=amount,
        client_order_id="order_id",
        reference_price_usd="price_usd",
        estimated_value_usd="value_usd",
        order_type=pl.lit("market"),
        time_in_force=pl.lit("day"),
        tax_lot_method=pl.when(is_sell).then(pl.lit("specific_lots")),
    )


def _rows(release: ExportPackage, mapping: OutputMapping) -> pl.DataFrame:
    """A row a line: an order, or a lot with its order."""
    orders = _with_field_names(release.orders).with_columns(
        as_of_date=pl.lit(release.export.as_of_date), run_id=pl.lit(release.export.run_id)
    )
    if mapping.grain == "orders":
        return orders
    lots = release.lots.select("order_id", "lot_id", "unit_cost_usd", "acquired_date", "term", lot_quantity="quantity")
    return lots.join(orders, on="order_id", how="left", maintain_order="left")


def _cell_text(column: OutputColumn, mapping: OutputMapping) -> pl.Expr:
    """Text of a cell; null where nothing is known."""
    if column.field is None:
        return pl.lit(column.value)
    if column.kind == "number":
        return _number(column).str.replace(".", mapping.decimal, literal=True)
    source = pl.col(column.field)
    if column.kind == "date":
        return source.dt.to_string(column.date or ISO)
    if column.codes:
        return source.replace_strict(column.codes, default=None, return_dtype=pl.String)
    is_formula = source.str.contains(FORMULA_START) & pl.lit(mapping.formulas == "apostrophe")
    return pl.when(is_formula).then(pl.concat_str(pl.lit("'"), source)).otherwise(source)


def _number(column: OutputColumn) -> pl.Expr:
    number = pl.col(str(column.field))
    if column.decimals is None:
        return pl.when(number.is_not_null()).then(number_cell(str(column.field)))
    exact = number.cast(pl.Decimal(38, 6)).round(column.decimals, mode="half_to_even")
    text = exact.cast(pl.Decimal(38, column.decimals)).cast(pl.String)
    is_trimmed = column.decimals > 0 and not column.is_padded
    return text.str.strip_chars_end("0").str.strip_chars_end(".") if is_trimmed else text


def _faults(mapping: OutputMapping, known: Iterable[str]) -> dict[str, pl.Expr]:
    """Sentence: whether it is true of a row, of the columns whose field is at hand."""
    columns = [column for column in mapping.columns if column.field in set(known)]
    faults = {sentence: is_faulty for column in columns for sentence, is_faulty in _faults_of(column, mapping)}
    fields = {column.field for column in mapping.columns}
    if not any(needed <= fields for needed in _SAY_DOLLARS):
        faults[_NO_DOLLARS] = pl.col("amount_usd").is_not_null()
    if "security_id" not in fields:
        told = [pl.col("is_told_by_exchange")] if "exchange" in fields else []
        labels = [pl.col(name).is_not_null() for name in ("cusip", "isin") if name in fields]
        faults[NOT_TOLD_APART] = pl.col("shares_symbol") & ~pl.any_horizontal(pl.lit(value=False), *told, *labels)
    return faults


def _faults_of(column: OutputColumn, mapping: OutputMapping) -> Iterator[tuple[str, pl.Expr]]:
    name, found = f"the column {column.name}", f"found {{{column.field}}}"
    source, text = pl.col(str(column.field)), _cell_text(column, mapping)
    if column.is_required:
        yield f"{name} needs the {column.field}, {found}", source.is_null() | (source.cast(pl.String) == "")
    if column.codes:
        yield f"{name} has no code for it, {found}", source.is_not_null() & text.is_null()
    if column.decimals is not None and not column.is_rounded:
        too_fine = number_cell(str(column.field)).str.contains(rf"\.\d{{{column.decimals + 1}}}")
        yield f"{name} takes {column.decimals} digits after the point, {found}", too_fine
    if column.max_length is not None:
        yield f"{name} takes {column.max_length} characters, {found}", _is(text.str.len_chars() > column.max_length)
    if column.kind == "text" and not column.codes:
        yield from ((f"{name} {sentence}, {found}", is_bad) for sentence, is_bad in _text_faults(text, mapping))
    if mapping.quote == "":
        holds = text.str.contains(mapping.separator, literal=True)
        yield f"{name} cannot hold the separator, for there are no quotes, {found}", _is(holds)


def _text_faults(text: pl.Expr, mapping: OutputMapping) -> Iterator[tuple[str, pl.Expr]]:
    yield "cannot hold a line break", _is(text.str.contains(r"[\r\n]"))
    if mapping.encoding == "ascii":
        yield "takes ASCII only", _is(text.str.contains(r"[^\x00-\x7F]"))
    starts = _is(text.str.contains(FORMULA_START) | text.str.contains(_HIDDEN_FORMULA))
    yield "would start a formula in a spreadsheet", starts


def _is(fault: pl.Expr) -> pl.Expr:
    """Nothing known is no fault."""
    return fault.fill_null(value=False)


def _line(mapping: OutputMapping) -> pl.Expr:
    cells = [_quote(_cell_text(column, mapping).fill_null(column.null), mapping) for column in mapping.columns]
    return pl.concat_str(cells, separator=mapping.separator)


def _quote(text: pl.Expr, mapping: OutputMapping) -> pl.Expr:
    if mapping.quote == "":
        return text
    quoted = pl.concat_str(pl.lit('"'), text.str.replace_all('"', '""', literal=True), pl.lit('"'))
    needs_quotes = text.str.contains('"', literal=True) | text.str.contains(mapping.separator, literal=True)
    return pl.when(needs_quotes).then(quoted).otherwise(text)


def _path(mapping: OutputMapping, release: ExportPackage) -> pl.Expr:
    custodians = {name: safe_name(name) for name in release.orders["custodian"].unique()}
    sources = {
        "account_id": pl.col("account_id"),
        "custodian": pl.col("custodian").replace_strict(custodians, return_dtype=pl.String),
    }
    return _fill_pattern(pieces(mapping.files), sources, release.export).alias("path")


def safe_name(custodian: str) -> str:
    """A custodian in a file's name: itself where it is plain, else its letters and digits, a point and a hash of the whole.

    No plain name has a point, so that two custodians never share a name.
    """
    if re.fullmatch(_PLAIN, custodian):
        return custodian
    letters = re.sub("[^A-Za-z0-9]+", "-", custodian).strip("-")[:_LONGEST_NAME] or "custodian"
    return f"{letters}.{hashlib.sha256(custodian.encode()).hexdigest()[:_DIGITS_OF_HASH]}"


def _fill_pattern(pattern: Iterable[Piece], sources: dict[str, pl.Expr], export: Export) -> pl.Expr:
    """A pattern with its names replaced; ``sources`` has those that are not of the export as a whole."""
    of_export = {"run_id": pl.lit(export.run_id), "sequence": pl.lit(str(export.sequence))}
    parts = [pl.lit("")]
    for text, name, spec in pattern:
        parts.append(pl.lit(text))
        if name == "as_of":
            parts.append(pl.lit(export.as_of_date.strftime(spec or ISO)))
        elif name:
            value = (of_export | sources)[name]
            parts.append(value.str.zfill(int(spec)) if spec else value)
    return pl.concat_str(parts)


def _totals(rows: pl.DataFrame) -> pl.DataFrame:
    """Counts and sums of each file's orders, each order once."""
    is_buy = pl.col("side") == Side.BUY
    value = pl.col("estimated_value_usd")
    orders = rows.unique("order_id", keep="first", maintain_order=True)
    return orders.group_by("path").agg(
        pl.col("quantity", "order_amount", "order_quantity", "order_usd").sum(),
        orders=pl.len(),
        accounts=pl.col("account_id").n_unique(),
        buy_orders=is_buy.sum(),
        sell_orders=(~is_buy).sum(),
        buy_value_usd=value.filter(is_buy).sum(),
        sell_value_usd=value.filter(~is_buy).sum(),
    )


def _content(mapping: OutputMapping, export: Export) -> pl.Expr:
    numbers = {name: money_cell(name) if name.endswith("_usd") else number_cell(name) for name in SUMS}
    sources = {name: pl.col(name).cast(pl.String) for name in COUNTS} | {
        name: text.str.replace(".", mapping.decimal, literal=True) for name, text in numbers.items()
    }
    names = mapping.separator.join(_name(column.name, mapping) for column in mapping.columns)
    lines = [
        *(_fill_pattern(pieces(line), sources, export) for line in mapping.header),
        *([pl.lit(names)] if mapping.has_names else []),
        pl.col("body"),
        *(_fill_pattern(pieces(line), sources, export) for line in mapping.trailer),
    ]
    return pl.concat_str([part for line in lines for part in (line, pl.lit(mapping.line_end))])


def _name(name: str, mapping: OutputMapping) -> str:
    needs_quotes = mapping.quote and (mapping.separator in name or '"' in name)
    return '"' + name.replace('"', '""') + '"' if needs_quotes else name

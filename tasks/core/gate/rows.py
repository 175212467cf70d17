"""The rules a row breaks by itself or against the rows of its own table, and how broken rules become quarantine rows.

Assumptions: rows are parsed (``tasks.core.gate.parsing``), ``row_number`` names a row within its table.

1. The Pandera contract runs over the typed columns at once; only offending rows get reasons.
2. A cell that was there and could not be read breaks ``<column>_readable`` and not ``<column>_required``.
3. A line of the wrong length breaks ``line_complete`` and nothing else: its cells may stand in the wrong columns. So does a row that stands
   for a holding whose lots do not add up with ``holding_adds_up``: it is no lot.
4. Every row of a duplicate key breaks the key's rule: we do not guess which is right. A key with a null is no key.
5. What is dated after the as-of date was not so then.

A table's files are laid end to end: row ``n`` of the table stands in the last place with ``first_row <= n``, at row
``n - first_row + 1`` of that file. A table without places stands in one that is called after it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeAlias

import polars as pl

from schemas.landing_columns import dtypes
from schemas.tables import PUBLIC
from tasks.core.gate.contract import (
    WHOLE_ROW_RULES,
    Rule,
    column_rules,
    contract_of,
    not_after,
    readable,
    required_rule,
    unique_key,
)
from tasks.core.gate.parsing import as_json


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file and the landed row that is its first."""

    file_name: str
    first_row: int


Places: TypeAlias = Mapping[str, Sequence[FilePlace]]
"""The places of each landing table, by ``first_row``."""

BROKEN: Final[dict[str, type[pl.DataType]]] = {"row_number": pl.Int64, "rule": pl.String, "sentence": pl.String}
"""Grain: row and rule. ``sentence``: what was found and what was needed, without the file and the row."""
SECURITY_KNOWN: Final = Rule("security_known", "security_id", "a security with a good row in the table securities")
BUY_LIST_KEY: Final = ("model_id", "asset_class", "security_id", "tax_status")
_LONGEST_FOUND: Final = 100


@dataclass(frozen=True, slots=True)
class Checked:
    """A table's parsed rows and the rules they broke (grain: row and rule, as ``BROKEN``)."""

    table: str
    rows: pl.DataFrame
    broken: pl.DataFrame

    @property
    def good(self) -> pl.DataFrame:
        """Rows that broke nothing."""
        return (
            self.rows.join(self.broken, on="row_number", how="anti", maintain_order="left")
            if self.broken.height
            else self.rows
        )

    def with_broken(self, *more: pl.DataFrame) -> "Checked":
        """The same rows with further broken rules."""
        return Checked(self.table, self.rows, pl.concat([self.broken, *more]))


def check_table(table: str, parsed: pl.DataFrame) -> Checked:
    """The rows of a table and the rules of its contract that they broke.

    Raises
    ------
    ValueError
        The frame does not have the contract's types: it was not parsed.
    """
    unparsed = _unparsed_cells(parsed)
    cells = _failures(table, parsed).join(unparsed, on=["index", "column"], how="anti")
    ragged = unparsed.filter(pl.col("column").is_in([rule.column for rule in WHOLE_ROW_RULES]))
    if ragged.height:
        cells = cells.join(ragged, on="index", how="anti")
        unparsed = pl.concat([ragged, unparsed.join(ragged, on="index", how="anti")])
    found = [
        breaches(parsed[group["index"]], _rule(table, str(column), str(check)))
        for (column, check), group in pl.concat([cells, unparsed]).group_by("column", "check")
    ]
    return Checked(table, parsed, pl.concat([pl.DataFrame(schema=BROKEN), *found]))


def with_future(checked: Checked, column: str, as_of: date) -> Checked:
    """The rule broken by rows that are dated after the as-of date."""
    ragged = checked.broken.filter(pl.col("rule").is_in([rule.name for rule in WHOLE_ROW_RULES]))
    late = checked.rows.filter(pl.col(column) > as_of).join(ragged, on="row_number", how="anti")
    return checked.with_broken(breaches(late, not_after(column, as_of)))


def with_unknown(checked: Checked, rule: Rule, known: pl.Series) -> Checked:
    """The rule broken by rows whose identifier is well-formed and not among the known ones."""
    broken_cells = checked.broken.filter(pl.col("rule").is_in(_identity_rules(rule.column)))
    rows = checked.rows.filter(pl.col(rule.column).is_not_null() & ~pl.col(rule.column).is_in(known.implode()))
    if rows.is_empty():
        return checked
    return checked.with_broken(breaches(rows.join(broken_cells, on="row_number", how="anti"), rule))


def _identity_rules(column: str) -> list[str]:
    return [f"{column}_identifier", f"{column}_label", "line_complete"]


def breaches(rows: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """The rule broken by each of the rows; a column the rows lack reads as it stands in ``raw``."""
    found = pl.concat_str([_cell_text(rows, name) for name in rule.column.split(", ")], separator=", ")
    sentence = pl.concat_str([pl.lit(f"{rule.column} is "), found, pl.lit(f"; needed {rule.needed}.")])
    return rows.select("row_number", rule=pl.lit(rule.name), sentence=sentence)


def wrong_sums(rows: pl.DataFrame, *, rule: str, of: str, part: str, weight: str, within: float) -> pl.DataFrame:
    """Rows of each ``of`` whose weights do not sum to 1 within so much, as ``BROKEN``; summed in the order of the parts."""
    off = rows.sort(of, part).with_columns(total=pl.col(weight).sum().over(of))
    off = off.filter((pl.col("total") - 1).abs() > within + 1e-12)
    parts = [
        breaches(
            group, Rule(rule, of, f"{weight} to sum to 1 within {within:g}, found a sum of {group['total'][0]:.9g}")
        )
        for _, group in off.group_by(of, maintain_order=True)
    ]
    return pl.concat([pl.DataFrame(schema=BROKEN), *parts])


def quarantine_rows(checked: Sequence[Checked], places: Places) -> pl.DataFrame:
    """One row for each source row that broke a rule, by table and landed row.

    ``row`` is the row as read (JSON of text and nulls); ``broken_rules`` are joined by a bar and sorted; ``message`` has
    a sentence for each and names the file and the row in it.
    """
    parts = [_table_quarantine(each, places) for each in checked if each.broken.height]
    return pl.concat([pl.DataFrame(schema=PUBLIC["quarantine"]), *parts]).sort("table_name", "landed_row")


def accepted_rows(table: str, parsed: pl.DataFrame, quarantine: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table that are not in quarantine, in their order.

    Good rows of a quarantined account are accepted here; the verdict on the account keeps them from being traded on.
    """
    lost = quarantine.filter(pl.col("table_name") == table).select(row_number="landed_row")
    return parsed.join(lost, on="row_number", how="anti", maintain_order="left") if lost.height else parsed


def whole_files(files: Mapping[str, str]) -> dict[str, tuple[FilePlace, ...]]:
    """The places of tables that stand in one file each."""
    return {table: (FilePlace(name, 1),) for table, name in files.items()}


def with_places(rows: pl.DataFrame, table: str, places: Places) -> pl.DataFrame:
    """``file_name`` and ``row_number`` in that file of each ``landed_row``; sorted by it."""
    known = places.get(table) or (FilePlace(table, 1),)
    starts = pl.DataFrame(
        {"first_row": [place.first_row for place in known], "file_name": [place.file_name for place in known]},
        schema={"first_row": pl.Int64, "file_name": pl.String},
    )
    placed = rows.sort("landed_row").join_asof(
        starts.sort("first_row"), left_on="landed_row", right_on="first_row", coalesce=False
    )
    return placed.with_columns(row_number=pl.col("landed_row") - pl.col("first_row") + 1).drop("first_row")


def account_key(row_number: str = "row_number") -> pl.Expr:
    """The account's identifier, or ``accounts-row-<n>`` where it has none; an account of that very name is quarantined with it."""
    return pl.coalesce("account_id", pl.concat_str(pl.lit("accounts-row-"), row_number)).alias("account_id")


def _key(table: str) -> Sequence[str]:
    return BUY_LIST_KEY if table == "buy_list" else contract_of(table).to_schema().unique or ()


def _rule(table: str, column: str, check: str) -> Rule:
    match check:
        case "readable":
            return readable(table, column)
        case "not_nullable":
            return required_rule(table, column)
        case "unique":
            return unique_key(_key(table))
    return column_rules(table)[column, check]


def _unparsed_cells(parsed: pl.DataFrame) -> pl.DataFrame:
    """Index and column of each cell that was there and could not be read."""
    return (
        parsed.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("index"), column=pl.col("unparsed").str.split("|"))
        .filter(pl.col("column").is_not_null())
        .explode("column")
        .with_columns(check=pl.lit("readable"))
    )


def _failures(table: str, parsed: pl.DataFrame) -> pl.DataFrame:
    """Index, column and check of each breach of the contract; ``unique`` for the key."""
    typed = parsed.select(list(dtypes(table)))
    cases = _breaches_of_contract(table, typed)
    if cases["index"].null_count():
        raise ValueError(f"the rows of {table} were not parsed: {cases['check'].to_list()}")
    cells = cases.filter(pl.col("schema_context") == "Column").select("index", "column", "check")
    twice = (
        _repeated_choices(typed) if table == "buy_list" else cases.filter(pl.col("schema_context") != "Column")["index"]
    )
    key = [name for name in _key(table) if name != "tax_status"]
    whole = (
        typed[twice].select(pl.all_horizontal(pl.col(key).is_not_null())).to_series() if key else twice.is_not_null()
    )
    return pl.concat(
        [cells, pl.DataFrame({"index": twice.filter(whole)}).with_columns(column=pl.lit(""), check=pl.lit("unique"))]
    )


def _breaches_of_contract(table: str, typed: pl.DataFrame) -> pl.DataFrame:
    """Pandera's failure cases; a null index means that the frame as a whole is wrong. A table without rows is not asked about them."""
    none = pl.DataFrame(
        schema={"schema_context": pl.String, "column": pl.String, "check": pl.String, "index": pl.Int64}
    )
    if typed.is_empty() and typed.schema == pl.Schema(dtypes(table)):
        return none
    from pandera.errors import SchemaErrors  # noqa: PLC0415 - as ``contract_of``

    try:
        contract_of(table).validate(typed, lazy=True)
    except SchemaErrors as error:
        cases: pl.DataFrame = error.failure_cases
        return cases.select("schema_context", "column", "check", pl.col("index").cast(pl.Int64))
    return none


def _repeated_choices(typed: pl.DataFrame) -> pl.Series:
    """Index of the rows of a buy list that name a security of a class twice for the same accounts; null means any account."""
    return typed.select(pl.struct(BUY_LIST_KEY).is_duplicated()).to_series().arg_true().cast(pl.Int64)


def _cell_text(rows: pl.DataFrame, column: str) -> pl.Expr:
    """What stands in the column, as text of bounded length without control characters."""
    as_read = pl.col("raw").str.json_path_match(f"$.{column}")
    typed = (
        as_json(rows.select(column)).str.json_path_match(f"$.{column}")
        if column in rows.columns
        else pl.lit(None, dtype=pl.String)
    )
    text = pl.coalesce(as_read, typed).str.replace_all(r"[[:cntrl:]]", "?").str.slice(0, _LONGEST_FOUND)
    return pl.when(text.str.strip_chars() != "").then(text).otherwise(pl.lit("empty"))


def _table_quarantine(checked: Checked, places: Places) -> pl.DataFrame:
    rows = checked.rows.rename({"row_number": "landed_row"})
    reasons = _reasons(checked, places)
    rows = rows.join(reasons, on="landed_row", how="inner", maintain_order="right")
    has_account = "account_id" in rows.columns
    account = pl.col("account_id") if has_account else pl.lit(None, dtype=pl.String).alias("account_id")
    as_typed = as_json(rows.select(list(dtypes(checked.table))))
    found = rows.with_columns(
        account_key("landed_row") if checked.table == "accounts" else account,
        row=pl.coalesce("raw", as_typed),
        table_name=pl.lit(checked.table),
    )
    names = _row_ids(checked.table, found["row"], found["found"])
    return found.with_columns(names).select(PUBLIC["quarantine"].keys())


def _reasons(checked: Checked, places: Places) -> pl.DataFrame:
    """``landed_row, file_name, row_number, broken_rules, found, message`` of each row that broke a rule; ``found``: its sentences without the place."""
    broken = checked.broken.unique().sort("row_number", "rule", "sentence").rename({"row_number": "landed_row"})
    rows = broken.group_by("landed_row", maintain_order=True).agg(
        "sentence", broken_rules=pl.col("rule").unique(maintain_order=True).str.join("|")
    )
    placed = with_places(rows.with_columns(found=pl.col("sentence").list.join("\n")), checked.table, places)
    sentence = pl.format("{} row {}: {}", "file_name", "row_number", "sentence").str.join(" ").alias("message")
    key = ("landed_row", "file_name", "row_number", "broken_rules", "found")
    return placed.explode("sentence").group_by(key, maintain_order=True).agg(sentence)


def _row_ids(table: str, rows: pl.Series, found: pl.Series) -> pl.Series:
    """16 hex digits that name a row by its table, what stood in it, and what was found wrong with it.

    A person who lets it pass has seen just that: where anything else is found in the same row, it has another name.
    """
    texts = zip(rows, found, strict=True)
    ids = [hashlib.sha256(f"{table}\n{row}\n{sentences}".encode()).hexdigest()[:16] for row, sentences in texts]
    return pl.Series("quarantine_id", ids, dtype=pl.String)

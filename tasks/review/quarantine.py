"""Rows that a run set aside, as commands, pages and the API see them: what they were, what they cost, who let them pass.

A row is named by ``quarantine_id``, or by its beginning; rows of one table with the same cells have the same name and are
released together. A release counts for every run of the night's date from then on: the run that set the row aside stays as
it was.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from schemas.errors import DecisionRefused, WrongUsage
from tasks.core.gate import RELEASABLE
from tasks.review.review import MIN_PREFIX, Reader
from warehouse.ledger import Releases, RunRow, Runs

IS_RELEASABLE: Final = (
    pl.col("broken_rules").str.split("|").list.eval(pl.element().is_in(sorted(RELEASABLE))).list.all()
)
"""Whether a person may let the row pass: it only differs from the night before, it does not break its contract."""


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """Which rows are meant; null: no condition."""

    table: str | None = None
    rule: str | None = None
    account: str | None = None

    def holds(self) -> pl.Expr:
        """True for the rows meant."""
        conditions = [pl.lit(value=True)]
        if self.table is not None:
            conditions.append(pl.col("table_name") == self.table)
        if self.rule is not None:
            conditions.append(pl.col("broken_rules").str.split("|").list.contains(self.rule))
        if self.account is not None:
            conditions.append(pl.col("account_id") == self.account)
        return pl.all_horizontal(conditions)


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that a row broke, and what was found and needed; where the two cannot be told apart, all that was."""

    rule: str
    sentence: str
    is_releasable: bool


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One row as it was read, everywhere it stood, and what became of it."""

    quarantine_id: str
    table_name: str
    run_id: str
    cells: dict[str, Any]
    places: tuple[str, ...]
    rules: tuple[BrokenRule, ...]
    account_id: str | None
    cost: str
    is_releasable: bool
    outlook: str


def find_run(runs: Runs, run_id: str | None) -> RunRow:
    """The run of this name; the newest where there is no name.

    Raises
    ------
    WrongUsage
        There is no such run.
    """
    run = runs.newest_run() if run_id is None else runs.get_run(run_id)
    if run is None:
        raise WrongUsage(f"there is no run {run_id or 'yet'}\n\nHint: `trimtab runs` lists them.")
    return run


def quarantined_rows(readmissions: Releases, read: Reader, run: RunRow) -> pl.DataFrame:
    """Rows that the run set aside, by table and landed row, with ``is_releasable`` and ``released_by`` (null: nobody)."""
    by = readmissions.released_rows(run.as_of_date).select("quarantine_id", released_by="actor")
    rows = read("quarantine", run.run_id).with_columns(is_releasable=IS_RELEASABLE)
    return rows.join(by, on="quarantine_id", how="left").sort("table_name", "landed_row", "row_number")


def readmitted_rows(read: Reader, run: RunRow) -> pl.DataFrame:
    """Rows that broke rules and that the run used all the same, because a person had released them."""
    return read("released_rows", run.run_id).sort("table_name", "landed_row")


def _either(readmissions: Releases, read: Reader, run: RunRow) -> pl.DataFrame:
    """Rows set aside and rows let through (``is_used``)."""
    aside = quarantined_rows(readmissions, read, run).with_columns(is_used=pl.lit(value=False))
    return pl.concat([aside, readmitted_rows(read, run).with_columns(is_used=pl.lit(value=True))], how="diagonal")


def resolve(rows: pl.DataFrame, names: Iterable[str]) -> list[str]:
    """Full names of rows given in full or by a beginning of at least ``MIN_PREFIX`` characters.

    Raises
    ------
    WrongUsage
        A beginning is too short, unknown, or shared by several rows.
    """
    known = rows["quarantine_id"].drop_nulls().unique().sort()
    return list(dict.fromkeys(_resolve_one(known, name) for name in names))


def _resolve_one(known: pl.Series, name: str) -> str:
    if len(name) < MIN_PREFIX:
        raise WrongUsage(f"{name!r} is too short; name a row by at least {MIN_PREFIX} characters")
    found: list[str] = known.filter(known.str.starts_with(name)).to_list()
    if not found:
        raise WrongUsage(f"the run has no quarantined row {name}\n\nHint: `trimtab quarantine list` shows them.")
    if len(found) > 1 and name not in found:
        raise WrongUsage(f"{name} is the beginning of several rows, {found[0]} and {found[1]} among them")
    return found[0]


def show(readmissions: Releases, read: Reader, run: RunRow, name: str) -> QuarantinedRow:
    """One row of the run, set aside or let through.

    Raises
    ------
    WrongUsage
        No row, or several, have such a name.
    """
    rows = _either(readmissions, read, run)
    (quarantine_id,) = resolve(rows, [name])
    same = rows.filter(pl.col("quarantine_id") == quarantine_id).to_dicts()
    first = same[0]
    rules = tuple(dict.fromkeys(rule for row in same for rule in _rules(row)))
    return QuarantinedRow(
        quarantine_id=quarantine_id,
        table_name=first["table_name"],
        run_id=run.run_id,
        cells=json.loads(first["row"]),
        places=tuple(f"{row['file_name']} row {row['row_number']}" for row in same),
        rules=rules,
        account_id=first["account_id"],
        cost=_cost_sentence(read, run, first),
        is_releasable=all(rule.is_releasable for rule in rules),
        outlook=_outlook(readmissions, run, first, rules),
    )


def _rules(row: dict[str, Any]) -> list[BrokenRule]:
    """The row's rules, each with its sentence: the message holds them in the same order, each after the file and the row."""
    rules = row["broken_rules"].split("|")
    parts = row["message"].split(f"{row['file_name']} row {row['row_number']}: ")[1:]
    if len(parts) != len(rules):  # a cell quotes such a beginning
        parts = [row["message"]] * len(rules)
    return [BrokenRule(rule, text.strip(), rule in RELEASABLE) for rule, text in zip(rules, parts, strict=True)]


def _cost_sentence(read: Reader, run: RunRow, row: dict[str, Any]) -> str:
    account = row["account_id"]
    if account is None:
        return "The row belongs to no account; accounts that depend on it have broken rules of their own."
    stopped = read("gate", run.run_id).filter(pl.col("account_id") == account)["reason"].to_list()
    reasons = {reason for joined in stopped for reason in joined.split("|")}
    if reasons & {f"{row['table_name']}:{rule}" for rule in row["broken_rules"].split("|")}:
        return f"Account {account} is not traded in this run because of it."
    return f"It does not keep account {account} from being traded."


def _outlook(readmissions: Releases, run: RunRow, row: dict[str, Any], rules: Sequence[BrokenRule]) -> str:
    """Whether the row can be released, or was, and what to do."""
    again = f"run the night again: `{again_with(run)}`."
    released = readmissions.released_rows(run.as_of_date).filter(pl.col("quarantine_id") == row["quarantine_id"])
    for by, note, at in released.select("actor", "note", "released_at").rows():
        then = "this run used it." if row["is_used"] else f"that counts once you {again}"
        return f"Released by {by} on {at:%Y-%m-%d %H:%M} UTC ({note}); {then}"
    lasting = [rule.rule for rule in rules if not rule.is_releasable]
    if lasting:
        return (
            f"It cannot be released: {', '.join(lasting)} cannot be waved through, a row that breaks it cannot be traded "
            f"on. Mend the row at its source, then {again}"
        )
    return f"A reviewer may release it, `trimtab quarantine release {row['quarantine_id']} --note WHY`; then {again}"


def again_with(run: RunRow) -> str:
    """The command that runs the night of a run again."""
    return f"trimtab nightly --as-of {run.as_of_date}"


def readmit_rows(
    readmissions: Releases, read: Reader, run: RunRow, names: Iterable[str], *, actor: str, note: str, now: datetime
) -> list[str]:
    """Let rows pass for the night's date, all or none; the ids of those that were not released before.

    Raises
    ------
    WrongUsage
        A name is no row's, or the note is empty.
    DecisionRefused
        The actor may not, or a row breaks a rule that cannot be waved through.
    """
    rows = _either(readmissions, read, run)
    chosen = rows.filter(pl.col("quarantine_id").is_in(resolve(rows, names)))
    for row in chosen.filter(~IS_RELEASABLE).rows(named=True):
        lasting = [rule for rule in row["broken_rules"].split("|") if rule not in RELEASABLE]
        raise DecisionRefused(
            f"nothing was released: {row['quarantine_id']} ({row['file_name']} row {row['row_number']}) breaks "
            f"{', '.join(lasting)}, and a row that does cannot be traded on\n\n"
            f"Hint: mend the row at its source. Released can be what breaks only {', '.join(sorted(RELEASABLE))}."
        )
    known = set(readmissions.released_rows(run.as_of_date)["quarantine_id"])
    readmissions.release_rows(run.run_id, chosen, actor=actor, note=note, now=now)
    return sorted(set(chosen["quarantine_id"]) - known)

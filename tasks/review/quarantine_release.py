"""Let rows pass that only differ from the night before: named one by one, or all of one event; all of them or none, with one note.

A release counts for every run of the night's date from then on: the run that set the row aside stays as it was. It covers what was found
in the row when it was released (``quarantine_id``), and of rows that rules are to find only those that broke no other rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from schemas.errors import DecisionRefused, WrongUsage
from tasks.core.gate import RELEASABLE
from tasks.review.quarantine import (
    IS_RELEASABLE,
    QuarantineFilter,
    QuarantineStores,
    SetAside,
    either,
    resolve,
    set_aside,
)

EVERY_ROW: Final = QuarantineFilter()


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """What a release would let pass. Rows are as ``set_aside`` has them."""

    rows: pl.DataFrame
    """Rows that would pass, and that nobody has released before."""
    lasting: pl.DataFrame
    """Rows that match the conditions and cannot be released."""
    unnamed: pl.DataFrame
    """Rows that match them, and broke a rule too that is not among those named."""
    other_rules: tuple[str, ...]
    """Those rules."""
    kept: tuple[str, ...]
    """Accounts of the rows that stay quarantined all the same: for other rows."""

    @property
    def accounts(self) -> list[str]:
        """Accounts of the rows that would pass."""
        found: list[str] = self.rows["account_id"].drop_nulls().unique().sort().to_list()
        return found


def plan_release(at: QuarantineStores, names: Sequence[str] = (), wanted: QuarantineFilter = EVERY_ROW) -> ReleasePlan:
    """What would be released: the rows named, or every releasable row that the conditions mean.

    Raises
    ------
    WrongUsage
        Neither or both are given, a name is no row's, or no row is meant.
    DecisionRefused
        A row that is named, or each that is meant, breaks a rule that cannot be waved through.
    """
    if bool(names) != wanted.is_empty:
        raise WrongUsage("say what to release: either rows, or --rule, --security, --account, --table")
    aside = set_aside(at)
    if not names:
        meant = aside.rows.filter(wanted.holds())
        lasting = meant.filter(~IS_RELEASABLE)
        _need_any(aside, at, meant, lasting, wanted)
        meant = meant.filter(IS_RELEASABLE)
        unnamed = meant.filter(_other_rules(wanted).list.len() > 0)
        others = tuple(unnamed.select(_other_rules(wanted).explode().unique().sort()).to_series())
        _need_named(meant, unnamed, others, wanted)
        meant = meant.join(unnamed, on="quarantine_id", how="anti", maintain_order="left")
    else:
        rows = either(aside, at)
        meant = rows.filter(pl.col("quarantine_id").is_in(resolve(rows, names)))
        lasting, unnamed, others = meant.clear(), meant.clear(), ()
        _need_releasable(meant)
    known = at.readmissions.released_rows(at.run.as_of_date)["quarantine_id"]
    new = meant.filter(~pl.col("quarantine_id").is_in(known.implode()))
    return ReleasePlan(new, lasting, unnamed, others, _kept(aside, new, known))


def readmit_rows(at: QuarantineStores, plan: ReleasePlan, *, actor: str, note: str, now: datetime) -> list[str]:
    """Let the rows of a plan pass for the night's date, all or none; the ids of those that were not released before.

    Raises
    ------
    WrongUsage
        The note is empty.
    DecisionRefused
        The actor may not.
    """
    known = set(at.readmissions.released_rows(at.run.as_of_date)["quarantine_id"])
    at.readmissions.release_rows(at.run.run_id, plan.rows, actor=actor, note=note, now=now)
    return sorted(set(plan.rows["quarantine_id"]) - known)


def _need_releasable(rows: pl.DataFrame) -> None:
    for row in rows.filter(~IS_RELEASABLE).rows(named=True):
        raise DecisionRefused(
            f"nothing was released: {row['quarantine_id']} ({row['file_name']} row {row['row_number']}) breaks "
            f"{', '.join(_lasting_rules([row['broken_rules']]))}, and a row that does cannot be traded on\n\n"
            f"Hint: mend the row at its source. Released can be what breaks only {', '.join(sorted(RELEASABLE))}."
        )


def _other_rules(wanted: QuarantineFilter) -> pl.Expr:
    """Of a row, the rules that it broke beside those named; none where no rule is named."""
    rules = pl.col("broken_rules").str.split("|")
    return rules.list.set_difference(list(wanted.rule)) if wanted.rule else rules.list.head(0)


def _need_named(meant: pl.DataFrame, unnamed: pl.DataFrame, others: Sequence[str], wanted: QuarantineFilter) -> None:
    if meant.height and meant.height == unnamed.height:
        raise DecisionRefused(
            f"nothing was released: {_rows(unnamed.height)} of {wanted.text} broke {', '.join(others)} too\n\n"
            f"Hint: `trimtab quarantine show ID` says what was found; {' '.join(f'--rule {one}' for one in others)} covers it as well."
        )


def _need_any(
    aside: SetAside, at: QuarantineStores, meant: pl.DataFrame, lasting: pl.DataFrame, wanted: QuarantineFilter
) -> None:
    if meant.is_empty():
        rules = aside.rows.filter(IS_RELEASABLE)["broken_rules"].str.split("|").explode().drop_nulls().unique().sort()
        hint = (
            f"rows that can be released break {', '.join(rules)}."
            if rules.len()
            else "none of its rows can be released."
        )
        raise WrongUsage(f"nothing was released: {at.run.run_id} set aside no row of {wanted.text}\n\nHint: {hint}")
    if meant.height == lasting.height:
        causes = [one["text"] for one in aside.causes_of(lasting)]
        behind = f" What stands behind: {'; '.join(causes[:3])}." if causes else ""
        raise DecisionRefused(
            f"nothing was released: {_rows(lasting.height)} of {wanted.text} broke "
            f"{', '.join(_lasting_rules(lasting['broken_rules']))}, and a row that does cannot be traded on.{behind}\n\n"
            f"Hint: mend them at their source. Released can be what breaks only {', '.join(sorted(RELEASABLE))}."
        )


def _rows(count: int) -> str:
    return "the one row" if count == 1 else f"all {count:,} rows"


def _lasting_rules(broken: Sequence[str] | pl.Series) -> list[str]:
    return sorted({rule for joined in broken for rule in joined.split("|")} - RELEASABLE)


def _kept(aside: SetAside, rows: pl.DataFrame, known: pl.Series) -> tuple[str, ...]:
    """Accounts of the rows that rows beside them, and beside those released before, keep quarantined."""
    accounts = rows.select("account_id").drop_nulls().unique()
    passed = pl.concat([rows["quarantine_id"], known])
    others = aside.rows.filter((pl.col("accounts") > 0) & ~pl.col("quarantine_id").is_in(passed.implode()))
    found = pl.concat(
        [others.filter(pl.col("kind") != "cause").select("account_id"), aside.traced.costs.select("account_id")]
    )
    return tuple(accounts.join(found, on="account_id", how="semi")["account_id"].sort())

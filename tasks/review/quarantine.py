"""Rows that a run set aside, as commands and pages see them: what they were, what they cost, what stands behind them.

A row is named by ``quarantine_id``, or by its beginning; rows of one table with the same cells, of which the same was found, have the
same name and are released together (``quarantine_release``). Causes come first, then rows of the accounts' own; what is only a consequence is
last.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl

from schemas.enums import Outcome
from schemas.errors import WrongUsage
from tasks.core.gate import CAUSE, RELEASABLE, Traced, causes_in_words, trace
from tasks.review.quarantine_words import cost_sentence, outlook, source_sentence
from tasks.review.review import MIN_PREFIX, Reader
from warehouse.lake import Lake
from warehouse.ledger import Inputs, Releases, RunRow, Runs

IS_RELEASABLE: Final = (
    pl.col("broken_rules").str.split("|").list.eval(pl.element().is_in(sorted(RELEASABLE))).list.all()
)
"""Whether a person may let the row pass: it only differs from the night before, it does not break its contract."""

_ABOUT: Final = r": (?:quantity|rule) of ([A-Za-z0-9._-]+) is "
"""How sentences begin that are about a security of which an account has no row."""

MOST_EVENTS: Final = 5
"""How many sentences say what can be released together."""


@dataclass(frozen=True, slots=True)
class QuarantineStores:
    """Rows that people let pass, what was read, the lake's readers, and the run that is looked at."""

    readmissions: Releases
    runs: Runs
    inputs: Inputs
    read: Reader
    read_account: Callable[[str, str, str], pl.DataFrame]
    run: RunRow

    @classmethod
    def of(
        cls, readmissions: Releases, runs: Runs, inputs: Inputs, lake: Lake, run_id: str | None
    ) -> "QuarantineStores":
        """Of a run; the newest where there is no name.

        Raises
        ------
        WrongUsage
            There is no such run.
        """
        return cls(readmissions, runs, inputs, lake.read, lake.read_account, find_run(runs, run_id))


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """Which rows are meant: any of the values given of each kind; none: no condition."""

    table: tuple[str, ...] = ()
    rule: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    security: tuple[str, ...] = ()

    def holds(self) -> pl.Expr:
        """True for the rows meant."""
        conditions = [pl.lit(value=True)]
        for column, values in (("table_name", self.table), ("account_id", self.account)):
            if values:
                conditions.append(pl.col(column).is_in(values).fill_null(value=False))
        if self.security:
            others = pl.col("security_id").str.split("|").list.set_difference(list(self.security))
            conditions.append((others.list.len() == 0).fill_null(value=False))
        if self.rule:
            conditions.append(
                pl.col("broken_rules").str.split("|").list.set_intersection(list(self.rule)).list.len() > 0
            )
        return pl.all_horizontal(conditions)

    @property
    def is_empty(self) -> bool:
        """Whether every row is meant."""
        return not (self.table or self.rule or self.account or self.security)

    @property
    def text(self) -> str:
        """The conditions in words."""
        kinds = (("table", self.table), ("rule", self.rule), ("account", self.account), ("security", self.security))
        return ", ".join(f"{kind} {' or '.join(values)}" for kind, values in kinds if values)


@dataclass(frozen=True, slots=True)
class SetAside:
    """What a run set aside. ``rows``: the table ``quarantine`` as ``trace`` sorts it, with ``security_id``, ``is_releasable`` and ``released_by`` (null: nobody)."""

    rows: pl.DataFrame
    traced: Traced

    def matching(self, wanted: QuarantineFilter) -> pl.DataFrame:
        """The rows meant, and causes that cost an account meant."""
        costs = self.traced.costs.filter(pl.col("account_id").is_in(wanted.account)).select(CAUSE).unique()
        causes = self.rows.filter(replace(wanted, account=()).holds(), kind="cause")
        causes = causes.join(costs, on=CAUSE, how="semi", nulls_equal=True)
        meant = pl.concat(
            [
                self.rows.filter(wanted.holds()).select("table_name", "landed_row"),
                causes.select("table_name", "landed_row"),
            ]
        )
        return self.rows.join(
            meant, on=("table_name", "landed_row"), how="semi", nulls_equal=True, maintain_order="left"
        )

    def causes_of(self, rows: pl.DataFrame) -> list[dict[str, Any]]:
        """Causes that are among the rows or that one of them is a consequence of, as ``causes_in_words``, dearest first."""
        causes = self.traced.causes
        among = rows.filter(kind="cause").select(CAUSE)
        behind = self.traced.behind.join(rows, on=("table_name", "landed_row"), how="semi", nulls_equal=True)
        behind = behind.select(table_name="cause_table", broken_rules="cause_rules", name="cause_name")
        meant = pl.concat([among, behind]).unique()
        found = causes.join(meant, on=CAUSE, how="semi", nulls_equal=True, maintain_order="left")
        return causes_in_words(found)

    def accounts_of(self, rows: pl.DataFrame) -> list[str]:
        """Accounts that are not traded because of the rows, sorted."""
        own = rows.filter((pl.col("accounts") > 0) & (pl.col("kind") != "cause"))["account_id"]
        costs = self.traced.costs.join(rows.filter(kind="cause"), on=CAUSE, how="semi", nulls_equal=True)["account_id"]
        return pl.concat([own, costs]).unique().sort().to_list()


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that a row broke, and what was found and needed; where the two cannot be told apart, all that was."""

    rule: str
    sentence: str
    is_releasable: bool


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One row as it was read, everywhere it stood, what stands behind it and what became of it. ``costs``: accounts not traded because of it."""

    quarantine_id: str
    table_name: str
    run_id: str
    cells: dict[str, Any]
    places: tuple[str, ...]
    rules: tuple[BrokenRule, ...]
    account_id: str | None
    costs: tuple[str, ...]
    behind: tuple[str, ...]
    cost: str
    source: str
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


def set_aside(at: QuarantineStores) -> SetAside:
    """What the run set aside, causes first."""
    by = at.readmissions.released_rows(at.run.as_of_date).select("quarantine_id", released_by="actor")
    stopped = at.read("gate", at.run.run_id).filter(outcome=str(Outcome.QUARANTINED))
    traced = trace(at.read("quarantine", at.run.run_id), stopped)
    rows = traced.rows.with_columns(is_releasable=IS_RELEASABLE, security_id=_security())
    return SetAside(rows.join(by, on="quarantine_id", how="left", maintain_order="left"), traced)


def readmitted_rows(at: QuarantineStores) -> pl.DataFrame:
    """Rows that broke rules and that the run used all the same, because a person had released them; with ``security_id``."""
    rows = at.read("released_rows", at.run.run_id).with_columns(security_id=_security())
    return rows.sort("table_name", "landed_row")


def _security() -> pl.Expr:
    """The security that a row names, as it was read; of an account's row those that its rules are about, joined by a bar."""
    named = pl.col("row").str.json_path_match("$.security_id").str.strip_chars()
    about = (
        pl.col("message").str.extract_all(_ABOUT).list.eval(pl.element().str.extract(_ABOUT)).list.unique().list.sort()
    )
    is_about = (pl.col("table_name") == "accounts") & (about.list.len() > 0)
    return pl.when(is_about).then(about.list.join("|")).otherwise(named)


def either(aside: SetAside, at: QuarantineStores) -> pl.DataFrame:
    """Rows set aside and rows let through (``is_used``)."""
    used = readmitted_rows(at).with_columns(is_used=pl.lit(value=True), is_releasable=IS_RELEASABLE)
    return pl.concat([aside.rows.with_columns(is_used=pl.lit(value=False)), used], how="diagonal")


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


def show(at: QuarantineStores, name: str) -> QuarantinedRow:
    """One row of the run, set aside or let through.

    Raises
    ------
    WrongUsage
        No row, or several, have such a name.
    """
    aside = set_aside(at)
    rows = either(aside, at)
    (quarantine_id,) = resolve(rows, [name])
    found = rows.filter(quarantine_id=quarantine_id)
    same = found.to_dicts()
    first = same[0]
    rules = tuple(dict.fromkeys(rule for row in same for rule in _rules(row)))
    causes = aside.causes_of(found.filter(kind="consequence").select(aside.rows.columns))
    costs = aside.accounts_of(found)
    released = at.readmissions.released_rows(at.run.as_of_date).filter(quarantine_id=quarantine_id).to_dicts()
    return QuarantinedRow(
        quarantine_id=quarantine_id,
        table_name=first["table_name"],
        run_id=at.run.run_id,
        cells=json.loads(first["row"]),
        places=tuple(f"{row['file_name']} row {row['row_number']}" for row in same),
        rules=rules,
        account_id=first["account_id"],
        costs=tuple(costs),
        behind=tuple(f"{one['text']}, {one['quarantine_id']}" for one in causes),
        cost=cost_sentence(first, costs),
        source=source_sentence(first, at.inputs.inputs_of(at.run.run_id), at.run, _custodian(at, first)),
        is_releasable=all(rule.is_releasable for rule in rules),
        outlook=outlook(first, [rule.rule for rule in rules if not rule.is_releasable], released, at.run),
    )


def events(rows: pl.DataFrame) -> list[str]:
    """A sentence for each rule and security that several rows broke and that can be released together; what most broke first."""
    may_pass = rows.filter("is_releasable", pl.col("released_by").is_null(), pl.col("security_id").is_not_null())
    found = may_pass.group_by("broken_rules", "security_id").agg(
        rows=pl.len(), accounts=pl.col("account_id").n_unique()
    )
    found = found.filter(pl.col("rows") > 1).sort(
        "rows", "broken_rules", "security_id", descending=[True, False, False]
    )
    return [
        f"{one['rows']:,} rows of {one['accounts']:,} accounts broke {one['broken_rules'].replace('|', ' and ')} on "
        f"{one['security_id'].replace('|', ' and ')}; `trimtab quarantine release --rule {one['broken_rules'].replace('|', ' --rule ')} --security "
        f"{one['security_id'].replace('|', ' --security ')} --dry-run` shows what would be released together."
        for one in found.head(MOST_EVENTS).to_dicts()
    ]


def _rules(row: Mapping[str, Any]) -> list[BrokenRule]:
    """The row's rules, each with its sentence: the message holds them in the same order, each after the file and the row."""
    rules = row["broken_rules"].split("|")
    parts = row["message"].split(f"{row['file_name']} row {row['row_number']}: ")[1:]
    if len(parts) != len(rules):  # a cell quotes such a beginning
        parts = [row["message"]] * len(rules)
    return [BrokenRule(rule, text.strip(), rule in RELEASABLE) for rule, text in zip(rules, parts, strict=True)]


def _custodian(at: QuarantineStores, row: Mapping[str, Any]) -> str | None:
    """Who holds the row's account; null where that is not known."""
    if row["account_id"] is None:
        return None
    found: list[str | None] = at.read_account("landed_accounts", at.run.run_id, row["account_id"])[
        "custodian"
    ].to_list()
    return found[0] if len(set(found)) == 1 else None

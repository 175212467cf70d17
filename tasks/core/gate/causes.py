"""What stands behind quarantined rows and accounts: the rows that are causes, what they cost, and the rows that are only consequences.

1. Some rules look a name up in another table (``cause_links``): the price of a lot's security, the model of an account. A row that breaks
   nothing else is a consequence of what is there under that name: rows set aside that could mean it (``spellings``), else rows set
   aside that name nothing, else that no good row came.
2. Consequences are followed to their end: account, household, model, row of the model.
3. A row of an account that was not delivered costs the accounts that it could mean (``strays``); one that names nothing, those that
   lack a row of its table and that no other could mean.
4. Rows that fail together are one cause: the rows of a key that came twice, of a model whose weights do not sum to 1.

Whether an account is quarantined is the gate's verdict, and only read here: a cause costs it where its verdict holds the rule
that leads to the cause. That no good row came is a cause only where it costs somebody: prices of securities that nobody delivers, and
trades of those that are delisted, stand for themselves.

In words, files, rows and rules are named, never an account: Prefect's database holds none.

Known limits: a line of the wrong length, and a row with neither name nor account, may stand behind what it has nothing to do with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from schemas.landing_columns import IDENTIFIER
from tasks.core.gate.cause_links import (
    OF_MODELS,
    cell,
    find_links,
    followed,
    is_named,
    standing_for,
    with_effect,
    with_meaning,
)
from tasks.core.gate.strays import ACCOUNT_KNOWN, OF_CLASSES, STRAY_TABLES

CAUSE: Final = ("table_name", "broken_rules", "name")
"""What causes are told apart by. ``name``: what the rows are about, as it was read; null: nothing that can be read. ``broken_rules``: of a cause
without a row, the rule that misses it."""
PLACE: Final = pl.format("{} row {}", "file_name", "row_number")
COSTS: Final = {**dict.fromkeys(CAUSE, pl.String), "account_id": pl.String}
_NAMES: Final = {
    "securities": "security_id",
    "prices": "security_id",
    "corporate_actions": "security_id",
    "policies": "policy_id",
    "households": "household_id",
    "investors": "investor_id",
    "ladder": "model_id",
    "glide_paths": "glide_path_id",
    "index_weights": "index_id",
    **dict.fromkeys(OF_MODELS, "model_id"),
}
NAMED: Final = 3
"""How many causes, rules and rows of one cause a sentence names; `trimtab quarantine list` has all."""


@dataclass(frozen=True, slots=True)
class Traced:
    """Rows set aside, as causes and consequences."""

    rows: pl.DataFrame
    """The rows given, with ``kind`` {cause, own, consequence}, ``name`` (as in ``CAUSE``) and ``accounts``: how many it costs. ``own``: a row
    of an account that breaks a rule by itself. By kind, cost (dearest first), table and row."""
    costs: pl.DataFrame
    """``COSTS``, grain: cause and account quarantined because of it."""
    behind: pl.DataFrame
    """``table_name, landed_row`` of a row, the ``CAUSE`` (as ``cause_table, cause_rules, cause_name``) that it is a consequence of, and over how
    many ``steps``; 0: of nothing between."""

    @property
    def causes(self) -> pl.DataFrame:
        """``CAUSE`` with ``rows``, ``accounts`` and ``rows_behind``, how many each is or costs; dearest first.

        ``rows`` is 0 where no good row came. ``places``: where its rows stand, else the first row that misses one; ``quarantine_id`` and
        ``message`` are of the first of these.
        """
        by_place = pl.col("table_name"), pl.col("landed_row")
        own = self.rows.filter(kind="cause").sort(by_place)
        first = pl.col("quarantine_id", "message").first()
        found = own.group_by(CAUSE).agg(first, rows=pl.len(), places=PLACE)
        behind = self.behind.join(self.rows, on=("table_name", "landed_row"), nulls_equal=True).sort("steps", *by_place)
        keys = {"cause_table": "table_name", "cause_rules": "broken_rules", "cause_name": "name"}
        behind = behind.drop("table_name", "broken_rules", "name").rename(keys)
        missed = behind.group_by(CAUSE).agg(
            rows_behind=pl.len(),
            missing_at=PLACE.first(),
            missing_id=pl.col("quarantine_id").first(),
            missing_message=pl.col("message").first(),
        )
        of_accounts = self.rows.filter(kind="own").select(CAUSE).unique()
        missed = missed.join(of_accounts, on=CAUSE, how="anti", nulls_equal=True)
        accounts = self.costs.group_by(CAUSE).agg(accounts=pl.len())
        for more in (missed, accounts):
            found = found.join(more, on=CAUSE, how="full", nulls_equal=True, coalesce=True)
        counts = pl.col("rows", "accounts", "rows_behind").fill_null(0).cast(pl.Int64)
        return (
            found.with_columns(
                counts,
                places=pl.coalesce("places", pl.concat_list("missing_at")),
                quarantine_id=pl.coalesce("quarantine_id", "missing_id"),
                message=pl.coalesce("message", "missing_message"),
            )
            .drop("missing_at", "missing_id", "missing_message")
            .sort("accounts", *CAUSE, descending=[True, False, False, False])
        )

    @property
    def own(self) -> pl.DataFrame:
        """``broken_rules, accounts, rows`` of what accounts were quarantined for by rows of their own; what costs most first."""
        own = self.rows.filter(pl.col("accounts") > 0, kind="own").group_by("broken_rules")
        found = own.agg(accounts=pl.col("account_id").n_unique().cast(pl.Int64), rows=pl.len().cast(pl.Int64))
        return found.sort("accounts", "broken_rules", descending=[True, False])


def trace(quarantine: pl.DataFrame, gate: pl.DataFrame) -> Traced:
    """What stands behind what.

    Parameters
    ----------
    quarantine
        The table of that name, of a whole run.
    gate
        ``account_id, reason`` of the accounts that are quarantined.
    """
    reasons = gate.select("account_id", reason=pl.col("reason").str.split("|")).explode("reason")
    rows = quarantine.with_columns(name=_name(), has_account=_has_account(reasons)).with_row_index("at")
    lacking = {table: _lacking(table, reasons) for table in STRAY_TABLES}
    rows = with_meaning(rows, lacking)
    found = find_links(rows)
    ends = followed(found, rows.filter(~pl.col("at").is_in(_only_links(rows, found).implode())))
    by_links = _by_links(ends, reasons)
    ends = with_effect(ends, by_links)
    is_explained = pl.col("at").is_in(_only_links(rows, ends).implode())
    costs = pl.concat([by_links, _by_strays(rows.filter(~is_explained), lacking)]).unique().sort(pl.all())
    kind = (
        pl.when(is_explained)
        .then(pl.lit("consequence"))
        .when("has_account")
        .then(pl.lit("own"))
        .otherwise(pl.lit("cause"))
    )
    return Traced(
        rows=_dearest_first(rows.with_columns(kind=kind), costs, reasons),
        costs=costs,
        behind=ends.group_by(
            "table_name", "landed_row", cause_table="to_table", cause_rules="to_rules", cause_name="to_name"
        )
        .agg(pl.col("steps").min())
        .sort(pl.all()),
    )


def _name() -> pl.Expr:
    """What a row is about, as it was read: the name that its table looks things up by, else its account, else its line."""
    cells = pl.col("row")
    by_table = pl.lit(None, dtype=pl.String)
    for column in dict.fromkeys(_NAMES.values()):
        of_column = pl.col("table_name").is_in([table for table, name in _NAMES.items() if name == column])
        by_table = pl.when(of_column).then(cell(column)).otherwise(by_table)
    text = pl.coalesce(cells.str.json_path_match("$.line"), by_table, cell("account_id")).str.strip_chars()
    return pl.when(text != "").then(text)


def _has_account(reasons: pl.DataFrame) -> pl.Expr:
    """Whether the row is one of an account that was delivered."""
    account, rules = pl.col("account_id"), pl.col("broken_rules").str.split("|")
    is_one = account.str.contains(IDENTIFIER) | account.is_in(reasons["account_id"].unique().implode())
    return is_one.fill_null(value=False) & ~rules.list.contains(ACCOUNT_KNOWN)


def _only_links(rows: pl.DataFrame, links: pl.DataFrame) -> pl.Series:
    """``at`` of the rows of which every rule is a link."""
    found = links.group_by("at").agg(pl.col("rule").n_unique())
    rules = rows.select("at", count=pl.col("broken_rules").str.split("|").list.len())
    return found.join(rules, on="at").filter(pl.col("rule") == pl.col("count"))["at"]


def _by_links(ends: pl.DataFrame, reasons: pl.DataFrame) -> pl.DataFrame:
    """``COSTS`` of rows of accounts that are consequences, where the verdict on the account has their rule."""
    costly = ends.filter("has_account").with_columns(reason=pl.concat_str("table_name", pl.lit(":"), "rule"))
    found = costly.join(reasons, on=("account_id", "reason"), how="semi")
    return found.select(table_name="to_table", broken_rules="to_rules", name="to_name", account_id="account_id")


def _lacking(table: str, reasons: pl.DataFrame) -> pl.Series:
    """Accounts that lost a row of the table which no account that was delivered has."""
    return reasons.filter(reason=f"{table}:{ACCOUNT_KNOWN}")["account_id"].unique().sort()


def _by_strays(rows: pl.DataFrame, lacking: Mapping[str, pl.Series]) -> pl.DataFrame:
    """``COSTS`` of rows of accounts that were not delivered."""
    parts = [pl.DataFrame(schema=COSTS)]
    for table in STRAY_TABLES:
        about = "asset_class" if table in OF_CLASSES else "security_id"
        could_be_anybodys = cell(about).is_not_null() | pl.col("row").str.json_path_match("$.line").is_not_null()
        strays = rows.filter(~pl.col("has_account") & (is_named() | could_be_anybodys), table_name=table)
        if strays.is_empty() or lacking[table].is_empty():
            continue
        found = standing_for(lacking[table], strays)
        costs = strays.join(found, left_on="at", right_on="to").select(*CAUSE, account_id="missing")
        parts.append(costs)
    return pl.concat(parts)


def _dearest_first(rows: pl.DataFrame, costs: pl.DataFrame, reasons: pl.DataFrame) -> pl.DataFrame:
    """The rows with ``accounts``, sorted."""
    of_causes = costs.group_by(CAUSE).agg(accounts=pl.len())
    rules = rows.with_columns(rule=pl.col("broken_rules").str.split("|")).explode("rule")
    costly = rules.with_columns(reason=pl.concat_str("table_name", pl.lit(":"), "rule"))
    costly = costly.join(reasons, on=("account_id", "reason"), how="semi")
    is_costly = pl.col("at").is_in(costly["at"].unique().implode())
    counted = rows.join(of_causes, on=CAUSE, how="left", nulls_equal=True)
    accounts = pl.when(kind="cause").then(pl.col("accounts").fill_null(0)).otherwise(is_costly.cast(pl.UInt32))
    rank = pl.col("kind").replace_strict({"cause": 0, "own": 1, "consequence": 2}, return_dtype=pl.Int8)
    return (
        counted.with_columns(accounts.cast(pl.Int64).alias("accounts"), rank=rank)
        .sort("rank", -pl.col("accounts"), "table_name", "landed_row", "row_number")
        .drop("at", "has_account", "rank")
    )


def cause_text(cause: Mapping[str, Any]) -> str:
    """A row of ``Traced.causes``: which rows, or that none came, and the rules: ``prices.csv row 7 (price_usd_positive)``."""
    rules = ", ".join(cause["broken_rules"].split("|"))
    if cause["rows"]:
        return f"{_some(cause['places'])} ({rules})"
    return f"no good row of {cause['name']} in {cause['table_name']} ({rules}; {cause['places'][0]} needs it)"


def causes_in_words(causes: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of ``Traced.causes`` with ``text``, which rows each is, and ``found``, what the first of them was found to be."""
    return [
        {**one, "text": cause_text(one), "found": (one["message"] or "").removeprefix(f"{one['places'][0]}: ")}
        for one in causes.to_dicts()
    ]


def behind_sentence(traced: Traced) -> str:
    """What cost accounts the night, dearest first: causes, then rows of the accounts' own. Empty where nothing did."""
    causes = traced.causes.filter(pl.col("accounts") > 0)
    said = [f"{cause_text(cause)} cost {_accounts(cause['accounts'])}" for cause in causes.head(NAMED).to_dicts()]
    if causes.height > NAMED:
        said.append(f"{causes.height - NAMED:,} more causes")
    own = traced.own
    if own.height:
        rules = [f"{row['broken_rules'].replace('|', ' and ')} {row['accounts']:,}" for row in own.to_dicts()]
        rows = traced.rows.filter(pl.col("accounts") > 0, kind="own")["account_id"].n_unique()
        said.append(f"rows of their own cost {_accounts(rows)} ({_some(rules)})")
    return f"{'; '.join(said)}." if said else ""


def _accounts(count: int) -> str:
    return f"{count:,} account{'' if count == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    """A few, and how many more."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

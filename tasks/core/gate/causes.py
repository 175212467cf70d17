"""What stands behind quarantined rows and accounts: the rows that are causes, what they cost, and the rows that are only consequences.

1. Some rules look a name up in another table (``_LOOKED_UP``): the price of a lot's security, the model of an account. A row that breaks
   nothing else is a consequence of what is there under that name: rows set aside that could mean it (``spellings``), else rows set
   aside that name nothing, else that no good row came.
2. Consequences are followed to their end: account, household, model, row of the model.
3. A row of an account that was not delivered costs the accounts that it could mean (``strays``); one that names nothing, those that
   lack a row of its table and that no other could mean.
4. Rows that fail together are one cause: the rows of a key that came twice, of a model whose weights do not sum to 1.

Whether an account is quarantined is the gate's verdict, and only read here: a cause costs it where its verdict holds the rule
that leads to the cause. That no good row came is a cause only where it costs somebody: prices of securities that nobody delivers, and
trades of those that are delisted, stand for themselves.

Known limits: a line of the wrong length, and a row with neither name nor account, may stand behind what it has nothing to do with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.landing import IDENTIFIER
from tasks.core.gate.strays import ACCOUNT_KNOWN, STRAY_TABLES, meant_by

CAUSE: Final = ("table_name", "broken_rules", "name")
"""What causes are told apart by. ``name``: what the rows are about, as it was read; null: nothing that can be read. ``broken_rules``: of a cause
without a row, the rule that misses it."""
PLACE: Final = pl.format("{} row {}", "file_name", "row_number")
COSTS: Final = {**dict.fromkeys(CAUSE, pl.String), "account_id": pl.String}
_OF_MODELS: Final = ("model_targets", "buy_list", "location_preferences")
_LOOKED_UP: Final[Mapping[tuple[str, str], tuple[str, tuple[str, ...]]]] = {
    ("prices", "security_known"): ("security_id", ("securities",)),
    ("buy_list", "security_known"): ("security_id", ("securities",)),
    ("buy_list", "model_known"): ("model_id", ("model_targets",)),
    ("location_preferences", "model_known"): ("model_id", ("model_targets",)),
    ("model_targets", "model_whole"): ("model_id", ("model_targets",)),
    ("households", "model_known"): ("model_id", _OF_MODELS),
    ("households", "policy_known"): ("policy_id", ("policies",)),
    ("accounts", "model_known"): ("model_id", _OF_MODELS),
    ("accounts", "policy_known"): ("policy_id", ("policies",)),
    ("accounts", "household_whole"): ("household_id", ("households",)),
    ("lots", "security_known"): ("security_id", ("securities",)),
    ("lots", "security_has_price"): ("security_id", ("prices",)),
    ("trades", "security_known"): ("security_id", ("securities",)),
    ("restrictions", "security_known"): ("security_id", ("securities",)),
    ("accounts", "cash_present"): ("account_id", ("cash",)),
    **{(table, ACCOUNT_KNOWN): ("account_id", ("accounts",)) for table in (*STRAY_TABLES, "account_totals")},
}
"""Of a table and a rule: the column that names what is missing, and the tables in which it could stand."""
_OF_ONE_ACCOUNT: Final = ("cash_present", ACCOUNT_KNOWN)
"""Rules where a missing row is no cause of its own: it concerns the row's own account."""
_NAMES: Final = {
    "securities": "security_id",
    "prices": "security_id",
    "policies": "policy_id",
    "households": "household_id",
    **dict.fromkeys(_OF_MODELS, "model_id"),
}
_DEPTH: Final = 4
"""Longest way from a row to its cause: account, household, model, row of the model."""


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
    links = _links(rows)
    ends = _followed(links, rows.filter(~pl.col("at").is_in(_only_links(rows, links).implode())))
    by_links = _by_links(ends, reasons)
    ends = _with_effect(ends, by_links)
    is_explained = pl.col("at").is_in(_only_links(rows, ends).implode())
    costs = pl.concat([by_links, _by_strays(rows.filter(~is_explained), reasons)]).unique().sort(pl.all())
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
        by_table = pl.when(of_column).then(_cell(column)).otherwise(by_table)
    text = pl.coalesce(cells.str.json_path_match("$.line"), by_table, _cell("account_id")).str.strip_chars()
    return pl.when(text != "").then(text)


def _cell(column: str) -> pl.Expr:
    """A cell of the row as it was read."""
    return pl.col("row").str.json_path_match(f"$.{column}").str.strip_chars()


def _has_account(reasons: pl.DataFrame) -> pl.Expr:
    """Whether the row is one of an account that was delivered."""
    account, rules = pl.col("account_id"), pl.col("broken_rules").str.split("|")
    is_one = account.str.contains(IDENTIFIER) | account.is_in(reasons["account_id"].unique().implode())
    return is_one.fill_null(value=False) & ~rules.list.contains(ACCOUNT_KNOWN)


def _links(rows: pl.DataFrame) -> pl.DataFrame:
    """Rules that look something up and found no good row of it: ``missing``, in the table ``looked_in``.

    ``to`` is the row (null: none was set aside) that stands in its place, ``last_rule`` the rule that misses it. A choice of a
    security that is lost breaks no model.
    """
    parts = [pl.DataFrame(schema=_link_schema(rows))]
    exploded = rows.with_columns(rule=pl.col("broken_rules").str.split("|")).explode("rule")
    is_passed_over = _is_harmless_choice(rows)
    for (table, rule), (column, tables) in _LOOKED_UP.items():
        sources = exploded.filter(table_name=table, rule=rule).with_columns(missing=_cell(column))
        sources = sources.filter(pl.col("missing").is_not_null())
        if sources.is_empty():
            continue
        targets = rows.filter(pl.col("table_name").is_in(tables) & ~is_passed_over)
        targets = targets.filter(pl.col("broken_rules") != rule) if table in tables else targets
        targets = targets.filter(~_is_named()) if rule == ACCOUNT_KNOWN else targets
        found = _standing_for(sources["missing"].unique(), targets)
        linked = sources.join(found, on="missing", how="inner" if rule in _OF_ONE_ACCOUNT else "left")
        linked = linked.with_columns(looked_in=pl.lit(tables[0]), last_rule="rule", steps=0)
        parts.append(linked.select(parts[0].columns))
    return pl.concat(parts)


def _is_harmless_choice(rows: pl.DataFrame) -> pl.Expr:
    """True for rows of what is listed for a model that do not break it: their security is lost, or the model is broken anyhow."""
    lost = rows.filter(table_name="securities")["name"].drop_nulls().unique()
    left = pl.col("broken_rules").str.split("|").list.set_difference(["model_known"])
    is_of_security = (left.list.join("|") == "security_known") & _cell("security_id").is_in(lost.implode())
    is_listed = pl.col("table_name").is_in(_OF_MODELS[1:])
    return is_listed & ((left.list.len() == 0) | is_of_security.fill_null(value=False))


def _link_schema(rows: pl.DataFrame) -> dict[str, pl.DataType]:
    kept = {name: rows.schema[name] for name in ("at", "table_name", "landed_row", "account_id", "has_account")}
    return {
        **kept,
        "steps": pl.Int32(),
        **dict.fromkeys(("rule", "last_rule", "missing", "looked_in"), pl.String()),
        "to": rows.schema["at"],
    }


def _standing_for(missing: pl.Series, targets: pl.DataFrame) -> pl.DataFrame:
    """``missing, to``: rows that could mean each; those that name nothing for what no row could mean."""
    pairs = meant_by(targets.select(text="name", is_name=_is_named()).unique(), missing)
    named = targets.join(pairs, left_on="name", right_on="text").select(missing="meant", to="at")
    means_none = ~pl.col("name").is_in(pairs["text"].implode()).fill_null(value=False)
    nameless = targets.filter(means_none & ~_is_named()).select(to="at")
    left = missing.filter(~missing.is_in(named["missing"].implode())).to_frame("missing")
    return pl.concat([named, left.join(nameless, how="cross")])


def _is_named() -> pl.Expr:
    return pl.col("name").str.contains(IDENTIFIER).fill_null(value=False)


def _only_links(rows: pl.DataFrame, links: pl.DataFrame) -> pl.Series:
    """``at`` of the rows of which every rule is a link."""
    found = links.group_by("at").agg(pl.col("rule").n_unique())
    rules = rows.select("at", count=pl.col("broken_rules").str.split("|").list.len())
    return found.join(rules, on="at").filter(pl.col("rule") == pl.col("count"))["at"]


def _followed(links: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """The links to causes, with ``to_table, to_rules, to_name`` of each: ways over rows that are consequences themselves are walked to their end."""
    causes = own.select(to="at", to_table="table_name", to_rules="broken_rules", to_name="name")
    onward = links.select(to="at", next="to", next_rule="rule", next_missing="missing", next_in="looked_in")
    done, ways = [], links
    for _ in range(_DEPTH):
        absent = ways.filter(pl.col("to").is_null())
        done += [
            ways.join(causes, on="to"),
            absent.with_columns(to_table="looked_in", to_rules="last_rule", to_name="missing"),
        ]
        over = ways.join(causes, on="to", how="anti").join(onward, on="to")
        turned = over.with_columns(
            pl.col("steps") + 1, to="next", last_rule="next_rule", looked_in="next_in", missing="next_missing"
        )
        ways = turned.select(links.columns)
    return pl.concat(done).unique()


def _with_effect(ends: pl.DataFrame, costs: pl.DataFrame) -> pl.DataFrame:
    """Without those that end at a missing row which costs nobody."""
    keys = ("to_table", "to_rules", "to_name")
    costly = ends.join(costs, left_on=keys, right_on=CAUSE, how="semi", nulls_equal=True)
    return pl.concat([ends.filter(pl.col("to").is_not_null()), costly.filter(pl.col("to").is_null())])


def _by_links(ends: pl.DataFrame, reasons: pl.DataFrame) -> pl.DataFrame:
    """``COSTS`` of rows of accounts that are consequences, where the verdict on the account has their rule."""
    costly = ends.filter("has_account").with_columns(reason=pl.concat_str("table_name", pl.lit(":"), "rule"))
    found = costly.join(reasons, on=("account_id", "reason"), how="semi")
    return found.select(table_name="to_table", broken_rules="to_rules", name="to_name", account_id="account_id")


def _by_strays(rows: pl.DataFrame, reasons: pl.DataFrame) -> pl.DataFrame:
    """``COSTS`` of rows of accounts that were not delivered."""
    parts = [pl.DataFrame(schema=COSTS)]
    for table in STRAY_TABLES:
        could_be_anybodys = (
            _cell("security_id").is_not_null() | pl.col("row").str.json_path_match("$.line").is_not_null()
        )
        strays = rows.filter(~pl.col("has_account") & (_is_named() | could_be_anybodys), table_name=table)
        lacking = reasons.filter(reason=f"{table}:{ACCOUNT_KNOWN}").select("account_id").unique()
        if strays.is_empty() or lacking.is_empty():
            continue
        found = _standing_for(lacking["account_id"], strays)
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

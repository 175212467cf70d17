"""What a quarantined row lacks: rules that look a name up in another table, and what stands there instead of a good row."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from schemas.landing_columns import IDENTIFIER
from tasks.core.gate.accounts import ACCOUNT_IS_KNOWN, CASH_PRESENT, HOUSEHOLD_WHOLE, SECURITY_HAS_PRICE
from tasks.core.gate.contract import Rule
from tasks.core.gate.corporate_actions import ACTION_WHOLE
from tasks.core.gate.indexes import INDEX_KNOWN, INDEX_WHOLE
from tasks.core.gate.reference_tables import MODEL_KNOWN, MODEL_WHOLE, POLICY_KNOWN
from tasks.core.gate.rows import SECURITY_KNOWN
from tasks.core.gate.strays import STRAY_TABLES, meant_by

OF_MODELS: Final = ("model_targets", "buy_list", "location_preferences")
_LOOKED_UP: Final[Mapping[tuple[str, Rule], tuple[str, ...]]] = {
    **{
        (table, SECURITY_KNOWN): ("securities",)
        for table in ("prices", "buy_list", "lots", "trades", "restrictions", "index_weights")
    },
    ("lots", SECURITY_HAS_PRICE): ("prices",),
    **{(table, ACTION_WHOLE): ("corporate_actions",) for table in ("lots", "trades", "restrictions")},
    ("model_targets", MODEL_WHOLE): ("model_targets",),
    **{(table, MODEL_KNOWN): ("model_targets",) for table in ("buy_list", "location_preferences", "ladder")},
    **{(table, MODEL_KNOWN): OF_MODELS for table in ("households", "accounts")},
    **{(table, POLICY_KNOWN): ("policies",) for table in ("households", "accounts")},
    ("accounts", HOUSEHOLD_WHOLE): ("households",),
    ("index_weights", INDEX_WHOLE): ("index_weights",),
    ("direct_indexes", INDEX_KNOWN): ("index_weights",),
    ("accounts", CASH_PRESENT): ("cash",),
    **{(table, ACCOUNT_IS_KNOWN): ("accounts",) for table in (*STRAY_TABLES, "account_totals", "flows")},
}
"""Of a table and a rule of it: the tables in which what its column names could stand."""
_OF_ONE_ACCOUNT: Final = (CASH_PRESENT, ACCOUNT_IS_KNOWN)
"""Rules where a missing row is no cause of its own: it concerns the row's own account."""
_DEPTH: Final = 4
"""Longest way from a row to its cause: account, household, model, row of the model."""


def cell(column: str) -> pl.Expr:
    """A cell of the row as it was read."""
    return pl.col("row").str.json_path_match(f"$.{column}").str.strip_chars()


def with_meaning(rows: pl.DataFrame, lacking: Mapping[str, pl.Series]) -> pl.DataFrame:
    """The rows with ``name`` only where it is an identifier or could mean something that another row, or an account in ``lacking``, misses.

    ``lacking``: of a table, accounts that lack a row of it. So a column full of something else is one cause, and not one a row.
    """
    sources, texts = _sources(rows), rows.filter(~is_named()).select("table_name", text="name", is_name=False).unique()
    parts = [pl.DataFrame(schema={"table_name": pl.String, "name": pl.String})]
    for table in texts["table_name"].unique().sort():
        rules = [(source, rule.name) for (source, rule), tables in _LOOKED_UP.items() if table in tables]
        asked = [sources.filter(table_name=source, rule=rule)["missing"] for source, rule in rules]
        missing = pl.concat(
            [pl.Series("missing", [], pl.String), *asked, *(lacking[name] for name in [table] if name in lacking)]
        )
        meant = meant_by(texts.filter(table_name=table), missing.unique())["text"].unique()
        parts.append(meant.to_frame("name").select(pl.lit(table).alias("table_name"), "name"))
    known = pl.concat(parts).with_columns(is_known=True)
    found = rows.join(known, on=("table_name", "name"), how="left", maintain_order="left")
    return found.with_columns(name=pl.when(is_named() | pl.col("is_known")).then("name")).drop("is_known")


def find_links(rows: pl.DataFrame) -> pl.DataFrame:
    """Rules that look something up and found no good row of it: ``missing``, in the table ``looked_in``.

    ``to`` is the row (null: none was set aside) that stands in its place, ``last_rule`` the rule that misses it. A choice of a
    security that is lost breaks no model.
    """
    parts = [pl.DataFrame(schema=_link_schema(rows))]
    every, is_passed_over = _sources(rows), _is_harmless_choice(rows)
    for (table, rule), tables in _LOOKED_UP.items():
        sources = every.filter(table_name=table, rule=rule.name)
        if sources.is_empty():
            continue
        targets = rows.filter(pl.col("table_name").is_in(tables) & ~is_passed_over)
        targets = targets.filter(pl.col("broken_rules") != rule.name) if table in tables else targets
        targets = targets.filter(~is_named()) if rule == ACCOUNT_IS_KNOWN else targets
        found = standing_for(sources["missing"].unique(), targets)
        linked = sources.join(found, on="missing", how="inner" if rule in _OF_ONE_ACCOUNT else "left")
        linked = linked.with_columns(looked_in=pl.lit(tables[0]), last_rule="rule", steps=0)
        parts.append(linked.select(parts[0].columns))
    return pl.concat(parts)


def _sources(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows once for each rule of theirs that looks something up, with ``rule`` and ``missing``, what it looks for."""
    rules = pl.DataFrame(
        [(table, rule.name, rule.column) for table, rule in _LOOKED_UP], ["table_name", "rule", "column"], orient="row"
    )
    exploded = rows.with_columns(rule=pl.col("broken_rules").str.split("|")).explode("rule")
    found = exploded.join(rules, on=("table_name", "rule"))
    columns = rules["column"].unique().sort()
    missing = pl.coalesce(pl.when(pl.col("column") == name).then(cell(name)) for name in columns)
    return found.with_columns(missing=missing).filter(pl.col("missing").is_not_null())


def _is_harmless_choice(rows: pl.DataFrame) -> pl.Expr:
    """True for rows of what is listed for a model that do not break it: their security is lost, or the model is broken anyhow."""
    lost = rows.filter(table_name="securities")["name"].drop_nulls().unique()
    left = pl.col("broken_rules").str.split("|").list.set_difference([MODEL_KNOWN.name])
    is_of_security = (left.list.join("|") == SECURITY_KNOWN.name) & cell("security_id").is_in(lost.implode())
    is_listed = pl.col("table_name").is_in(OF_MODELS[1:])
    return is_listed & ((left.list.len() == 0) | is_of_security.fill_null(value=False))


def _link_schema(rows: pl.DataFrame) -> dict[str, pl.DataType]:
    kept = {name: rows.schema[name] for name in ("at", "table_name", "landed_row", "account_id", "has_account")}
    return {
        **kept,
        "steps": pl.Int32(),
        **dict.fromkeys(("rule", "last_rule", "missing", "looked_in"), pl.String()),
        "to": rows.schema["at"],
    }


def standing_for(missing: pl.Series, targets: pl.DataFrame) -> pl.DataFrame:
    """``missing, to``: rows that could mean each; of those that name nothing the first of a kind, for what no row could mean."""
    pairs = meant_by(targets.select(text="name", is_name=is_named()).unique(), missing)
    named = targets.join(pairs, left_on="name", right_on="text").select(missing="meant", to="at")
    nameless = targets.filter(pl.col("name").is_null()).unique(
        ("table_name", "broken_rules"), keep="first", maintain_order=True
    )
    nameless = nameless.select(to="at")
    left = missing.filter(~missing.is_in(named["missing"].implode())).to_frame("missing")
    return pl.concat([named, left.join(nameless, how="cross")])


def is_named() -> pl.Expr:
    """Whether what a row is about is an identifier."""
    return pl.col("name").str.contains(IDENTIFIER).fill_null(value=False)


def followed(links: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
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


def with_effect(ends: pl.DataFrame, costs: pl.DataFrame) -> pl.DataFrame:
    """Without those that end at a missing row which costs nobody."""
    keys = ("to_table", "to_rules", "to_name")
    costly = ends.join(
        costs, left_on=keys, right_on=("table_name", "broken_rules", "name"), how="semi", nulls_equal=True
    )
    return pl.concat([ends.filter(pl.col("to").is_not_null()), costly.filter(pl.col("to").is_null())])

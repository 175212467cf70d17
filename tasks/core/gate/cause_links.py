"""What a quarantined row lacks: rules that look a name up in another table, and what stands there instead of a good row."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from schemas.landing import IDENTIFIER
from tasks.core.gate.strays import ACCOUNT_KNOWN, STRAY_TABLES, meant_by

OF_MODELS: Final = ("model_targets", "buy_list", "location_preferences")
_LOOKED_UP: Final[Mapping[tuple[str, str], tuple[str, tuple[str, ...]]]] = {
    ("prices", "security_known"): ("security_id", ("securities",)),
    ("buy_list", "security_known"): ("security_id", ("securities",)),
    ("buy_list", "model_known"): ("model_id", ("model_targets",)),
    ("location_preferences", "model_known"): ("model_id", ("model_targets",)),
    ("model_targets", "model_whole"): ("model_id", ("model_targets",)),
    ("households", "model_known"): ("model_id", OF_MODELS),
    ("households", "policy_known"): ("policy_id", ("policies",)),
    ("accounts", "model_known"): ("model_id", OF_MODELS),
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
_DEPTH: Final = 4
"""Longest way from a row to its cause: account, household, model, row of the model."""


def cell(column: str) -> pl.Expr:
    """A cell of the row as it was read."""
    return pl.col("row").str.json_path_match(f"$.{column}").str.strip_chars()


def find_links(rows: pl.DataFrame) -> pl.DataFrame:
    """Rules that look something up and found no good row of it: ``missing``, in the table ``looked_in``.

    ``to`` is the row (null: none was set aside) that stands in its place, ``last_rule`` the rule that misses it. A choice of a
    security that is lost breaks no model.
    """
    parts = [pl.DataFrame(schema=_link_schema(rows))]
    exploded = rows.with_columns(rule=pl.col("broken_rules").str.split("|")).explode("rule")
    is_passed_over = _is_harmless_choice(rows)
    for (table, rule), (column, tables) in _LOOKED_UP.items():
        sources = exploded.filter(table_name=table, rule=rule).with_columns(missing=cell(column))
        sources = sources.filter(pl.col("missing").is_not_null())
        if sources.is_empty():
            continue
        targets = rows.filter(pl.col("table_name").is_in(tables) & ~is_passed_over)
        targets = targets.filter(pl.col("broken_rules") != rule) if table in tables else targets
        targets = targets.filter(~is_named()) if rule == ACCOUNT_KNOWN else targets
        found = standing_for(sources["missing"].unique(), targets)
        linked = sources.join(found, on="missing", how="inner" if rule in _OF_ONE_ACCOUNT else "left")
        linked = linked.with_columns(looked_in=pl.lit(tables[0]), last_rule="rule", steps=0)
        parts.append(linked.select(parts[0].columns))
    return pl.concat(parts)


def _is_harmless_choice(rows: pl.DataFrame) -> pl.Expr:
    """True for rows of what is listed for a model that do not break it: their security is lost, or the model is broken anyhow."""
    lost = rows.filter(table_name="securities")["name"].drop_nulls().unique()
    left = pl.col("broken_rules").str.split("|").list.set_difference(["model_known"])
    is_of_security = (left.list.join("|") == "security_known") & cell("security_id").is_in(lost.implode())
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
    """``missing, to``: rows that could mean each; those that name nothing for what no row could mean."""
    pairs = meant_by(targets.select(text="name", is_name=is_named()).unique(), missing)
    named = targets.join(pairs, left_on="name", right_on="text").select(missing="meant", to="at")
    means_none = ~pl.col("name").is_in(pairs["text"].implode()).fill_null(value=False)
    nameless = targets.filter(means_none & ~is_named()).select(to="at")
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

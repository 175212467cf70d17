"""Corporate actions: rows of before in tonight's identifiers and tonight's shares.

An action says that from its date on ``ratio`` shares stand for one: of the same security (a split), or of ``new_security_id`` (an
identifier that changed, a merger). A merger without one was paid in cash. A spin-off says that ``ratio`` shares of ``new_security_id`` come beside
each one, and changes no row (``carried_over``). An action is said once: each night remembers the actions of the
nights before, and one that is said again for the same security and date replaces it; a split of 1 for 1 takes it back.

1. What is dated is carried over by its date: holdings as last accepted, trades, orders and fills of before the action.
2. What is not dated (a buy list, a restriction, a lot of unknown date) and names the old identifier means the new one where the source
   says so tonight, or has no such security any more: an old identifier may be given to another security later. A restriction binds
   under both.
3. A lot under an old identifier is one of the new where one share stands for one. Where shares changed in number too, it was
   not booked yet, and its account waits.
4. A row that cannot be read costs every account with a row of a security that it could be about.

Quantities and prices that change are rounded to the six digits that all have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from schemas.enums import ActionKind
from schemas.stored import INTERNAL
from schemas.units import EXACT
from tasks.core.gate.contract import Rule
from tasks.core.gate.rows import Checked, breaches, check_table

TABLE: Final = "corporate_actions"
_RATIO: Final = Rule("split_has_ratio", "ratio", "how many shares stand for one, where the action is a split")
_SAME: Final = Rule("split_keeps_identifier", "new_security_id", "nothing, where the action is a split")
_NEW: Final = Rule(
    "new_identifier_given", "new_security_id", "the new identifier, where the action is an identifier_change"
)
_SWAP: Final = Rule("merger_has_ratio", "ratio, new_security_id", "both, or neither where a merger is paid in cash")
_SPUN: Final = Rule("spin_off_is_whole", "ratio, new_security_id", "both, where the action is a spin_off")
ACTION_WHOLE: Final = Rule(
    "corporate_action_whole", "security_id", "a security without a broken row in the table corporate_actions"
)
_KEY: Final = ("security_id", "effective_date")
_MOST: Final = 999_999_999_999.0
"""More has no place in a quantity or a price."""
_DATED: Final = {
    "pending_orders": ("trade_date", ("quantity",), ()),
    "known_fills": ("trade_date", ("quantity",), ("price_usd",)),
    "fills_to_show": ("proposed_date", ("filled_quantity", "then_quantity", "expected_change"), ("average_price_usd",)),
    "orders_to_show": (
        "proposed_date",
        ("filled_quantity", "then_quantity", "expected_change"),
        ("average_price_usd",),
    ),
    "trades": ("trade_date", ("quantity",), ("price_usd",)),
}
"""Tables whose rows are of a date: its column, the quantities and the prices."""


@dataclass(frozen=True, slots=True)
class Actions:
    """The actions known on a night, by security and date."""

    rows: pl.DataFrame
    """``security_id, effective_date, ratio, new_security_id, action, is_meant``; ``ratio`` 0: paid in cash; ``is_meant``: the identifier means what
    came of it in rows without a date."""
    as_of: date

    @property
    def effective(self) -> pl.DataFrame:
        """Those of tonight and before by which other shares stand for shares."""
        return self.rows.filter(pl.col("effective_date") <= self.as_of, pl.col("action") != ActionKind.SPIN_OFF)

    @property
    def spin_offs(self) -> pl.DataFrame:
        """Those of tonight and before by which shares came beside shares."""
        return self.rows.filter(pl.col("effective_date") <= self.as_of, pl.col("action") == ActionKind.SPIN_OFF)


def check_actions(parsed: pl.DataFrame) -> Checked:
    """Corporate actions and the rules they broke by themselves."""
    checked = check_table(TABLE, parsed)
    rows, action = checked.good, pl.col("action")
    has_ratio, has_new = pl.col("ratio").is_not_null(), pl.col("new_security_id").is_not_null()
    broken = {
        _RATIO: (action == ActionKind.SPLIT) & ~has_ratio,
        _SAME: (action == ActionKind.SPLIT) & has_new,
        _NEW: (action == ActionKind.IDENTIFIER_CHANGE) & ~has_new,
        _SWAP: (action == ActionKind.MERGER) & (has_ratio != has_new),
        _SPUN: (action == ActionKind.SPIN_OFF) & ~(has_ratio & has_new),
    }
    return checked.with_broken(*(breaches(rows.filter(condition), rule) for rule, condition in broken.items()))


def remembered(told: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table ``remembered_actions``: those told, and those of before that none of them replaces; sorted."""
    names = list(INTERNAL["remembered_actions"])
    kept = before.join(told, on=_KEY, how="anti")
    return pl.concat([told.select(names), kept.select(names)]).sort(_KEY)


def known_actions(told: pl.DataFrame, before: pl.DataFrame, securities: pl.Series, as_of: date) -> Actions:
    """The actions of a night.

    Parameters
    ----------
    told
        Sound rows of tonight's table.
    before
        Table ``remembered_actions``.
    securities
        Identifiers that tonight's table of securities has.
    as_of
        The night.
    """
    rows = remembered(told, before).join(told.select(_KEY, is_told=True), on=_KEY, how="left")
    is_old = ~pl.col("security_id").is_in(securities.implode())
    return Actions(
        rows.with_columns(
            ratio=pl.when((pl.col("action") == ActionKind.MERGER) & pl.col("new_security_id").is_null())
            .then(0.0)
            .otherwise(pl.col("ratio").fill_null(1.0)),
            is_meant=pl.col("is_told").fill_null(value=False) | is_old,
        ).drop("is_told"),
        as_of,
    )


def in_current_terms(tables: Mapping[str, pl.DataFrame], actions: Actions) -> dict[str, pl.DataFrame]:
    """The tables as landed, or as the ledger knows them, with the identifiers and shares of tonight; those without any as they are."""
    return {table: _current(table, rows, actions) for table, rows in tables.items()}


def _current(table: str, rows: pl.DataFrame, actions: Actions) -> pl.DataFrame:
    if table in _DATED:
        day, amounts, prices = _DATED[table]
        is_before = pl.col(day) < pl.col("effective_date")
        return after_actions(rows, actions.effective, is_before | is_renamed(), amounts, prices, is_scaled=is_before)
    if table == "lots":
        return after_actions(rows, actions.effective, is_renamed() & (pl.col("ratio") == 1))
    if table in {"restrictions", "buy_list"}:
        carried = after_actions(rows, actions.effective, is_swapped())
        return carried if table == "restrictions" else _each_choice_once(rows, carried)
    return rows


def is_renamed() -> pl.Expr:
    """Whether a lot or a trade under an old identifier is one of what came of it."""
    return pl.col("new_security_id").is_not_null() & (
        pl.col("is_meant") | (pl.col("acquired_date") < pl.col("effective_date")).fill_null(value=False)
    )


def is_swapped() -> pl.Expr:
    """Whether a row without a date that names the old identifier means the new one."""
    return pl.col("is_meant") & pl.col("new_security_id").is_not_null()


def _each_choice_once(then: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """A buy list that had both identifiers has the security once: where it stood under its own."""
    key = ["model_id", "asset_class", "security_id", "tax_status"]
    is_own = then["security_id"].eq_missing(rows["security_id"])
    own = rows.filter(is_own)
    others = rows.filter(~is_own).join(own, on=key, how="anti", nulls_equal=True, maintain_order="left")
    return pl.concat([own, others]).sort("row_number")


def after_actions(
    rows: pl.DataFrame,
    actions: pl.DataFrame,
    is_meant: pl.Expr,
    amounts: tuple[str, ...] = (),
    prices: tuple[str, ...] = (),
    *,
    is_scaled: pl.Expr | None = None,
    is_told: bool = False,
) -> pl.DataFrame:
    """The rows after each of the actions in turn, where ``is_meant``; in other shares where ``is_scaled`` too. ``is_told``: the columns ``TOLD`` say so."""
    columns = rows.columns
    if "acquired_date" not in columns:
        rows = rows.with_columns(acquired_date=pl.lit(None, pl.Date))
    ratio, new = pl.col("ratio"), pl.col("new_security_id")
    for day in actions["effective_date"].unique().sort():
        step = actions.filter(pl.col("effective_date") == day)
        if not rows["security_id"].is_in(step["security_id"].implode()).any():
            continue
        wide = rows.join(step, on="security_id", how="left", maintain_order="left")
        wide = wide.with_columns(is_acted=is_meant.fill_null(value=False) & pl.col("effective_date").is_not_null())
        is_rated = pl.col("is_acted") & (ratio != 1) & (pl.lit(value=True) if is_scaled is None else is_scaled)
        scaled = {name: _times(pl.col(name), ratio) for name in amounts} | {
            name: _times(pl.col(name), 1 / ratio) for name in prices
        }
        changes = {
            name: pl.when(is_rated).then(value.cast(rows.schema[name])).otherwise(name)
            for name, value in scaled.items()
        }
        if is_told:
            swap = new.is_not_null() | (ratio == 0)
            changes["words"] = pl.when("is_acted").then(_words()).otherwise("words")
            changes["is_rated"] = pl.col("is_rated") | is_rated
            changes["is_exchanged"] = pl.col("is_exchanged") | (
                pl.col("is_acted") & swap & pl.col("action").is_in([ActionKind.MERGER, ActionKind.SPIN_OFF])
            )
            changes["is_spun"] = pl.col("is_spun") | (pl.col("is_acted") & (pl.col("action") == ActionKind.SPIN_OFF))
        rows = wide.with_columns(
            **changes, security_id=pl.when("is_acted").then(pl.coalesce(new, "security_id")).otherwise("security_id")
        ).select(rows.columns)
    return rows.select(columns)


def _times(amount: pl.Expr, ratio: pl.Expr) -> pl.Expr:
    found = (amount.cast(pl.Float64) * ratio).clip(-_MOST, _MOST).round(6)
    return pl.when(found.is_finite()).then(found).cast(EXACT)


def _words() -> pl.Expr:
    """What is said behind a quantity of before."""
    ratio = pl.col("ratio").cast(pl.String).str.strip_suffix(".0")
    is_spun = pl.col("action") == ActionKind.SPIN_OFF
    name = (
        pl.when(is_spun)
        .then(pl.format(" after a spin-off from {}", "security_id"))
        .otherwise(pl.format(" after {} became {}", "security_id", "new_security_id"))
    )
    return pl.format(
        "{}{} on {}",
        pl.when(pl.col("ratio") == 0)
        .then(pl.lit(" after a merger paid in cash"))
        .otherwise(pl.coalesce(name, pl.lit(" after a split"))),
        pl.when(pl.col("ratio").is_in([0.0, 1.0])).then(pl.lit("")).otherwise(pl.format(" at {} for 1", ratio)),
        "effective_date",
    )

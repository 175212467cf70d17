"""What was accepted before, as it would stand tonight: in tonight's identifiers and shares, with what spin-offs brought.

A spin-off gives the holders of a company shares of another, beside its own, which keep their number and a part of their cost:

1. The new shares are expected of what each account held then, at ``ratio`` for one; a fraction is paid in cash. Their costs and dates are not known.
2. The company's own lots may cost less than they did, and its price may have fallen by what the new shares are worth (``less_spun_off``).

Restrictions, choices, trades and orders were of the company and stay so: the new shares are another security.

Known limits: shares of the company that were traded between the night that the account was last accepted on and the spin-off count neither
way. Of a merger that pays both shares and cash only the shares can be told. What one pays in cash is not told: it is held against the last price.
"""

from dataclasses import replace
from datetime import date

import polars as pl

from schemas.enums import ActionKind
from tasks.core.gate.corporate_actions import Actions, after_actions, is_renamed, is_swapped
from tasks.core.gate.history import ACTED, History


def carry_history(history: History, actions: Actions) -> History:
    """What was accepted before, as it would stand tonight; ``acted`` says of which holdings that is another number, or may be another cost."""
    effective = actions.effective
    dated = _as_of_before(history.lots.join(history.accepted, on="account_id"), history.late.filter("is_told_since"))
    untouched = dated.with_columns(
        words=pl.lit(""),
        is_rated=pl.lit(value=False),
        is_exchanged=pl.lit(value=False),
        is_spun=pl.lit(value=False),
        is_parent=pl.lit(value=False),
        unsplit_quantity=pl.col("quantity"),
    )
    lots = _after(untouched, effective).with_columns(lot_id=_apart(dated["security_id"]))
    brought, parents = _spun_off(untouched, actions, lots)
    lots = pl.concat([lots, brought])
    acted = (
        pl.concat([lots, parents])
        .filter(pl.col("words") != "")
        .sort("words")
        .group_by("account_id", "security_id")
        .agg(
            pl.col("words").last(),
            pl.col("is_rated", "is_exchanged", "is_parent").any(),
            pl.col("unsplit_quantity").sum(),
        )
        .select(ACTED.keys())
    )
    since = history.late.group_by("security_id").agg(pl.col("effective_date").min().dt.offset_by("-1d").alias("day"))
    then = history.prices.join(since, on="security_id", how="left", maintain_order="left").with_columns(
        is_own=pl.lit(value=True), day=pl.col("day").fill_null(history.priced_date), unsplit_usd="price_usd"
    )
    prices = after_actions(then, effective, pl.col("day") < pl.col("effective_date"), (), ("price_usd",))
    renamed = prices.with_columns(is_own=prices["security_id"] == then["security_id"])
    return replace(
        history,
        lots=lots.select(history.lots.columns),
        prices=renamed.sort("is_own", descending=True)
        .unique("security_id", keep="first", maintain_order=True)
        .select(*history.prices.columns, "unsplit_usd"),
        rules=after_actions(history.rules, effective, is_swapped()),
        acted=acted,
        due=_cash_due(dated, effective, history.prices),
    )


def less_spun_off(prices: pl.DataFrame, actions: Actions, then: date) -> pl.DataFrame:
    """Prices of a night, with ``last_price_usd`` less what was spun off since is worth tonight; as it was where that is not known or more.

    ``prices``: ``security_id, price_usd, last_price_usd``. ``then``: the date of the last prices.
    """
    since = actions.spin_offs.filter(pl.col("effective_date") > then)
    if since.is_empty():
        return prices
    now = prices.select(new_security_id="security_id", new_usd="price_usd")
    worth = (pl.col("new_usd").cast(pl.Float64) * pl.col("ratio")).round(6)
    off = since.join(now, on="new_security_id").group_by("security_id").agg(off_usd=worth.sum())
    less = pl.col("last_price_usd") - pl.col("off_usd").cast(prices.schema["last_price_usd"])
    with_less = prices.join(off, on="security_id", how="left", maintain_order="left")
    return with_less.with_columns(last_price_usd=pl.when(less > 0).then(less).otherwise("last_price_usd")).select(
        prices.columns
    )


def _after(lots: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Lots as last accepted after the actions since, in their order."""
    is_swap = pl.col("action") != ActionKind.SPIN_OFF
    is_since = pl.col("accepted_date") < pl.col("effective_date")
    is_carried = is_since | (is_swap & is_renamed() & (pl.col("ratio") == 1))
    return after_actions(lots, actions, is_carried, ("quantity",), ("unit_cost_usd",), is_told=True)


def _spun_off(then: pl.DataFrame, actions: Actions, lots: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lots of what was spun off since, of no known cost or date; and the lots of the company.

    ``then``: lots as last accepted; ``lots``: the same tonight, in the same order.
    """
    brought, parents = [lots.clear()], [lots.clear()]
    for one in actions.spin_offs.iter_slices(1):
        after = _after(then, pl.concat([actions.effective, one]))
        brought.append(
            after.filter("is_spun").with_columns(
                lot_id=pl.format("{}@{}", "lot_id", then.filter(after["is_spun"])["security_id"]),
                unit_cost_usd=pl.lit(None, after.schema["unit_cost_usd"]),
                acquired_date=pl.lit(None, pl.Date),
                unsplit_quantity=pl.lit(0).cast(after.schema["unsplit_quantity"]),
            )
        )
        words = pl.lit(f" after {one['new_security_id'][0]} was spun off on {one['effective_date'][0]}")
        parents.append(
            lots.filter(after["is_spun"]).with_columns(
                words=words,
                is_parent=pl.lit(value=True),
                unsplit_quantity=pl.lit(0).cast(lots.schema["unsplit_quantity"]),
            )
        )
    return pl.concat(brought), pl.concat(parents)


def _as_of_before(dated: pl.DataFrame, late: pl.DataFrame) -> pl.DataFrame:
    """Lots accepted on a night that neither knew of the split nor showed it in the price are of before it: else they had been set aside."""
    since = late.group_by("security_id").agg(pl.col("effective_date").min().dt.offset_by("-1d").alias("day"))
    of_then = dated.join(since, on="security_id", how="left", maintain_order="left")
    return of_then.with_columns(accepted_date=pl.min_horizontal("accepted_date", "day")).drop("day")


def _cash_due(lots: pl.DataFrame, actions: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """``DUE`` for shares that mergers paid in cash since, at the last prices."""
    paid = actions.filter(pl.col("ratio") == 0).select("security_id", "effective_date")
    gone = lots.join(paid, on="security_id").filter(pl.col("accepted_date") < pl.col("effective_date"))
    value = pl.col("quantity") * pl.col("price_usd")
    due = gone.join(prices, on="security_id").group_by("account_id").agg(due_usd=value.sum())
    return due.cast({"due_usd": pl.Decimal(38, 6)})


def _apart(old: pl.Series) -> pl.Expr:
    """A lot's name; that of a lot of another security that has the name of one of this says so."""
    is_taken = pl.struct("account_id", "security_id", "lot_id").is_duplicated() & (pl.col("security_id") != old)
    return pl.when(is_taken).then(pl.concat_str("lot_id", pl.lit("@"), pl.lit(old))).otherwise("lot_id")

"""Classes that are held as an index: what stands in for a member that cannot be bought, and how far a basket may be from its index.

With targets T_i of the members of a class (``facts.indexes``), values v_i and T = sum T_i, what is unheld is

    U(v) = sum max(T_i - v_i, 0)

Of a class at its target U / T is the active share of the basket, half the sum of |v_i - T_i| / T (Cremers and Petajisto, 2009).

1. *The tracking budget* B of a class: no trade brings U above max(B T, U before). What is left, R = B T - U, goes to harvests first, by the loss that each
   brings for a dollar unheld; then in proportion to every member, as the least that sales leave of it: min(v_i, T_i) - R T_i / T. So the budget is a bound on
   each holding, like a range, which the solver keeps exactly and its lower bound counts; and whatever is sold, U rises by R at most.
2. *A member that cannot be bought* (sold at a loss in the window, or tonight; restricted; without a price; dearer than what it wants) hands
   what it lacks of its destination to the members that can, in proportion to their targets: the money stays in the index.

The certificate is of the account under these bounds: another way to share out R may be better.

Known limits: of harvests that do not fit together those that bring most go first, and what does not fit after them waits. A harvest of another account of
the household may keep a member from being bought here: that is no trade of this account's, and counts from the next night on.
"""

from typing import Final

import polars as pl

from schemas.enums import Reason
from tasks.core.facts import Facts, exact_sum
from tasks.core.rules.sales import HOLDING

BASKET: Final = ("account_id", "parent_class")
TOLERANCE_USD: Final = 1e-6
_POOL: Final = ("account_id", "asset_class")


def with_pool(rows: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Rows of classes (``account_id, asset_class``) with ``pool``: the class, of a member of an index that which is held so. Members stand in for one another."""
    if facts.index_members.is_empty():
        return rows.with_columns(pool="asset_class")
    parents = facts.index_members.select("account_id", "parent_class", asset_class="member_class")
    joined = rows.join(parents, on=_POOL, how="left", maintain_order="left")
    return joined.with_columns(pool=pl.coalesce("parent_class", "asset_class")).drop("parent_class")


def siblings(classes: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """The classes and, of members among them, the other members that are not left out of their index; columns as before.

    ``dear_above_usd`` of a basket is the most of its classes.
    """
    if facts.index_members.is_empty():
        return classes
    members = facts.index_members.filter(pl.col("share") > 0).select(
        "account_id", "parent_class", asset_class="member_class"
    )
    found = with_pool(classes, facts).join(
        members.select(BASKET).unique(), left_on=("account_id", "pool"), right_on=BASKET
    )
    baskets = found.group_by("account_id", "pool", "model_id", "tax_status").agg(pl.col("dear_above_usd").sum())
    every = baskets.join(members, left_on=("account_id", "pool"), right_on=BASKET)
    rest = classes.join(every, on=_POOL, how="anti", maintain_order="left")
    return pl.concat([rest, every.select(classes.columns)])


def baskets(accounts: pl.DataFrame, lots: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Members of accounts whose baskets have a tracking budget, with their ``target_usd``, ``held_usd`` and the ``room_usd`` of the basket.

    ``accounts``: ``facts.account_parameters``; ``lots``: ``facts.valued_lots`` of them. ``room_usd``: R of step 1, before harvests.
    """
    members = facts.index_members.filter(pl.col("tracking_budget").is_not_null())
    members = members.join(accounts.select("account_id", "model_id", "cash_usd"), on="account_id")
    worth = lots.group_by("account_id").agg(lots_usd=pl.col("value_usd").sum())
    held = lots.group_by(HOLDING).agg(held_usd=pl.col("value_usd").sum().cast(pl.Float64))
    targets = facts.model_targets.select("model_id", "target_weight", member_class="asset_class")
    target, unheld = pl.col("target_usd"), _unheld(pl.col("held_usd"))
    nav = (pl.col("cash_usd") + pl.col("lots_usd").fill_null(0)).cast(pl.Float64)
    budget = pl.col("tracking_budget") * exact_sum(target).over(BASKET)
    return (
        members.join(worth, on="account_id", how="left")
        .join(held, on=HOLDING, how="left")
        .join(targets, on=("model_id", "member_class"), how="left")
        .with_columns(
            pl.col("held_usd").fill_null(0.0),
            target_usd=(pl.col("target_weight").fill_null(0.0) * nav).clip(lower_bound=0.0),
        )
        .with_columns(room_usd=(budget - exact_sum(unheld).over(BASKET)).clip(lower_bound=0.0))
        .select(*HOLDING, "parent_class", "share", "target_usd", "held_usd", "room_usd")
    )


def within_budget(candidates: pl.DataFrame, accounts: pl.DataFrame, lots: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Harvest candidates without those that their baskets' tracking budgets leave no room for; a security goes with all its candidates or not at all.

    ``candidates``: ``account_id, security_id, lot_id, loss_usd`` and more; the rest as for ``baskets``.
    """
    if facts.index_members["tracking_budget"].null_count() == facts.index_members.height or candidates.is_empty():
        return candidates
    wanted = with_harvested(baskets(accounts, lots, facts), candidates, lots).filter(pl.col("out_usd") > 0)
    needed = pl.col("needed_usd")
    fits = (
        wanted.filter(needed <= pl.col("room_usd") + TOLERANCE_USD)
        .sort(
            *BASKET,
            pl.col("loss_usd") / needed.clip(lower_bound=TOLERANCE_USD),
            "security_id",
            descending=[False, False, True, False],
        )
        .filter(needed.cum_sum().over(BASKET) <= pl.col("room_usd") + TOLERANCE_USD)
    )
    left = wanted.join(fits, on=HOLDING, how="anti")
    return candidates.join(left, on=HOLDING, how="anti", maintain_order="left")


def with_harvested(members: pl.DataFrame, candidates: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """``baskets`` with ``out_usd`` of each that is harvested, its ``loss_usd``, and ``needed_usd``: by how much that raises what is unheld."""
    sold = candidates.join(lots.select(*HOLDING, "lot_id", "value_usd"), on=[*HOLDING, "lot_id"])
    out = sold.group_by(HOLDING).agg(
        out_usd=pl.col("value_usd").sum().cast(pl.Float64), loss_usd=pl.col("loss_usd").sum()
    )
    joined = members.join(out, on=HOLDING, how="left").with_columns(pl.col("out_usd", "loss_usd").fill_null(0.0))
    rise = _unheld(pl.col("held_usd") - pl.col("out_usd")) - _unheld(pl.col("held_usd"))
    return joined.with_columns(needed_usd=rise)


def tracking_floors(
    accounts: pl.DataFrame, lots: pl.DataFrame, facts: Facts, securities: pl.DataFrame, harvested: pl.DataFrame
) -> pl.DataFrame:
    """``account_id, security_id, floor`` (shares): the least that sales leave of each holding of a basket with a tracking budget.

    ``harvested``: what of ``within_budget`` is sold; ``securities``: ``facts.priced_securities``; the rest as for ``baskets``.
    """
    found = with_harvested(baskets(accounts, lots, facts), harvested, lots)
    room = pl.col("room_usd") - exact_sum(pl.col("needed_usd")).over(BASKET)
    kept = pl.min_horizontal(pl.col("held_usd") - pl.col("out_usd"), "target_usd")
    floor = kept - room.clip(lower_bound=0.0) * pl.col("share")
    price = pl.when(pl.col("unit_usd") > 0).then("unit_usd")
    return (
        found.with_columns(floor_usd=floor)
        .filter(pl.col("floor_usd") > 0)
        .join(securities.select("security_id", "unit_usd"), on="security_id")
        .select(*HOLDING, floor=pl.col("floor_usd") / price)
        .drop_nulls()
    )


def with_floors(ranges: pl.DataFrame, floors: pl.DataFrame) -> pl.DataFrame:
    """``hold_ranges.held_ranges`` with the floors of baskets, and ``least_reason``: why a holding is kept, a range or a budget."""
    both = ranges.with_columns(least_reason=pl.lit(str(Reason.HOLD_RANGE)))
    if floors.is_empty():
        return both
    is_floor = (pl.col("floor") > pl.col("least")).fill_null(pl.col("floor").is_not_null())
    return (
        both.join(floors, on=HOLDING, how="full", coalesce=True)
        .with_columns(
            least=pl.max_horizontal("least", "floor"),
            least_reason=pl.when(is_floor).then(pl.lit(str(Reason.TRACKING_BUDGET))).otherwise("least_reason"),
        )
        .with_columns(most=pl.when(pl.col("most").is_not_null()).then(pl.max_horizontal("least", "most")))
        .drop("floor")
    )


def with_parts(accounts: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Accounts with ``parts``, of how many securities its largest index is that it does not leave out; 1 without an index.

    An order of one of so many is worth little by itself, and as much as another of them.
    """
    held = facts.index_members.filter(pl.col("share") > 0).group_by(BASKET).agg(parts=pl.len().cast(pl.Float64))
    most = held.group_by("account_id").agg(pl.col("parts").max())
    joined = accounts.join(most, on="account_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("parts").fill_null(1.0))


def with_stand_ins(classes: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Classes with destinations after step 2, and ``handed_usd``: what a member handed to others.

    ``classes``: ``account_id, asset_class, destination_usd, start_value_usd, buy_lock``; row order is kept.
    """
    if facts.index_members.is_empty():
        return classes.with_columns(handed_usd=pl.lit(0.0))
    members = facts.index_members.select("account_id", "parent_class", "share", asset_class="member_class")
    is_shut = pl.col("buy_lock").is_not_null()
    lacked = (pl.col("destination_usd") - pl.col("start_value_usd").cast(pl.Float64)).clip(lower_bound=0.0)
    is_member = pl.col("parent_class").is_not_null()
    open_share = pl.when(is_member & ~is_shut).then("share").otherwise(0.0)
    joined = classes.join(members, on=_POOL, how="left", maintain_order="left").with_columns(open_share=open_share)
    open_total = exact_sum(pl.col("open_share")).over(BASKET)
    handed = pl.when(is_member & is_shut & (open_total > 0)).then(lacked).otherwise(0.0)
    moved = joined.with_columns(handed_usd=handed, open_total=open_total)
    total = exact_sum(pl.col("handed_usd")).over(BASKET)
    part = pl.when(pl.col("open_share") > 0).then(total * (pl.col("open_share") / pl.col("open_total"))).otherwise(0.0)
    is_moved = (part != 0) | (pl.col("handed_usd") != 0)
    return moved.with_columns(
        destination_usd=pl.when(is_moved)
        .then(pl.col("destination_usd") - pl.col("handed_usd") + part)
        .otherwise("destination_usd")
    ).drop("parent_class", "share", "open_share", "open_total")


def _unheld(value: pl.Expr) -> pl.Expr:
    return (pl.col("target_usd") - value).clip(lower_bound=0.0)

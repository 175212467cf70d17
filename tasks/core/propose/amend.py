"""Orders of a proposal dropped or made smaller by a person: what is left, checked and reckoned as the engine does.

1. The account is solved again, which gives the same answer as its night, and set to the trades that stand now.
2. A smaller sell gives back the dearest lots first, the reverse of the order in which the engine sells them; a smaller buy
   buys less. Orders stay whole: a multiple of the security's step.
3. Checked: something is left; what is made smaller is not below the smallest order that policy allows; cash after costs is
   not below the reserve; the net gain keeps the gain budget.
4. Orders, lots, tax, costs and drift follow by the functions that made the first version. The objective is the engine's plus
   what changed of its terms (tracking, spread, location, tax); the proven bound stays, so the gap says what the change costs.
   Where what a rule sells outright was made smaller the bound is of other
   trades, and there is no certificate.

Known limits: accounts of a household that is rebalanced together are refused, because their certificate is the household's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import polars as pl

from schemas.enums import Route, Side
from schemas.errors import WrongUsage
from schemas.landing_columns import CASH
from schemas.tables import PUBLIC
from schemas.units import EXACT
from tasks.core.export import content_hashes
from tasks.core.facts import exact_sum, usd, usd_sum
from tasks.core.propose.orders import order_rows, short_hashes
from tasks.core.propose.proposals import CHECKED, proposal_rows
from tasks.core.propose.realized import net_gains, realized_by_account
from tasks.core.propose.solved import Solved, with_values_after

AMENDED: Final = "amended"
"""Route reason of a version that a person made."""
HOLDING: Final = ["account_id", "security_id"]
LOT: Final = [*HOLDING, "lot_id"]
KEPT: Final = ("look_reasons", "priority", "approvals_needed", "ttl_hours", "custodian", "model_hash", "household_id")
"""What a version has of the one before."""
AFTER: Final = ("bought_usd", "sold_usd", "after_usd", "governed_value_usd", "governed_after_usd")

LEAST_GAIN_USD: Final = 1e-6
Wish = Mapping[tuple[Side, str], Decimal]
"""By side and security, the quantity wanted; 0 drops the order."""


@dataclass(frozen=True)
class ProposalVersion:
    """Rows of the public tables of one version of a proposal; ``cash_after`` beside the first is the float that checks it."""

    proposal: pl.DataFrame
    orders: pl.DataFrame
    relief: pl.DataFrame


def amend_orders(
    solved: Solved, now: ProposalVersion, wish: Wish, *, by_account: pl.DataFrame, run_id: str, version: int
) -> ProposalVersion:
    """The version that a wish leads to.

    Parameters
    ----------
    solved
        The account as its night solved it, alone.
    now
        The version that stands.
    wish
        Only orders of that version, none larger.
    by_account
        The table ``account_drift``.
    run_id, version
        Of the run; number of the new version.

    Raises
    ------
    WrongUsage
        A sentence that says which check it fails.
    """
    _need_smaller(now.orders, wish)
    if solved.accounts.height != 1 or solved.accounts["managed_household_id"][0] is not None:
        raise WrongUsage(
            "the account is rebalanced together with its household; its orders cannot be changed alone\n\n"
            "Hint: approve or reject the proposal as it is."
        )
    standing = _set_to(solved, now.orders, now.relief)
    left = _with_wish(standing, now.orders, wish)
    _need_minimum(left, now.orders, wish)
    found = _with_consequences(solved, left)
    orders, relief = order_rows(found, run_id)
    if orders.is_empty():
        raise WrongUsage("no order would be left\n\nHint: reject the proposal instead.")
    rows = proposal_rows(found, orders, relief, by_account)
    _need_cash(rows)
    _need_budget(standing, left)
    return _make_version(now.proposal, rows, orders, relief, run_id=run_id, version=version)


def set_to_version(solved: Solved, orders: pl.DataFrame, relief: pl.DataFrame) -> Solved:
    """The account as its night solved it, alone, with the trades of a version in the place of the engine's."""
    return _with_consequences(solved, _set_to(solved, orders, relief))


def _need_smaller(orders: pl.DataFrame, wish: Wish) -> None:
    """Refuse a wish that is none.

    Raises
    ------
    WrongUsage
        It names no order, an order that is not there, or a quantity that is not smaller.
    """
    known = {(Side(side), security): quantity for side, security, quantity in _keys(orders)}
    for (side, security), wanted in wish.items():
        if (side, security) not in known:
            raise WrongUsage(f"the proposal has no order to {side} {security}")
        if not 0 <= wanted < known[side, security]:
            raise WrongUsage(
                f"the order to {side} {security} is for {known[side, security].normalize():f}; it can be made smaller or dropped, "
                f"not {wanted.normalize():f}"
            )
    if not wish:
        raise WrongUsage("say which orders to drop or make smaller")


def _keys(orders: pl.DataFrame) -> list[tuple[str, str, Decimal]]:
    return orders.select("side", "security_id", "quantity").rows()


def _set_to(solved: Solved, orders: pl.DataFrame, relief: pl.DataFrame) -> Solved:
    """The account with the trades of a version in the place of the engine's."""
    sold = relief.select(*LOT, now="quantity")
    lots = solved.lots.join(sold, on=LOT, how="left", maintain_order="left")
    lots = lots.with_columns(sold=pl.col("now").fill_null(0).cast(EXACT)).drop("now")
    bought = orders.filter(pl.col("side") == Side.BUY).select(
        "account_id", buy_security_id="security_id", now="quantity"
    )
    classes = solved.classes.join(bought, on=["account_id", "buy_security_id"], how="left", maintain_order="left")
    classes = classes.with_columns(bought=pl.col("now").fill_null(0).cast(solved.classes.schema["bought"])).drop("now")
    return replace(solved, lots=lots, classes=classes)


def _with_wish(standing: Solved, orders: pl.DataFrame, wish: Wish) -> Solved:
    """Step 2."""
    lots, classes = standing.lots, standing.classes
    for side, security, quantity in _keys(orders):
        wanted = wish.get((Side(side), security))
        if wanted is None:
            continue
        if side == Side.BUY:
            classes = _reduce_buy(classes, security, wanted)
        else:
            lots = _reduce_sell(lots, security, quantity - wanted)
    return replace(standing, lots=lots, classes=classes)


def _reduce_buy(classes: pl.DataFrame, security: str, wanted: Decimal) -> pl.DataFrame:
    is_it = pl.col("buy_security_id") == security
    step = Decimal(classes.filter(is_it)["buy_step"][0])
    _need_whole(Side.BUY, security, wanted, step)
    new = pl.when(is_it).then(pl.lit(wanted).cast(EXACT)).otherwise(pl.col("bought"))
    return classes.with_columns(bought=new.cast(classes.schema["bought"]))


def _need_whole(side: Side, security: str, wanted: Decimal, step: Decimal) -> None:
    if wanted % step:
        below = wanted // step * step
        raise WrongUsage(
            f"{security} trades in steps of {step.normalize():f}; the nearest order to {side} below {wanted.normalize():f} is "
            f"{below.normalize():f}"
        )


def _reduce_sell(lots: pl.DataFrame, security: str, back: Decimal) -> pl.DataFrame:
    """Sells of the security made smaller by ``back`` shares, dearest lots first."""
    is_it = (pl.col("security_id") == security) & (pl.col("sold") > 0)
    mine = lots.filter(is_it)
    _need_whole(Side.SELL, security, Decimal(mine["sold"].sum()) - back, mine["quantity_step"][0])
    left: dict[str, Decimal] = {}
    for row in reversed(mine.rows(named=True)):
        given = min(back, row["sold"])
        left[row["lot_id"]], back = row["sold"] - given, back - given
    kept_of = pl.col("lot_id").replace_strict(left, default=None, return_dtype=EXACT)
    return lots.with_columns(sold=pl.when(is_it).then(kept_of).otherwise("sold").cast(EXACT))


def _need_minimum(left: Solved, orders: pl.DataFrame, wish: Wish) -> None:
    """What was made smaller is dropped or still large enough."""
    account = left.accounts.row(0, named=True)
    floor = max(float(account["min_trade_usd"]), account["min_trade_weight"] * float(account["nav_usd"]))
    units = {
        (Side(side), security): float(value / quantity)
        for side, security, value, quantity in orders.select("side", "security_id", "value_usd", "quantity").rows()
    }
    for key, wanted in wish.items():
        value = float(wanted) * units[key]
        if 0 < value < floor:
            raise WrongUsage(
                f"the order to {key[0]} {key[1]} would be {value:,.2f} USD; the smallest that policy allows is {floor:,.2f} USD\n\n"
                "Hint: drop it instead."
            )


def _need_cash(rows: pl.DataFrame) -> None:
    after = rows["cash_after_usd"][0]
    if after < rows["cash_floor_usd"][0]:
        raise WrongUsage(
            f"cash would end {-after:,.2f} USD below the account's reserve\n\n"
            "Hint: keep more of the sells, or less of the buys."
        )


def _need_budget(standing: Solved, left: Solved) -> None:
    """A loss that made room for gains stays, where policy limits the net gain."""
    most = left.accounts["max_realized_gain_usd"][0]
    before, after = (_net_gain(each.lots) for each in (standing, left))
    if most is not None and after > max(float(most), before) + LEAST_GAIN_USD and after > 0:
        raise WrongUsage(
            f"the net gain would be {after:,.2f} USD, more than the {most:,.2f} USD that policy allows: a loss among the orders "
            "made room for it"
        )


def _net_gain(lots: pl.DataFrame) -> float:
    """Gains less losses that count of what is sold, usd."""
    return float(realized_by_account(lots).select(usd_sum(pl.col("short") + pl.col("long"))).item())


def _with_consequences(solved: Solved, left: Solved) -> Solved:
    """The trades left with what follows from them: values, cash, and the objective where there still is one."""
    classes = with_values_after(left.classes.drop(AFTER), left.accounts, left.lots)
    cash = _cash_after(left.accounts, classes, left.lots)
    found = Solved(left.accounts.with_columns(cash_after=pl.lit(cash)), classes, left.lots)
    if left.lots.filter(pl.col("sold") < pl.col("outright")).height:
        nothing = pl.lit(None, pl.Float64)
        return replace(found, accounts=found.accounts.with_columns(objective_usd=nothing, lower_bound_usd=nothing))
    change = _terms(found) - _terms(solved)
    return replace(found, accounts=found.accounts.with_columns(pl.col("objective_usd") + change))


def _cash_after(accounts: pl.DataFrame, classes: pl.DataFrame, lots: pl.DataFrame) -> float:
    """Cash beyond the reserve after the trades and their costs, by floats: the other way to the sum that is exact."""
    raised = lots.select(pl.col("sold").cast(pl.Float64) * pl.col("unit_usd") * (1 - pl.col("spread")))
    paid = classes.filter(pl.col("bought") > 0).select(
        pl.col("bought_usd").cast(pl.Float64) * (1 + pl.col("buy_spread"))
    )
    return float(accounts["cash_usd"][0]) + float(raised.to_series().sum()) - float(paid.to_series().sum())


def _terms(found: Solved) -> float:
    """The terms of the objective that trades change, usd: tracking, spread, location and tax."""
    account = found.accounts.row(0, named=True)
    nav = float(account["governed_nav_usd"])
    off = pl.concat(
        [
            found.classes.filter(pl.col("asset_class") != CASH).select(
                off=(pl.col("governed_after_usd") - pl.col("destination_usd").cast(pl.Float64)) * (1.0 / nav)
            ),
            found.accounts.select(off=(_cash_held() - pl.col("cash_target_usd").cast(pl.Float64)) * (1.0 / nav)),
        ]
    )
    squares = off.select(exact_sum(pl.col("off") ** 2)).item()
    value = usd(pl.col("sold"), pl.col("price_usd")).cast(pl.Float64)
    outright = usd(pl.col("outright"), pl.col("price_usd")).cast(pl.Float64)
    base = pl.col("spread") - pl.col("location")
    selling = found.lots.select(usd_sum(base * (value - outright) + pl.col("spread") * outright)).item()
    buying = found.classes.filter(pl.col("bought") > 0).select(
        usd_sum(pl.col("bought_usd").cast(pl.Float64) * pl.col("buy_cost"))
    )
    tax = net_gains(found.accounts, found.lots)["added_tax_usd"].item()
    return float(account["tracking_penalty"] / 2 * nav * squares + selling + buying.item() + tax)


def _cash_held() -> pl.Expr:
    """Cash beyond the reserve with what is left in funds of the class cash."""
    return pl.col("cash_after") + pl.col("fund_left_usd")


def _make_version(
    before: pl.DataFrame, rows: pl.DataFrame, orders: pl.DataFrame, relief: pl.DataFrame, *, run_id: str, version: int
) -> ProposalVersion:
    """The rows under the version's own name; an order keeps its name, so that it leaves at most once whatever its version."""
    (name,) = short_hashes([(run_id, str(rows["account_id"][0]), str(version))])
    orders = orders.with_columns(proposal_id=pl.lit(name))
    (digest,) = content_hashes(orders)["content_hash"]
    kept = before.select(KEPT).row(0, named=True)
    reasons = [reason for reason in before["route_reasons"][0].split("|") if reason and reason != AMENDED]
    values = {**kept, "route": str(Route.REVIEW), "route_reasons": "|".join([*reasons, AMENDED])}
    named = rows.with_columns(
        proposal_id=pl.lit(name),
        content_hash=pl.lit(digest),
        **{key: pl.lit(value, PUBLIC["proposals"][key]) for key, value in values.items()},
    )
    return ProposalVersion(named.select(*PUBLIC["proposals"], *CHECKED), orders, relief)

"""What a person may leave of a proposal: always conserved, never below the reserve, and honestly reckoned."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import RunKind, Side
from schemas.errors import WrongUsage
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tasks.core.facts.facts import account_parameters
from tasks.core.propose.amend import ProposalVersion, amend_orders
from tasks.core.propose.route import Noticed
from tasks.core.propose.solved import Solved
from tasks.core.rules.restrictions import sold_tonight, wash_conflicts
from tasks.propose.measure import measure_frames
from tasks.propose.propose import propose_frames
from tasks.propose.solving import need_conserved, solve_ready_accounts
from tests.support.night_book import facts_of, landed_book

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

LEAST_BPS = 1e-6
"""Rounding of an objective, in bps of NAV."""


@dataclass(frozen=True)
class Night:
    """A small night, its proposals and how they were solved."""

    frames: dict[str, pl.DataFrame]
    by_account: pl.DataFrame
    solved: Solved
    lots: pl.DataFrame
    members: pl.DataFrame
    steps: dict[str, Decimal]

    def of(self, account_id: str) -> tuple[Solved, ProposalVersion]:
        def own(frame: pl.DataFrame) -> pl.DataFrame:
            return frame.filter(pl.col("account_id") == account_id)

        solved = Solved(own(self.solved.accounts), own(self.solved.classes), own(self.solved.lots))
        return solved, ProposalVersion(*(own(self.frames[table]) for table in ("proposals", "orders", "lot_relief")))

    def amend(self, account_id: str, wish: dict[tuple[Side, str], Decimal], version: int = 2) -> ProposalVersion:
        solved, now = self.of(account_id)
        return amend_orders(solved, now, wish, by_account=self.by_account, run_id="night", version=version)


KINDS: dict[str, dict[str, dict[str, object]]] = {
    "plain": {},
    "invested": {"policies": {"is_pending_invested": True}},
    "strict": {
        "policies": {
            "is_harvesting": True,
            "harvest_min_loss_usd": Decimal(50),
            "max_realized_gain_usd": Decimal(100),
        }
    },
    "fresh": {"accounts": {"ytd_short_gain_usd": Decimal(0), "ytd_long_gain_usd": Decimal(0)}},
    "offset": {
        "accounts": {
            "ytd_short_gain_usd": Decimal(1000),
            "ytd_long_gain_usd": Decimal(0),
            "long_term_rate": Decimal(0),
        }
    },
}
"""What a night has in the place of the sample's, in each policy or taxable account.

``strict`` harvests every loss and may realize next to no net gain. ``fresh``: nothing was realized this year. ``offset``: losses
save tax on what was realized before, long gains cost none themselves, but take the losses from the short ones.
"""


@cache
def night(kind: str = "plain") -> Night:
    tables, as_of = landed_book(160, seed=3)
    for table, values in KINDS[kind].items():
        rows = tables[table]
        is_meant = pl.col("tax_status") == "taxable" if table == "accounts" else pl.lit(value=True)
        tables[table] = rows.with_columns(
            pl.when(is_meant).then(pl.lit(value).cast(rows.schema[name])).otherwise(name).alias(name)
            for name, value in values.items()
        )
    facts, gate = facts_of(tables)
    drifts = measure_frames(facts, RunRef("night", as_of, RunKind.NIGHTLY, 1), Settings())
    drift, by_account = drifts["drift"], drifts["account_drift"]
    frames = propose_frames(facts, drift, by_account, gate=gate, run_id="night", known=Noticed(), always=())
    _, solved = solve_ready_accounts(account_parameters(facts), facts, drift, by_account)
    steps = dict(tables["securities"].select("security_id", "quantity_step").iter_rows())
    return Night(frames, by_account, solved, facts.lots, facts.members, steps)


def alone(of: Night | None = None) -> list[str]:
    """Accounts with a proposal that are managed alone."""
    of = of or night()
    found = of.solved.accounts.filter(pl.col("managed_household_id").is_null())["account_id"]
    proposals = of.frames["proposals"]
    return proposals.filter(pl.col("account_id").is_in(found.implode()))["account_id"].to_list()


def losing(of: Night, account_id: str) -> list[str]:
    """Securities of which the account sells lots at a loss."""
    lots = of.frames["lot_relief"].filter((pl.col("account_id") == account_id) & (pl.col("gain_usd") < 0))
    return lots["security_id"].unique(maintain_order=True).to_list()


def orders_of(account_id: str) -> list[dict[str, Any]]:
    return night().frames["orders"].filter(pl.col("account_id") == account_id).rows(named=True)


def dropped(account_id: str, *sides: Side) -> ProposalVersion:
    """The first order of each side left out."""
    wish = {}
    for side in sides:
        first = next(one for one in orders_of(account_id) if one["side"] == side)
        wish[side, first["security_id"]] = Decimal(0)
    return night().amend(account_id, wish)


@st.composite
def wishes(draw: st.DrawFn) -> tuple[str, dict[tuple[Side, str], Decimal]]:
    account_id = draw(st.sampled_from(alone()))
    orders = orders_of(account_id)
    chosen = draw(st.lists(st.sampled_from(range(len(orders))), min_size=1, unique=True))
    wish = {}
    for number in chosen:
        one = orders[number]
        step = night().steps[one["security_id"]]
        share = draw(st.integers(0, 9))
        wish[Side(one["side"]), one["security_id"]] = one["quantity"] * share / 10 // step * step
    return account_id, wish


@settings(max_examples=150)
@given(wishes())
def test_what_is_left_adds_up_or_is_refused_in_a_sentence(drawn: tuple[str, dict[tuple[Side, str], Decimal]]) -> None:
    account_id, wish = drawn
    _, before = night().of(account_id)
    try:
        after = night().amend(account_id, wish)
    except WrongUsage as refusal:
        said = str(refusal)
    else:
        said = ""
    if said:
        assert len(said.split()) > 5
        return
    need_conserved(after.proposal, after.orders, after.relief, night().lots)
    row, was = after.proposal.row(0, named=True), before.proposal.row(0, named=True)
    assert row["cash_after_usd"] >= 0
    assert row["gross_value_usd"] < was["gross_value_usd"]
    assert row["order_count"] == after.orders.height > 0
    old = {(one["side"], one["security_id"]): one for one in orders_of(account_id)}
    for one in after.orders.rows(named=True):
        key = (Side(one["side"]), one["security_id"])
        assert one["order_id"] == old[key]["order_id"]
        assert one["quantity"] == wish.get(key, old[key]["quantity"])
        assert one["proposal_id"] == row["proposal_id"] != was["proposal_id"]
    assert {key for key in old if wish.get(key) != 0} == {
        (one["side"], one["security_id"]) for one in after.orders.rows(named=True)
    }
    if row["gap_bps"] is not None:
        assert row["lower_bound_usd"] == was["lower_bound_usd"]
        assert row["gap_bps"] >= -LEAST_BPS
    assert (row["route"], row["route_reasons"].split("|")[-1]) == ("review", "amended")
    assert row["content_hash"] != was["content_hash"]


@settings(max_examples=60)
@given(wishes())
def test_the_dearest_lots_are_given_back_first(drawn: tuple[str, dict[tuple[Side, str], Decimal]]) -> None:
    account_id, wish = drawn
    solved, before = night().of(account_id)
    try:
        after = night().amend(account_id, wish)
    except WrongUsage:
        return
    rank = {(row["security_id"], row["lot_id"]): number for number, row in enumerate(solved.lots.rows(named=True))}
    was = {(row["security_id"], row["lot_id"]): row["quantity"] for row in before.relief.rows(named=True)}
    left = {(row["security_id"], row["lot_id"]): row["quantity"] for row in after.relief.rows(named=True)}
    for security in {key[0] for key in was}:
        shares = [
            (left.get(key, Decimal(0)), was[key])
            for key in sorted((key for key in was if key[0] == security), key=rank.__getitem__)
        ]
        touched = [number for number, (now, then) in enumerate(shares) if now < then]
        assert all(now == 0 for now, _ in shares[touched[0] + 1 :]) if touched else True


def test_the_objective_is_the_engines_where_the_trades_are() -> None:
    """Making nothing smaller, by way of the same terms, changes nothing; and what is left is summed up by another formula."""
    checked = 0
    for account_id in alone():
        solved, before = night().of(account_id)
        if solved.accounts["tax_status"][0] == "taxable" or len(orders_of(account_id)) < 3:
            continue  # without tax the terms can be summed up here
        try:
            after = dropped(account_id, Side.BUY)
        except (WrongUsage, StopIteration):
            continue
        account = solved.accounts.row(0, named=True)
        change = objective(account, solved, after) - objective(account, solved, before)
        told = after.proposal["objective_usd"][0] - before.proposal["objective_usd"][0]
        assert told == pytest.approx(change, abs=1e-6 * float(account["nav_usd"]) / 1e4)
        checked += 1
    assert checked >= 3


def objective(account: dict[str, Any], solved: Solved, version: ProposalVersion) -> float:
    """Tracking and spread of a version, from its orders alone."""
    nav = float(account["governed_nav_usd"])
    cash = float(account["cash_usd"])
    value = {row["asset_class"]: float(row["value_usd"]) for row in solved.classes.rows(named=True)}
    place = {row["security_id"]: row["asset_class"] for row in solved.lots.rows(named=True)}
    place |= {row["buy_security_id"]: row["asset_class"] for row in solved.classes.rows(named=True)}
    location = {row["asset_class"]: row["location"] or 0.0 for row in solved.classes.rows(named=True)}
    paid = 0.0
    for one in version.orders.rows(named=True):
        sign = 1 if one["side"] == "buy" else -1
        value[place[one["security_id"]]] += sign * float(one["value_usd"])
        cash -= sign * float(one["value_usd"]) + float(one["est_cost_usd"])
        paid += float(one["est_cost_usd"]) + sign * location[place[one["security_id"]]] * float(one["value_usd"])
    squares = (cash - float(account["cash_target_usd"])) ** 2 + sum(
        (value[row["asset_class"]] - float(row["destination_usd"])) ** 2 for row in solved.classes.rows(named=True)
    )
    return float(account["tracking_penalty"]) / (2 * nav) * squares + paid


def test_no_loss_left_out_is_better_than_what_was_proven() -> None:
    """Losses cover gains: without one the rest is taxed on another footing, of which the bound says nothing."""
    of, gaps = night("offset"), []
    for account_id in alone(of):
        for security in losing(of, account_id):
            try:
                row = of.amend(account_id, {(Side.SELL, security): Decimal(0)}).proposal.row(0, named=True)
            except WrongUsage:
                continue
            gaps.append(row["gap_bps"])
            assert row["objective_usd"] >= row["lower_bound_usd"] - LEAST_BPS * float(row["nav_usd"]) / 1e4
    assert len(gaps) > 30
    assert min(gaps) >= -LEAST_BPS
    assert max(gaps) > 1


def test_a_gain_that_a_loss_had_covered_counts_in_full() -> None:
    """Where nothing was realized before, the tax of the objective is the proposal's own, but that a loss may pay its own way."""
    of, taxes = night("fresh"), []
    for account_id in alone(of):
        for security in losing(of, account_id):
            solved, before = of.of(account_id)
            account = solved.accounts.row(0, named=True)
            try:
                after = of.amend(account_id, {(Side.SELL, security): Decimal(0)})
            except WrongUsage:
                continue
            both = (after.proposal.row(0, named=True), before.proposal.row(0, named=True))
            change = both[0]["objective_usd"] - both[1]["objective_usd"]
            rest = objective(account, solved, after) - objective(account, solved, before)
            tax = float(both[0]["est_tax_usd"] - both[1]["est_tax_usd"])
            if account["loss_carryforward_short_usd"] + account["loss_carryforward_long_usd"]:
                continue
            assert change == pytest.approx(rest + tax, abs=round_trip(solved, before, security) + 0.01)
            taxes.append(tax)
    assert len(taxes) > 5
    assert max(taxes) > 20


def round_trip(solved: Solved, before: ProposalVersion, security: str) -> float:
    """Usd of both half spreads when what is sold of the security is bought again: what the engine lets a loss pay at most."""
    sold = before.orders.filter((pl.col("side") == Side.SELL) & (pl.col("security_id") == security))
    buying = solved.classes["buy_spread"].max()
    assert isinstance(buying, float)
    return float(sold["est_cost_usd"].sum()) + buying * float(sold["value_usd"].sum())


def test_without_what_a_rule_sells_there_is_no_certificate() -> None:
    of, seen = night("strict"), 0
    for account_id in alone(of):
        solved, before = of.of(account_id)
        outright = solved.lots.filter(pl.col("outright") > 0)["security_id"].unique().to_list()
        for security in sorted(set(outright) & set(losing(of, account_id))):
            try:
                after = of.amend(account_id, {(Side.SELL, security): Decimal(0)}).proposal.row(0, named=True)
            except WrongUsage:
                continue
            assert (after["objective_usd"], after["lower_bound_usd"], after["gap_bps"]) == (None, None, None)
            assert before.proposal["gap_bps"][0] is not None
            seen += 1
    assert seen > 5


def test_a_loss_that_made_room_for_gains_stays_where_policy_limits_them() -> None:
    of, refused = night("strict"), 0
    for account_id in alone(of):
        for security in losing(of, account_id):
            try:
                left = of.amend(account_id, {(Side.SELL, security): Decimal(0)}).proposal.row(0, named=True)
            except WrongUsage as refusal:
                refused += "more than the 100.00 USD that policy allows" in str(refusal)
                continue
            net = left["realized_short_gain_usd"] + left["realized_long_gain_usd"]
            solved, before = of.of(account_id)
            was = before.proposal.row(0, named=True)
            if solved.accounts["tax_status"][0] != "taxable":
                continue  # no gain is taxed, none is limited
            assert net <= max(100, was["realized_short_gain_usd"] + was["realized_long_gain_usd"]) + Decimal("0.01")
    assert refused > 5


@settings(max_examples=40)
@given(wishes())
def test_smaller_orders_make_no_new_wash_sale(drawn: tuple[str, dict[tuple[Side, str], Decimal]]) -> None:
    account_id, wish = drawn
    try:
        after = night().amend(account_id, wish)
    except WrongUsage:
        return
    others = pl.col("account_id") != account_id
    orders, relief = (night().frames[table].filter(others) for table in ("orders", "lot_relief"))
    orders, relief = pl.concat([orders, after.orders]), pl.concat([relief, after.relief])
    taxed = night().solved.accounts.filter(pl.col("tax_status") == "taxable")["account_id"]
    assert sold_tonight(orders, relief, night().members, taxed=taxed).height
    assert wash_conflicts(orders, relief, night().members, taxed=taxed).is_empty()


def test_a_version_can_be_made_of_a_version() -> None:
    account_id = next(one for one in alone() if sum(1 for order in orders_of(one) if order["side"] == "buy") >= 3)
    solved, first = night().of(account_id)
    buys = [one for one in orders_of(account_id) if one["side"] == "buy"]
    second = night().amend(account_id, {(Side.BUY, buys[0]["security_id"]): Decimal(0)})
    third = amend_orders(
        solved,
        ProposalVersion(second.proposal.select(PUBLIC["proposals"].keys()), second.orders, second.relief),
        {(Side.BUY, buys[1]["security_id"]): Decimal(0)},
        by_account=night().by_account,
        run_id="night",
        version=3,
    )
    both = night().amend(account_id, {(Side.BUY, one["security_id"]): Decimal(0) for one in buys[:2]})
    assert third.orders.drop("proposal_id").equals(both.orders.drop("proposal_id"))
    assert third.proposal["objective_usd"][0] == pytest.approx(both.proposal["objective_usd"][0], abs=1e-9)
    assert third.proposal["route_reasons"][0].count("amended") == 1
    assert first.orders.height == third.orders.height + 2


@pytest.mark.parametrize("factor", [1, 2])
def test_an_order_does_not_grow_nor_stay(factor: int) -> None:
    account_id = alone()[0]
    one = orders_of(account_id)[0]
    with pytest.raises(WrongUsage, match="it can be made smaller or dropped"):
        night().amend(account_id, {(Side(one["side"]), one["security_id"]): one["quantity"] * factor})


def test_an_order_that_is_not_there_is_not_made() -> None:
    with pytest.raises(WrongUsage, match="has no order to buy NONE"):
        night().amend(alone()[0], {(Side.BUY, "NONE"): Decimal(0)})


def test_nothing_left_is_a_rejection() -> None:
    account_id = alone()[0]
    wish = {(Side(one["side"]), one["security_id"]): Decimal(0) for one in orders_of(account_id)}
    with pytest.raises(WrongUsage, match=r"reject the proposal instead|below the account's reserve"):
        night().amend(account_id, wish)


def test_cash_that_is_owed_is_still_raised() -> None:
    deepest = night().solved.accounts.sort("cash_usd")["account_id"].to_list()
    account_id = next(one for one in deepest if one in alone())
    wish = {(Side.SELL, one["security_id"]): Decimal(0) for one in orders_of(account_id) if one["side"] == "sell"}
    kept = wish.popitem()
    assert kept[1] == 0
    with pytest.raises(WrongUsage, match=r"cash would end [\d,.]+ USD below the account's reserve"):
        night().amend(account_id, wish)


def test_half_a_unit_is_no_unit() -> None:
    account_id, one = next(
        (account, order)
        for account in alone()
        for order in orders_of(account)
        if order["side"] == "buy" and night().steps[order["security_id"]] == 1
    )
    with pytest.raises(WrongUsage, match="trades in steps of 1"):
        night().amend(account_id, {(Side.BUY, one["security_id"]): Decimal("0.5")})


def test_an_order_below_the_smallest_is_refused() -> None:
    account_id, one = next(
        (account, order)
        for account in alone()
        for order in orders_of(account)
        if order["side"] == "buy" and 1 < order["price_usd"] < 90 and order["quantity"] > 3
    )
    with pytest.raises(WrongUsage, match="the smallest that policy allows"):
        night().amend(account_id, {(Side.BUY, one["security_id"]): Decimal(1)})


def test_an_account_rebalanced_with_its_household_is_not_changed_alone() -> None:
    found = night("invested")
    managed = found.solved.accounts.filter(pl.col("managed_household_id").is_not_null())["account_id"].to_list()
    account_id = next(one for one in found.frames["proposals"]["account_id"] if one in managed)
    one = found.frames["orders"].filter(account_id=account_id).row(0, named=True)
    with pytest.raises(WrongUsage, match="together with its household"):
        found.amend(account_id, {(Side(one["side"]), one["security_id"]): Decimal(0)})

"""A look at a resident book gives what a look at every account gives: books nobody picked, and prices at the edges of bands."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.landing_columns import dtypes
from schemas.stored import INTERNAL
from tasks.core.facts.facts import Facts
from tasks.core.facts.target_hashes import model_hashes
from tasks.core.monitor import scan
from tasks.core.monitor.breaches import KnownToday, seen_accounts, verdict
from tasks.core.monitor.resident import MILLION, resident_book
from tasks.core.monitor.scan import BookLook, PricesNow, breaches_now, look_at_book
from tasks.core.reconcile.unshown_fills import MISSING, waiting_orders
from tests.support.facts_table import AS_OF, facts_of, table

TODAY = AS_OF + timedelta(days=1)
REARM = 0.8
BREACHES = {"breach_id": pl.Int64, "account_id": pl.String, "is_before_night": pl.Boolean}
HANDLED = {"account_id": pl.String, "model_hash": pl.String}
SECURITIES = """
    security_id | asset_class | price_factor
    S           | stocks      |
    T           | stocks      | 1
    B           | bonds       | 0.01
    C           | cash        |
    X           | gold        | 7.5
"""
INDEX = table("index_weights", "security_id | weight\nS | 0.7\nT | 0.3")
NAMES = ("S", "T", "B", "C", "X")


class Draw:
    """A random world: shards with their facts and what is known of them, breaches that last, and prices of some moments."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.common = facts_of(
            securities=SECURITIES,
            model_targets=self._targets(),
            households="household_id | model_id | policy_id\n h | m | p\n i | n | q",
        )
        policies = pl.concat([self.common.policies, self.common.policies.with_columns(policy_id=pl.lit("q"))])
        flags = [bool(flag) for flag in self.random.random(2) < 0.8]
        self.common = replace(
            self.common, policies=policies.with_columns(is_threshold_triggered=pl.Series(flags), cool_down_days=3)
        )
        number = int(self.random.integers(1, 4))
        self.shards = [self._shard(each) for each in range(number)]
        names = [name for facts, _ in self.shards for name in facts.accounts["account_id"]]
        chosen = [name for name in names if self.random.random() < 0.4]
        rows = [(each, name, bool(self.random.random() < 0.4)) for each, name in enumerate(sorted(chosen))]
        self.lasting = pl.DataFrame(rows, schema=BREACHES, orient="row")

    def _of(self, *values: str, share: float = 0.5) -> str:
        """The first value, or with a chance one of the others."""
        return str(values[0] if self.random.random() > share else self.random.choice(values[1:]))

    def _targets(self) -> str:
        lines = ["model_id | asset_class | target_weight | absolute_band | relative_band"]
        for model in "mn":
            for name, weight in (("stocks", 0.6), ("bonds", 0.3), ("gold", 0.1), ("cash", 0)):
                band = self._of("0.05", "", "0", "0.02", "0.5")
                lines.append(f" {model} | {name} | {weight} | {band} | {self._of('', '0.25', '0')}")
        return "\n".join(lines)

    def _shard(self, number: int) -> tuple[Facts, KnownToday]:
        random, names = self.random, [f"{'abc'[number]}{each}" for each in range(int(self.random.integers(1, 9)))]
        homes = [self._of("", *(("h", "z"), ("i", "y"), ("x", "w"))[number], share=0.4) for _ in names]
        accounts = "account_id | household_id | model_id | policy_id | status | cash_reserve_usd\n" + "\n".join(
            f" {name} | {home} | {self._of('m', 'n', 'none', share=0.3)} | {self._of('p', 'q')} |"
            f" {self._of('active', 'frozen', 'closed', share=0.1)} | {self._of('0', '50')}"
            for name, home in zip(names, homes, strict=True)
        )
        lots = ["account_id | security_id | lot_id | quantity"]
        for name in names:
            for lot in range(int(random.integers(0, 7))):
                security = self._of(*NAMES, share=0.8) if random.random() < 0.98 else "unknown"
                quantity = self._of("60", "40", "0", "0.000001", "33.333333", "123456789.123456", share=0.6)
                lots.append(f" {name} | {security} | {lot} | {quantity}")
        cash = "account_id | settled_usd | pending_usd\n" + "\n".join(
            f" {name} | {self._of('0', '-3', '-6', '200', '-0.000001', '4000')} | {self._of('0', '500', '-500')}"
            for name in names
        )
        drawn = facts_of(accounts=accounts, lots="\n".join(lots), cash=cash, securities=SECURITIES)
        exported = [(name, TODAY - timedelta(days=int(random.integers(0, 5))), "x") for name in names]
        members = drawn.members
        if number == 0 and random.random() < 0.2:
            members = pl.concat([members, pl.DataFrame({"account_id": ["lost"], "household_key": ["h h"]})])
        facts = replace(
            self.common,
            accounts=drawn.accounts,
            lots=drawn.lots.select("account_id", "security_id", "quantity"),
            cash=drawn.cash,
            members=members,
            last_exports=pl.DataFrame(exported, schema=INTERNAL["last_exports"], orient="row").sample(
                fraction=0.3 if number == 0 else 0, seed=number
            ),
        )
        facts = facts.with_tilts(self._tilts(names)).with_indexes(self._indexes(names), INDEX)
        return facts, self._known(facts, names)

    def _tilts(self, names: list[str]) -> pl.DataFrame:
        """Some accounts want more or less of a class than their model has."""
        rows = [
            {"account_id": name, "asset_class": "gold", "delta_weight": float(self._of("0.05", "-0.02", "0.3"))}
            for name in names
            if self.random.random() < 0.15
        ]
        return pl.DataFrame(rows, schema=dtypes("tilts"))

    def _indexes(self, names: list[str]) -> pl.DataFrame:
        """Some accounts hold their stocks as an index of S and T, or of T alone."""
        rows = [
            {"account_id": name, "asset_class": "stocks", "index_id": "i", "exclude": self._of("", "S") or None}
            for name in names
            if self.random.random() < 0.2
        ]
        return pl.DataFrame(rows, schema=dtypes("direct_indexes"))

    def _known(self, facts: Facts, names: list[str]) -> KnownToday:
        def some(share: float) -> list[str]:
            return [name for name in names if self.random.random() < share]

        hashes = model_hashes(facts.model_targets)
        fills = [(name, "S", Decimal(7), Decimal(-700)) for name in some(0.15)]
        fills += [(name, "T", Decimal("-0.5"), Decimal(50)) for name in some(0.1)]
        orders = pl.DataFrame({"account_id": some(0.1)}, schema={"account_id": pl.String})
        waits = waiting_orders(pl.DataFrame(schema=INTERNAL["open_orders"]))
        return KnownToday(
            night=facts.accounts.select("account_id").with_columns(
                triggers=pl.Series([self._of("", "drift", "cash|drift", "harvest", share=0.3) for _ in names])
            ),
            fills=pl.DataFrame(fills, schema=MISSING, orient="row"),
            busy=pl.DataFrame({"account_id": some(0.2)}, schema={"account_id": pl.String}),
            night_models=hashes.with_columns(
                model_hash=pl.Series([self._of(one, "other", share=0.2) for one in hashes["model_hash"]])
            ),
            handled=pl.DataFrame(
                [(name, self._of("other", hashes["model_hash"][0])) for name in some(0.2)], schema=HANDLED, orient="row"
            ),
            open_orders=orders.with_columns(open_orders=pl.lit("buy 5 S"), open_sessions=pl.lit(1, pl.Int64)).select(
                waits.columns
            ),
        )

    def shared(self) -> list[tuple[Facts, KnownToday]]:
        """The shards with one answer to what all of them have in common, as a look has it."""
        busy = pl.concat([each.busy for _, each in self.shards])
        exports = pl.concat([facts.last_exports for facts, _ in self.shards])
        return [
            (
                replace(facts, last_exports=exports),
                replace(each, busy=busy, night_models=self._night_models(each.night_models)),
            )
            for facts, each in self.shards
        ]

    def _night_models(self, hashes: pl.DataFrame) -> pl.DataFrame:
        """Those of a shard; of models that shards share the first shard's."""
        shared = self.shards[0][1].night_models
        own = hashes.join(shared, on="model_id", how="left", suffix="_shared")
        return own.select("model_id", model_hash=pl.coalesce("model_hash_shared", "model_hash"))

    def prices(self) -> PricesNow:
        """Prices of a moment: round ones, which put classes on the edges of their bands, and any; some are not known."""
        found = []
        for _ in NAMES:
            price = self._of("100", "80", "120", "0.000001", "1", "9999.99", share=0.5)
            if self.random.random() < 0.3:
                price = str(round(float(self.random.uniform(50, 150)), 6))
            found.append(-1 if self.random.random() < 0.05 else int(Decimal(price) * MILLION))
        return PricesNow(np.array(found, dtype=np.int64), TODAY)


def plain_look(shards: list[tuple[Facts, KnownToday]], prices: PricesNow, lasting: pl.DataFrame) -> tuple[object, ...]:
    """The look of today: every account of every shard."""
    parts, accounts = [], 0
    for facts, known in shards:
        at_prices = replace(facts, prices=prices.frame(facts.securities))
        parts.append(seen_accounts(at_prices, known, as_of=TODAY))
        accounts += facts.accounts.height
    seen = pl.concat(parts)
    out = seen.filter(pl.col("triggers").str.contains(r"\b(drift|cash)\b"))
    found = verdict(seen, lasting, rearm=REARM)
    unhandled = out.filter(~pl.col("was_out")).height
    return (seen.height, accounts - seen.height, out.height, unhandled, found.new.rows(), found.cleared.to_list())


def figures(found: BookLook) -> tuple[object, ...]:
    rows = found.verdict.new.rows(), found.verdict.cleared.to_list()
    return (found.looked_at, found.skipped, found.out_of_band, found.unhandled, *rows)


def resident_looks(draw: Draw, moments: list[PricesNow]) -> list[BookLook]:
    shards = draw.shared()
    handled = pl.concat([known.handled for _, known in shards])
    book, now = breaches_now(resident_book(shards), lasting=draw.lasting, busy=shards[0][1].busy, handled=handled)
    return [look_at_book(book, prices, now, rearm=REARM) for prices in moments]


def compare(seed: int) -> list[BookLook]:
    draw = Draw(seed)
    moments = [draw.prices() for _ in range(3)]
    looks = resident_looks(draw, moments)
    for prices, found in zip(moments, looks, strict=True):
        assert figures(found) == plain_look(draw.shared(), prices, draw.lasting), seed
    return looks


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_look_at_a_resident_book_is_a_look_at_every_account(seed: int) -> None:
    compare(seed)


def test_the_books_that_are_drawn_have_breaches_of_every_kind() -> None:
    looks = [found for seed in range(60) for found in compare(seed)]
    for name in ("looked_at", "skipped", "out_of_band", "unhandled", "judged"):
        assert sum(getattr(found, name) for found in looks) > 50, name
    assert sum(found.verdict.new.height for found in looks) > 20
    assert sum(found.verdict.cleared.len() for found in looks) > 20
    assert sum(found.looked_at for found in looks) > sum(found.judged for found in looks) * 1.2


def test_what_is_judged_in_small_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "JUDGED_AT_ONCE", 1)
    assert sum(found.judged for seed in range(25) for found in compare(seed)) > 20


def test_what_is_held_is_what_lots_and_fills_name() -> None:
    for seed in range(25):
        shards = Draw(seed).shared()
        book = resident_book(shards)
        named = {name for facts, known in shards for rows in (facts.lots, known.fills) for name in rows["security_id"]}
        assert book.is_held.tolist() == [name in named for name in book.securities["security_id"]], seed

"""What must be true of a night, judged by what accounts truly hold; every fault is a sentence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

import polars as pl

from tests.soak.clearing import YearsCustodian

WINDOW_DAYS: Final = 30
NEAR_USD: Final = Decimal(1)
"""A sale that was a gain at the reference price and lost no more than a few cents a share at the broker's is not a loss that was chosen."""
LEAST: Final = 1e-9
Row = dict[str, Any]


def faults_of_night(at: YearsCustodian, outcomes: pl.DataFrame, orders: Sequence[Row]) -> Iterator[str]:
    """Of outcomes and proposed orders, each with its ``relief``."""
    late = {name for name, account in at.accounts.items() if account.custodian in at.late}
    seen = outcomes["account_id"]
    if twice := sorted(seen.filter(seen.is_duplicated()).unique()):
        yield f"{twice} have more than one outcome"
    if left_out := sorted(set(at.accounts) - set(seen)):
        yield f"{left_out} have no outcome"
    wrongly = at.shown_wrongly() | late
    spent: dict[str, Decimal] = {}
    for order in orders:
        name, symbol, sign = order["account_id"], order["security_id"], 1 if order["side"] == "buy" else -1
        spent[name] = spent.get(name, Decimal(0)) + sign * order["quantity"] * order["price_usd"]
        if name in wrongly:
            yield f"{name} is traded, and its files are not what it holds"
        if order["price_usd"] != at.prices[symbol]:
            yield f"{name} trades {symbol} at {order['price_usd']}, not at {at.prices[symbol]}"
        if order["side"] == "sell":
            taken = sum((row["quantity"] for row in order["relief"]), Decimal(0))
            lots = at.accounts[name].lots
            if taken != order["quantity"] or any(
                (symbol, row["lot_id"]) not in lots or lots[symbol, row["lot_id"]].quantity < row["quantity"]
                for row in order["relief"]
            ):
                yield f"{name} sells {order['quantity']} {symbol} from lots that it has not"
    for name, usd in spent.items():
        account = at.accounts[name]
        before = account.settled + account.pending
        if before - usd < min(before, Decimal(0)):
            yield f"{name} spends {usd - before} USD that it has not"


def wash_sales(at: YearsCustodian) -> Iterator[str]:
    """Every pair of a loss in a taxable account and a purchase of the same in its household, ``WINDOW_DAYS`` apart at most; each with each."""

    def house(name: str) -> str:
        return at.accounts[name].household or name

    bought: dict[tuple[str, str], list[tuple[date, str]]] = {}
    for row in at.bought_in:
        bought.setdefault((house(row["account"]), row["security"]), []).append((row["day"], row["lot"]))
    for sale in at.sold:
        if at.tax[sale["account"]] != "taxable" or sale["gain"] >= -NEAR_USD:
            continue
        for day, lot in bought.get((house(sale["account"]), sale["security"]), []):
            if abs((day - sale["day"]).days) <= WINDOW_DAYS and lot != sale["lot"]:
                yield (
                    f"{sale['account']} lost {-sale['gain']:.2f} USD on {sale['security']} on {sale['day']}, "
                    f"and the same was bought on {day}"
                )


@dataclass
class Ledger:
    """Value and return of each account, by the custodian's books; a night that an account waits is a night without an entry."""

    value: dict[str, float] = field(default_factory=dict)
    growth: dict[str, float] = field(default_factory=dict)
    at: dict[str, int] = field(default_factory=dict)
    flowed: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def night(self, at: YearsCustodian, recorded: Sequence[str]) -> None:
        """After a night: the accounts that have a row of it."""
        for row in at.flows:
            if row["flow_date"] == at.day:
                self.flowed.setdefault(row["account_id"], []).append((at.place, float(row["amount_usd"])))
        for name in recorded:
            now = float(at.worth(name))
            if name in self.value:
                flows = self.flowed.get(name, [])
                flow = sum(usd for _, usd in flows)
                share = 0.0 if at.place - self.at[name] == 1 else 0.5
                then = self.value[name]
                self.growth[name] *= 1 + (now - then - flow) / (then + share * flow)
            else:
                self.growth[name] = 1.0
            self.value[name], self.at[name] = now, at.place
            self.flowed.pop(name, None)

    def faults(self, performance: Mapping[str, Row]) -> Iterator[str]:
        """Where the product's newest row of an account says something else."""
        for name, row in sorted(performance.items()):
            value, growth = self.value[name], self.growth[name] - 1
            if abs(float(row["value_usd"]) - value) > 1e-6 * value:
                yield f"{name} is worth {value:.2f} USD, and {row['value_usd']} to the product"
            told = row["inception_return"]
            if told is not None and abs(told - growth) > LEAST + 1e-6 * abs(growth):
                yield f"{name} returned {growth:.9f}, and {told:.9f} to the product"

"""The custodian of the year: a book drawn by a seed, the market's real closes, and what happens to accounts between two nights.

It books what the broker's files say and nothing else. What it knows, shares by lot, cents and trades, is all in Python's own numbers: no code of the
product is in it, so that it can be a witness.
"""

from collections.abc import Iterator
from csv import DictReader
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import polars as pl

from tasks.demo.book_reference import CLASSES, FUNDS, MODELS, SECURITIES, SYMBOLS
from tests.support.custodian import CENT, Custodian, HeldLot, Row, TrueAccount

MILLIONTH: Final = Decimal("0.000001")
WHOLE: Final = frozenset(SYMBOLS) - {fund.symbol for fund in FUNDS}
CLASS_OF: Final = {security.symbol: security.asset_class for security in SECURITIES}
OF_MODELS: Final = ("balanced", "moderate", "growth", "conservative", "factor_blend", "factor_growth")
OF_POLICIES: Final = ("standard", "standard", "half_way", "gentle", "monthly", "harvester", "generous", "gain_budget")
STATUSES: Final = ("taxable", "taxable", "taxable", "tax_deferred", "tax_exempt")
SHOWN_DAYS: Final = 70
"""Trades of so many days are in the files: more than a wash-sale window on either side."""
A_DAY: Final = {
    "contribution": 0.004,
    "withdrawal": 0.003,
    "new_model": 0.0015,
    "gift": 0.0005,
    "damage": 0.002,
}
"""How often each happens to an account on a day."""
SPLIT_EVERY: Final = 25
DIVIDEND_EVERY: Final = 63
LATE_EVERY: Final = 17
TERM_DAYS: Final = 365
TERMS: Final = ("short", "long")


class YearsCustodian(Custodian):
    """All accounts of the year; ``tax``, ``policies`` and ``flows`` beside what every custodian knows."""

    def __init__(self, account_count: int, dates: np.ndarray, closes: np.ndarray, first: int, seed: int) -> None:
        super().__init__()
        self.random = Random(seed)  # noqa: S311 - the year is the same again
        self.dates = [date.fromisoformat(str(day)) for day in dates]
        self.closes, self.place = closes, first
        self.factor = dict.fromkeys(SYMBOLS, Decimal(1))
        self.tax: dict[str, str] = {}
        self.policies: dict[str, str] = {}
        self.flows: list[Row] = []
        self.leaving: dict[int, list[tuple[str, Decimal]]] = {}
        self.year_gains: dict[str, dict[str, Decimal]] = {}
        self.sold: list[Row] = []
        self.bought_in: list[Row] = []
        self.happened: dict[str, int] = {}
        self._price()
        for number in range(account_count):
            self._open(f"Y{number:05d}", number)

    # --- the book at first

    def _open(self, name: str, number: int) -> None:
        draw = self.random
        is_joint = number % 10 < 2  # each tenth pair of accounts is a household that is managed together
        model, policy = draw.choice(OF_MODELS), draw.choice(OF_POLICIES)
        household = f"H{number // 10:04d}" if is_joint else None
        if is_joint:
            model, policy = "balanced", "family"
        account = self.accounts[name] = TrueAccount(
            model=model, household=household, custodian="south" if number % 4 == 3 else "north"
        )
        self.tax[name], self.policies[name] = draw.choice(STATUSES), policy
        worth = Decimal(round(10 ** draw.uniform(4.7, 6.3)))
        for asset_class, target in MODELS[model].items():
            usd = worth * Decimal(str(round(target * draw.uniform(0.75, 1.25), 4)))
            if asset_class == CLASSES[-1]:
                account.settled = usd.quantize(CENT)
                continue
            symbol = draw.choice([name for name in SYMBOLS if CLASS_OF[name] == asset_class])
            parts = draw.randint(1, 3)
            for part in range(parts):
                self._lot(account, symbol, usd / parts, f"{part + 1}")

    def _lot(self, account: TrueAccount, symbol: str, usd: Decimal, lot_id: str) -> None:
        """A lot that was bought at the close of a day within the last two years."""
        then = self.place - self.random.randint(1, 500)
        cost = Decimal(str(round(float(self.closes[then][SYMBOLS.index(symbol)]), 4)))
        step = Decimal(1) if symbol in WHOLE else Decimal("0.001")
        quantity = (usd / self.prices[symbol] / step).to_integral_value() * step
        if quantity > 0:
            account.lots[symbol, lot_id] = HeldLot(quantity, cost, self.dates[then].isoformat())

    @property
    def day(self) -> date:
        """The session whose close it is."""
        return self.dates[self.place]

    def _price(self) -> None:
        for symbol, close in zip(SYMBOLS, self.closes[self.place], strict=True):
            self.prices[symbol] = (Decimal(str(round(float(close), 4))) * self.factor[symbol]).quantize(MILLIONTH)

    # --- a morning

    def book(self, broker_file: Path, relief: pl.DataFrame) -> dict[str, tuple[Decimal, Decimal]]:
        """What stands of a broker's file is booked; ``shares, dollars`` by order.

        A correction takes the place of the fill that it names, a bust takes it away. Sales close the lots named, in their order.
        """
        standing: dict[str, Row] = {}
        with broker_file.open(encoding="utf-8", newline="") as file:
            for row in DictReader(file):
                if row["kind"] in {"bust", "correct"}:
                    standing.pop(row["reference_id"])
                if row["kind"] in {"fill", "correct"}:
                    standing[row["execution_id"]] = row
        lots: dict[str, list[tuple[str, Decimal]]] = {}
        for order_id, lot_id, quantity in relief.select("order_id", "lot_id", "quantity").iter_rows():
            lots.setdefault(order_id, []).append((lot_id, quantity))
        done: dict[str, tuple[Decimal, Decimal]] = {}
        for row in standing.values():
            quantity, price = Decimal(row["quantity"]), Decimal(row["price_usd"])
            self._fill(row, quantity, price, lots)
            shares, dollars = done.get(row["client_order_id"], (Decimal(0), Decimal(0)))
            done[row["client_order_id"]] = shares + quantity, dollars + quantity * price
        return done

    def _fill(self, row: Row, quantity: Decimal, price: Decimal, lots: dict[str, list[tuple[str, Decimal]]]) -> None:
        name, symbol, day = row["account_id"], row["security_id"], date.fromisoformat(row["trade_date"])
        account, gain = self.accounts[name], None
        if row["side"] == "buy":
            self.bought += 1
            lot_id = f"b{self.bought}"
            account.lots[symbol, lot_id] = HeldLot(quantity, price, day.isoformat())
            self.bought_in.append({"account": name, "security": symbol, "day": day, "lot": lot_id})
        else:
            gain = sum(self._close(row, price, quantity, lots[row["client_order_id"]]), Decimal(0))
        account.settled += (quantity * price * (1 if gain is not None else -1)).quantize(CENT)
        shown = {"account_id": name, "security_id": symbol, "trade_date": day, "side": row["side"]}
        self.trades.append(
            {**shown, "quantity": quantity, "price_usd": price}
            | {"realized_gain_usd": None if gain is None else gain.quantize(CENT)}
        )

    def _close(self, row: Row, price: Decimal, left: Decimal, lots: list[tuple[str, Decimal]]) -> Iterator[Decimal]:
        """Gain of each lot closed; what is used of ``lots`` is taken off it."""
        name, symbol, day = row["account_id"], row["security_id"], date.fromisoformat(row["trade_date"])
        held = self.accounts[name].lots
        while left:
            lot_id, most = lots[0]
            taken = min(left, most)
            lots[0] = (lot_id, most - taken)
            if taken == most:
                lots.pop(0)
            lot = held[symbol, lot_id]
            assert lot.quantity >= taken, f"{name} sold {taken} of {lot.quantity} {symbol} in lot {lot_id}"
            assert lot.cost is not None
            gain, acquired = (price - lot.cost) * taken, date.fromisoformat(lot.acquired)
            lot.quantity, left = lot.quantity - taken, left - taken
            if lot.quantity == 0:
                del held[symbol, lot_id]
            term = "long" if (day - acquired).days > TERM_DAYS else "short"
            gains = self.year_gains.setdefault(name, {"short": Decimal(0), "long": Decimal(0)})
            gains[term] += gain
            self.sold.append(
                {"account": name, "security": symbol, "day": day, "lot": lot_id, "acquired": acquired, "gain": gain}
            )
            yield gain

    # --- a day

    def pass_day(self) -> None:
        """The market moves to the next close, and things happen."""
        self.place += 1
        if self.day.year != self.dates[self.place - 1].year:
            self.year_gains.clear()
        self._split()
        self._price()
        self.slips.clear()
        self.late.clear()
        for name, usd in self.leaving.pop(self.place, []):
            self._pay(name, usd)
            self.accounts[name].pending -= usd
        if self.place % DIVIDEND_EVERY == 0:
            self._dividend()
        if self.place % LATE_EVERY == 0:
            self.late.add("south")
            self._count("late file")
        for name in self.accounts:
            for what, share in A_DAY.items():
                if self.random.random() < share:
                    getattr(self, f"_{what}")(name)
        self.trades = [row for row in self.trades if (self.day - row["trade_date"]).days <= SHOWN_DAYS]
        self.flows = [row for row in self.flows if (self.day - row["flow_date"]).days <= SHOWN_DAYS]

    def _count(self, what: str) -> None:
        self.happened[what] = self.happened.get(what, 0) + 1

    def _split(self) -> None:
        """Two for one, told a day before and on the day."""
        if self.place % SPLIT_EVERY == SPLIT_EVERY - 1:
            symbol = SYMBOLS[(self.place // SPLIT_EVERY) % len(SYMBOLS)]
            self.say(symbol, self.dates[self.place + 1], "split", "2", "-")
        for row in self.said:
            if row["effective_date"] == self.day:
                self.factor[row["security_id"]] /= 2
                self.split(row["security_id"], 2, 1, lots_are_whole=False)
                self._count("split")

    def _shares(self, account: TrueAccount) -> Decimal:
        return sum((lot.quantity * self.prices[symbol] for (symbol, _), lot in account.lots.items()), Decimal(0))

    def worth(self, name: str) -> Decimal:
        """Shares at the close, and cash."""
        return self._shares(self.accounts[name]) + self.accounts[name].settled

    def _pay(self, name: str, usd: Decimal) -> None:
        self.accounts[name].settled += usd
        self.flows.append({"account_id": name, "flow_date": self.day, "amount_usd": usd})

    def _contribution(self, name: str) -> None:
        self._pay(name, (self.worth(name) * Decimal(str(self.random.uniform(0.005, 0.04)))).quantize(CENT))
        self._count("contribution")

    def _withdrawal(self, name: str) -> None:
        """Told three sessions before it leaves."""
        if self.accounts[name].pending:
            return
        usd = -(self.worth(name) * Decimal(str(self.random.uniform(0.005, 0.05)))).quantize(CENT)
        self.accounts[name].pending += usd
        self.leaving.setdefault(self.place + 3, []).append((name, usd))
        self._count("withdrawal")

    def _new_model(self, name: str) -> None:
        if self.accounts[name].household is None:
            self.accounts[name].model = self.random.choice(OF_MODELS)
            self._count("model change")

    def _gift(self, name: str) -> None:
        """Shares given away, whole lots: told by nobody."""
        lots = self.accounts[name].lots
        if len(lots) > 3:
            symbol, lot_id = self.random.choice(sorted(lots))
            lot = lots.pop((symbol, lot_id))
            usd = -(lot.quantity * self.prices[symbol]).quantize(CENT)
            self.flows.append({"account_id": name, "flow_date": self.day, "amount_usd": usd})
            self._count("shares given away")

    def _dividend(self) -> None:
        """Half a per cent of what is held, in cash."""
        for account in self.accounts.values():
            account.settled += (self._shares(account) * Decimal("0.005")).quantize(CENT)
        self._count("dividend")

    def _damage(self, name: str) -> None:
        """A cell of a row of lots is not what it was."""
        kind = self.random.choice(("left out", "name", "number", "twice"))
        self.slips.append(lambda rows: damaged(rows, name, kind))
        self._count(f"damaged row: {kind}")

    # --- what the files show

    def write(self, folder: Path, day: date, common: dict[str, pl.DataFrame]) -> None:
        """As every custodian's, with the totals of each account and what came and went."""
        super().write(folder, day, common)
        for custodian in {account.custodian for account in self.accounts.values()} - self.late:
            mine = sorted(name for name, account in self.accounts.items() if account.custodian == custodian)
            place = folder / day.isoformat() / custodian
            totals = [(name, str(self.worth(name).quantize(MILLIONTH)), len(self.accounts[name].lots)) for name in mine]
            pl.DataFrame(totals, schema=["account_id", "value_usd", "lot_count"], orient="row").write_csv(
                place / "account_totals.csv"
            )
            moved = [{name: str(cell) for name, cell in row.items()} for row in self.flows if row["account_id"] in mine]
            columns = dict.fromkeys(("account_id", "flow_date", "amount_usd"), pl.String)
            pl.DataFrame(moved, schema=columns).write_csv(place / "flows.csv")

    def _accounts(self) -> pl.DataFrame:
        gains = {name: self.year_gains.get(name, {}) for name in self.accounts}
        rows = [
            {"account_id": name, "household_id": account.household, "custodian": account.custodian}
            | {"tax_status": self.tax[name], "model_id": account.model, "policy_id": self.policies[name]}
            | {"status": account.status, "short_term_rate": 0.37, "long_term_rate": 0.2, "cash_reserve_usd": 0}
            | {f"ytd_{term}_gain_usd": str(gains[name].get(term, Decimal(0)).quantize(CENT)) for term in TERMS}
            for name, account in self.accounts.items()
        ]
        return pl.DataFrame(rows, infer_schema_length=None)


def damaged(rows: list[Row], name: str, kind: str) -> list[Row]:
    """The rows with the first of an account damaged."""
    places = [place for place, row in enumerate(rows) if row["account_id"] == name]
    if not places:
        return rows
    row: dict[str, Any] = dict(rows[places[0]])
    if kind == "left out":
        return [*rows[: places[0]], *rows[places[0] + 1 :]]
    if kind == "twice":
        return [*rows, {**row, "lot_id": "again"}]
    row |= {"account_id": f"{name[:2]}O{name[3:]}"} if kind == "name" else {"quantity": "12,5x"}
    return [*rows[: places[0]], row, *rows[places[0] + 1 :]]

"""A custodian that knows what its accounts truly hold, and what its files show of it on a night, which may be something else.

Corporate actions, transfers and cash happen to the true holdings; a slip (``Custodian.slips``) changes only the rows of one night.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import polars as pl

Row = dict[str, Any]
Slip = Callable[[list[Row]], list[Row]]
CENT = Decimal("0.01")
NO_TRADES = {
    "account_id": pl.String,
    "security_id": pl.String,
    "trade_date": pl.String,
    "side": pl.String,
    "quantity": pl.String,
    "price_usd": pl.String,
    "realized_gain_usd": pl.String,
}
NO_LOTS = dict.fromkeys(
    ("account_id", "security_id", "lot_id", "quantity", "unit_cost_usd", "acquired_date"), pl.String
)
NO_CASH = dict.fromkeys(("account_id", "settled_usd", "pending_usd"), pl.String)
NO_ACTIONS = dict.fromkeys(("security_id", "effective_date", "action", "ratio", "new_security_id"), pl.String)


@dataclass
class HeldLot:
    """Shares bought together."""

    quantity: Decimal
    cost: Decimal | None
    acquired: str = "2020-01-02"


@dataclass
class TrueAccount:
    """What an account truly is."""

    lots: dict[tuple[str, str], HeldLot] = field(default_factory=dict)
    settled: Decimal = Decimal(1000)
    pending: Decimal = Decimal(0)
    model: str = "growth"
    household: str | None = None
    status: str = "active"
    custodian: str = "north"

    def holds(self, security: str) -> Decimal:
        """Shares of a security."""
        return sum((lot.quantity for (name, _), lot in self.lots.items() if name == security), Decimal(0))


@dataclass
class Custodian:
    """All accounts, the market, and what is said of corporate actions."""

    accounts: dict[str, TrueAccount] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    trades: list[Row] = field(default_factory=list)
    said: list[Row] = field(default_factory=list)
    slips: list[Slip] = field(default_factory=list)
    late: set[str] = field(default_factory=set)
    bought: int = 0

    # --- what happens

    def put(
        self, names: Iterable[str], security: str, shares: int | str, lot: str = "1", cost: str | None = ""
    ) -> None:
        """New lots; without a ``cost`` they cost the price of the day, with null it is not known."""
        for name in names:
            usd = self.prices[security] if cost == "" else None if cost is None else Decimal(cost)
            self.accounts[name].lots[security, lot] = HeldLot(Decimal(shares), usd)

    def remove(self, names: Iterable[str], security: str) -> None:
        """All lots of a security leave."""
        for name in names:
            for key in [key for key in self.accounts[name].lots if key[0] == security]:
                del self.accounts[name].lots[key]

    def pay(self, names: Iterable[str], usd: str) -> None:
        """Settled cash comes, or goes where negative."""
        for name in names:
            self.accounts[name].settled += Decimal(usd)

    def announce(self, names: Iterable[str], usd: str) -> None:
        """Cash is pending."""
        for name in names:
            self.accounts[name].pending += Decimal(usd)

    def settle(self, names: Iterable[str]) -> None:
        """What was pending has come or gone."""
        for name in names:
            account = self.accounts[name]
            account.settled, account.pending = account.settled + account.pending, Decimal(0)

    def split(self, security: str, new: int, old: int, *, lots_are_whole: bool = True) -> None:
        """``new`` shares for ``old`` in every account, fractions paid in cash, at a price that follows."""
        self.prices[security] = (self.prices[security] * old / new).quantize(CENT)
        for account in self.accounts.values():
            for key, lot in account.lots.items():
                if key[0] == security:
                    due = lot.quantity * new / old
                    kept = due.to_integral_value(ROUND_FLOOR) if lots_are_whole else due
                    account.settled += ((due - kept) * self.prices[security]).quantize(CENT)
                    lot.quantity = kept
                    lot.cost = None if lot.cost is None else (lot.cost * old / new).quantize(Decimal("0.000001"))

    def exchange(self, old: str, new: str, ratio: str = "1") -> None:
        """Shares of one security become shares of another, fractions paid in cash."""
        rate = Decimal(ratio)
        for account in self.accounts.values():
            for key in [key for key in account.lots if key[0] == old]:
                lot = account.lots.pop(key)
                due = lot.quantity * rate
                lot.quantity = due.to_integral_value(ROUND_FLOOR)
                account.settled += ((due - lot.quantity) * self.prices[new]).quantize(CENT)
                lot.cost = None if lot.cost is None else (lot.cost / rate).quantize(Decimal("0.000001"))
                account.lots[new, key[1]] = lot

    def buy_out(self, security: str, usd: str) -> None:
        """All shares are paid out in cash."""
        for name, account in self.accounts.items():
            account.settled += account.holds(security) * Decimal(usd)
            self.remove([name], security)

    def spin_off(self, parent: str, child: str, *, ratio: str, share: str) -> None:
        """``ratio`` shares of a child for one of the parent, which keeps all but ``share`` of its cost and price."""
        part = Decimal(share)
        self.prices[child] = (self.prices[parent] * part / Decimal(ratio)).quantize(CENT)
        self.prices[parent] = (self.prices[parent] * (1 - part)).quantize(CENT)
        for account in self.accounts.values():
            for (_, name), lot in [one for one in account.lots.items() if one[0][0] == parent]:
                assert lot.cost is not None
                shares = (lot.quantity * Decimal(ratio)).to_integral_value(ROUND_FLOOR)
                whole = lot.cost * lot.quantity * part
                account.lots[child, name] = HeldLot(shares, (whole / shares).quantize(CENT), lot.acquired)
                lot.cost = (lot.cost * (1 - part)).quantize(CENT)

    def trade(
        self, name: str, security: str, side: str, quantity: Decimal, *, day: date, relief: Iterable[Row] = ()
    ) -> None:
        """A trade at the price of the day, with its row in the table of trades; what is sold comes from the lots named."""
        account, price = self.accounts[name], self.prices[security]
        gain = None
        if side == "buy":
            self.bought += 1
            account.lots[security, f"b{self.bought}"] = HeldLot(quantity, price, day.isoformat())
            account.settled -= quantity * price
        else:
            gain = Decimal(0)
            for row in relief:
                lot = account.lots[security, row["lot_id"]]
                lot.quantity -= Decimal(str(row["quantity"]))
                gain += Decimal(str(row["quantity"])) * (price - (lot.cost or 0))
                if lot.quantity == 0:
                    del account.lots[security, row["lot_id"]]
            account.settled += quantity * price
        row = {"account_id": name, "security_id": security, "trade_date": day, "side": side, "quantity": quantity}
        self.trades.append(
            {**row, "price_usd": price, "realized_gain_usd": None if gain is None else gain.quantize(CENT)}
        )

    def say(self, security: str, day: date, action: str, ratio: str, new: str) -> None:
        """A row of the table of corporate actions; ``-`` is an empty cell."""
        row = {"security_id": security, "effective_date": day, "action": action}
        self.said.append({**row, "ratio": ratio, "new_security_id": new})

    # --- what the files show

    def true_lots(self) -> list[Row]:
        """The rows of all lots."""
        return [
            {"account_id": name, "security_id": security, "lot_id": lot_id, "quantity": lot.quantity}
            | {"unit_cost_usd": lot.cost, "acquired_date": lot.acquired}
            for name, account in self.accounts.items()
            for (security, lot_id), lot in account.lots.items()
        ]

    def shown_lots(self) -> list[Row]:
        """The rows that the files have tonight."""
        rows = self.true_lots()
        for slip in self.slips:
            rows = slip(rows)
        return rows

    def shown_wrongly(self) -> set[str]:
        """Accounts of which the files have other lots than they hold."""

        def of(rows: list[Row]) -> dict[str, list[str]]:
            names: dict[str, list[str]] = {}
            for row in rows:
                names.setdefault(row["account_id"], []).append(str(sorted(row.items(), key=str)))
            return {name: sorted(lots) for name, lots in names.items()}

        true, shown = of(self.true_lots()), of(self.shown_lots())
        return {name for name in true.keys() | shown.keys() if true.get(name) != shown.get(name)}

    def write(self, folder: Path, day: date, common: dict[str, pl.DataFrame]) -> None:
        """Landing files: ``<folder>/<day>/<custodian>``; a custodian that is late has none, and the rest stands in ``house``."""
        house = folder / day.isoformat() / "house"
        house.mkdir(parents=True, exist_ok=True)
        tables = {**common, "accounts": self._accounts(), "prices": self._prices(day)}
        for table, rows in {**tables, "corporate_actions": _text(self.said, NO_ACTIONS)}.items():
            rows.write_csv(house / f"{table}.csv")
        for custodian in {account.custodian for account in self.accounts.values()} - self.late:
            mine = {name for name, account in self.accounts.items() if account.custodian == custodian}
            place = house.parent / custodian
            place.mkdir(exist_ok=True)
            cash = [
                {
                    "account_id": name,
                    "settled_usd": self.accounts[name].settled,
                    "pending_usd": self.accounts[name].pending,
                }
                for name in sorted(mine)
            ]
            for table, rows, schema in (
                ("lots", self.shown_lots(), NO_LOTS),
                ("cash", cash, NO_CASH),
                ("trades", self.trades, NO_TRADES),
            ):
                _text([row for row in rows if row["account_id"] in mine], schema).write_csv(place / f"{table}.csv")

    def _accounts(self) -> pl.DataFrame:
        rows = [
            {"account_id": name, "household_id": account.household, "custodian": account.custodian}
            | {"tax_status": "taxable", "model_id": account.model, "policy_id": "p", "status": account.status}
            | {"short_term_rate": 0.37, "long_term_rate": 0.2, "cash_reserve_usd": 0}
            | {"ytd_short_gain_usd": 0, "ytd_long_gain_usd": 0}
            for name, account in self.accounts.items()
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    def _prices(self, day: date) -> pl.DataFrame:
        return pl.DataFrame(
            [{"security_id": name, "price_usd": str(price), "price_date": day} for name, price in self.prices.items()]
        )


def _text(rows: list[Row], schema: dict[str, Any]) -> pl.DataFrame:
    cells = [{name: None if row[name] in (None, "-") else str(row[name]) for name in schema} for row in rows]
    return pl.DataFrame(cells, schema=dict.fromkeys(schema, pl.String))

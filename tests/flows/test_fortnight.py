"""Ten nights of 200 accounts, with a weekend and a holiday in between: what custodians do to accounts, and what it costs whom.

``EVENTS`` is the whole story: what happens, what a person has to do, and what becomes of each night. Orders are traded and booked before
the next night. What is traded is judged by what accounts truly hold, which the simulated custodian knows and the product does not.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.errors import RunHeld
from schemas.settings import Settings
from schemas.sources import Source
from tasks.review import QuarantineFilter, QuarantineStores, plan_release, readmit_rows
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.custodian import Custodian, Row, TrueAccount
from tests.support.landing_book import rows_of
from tests.support.night_driver import export, run_night
from warehouse.lake.lake import open_lake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

NIGHTS = [date(2026, 1, day) for day in (8, 9, 12, 13, 14, 15, 16, 20, 21, 22)]
"""The 19th is a holiday."""
ACCOUNTS = 200
BAND = 0.05
TARGETS = {"stocks": 0.6, "bonds": 0.39, "cash": 0.01}

EVENTS = rows_of("""
event          | count | the custodian shows                                           | a person                                       | 1 | 2 | 3  | 4  | 5  | 6  | 7  | 8 | 9 | 10
drifted        | 6     | nothing but 71 % of stocks: they are brought back             |                                                |   |   |    |    |    |    |    |   |   |
acat_in_small  | 2     | 3: 30 AAA, 3 % of the account                                 |                                                |   |   |    |    |    |    |    |   |   |
acat_in        | 2     | 3: 200 AAB without a cost; 5: the cost                        | 3 release quantity_explained AAB               |   |   | Q! |    |    |    |    |   |   |
acat_out       | 2     | 4: nothing left; 6: closed; 8: not in the files               |                                                |  |  |  | Q | Q | C | C | - | - | -
acat_part_out  | 2     | 4: no more OUT                                                | 4 release quantity_explained @acat_part_out     |   |   |    | Q! |    |    |    |   |   |
dividend       | 2     | 2: 180 USD more                                               |                                                |   |   |    |    |    |    |    |   |   |
reinvested     | 2     | 3: a new lot of 7.123 BND                                     |                                                |   |   |    |    |    |    |    |   |   |
spin_small     | 2     | 4: 12 PSC for 120 PSM, whose cost falls by 10 %               |                                                |   |   |    |    |    |    |    |   |   |
spin_large     | 2     | 5: PLC worth 6 % of the account, the cost of PLG falls by 30 % | 5 release quantity_explained PLC; 5 release basis_unchanged PLG | | | | | B! |  |   |   |   |
spin_told      | 2     | 5: SPC worth 6 % of the account, the cost of SPT falls by 30 % | 5 told SPT 5 spin_off 0.3 SPC                  |   |   |    |    |    |    |    |   |   |
interest       | 2     | 3: 3.17 USD more                                              |                                                |   |   |    |    |    |    |    |   |   |
fee            | 2     | 5: 250 USD less; 6: 1,000 USD less, below zero                |                                                |   |   |    |    |    |    |    |   |   |
fee_in_shares  | 2     | 5: 2.5 BND less                                               |                                                |   |   |    |    |    |    |    |   |   |
stock_5        | 3     | 5: 105 for 100, all holders                                   |                                                |   |   |    |    |    |    |    |   |   |
stock_10       | 3     | 6: 110 for 100, all holders                                   |                                                |   |   |    |    |    |    |    |   |   |
split_told     | 3     | 3: 3 for 2                                                    | 2 told STO 3 split 1.5 -                       |   |   |    |    |    |    |    |   |   |
split_untold   | 3     | 4: 2 for 1, all holders                                       |                                                |   |   |    |    |    |    |    |   |   |
half_booked    | 2     | 7: 4 for 1; for the price all wait until somebody says so      | 7 say HLF 7 split 4 -                          |  |  |  |  |  |  |  |  |  |
half_late      | 2     | 7: the price of HLF as after it, its shares as before; 8: 4 for 1 |                                            |  |  |  |  |  |  | H |  |  |
ticker_told    | 2     | 3: TKA is TKB                                                 | 3 told TKA 3 identifier_change - TKB           |   |   |    |    |    |    |    |   |   |
ticker_untold  | 2     | 4: TUA is TUB                                                 | 5 told TUA 4 identifier_change - TUB           |   |   |    | Q  |    |    |    |   |   |
merger_shares  | 2     | 5: 0.6 MGB for a MGA                                          | 5 told MGA 5 merger 0.6 MGB                    |   |   |    |    |    |    |    |   |   |
merger_cash    | 2     | 6: 101 USD for a MGC                                          | 6 told MGC 6 merger - -                        |   |   |    |    |    |    |    |   |   |
merger_untold  | 2     | 6: 101 USD for a MGU                                          | 7 told MGU 6 merger - -                        |   |   |    |    |    | Q  |    |   |   |
withdrawal     | 2     | 3: 4,000 USD are to leave; 5: they have left                  |                                                |   |   |    |    |    |    |    |   |   |
contribution   | 2     | 4: 9,000 USD are to come; 6: they have come                   |                                                |   |   |    |    |    |    |    |   |   |
opened         | 2     | 4: an account with holdings                                   |                                                | - | - | -  |    |    |    |    |   |   |
opened_empty   | 2     | 5: an account without anything; 7: 50,000 USD in it           |                                                | - | - | - | - | E | E |  |  |  |
model_renamed  | 8     | 5: their model is called growth_2                             |                                                |   |   |    |    |    |    |    |   |   |
joined         | 2     | 6: they are a household                                       |                                                |   |   |    |    |    |    |    |   |   |
left_out       | 2     | 4: no LFT, which they hold; 5: it again                       |                                                |   |   |    | Q  |    |    |    |   |   |
listed_twice   | 2     | 5: the lot of TWI in two equal rows; 6: in one                |                                                |   |   |    |    | D  |    |    |   |   |
doubled        | 2     | 5: TWO once more, as another lot; 6: once           |                                                |  |  |  |  | Q |  |  |  |  |
late           | 8     | 6: no file; later in the evening it comes                     | 6 again                                        |   |   |    |    |    | L! |    |   |   |
corrected      | 2     | 3: STK sold for 100 COR; 5: for 40                              | 5 release quantity_explained COR               |   |   |    |    | Q! |    |    |   |   |
""")
"""An empty cell: goes on. A letter (``WAITS``): waits because of that; ``!``: a person's word in the same evening lets it go on. ``-``: not in the files.

``a person``: the night, then ``told`` and a row of corporate_actions that the files have; ``say``, the same after the night was run, which then is
run again; ``release`` with rule and security; ``again``: the night is run again."""

WAITS = {
    "Q": "quantity_explained",
    "B": "basis_unchanged",
    "D": "unique_account_id_security_id_lot_id",
    "H": "split_suspected",
    "L": "awaiting_file",
    "E": "no_investable_value",
    "C": "account_closed",
}
EXTRA = {
    "AAA": 100, "AAB": 100, "OUT": 100, "PSM": 100, "PSC": 0, "PLG": 100, "PLC": 0, "SPT": 100, "SPC": 0, "STF": 100, "STT": 100, "STO": 90, "SUN": 100,
    "HLF": 200, "TKA": 100, "TKB": 0, "TUA": 100, "TUB": 0, "MGA": 60, "MGB": 100, "MGC": 100, "MGU": 100, "LFT": 100, "TWI": 100, "TWO": 100,
    "COR": 100,
}  # fmt: skip
"""Securities of events, with the price of the first night; 0: it comes later."""
HOLDERS = {
    "acat_part_out": "OUT", "spin_small": "PSM", "spin_large": "PLG", "spin_told": "SPT", "stock_5": "STF", "stock_10": "STT", "split_told": "STO",
    "split_untold": "SUN", "half_booked": "HLF", "half_late": "HLF", "ticker_told": "TKA", "ticker_untold": "TUA",
    "merger_shares": "MGA", "merger_cash": "MGC", "merger_untold": "MGU", "left_out": "LFT", "listed_twice": "TWI", "doubled": "TWO",
    "corrected": "COR",
}  # fmt: skip
"""Who holds one of them from the start: about 12 % of the account, 20 % where a spin-off is large."""
MOVES = ["0", "0.006", "-0.004", "0.011", "-0.013", "0.005", "0.009", "-0.02", "0.012", "0.004"]
"""How stocks move before each night; bonds move by a tenth of it the other way."""
COMMON = {
    "policies": rows_of("""
        policy_id | auto_approve_max_tax_usd | auto_approve_max_turnover
        p         | 1000000                  | 100
    """),
    "households": rows_of("household_id | model_id | policy_id\n h | growth | p"),
    "model_targets": pl.DataFrame(
        [
            {"model_id": model, "asset_class": name, "target_weight": weight, "absolute_band": BAND}
            for model in ("growth", "growth_2")
            for name, weight in TARGETS.items()
        ]
    ),
    "buy_list": rows_of("""
        model_id | asset_class | security_id | rank
        growth   | stocks      | STK         | 1
        growth   | bonds       | BND         | 1
        growth_2 | stocks      | STK         | 1
        growth_2 | bonds       | BND         | 1
    """),
    "securities": pl.DataFrame(
        [
            {"security_id": name, "symbol": name, "name": name, "asset_class": "bonds" if name == "BND" else "stocks"}
            | {"security_type": "etf", "quantity_step": 0.001 if name == "BND" else 1, "half_spread_bps": 1}
            | {"is_tradable": True}
            for name in ("STK", "BND", *EXTRA)
        ]
    ),
}
NAMES = {
    event: [f"{event}_{number}" for number in range(1, int(count) + 1)]
    for event, count in EVENTS.select("event", "count").iter_rows()
}
QUIET = [f"quiet_{number}" for number in range(ACCOUNTS - sum(map(len, NAMES.values())))]
Happening = Callable[[Custodian], Any]


def without(security: str, names: list[str]) -> Callable[[list[Row]], list[Row]]:
    """The rows without those of a security."""
    return lambda rows: [row for row in rows if row["account_id"] not in names or row["security_id"] != security]


def once_more(security: str, names: list[str], lot_id: str) -> Callable[[list[Row]], list[Row]]:
    """The rows, and those of a security once more."""
    return lambda rows: [
        *rows,
        *({**row, "lot_id": lot_id} for row in rows if row["account_id"] in names and row["security_id"] == security),
    ]


def not_booked(security: str, names: list[str], ratio: int) -> Callable[[list[Row]], list[Row]]:
    """The rows as they were before a split."""
    return lambda rows: [
        {**row, "quantity": row["quantity"] / ratio, "unit_cost_usd": row["unit_cost_usd"] * ratio}
        if row["account_id"] in names and row["security_id"] == security
        else row
        for row in rows
    ]


def opened(at: Custodian, names: list[str], *, is_empty: bool) -> None:
    for name in names:
        at.accounts[name] = TrueAccount(settled=Decimal(0 if is_empty else 1000))
    if not is_empty:
        at.put(names, "STK", 600)
        at.put(names, "BND", 780)


def emptied(at: Custodian, names: list[str]) -> None:
    for name in names:
        at.accounts[name].lots.clear()
        at.accounts[name].settled = Decimal(0)


def each(at: Custodian, names: list[str], **changes: Any) -> None:
    """Facts of accounts."""
    for name in names:
        for field_name, value in changes.items():
            setattr(at.accounts[name], field_name, value)


def without_accounts(at: Custodian, names: list[str]) -> None:
    for name in names:
        del at.accounts[name]


def less_bonds(at: Custodian, names: list[str], shares: str) -> None:
    for name in names:
        at.accounts[name].lots["BND", "1"].quantity -= Decimal(shares)


def swapped(at: Custodian, names: list[str]) -> None:
    """A client sells STK and buys COR at the custodian."""
    for name in names:
        at.trade(name, "STK", "sell", Decimal(100), day=NIGHTS[2], relief=[{"lot_id": "1", "quantity": 100}])
        at.trade(name, "COR", "buy", Decimal(100), day=NIGHTS[2])


def corrected(at: Custodian, names: list[str]) -> None:
    """The trade was of 40 shares, not of 100."""
    for row in at.trades:
        if row["account_id"] in names and row["security_id"] == "COR":
            account = at.accounts[row["account_id"]]
            (bought,) = (lot for (name, key), lot in account.lots.items() if name == "COR" and key != "1")
            bought.quantity = row["quantity"] = Decimal(40)
            account.settled += 60 * row["price_usd"]


HAPPENS: Mapping[int, list[Happening]] = {
    2: [lambda at: at.pay(NAMES["dividend"], "180")],
    3: [
        lambda at: at.put(NAMES["acat_in_small"], "AAA", 30),
        lambda at: at.put(NAMES["acat_in"], "AAB", 200, cost=None),
        lambda at: at.put(NAMES["reinvested"], "BND", "7.123", "reinvested"),
        lambda at: at.pay(NAMES["interest"], "3.17"),
        lambda at: at.split("STO", 3, 2),
        lambda at: at.exchange("TKA", "TKB"),
        lambda at: at.announce(NAMES["withdrawal"], "-4000"),
        lambda at: swapped(at, NAMES["corrected"]),
    ],
    4: [
        lambda at: emptied(at, NAMES["acat_out"]),
        lambda at: at.remove(NAMES["acat_part_out"], "OUT"),
        lambda at: at.spin_off("PSM", "PSC", ratio="0.1", share="0.1"),
        lambda at: at.split("SUN", 2, 1),
        lambda at: at.exchange("TUA", "TUB"),
        lambda at: at.announce(NAMES["contribution"], "9000"),
        lambda at: opened(at, NAMES["opened"], is_empty=False),
        lambda at: at.slips.append(without("LFT", NAMES["left_out"])),
    ],
    5: [
        lambda at: at.put(NAMES["acat_in"], "AAB", 200, cost="81.5"),
        lambda at: at.spin_off("PLG", "PLC", ratio="0.3", share="0.3"),
        lambda at: at.spin_off("SPT", "SPC", ratio="0.3", share="0.3"),
        lambda at: at.pay(NAMES["fee"], "-250"),
        lambda at: less_bonds(at, NAMES["fee_in_shares"], "2.5"),
        lambda at: at.split("STF", 21, 20),
        lambda at: at.exchange("MGA", "MGB", "0.6"),
        lambda at: at.settle(NAMES["withdrawal"]),
        lambda at: opened(at, NAMES["opened_empty"], is_empty=True),
        lambda at: each(at, NAMES["model_renamed"], model="growth_2"),
        lambda at: at.slips.append(once_more("TWI", NAMES["listed_twice"], "1")),
        lambda at: at.slips.append(once_more("TWO", NAMES["doubled"], "again")),
        lambda at: corrected(at, NAMES["corrected"]),
    ],
    6: [
        lambda at: each(at, NAMES["acat_out"], status="closed"),
        lambda at: at.pay(NAMES["fee"], "-1000"),
        lambda at: at.split("STT", 11, 10),
        lambda at: at.buy_out("MGC", "101"),
        lambda at: at.buy_out("MGU", "101"),
        lambda at: at.settle(NAMES["contribution"]),
        lambda at: each(at, NAMES["joined"], household="h"),
        lambda at: at.late.add("south"),
    ],
    7: [
        lambda at: at.split("HLF", 4, 1),
        lambda at: at.slips.append(not_booked("HLF", NAMES["half_late"], 4)),
        lambda at: at.pay(NAMES["opened_empty"], "50000"),
    ],
    8: [lambda at: without_accounts(at, NAMES["acat_out"])],
}
"""What happens before each night."""


def first_book() -> Custodian:
    """200 accounts of 100,000 USD less those that are opened later, on their targets."""
    at = Custodian(prices={"STK": Decimal(100), "BND": Decimal(50)} | {n: Decimal(p or 100) for n, p in EXTRA.items()})
    for event, names in {**NAMES, "quiet": QUIET}.items():
        if event in {"opened", "opened_empty"}:
            continue
        for number, name in enumerate(names):
            at.accounts[name] = TrueAccount(custodian="south" if event == "late" else "north")
            held = HOLDERS.get(event)
            at.put([name], "BND", 560 if event == "drifted" else 780)
            extra = 20_000 if event in {"spin_large", "spin_told"} else 12_000 if held else 0
            at.put([name], "STK", (71_000 if event == "drifted" else 60_000 - extra) // 100 + number % 3)
            if held:
                at.put([name], held, int(extra / at.prices[held]) + number * 7)
    return at


@dataclass
class Fortnight:
    """The nights as they went."""

    home: Path
    at: Custodian = field(default_factory=first_book)
    seen: list[Row] = field(default_factory=list)
    """``account_id, night, is_first`` (before a person did anything), ``outcome, reason``."""
    orders: dict[str, Row] = field(default_factory=dict)
    traded: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        own = ("lots", "cash", "trades")
        url = str(self.home / "landing" / "{as_of}")
        self.settings = Settings(
            home=self.home / "home",
            sources=(
                Source(name="house", url=f"{url}/house"),
                Source(name="north", url=f"{url}/north"),
                Source(name="south", url=f"{url}/south", custodians=("south",), tables=own),
            ),
        )

    def run(self) -> None:
        for number in range(1, len(NIGHTS) + 1):
            self._night(number)

    def _night(self, number: int) -> None:
        at, day = self.at, NIGHTS[number - 1]
        self._trade(day)
        move = Decimal(MOVES[number - 1])
        for name in at.prices:
            at.prices[name] = (at.prices[name] * (1 + (-move / 10 if name == "BND" else move))).quantize(
                Decimal("0.01")
            )
        for happen in HAPPENS.get(number, []):
            happen(at)
        deeds = deeds_of(number)
        for deed in deeds:
            if deed[0] == "told":
                self._say(deed)
        self._run(number, is_first=True)
        later = [deed for deed in deeds if deed[0] != "told"]
        if later:
            for deed in later:
                self._do(deed)
            self._run(number, is_first=False)
        at.slips.clear()
        self._export()

    def _run(self, number: int, *, is_first: bool) -> None:
        day = NIGHTS[number - 1]
        self.at.write(self.home / "landing", day, COMMON)
        try:
            night = run_night(self.settings, None, day)
        except RunHeld as held:
            self.held.append(f"night {number}: {held}")
            return
        lake = open_lake(self.settings)
        for row in lake.read("account_outcomes", night.run_id).to_dicts():
            self.seen.append({**row, "night": number, "is_first": is_first})
        orders, relief = (lake.read(table, night.run_id).to_dicts() for table in ("orders", "lot_relief"))
        for order in orders:
            order["night"] = number
            order["relief"] = [row for row in relief if row["order_id"] == order["order_id"]]
            self.orders[order["order_id"]] = order
        self.wrong += [f"night {number}: {fault}" for fault in faults(self.at, orders, number)]

    def _export(self) -> None:
        """A person approves all; what is approved leaves."""
        with closing(open_ledger(self.settings)) as ledger:
            waiting = ledger.proposals.list_proposals().filter(pl.col("state") == "pending_review")
            if waiting.height:
                ids = waiting["proposal_id"].to_list()
                ledger.decisions.decide(ids, decision="approve", actor=current_actor(), now=utc_now())
        export(self.settings)

    def _trade(self, day: date) -> None:
        """What left and was not traded yet is traded at the prices of the night, and booked."""
        with closing(open_ledger(self.settings)) as ledger:
            left = set(ledger.answers.sent_orders()["order_id"]) - self.traded
        for order_id in sorted(left, key=lambda one: (self.orders[one]["side"] == "buy", one)):
            order = self.orders[order_id]
            self.at.trade(
                order["account_id"],
                order["security_id"],
                order["side"],
                order["quantity"],
                day=day,
                relief=order["relief"],
            )
        self.traded |= left

    def _say(self, deed: list[str]) -> None:
        _, security, night, action, ratio, new = deed
        self.at.say(security, NIGHTS[int(night) - 1], action, ratio, new)
        self.did.append(f"a row of corporate_actions: {action} of {security}")

    def _do(self, deed: list[str]) -> None:
        if deed[0] == "say":
            self._say(deed)
        if deed[0] == "again":
            self.at.late.clear()
            self.did.append("the night run again")
        if deed[0] == "release":
            _, rule, what = deed
            accounts = tuple(NAMES[what[1:]]) if what[0] == "@" else ()
            wanted = QuarantineFilter(rule=(rule,), account=accounts, security=() if accounts else (what,))
            with closing(open_ledger(self.settings)) as ledger:
                lake = open_lake(self.settings)
                stores = QuarantineStores.of(ledger.readmissions, ledger.runs, ledger.inputs, lake, None)
                plan = plan_release(stores, (), wanted)
                readmit_rows(stores, plan, actor=current_actor(), note="as the custodian confirms", now=utc_now())
            self.did.append(f"a release of {rule} for {what.lstrip('@')}")


def deeds_of(number: int) -> list[list[str]]:
    """What a person does in a night, in words."""
    deeds = [deed.split() for cell in EVENTS["a person"].drop_nulls() for deed in cell.split(";")]
    return [deed[1:] for deed in deeds if deed[0] == str(number)]


# --- what is right, by what accounts truly hold


def worth(at: Custodian, name: str, orders: list[Row]) -> dict[str, Decimal]:
    """What a class of an account is truly worth once the orders are traded; cash is settled, and pending where it leaves."""
    account = at.accounts[name]
    values = {"stocks": Decimal(0), "bonds": Decimal(0), "cash": account.settled + min(account.pending, Decimal(0))}
    for (security, _), lot in account.lots.items():
        values["bonds" if security == "BND" else "stocks"] += lot.quantity * at.prices[security]
    for order in orders:
        signed = order["quantity"] * at.prices[order["security_id"]] * (1 if order["side"] == "buy" else -1)
        values["bonds" if order["security_id"] == "BND" else "stocks"] += signed
        values["cash"] -= signed
    return values


def furthest(values: Mapping[str, Decimal]) -> float:
    """How far a class is from its target at most, as a share of all."""
    nav = sum(values.values(), Decimal(0))
    return max(abs(float(value / nav) - TARGETS[name]) for name, value in values.items()) if nav > 0 else 0.0


def faults(at: Custodian, orders: list[Row], number: int) -> list[str]:
    """What is wrong with the orders of a night."""
    found = []
    wrongly, late = at.shown_wrongly(), {name for name, one in at.accounts.items() if one.custodian in at.late}
    tomorrow = {row["security_id"] for row in at.said if row["effective_date"] == dict(enumerate(NIGHTS)).get(number)}
    by_account: dict[str, list[Row]] = {}
    for order in orders:
        by_account.setdefault(order["account_id"], []).append(order)
    for name, mine in by_account.items():
        account = at.accounts[name]
        if name in wrongly | late or account.status != "active":
            found.append(f"{name} is traded, and its files are not what it holds")
        for order in mine:
            security = order["security_id"]
            if order["price_usd"] != at.prices[security]:
                found.append(f"{name} trades {security} at {order['price_usd']}, not at {at.prices[security]}")
            if security in tomorrow:
                found.append(f"{name} trades {security} in shares of before its corporate action")
            taken = sum((row["quantity"] for row in order["relief"]), Decimal(0))
            lots = (account.lots[security, row["lot_id"]].quantity >= row["quantity"] for row in order["relief"])
            if order["side"] == "sell" and not (order["quantity"] == taken <= account.holds(security) and all(lots)):
                found.append(f"{name} sells {order['quantity']} {security} and holds {account.holds(security)}")
        after, before = worth(at, name, mine), worth(at, name, [])
        if after["cash"] < min(before["cash"], Decimal(0)):
            found.append(f"{name} spends {-after['cash']} USD that it has not")
        if account.household is None and furthest(after) > min(furthest(before), BAND):
            found.append(
                f"{name} is {furthest(after):.3f} from its model after its trades, {furthest(before):.3f} before"
            )
    return found


# --- what is expected


def story(event: str) -> list[tuple[str, int, str]]:
    """``account, night, cell`` of an event."""
    row = EVENTS.row(by_predicate=pl.col("event") == event, named=True)
    return [(name, night, row[str(night)] or "") for name in NAMES[event] for night in range(1, len(NIGHTS) + 1)]


def is_going_on(row: Row) -> bool:
    return row["outcome"] in {"in_band", "proposed", "no_trade"}


def words(rows: list[Row]) -> str:
    """An account's outcomes of a night, one a run."""
    return " then ".join("goes on" if is_going_on(row) else f"{row['outcome']}:{row['reason']}" for row in rows)


def is_as_told(cell: str, rows: list[Row]) -> bool:
    """Whether a cell of the table says what became of an account in the runs of a night."""
    if cell == "-" or not rows:
        return cell == "-" and not rows
    letter, first, last = cell.strip("!"), next((row for row in rows if row["is_first"]), rows[-1]), rows[-1]
    if not letter:
        return all(is_going_on(row) for row in rows)
    waits = not is_going_on(first) and WAITS[letter] in first["reason"]
    return waits and is_going_on(last) == ("!" in cell)


def surprises(fortnight: Fortnight) -> list[str]:
    """Accounts and nights that are not as in the table."""
    found: dict[tuple[str, int], list[Row]] = {}
    for row in fortnight.seen:
        found.setdefault((row["account_id"], row["night"]), []).append(row)
    quiet = [(name, night, "") for name in QUIET for night in range(1, len(NIGHTS) + 1)]
    return [
        f"{name}, night {night}: {cell or 'goes on'} expected, {words(found.get((name, night), [])) or 'nothing'} seen"
        for name, night, cell in [*quiet, *(one for event in NAMES for one in story(event))]
        if not is_as_told(cell, found.get((name, night), []))
    ]


def summary(fortnight: Fortnight) -> list[str]:
    """What was held up, for how many account-nights, and what people had to do."""
    last = {(row["account_id"], row["night"]): row for row in fortnight.seen}
    at_first = {(row["account_id"], row["night"]) for row in fortnight.seen if not is_going_on(row)}
    over_night = Counter(row["reason"] for row in last.values() if not is_going_on(row))
    return [
        f"{len(last):,} account-nights, {len(at_first)} held up, {over_night.total()} of them to the next night:",
        *(f"{count:>4} {reason}" for reason, count in over_night.most_common()),
        f"{len(fortnight.did)} deeds of people, {len(fortnight.held)} night held:",
        *fortnight.did,
        *fortnight.held,
    ]


def test_a_fortnight_goes_as_the_table_says_and_nobody_is_traded_wrongly(tmp_path: Path) -> None:
    """One test: the nights are worked once, whoever shares the tests out."""
    fortnight = Fortnight(tmp_path)
    fortnight.run()
    print("", *summary(fortnight), sep="\n")
    assert surprises(fortnight) == []
    assert fortnight.wrong == []
    assert len(fortnight.orders) > 40
    (held,) = fortnight.held
    assert held.startswith("night 7: ")
    assert "1 security held moved by more than 40%: HLF from" in held

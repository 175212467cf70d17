"""Ten nights in a row on one book, an account for each way in which orders are answered, or are not: nothing is bought twice."""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from flows.commands.cli import app
from schemas.settings import Settings
from tasks.reconcile.reconcile import reconcile, rules
from tasks.runtime.run_settings import use_settings
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.fill_scene import write_fills
from tests.support.landing_book import rows_of
from tests.support.night_driver import export, run_night
from warehouse.lake.lake import open_lake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

NIGHTS = [date(2026, 1, day) for day in (5, 6, 7, 8, 9, 12, 13, 14, 15, 16)]
PRICES = {"STK": 300, "BND": 72}
WISHED = {"STK": Decimal(20), "BND": Decimal(55)}
"""What 10,000 USD buy of a model of 60 % stocks and 40 % bonds."""

EXPECTED = """
account      | 1        | 2           | 3               | 4               | 5           | 6              | 7              | 8              | 9              | 10
silent       | proposed | orders_open | orders_open     | orders_open     | orders_open | orders_overdue | orders_overdue | orders_overdue | orders_overdue | orders_overdue
patient      | proposed | orders_open | orders_open     | orders_open     | orders_open | orders_open    | orders_open    | orders_open    | orders_open    | orders_overdue
acknowledged | proposed | orders_open | orders_open     | orders_open     | orders_open | orders_overdue | orders_overdue | orders_overdue | orders_overdue | orders_overdue
member_a     | proposed | orders_open | orders_open     | orders_open     | orders_open | orders_overdue | orders_overdue | orders_overdue | orders_overdue | orders_overdue
member_b     | proposed | orders_open | orders_open     | orders_open     | orders_open | orders_overdue | orders_overdue | orders_overdue | orders_overdue | orders_overdue
booked       | proposed | orders_open | no_trigger      | no_trigger      | no_trigger  | no_trigger     | no_trigger     | no_trigger     | no_trigger     | no_trigger
unexplained  | proposed | orders_open | no_trigger      | no_trigger      | no_trigger  | no_trigger     | no_trigger     | no_trigger     | no_trigger     | no_trigger
half_booked  | proposed | orders_open | orders_open     | no_trigger      | no_trigger  | no_trigger     | no_trigger     | no_trigger     | no_trigger     | no_trigger
filled       | proposed | no_trigger  | no_trigger      | no_trigger      | no_trigger  | no_trigger     | no_trigger     | no_trigger     | no_trigger     | no_trigger
late         | proposed | orders_open | orders_open     | fills_not_shown | no_trigger  | no_trigger     | no_trigger     | no_trigger     | no_trigger     | no_trigger
never_booked | proposed | fills_not_shown | fills_not_shown | fills_not_shown | fills_not_shown | fills_overdue | fills_overdue | fills_overdue | fills_overdue | fills_overdue
rejected     | proposed | proposed    | orders_open     | orders_open     | orders_open | orders_open    | orders_overdue | orders_overdue | orders_overdue | orders_overdue
expired      | proposed | orders_open | proposed        | no_trigger      | no_trigger  | no_trigger     | no_trigger     | no_trigger     | no_trigger     | no_trigger
partly       | proposed | orders_open | orders_open     | proposed        | orders_open | orders_open    | orders_open    | orders_open    | orders_overdue | orders_overdue
busted       | proposed | no_trigger  | orders_open     | orders_open     | proposed    | orders_open    | orders_open    | orders_open    | orders_open    | orders_overdue
settled      | proposed | orders_open | proposed        | orders_open     | orders_open | orders_open    | orders_open    | orders_overdue | orders_overdue | orders_overdue
contradicted | proposed | orders_open | fills_not_shown | no_trigger      | no_trigger  | no_trigger     | no_trigger     | no_trigger     | no_trigger     | no_trigger
"""
"""What became of each account in each night: ``proposed``, whose orders are exported at once, or the word of why it was left alone.

A night's column follows what is done before it: see ``EVENTS``. Everybody's orders of night 1 are 20 STK and 55 BND bought.
"""


@dataclass
class Books:
    """A home and the landing folder of its custodian, which shows what it is told to."""

    home: Path
    holdings: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    trades: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self.settings = Settings(home=self.home, max_run_turnover=None, max_quarantined_fraction=1.0)
        self.holdings = {name: {} for name in ACCOUNTS}

    def orders(self, account: str) -> list[dict[str, Any]]:
        """The account's orders that left, the newest of each security."""
        with closing(open_ledger(self.settings)) as ledger:
            found = ledger.answers.sent_orders().filter(pl.col("account_id") == account)
        return found.sort("sent_at").unique("security_id", keep="last").sort("security_id").to_dicts()

    def tell(self, account: str, kind: str, *, only: str | None = None, quantity: int | None = None) -> None:
        """A broker's file about the account's newest orders."""
        rows = [row for row in self.orders(account) if only in (None, row["security_id"])]
        self.sent += 1
        with closing(open_ledger(self.settings)) as ledger:
            done = reconcile(
                write_fills(self.home / f"told-{self.sent}.csv", *(self._message(row, kind, quantity) for row in rows)),
                executions=ledger.executions,
                answers=ledger.answers,
                actor=current_actor(),
                now=utc_now(),
            )
        assert (done.taken, done.aside.height) == (len(rows), 0)

    def _message(self, row: dict[str, Any], kind: str, quantity: int | None) -> dict[str, Any]:
        told = {"execution_id": f"{kind}-{row['order_id']}", "kind": kind, "client_order_id": row["order_id"]}
        if kind == "bust":
            return {**told, "reference_id": f"fill-{row['order_id']}"}
        if kind != "fill":
            return told
        filled = {name: row[name] for name in ("account_id", "symbol", "side", "price_usd")}
        return {**told, **filled, "quantity": quantity or row["quantity"], "trade_date": "2026-01-06"}

    def book(self, account: str, *, is_traded: bool = True, **quantities: int) -> None:
        """The custodian shows so much of securities, and the trades that made it so unless it has no table of them."""
        for security, quantity in quantities.items():
            before = self.holdings[account].get(security, Decimal(0))
            self.holdings[account][security] = Decimal(quantity)
            side = "buy" if quantity > before else "sell"
            trade = {"account_id": account, "security_id": security, "trade_date": "2026-01-06", "side": side}
            worth = {"quantity": abs(quantity - before), "price_usd": PRICES[security], "realized_gain_usd": None}
            self.trades += [{**trade, **worth}] if is_traded else []

    def approve(self, run_id: str) -> None:
        """A person approves what waits for one."""
        with closing(open_ledger(self.settings)) as ledger:
            waiting = ledger.proposals.list_proposals(run_id=run_id).filter(pl.col("state") == "pending_review")
            if waiting.height:
                ids = waiting["proposal_id"].to_list()
                ledger.decisions.decide(ids, decision="approve", actor=current_actor(), now=utc_now())

    def settle(self, account: str) -> None:
        """A person says that nothing more will come of the account's newest orders."""
        with closing(open_ledger(self.settings)) as ledger:
            ids = [row["order_id"] for row in self.orders(account)]
            ledger.executions.settle_orders(
                ids, rules=rules(1), actor=current_actor(), note="the broker lost them", now=utc_now()
            )

    def land(self, day: date) -> Path:
        """The landing folder of a night."""
        folder = self.home / "landing" / day.isoformat()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for table, rows in {**COMMON, **self._of_accounts(day)}.items():
            rows.write_csv(folder / f"{table}.csv")
        return folder

    def _of_accounts(self, day: date) -> dict[str, pl.DataFrame]:
        accounts = [
            {"account_id": name, "household_id": "h" if name.startswith("member") else None, "custodian": "north"}
            | {"tax_status": "tax_deferred", "model_id": "m", "policy_id": "patient" if name == "patient" else "p"}
            | {"status": "active", "short_term_rate": 0, "long_term_rate": 0, "cash_reserve_usd": 0}
            | {"ytd_short_gain_usd": 0, "ytd_long_gain_usd": 0}
            for name in ACCOUNTS
        ]
        lots = [
            {"account_id": name, "security_id": security, "lot_id": "1", "quantity": quantity}
            | {"unit_cost_usd": PRICES[security], "acquired_date": "2026-01-06"}
            for name, held in self.holdings.items()
            for security, quantity in held.items()
            if quantity
        ]
        # a holding that never changes: the table of lots is never empty
        lots.append({"account_id": "filled", "security_id": "OLD", "lot_id": "1", "quantity": Decimal(1)})
        lots[-1] |= {"unit_cost_usd": 1, "acquired_date": "2020-01-06"}
        spent = {name: sum(PRICES[one] * held[one] for one in held) for name, held in self.holdings.items()}
        cash = [{"account_id": name, "settled_usd": 10_000 - spent[name], "pending_usd": 0} for name in ACCOUNTS]
        prices = [{"security_id": name, "price_usd": price, "price_date": day} for name, price in PRICES.items()]
        prices.append({"security_id": "OLD", "price_usd": 1, "price_date": day})
        frames = {"accounts": accounts, "lots": lots, "cash": cash, "prices": prices, "trades": self.trades}
        return {table: pl.DataFrame(rows, infer_schema_length=None) for table, rows in frames.items() if rows}


COMMON = {
    "securities": rows_of("""
        security_id | symbol | name  | asset_class | security_type | quantity_step | half_spread_bps | is_tradable
        STK         | STK    | Stock | stocks      | etf           | 1             | 1               | true
        BND         | BND    | Bond  | bonds       | etf           | 1             | 1               | true
        OLD         | OLD    | Old   | old         | equity        | 1             | 1               | true
    """),
    "model_targets": rows_of("""
        model_id | asset_class | target_weight | absolute_band | relative_band
        m        | stocks      | 0.6           | 0.05          |
        m        | bonds       | 0.4           | 0.05          |
        m        | cash        | 0             | 0.05          |
    """),
    "policies": rows_of("""
        policy_id | auto_approve_max_tax_usd | auto_approve_max_turnover | open_order_sessions
        p         | 1000000                  | 100                       |
        patient   | 1000000                  | 100                       | 9
    """),
    "buy_list": rows_of("""
        model_id | asset_class | security_id | rank | tax_status
        m        | stocks      | STK         | 1    |
        m        | bonds       | BND         | 1    |
    """),
    "households": rows_of("household_id | model_id | policy_id\n h | m | p"),
}
TABLE = rows_of(EXPECTED)
ACCOUNTS = TABLE["account"].to_list()
EVENTS: Mapping[int, list[Callable[[Books], None]]] = {
    2: [
        lambda at: at.tell("acknowledged", "acknowledged"),
        lambda at: at.tell("filled", "fill"),
        lambda at: at.book("filled", STK=20, BND=55),
        lambda at: at.tell("never_booked", "fill"),
        lambda at: at.tell("rejected", "rejected"),
        lambda at: at.tell("partly", "fill", only="STK", quantity=12),
        lambda at: at.tell("partly", "fill", only="BND"),
        lambda at: at.book("partly", STK=12, BND=55),
        lambda at: at.tell("busted", "fill"),
        lambda at: at.book("busted", STK=20, BND=55),
        lambda at: at.book("member_a", STK=20, BND=55),
    ],
    3: [
        lambda at: at.book("booked", STK=20, BND=55),
        lambda at: at.book("unexplained", STK=20, BND=55, is_traded=False),
        lambda at: at.book("half_booked", STK=20, is_traded=False),
        lambda at: at.tell("expired", "cancelled"),
        lambda at: at.tell("busted", "bust"),
        lambda at: at.settle("settled"),
        lambda at: at.settle("contradicted"),
        lambda at: at.tell("contradicted", "fill"),
    ],
    4: [
        lambda at: at.book("half_booked", BND=55),
        lambda at: at.tell("late", "fill"),
        lambda at: at.tell("expired", "fill"),
        lambda at: at.book("expired", STK=20, BND=55),
        lambda at: at.tell("partly", "cancelled", only="STK"),
        lambda at: at.book("contradicted", STK=20, BND=55),
        lambda at: at.book("busted", STK=0, BND=0),
    ],
    5: [
        lambda at: at.book("late", STK=20, BND=55),
        lambda at: at.tell("busted", "rejected"),
    ],
}
"""What is done before a night."""


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Books, pl.DataFrame]:
    """The home after ten nights, each exported, and ``account, night, word, reason``."""
    books = Books(tmp_path_factory.mktemp("home"))
    seen = []
    for number, day in enumerate(NIGHTS, start=1):
        for event in EVENTS.get(number, []):
            event(books)
        night = run_night(books.settings, books.land(day), day)
        books.approve(night.run_id)
        export(books.settings, night.run_id)
        for account, outcome, reason in open_lake(books.settings).read("account_outcomes", night.run_id).iter_rows():
            word = "proposed" if outcome == "proposed" else reason.split(":")[0]
            seen.append({"account": account, "night": str(number), "outcome": outcome, "word": word, "reason": reason})
    return books, pl.DataFrame(seen)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_each_night_does_what_the_table_says(nights: tuple[Books, pl.DataFrame], account: str) -> None:
    found = nights[1].filter(pl.col("account") == account)
    expected = TABLE.filter(pl.col("account") == account).drop("account").row(0, named=True)
    assert dict(found.select("night", "word").iter_rows()) == expected


def test_nothing_is_bought_twice(nights: tuple[Books, pl.DataFrame]) -> None:
    """What left of each account and security, less what came to nothing by a broker's or a person's word, is no more than wished."""
    books, _ = nights
    with closing(open_ledger(books.settings)) as ledger:
        sent = ledger.answers.sent_orders()
        states = ledger.answers.states_of(sent["order_id"].to_list()).select("order_id", "filled_quantity", "is_closed")
    counted = sent.join(states, on="order_id", how="left").with_columns(
        may_be=pl.when(pl.col("is_closed")).then("filled_quantity").otherwise("quantity")
    )
    most = counted.group_by("account_id", "security_id").agg(pl.col("may_be").sum())
    assert most.height == len(WISHED) * len(ACCOUNTS)
    for account, security, quantity in most.iter_rows():
        assert quantity <= WISHED[security], (account, security, quantity)


def test_every_wait_says_which_orders_and_since_when(nights: tuple[Books, pl.DataFrame]) -> None:
    books, found = nights
    waits = found.filter(pl.col("word").str.starts_with("orders_"))
    assert set(waits["outcome"]) == {"blocked"}
    assert set(found.filter(pl.col("word").str.starts_with("fills_"))["outcome"]) == {"cooling_down"}
    silent = waits.filter((pl.col("account") == "silent") & (pl.col("night") == "3"))["reason"].item()
    bond, stock = books.orders("silent")
    assert f"buy 55 BND of 2026-01-05, order {bond['order_id']}" in silent
    assert f"buy 20 STK of 2026-01-05, order {stock['order_id']}" in silent
    assert silent.endswith("(2 trading days)")


def test_orders_are_listed_and_settled_by_command(nights: tuple[Books, pl.DataFrame]) -> None:
    books, found = nights
    waited = found.filter((pl.col("night") == "10") & pl.col("word").str.starts_with("orders_"))["account"]

    def command(*words: str) -> Result:
        with use_settings(books.settings):
            return CliRunner().invoke(app, ["orders", *words])

    listed = json.loads(command("list", "--json").stdout)
    assert {row["account_id"] for row in listed} - {"member_a"} == set(waited) - {"member_a"}
    mine = [row for row in listed if row["account_id"] == "silent"]
    assert [(row["side"], row["session_count"], row["state"]) for row in mine] == [("buy", 9, "exported")] * 2
    assert command("list", "--account", "silent").stdout.count("silent") == 2

    names = [row["order_id"] for row in mine]
    done = command("settle", *names, "--note", "never arrived")
    assert (done.exit_code, done.stdout.count("failed, filled with 0")) == (0, 2)
    assert json.loads(command("list", "--account", "silent", "--json").stdout) == []
    assert "has its final word already" in str(command("settle", names[0], "--note", "again").exception)
    assert "is no order that left" in str(command("settle", "nothing", "--note", "why").exception)


def test_a_split_while_orders_are_open_ends_no_wait_and_buys_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STK is split 2 for 1 two nights after 20 of it were ordered: what shows 40 is booked, what shows 20 of the new is half of it."""
    books = Books(tmp_path)
    seen: dict[int, dict[str, str]] = {}
    split = rows_of("security_id | effective_date | action | ratio | new_security_id\nSTK | 2026-01-07 | split | 2 |")
    for number, day in enumerate(NIGHTS[:4], start=1):
        if number == 2:
            books.tell("filled", "fill")
            books.tell("never_booked", "fill")
            books.book("filled", STK=20, BND=55)
        if number == 3:
            monkeypatch.setitem(PRICES, "STK", 150)
            monkeypatch.setitem(COMMON, "corporate_actions", split)
            for name, shares in {"filled": 40, "booked": 40, "half_booked": 20}.items():
                books.holdings[name] = {"STK": Decimal(shares), "BND": Decimal(55)}
        night = run_night(books.settings, books.land(day), day)
        books.approve(night.run_id)
        export(books.settings, night.run_id)
        outcomes = open_lake(books.settings).read("account_outcomes", night.run_id)
        seen[number] = {
            account: "proposed" if outcome == "proposed" else reason.split(":")[0]
            for account, outcome, reason in outcomes.select("account_id", "outcome", "reason").iter_rows()
        }
    for night_of in (3, 4):
        assert {
            name: seen[night_of][name] for name in ("silent", "filled", "booked", "never_booked", "half_booked")
        } == {
            "silent": "orders_open",
            "filled": "no_trigger",
            "booked": "no_trigger",
            "never_booked": "fills_not_shown",
            "half_booked": "orders_open",
        }, night_of

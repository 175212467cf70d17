"""Two nights of a fund that is bought in dollars: what leaves, what comes back at another price, and that nobody waits or buys again."""

import json
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.exports import Profile
from schemas.settings import Settings
from tasks.reconcile.reconcile import ReconcileResult, reconcile
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.fill_scene import write_fills
from tests.support.landing_book import rows_of
from tests.support.night_driver import export, run_night
from warehouse.lake.lake import open_lake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

FIRST, SECOND = date(2026, 1, 5), date(2026, 1, 6)
NAV, LATER_NAV = Decimal("54.37"), Decimal("55.90")
ACCOUNTS = ("told", "silent")
"""Of the one a broker tells the fill, of the other nobody says anything; the custodian shows the shares of both."""
COMMON = {
    "securities": """
        security_id | symbol | name  | asset_class | security_type | quantity_step | half_spread_bps | is_tradable | cusip     | isin         | order_in
        FND         | VFIAX  | Fund  | stocks      | mutual_fund   | 0.001         | 0               | true        | 922908710 | US9229087104 | usd
        BND         | BND    | Bond  | bonds       | etf           | 1             | 1               | true        | 921937835 | US9219378356 |
        BAD         | BAD    | Other | other       | equity        | 1             | 1               | true        | 921937835 | US0000000000 |
    """,
    "model_targets": """
        model_id | asset_class | target_weight | absolute_band | relative_band
        m        | stocks      | 0.6           | 0.05          |
        m        | bonds       | 0.4           | 0.05          |
        m        | cash        | 0             | 0.05          |
    """,
    "policies": "policy_id | auto_approve_max_tax_usd | auto_approve_max_turnover\n p | 1000000 | 100",
    "buy_list": "model_id | asset_class | security_id | rank | tax_status\n m | stocks | FND | 1 | \n m | bonds | BND | 1 | ",
}


class Books:
    """A home, and the landing folder of what the accounts hold: ``lots`` by account and security, and cash."""

    def __init__(self, home: Path) -> None:
        profiles = (
            Profile(name="fix", format="fix44", sender="US", target="THEM"),
            Profile(name="lines", format="jsonl"),
        )
        self.settings = Settings(home=home, max_run_turnover=None, max_quarantined_fraction=1.0, profiles=profiles)
        self.home = home
        self.held: dict[str, dict[str, Decimal]] = {name: {"BND": Decimal(1)} for name in ACCOUNTS}
        self.cash = dict.fromkeys(ACCOUNTS, Decimal(10_000))

    def night(self, day: date, nav: Decimal) -> str:
        """The run of a night whose proposals, if any, are approved and exported."""
        folder = self.home / "landing" / day.isoformat()
        folder.mkdir(parents=True)
        for table, rows in (*((name, rows_of(text)) for name, text in COMMON.items()), *self._own(day, nav)):
            rows.write_csv(folder / f"{table}.csv")
        run_id = run_night(self.settings, folder, day).run_id
        with closing(open_ledger(self.settings)) as ledger:
            waiting = ledger.proposals.list_proposals(run_id=run_id).filter(pl.col("state") == "pending_review")
            if waiting.height:
                ledger.decisions.decide(
                    waiting["proposal_id"].to_list(), decision="approve", actor=current_actor(), now=utc_now()
                )
        export(self.settings, run_id)
        return run_id

    def _own(self, day: date, nav: Decimal) -> list[tuple[str, pl.DataFrame]]:
        accounts = [
            {
                "account_id": name,
                "household_id": None,
                "custodian": "north",
                "tax_status": "tax_deferred",
                "model_id": "m",
            }
            | {"policy_id": "p", "status": "active", "short_term_rate": 0, "long_term_rate": 0, "cash_reserve_usd": 0}
            | {"ytd_short_gain_usd": 0, "ytd_long_gain_usd": 0}
            for name in ACCOUNTS
        ]
        lots = [
            {"account_id": name, "security_id": security, "lot_id": "1", "quantity": quantity}
            | {"unit_cost_usd": 50, "acquired_date": "2026-01-05"}
            for name, held in self.held.items()
            for security, quantity in held.items()
        ]
        cash = [{"account_id": name, "settled_usd": left, "pending_usd": 0} for name, left in self.cash.items()]
        prices = [("FND", nav), ("BND", Decimal(72)), ("BAD", Decimal(1))]
        priced = [{"security_id": name, "price_usd": price, "price_date": day} for name, price in prices]
        frames = {"accounts": accounts, "lots": lots, "cash": cash, "prices": priced}
        return [(table, pl.DataFrame(rows, infer_schema_length=None)) for table, rows in frames.items()]

    def fill(self, account: str, nav: Decimal, *, is_told: bool) -> ReconcileResult | None:
        """All orders of the account are filled, the fund's dollars at another price; a broker says so, or not."""
        with closing(open_ledger(self.settings)) as ledger:
            sent = ledger.answers.sent_orders().filter(pl.col("account_id") == account)
            messages = [self._fill(row, nav) for row in sent.iter_rows(named=True)]
            for row in messages:
                held = self.held[account]
                held[row["name"]] = held.get(row["name"], Decimal(0)) + row["quantity"]
                self.cash[account] -= (row["quantity"] * row["price_usd"]).quantize(Decimal("0.01"))
            if not is_told:
                return None
            return reconcile(
                write_fills(
                    self.home / "fills.csv", *({k: v for k, v in row.items() if k != "name"} for row in messages)
                ),
                executions=ledger.executions,
                answers=ledger.answers,
                actor=current_actor(),
                now=utc_now(),
            )

    def _fill(self, row: dict[str, Any], nav: Decimal) -> dict[str, Any]:
        price = nav if row["security_id"] == "FND" else row["price_usd"]
        amount = row["amount_usd"]
        quantity = row["quantity"] if amount is None else (amount / price).quantize(Decimal("0.001"))
        told = {name: row[name] for name in ("account_id", "symbol", "side")}
        return {
            **told,
            "execution_id": f"e-{row['order_id']}",
            "kind": "fill",
            "client_order_id": row["order_id"],
            "quantity": quantity,
            "price_usd": price,
            "trade_date": SECOND.isoformat(),
            "name": row["security_id"],
        }


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Books, str, str, ReconcileResult]:
    books = Books(tmp_path_factory.mktemp("home"))
    first = books.night(FIRST, NAV)
    told = books.fill("told", LATER_NAV, is_told=True)
    books.fill("silent", LATER_NAV, is_told=False)
    assert told is not None
    return books, first, books.night(SECOND, LATER_NAV), told


def folder_of(books: Books, run_id: str) -> Path:
    return books.settings.export_folder / FIRST.isoformat() / run_id


def test_the_fund_leaves_in_dollars_where_a_format_can_say_so(nights: tuple[Books, str, str, ReconcileResult]) -> None:
    books, first, *_ = nights
    orders = open_lake(books.settings).read("orders", first).filter(account_id="told", security_id="FND")
    (order,) = orders.iter_rows(named=True)
    amount = order["amount_usd"]
    assert amount == round(order["quantity"] * NAV, 2)
    folder = folder_of(books, first)
    (line,) = (
        one
        for one in map(json.loads, (folder / "lines" / "told.jsonl").read_text().splitlines())
        if one["security_id"] == "FND"
    )
    assert (line["order_in"], Decimal(line["amount_usd"]), line["cusip"]) == ("usd", amount, "922908710")
    (message,) = (one for one in (folder / "fix" / "told.fix").read_text().splitlines() if "55=VFIAX" in one)
    assert f"\x01152={amount.normalize():f}\x01" in message
    assert "\x0138=" not in message
    assert "\x0148=922908710\x0122=1\x01454=1\x01455=US9229087104\x01456=4\x01" in message
    rows = pl.read_csv(folder / "accounts" / "told.csv", infer_schema=False).filter(pl.col("security_id") == "FND")
    assert rows["estimated_value_usd"].to_list() == [f"{amount:.2f}"]
    assert rows["reason"][0].endswith(f"; ordered in dollars: {amount:.2f} USD")
    assert json.loads((folder / "manifest.json").read_text())["ordered_in_usd"]["orders"] == len(ACCOUNTS)


def test_a_label_of_two_securities_goes_along_with_no_order(nights: tuple[Books, str, str, ReconcileResult]) -> None:
    books, first, *_ = nights
    (message,) = (
        one for one in (folder_of(books, first) / "fix" / "told.fix").read_text().splitlines() if "55=BND" in one
    )
    assert "\x0148=US9219378356\x0122=4\x01" in message, "its ISIN alone"
    assert "921937835\x01" not in message


def test_fewer_shares_for_the_same_dollars_are_no_break(nights: tuple[Books, str, str, ReconcileResult]) -> None:
    books, *_, told = nights
    assert (told.aside.height, told.alarms.height, told.settled.new_breaks.height) == (0, 0, 0)
    with closing(open_ledger(books.settings)) as ledger:
        sent = ledger.answers.sent_orders().filter(account_id="told")
        states = ledger.answers.states_of(sent["order_id"].to_list())
        assert states["state"].to_list() == ["filled"] * sent.height
        fund = sent.filter(security_id="FND").join(states, on="order_id")
        assert fund["filled_quantity"].item() < fund["quantity"].item()
        (proposal,) = ledger.proposals.list_proposals(account_id="told").iter_rows(named=True)
        assert proposal["state"] == "filled"


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_next_night_neither_waits_nor_buys_again(
    nights: tuple[Books, str, str, ReconcileResult], account: str
) -> None:
    books, _, second, _ = nights
    lake = open_lake(books.settings)
    (found,) = lake.read("account_outcomes", second).filter(account_id=account).iter_rows(named=True)
    assert (found["outcome"], found["reason"]) == ("in_band", "no_trigger")
    assert lake.read("quarantine", second).is_empty()

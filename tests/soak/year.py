"""The year: each day the broker's file is booked and reconciled, the market moves, the night runs and is killed, people decide, what is approved leaves."""

import resource
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

import polars as pl

from schemas.enums import Role
from schemas.errors import DecisionRefused, RunHeld
from schemas.settings import Settings
from schemas.sources import Source
from tasks.core.broker import BrokerModel
from tasks.demo.book_reference import reference_tables
from tasks.demo.book_types import DailyCloses
from tasks.demo.next_night import market_frame
from tasks.demo.sample import read_market
from tasks.operate.maintain import maintain
from tasks.reconcile.execution_files import reconcile_one
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tasks.simulate.fills import exported_lots, exported_orders, simulate_fills
from tests.soak.clearing import YearsCustodian
from tests.soak.killed_night import killed_nights
from tests.soak.witness import Ledger, faults_of_night, wash_sales
from tests.support.night_driver import export, run_night
from warehouse.lake.lake import open_lake

REVIEWERS: Final = ("ada", "ben", "cyd")
RELEASER: Final = "rel"
SHARE_APPROVED: Final = 0.9
MAINTAIN_EVERY: Final = 10
EXCHANGE: Final = "XNYS"
NOTHING: Final = (Decimal(0), Decimal(0))
HALF_A_CENT: Final = Decimal("0.005")
MIB: Final = 1024.0**2


@dataclass
class Night:
    """What a night cost, and what came of it."""

    day: str
    seconds: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    orders: int = 0
    exported: int = 0
    kills: list[str] = field(default_factory=list)
    memory_mib: float = 0.0
    home_mib: float = 0.0


class Year:
    """The nights of a year, or of some days of it."""

    def __init__(self, home: Path, *, accounts: int, days: int, kills: int, seed: int) -> None:
        self.home, self.days, self.seed = home, days, seed
        self.random = Random(seed)  # noqa: S311 - the year is the same again
        self.market = read_market()
        first = len(self.market.dates) - days - 1
        self.at = YearsCustodian(accounts, self.market.dates, self.market.closes, first, seed)
        own = ("lots", "cash", "trades", "account_totals", "flows")
        url = str(home / "landing" / "{as_of}")
        self.settings = Settings(
            home=home / "home",
            is_simulation=True,
            accounts_per_shard=max(accounts // 3, 50),
            sources=(
                Source(name="house", url=f"{url}/house"),
                *(
                    Source(name=name, url=f"{url}/{name}", custodians=(name,), tables=own)
                    for name in ("north", "south")
                ),
            ),
        )
        self.killed_on = Counter(self.random.choices(range(1, days), k=kills))
        self.nights: list[Night] = []
        self.faults: list[str] = []
        self.held: list[str] = []
        self.exports: list[Path] = []
        self.left: dict[str, dict[str, Any]] = {}
        self.filled: dict[str, tuple[Decimal, Decimal]] = {}
        self.decided: Counter[str] = Counter()
        self.ledger = Ledger()
        self.common = self._common()
        self.patience = 5.0

    def _common(self) -> dict[str, pl.DataFrame]:
        """What the house tells; its prices and corporate actions are the day's."""
        tables = {
            name: table
            for name, table in reference_tables(self.market).items()
            if name not in {"prices", "corporate_actions"}
        }
        houses = sorted({account.household for account in self.at.accounts.values() if account.household})
        rows = [{"household_id": name, "model_id": "balanced", "policy_id": "family"} for name in houses]
        return tables | {
            "households": pl.DataFrame(rows, schema=dict.fromkeys(("household_id", "model_id", "policy_id"), pl.String))
        }

    def run(self) -> None:
        """All days; then what can only be said at the end."""
        self._users()
        for number in range(self.days):
            if number:
                self._morning()
                self.at.pass_day()
            self._night(number)
            if number % MAINTAIN_EVERY == MAINTAIN_EVERY - 1:
                self._maintain()
        self._end()

    def _users(self) -> None:
        with closing(open_ledger(self.settings)) as ledger:
            for name in REVIEWERS:
                ledger.users.add_user(name, [Role.REVIEWER], actor=current_actor(), now=utc_now())
            ledger.users.add_user(RELEASER, [Role.RELEASER], actor=current_actor(), now=utc_now())

    # --- a day

    def _morning(self) -> None:
        """Each export of the night before is filled; the ledger and the custodian read the same file, each by its own means."""
        market = self.home / "market.csv"
        past = slice(None, self.at.place + 1)
        seen = DailyCloses(dates=self.market.dates[past], closes=self.market.closes[past])
        market.write_text(market_frame(seen).write_csv(), encoding="utf-8")
        done: dict[str, tuple[Decimal, Decimal]] = {}
        for folder in self.exports:
            told = simulate_fills(
                folder, model=BrokerModel(), seed=self.at.place, market=market, file_format="csv",
                to=self.home / "broker", exchange=EXCHANGE,
            )  # fmt: skip
            reconcile_one(self.settings, told.path, source="simulated")
            if self.random.random() < 0.2:
                reconcile_one(self.settings, told.path, source="simulated")  # which comes twice
            done |= self.at.book(told.path, exported_lots(folder))
        self.exports = []
        self.filled |= done
        with closing(open_ledger(self.settings)) as ledger:
            states = ledger.answers.states_of(list(done))
        if untold := sorted(done.keys() - set(states["order_id"])):
            self.faults.append(f"{untold} were filled, and the product knows nothing of it")
        for order_id, shares, dollars in states.select("order_id", "filled_quantity", "gross_usd").iter_rows():
            if shares != done.get(order_id, NOTHING)[0] or abs(dollars - done.get(order_id, NOTHING)[1]) > HALF_A_CENT:
                self.faults.append(
                    f"{order_id}: {done.get(order_id, NOTHING)} were filled, and {(shares, dollars)} to the product"
                )

    def _night(self, number: int) -> None:
        night = Night(self.at.day.isoformat())
        self.at.write(self.home / "landing", self.at.day, self.common)
        if times := self.killed_on[number]:
            night.kills = killed_nights(self.settings, self.at.day, number, times, self.patience)
        began = time.perf_counter()
        run_id = self._run()
        lake = open_lake(self.settings)
        outcomes = lake.read("account_outcomes", run_id)
        orders, relief = (lake.read(table, run_id).to_dicts() for table in ("orders", "lot_relief"))
        of_order: dict[str, list[dict[str, Any]]] = {}
        for row in relief:
            of_order.setdefault(row["order_id"], []).append(row)
        proposed = [order | {"relief": of_order.get(order["order_id"], [])} for order in orders]
        self.faults += [f"{night.day}: {fault}" for fault in faults_of_night(self.at, outcomes, proposed)]
        self.ledger.night(self.at, lake.read("performance", run_id, columns=("account_id",))["account_id"].to_list())
        self._decide(run_id)
        export(self.settings)
        night.exported = self._leave({order["order_id"]: order for order in orders})
        night.seconds = time.perf_counter() - began
        self.patience = max(2.0, 1.2 * night.seconds)
        night.outcomes = dict(outcomes["outcome"].value_counts().iter_rows())
        night.orders = len(orders)
        night.memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        night.home_mib = (
            sum(path.stat().st_size for path in (self.home / "home" / "lake").rglob("*") if path.is_file()) / MIB
        )
        self.nights.append(night)

    def _run(self) -> str:
        """The night; one that is held is looked at by a person, who lets it go on."""
        for _ in range(10):
            try:
                return run_night(self.settings, None, self.at.day).run_id
            except RunHeld as held:
                self.held.append(f"{self.at.day}: {held}".splitlines()[0])
                with closing(open_ledger(self.settings)) as ledger:
                    run = ledger.runs.list_runs(1)[0]
                    ledger.runs.release_run(run.run_id, actor=RELEASER, note="looked at", now=utc_now())
        raise AssertionError(f"{self.at.day} is held after every release")

    def _decide(self, run_id: str) -> None:
        """Three people decide the same proposals at once, each in an order of their own."""
        with closing(open_ledger(self.settings)) as ledger:
            waiting = ledger.proposals.list_proposals(run_id=run_id).filter(pl.col("state") == "pending_review")
        ids = sorted(waiting["proposal_id"])

        def decide(name: str, seed: int) -> None:
            draw = Random(seed)  # noqa: S311 - the year is the same again
            with closing(open_ledger(self.settings)) as ledger:
                for one in draw.sample(ids, len(ids)):
                    word = "approve" if draw.random() < SHARE_APPROVED else "reject"
                    try:
                        ledger.decisions.decide([one], decision=word, actor=name, now=utc_now(), note="looked at")  # type: ignore[arg-type]
                    except DecisionRefused:
                        self.decided["came second"] += 1
                    else:
                        self.decided[word] += 1

        people = [threading.Thread(target=decide, args=(name, self.random.getrandbits(32))) for name in REVIEWERS]
        for person in people:
            person.start()
        for person in people:
            person.join()

    def _leave(self, orders: dict[str, dict[str, Any]]) -> int:
        """What stands in folders that were not there before; each order once, as it was proposed."""
        count = 0
        known = {Path(row["folder"]) for row in self.left.values()}
        for manifest in sorted((self.home / "home").glob("exports/**/manifest.json")):
            folder = manifest.parent
            if folder in known:
                continue
            self.exports.append(folder)
            for row in exported_orders(folder).iter_rows(named=True):
                count += 1
                proposed = orders.get(row["order_id"])
                if row["order_id"] in self.left:
                    self.faults.append(
                        f"{row['order_id']} left twice: {self.left[row['order_id']]['folder']} and {folder}"
                    )
                elif proposed is None or any(
                    row[name] != proposed[name] for name in ("quantity", "side", "security_id", "account_id")
                ):
                    self.faults.append(f"{row['order_id']} left as {row}, and was proposed as {proposed}")
                self.left[row["order_id"]] = {"folder": folder, "quantity": row["quantity"]}
        return count

    def _maintain(self) -> None:
        for chore in maintain(self.settings, utc_now()):
            if chore.problem:
                self.faults.append(f"{self.at.day}: {chore.what}: {chore.problem}")

    def _end(self) -> None:
        with closing(open_ledger(self.settings)) as ledger:
            ledger.audit.verify_audit()
            sent = {row["order_id"]: row for row in ledger.answers.sent_orders().iter_rows(named=True)}
            run = ledger.runs.list_runs(1)[0]
        if sent.keys() != self.left.keys():
            self.faults.append(f"{sorted(sent.keys() ^ self.left.keys())} stand in one of ledger and folders alone")
        self.faults += wash_sales(self.at)
        rows = open_lake(self.settings).read("performance", run.run_id).iter_rows(named=True)
        self.faults += self.ledger.faults({row["account_id"]: row for row in rows})

"""Corporate actions in whole nights, a shard an account: what was said once stands, and a split is known by the whole book or not at all."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import RunHeld
from schemas.exports import ExecutionSource
from schemas.run import RunRef
from schemas.settings import Settings
from tasks.operate import replay_run
from tasks.reconcile.execution_files import ExecutionFileResult, reconcile_new
from tasks.runtime.run_settings import use_settings
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.fill_scene import write_fills
from tests.support.home_copy import copy_home
from tests.support.landing_book import AS_OF, rows_of, sound_book, write_book
from tests.support.night_driver import export, run_night
from warehouse.lake.lake import open_lake

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

Book = dict[str, pl.DataFrame]
ACTIONS = "security_id | effective_date | action | ratio | new_security_id\n"
HOLDERS = 4


def settings_in(folder: Path) -> Settings:
    return Settings(home=folder / "home", max_quarantined_fraction=1.0, accounts_per_shard=1, max_run_turnover=None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home after a night over the plain book; no test changes it."""
    folder = tmp_path_factory.mktemp("first")
    night(settings_in(folder), folder, book())
    return settings_in(folder)


@pytest.fixture
def begun(first_night: Settings, tmp_path: Path) -> Settings:
    """A home of the test's own that has had that night."""
    return first_night.model_copy(update={"home": copy_home(first_night.home, tmp_path / "home")})


def book(quantity: int = 100, price: str = "50", cost: str = "40", odd: int | None = None) -> Book:
    """Accounts that each hold so many BND; the last holds ``odd`` many, if any."""
    base = sound_book()
    names = [f"C{number}" for number in range(HOLDERS)]
    one = base["accounts"].filter(account_id="A1").with_columns(household_id=pl.lit(None, pl.String))
    accounts = pl.concat(one.with_columns(account_id=pl.lit(name)) for name in names)
    lots = [f"{name} | BND | 1 | {quantity} | {cost} | 2020-01-02" for name in names]
    if odd is not None:
        lots[-1] = f"C{HOLDERS - 1} | BND | 1 | {odd} | 40 | 2020-01-02"
    head = "account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date\n"
    prices = base["prices"].with_columns(
        price_usd=pl.when(pl.col("security_id") == "BND").then(pl.lit(price)).otherwise("price_usd")
    )
    none = ("restrictions", "trades", "households")
    return {
        **{table: rows for table, rows in base.items() if table not in none},
        "accounts": accounts,
        "lots": rows_of(head + "\n".join(lots)),
        "cash": rows_of("account_id | settled_usd | pending_usd\n" + "\n".join(f"{name} | 100 | 0" for name in names)),
        "prices": prices,
    }


def told(text: str) -> Book:
    return {"corporate_actions": rows_of(ACTIONS + text)}


def renamed(one: Book) -> Book:
    """BND is BND2 everywhere but in the buy list."""
    return {
        table: rows.with_columns(pl.col("security_id").replace("BND", "BND2"))
        if "security_id" in rows.columns and table != "buy_list"
        else rows
        for table, rows in one.items()
    }


def night(settings: Settings, folder: Path, one: Book, day: int = 0) -> RunRef:
    """A night some days after the first; prices are of it."""
    folder = folder / str(day)
    folder.mkdir(exist_ok=True, parents=True)
    when = AS_OF + timedelta(days=day)
    write_book(folder, one | {"prices": one["prices"].with_columns(price_date=pl.lit(str(when)))}, "csv")
    return run_night(settings, folder, when)


def renamed_securities(one: Book) -> pl.DataFrame:
    """The securities of the book once BND has the identifier and the ticker BND2."""
    rows = one["securities"]
    return rows.with_columns(pl.col("security_id", "symbol").replace("BND", "BND2"))


def approve(settings: Settings, run_id: str) -> None:
    with closing(open_ledger(settings)) as ledger:
        ids = ledger.proposals.list_proposals(run_id=run_id).filter(state="pending_review")["proposal_id"].to_list()
        ledger.decisions.decide(ids, decision="approve", actor=current_actor(), now=utc_now())


def sent_orders(settings: Settings) -> pl.DataFrame:
    with closing(open_ledger(settings)) as ledger:
        return ledger.answers.sent_orders()


def take_new(settings: Settings) -> list[ExecutionFileResult]:
    with use_settings(settings):
        return reconcile_new(settings)


def outcomes(settings: Settings, run: RunRef) -> dict[str, str]:
    rows = open_lake(settings).read("account_outcomes", run.run_id).sort("account_id")
    return {
        name: f"{outcome}:{reason}" for name, outcome, reason in rows.select("account_id", "outcome", "reason").rows()
    }


def quarantined(settings: Settings, run: RunRef) -> set[str]:
    return {reason for reason in outcomes(settings, run).values() if reason.startswith("quarantined")}


@pytest.mark.parametrize(
    ("quantity", "price", "cost"),
    [(200, "25.2", "20"), (700, "7.1", "5.714286"), (1, "5050", "4000"), (133, "37", "30")],
)
def test_a_split_that_the_whole_book_agrees_on_stops_nobody_and_holds_nothing(
    begun: Settings, tmp_path: Path, quantity: int, price: str, cost: str
) -> None:
    assert quarantined(begun, night(begun, tmp_path, book(quantity, price, cost), 1)) == set()


def test_where_one_holder_did_not_move_nobody_knows_and_the_price_holds_the_night(
    begun: Settings, tmp_path: Path
) -> None:
    with pytest.raises(RunHeld, match=r"BND from 50.00 to 25.20; a split would explain it"):
        night(begun, tmp_path, book(200, "25.2", "20", odd=100), 1)
    calm = begun.model_copy(update={"max_price_move": None})
    run = night(calm, tmp_path, book(200, "25.3", "20", odd=100), 2)
    assert all("split_suspected" in reason for reason in outcomes(begun, run).values())


def test_until_somebody_says_so(begun: Settings, tmp_path: Path) -> None:
    said = told(f"BND | {AS_OF + timedelta(days=1)} | split | 2 |")
    run = night(begun, tmp_path, book(200, "25.2", "20", odd=100) | said, 1)
    waits = {name: reason for name, reason in outcomes(begun, run).items() if reason.startswith("quarantined")}
    assert list(waits) == [f"C{HOLDERS - 1}"]
    assert "split_suspected" in waits[f"C{HOLDERS - 1}"]
    booked = night(begun, tmp_path, book(200, "25.2", "20"), 2)
    assert quarantined(begun, booked) == set()


def test_an_identifier_is_carried_over_for_good_by_one_word(settings: Settings, tmp_path: Path) -> None:
    closed = rows_of(
        "account_id | security_id | rule | until_date | min_quantity | max_quantity | min_value_usd | max_value_usd\n"
        "C0 | BND | no_trade | | | | |"
    )
    night(settings, tmp_path, book() | {"restrictions": closed})
    said = told(f"BND | {AS_OF + timedelta(days=1)} | identifier_change | | BND2")
    first = night(settings, tmp_path, renamed(book()) | {"restrictions": closed} | said, 1)
    later = night(settings, tmp_path, renamed(book()) | {"restrictions": closed}, 2)
    for run in (first, later):
        assert quarantined(settings, run) == set()
        orders = open_lake(settings).read("orders", run.run_id)
        assert "BND" not in set(orders["security_id"])
        assert orders.filter(account_id="C0", security_id="BND2").is_empty()
        assert not orders.filter(account_id="C1", security_id="BND2").is_empty()
    replayed = replay_run(settings, later.run_id, tmp_path / "again")
    assert replayed.is_same, replayed


def test_a_fill_in_the_new_ticker_finds_the_order_in_the_old_one(settings: Settings, tmp_path: Path) -> None:
    """Told before the night that knows of the change it is set aside and read again; after it the order is filled, and nobody buys again."""
    broker = tmp_path / "broker"
    broker.mkdir()
    settings = settings.model_copy(update={"executions": (ExecutionSource(name="desk", url=str(broker)),)})
    first = night(settings, tmp_path, book())
    approve(settings, first.run_id)
    export(settings, first.run_id)
    (sent,) = sent_orders(settings).filter(account_id="C1", security_id="BND").iter_rows(named=True)
    day = AS_OF + timedelta(days=1)
    row = {
        "execution_id": "e1",
        "kind": "fill",
        "client_order_id": sent["order_id"],
        "account_id": "C1",
        "symbol": "BND2",
    }
    write_fills(
        broker / "fills.csv",
        {**row, **{name: sent[name] for name in ("side", "quantity", "price_usd")}, "trade_date": day.isoformat()},
    )
    (early,) = take_new(settings)
    assert early.done is not None
    assert (early.done.taken, early.done.alarms["code"].to_list()) == (0, ["wrong_security"])
    said = told(f"BND | {day} | identifier_change | | BND2")
    night(settings, tmp_path, renamed(book()) | {"securities": renamed_securities(book())} | said, 1)
    (late,) = take_new(settings)
    assert late.done is not None
    assert (late.done.taken, late.done.aside.height, late.done.alarms.height) == (1, 0, 0)
    with closing(open_ledger(settings)) as ledger:
        assert ledger.answers.states_of([sent["order_id"]])["state"].to_list() == ["filled"]
        assert ledger.answers.set_aside().is_empty()
    assert take_new(settings) == []


def test_without_a_word_the_holders_wait(begun: Settings, tmp_path: Path) -> None:
    run = night(begun, tmp_path, renamed(book()), 1)
    assert all(reason.startswith("quarantined") for reason in outcomes(begun, run).values())


def test_nothing_is_ordered_in_shares_of_before_a_split(settings: Settings, tmp_path: Path) -> None:
    run = night(settings, tmp_path, book() | told(f"BND | {AS_OF + timedelta(days=1)} | split | 2 |"))
    orders = open_lake(settings).read("orders", run.run_id)
    assert "BND" not in set(orders["security_id"])
    booked = night(settings, tmp_path, book(200, "25", "20"), 1)
    assert "BND" in set(open_lake(settings).read("orders", booked.run_id)["security_id"])


@pytest.mark.parametrize(("new", "booked", "said"), [(2, 1, 1), (3, 2, 1), (10, 1, 2), (2, 2, 2)])
def test_a_price_that_shows_a_split_a_night_late_costs_that_night_alone(
    settings: Settings, tmp_path: Path, new: int, booked: int, said: int
) -> None:
    lenient = settings.model_copy(update={"max_price_move": None, "accounts_per_shard": 100})
    after = book(100 * new, str(round(51 / new, 6)), str(round(40 / new, 6)))
    words = told(f"BND | {AS_OF + timedelta(days=1)} | split | {new} |")
    night(lenient, tmp_path, book())
    late = book(100 * new, "50.5", str(round(40 / new, 6))) if booked == 1 else book(100, "50.5")
    run = night(lenient, tmp_path, late | (words if said == 1 else {}), 1)
    if said == 1 or booked == 1:
        assert len(quarantined(lenient, run)) == 1
        assert len(outcomes(lenient, run)) == HOLDERS
    if said == 1 and booked == 1:
        messages = open_lake(lenient).read("quarantine", run.run_id)["message"]
        assert all("in shares of before the split; needed one of about" in text for text in messages)
    later = night(lenient, tmp_path, after | words, 2)
    assert quarantined(lenient, later) == set()
    if new == 3:
        assert replay_run(lenient, later.run_id, tmp_path / "again").is_same


def test_a_price_that_is_divided_twice_is_not_taken_for_a_late_one(settings: Settings, tmp_path: Path) -> None:
    lenient = settings.model_copy(update={"max_price_move": None, "accounts_per_shard": 100})
    words = told(f"BND | {AS_OF + timedelta(days=1)} | split | 2 |")
    night(lenient, tmp_path, book())
    assert quarantined(lenient, night(lenient, tmp_path, book(200, "25", "20") | words, 1)) == set()
    assert quarantined(lenient, night(lenient, tmp_path, book(200, "12.5", "20") | words, 2)) != set()


def spun(count: int = 100) -> Book:
    """The book after half of BND was spun off as KID, of which each account has so many."""
    one = book(price="25", cost="20")
    kid = {"symbol": "KID", "security_id": "KID"}
    more = {
        table: one[table]
        .filter(security_id="BND")
        .with_columns(pl.lit(text).alias(name) for name, text in cells.items())
        for table, cells in {"securities": kid, "prices": {"security_id": "KID", "price_usd": "25"}}.items()
    }
    more["lots"] = one["lots"].with_columns(security_id=pl.lit("KID"), quantity=pl.lit(str(count)))
    return one | {table: pl.concat([one[table], rows]) for table, rows in more.items()}


def test_a_spin_off_that_was_told_stops_nobody_and_its_price_holds_nothing(begun: Settings, tmp_path: Path) -> None:
    with pytest.raises(RunHeld, match=r"BND from 50.00 to 25.00; a split would explain it"):
        night(begun, tmp_path, spun(), 1)
    said = told(f"BND | {AS_OF + timedelta(days=1)} | spin_off | 1 | KID")
    run = night(begun, tmp_path, spun() | said, 1)
    assert quarantined(begun, run) == set()
    assert quarantined(begun, night(begun, tmp_path, spun(), 2)) == set()
    assert replay_run(begun, run.run_id, tmp_path / "again").is_same


def test_new_shares_of_a_spin_off_that_are_not_what_it_says_stop_their_holder(begun: Settings, tmp_path: Path) -> None:
    said = told(f"BND | {AS_OF + timedelta(days=1)} | spin_off | 1 | KID")
    run = night(begun, tmp_path, spun(count=70) | said, 1)
    assert quarantined(begun, run) == {"quarantined:lots:quantity_explained"}


def test_accounts_wait_for_the_cash_of_their_trades_and_hold_no_night(begun: Settings, tmp_path: Path) -> None:
    strict = begun.model_copy(update={"max_quarantined_fraction": 0.0, "guard_min_accounts": 0})
    head = "account_id | security_id | trade_date | side | quantity | price_usd | realized_gain_usd\n"
    sales = [f"C{number} | BND | {AS_OF + timedelta(days=1)} | sell | 40 | 50 | 0" for number in range(HOLDERS)]
    sold = book(60) | {"trades": rows_of(head + "\n".join(sales))}
    assert quarantined(strict, night(strict, tmp_path, sold, 1)) == {"quarantined:cash:cash_booked"}
    paid = sold | {"cash": sold["cash"].with_columns(settled_usd=pl.lit("2100"))}
    assert quarantined(strict, night(strict, tmp_path, paid, 2)) == set()

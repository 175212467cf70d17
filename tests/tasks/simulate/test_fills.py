"""An export goes to a simulated broker, and what that says comes back through the real reconcile: for simulations, and for nobody else."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from schemas.errors import WrongUsage
from tasks.core.broker import ENDINGS, BrokerModel
from tasks.export.verification import ExportBroken
from tasks.reconcile.reconcile import ReconcileResult, reconcile
from tasks.simulate.fills import SimulatedFills, exported_orders, simulate_fills
from tests.support.export_scene import NOW, RUN
from tests.support.fill_scene import Desk, fill

EVENTFUL = BrokerModel(participation=0.5, impact=1, reject_rate=0.2, bust_rate=0.3, correct_rate=0.4)
MARKET = "security_id,half_spread_bps,daily_volatility,daily_volume\ns1,10,0.02,1000\ns2,,,3\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, is_simulation=True)


def simulated(
    desk: Desk, *, seed: int = 3, file_format: str = "csv", market: str = MARKET, to: str = "s"
) -> SimulatedFills:
    path = desk.home / "market.csv"
    path.write_text(market)
    return simulate_fills(
        desk.scene.final,
        model=EVENTFUL,
        seed=seed,
        market=path,
        file_format=file_format,
        to=desk.home / to,
        exchange="XNYS",
    )


def take(desk: Desk, path: Path, **options: Any) -> ReconcileResult:
    ledger = desk.ledger
    return reconcile(path, executions=ledger.executions, answers=ledger.answers, actor="ops", now=NOW, **options)


def states(desk: Desk) -> pl.DataFrame:
    answers = desk.ledger.answers
    return (
        answers.states_of(answers.sent_orders()["order_id"])
        .drop("first_trade_date", "last_trade_date")
        .sort("order_id")
    )


def test_orders_are_those_of_the_folder_without_the_signs_that_disarm_them(desk: Desk) -> None:
    orders = exported_orders(desk.scene.final)
    assert orders.select("order_id", "account_id", "side", "symbol", "quantity").rows() == [
        ("-a3-buy", "-a3", "buy", "=BB", Decimal(2)),
        ("-a3-sell", "-a3", "sell", "AAA", Decimal(3)),
        ("a1-buy", "a1", "buy", "=BB", Decimal(2)),
        ("a1-sell", "a1", "sell", "AAA", Decimal(3)),
        ("a2-buy", "a2", "buy", "=BB", Decimal(2)),
        ("a2-sell", "a2", "sell", "AAA", Decimal(3)),
    ]
    assert orders["price_usd"].unique().to_list() == [Decimal("10.25")]


@pytest.mark.parametrize("file_format", ENDINGS)
@pytest.mark.parametrize("seed", range(3))
def test_what_the_broker_says_is_taken_once_and_ends_in_the_state_that_it_says(
    desk: Desk, file_format: str, seed: int
) -> None:
    said = simulated(desk, seed=seed, file_format=file_format)
    assert said.trade_date == date(2026, 3, 3)
    done = take(desk, said.path)
    assert (done.again, done.aside.height, done.alarms.height) == (0, 0, 0)
    after = states(desk)
    again = take(desk, said.path)
    assert (again.taken, again.aside.height) == (0, 0)
    assert states(desk).equals(after)
    wholly = after.filter(state="filled").height
    assert wholly == said.filled
    if file_format != "flex":  # which says nothing of orders that were not filled
        assert after["order_id"].len() == said.orders
        assert after["is_closed"].all()
        assert after.filter(state="failed").height + after.filter(state="partly_filled").height == said.orders - wholly
    in_csv = simulated(desk, seed=seed, to="other")
    assert said.counts == in_csv.counts
    (desk.home / "x").mkdir()
    other = Desk(desk.home / "x", is_simulation=True)
    take(other, in_csv.path)
    filled = ["order_id", "filled_quantity", "average_price_usd", "gross_usd"]
    is_some = pl.col("filled_quantity") > 0
    assert states(other).filter(is_some).select(filled).equals(after.filter(is_some).select(filled))


def test_the_same_seed_writes_the_same_bytes_and_another_is_refused_beside_it(desk: Desk) -> None:
    first = simulated(desk)
    before = first.path.read_bytes()
    assert simulated(desk) == first
    assert first.path.read_bytes() == before
    assert simulated(desk, to="elsewhere").path.read_bytes() == before
    assert first.path.stat().st_mode & 0o777 == 0o600
    assert first.path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(WrongUsage, match="is there and says something else"):
        simulated(desk, seed=4)
    assert first.path.read_bytes() == before


def test_a_broker_that_says_something_else_of_the_same_orders_is_not_believed(desk: Desk) -> None:
    take(desk, simulated(desk, seed=1).path)
    after = states(desk)
    done = take(desk, simulated(desk, seed=2, to="other").path)
    assert set(done.aside["code"]) <= {"duplicate", "conflicting"}
    filled = states(desk)["filled_quantity"].to_list()
    ordered = exported_orders(desk.scene.final)["quantity"].to_list()
    assert all(some <= most for some, most in zip(filled, ordered, strict=True))
    assert states(desk).filter(state="filled").join(after, on="order_id", how="anti").is_empty()


def test_fills_of_a_simulated_broker_are_refused_where_the_run_was_no_simulation(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    said = simulated(desk)
    with pytest.raises(
        WrongUsage, match=f"of run {RUN}, which is no simulation; needed orders of simulations alone\n\nHint: "
    ):
        take(desk, said.path)
    assert states(desk).is_empty()
    assert desk.ledger.answers.set_aside().is_empty()
    assert desk.ledger.executions.sources_of_file("") == frozenset()


def test_fills_of_a_simulated_broker_about_orders_that_never_left_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = Desk(tmp_path / "real")
    path = real.file(fill("SIMULATED-1", "nobody-buy", "1"))
    with pytest.raises(WrongUsage, match="is about nobody-buy, which is no order that left from here"):
        take(real, path)
    mixed = real.file(fill("e1", "a1-buy", "1"), fill("SIMULATED-2", "a1-buy", "1"))
    with pytest.raises(WrongUsage, match="which is no simulation"):
        take(real, mixed)
    assert states(real).is_empty()


def test_a_real_broker_may_answer_a_simulation_and_no_insider_lets_a_simulated_one_answer_for_good(
    desk: Desk, tmp_path: Path
) -> None:
    assert desk.take(fill("e1", "a1-buy", "2")).taken == 1
    (tmp_path / "real").mkdir()
    real = Desk(tmp_path / "real")
    row = "('x', 'SIMULATED-1', 'fill', 'a1-buy', 1, 1, 'h', 1, '2026-03-03')"
    columns = "source, execution_id, kind, order_id, quantity, price_usd, file_sha256, row_number, received_at"
    for ledger, is_refused in ((real.ledger, True), (desk.ledger, False)):
        statement = sa.text(f"INSERT INTO executions ({columns}) VALUES {row}")
        if is_refused:
            with pytest.raises(DBAPIError, match="never simulated"), ledger.writing() as connection:
                connection.execute(statement)
        else:
            with ledger.writing() as connection:
                connection.execute(statement)
    with pytest.raises(DBAPIError, match="never changed"), real.ledger.writing() as connection:
        connection.execute(sa.text("UPDATE runs SET is_simulation = TRUE"))


@pytest.mark.parametrize(
    ("market", "message"),
    [
        ("security,half_spread_bps\ns1,1\n", "has no column security_id"),
        ("security_id,half_spread_bps\ns1,-1\n", "row 1: half_spread_bps is -1; needed a number 0 or above"),
        ("security_id,daily_volume\ns2,5\ns1,0\n", "row 2: daily_volume is 0; needed a number above 0"),
        ("security_id,daily_volatility\ns1,2%\n", "row 1: daily_volatility is 2%"),
        ("security_id,daily_volatility\ns1,nan\n", "row 1: daily_volatility is nan"),
        ("security_id,daily_volatility\ns1,.1\ns1,.2\n", "has 2 rows for s1; needed one a security"),
        ("security_id,daily_volatility\n,.1\n", "has 1 rows for no security"),
        ("", "cannot be read"),
    ],
)
def test_a_market_that_cannot_be_is_refused(desk: Desk, market: str, message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        simulated(desk, market=market)


def test_what_is_no_export_or_not_whole_is_refused(desk: Desk, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "model": EVENTFUL,
        "seed": 1,
        "market": None,
        "file_format": "csv",
        "to": tmp_path / "s",
        "exchange": "XNYS",
    }
    with pytest.raises(WrongUsage, match="needed a folder that was exported whole"):
        simulate_fills(tmp_path, **options)
    orders = desk.scene.final / "accounts" / "a1.csv"
    orders.write_text(orders.read_text().replace(",2,", ",200,"))
    with pytest.raises(ExportBroken, match="was changed"):
        simulate_fills(desk.scene.final, **options)

"""Some days of the year: nothing is found wrong, and what finds it is seen to find it."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tasks.demo.sample import read_market
from tests.soak.clearing import YearsCustodian, damaged
from tests.soak.witness import faults_of_night, wash_sales
from tests.soak.year import Year
from tests.support.custodian import Row

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    done = Year(tmp_path_factory.mktemp("year"), accounts=40, days=20, kills=8, seed=5)
    done.run()
    return done


@pytest.mark.system
def test_nothing_is_wrong_in_twenty_nights(year: Year) -> None:
    assert year.faults == []
    assert year.held == []
    assert len(year.left) >= len(year.filled) > 80
    assert sum(len(night.kills) for night in year.nights) >= 2
    assert year.decided["came second"] > year.decided["approve"] > 0
    assert year.at.happened["split"] >= 1


# --- the witness sees what is wrong


@pytest.fixture
def at() -> YearsCustodian:
    market = read_market()
    return YearsCustodian(10, market.dates, market.closes, len(market.dates) - 5, 3)


def outcomes_of(at: YearsCustodian) -> pl.DataFrame:
    return pl.DataFrame({"account_id": list(at.accounts)})


def order_of(at: YearsCustodian, name: str, **changes: Any) -> Row:
    """A sale of one share of the first lot of an account."""
    (symbol, lot_id), _ = next(iter(at.accounts[name].lots.items()))
    one = Decimal(1)
    order = {"account_id": name, "security_id": symbol, "side": "sell", "quantity": one, "price_usd": at.prices[symbol]}
    return order | {"relief": [{"lot_id": lot_id, "quantity": one}]} | changes


def test_a_night_that_is_right_has_no_fault(at: YearsCustodian) -> None:
    assert list(faults_of_night(at, outcomes_of(at), [order_of(at, "Y00003")])) == []


@pytest.mark.parametrize("kind", ["left out", "name", "number", "twice"])
def test_a_trade_on_a_damaged_row_is_a_fault(at: YearsCustodian, kind: str) -> None:
    at.slips.append(lambda rows: damaged(rows, "Y00003", kind))
    (fault,) = faults_of_night(at, outcomes_of(at), [order_of(at, "Y00003")])
    assert fault == "Y00003 is traded, and its files are not what it holds"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"price_usd": Decimal(1)}, "not at"),
        ({"quantity": Decimal(2)}, "from lots that it has not"),
        ({"relief": [{"lot_id": "of another", "quantity": Decimal(1)}]}, "from lots that it has not"),
        ({"side": "buy", "quantity": Decimal(10_000_000)}, "USD that it has not"),
    ],
)
def test_a_trade_that_cannot_be_is_a_fault(at: YearsCustodian, changes: dict[str, Any], said: str) -> None:
    assert any(said in fault for fault in faults_of_night(at, outcomes_of(at), [order_of(at, "Y00003", **changes)]))


def test_an_account_that_waits_for_a_late_file_and_one_without_an_outcome_are_seen(at: YearsCustodian) -> None:
    at.late.add("south")
    found = list(faults_of_night(at, outcomes_of(at).slice(1), [order_of(at, "Y00003")]))
    assert found == ["['Y00000'] have no outcome", "Y00003 is traded, and its files are not what it holds"]


@pytest.mark.parametrize(("days", "count"), [(0, 1), (30, 1), (31, 0), (-30, 1), (-31, 0)])
@pytest.mark.parametrize("other", ["Y00000", "Y00001", "Y00002"])
def test_a_loss_beside_a_purchase_in_the_household_is_a_wash_sale(
    at: YearsCustodian, days: int, count: int, other: str
) -> None:
    """The first two are a household; a purchase in an account that pays no tax counts too."""
    at.tax |= {"Y00000": "taxable", "Y00001": "tax_deferred"}
    sale = {"account": "Y00000", "security": "KO", "day": date(2022, 6, 1), "lot": "1", "gain": Decimal(-50)}
    at.sold = [sale, sale | {"gain": Decimal(50)}, sale | {"account": "Y00001"}]
    at.bought_in = [
        {"account": other, "security": name, "day": date(2022, 6, 1) + timedelta(days), "lot": "b1"}
        for name in ("KO", "PEP")
    ]
    assert len(list(wash_sales(at))) == (0 if other == "Y00002" else count)

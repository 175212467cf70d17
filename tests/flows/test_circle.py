"""The whole circle on the sample book: night, export, a simulated broker, reconcile, what the custodian then shows, and the night on that."""

from collections import defaultdict
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from flows.commands.demo import booked_fills
from schemas.settings import Settings
from tasks.core.broker import ENDINGS, BrokerModel
from tasks.demo import make_book, make_next_night, next_closes, read_market
from tasks.reconcile import reconcile_one
from tasks.runtime.sessions import next_session
from tasks.runtime.stores import open_ledger
from tasks.simulate import simulate_fills
from tests.support.night_driver import export, run_night
from warehouse.lake.lake import open_lake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]
EVENTFUL = BrokerModel(reject_rate=0.1, bust_rate=0.1, correct_rate=0.2)


def test_every_order_that_left_is_answered_once_and_the_next_night_goes_on_from_there(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", is_simulation=True, max_run_turnover=None)
    book = tmp_path / "book"
    made = make_book(book, account_count=250)
    day = next_session(made.as_of_date, settings.exchange)
    first = run_night(settings, book, made.as_of_date)
    (left,) = export(settings, first.run_id)
    names = {}
    for file_format in ENDINGS:  # one broker, four ways to say it: told in one it is told
        said = simulate_fills(
            left.folder,
            model=EVENTFUL,
            seed=1,
            market=None,
            file_format=file_format,
            to=tmp_path / "said",
            exchange=settings.exchange,
        )
        names[file_format] = said.path
    done = reconcile_one(settings, names["fix"], source="broker")
    assert (done.aside.height, done.alarms.height) == (0, 0)
    assert reconcile_one(settings, names["fix"], source="broker").taken == 0
    in_csv = reconcile_one(settings, names["csv"], source="broker")  # the same reports once more, in another file
    assert in_csv.taken == 0
    with closing(open_ledger(settings)) as ledger:
        sent = ledger.answers.sent_orders()
        states = ledger.answers.states_of(sent["order_id"].to_list())
    assert states.height == sent.height == left.order_count
    assert states["is_closed"].all()
    assert states["state"].is_in(["filled", "partly_filled", "failed"]).all()
    assert states["state"].n_unique() > 1
    both = states.join(sent.select("order_id", "quantity", "account_id", "security_id", "side"), on="order_id")
    assert (both["filled_quantity"] <= both["quantity"]).all()

    after = tmp_path / "after"
    fills = booked_fills(settings, first.run_id, [left.folder])
    make_next_night(after, book, fills, next_closes(read_market(), day, 1), file_format="parquet")
    second = run_night(settings, after, day)
    lake = open_lake(settings)
    traded = set(both.filter(pl.col("filled_quantity") > 0)["account_id"])
    outcomes = lake.read("account_outcomes", second.run_id).filter(pl.col("account_id").is_in(traded))
    assert outcomes.height == len(traded)
    assert set(outcomes["outcome"]) <= {"in_band", "proposed", "no_trade", "cooling_down", "blocked"}
    assert outcomes.filter(pl.col("outcome") == "blocked").is_empty(), outcomes.filter(outcome="blocked")
    moved: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for folder, sign in ((book, -1), (after, 1)):
        lots = pl.read_parquet(folder / "lots.parquet", columns=["account_id", "security_id", "quantity"])
        for account, security, quantity in lots.drop_nulls().iter_rows():
            moved[account, security] += sign * quantity
    for row in both.iter_rows(named=True):
        moved[row["account_id"], row["security_id"]] -= row["filled_quantity"] * (1 if row["side"] == "buy" else -1)
    assert not any(moved.values())

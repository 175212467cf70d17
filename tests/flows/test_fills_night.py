"""What brokers told of last night's orders is known to the next night, also where the custodian's trades do not show it."""

from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.landing_columns import dtypes
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.reconcile.reconcile import reconcile
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.fill_scene import write_fills
from tests.support.night_driver import export, run_night
from warehouse.lake.lake import open_lake

FIRST, SECOND, THIRD = date(2022, 12, 28), date(2022, 12, 29), date(2022, 12, 30)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which a night was run, exported and filled, and a night of holdings from before the fills followed.

    Its landing folder has the holdings after the fills, and no new trade.
    """
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, max_run_turnover=None, max_price_age_sessions=5)
    landing = home / "landing"
    make_book(landing, account_count=80)
    policies = pl.read_parquet(landing / "policies.parquet")
    generous = {"auto_approve_max_turnover": 9.0, "auto_approve_max_tax_usd": 1e9, "four_eyes_above_usd": 1e9}
    policies.with_columns(
        cool_down_days=pl.lit(5), **{name: pl.lit(value) for name, value in generous.items()}
    ).write_parquet(landing / "policies.parquet")
    night = run_night(settings, landing, FIRST)
    assert export(settings)
    with closing(open_ledger(settings)) as ledger:
        sent = ledger.answers.sent_orders()
        path = write_fills(home / "fills.csv", *(_fill(row) for row in sent.to_dicts()))
        done = reconcile(
            path, executions=ledger.executions, answers=ledger.answers, actor=current_actor(), now=utc_now()
        )
        assert done.taken == sent.height > 20
        run_night(settings, landing, SECOND)
        _book_fills(settings, night.run_id, sent, landing)
    return settings


def _fill(row: dict[str, object]) -> dict[str, object]:
    shown = {name: row[name] for name in ("account_id", "symbol", "side", "quantity", "price_usd")}
    names = {"execution_id": f"e-{row['order_id']}", "kind": "fill", "client_order_id": row["order_id"]}
    return {**names, **shown, "trade_date": SECOND.isoformat()}


def _book_fills(settings: Settings, run_id: str, sent: pl.DataFrame, landing: Path) -> None:
    """The custodian's lots and cash after the fills; it says no totals any more."""
    (landing / "account_totals.parquet").unlink()
    key = ("account_id", "security_id", "lot_id")
    closed = open_lake(settings).read("lot_relief", run_id).group_by(key).agg(closed=pl.col("quantity").sum())
    lots = pl.read_parquet(landing / "lots.parquet")
    left = lots.join(closed, on=key, how="left").with_columns(
        quantity=pl.col("quantity") - pl.col("closed").fill_null(0)
    )
    buys = sent.filter(pl.col("side") == "buy")
    bought = buys.select(
        "account_id",
        "security_id",
        "quantity",
        lot_id="order_id",
        unit_cost_usd="price_usd",
        acquired_date=pl.lit(SECOND),
    ).with_columns(is_frozen=pl.lit(value=False))
    names = list(lots.columns)
    pl.concat(
        [left.filter(pl.col("quantity") > 0).select(names), bought.select(names).cast(lots.schema)]
    ).write_parquet(landing / "lots.parquet")
    sign = pl.when(pl.col("side") == "sell").then(1).otherwise(-1)
    worth = (pl.col("quantity").cast(pl.Decimal(38, 12)) * pl.col("price_usd").cast(pl.Decimal(38, 12)) * sign).round(2)
    flows = sent.group_by("account_id").agg(raised=worth.sum())
    cash = pl.read_parquet(landing / "cash.parquet").join(flows, on="account_id", how="left")
    cash.with_columns(
        settled_usd=(pl.col("settled_usd") + pl.col("raised").fill_null(0)).cast(dtypes("cash")["settled_usd"])
    ).drop("raised").write_parquet(landing / "cash.parquet")


def test_accounts_wait_until_their_holdings_show_what_was_filled(settings: Settings) -> None:
    lake = open_lake(settings)
    with closing(open_ledger(settings)) as ledger:
        sent = ledger.answers.sent_orders()
        (behind,) = [run.run_id for run in ledger.runs.list_runs() if run.as_of_date == SECOND]
    unshown = lake.read("unshown_fills", behind)
    assert sorted(unshown["order_id"]) == sorted(sent["order_id"])
    reasons = lake.read("account_outcomes", behind).filter(pl.col("account_id").is_in(sent["account_id"].implode()))
    assert set(reasons["outcome"]) == {"cooling_down"}
    assert {reason.split(":")[0] for reason in reasons["reason"]} == {"fills_not_shown"}


def test_fills_explain_what_the_custodians_trades_do_not(settings: Settings) -> None:
    night = run_night(settings, settings.home / "landing", THIRD)
    lake = open_lake(settings)
    assert lake.read("fills_to_show", night.run_id).height > 20
    assert lake.read("unshown_fills", night.run_id).is_empty()
    broken = lake.read("quarantine", night.run_id)["broken_rules"].str.split("|").explode().unique().to_list()
    assert not {"quantity_explained", "cash_explained", "basis_unchanged"} & set(broken)
    with closing(open_ledger(settings)) as ledger:
        sent = ledger.answers.sent_orders()
    known = lake.read("known_fills", night.run_id)
    assert (
        known.select("account_id", "security_id", "side", "quantity")
        .sort(pl.all())
        .equals(sent.select("account_id", "security_id", "side", "quantity").sort(pl.all()))
    )
    assert known["trade_date"].unique().to_list() == [SECOND]
    assert lake.read("pending_orders", night.run_id).is_empty()
    traded = set(sent["account_id"])
    outcomes = dict(lake.read("account_outcomes", night.run_id).select("account_id", "outcome").iter_rows())
    found = {outcomes[account] for account in traded}
    assert "cooling_down" in found
    assert "quarantined" not in found


def test_an_account_whose_orders_came_to_nothing_is_not_cooling_down(settings: Settings, tmp_path: Path) -> None:
    with closing(open_ledger(settings)) as ledger:
        account = ledger.answers.sent_orders()["account_id"].sort()[0]
        orders = ledger.answers.sent_orders().filter(pl.col("account_id") == account)["order_id"]
        busts = [
            {"execution_id": f"x-{name}", "kind": kind, "client_order_id": name, "reference_id": about}
            for name in orders
            for kind, about in (("bust", f"e-{name}"),)
        ]
        ends = [{"execution_id": f"r-{name}", "kind": "rejected", "client_order_id": name} for name in orders]
        assert account in ledger.exports.last_exports()["account_id"].to_list()
        path = write_fills(tmp_path / "busts.csv", *busts, *ends)
        reconcile(
            path,
            executions=ledger.executions,
            answers=ledger.answers,
            actor=current_actor(),
            now=utc_now() + timedelta(hours=1),
        )
        assert account not in ledger.exports.last_exports()["account_id"].to_list()

"""A fill that is told after the next night has proposed anew: what it proposed is drift of before that fill, and stays."""

from contextlib import closing
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.export.release import export_approved
from tasks.reconcile.reconcile import reconcile
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.fill_scene import write_fills
from tests.support.night_driver import export, run_night

FIRST, SECOND, THIRD = date(2022, 12, 28), date(2022, 12, 29), date(2022, 12, 30)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home in which everything that a night exported was rejected, and the next night has proposed it again."""
    settings = Settings(home=tmp_path, max_run_turnover=None, max_price_age_sessions=5)
    landing = tmp_path / "landing"
    make_book(landing, account_count=40)
    policies = pl.read_parquet(landing / "policies.parquet")
    generous = {"auto_approve_max_turnover": 9.0, "auto_approve_max_tax_usd": 1e9, "four_eyes_above_usd": 1e9}
    eager = policies.with_columns(cool_down_days=pl.lit(0), **{name: pl.lit(value) for name, value in generous.items()})
    eager.write_parquet(landing / "policies.parquet")
    run_night(settings, landing, FIRST)
    assert export(settings)
    with closing(open_ledger(settings)) as ledger:
        sent = ledger.answers.sent_orders()["order_id"]
        rejections = [{"execution_id": f"r-{name}", "kind": "rejected", "client_order_id": name} for name in sent]
        reconcile(
            write_fills(tmp_path / "no.csv", *rejections),
            executions=ledger.executions,
            answers=ledger.answers,
            actor=current_actor(),
            now=utc_now(),
        )
    run_night(settings, landing, SECOND)
    return settings


def test_what_was_proposed_before_a_fill_was_told_stays_and_the_next_night_waits_for_the_holdings(
    settings: Settings,
) -> None:
    with closing(open_ledger(settings)) as ledger:
        order = ledger.answers.sent_orders().sort("order_id").row(0, named=True)
        late = {
            "execution_id": "late",
            "kind": "fill",
            "client_order_id": order["order_id"],
            **{name: order[name] for name in ("account_id", "symbol", "side", "quantity", "price_usd")},
            "trade_date": SECOND.isoformat(),
        }
        reconcile(
            write_fills(settings.home / "late.csv", late),
            executions=ledger.executions,
            answers=ledger.answers,
            actor=current_actor(),
            now=utc_now(),
        )
        done = export_approved(settings)
        (result,) = done.results
        stays = done.held_back.filter(pl.col("account_id") == order["account_id"])
        assert [reason.split(":")[0] for reason in stays["reason"]] == ["fills_not_shown"]
        assert not (result.folder / "accounts" / f"{order['account_id']}.csv").exists()
        assert result.account_count > 5
        night = run_night(settings, settings.home / "landing", THIRD)
        assert night.counts["cooling_down"] >= 1
        assert (
            ledger.proposals.list_proposals().filter(pl.col("account_id") == order["account_id"])["run_id"].n_unique()
            == 2
        )

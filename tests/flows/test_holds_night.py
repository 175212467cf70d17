"""A hold outlives the night: the account's next proposal says so, waits for a person, and is the same done again."""

from contextlib import closing
from datetime import date, time
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import LookReason
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.propose.propose import propose_task
from tasks.pull.pull import run_ref
from tasks.runtime.run_settings import use_settings
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.night_driver import public_tables, run_night
from warehouse.lake.lake import open_lake

AS_OF = date(2022, 12, 28)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


def test_the_next_proposal_of_a_held_account_waits_for_a_person(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", cut_offs={"northbank": time(15, 30)})
    landing = tmp_path / "landing"
    make_book(landing, account_count=120)
    policies = pl.read_parquet(landing / "policies.parquet")
    policies.with_columns(
        auto_approve_max_turnover=pl.lit(None, pl.Float64), four_eyes_above_usd=pl.lit(None, pl.Float64)
    ).write_parquet(landing / "policies.parquet")
    first = run_night(settings, landing, AS_OF)
    with closing(open_ledger(settings)) as ledger:
        waiting = ledger.proposals.list_proposals(run_id=first.run_id)
        assert set(waiting["state"]) == {"pending_review"}
        assert waiting.filter(pl.col("cut_off_at").is_not_null())["custodian"].unique().to_list() == ["northbank"]
        held = waiting.row(0, named=True)
        ledger.decisions.decide([held["proposal_id"]], decision="hold", actor=current_actor(), now=utc_now())

    policies.with_columns(
        auto_approve_max_turnover=pl.lit(1.0), auto_approve_max_tax_usd=pl.lit(1e9), four_eyes_above_usd=pl.lit(1e9)
    ).write_parquet(landing / "policies.parquet")
    second = run_night(settings, landing, AS_OF)

    with closing(open_ledger(settings)) as ledger:
        found = ledger.proposals.list_proposals(run_id=second.run_id)
        mine = found.filter(pl.col("account_id") == held["account_id"]).row(0, named=True)
        others = found.filter(pl.col("account_id") != held["account_id"])
        assert (mine["state"], mine["held_by"], mine["route_reasons"]) == ("pending_review", current_actor(), "hold")
        assert mine["look_reasons"].startswith("hold")
        assert set(others["state"]) == {"auto_approved"}
    stored = open_lake(settings).read("held_accounts", second.run_id)
    assert stored.rows() == [(held["account_id"], current_actor())]

    before = public_tables(settings, second.run_id)
    with closing(open_ledger(settings)) as ledger:
        ledger.decisions.decide([mine["proposal_id"]], decision="unhold", actor=current_actor(), now=utc_now())
        assert ledger.proposals.held_accounts().is_empty()
        run = run_ref(ledger.runs.get_run(second.run_id))
    lax = settings.model_copy(update={"always_review": frozenset({LookReason.HARVEST})})
    with use_settings(lax):
        for shard in run.shards:
            propose_task.fn(run, shard)
    for table, rows in public_tables(settings, second.run_id).items():
        assert rows.equals(before[table]), table

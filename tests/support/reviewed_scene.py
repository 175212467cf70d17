"""A home in which every page has something to show: a night, a decision, an export with breaks, a study."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from schemas.enums import Role
from schemas.exports import Delivery
from schemas.lab import parse_study
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from tasks.export.release import deliver_exported, export_approved
from tasks.lab.simulate import shard_frames
from tasks.lab.study import enter_study
from tasks.lab.summary import summary_frames
from tasks.reconcile.reconcile import reconcile
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.fill_scene import fill, write_fills
from warehouse.lake.lake import open_lake
from warehouse.ledger import SentFilter

STUDY: Final = """
name = "which band"
[market]
source = "lognormal"
means = { stocks = 0.08, bonds = 0.03 }
volatilities = { stocks = 0.2, bonds = 0.05 }
[paths]
count = 20
years = 4
[book]
targets = { stocks = 0.6, bonds = 0.4 }
half_spread_bps = 10
[tax]
short_term_rate = 0.37
long_term_rate = 0.2
[grid]
look = ["monthly", "annual"]
absolute_band = [0.02, 0.05]
"""


@dataclass(frozen=True)
class Names:
    """What the pages of a home are about."""

    run_id: str
    account_id: str
    proposal_id: str
    household_id: str
    security_id: str
    model_id: str
    export_id: str
    study_id: str


def review_all(home: Path) -> Names:
    """Decide, export, fill too much and turn down, and try policies, in a home with a night. Rex may do everything."""
    settings = Settings(home=home, deliveries=(Delivery(name="archive", url=str(home / "archive")),))
    lake = open_lake(settings)
    with closing(open_ledger(settings)) as ledger:
        admin = next(user.name for user in ledger.users.list_users() if Role.ADMIN in user.roles)
        ledger.users.set_roles("rex", list(Role), actor=admin, now=utc_now())
        rows = ledger.proposals.list_proposals().filter(state="pending_review")
        alone = rows.filter((pl.col("approvals_needed") == 1) & pl.col("household_id").is_null())
        sent = alone.sort("order_count", "proposal_id").row(-1, named=True)
        ledger.decisions.decide([sent["proposal_id"]], decision="approve", actor="cat", now=utc_now())
        export_approved(settings)
        deliver_exported(settings)
        orders = ledger.answers.answers(SentFilter(proposal=sent["proposal_id"]), limit=99).rows
        one, other = orders.head(2).iter_rows(named=True)
        filled = fill("f1", one["order_id"], str(one["quantity"] + 1), str(one["price_usd"]), side=one["side"])
        turned_down = {"execution_id": "f2", "kind": "rejected", "client_order_id": other["order_id"]}
        reconcile(
            write_fills(home / "f.csv", filled, turned_down, fill("f3", "gone", "1")),
            executions=ledger.executions,
            answers=ledger.answers,
            actor=current_actor(),
            now=utc_now(),
        )
        household = rows.drop_nulls("household_id").sort("account_id").row(0, named=True)
        run_id = household["run_id"]
        (export,) = ledger.exports.exports_of(run_id)
        lots = lake.read_account("landed_lots", run_id, household["account_id"])
        account = lake.read_account("landed_accounts", run_id, household["account_id"]).row(0, named=True)
    return Names(
        run_id=run_id,
        account_id=household["account_id"],
        proposal_id=household["proposal_id"],
        household_id=household["household_id"],
        security_id=lots["security_id"].sort()[0],
        model_id=account["model_id"],
        export_id=export.export_id,
        study_id=_study(settings),
    )


def _study(settings: Settings) -> str:
    plan, lake = enter_study(settings, parse_study(STUDY.encode(), source="band.toml")), open_lake(settings)
    for shard in plan.run.shards:
        lake.replace(plan.run, shard, shard_frames(plan, shard))
    lake.replace(plan.run, GLOBAL_SHARD, summary_frames(lake, plan))
    return plan.study.study_id

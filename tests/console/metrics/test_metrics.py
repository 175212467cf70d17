"""Each look at ``/metrics`` says how runs, the queue, cut-offs, exports and backups stand; no look names an account or a person."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from console.metrics.metrics import LedgerCollector
from console.shared.backend import Backend
from schemas.enums import Step
from schemas.settings import Settings
from tests.support.ledger_book import NOW, new_run, proposed, staffed
from warehouse.ledger import ExportPart, Ledger
from warehouse.ledger.store.words import Decision

QUEUE = 100_000
MOST_SECONDS = 5.0
"""For one look at a large queue, on a machine that does much else."""


def told(backend: Backend) -> dict[tuple[str, str], float]:
    """Every value by its name and the value of its label."""
    registry = CollectorRegistry()
    registry.register(LedgerCollector(backend))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(one.name, "".join(one.labels.values())): one.value for family in families for one in family.samples}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(staffed(f"sqlite:///{tmp_path / 'ledger.sqlite'}")) as ledger:
        yield ledger


def looking(ledger: Ledger, home: Path, now: datetime = NOW, backups: Path | None = None) -> Backend:
    return Backend(Settings(home=home, backup_url=str(backups or "")), ledger, now=lambda: now)


def test_nothing_has_happened_in_a_new_home(ledger: Ledger, tmp_path: Path) -> None:
    values = told(looking(ledger, tmp_path))
    assert values["trimtab_runs", "done"] == values["trimtab_queue_length", ""] == 0
    assert not {name for name, _ in values} & {"trimtab_last_good_night_age_seconds", "trimtab_backup_age_seconds"}


def test_runs_are_told_by_state_and_the_last_good_night_by_its_age(ledger: Ledger, tmp_path: Path) -> None:
    for day, name in enumerate(("r1", "r2", "r3"), 1):
        ledger.runs.start_run(new_run(name, day), NOW + timedelta(days=day))
    ledger.runs.finish_run("r1", {}, NOW + timedelta(days=1))
    ledger.runs.hold_run("r3", "too many", NOW + timedelta(days=3))

    values = told(looking(ledger, tmp_path, NOW + timedelta(days=3, hours=1)))

    assert [values["trimtab_runs", state] for state in ("done", "held", "running", "failed")] == [1, 1, 1, 0]
    assert values["trimtab_last_good_night_age_seconds", ""] == timedelta(days=2, hours=1).total_seconds()


def test_steps_of_the_run_started_last_are_summed_over_shards(ledger: Ledger, tmp_path: Path) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    ledger.runs.start_run(new_run("r2"), NOW + timedelta(hours=1))
    ledger.runs.finish_step("r1", Step.MEASURE, 0, rows=1, seconds=99, now=NOW)
    for shard in (0, 1):
        ledger.runs.finish_step("r2", Step.MEASURE, shard, rows=10, seconds=0.5, now=NOW)

    values = told(looking(ledger, tmp_path))

    assert (values["trimtab_step_seconds", "measure"], values["trimtab_step_rows", "measure"]) == (1.0, 20)


def test_cut_offs_are_told_by_custodian_with_what_waits(ledger: Ledger, tmp_path: Path) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    frame = pl.concat([proposed("r1", ["a1", "a2"]), proposed("r1", ["a3"], custodian="harbor")])
    cut_offs = {"northbank": NOW + timedelta(minutes=90), "harbor": NOW + timedelta(minutes=30)}
    ledger.proposals.route_proposals("r1", frame, frame["account_id"], NOW, cut_offs)

    values = told(looking(ledger, tmp_path))

    assert values["trimtab_cut_off_seconds", "northbank"] == 90 * 60
    assert values["trimtab_cut_off_waiting", "northbank"] == 2
    assert values["trimtab_next_cut_off_seconds", ""] == values["trimtab_cut_off_seconds", "harbor"] == 30 * 60
    assert values["trimtab_queue_length", ""] == 3


def test_the_age_of_a_backup_is_that_of_the_newest_whole_one(ledger: Ledger, tmp_path: Path) -> None:
    now = datetime(2026, 7, 4, 12, tzinfo=UTC)
    for name, is_whole in (("2026-07-01T120000Z", True), ("2026-07-03T120000Z", True), ("2026-07-04T110000Z", False)):
        (tmp_path / "backups" / name).mkdir(parents=True)
        if is_whole:
            (tmp_path / "backups" / name / "_SUCCESS").touch()

    values = told(looking(ledger, tmp_path, now, tmp_path / "backups"))

    assert values["trimtab_backup_age_seconds", ""] == timedelta(days=1).total_seconds()


def test_an_export_that_is_not_whole_is_open(ledger: Ledger, tmp_path: Path) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    frame = proposed("r1", ["a1"])
    ledger.proposals.route_proposals("r1", frame, frame["account_id"], NOW)
    ledger.runs.finish_run("r1", {}, NOW)
    ledger.decisions.decide(["r1.a1"], decision=Decision.APPROVE, actor="bob", note="yes", now=NOW)
    assert told(looking(ledger, tmp_path))["trimtab_exports_open", ""] == 0

    orders = pl.DataFrame({"order_id": ["o1"], "proposal_id": ["r1.a1"]})
    ledger.exports.claim_export("r1", [ExportPart(orders=orders)], actor="rex", folder="there", now=NOW)

    assert told(looking(ledger, tmp_path))["trimtab_exports_open", ""] == 1


@pytest.mark.slow
def test_a_look_at_a_large_queue_is_cheap(ledger: Ledger, tmp_path: Path) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    frame = proposed("r1", [f"a{number}" for number in range(QUEUE)])
    ledger.proposals.route_proposals("r1", frame, frame["account_id"], NOW, {"northbank": NOW + timedelta(minutes=90)})
    backend = looking(ledger, tmp_path)

    began = time.perf_counter()
    values = told(backend)

    assert time.perf_counter() - began < MOST_SECONDS
    assert values["trimtab_queue_length", ""] == values["trimtab_cut_off_waiting", "northbank"] == QUEUE

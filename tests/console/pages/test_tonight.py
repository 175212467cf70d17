"""What a run came to, as people who watch it see it: the numbers are the lake's and the ledger's own."""

from typing import Any

import polars as pl
import pytest

from schemas.enums import RunState
from tasks.propose.tonight_page import RunProgress, run_progress
from tests.support.console_scene import Api
from tests.support.ledger_book import new_run
from warehouse.ledger import RunRow


def seen(api: Api) -> tuple[RunProgress, RunRow]:
    run = api.backend.ledger.runs.newest_run()
    assert run is not None
    return progress(api, run), run


def progress(api: Api, run: RunRow) -> RunProgress:
    ledger = api.backend.ledger
    return run_progress(
        run,
        api.backend.picture(run),
        runs=ledger.runs,
        proposals=ledger.proposals,
        queue=ledger.queue,
        halts=ledger.halts,
        now=api.backend.now(),
    )


def test_every_account_and_every_dollar_is_somewhere(api: Api) -> None:
    found, run = seen(api)
    names = [stage.here.name for stage in found.stages]
    assert names == ["pulled", "valid", "in scope", "proposed", "approved", "exported"]
    assert found.stages[0].here.accounts == run.accounts_pulled == run.counts["accounts"]
    proposals = api.backend.lake.read("proposals", run.run_id)
    assert found.stages[3].here.accounts == proposals.height == found.waiting.count
    assert found.stages[3].here.traded_usd == float(proposals["gross_value_usd"].sum())
    nav = api.backend.lake.read("account_drift", run.run_id)["nav_usd"].sum()
    assert found.stages[0].here.nav_usd == pytest.approx(float(nav), rel=1e-12)  # the lake adds up in any order
    assert found.stages[4].here.accounts == 0


def test_a_decision_moves_accounts_down_the_funnel(api: Api) -> None:
    one = api.waiting.filter(pl.col("approvals_needed") == 1)["proposal_id"][0]
    api.backend.ledger.decisions.decide([one], decision="approve", actor="bob", now=api.backend.now())
    found, _ = seen(api)
    assert (found.stages[4].here.accounts, found.stages[5].here.accounts, found.ready) == (1, 0, 1)


def test_the_histograms_count_every_account_measured(api: Api) -> None:
    found, run = seen(api)
    measured = api.backend.lake.read("account_drift", run.run_id)
    known = measured["one_way_drift"].drop_nulls().len()
    assert sum(found.before) == sum(found.after) == known
    assert found.before != found.after


def test_reasons_are_those_of_accounts_that_are_not_traded(api: Api) -> None:
    found, run = seen(api)
    counts = dict(run.counts)
    told: dict[str, int] = {}
    for outcome, _, number in found.reasons:
        told[outcome] = told.get(outcome, 0) + number
    assert told == {name: counts[name] for name in told}
    assert {"in_band", "proposed"}.isdisjoint(told)


def test_a_run_under_way_has_no_funnel_yet(api: Api) -> None:
    ledger = api.backend.ledger
    new: Any = new_run("2026-07-01-nightly-under-way")
    run = ledger.runs.start_run(new, api.backend.now())
    assert run.state is RunState.RUNNING
    found = progress(api, run)
    assert found.stages == ()
    assert found.waiting.count == api.waiting.height


def test_the_flow_run_of_a_run_is_the_last_that_worked_on_it(api: Api) -> None:
    ledger, now = api.backend.ledger, api.backend.now()
    _, run = seen(api)
    assert ledger.runs.flow_run_of(run.run_id) is None
    for name in ("one", "two", "two"):
        ledger.runs.note_flow_run(run.run_id, name, now)
    assert ledger.runs.flow_run_of(run.run_id) == "two"
    noted = [row for row in ledger.audit.audit_rows(run_id=run.run_id) if row.event == "flow_run"]
    assert len(noted) == 2
    assert ledger.audit.verify_audit() > 0


def test_the_chain_is_read_from_the_newest_back_and_by_who_and_what(api: Api) -> None:
    ledger = api.backend.ledger
    one = api.waiting["proposal_id"][0]
    ledger.decisions.decide([one], decision="hold", actor="bob", now=api.backend.now())
    assert {row.actor for row in ledger.audit.audit_rows(actor="bob")} == {"bob"}
    newest = ledger.audit.audit_rows(limit=3)
    before = ledger.audit.audit_rows(limit=3, below=newest[0].seq)
    assert [row.seq for row in before] == [newest[0].seq - 3, newest[0].seq - 2, newest[0].seq - 1]
    assert {row.proposal_id for row in ledger.audit.audit_rows(proposal_id=one)} == {one}

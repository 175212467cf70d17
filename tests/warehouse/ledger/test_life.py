"""Random nights: runs, decisions, expiries and exports in any order. What the ledger promises holds after each step."""

import contextlib
import shutil
import tempfile
from datetime import timedelta
from itertools import count, pairwise
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from schemas.enums import ProposalState
from schemas.errors import DecisionRefused
from tests.support.ledger_book import NOW, claimed, opened, orders_of, route, states
from warehouse.ledger import OPEN_STATES, Decision, ExportPart, ExportState

ACCOUNTS = ("a1", "a2", "a3")
ON_THE_WAY = {"approved", "auto_approved", "exported", "withdrawn"}
"""States of a household of which something has left, and the rest waits for its export or was given up by a person."""
LIFE = {
    "proposed": {"pending_review", "auto_approved", "superseded"},
    "pending_review": {"pending_review", "approved", "rejected", "expired", "superseded"},
    "approved": {"expired", "superseded", "withdrawn", "exported"},
    "auto_approved": {"expired", "superseded", "withdrawn", "exported"},
}
"""The states that may follow each state; what is not named is an end."""


class Nights(RuleBasedStateMachine):
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.home)
        self.ledger = opened(f"sqlite:///{self.home / 'ledger.sqlite'}")
        self.now = NOW
        self.numbers = count(1)

    def teardown(self) -> None:
        self.ledger.audit.verify_audit()
        self.ledger.close()
        shutil.rmtree(self.home)

    @rule(
        proposed=st.sets(st.sampled_from(ACCOUNTS)),
        pulled=st.sets(st.sampled_from(ACCOUNTS)),
        day=st.integers(1, 3),
        path=st.sampled_from(["review", "auto"]),
        needed=st.integers(1, 2),
        submitter=st.sampled_from(["prefect", "bob"]),
        joint=st.sampled_from([{}, dict.fromkeys(ACCOUNTS[:2], "h1"), dict.fromkeys(ACCOUNTS, "h1")]),
    )
    def a_run(
        self,
        *,
        proposed: set[str],
        pulled: set[str],
        day: int,
        path: str,
        needed: int,
        submitter: str,
        joint: dict[str, str],
    ) -> None:
        run_id = f"run-{next(self.numbers)}"
        values = {"route": path, "approvals_needed": needed, "submitter": submitter, "households": joint}
        route(self.ledger, run_id, sorted(proposed), pulled=pulled, day=day, now=self.now, **values)
        self.ledger.runs.finish_run(run_id, {}, self.now)

    @rule(
        pick=st.randoms(use_true_random=False),
        decision=st.sampled_from(Decision),
        actor=st.sampled_from(["bob", "cat", "vic"]),
    )
    def a_decision(self, pick: Random, decision: Decision, actor: str) -> None:
        known = list(states(self.ledger))
        if known:
            with contextlib.suppress(DecisionRefused):
                self.ledger.decisions.decide(
                    [pick.choice(known)], decision=decision, actor=actor, note="so", now=self.now
                )

    @rule(hours=st.integers(1, 15))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.ledger.proposals.expire(self.now)

    @rule(pick=st.randoms(use_true_random=False))
    def an_assignment(self, pick: Random) -> None:
        with contextlib.suppress(DecisionRefused):
            some = [pick.choice(list(states(self.ledger)) or ["nothing"])]
            self.ledger.decisions.assign(some, pick.choice(["cat", None]), actor="bob", now=self.now)

    @rule(pick=st.randoms(use_true_random=False))
    def a_claim_in_parts(self, pick: Random) -> None:
        for run in self.ledger.runs.list_runs():
            every = self.ledger.exports.exportable(run.run_id, self.now)
            some = [one for one in every if pick.random() < 0.5]
            parts = [ExportPart(orders=orders_of(each)) for each in (some, sorted({*every} - {*some}))]
            with contextlib.suppress(DecisionRefused):
                chosen = parts[: pick.randint(1, 2)]
                self.ledger.exports.claim_export(run.run_id, chosen, actor="rex", folder="exports", now=self.now)

    @rule()
    def a_claim(self) -> None:
        for run in self.ledger.runs.list_runs():
            with contextlib.suppress(DecisionRefused):
                claimed(self.ledger, run.run_id, self.now)

    @rule()
    def a_publication(self) -> None:
        for run in self.ledger.runs.list_runs():
            if (export := self.ledger.exports.open_export(run.run_id)) is not None:
                self.ledger.exports.publish_export(export.export_id, "f00d", self.now)

    @rule()
    def a_giving_up(self) -> None:
        for run in self.ledger.runs.list_runs():
            if (export := self.ledger.exports.open_export(run.run_id)) is not None:
                self.ledger.abandonments.abandon_export(export.export_id, actor="rex", note="so", now=self.now)

    @invariant()
    def an_account_has_at_most_one_open_proposal(self) -> None:
        assert self.ledger.proposals.list_proposals(states=OPEN_STATES)["account_id"].is_unique().all()

    @invariant()
    def a_household_is_decided_as_one(self) -> None:
        for _, rows in self.ledger.proposals.list_proposals().drop_nulls("household_id").group_by("run_id"):
            is_out = "exported" in rows["state"]
            shared = rows.select("state", "held_by", "assignee", pl.col("export_id").is_null()).unique()
            assert shared.height == 1 or (is_out and set(rows["state"]) <= ON_THE_WAY), rows

    @invariant()
    def the_audit_tells_a_possible_life_that_ends_in_the_state(self) -> None:
        for proposal_id, state in states(self.ledger).items():
            rows = [row for row in self.ledger.audit.audit_rows(proposal_id=proposal_id) if row.event != "comment"]
            lived = ["proposed", *(str(row.to_state) for row in rows)]
            assert lived[-1] == state
            assert [row.from_state for row in rows] == lived[:-1]
            assert all(after in LIFE.get(before, set()) for before, after in pairwise(lived))

    @invariant()
    def what_a_person_had_to_approve_was_approved_by_as_many_others(self) -> None:
        done = [ProposalState.APPROVED, ProposalState.EXPORTED]
        for row in self.ledger.proposals.list_proposals(states=done).filter(route="review").iter_rows(named=True):
            said = self.ledger.proposals.decisions_of(row["proposal_id"])
            approvers = {one.actor for one in said if one.decision is Decision.APPROVE}
            assert len(approvers - {row["submitter"]}) >= row["approvals_needed"]

    @invariant()
    def what_was_exported_left_with_all_its_orders_once(self) -> None:
        known = [
            export for run in self.ledger.runs.list_runs(None) for export in self.ledger.exports.exports_of(run.run_id)
        ]
        exports = [export for export in known if export.state is not ExportState.ABANDONED]
        left = [row for export in exports for row in self.ledger.exports.export_order_ids(export.export_id).rows()]
        claimed_now = self.ledger.proposals.list_proposals().drop_nulls("export_id")["proposal_id"]
        assert sorted(left) == orders_of(claimed_now.sort()).rows()

    @invariant()
    def what_was_given_up_is_withdrawn_with_all_its_orders(self) -> None:
        for run in self.ledger.runs.list_runs(None):
            for export in self.ledger.exports.exports_of(run.run_id):
                if export.state is ExportState.ABANDONED:
                    proposals = set(self.ledger.exports.export_order_ids(export.export_id)["proposal_id"])
                    assert {states(self.ledger)[one] for one in proposals} == {"withdrawn"}


@pytest.mark.slow
def test_what_the_ledger_promises_holds_in_any_order(template: Path) -> None:
    Nights.template = template
    checks = settings(max_examples=10, stateful_step_count=20, suppress_health_check=[HealthCheck.too_slow])
    run_state_machine_as_test(Nights, settings=checks)

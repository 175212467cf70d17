from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.enums import Outcome, ProposalState
from schemas.errors import ConservationBroken
from tasks.core.explain.account_funnel import STEPS, AccountPart, funnel, histogram

NAMES = ["pulled", "valid", "in scope", "proposed", "approved", "exported"]


def outcomes(*rows: tuple[str, str | None, float | None]) -> pl.DataFrame:
    schema = {"outcome": pl.String, "reason": pl.String, "nav_usd": pl.Float64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def test_every_account_is_counted_where_it_stops() -> None:
    rows = outcomes(
        ("quarantined", "lots:quantity_not_negative", None),
        ("blocked", "awaiting_file: harbor", None),
        ("blocked", "cannot_raise_cash: 12 USD", 10.0),
        ("frozen", "account_frozen", 20.0),
        ("in_band", "", 30.0),
        ("proposed", "drift", 40.0),
        ("proposed", "drift", 50.0),
    )
    states = {
        "pending_review": AccountPart("pending_review", 1, 40.0, 4.0),
        "exported": AccountPart("exported", 1, 50.0, 5.0),
    }
    stages = funnel(rows, states)
    assert [stage.here.name for stage in stages] == NAMES
    assert [stage.here.accounts for stage in stages] == [7, 5, 4, 2, 1, 1]
    assert [stage.here.nav_usd for stage in stages] == [150.0, 150.0, 130.0, 90.0, 50.0, 50.0]
    assert [stage.here.traded_usd for stage in stages] == [0.0, 0.0, 0.0, 9.0, 5.0, 5.0]
    assert [[part.name for part in stage.stopped] for stage in stages] == [
        ["quarantined", "awaiting_file"],
        ["frozen"],
        ["in_band", "blocked"],
        ["pending_review"],
        [],
        [],
    ]


def test_proposals_that_are_not_the_accounts_proposed_are_refused() -> None:
    with pytest.raises(ConservationBroken, match="2 accounts are proposed, but 1 are in the queue"):
        funnel(
            outcomes(("proposed", "drift", 1.0), ("proposed", "drift", 1.0)),
            {"approved": AccountPart("approved", 1, 1.0)},
        )


def test_a_night_without_accounts_has_empty_stages() -> None:
    assert [stage.here.accounts for stage in funnel(outcomes(), {})] == [0] * 6


@given(st.lists(st.sampled_from(list(Outcome)), max_size=40), st.data())
def test_each_stage_is_the_next_one_and_what_stopped(found: list[Outcome], data: st.DataObject) -> None:
    rows = outcomes(*((str(outcome), None, float(number + 1)) for number, outcome in enumerate(found)))
    queued: dict[str, AccountPart] = {}
    for number, outcome in enumerate(found):
        if outcome is Outcome.PROPOSED:
            state = str(data.draw(st.sampled_from(list(ProposalState))))
            known = queued.get(state, AccountPart(state, 0, 0.0))
            queued[state] = AccountPart(state, known.accounts + 1, known.nav_usd + number + 1, known.traded_usd + 1)
    stages = funnel(rows, queued)
    for stage, following in pairwise(stages):
        assert stage.here.accounts == following.here.accounts + sum(part.accounts for part in stage.stopped)
        assert stage.here.nav_usd == pytest.approx(following.here.nav_usd + sum(part.nav_usd for part in stage.stopped))
    sent = {"exported", "acknowledged", "filled", "partly_filled", "failed"}
    assert stages[-1].here.accounts == sum(part.accounts for state, part in queued.items() if state in sent)
    assert stages[0].here.accounts == len(found)


def test_a_drift_on_an_edge_belongs_to_the_bin_above() -> None:
    counts = histogram(pl.Series([0.0, 0.004, 0.005, 0.5, 7.0, None]))
    assert counts == [2, 1, *([0] * (len(STEPS) - 3)), 2]

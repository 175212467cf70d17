"""The API decides a household that is managed together as one, or not at all; no night is needed for that."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from console.api.models import etag_of
from schemas.enums import Role
from schemas.settings import Settings
from tasks.runtime.stores import open_ledger, utc_now
from tests.support.console_scene import Api, api_on
from tests.support.ledger_book import route, states

TOGETHER = ("r1.a1", "r1.a2")


@pytest.fixture
def joint(tmp_path: Path) -> Iterator[Api]:
    """Run r1: a1 of northbank and a2 of southbank of the household H1, and b1 of northbank alone."""
    (tmp_path / "trimtab.toml").touch()
    with closing(open_ledger(Settings(home=tmp_path))) as ledger:
        ledger.users.add_user("bob", [Role.REVIEWER], actor=ledger.users.list_users()[0].name, now=utc_now())
        custodians = {"a1": "northbank", "a2": "southbank", "b1": "northbank"}
        route(
            ledger, "r1", list(custodians), now=utc_now(), households=dict.fromkeys(["a1", "a2"], "H1"), at=custodians
        )
    yield from api_on(tmp_path)


def say(api: Api, headers: dict[str, str], decision: str, note: str = "so") -> Any:
    known = api.backend.ledger.proposals.get_proposal(TOGETHER[0])
    assert known is not None
    return api.decide(TOGETHER[0], decision, headers, etag=etag_of(known), note=note)


@pytest.mark.parametrize("decision", ["approve", "reject", "hold"])
def test_a_decision_on_one_is_on_all(joint: Api, decision: str) -> None:
    answer = say(joint, joint.token("bob"), decision)

    assert (answer.status_code, answer.json()["household_id"]) == (200, "H1")
    found = joint.backend.ledger.proposals.list_proposals(run_id="r1").filter(household_id="H1")
    assert found.select("state", "held_by").unique().height == 1
    assert found["revision"].to_list() == [2, 2]


def test_many_are_told_with_their_households(joint: Api) -> None:
    seen = [joint.backend.ledger.proposals.get_proposal(one) or {} for one in (TOGETHER[1], "r1.b1")]
    named = [{"proposal_id": one["proposal_id"], "etag": etag_of(one)} for one in seen]

    answer = joint.client.post(
        "/api/decisions", json={"decision": "approve", "proposals": named}, headers=joint.token("bob")
    ).json()

    assert answer == {
        "states": dict.fromkeys([TOGETHER[1], "r1.b1", TOGETHER[0]], "approved"),
        "refused": {},
        "households": {"H1": 2},
    }


def test_a_token_that_sees_half_a_household_decides_none_of_it(joint: Api) -> None:
    headers = joint.token("bob", custodians=["northbank"])

    refused = say(joint, headers, "approve")

    assert refused.status_code == 403
    assert (
        refused.json()["detail"] == "The household H1 is decided as one, and has accounts that this token does not see."
    )
    assert set(states(joint.backend.ledger).values()) == {"pending_review"}
    assert say(joint, headers, "comment").status_code == 200

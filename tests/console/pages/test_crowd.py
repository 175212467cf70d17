"""Twenty people decide at once through the API: everything is decided once, nothing is lost, nothing fails."""

import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from schemas.enums import Role, Scope
from tasks.review.access import make_token
from tasks.runtime.stores import utc_now
from tests.support.browser import console_on
from tests.support.ledger_book import route
from tests.support.servers import Postgres
from warehouse.ledger import Ledger

pytestmark = pytest.mark.system

PEOPLE: Final = 20
SINGLE: Final = 48
DOUBLE: Final = 12
"""Proposals that need one approval, and two."""
REFUSED: Final = {409, 412}


@dataclass(frozen=True)
class Call:
    """One decision as somebody saw it: which proposal, what was answered, and how long it took."""

    proposal_id: str
    status: int
    state: str
    seconds: float


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'home' / 'ledger.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    url = server.url(server.new_database())
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def ledger(address: str, tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "home").mkdir(exist_ok=True)
    with closing(Ledger.open(address, owner="ann", now=utc_now())) as ledger:
        for number in range(PEOPLE):
            ledger.users.add_user(f"p{number}", [Role.REVIEWER], actor="ann", now=utc_now())
        route(ledger, "r1", [f"s{number}" for number in range(SINGLE)], now=utc_now())
        route(ledger, "r2", [f"d{number}" for number in range(DOUBLE)], now=utc_now(), approvals_needed=2)
        yield ledger


def work(base: str, secret: str, seed: int) -> list[Call]:
    """One person's evening: looks at the queue, then decides all of it in an order of their own."""
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    calls = []
    with httpx.Client(base_url=base, headers={"authorization": f"Bearer {secret}"}, timeout=60) as client:
        ids = [one["proposal_id"] for one in client.get("/api/proposals", params={"limit": 500}).json()["proposals"]]
        chance.shuffle(ids)
        for one in ids:
            etag = client.get("/api/proposals", params={"filter": f"account={one.split('.')[1]}"}).json()["proposals"]
            if not etag:
                continue
            decision = chance.choice(["approve", "approve", "approve", "reject"])
            began = time.perf_counter()
            answer = client.post(
                f"/api/proposals/{one}/decisions",
                json={"decision": decision, "note": "seen"},
                headers={"if-match": etag[0]["etag"]},
            )
            state = answer.json().get("state", "")
            calls.append(Call(one, answer.status_code, state, time.perf_counter() - began))
    return calls


def test_twenty_people_decide_everything_once(ledger: Ledger, address: str, tmp_path: Path) -> None:
    secrets = [
        make_token(
            ledger.access,
            label="crowd",
            owner=f"p{number}",
            scopes=list(Scope),
            custodians=None,
            actor=f"p{number}",
            now=utc_now(),
        )
        for number in range(PEOPLE)
    ]
    with console_on(tmp_path / "home", TRIMTAB_LEDGER_URL=address) as base, ThreadPoolExecutor(PEOPLE) as threads:
        found = list(threads.map(work, [base] * PEOPLE, secrets, range(PEOPLE)))
    calls = [call for person in found for call in person]
    assert {call.status for call in calls} <= {200, *REFUSED}

    states = dict(ledger.proposals.list_proposals().select("proposal_id", "state").iter_rows())
    assert len(states) == SINGLE + DOUBLE
    assert set(states.values()) == {"approved", "rejected"}
    ends = Counter(row.proposal_id for row in ledger.audit.audit_rows() if row.to_state in {"approved", "rejected"})
    assert ends == Counter(list(states))  # each left the queue once, whoever tried
    told = Counter(call.proposal_id for call in calls if call.state in {"approved", "rejected"})
    assert told == Counter(list(states))  # and exactly one person was told that it was they
    for proposal_id, state in states.items():
        said = [(one.actor, str(one.decision)) for one in ledger.proposals.decisions_of(proposal_id)]
        assert len(said) == len(set(said))
        approvals = sum(1 for _, decision in said if decision == "approve")
        needed = 2 if proposal_id.startswith("r2") else 1
        assert (approvals == needed) is (state == "approved")
    assert ledger.audit.verify_audit() > 0

    taken = sorted(call.seconds for call in calls)
    print(
        f"{len(calls)} decisions by {PEOPLE} people on {address.split(':', maxsplit=1)[0]}: median "
        f"{1000 * statistics.median(taken):.0f} ms, 95 of 100 within {1000 * taken[int(0.95 * len(taken))]:.0f} ms, "
        f"slowest {1000 * taken[-1]:.0f} ms; {sum(1 for call in calls if call.status in REFUSED)} came too late"
    )

"""Several processes at one ledger, each started from nothing as another user's would be."""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from schemas.errors import DecisionRefused
from tests.support.ledger_book import NOW, claimed, opened, route, states
from warehouse.ledger import Decision, Ledger


@pytest.fixture
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        yield pool


def first_opening(address: str) -> list[int]:
    """Two threads open, look and close at once."""
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(look_and_close, [address] * 2))


def look_and_close(address: str) -> int:
    ledger = opened(address)
    count = ledger.audit.verify_audit()
    ledger.close()
    return count


def try_to_claim(address: str) -> bool:
    ledger = opened(address)
    try:
        claimed(ledger, "r1")
    except DecisionRefused:
        return False
    finally:
        ledger.close()
    return True


def approve_each(address: str, actor: str, ids: list[str]) -> int:
    """Approve one by one; how many were not refused."""
    ledger = opened(address)
    taken = 0
    for one in ids:
        try:
            ledger.decisions.decide([one], decision=Decision.APPROVE, actor=actor, now=NOW)
        except DecisionRefused:
            continue
        taken += 1
    ledger.close()
    return taken


def watch(address: str, total: int) -> list[int]:
    """How many were approved, at each look, until all are."""
    ledger = opened(address)
    seen = [0]
    end = time.monotonic() + 60
    while seen[-1] < total and time.monotonic() < end:
        seen.append(list(states(ledger).values()).count("approved"))
    ledger.close()
    return seen


def test_a_ledger_first_opened_by_several_at_once_is_made_once(address: str, processes: ProcessPoolExecutor) -> None:
    assert list(processes.map(first_opening, [address] * 6)) == [[1, 1]] * 6


def test_of_exporters_racing_for_the_claim_exactly_one_wins(
    ledger: Ledger, address: str, processes: ProcessPoolExecutor
) -> None:
    route(ledger, "r1", [f"a{number}" for number in range(50)], route="auto")
    ledger.runs.finish_run("r1", {}, NOW)

    wins = list(processes.map(try_to_claim, [address] * 6))

    assert sorted(wins) == [False] * 5 + [True]
    assert len(ledger.exports.exports_of("r1")) == 1
    assert ledger.exports.export_order_ids("r1-export-1").height == 100


def test_two_decide_while_a_third_reads(ledger: Ledger, address: str, processes: ProcessPoolExecutor) -> None:
    route(ledger, "r1", [f"a{number:02}" for number in range(40)])
    ids = list(states(ledger))

    watcher = processes.submit(watch, address, len(ids))
    deciders = [processes.submit(approve_each, address, actor, ids) for actor in ("bob", "cat")]

    assert sum(decider.result() for decider in deciders) == len(ids)
    assert watcher.result() == sorted(watcher.result())
    assert all(len(ledger.proposals.decisions_of(one)) == 1 for one in ids)
    ledger.audit.verify_audit()

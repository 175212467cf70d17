"""The whole book added up by the database is what its rows come to one by one."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import ProposalState, RunKind
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.stored import TABLES
from schemas.tables import RUN_COLUMNS
from tasks.review.book import MOST_ACCOUNTS, NOT_KNOWN, BookBy, book_groups, book_nights, names_by_value
from tasks.review.waiting import Waiting, WaitKind, WaitStores, waiting_now
from tests.support.ledger_book import NOW, new_run, route, staffed
from warehouse.lake.lake import Lake, open_lake
from warehouse.ledger import Ledger

ACCOUNTS = """
    account_id | custodian | household_id | model_id
    a1         | north     | null         | growth
    a2         | north     | null         | growth
    a3         | south     | h1           | growth
    a4         | south     | h2           | growth
    a5         | south     | null         | growth
    twice      | north     | null         | growth
    twice      | south     | null         | growth
"""
OUTCOMES = """
    account_id | outcome     | reason
    a1         | proposed    | drift
    a2         | in_band     | null
    a3         | proposed    | drift
    a4         | in_band     | null
    a5         | quarantined | cash
    twice      | quarantined | account_id_unique
"""
DRIFT = """
    account_id | nav_usd | one_way_drift | triggers
    a1         | 100     | 0.10          | drift|cash
    a2         | 300     | 0.02          | null
    a3         | 200     | 0.05          | drift
    a4         | 400     | 0.01          | cash
    a5         | -5      | null          | null
"""
PROPOSALS = """
    account_id | one_way_drift_after | gross_value_usd | est_tax_usd | est_cost_usd
    a1         | 0.01                | 40              | 3           | 1
    a3         | 0.00                | 20              | -2          | 0.5
"""
CLASSES = """
    account_id | asset_class | value_usd | target_weight | drift | is_out_of_band
    a1         | stocks      | 70        | 0.6           | 0.1   | true
    a1         | bonds       | 30        | 0.4           | -0.1  | false
    a2         | stocks      | 180       | 0.6           | 0.0   | false
"""
ORDERS = """
    security_id | value_usd | est_tax_usd | est_cost_usd
    S           | 40        | 3           | 1
    B           | 20        | -2          | 0.5
"""
SECURITIES = """
    security_id | asset_class
    S           | stocks
    B           | bonds
"""
CHANGED = """
    subject_kind | subject_id | to_model_id
    account      | a2         | income
    account      | a3         | never
    household    | h2         | income
"""
HOUSEHOLDS = """
    household_id | model_id
    h1           | balanced
    h2           | balanced
"""
TEXTS = {
    "landed_accounts": ACCOUNTS,
    "account_outcomes": OUTCOMES,
    "account_drift": DRIFT,
    "proposals": PROPOSALS,
    "drift": CLASSES,
    "orders": ORDERS,
    "landed_securities": SECURITIES,
    "changed_models": CHANGED,
    "landed_households": HOUSEHOLDS,
}


def frame(name: str) -> pl.DataFrame:
    """Rows of a table of the lake; what is not said of them is null."""
    head, *lines = ([cell.strip() for cell in line.split(" | ")] for line in TEXTS[name].strip().splitlines())
    cells = [[None if cell == "null" else cell for cell in line] for line in lines]
    given = pl.DataFrame(cells, schema=dict.fromkeys(head, pl.String), orient="row")
    if "is_out_of_band" in head:
        given = given.with_columns(pl.col("is_out_of_band") == "true")
    return given.select(
        (pl.col(column) if column in given.columns else pl.lit(None)).cast(dtype).alias(column)
        for column, dtype in TABLES[name].items()
        if column not in RUN_COLUMNS
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(staffed(f"sqlite:///{tmp_path / 'ledger.sqlite'}")) as found:
        yield found


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(Settings(home=tmp_path))


def night(ledger: Ledger, lake: Lake, run_id: str, day: int) -> None:
    """A finished night on the accounts above, so large that each is added up by itself."""
    ledger.runs.start_run(new_run(run_id, day), NOW + timedelta(minutes=int(run_id[1:])))
    ledger.runs.set_run_shape(run_id, 1, MOST_ACCOUNTS)
    lake.replace(RunRef(run_id, date(2026, 7, day), RunKind.NIGHTLY, 1), 0, {name: frame(name) for name in TEXTS})
    ledger.runs.finish_run(run_id, {}, NOW)


def waits(ledger: Ledger) -> list[Waiting]:
    parts = (ledger.proposals, ledger.waits, ledger.users, ledger.runs, ledger.model_changes, ledger.policy_changes)
    return waiting_now(WaitStores(*parts), NOW)


def test_groups_are_their_accounts_with_the_model_that_governs_each(ledger: Ledger, lake: Lake) -> None:
    night(ledger, lake, "r1", 1)
    nights = book_nights(lake, ledger.runs.full_nights(10))
    found = {one.name: one for one in book_groups(nights, BookBy.MODEL)}
    assert {name: one.outcomes for name, one in found.items()} == {
        "income": {"in_band": 2},  # a2 by its own change, a4 by its household's
        "balanced": {"proposed": 1},  # a3: a household managed together has one model, whatever is said of the account
        "growth": {"proposed": 1, "quarantined": 1},
        NOT_KNOWN: {"quarantined": 1},  # said twice
    }
    assert found["income"].one_way_drift == pytest.approx((300 * 0.02 + 400 * 0.01) / 700)
    assert found["income"].one_way_drift_after == found["income"].one_way_drift
    assert found["growth"].one_way_drift_after == pytest.approx(0.01)
    assert (found["growth"].turnover, found["growth"].tax_usd, found["growth"].out_of_band) == (0.2, Decimal(3), 1)
    assert (found[NOT_KNOWN].one_way_drift, found[NOT_KNOWN].value_usd) == (None, Decimal(0))
    custodians = {one.name: one.accounts for one in book_groups(nights, BookBy.CUSTODIAN)}
    assert custodians == {"north": 2, "south": 3, NOT_KNOWN: 1}
    (whole,) = book_groups(nights, None)
    assert (whole.accounts, whole.value_usd, whole.traded_usd) == (6, Decimal(1000), Decimal(60))
    assert whole.one_way_drift == pytest.approx((10 + 6 + 10 + 4) / 1000)
    assert whole.out_of_band == 2
    assert names_by_value(book_groups(nights, BookBy.MODEL)) == ["income", "balanced", "growth", NOT_KNOWN]


def test_classes_are_what_accounts_hold_and_what_is_traded_of_it(ledger: Ledger, lake: Lake) -> None:
    night(ledger, lake, "r1", 1)
    found = {one.name: one for one in book_groups(book_nights(lake, ledger.runs.full_nights(10)), BookBy.CLASS)}
    stocks, bonds = found["stocks"], found["bonds"]
    assert (stocks.accounts, stocks.value_usd, stocks.target_usd) == (2, Decimal(250), Decimal(240))
    assert stocks.one_way_drift == pytest.approx(0.1 * 100 / 1000)
    assert (stocks.out_of_band, bonds.out_of_band) == (1, 0)
    assert (bonds.traded_usd, bonds.tax_usd, bonds.turnover) == (Decimal(20), Decimal(-2), 0.01)


def test_a_night_is_the_newest_finished_run_on_every_account(ledger: Ledger, lake: Lake) -> None:
    for run_id, day in (("r1", 1), ("r2", 1), ("r3", 2)):
        night(ledger, lake, run_id, day)
    ledger.runs.start_run(new_run("r4", 3), NOW)
    runs = ledger.runs.full_nights(10)
    assert [run.run_id for run in runs] == ["r3", "r2"]
    assert [run.run_id for run in ledger.runs.full_nights(1)] == ["r3"]
    assert [one.run_id for one in book_nights(lake, runs[::-1])] == ["r2", "r3"]
    assert book_nights(lake, []) == []


def test_what_waits_is_said_with_who_may_and_until_when(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2", "a3"], at={"a1": "northbank", "a2": "northbank", "a3": "harbor"})
    route(ledger, "r2", ["a4", "a5"], approvals_needed=2, ttl_hours=1.0)
    ledger.decisions.decide(["r2.a4"], decision="approve", actor="bob", now=NOW)
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="cat", now=NOW)
    ledger.decisions.decide(["r1.a2"], decision="hold", actor="bob", now=NOW)
    ledger.runs.hold_run("r1", "too many", NOW)
    found = {(one.kind, one.custodian): one for one in waits(ledger)}
    assert {key: one.count for key, one in found.items()} == {
        (WaitKind.APPROVAL, "northbank"): 1,
        (WaitKind.SECOND_APPROVAL, "northbank"): 1,
        (WaitKind.APPROVAL, "harbor"): 1,
        (WaitKind.HELD_BACK, "northbank"): 1,
        (WaitKind.EXPORT, "northbank"): 1,
        (WaitKind.HELD_RUN, None): 1,
    }
    assert found[WaitKind.APPROVAL, "harbor"].people == ("ann", "bob", "cat")
    assert found[WaitKind.EXPORT, "northbank"].people == ("ann", "rex")
    assert found[WaitKind.HELD_BACK, "northbank"].people == ("bob",)
    assert found[WaitKind.HELD_RUN, None].subject == "r1"
    assert found[WaitKind.SECOND_APPROVAL, "northbank"].expires_at == NOW + timedelta(hours=1)
    assert waits(ledger)[0].expires_at == NOW + timedelta(hours=1)
    assert found[WaitKind.APPROVAL, "harbor"].gross_value_usd == Decimal("12345.67")


def test_what_waits_for_one_person_is_what_they_could_approve(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"], approvals_needed=2)
    route(ledger, "r2", ["a3"], submitter="bob", ttl_hours=1.0)
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW)
    ledger.decisions.decide(["r1.a2"], decision="hold", actor="cat", now=NOW)
    assert ledger.waits.waiting_for("bob") == (0, None)
    assert ledger.waits.waiting_for("cat") == (3, NOW + timedelta(hours=1))
    ledger.decisions.decide(["r2.a3"], decision="approve", actor="cat", now=NOW)
    assert ledger.waits.waiting_for("cat") == (2, NOW + timedelta(hours=20))
    assert ledger.waits.waiting_groups().filter(state=ProposalState.APPROVED)["proposals"].to_list() == [1]

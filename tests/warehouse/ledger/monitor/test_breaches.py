"""One breach, one scope, one run: what two looks at once, a crash and a night in between leave in the ledger."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from schemas.errors import WrongUsage
from tests.support.ledger_book import NOW, hours, new_run, opened, route, staffed
from tests.support.servers import PASSWORD, Postgres
from warehouse.ledger import Ledger
from warehouse.ledger.store.breach_tables import breaches, scopes

TODAY = date(2026, 7, 2)
LATER = NOW + hours(12)
NOTHING = pl.Series("breach_id", [], dtype=pl.Int64)


def new(*accounts: str, causes: str = "drift", model_hash: str = "m1") -> pl.DataFrame:
    return pl.DataFrame(
        {"account_id": accounts, "causes": causes, "model_hash": model_hash},
        schema={"account_id": pl.String, "causes": pl.String, "model_hash": pl.String},
    )


def with_night(ledger: Ledger, run_id: str = "n1", day: int = 1) -> Ledger:
    ledger.runs.start_run(new_run(run_id, day=day), NOW)
    ledger.runs.finish_run(run_id, {}, NOW)
    return ledger


@pytest.fixture
def night(ledger: Ledger) -> Ledger:
    """The night of 1 July is done."""
    return with_night(ledger)


def found(ledger: Ledger, *accounts: str, cleared: pl.Series = NOTHING, causes: str = "drift") -> str | None:
    """A look finds these accounts newly out of band."""
    return ledger.breaches.enter_look("n1", new(*accounts, causes=causes), cleared, TODAY, LATER)


def scoped(ledger: Ledger, *accounts: str, causes: str = "drift") -> str:
    scope = found(ledger, *accounts, causes=causes)
    assert scope is not None
    return scope


def test_a_look_makes_one_scope_of_its_accounts(night: Ledger) -> None:
    scope = scoped(night, "a2", "a1")
    row = night.breaches.get_scope(scope)
    assert (row.as_of_date, row.cause, row.account_count, row.night_run_id) == (TODAY, "drift", 2, "n1")
    assert night.breaches.accounts_of_scope(scope) == ("a1", "a2")
    assert night.breaches.lasting_breaches(NOW).select("account_id", "is_before_night").rows() == [
        ("a1", False),
        ("a2", False),
    ]
    assert night.breaches.lasting_breaches(LATER + hours(1))["is_before_night"].to_list() == [True, True]


def test_a_scope_says_all_its_causes_and_the_chain_that_it_was_opened(night: Ledger) -> None:
    both = pl.concat([new("a1", causes="drift|cash"), new("a2", causes="model_change")])
    scope = night.breaches.enter_look("n1", both, NOTHING, TODAY, LATER)
    assert night.breaches.get_scope(str(scope)).cause == "cash|drift|model_change"
    (event,) = [row for row in night.audit.audit_rows() if row.event == "scope_opened"]
    assert "a1" not in event.detail
    night.audit.verify_audit()


def test_an_account_whose_breach_lasts_is_in_no_second_scope(night: Ledger) -> None:
    first = scoped(night, "a1")
    assert found(night, "a1") is None
    second = scoped(night, "a1", "a2")
    assert night.breaches.accounts_of_scope(second) == ("a2",)
    assert night.breaches.accounts_of_scope(first) == ("a1",)


def test_an_account_that_was_armed_again_has_a_new_scope_of_another_name(night: Ledger) -> None:
    first = scoped(night, "a1")
    assert found(night, cleared=night.breaches.lasting_breaches(NOW)["breach_id"]) is None
    assert night.breaches.lasting_breaches(NOW).is_empty()
    assert scoped(night, "a1") != first


def test_the_same_finds_have_the_same_name_anywhere(night: Ledger, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = with_night(staffed(f"sqlite:///{tmp_path_factory.mktemp('other') / 'ledger.sqlite'}"))
    with closing(elsewhere):
        assert scoped(elsewhere, "a2", "a1") == scoped(night, "a1", "a2")


def test_the_database_itself_refuses_a_second_breach_that_lasts(night: Ledger) -> None:
    scope = scoped(night, "a1")
    row = {"account_id": "a1", "causes": "drift", "model_hash": "m", "breached_at": NOW}
    with night.writing() as connection:
        connection.execute(sa.insert(scopes), _scope_row("other"))
    with pytest.raises(IntegrityError), night.writing() as connection:
        connection.execute(sa.insert(breaches), {**row, "scope_id": "other"})
    assert night.breaches.accounts_of_scope(scope) == ("a1",)


def _scope_row(name: str) -> dict[str, object]:
    return {
        "scope_id": name,
        "as_of_date": TODAY,
        "cause": "drift",
        "account_count": 1,
        "night_run_id": "n1",
        "created_at": NOW,
    }


def test_two_looks_at_once_make_one_scope(night: Ledger, address: str) -> None:
    ledgers = [night, *(opened(address) for _ in range(3))]
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda ledger: found(ledger, "a1", "a2"), ledgers))
    assert len([name for name in names if name]) == 1
    for ledger in ledgers[1:]:
        ledger.close()


@pytest.mark.slow
def test_two_looks_at_once_make_one_scope_on_postgresql(postgres: Postgres) -> None:
    url = postgres.url(postgres.new_database()).replace("://owner@", f"+psycopg://owner:{PASSWORD}@")
    with closing(with_night(staffed(url))) as first, closing(opened(url)) as second, ThreadPoolExecutor(2) as pool:
        names = list(pool.map(lambda ledger: found(ledger, "a1", "a2"), [first, second]))
        assert len([name for name in names if name]) == 1
        assert first.breaches.lasting_breaches(NOW)["account_id"].to_list() == ["a1", "a2"]
        assert first.breaches.models_handled(NOW).rows() == [("a1", "m1"), ("a2", "m1")]


def test_what_a_newer_night_measured_meanwhile_is_left_to_it(night: Ledger) -> None:
    with_night(night, "n2", day=2)
    assert found(night, "a1") is None
    assert night.breaches.lasting_breaches(NOW).is_empty()


def test_a_scope_is_announced_until_a_run_has_taken_it(night: Ledger) -> None:
    scope = scoped(night, "a1")
    assert [row.scope_id for row in night.breaches.scopes_to_announce(LATER)] == [scope]
    night.breaches.note_announced(scope, LATER)
    assert night.breaches.scopes_to_announce(LATER) == []
    assert [row.scope_id for row in night.breaches.scopes_to_announce(LATER + hours(1))] == [scope]
    night.breaches.take_scope(scope, "n1", LATER)
    assert night.breaches.scopes_to_announce(LATER + hours(1)) == []


def test_a_scope_of_a_day_that_is_over_is_announced_no_more(night: Ledger) -> None:
    scoped(night, "a1")
    next_day = night.breaches.enter_look("n1", new("a2"), NOTHING, TODAY + timedelta(days=1), LATER)
    assert [row.scope_id for row in night.breaches.scopes_to_announce(LATER)] == [next_day]


def test_one_run_takes_a_scope(night: Ledger) -> None:
    night.runs.start_run(new_run("r1", day=2), LATER)
    night.runs.start_run(new_run("r2", day=2), LATER)
    scope = scoped(night, "a1")
    assert night.breaches.take_scope(scope, "r1", LATER) == "r1"
    assert night.breaches.take_scope(scope, "r2", LATER) == "r1"
    assert night.breaches.get_scope(scope).run_id == "r1"
    with pytest.raises(WrongUsage, match="there is no scope nothing"):
        night.breaches.take_scope("nothing", "r1", LATER)


def test_late_files_have_one_scope_as_long_as_they_are_the_same(night: Ledger) -> None:
    first = night.breaches.enter_late_files("n1", ["n1", "feed"], date(2026, 7, 1), LATER)
    assert night.breaches.enter_late_files("n1", ["n1", "feed"], date(2026, 7, 1), LATER) is None
    assert night.breaches.enter_late_files("n1", ["n1", "other"], date(2026, 7, 1), LATER) is not None
    row = night.breaches.get_scope(str(first))
    assert (row.cause, row.account_count, night.breaches.accounts_of_scope(row.scope_id)) == ("late_file", 0, ())


def test_the_targets_an_account_was_looked_at_with_last_are_known(night: Ledger) -> None:
    scoped(night, "a1", "a2")
    mine = night.breaches.lasting_breaches(NOW).filter(pl.col("account_id") == "a1")["breach_id"]
    night.breaches.enter_look("n1", new("a1", model_hash="m2"), mine, TODAY, LATER)
    assert night.breaches.models_handled(NOW).rows() == [("a1", "m2"), ("a2", "m1")]
    assert night.breaches.models_handled(LATER + hours(1)).is_empty()


def test_an_open_proposal_counts_until_it_expires(night: Ledger) -> None:
    route(night, "r1", ["a1"])
    assert night.breaches.accounts_with_open_proposals(NOW).to_list() == ["a1"]
    assert night.breaches.accounts_with_open_proposals(NOW + hours(21)).is_empty()

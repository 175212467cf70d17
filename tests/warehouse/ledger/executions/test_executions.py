"""What came back, as it is read in stretches, on both databases; and the rules that the database itself holds of it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from schemas.enums import Break, OrderState
from tasks.core.reconcile.break_rules import ALARMS
from tasks.reconcile.reconcile import open_breaks, rules
from tests.support.after_export_scene import OTHER, TwoCustodians, told
from tests.support.export_scene import CUSTODIAN, NOW, RUN
from tests.support.fill_scene import fill
from tests.support.servers import PASSWORD
from warehouse.ledger import AnswerGrace, Ledger, RowPage, SentFilter
from warehouse.ledger.executions.execution_rows import known_in

ALL = SentFilter()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TwoCustodians:
    """Only read."""
    address = ""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        secret = f"postgresql+psycopg://owner:{quote(PASSWORD)}@"
        address = server.url(server.new_database()).replace("postgresql://owner@", secret)
    desk = told(tmp_path_factory.mktemp("told"), address)
    desk.scene.approve_the_waiting()
    desk.scene.export_all(now=NOW + timedelta(hours=2))
    return desk


def whole(read: Callable[..., RowPage], limit: int) -> pl.DataFrame:
    """Every stretch, one after another."""
    parts: list[pl.DataFrame] = []
    after = None
    while len(parts) < 50:
        stretch = read(limit=limit, after=after)
        parts.append(stretch.rows)
        assert stretch.rows.height <= limit
        if (after := stretch.after) is None:
            return pl.concat(parts)
    raise AssertionError("there is always a next stretch")


def test_orders_are_told_with_what_became_of_them_and_silence_is_exported(desk: TwoCustodians) -> None:
    rows = desk.ledger.answers.answers(ALL, limit=9).rows
    short = rows.select("order_id", "state", "is_closed", pl.col("filled_quantity").cast(pl.Int64)).rows()
    assert short == [
        ("b4-buy", "exported", False, 0),
        ("b4-sell", "exported", False, 0),
        ("-a3-buy", "exported", False, 0),
        ("-a3-sell", "exported", False, 0),
        ("a1-buy", "failed", True, 0),
        ("a1-sell", "filled", True, 4),
        ("a2-buy", "exported", False, 0),
        ("a2-sell", "filled", True, 3),
    ]
    row = rows.row(5, named=True)
    assert [f"{row[name]:f}" for name in ("average_price_usd", "gross_usd", "fees_usd")] == [
        "10.005000",
        "40.020000",
        "0.020000",
    ]


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_stretches_hold_everything_once_in_order(desk: TwoCustodians, limit: int) -> None:
    ledger = desk.ledger
    orders = whole(lambda **at: ledger.answers.answers(ALL, **at), limit)
    assert orders["order_id"].to_list()[:3] == ["b4-buy", "b4-sell", "-a3-buy"], "what left last comes first"
    assert orders.equals(ledger.answers.answers(ALL, limit=99).rows)
    found = whole(lambda **at: ledger.answers.breaks_found(ALL, ALARMS, **at), limit)
    assert found.equals(ledger.answers.breaks_found(ALL, ALARMS, limit=99).rows)
    assert found.equals(
        pl.concat(ledger.answers.breaks_found(ALL, ALARMS, limit=1, skip=n).rows for n in range(found.height))
    )
    aside = whole(ledger.answers.aside_stretch, limit)
    assert aside.equals(ledger.answers.aside_stretch(limit=99).rows)
    lost = [("unknown_order", "again.csv"), *[("unknown_order", "fills.csv")] * 3]
    assert sorted(aside.select("code", "file_name").rows()) == [("conflicting", "later.csv"), *lost]


def test_breaks_are_those_that_the_reconciliation_tells_in_its_order(desk: TwoCustodians) -> None:
    expected = open_breaks(desk.ledger.answers, NOW)
    found = desk.ledger.answers.breaks_found(ALL, ALARMS, limit=99).rows
    assert found["code"].to_list()[:2] == [Break.UNKNOWN_ORDER, Break.OVERFILLED]
    shared = [name for name in expected.columns if name in found.columns]
    assert found.select(shared).equals(expected.select(shared))
    counts = dict(expected.group_by("code").len().sort("code").iter_rows())
    assert desk.ledger.answers.break_counts("code", ALL) == counts


def test_fills_of_no_order_of_ours_are_breaks_each_once_and_of_nobody(desk: TwoCustodians) -> None:
    wanted = SentFilter(code=Break.UNKNOWN_ORDER)
    found = desk.ledger.answers.breaks_found(wanted, ALARMS, limit=99).rows
    figures = found.select("order_id", "execution_id", "filled_quantity", "amount_usd", "since_at").rows()
    assert figures == [(None, "e6", 2, 15, NOW), ("gone", "e2", 1, 10, NOW), ("gone", "e5", 1, 10, NOW)]
    assert found.select("ordered_quantity").to_series().to_list() == [0, 0, 0]
    assert desk.ledger.answers.break_counts("custodian", wanted) == {}
    seen = replace(wanted, custodians=frozenset({OTHER, CUSTODIAN}))
    assert desk.ledger.answers.breaks_found(seen, ALARMS, limit=99).rows.is_empty()


def test_a_break_of_a_block_has_the_custodian_of_its_orders(tmp_path: Path) -> None:
    desk = told(tmp_path)
    block = desk.ledger.answers.answers(SentFilter(order="a2-sell"), limit=1).rows["block_id"][0]
    desk.later(fill("e9", block, "5", side="sell"), hours=2, name="block.csv")
    found = desk.ledger.answers.breaks_found(SentFilter(custodian=OTHER, code=Break.OVERFILLED), ALARMS, limit=9).rows
    names = ("order_id", "account_id", "proposal_id", "custodian", "symbol", "run_id")
    assert found.filter(pl.col("account_id").is_null()).select(names).rows() == [(block, None, None, OTHER, "AAA", RUN)]


@pytest.mark.parametrize(
    ("wanted", "orders", "broken"),
    [
        (SentFilter(custodian=OTHER), {"a2-buy", "a2-sell"}, {"a2-buy"}),
        (SentFilter(custodians=frozenset({OTHER})), {"a2-buy", "a2-sell"}, {"a2-buy"}),
        (SentFilter(custodian=CUSTODIAN, custodians=frozenset({OTHER})), set(), set()),
        (SentFilter(custodians=frozenset()), set(), set()),
        (SentFilter(account="a1"), {"a1-buy", "a1-sell"}, {"a1-buy", "a1-sell"}),
        (SentFilter(proposal="p-a2"), {"a2-buy", "a2-sell"}, {"a2-buy"}),
        (SentFilter(order="a1-buy"), {"a1-buy"}, {"a1-buy"}),
        (SentFilter(run="other"), set(), set()),
        (SentFilter(run=RUN, account="a1"), {"a1-buy", "a1-sell"}, {"a1-buy", "a1-sell"}),
    ],
)
def test_what_is_sought_narrows_both(
    desk: TwoCustodians, wanted: SentFilter, orders: set[str], broken: set[str]
) -> None:
    assert set(desk.ledger.answers.answers(wanted, limit=99).rows["order_id"]) == orders
    assert set(desk.ledger.answers.breaks_found(wanted, ALARMS, limit=99).rows["order_id"]) == broken
    assert sum(desk.ledger.answers.break_counts("custodian", wanted).values()) == len(broken)


def test_orders_are_sought_by_state_and_breaks_by_code(desk: TwoCustodians) -> None:
    silent = desk.ledger.answers.answers(SentFilter(state=OrderState.EXPORTED), limit=99).rows["order_id"].to_list()
    assert silent == ["b4-buy", "b4-sell", "-a3-buy", "-a3-sell", "a2-buy"]
    unanswered = desk.ledger.answers.breaks_found(SentFilter(code=Break.NOT_ACKNOWLEDGED), ALARMS, limit=99).rows
    assert sorted(unanswered["order_id"]) == sorted(silent)


def test_messages_are_told_in_the_order_in_which_they_came(desk: TwoCustodians) -> None:
    messages = desk.ledger.answers.told_of({"a1-sell", "a1-buy"})
    assert messages.select("execution_id", "kind", "received_at").rows() == [
        ("e1", "fill", NOW),
        ("e3", "rejected", NOW + timedelta(hours=1)),
    ]
    assert desk.ledger.answers.told_of(set()).is_empty()


def test_what_was_set_aside_is_counted_until_it_is_used(desk: TwoCustodians) -> None:
    assert desk.ledger.answers.aside_counts() == {Break.CONFLICTING: 1, Break.UNKNOWN_ORDER: 4}


def test_what_a_file_changes_is_looked_up_and_never_read_through(desk: TwoCustodians) -> None:
    plans = plans_of(desk.ledger, lambda connection: known_in(connection, "csv", {"e1", "e2"}))
    assert len(plans) == 2
    by_id, by_reference = plans
    assert "executions_by_reference" in by_reference
    assert "executions_by_reference" not in by_id
    assert not any(re.search("SCAN executions|Seq Scan", plan) for plan in plans)


def plans_of(ledger: Ledger, read: Callable[[Connection], object]) -> list[str]:
    """How the database goes about each statement; PostgreSQL would rather read a table of a few rows whole."""
    said: list[tuple[str, Any]] = []
    with ledger.reading() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        sa.event.listen(connection, "before_cursor_execute", lambda *seen: said.append((seen[2], seen[3])))
        read(connection)
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        found = [connection.exec_driver_sql(f"{explain} {text}", values).all() for text, values in list(said)]
    return ["\n".join(str(row[-1]) for row in rows) for rows in found]


# --- what the database itself refuses


def made(table: str, **values: str) -> str:
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def execution(**changed: str) -> str:
    key = {"source": "'csv'", "execution_id": "'x9'", "file_sha256": "'f'", "row_number": "1"}
    rest = {"kind": "'fill'", "order_id": "'a2-buy'", "quantity": "'1'", "price_usd": "'10'"}
    return made("executions", **{**key, **rest, "received_at": "'2026-03-03'", **changed})


def allotment(**changed: str) -> str:
    texts = {"block_id": "'b'", "order_id": "'a1-sell'", "quantity": "'1'", "actor": "'ops'", "note": "'why'"}
    return made("allocation_exceptions", **{**texts, "decided_at": "'2026-03-03'", **changed})


def delivery(**changed: str) -> str:
    texts = {"export_id": f"'{RUN}-export-1'", "name": "'bank'", "url": "'u'", "state": "'sending'"}
    numbers = dict.fromkeys(["file_count", "size_bytes", "attempts", "sent_count"], "1")
    return made("deliveries", **{**texts, **numbers, "manifest_sha256": "'f'", "started_at": "'2026-03-03'", **changed})


ALLOWED = {
    "a fill of an order": execution(),
    "an answer to a block": execution(kind="'acknowledged'", order_id="NULL", block_id="'b'", price_usd="NULL"),
    "an id that another sender has": execution(source="'other'", execution_id="'e1'"),
    "an allotment with a note": allotment(),
    "a delivery under way": delivery(),
}
REFUSED = {
    "a changed execution": "UPDATE executions SET quantity = '9' WHERE execution_id = 'e1'",
    "a deleted execution": "DELETE FROM executions WHERE execution_id = 'e1'",
    "a second execution of an id": execution(execution_id="'e1'"),
    "an execution of an order that never left": execution(order_id="'b4-sell'"),
    "an execution of neither order nor block": execution(order_id="NULL"),
    "an execution of both an order and a block": execution(block_id="'b'"),
    "an execution of no known kind": execution(kind="'rumour'"),
    "a fill without a price": execution(price_usd="NULL"),
    "a fill without a quantity": execution(quantity="NULL"),
    "a bust of nothing": execution(kind="'bust'"),
    "a correction of nothing": execution(kind="'correct'"),
    "a lot of no execution": made("execution_lots", source="'csv'", execution_id="'x9'", number="0", quantity="'1'"),
    "a changed record set aside": "UPDATE executions_aside SET message = 'fine'",
    "a deleted record set aside": "DELETE FROM executions_aside",
    "a changed file": "UPDATE execution_files SET sha256 = 'other'",
    "a deleted file": "DELETE FROM execution_files",
    "a changed allotment": "UPDATE allocation_exceptions SET note = 'other'",
    "a deleted allotment": "DELETE FROM allocation_exceptions",
    "an allotment without a note": allotment(note="''"),
    "an allotment by nobody we know": allotment(actor="'stranger'"),
    "an allotment to an order that never left": allotment(order_id="'b4-sell'"),
    "a state of no order": made(
        "order_states",
        order_id="'gone'",
        state="'filled'",
        is_closed="true",
        filled_quantity="'1'",
        gross_usd="'1'",
        fees_usd="'0'",
        changed_at="'2026-03-03'",
    ),
    "an order in no known state": "UPDATE order_states SET state = 'limbo'",
    "a break of no known kind": "UPDATE order_breaks SET code = 'whim'",
    "a delivery of no export": delivery(export_id="'nowhere'"),
    "a delivery that is done at no time": delivery(state="'delivered'"),
    "a delivery under way that is done": delivery(delivered_at="'2026-03-03'"),
}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One ledger for all statements: none of them stays."""
    desk = TwoCustodians(tmp_path_factory.mktemp("answered"))
    desk.take(fill("e1", "a1-sell", "1"), fill("e2", "gone", "1"))
    block = desk.ledger.answers.answers(SentFilter(order="-a3-buy"), limit=1).rows["block_id"][0]
    desk.ledger.executions.allot(
        block, {"-a3-buy": None}, rules=rules(1), actor="ops", note="as the rule has it", now=NOW
    )
    yield desk.ledger
    desk.ledger.close()


@pytest.mark.parametrize("statement", ALLOWED.values(), ids=ALLOWED)
def test_the_database_takes(answered: Ledger, statement: str) -> None:
    with answered.writing() as connection:
        assert connection.exec_driver_sql(statement).rowcount == 1
        connection.rollback()


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_the_database_refuses(answered: Ledger, statement: str) -> None:
    with pytest.raises(DBAPIError) as refused, answered.writing() as connection:
        connection.exec_driver_sql(statement)
    assert isinstance(refused.value, IntegrityError) or "never changed" in str(refused.value)


@pytest.mark.parametrize("hours_since", [0.0, 0.5, 1.5, 2.0, 2.5, 3.5, 30.0])
@pytest.mark.parametrize("of", [{}, {CUSTODIAN: 0.0}, {OTHER: 3.0}, {CUSTODIAN: 1.0, OTHER: 26.0}])
def test_silence_is_a_break_once_its_custodians_time_is_over_and_counted_apart_before(
    desk: TwoCustodians, hours_since: float, of: dict[str, float]
) -> None:
    """Each order's time is computed here one by one; every other break stays whatever the time is."""
    now = NOW + timedelta(hours=hours_since)
    grace = AnswerGrace(now, 1.0, of)
    every = desk.ledger.answers.breaks_found(ALL, ALARMS, limit=99).rows
    due = desk.ledger.answers.breaks_found(SentFilter(grace=grace), ALARMS, limit=99).rows
    early: dict[str, int] = {}
    expected = []
    for row in every.iter_rows(named=True):
        is_silent = row["code"] == Break.NOT_ACKNOWLEDGED
        if is_silent and row["since_at"] + timedelta(hours=of.get(row["custodian"], 1.0)) > now:
            early[row["custodian"]] = early.get(row["custodian"], 0) + 1
        else:
            expected.append((row["order_id"], row["code"]))
    assert due.select("order_id", "code").rows() == expected
    assert desk.ledger.fills.not_yet_due(grace) == early
    assert desk.ledger.fills.not_yet_due(grace, [OTHER]) == {name: n for name, n in early.items() if name == OTHER}
    counted = desk.ledger.answers.break_counts("code", SentFilter(grace=grace))
    assert sum(counted.values()) == len(expected)

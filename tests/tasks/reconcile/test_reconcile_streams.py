"""Random days at the market, told in files that are cut, repeated and shuffled at random, through the ledger to the same answer."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.executions import ORDER_STATES
from tasks.core.reconcile.break_rules import breaks
from tasks.core.reconcile.order_progress import order_states
from tasks.reconcile.reconcile import reconcile
from tests.support.fill_scene import COLUMNS, write_fills
from tests.support.fill_streams import Day, drawn_day, message_table, order_table
from tests.support.ledger_book import NOW, new_run, proposed, staffed
from warehouse.ledger import ExportPart, Ledger

DAYS = 60
FILES = 9
NOTHING_FIXED = pl.DataFrame(schema={"block_id": pl.String, "order_id": pl.String, "quantity": pl.Decimal(18, 6)})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = staffed(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield ledger
    ledger.close()


def sent(ledger: Ledger, days: list[Day]) -> pl.DataFrame:
    """The days' orders, exported."""
    orders = order_table(days)
    names = orders["proposal_id"].unique().sort()
    ledger.runs.start_run(new_run("r1"), NOW)
    listed = proposed("r1", names, route="auto").with_columns(proposal_id=pl.col("account_id"))
    ledger.proposals.route_proposals("r1", listed, names, NOW)
    ledger.runs.finish_run("r1", {}, NOW)
    claim = ledger.exports.claim_export("r1", [ExportPart(orders=orders)], actor="rex", folder="exports", now=NOW)
    ledger.exports.publish_export(claim.export_id, "f00d", NOW)
    return orders


def rows_of(day: Day) -> list[dict[str, Any]]:
    """The day's messages as lines of a file: cells that are null are empty, what a message is about is its client order."""
    return [
        {name: "" if row.get(name) is None else row[name] for name in COLUMNS}
        | {"client_order_id": row.get("order_id") or row.get("block_id"), "side": _side(day, row)}
        for row in day.messages
    ]


def _side(day: Day, row: dict[str, Any]) -> str:
    about = row.get("order_id") or row.get("block_id")
    return next(str(each["side"]) for each in day.orders if about in {each["order_id"], each["block_id"]})


@pytest.mark.parametrize("part", [50_000, 60])
def test_files_cut_repeated_and_shuffled_come_to_what_all_messages_come_to(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr("tasks.reconcile.reconcile.PART", part)
    days = [drawn_day(seed) for seed in range(DAYS)]
    orders = sent(ledger, days)
    draw = random.Random(5)  # noqa: S311 - for tests
    lines = [line for day in days for line in rows_of(day)]
    repeated = lines + draw.sample(lines, len(lines) // 3)
    draw.shuffle(repeated)
    taken = again = aside = 0
    for number in [*range(FILES), *draw.sample(range(FILES), 3)]:
        path = write_fills(tmp_path / f"{number}.csv", *repeated[number::FILES])
        done = reconcile(path, executions=ledger.executions, answers=ledger.answers, actor="rex", now=NOW)
        taken, again, aside = taken + done.taken, again + done.again, aside + done.aside.height
        assert set(done.aside["code"]) <= {"duplicate", "unknown_order"}
    assert (taken, aside) == (len(lines), len(repeated) - len(lines))
    assert again > 0
    expected = order_states(orders, message_table(days), NOTHING_FIXED)
    found = ledger.answers.states_of(orders["order_id"].to_list())
    told = expected.join(found, on="order_id", how="semi")
    assert found.select(list(ORDER_STATES)).equals(told)
    silent = expected.join(found, on="order_id", how="anti")
    assert set(silent["state"]) == {"exported"}
    known = breaks(orders, expected, message_table(days), NOTHING_FIXED).join(told, on="order_id", how="semi")
    assert ledger.answers.breaks_known().filter(pl.col("account_id").is_not_null()).drop("since_at").equals(known)
    ledger.audit.verify_audit()

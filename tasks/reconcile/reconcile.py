"""Hold what brokers and custodians say against the orders that left.

1. Read the file (``tasks.executions``): what cannot be read is set aside row by row.
2. Match each execution to an order or a block (``tasks.core.reconcile.matching``), enter the new ones, and compute anew what has become
   of every order that they touch, in one transaction of the ledger (a large file in several). Where one is in another security than its
   order, the newest night is asked what the order's is called since.
3. What is set aside, and what differs from what left, is told with amounts; some of it is an alarm (``ALARMS``).

Reading a file again changes nothing, in whatever order files come.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from schemas.enums import Break
from schemas.errors import SourceUnreachable, WrongUsage
from schemas.executions import BREAKS
from tasks.core.export import sha256
from tasks.core.facts import number_cell
from tasks.core.reconcile import (
    ALARMS,
    ASIDE,
    DIFFERENCES,
    NO_NAMES,
    breaks,
    net_fills,
    order_states,
    proposal_states,
    relief_differences,
    unasked_fills,
)
from tasks.executions import ExecutionFormat, ExecutionRecords, read_executions
from tasks.reconcile.security_names import match_under_all_names
from tasks.review import newest_rows
from warehouse.lake import Lake
from warehouse.ledger import (
    Amendments,
    AnswerGrace,
    Answers,
    ExecutionFile,
    ExecutionReading,
    Executions,
    Rules,
    SentFilter,
    Settled,
    TakenFile,
)

PART: Final = 50_000
"""Execution ids of a transaction; a large file is entered in parts. One that breaks off is gone on with when it is read again."""
BREAKS_AT_ONCE: Final = 10_000
"""Open breaks that are read in one go."""
OPEN_BREAKS: Final[dict[str, pl.DataType]] = {
    **BREAKS,
    "custodian": pl.String(),
    "symbol": pl.String(),
    "side": pl.String(),
    "run_id": pl.String(),
    "source": pl.String(),
    "execution_id": pl.String(),
    "age_days": pl.Int64(),
}
"""Breaks with the order that they are about, and for how many days they have been there; a fill of no order of ours has source and id."""


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """What came of a file. ``ignored``: records that are none of our business, by name. ``rounded``: records of which a number was rounded."""

    source: str
    format: str
    row_count: int
    taken: int
    again: int
    ignored: Mapping[str, int]
    rounded: int
    aside: pl.DataFrame
    settled: Settled

    @property
    def alarms(self) -> pl.DataFrame:
        """``order_id``, ``code``, ``message`` of what a person must look at now."""
        named = [str(code) for code in ALARMS]
        others = self.aside.filter(pl.col("code").is_in(named) & (pl.col("code") != Break.UNKNOWN_ORDER))
        rows = pl.concat([others, unasked_fills(self.aside)]).sort("row_number")
        told = rows.select(pl.col("client_order_id").alias("order_id"), "code", "message")
        found = self.settled.new_breaks.filter(pl.col("code").is_in(named))
        filled, ordered = number_cell("filled_quantity"), number_cell("ordered_quantity")
        text = pl.format("{} was filled with {}, ordered were {}", "order_id", filled, ordered)
        return pl.concat([told, found.select("order_id", "code", message=text)])


def rules(min_units: int) -> Rules:
    """What messages come to, for the ledger."""
    return Rules(partial(order_states, min_units=min_units), proposal_states, breaks)


def reconcile(
    path: Path,
    *,
    executions: Executions,
    answers: Answers,
    actor: str,
    now: datetime,
    source: str = "",
    format: ExecutionFormat | None = None,  # noqa: A002 - as the option is called
    min_units: int = 1,
    names: Callable[[], pl.DataFrame] = lambda: NO_NAMES,
) -> ReconcileResult:
    """Take a file of executions in.

    Parameters
    ----------
    path
        The file.
    executions, answers
        The ledger's: where orders are, and what was said about them.
    actor
        Who reconciles; needs the role releaser or admin.
    now
        UTC; when the file was received.
    source
        Whose execution ids these are; empty: the format's name.
    format
        Null: told by what the file holds.
    min_units
        Least share of an order in a block, in units of its security's step.
    names
        What securities are called since they were ordered (``security_names``); asked where it matters.

    Raises
    ------
    InputRefused
        The file as a whole cannot be used.
    WrongUsage
        The same file was read as one of another source.
    SourceUnreachable
        It is still being written.
    DecisionRefused
        The actor may not.
    """
    before = _hash_of(path)
    read = read_executions(path, format)
    if _hash_of(path) != before:
        raise SourceUnreachable(
            f"{path.name} changed while it was read; needed a file that is complete\n\nHint: try again."
        )
    named = source or str(read.format)
    if others := sorted(executions.sources_of_file(before) - {named}):
        raise WrongUsage(
            f"{path.name} was read before, as a file of {others[0]}; as one of {named} its fills would count twice\n\n"
            f"Hint: give --source {others[0]}."
        )
    rows = read.executions.height + read.unread.height
    file = ExecutionFile(named, path.name, before, str(read.format), rows)
    parts = _parts(read)
    done: list[TakenFile] = []
    for part in parts:
        done.append(
            executions.take_executions(
                file,
                _reading(part),
                judge=partial(match_under_all_names, part.executions, named, names),
                rules=rules(min_units),
                before=None if len(done) < len(parts) - 1 else _counts(done),
                actor=actor,
                now=now,
            )
        )
    return ReconcileResult(
        source=named,
        format=str(read.format),
        row_count=rows,
        taken=sum(one.taken for one in done),
        again=sum(one.again for one in done),
        ignored=read.ignored,
        rounded=read.rounded,
        aside=pl.concat(one.aside for one in done).sort("row_number"),
        settled=done[0].settled if len(done) == 1 else _together([one.settled for one in done], answers.breaks_known()),
    )


def _hash_of(path: Path) -> str:
    """Empty where it cannot be read: whoever reads it next says so."""
    try:
        return sha256(path.read_bytes())
    except OSError:
        return ""


def _counts(done: list[TakenFile]) -> tuple[int, int]:
    return sum(one.taken for one in done), sum(one.aside.height for one in done)


def _parts(read: ExecutionRecords) -> list[ExecutionRecords]:
    """The file in parts that are a transaction each: others must not wait long for the ledger.

    Rows of one id stay together. Those that name no order come last: what they are about is known by then.
    """
    first = pl.col("row_number").min().over("execution_id")
    is_nameless = pl.col("client_order_id").is_null().all().over("execution_id")
    placed = read.executions.sort(is_nameless, first, "row_number")
    place = placed.select(
        ((pl.col("execution_id") != pl.col("execution_id").shift(1)).fill_null(value=True)).cum_sum() // PART
    )
    frames = placed.with_columns(part=place.to_series()).partition_by("part", maintain_order=True, include_key=False)
    if not frames:
        return [read]
    nothing = read.unread.clear()
    return [
        replace(
            read,
            executions=frame.sort("row_number"),
            lots=read.lots.join(frame.select("execution_id").unique(), on="execution_id", how="semi"),
            unread=nothing if number else read.unread,
        )
        for number, frame in enumerate(frames)
    ]


def _together(parts: list[Settled], standing: pl.DataFrame) -> Settled:
    """What the parts changed: of an order that several of them changed, how it is in the end; of new breaks, those that stand."""
    changed = pl.concat(one.changed for one in parts).unique("order_id", keep="last", maintain_order=True)
    found = pl.concat(one.new_breaks for one in parts).unique(("order_id", "code"), keep="last", maintain_order=True)
    return Settled(
        changed.sort("order_id"),
        found.join(standing, on=list(BREAKS), how="semi", nulls_equal=True).sort("order_id", "code"),
    )


def _reading(read: ExecutionRecords) -> ExecutionReading:
    names = read.executions["client_order_id"].drop_nulls()
    ids = pl.concat([read.executions["execution_id"], read.executions["reference_id"]]).drop_nulls()
    unread = read.unread.with_columns(code=pl.lit(str(Break.UNREAD)))
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in ASIDE.items() if name not in unread.columns]
    return ExecutionReading(
        frozenset(names), frozenset(ids), read.lots, unread.with_columns(missing).select(list(ASIDE))
    )


def open_breaks(answers: Answers, now: datetime, grace: AnswerGrace | None = None) -> pl.DataFrame:
    """Table ``OPEN_BREAKS``: alarms first, then the oldest, then the largest amounts; without orders that have ``grace``."""
    wanted = SentFilter(grace=grace)
    stretch = answers.breaks_found(wanted, ALARMS, limit=BREAKS_AT_ONCE)
    found = [stretch.rows]
    while stretch.after is not None:
        stretch = answers.breaks_found(wanted, ALARMS, limit=BREAKS_AT_ONCE, after=stretch.after)
        found.append(stretch.rows)
    age = (pl.lit(now) - pl.col("since_at")).dt.total_days()
    return pl.concat(found).with_columns(age_days=age).select(list(OPEN_BREAKS))


def lot_differences(lake: Lake, answers: Answers, amendments: Amendments) -> pl.DataFrame:
    """Table ``DIFFERENCES`` of every filled sell whose lots were told."""
    states = answers.filled_orders()
    told = _standing_lots(answers, states["order_id"].to_list())
    parts = [pl.DataFrame(schema=DIFFERENCES)]
    named = states.join(told.select("order_id").unique(), on="order_id", how="semi")
    for (run_id,), sells in named.group_by("run_id", maintain_order=True):
        stored = {table: lake.read(table, str(run_id)) for table in ("proposals", "orders", "lot_relief")}
        newest = newest_rows(stored, amendments.amended(str(run_id)))
        rates = newest["proposals"].select("proposal_id", "marginal_short_rate", "marginal_long_rate")
        relief = newest["lot_relief"].join(sells.select("order_id"), on="order_id", how="semi")
        parts.append(relief_differences(sells, relief, told, rates))
    return pl.concat(parts).sort("order_id")


def _standing_lots(answers: Answers, order_ids: list[str]) -> pl.DataFrame:
    """Lots of the fills that stand: those of a fill that was corrected are the correction's."""
    lots = answers.lots_of(order_ids)
    fills = net_fills(answers.messages_of(lots["order_id"].unique().to_list()))
    return lots.join(fills.select("source", "execution_id"), on=("source", "execution_id"), how="semi")

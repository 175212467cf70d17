"""Guards of a run: on what was delivered, before anything is measured, and on what would be traded, before it is routed.

A run that a guard stops is held: nothing of it is routed or leaves until a person releases it with a note. A release covers
the guards that the person saw; one that stops the run later holds it again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Final

import polars as pl
from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from schemas.enums import Guard, Outcome, RunState
from schemas.errors import ConservationBroken, RunHeld
from schemas.run import RunRef
from tasks.core import guards
from tasks.core.gate import ONLY_UNBOOKED, behind_sentence, less_spun_off, trace
from tasks.core.guards import Finding, Size
from tasks.known import actions_of, agreed_splits, last_night, prices_then, read_vanished
from tasks.runtime import Stores, give_notice, open_stores, retry_quietly, sessions_to, utc_now
from warehouse.ledger import RunRow

LOOK: Final = {
    Guard.QUARANTINE: "`trimtab quarantine list`, then mend the source",
    Guard.STALE_PRICES: "the price source of the night; run the night again when it has delivered",
    Guard.PRICE_MOVE: "the prices named, against another source; a split is said in the table corporate_actions",
    Guard.MISSING_ACCOUNTS: "whether the source delivered all of its accounts",
    Guard.SMALL_SNAPSHOT: "whether the source delivered all of its lots",
    Guard.LOST_ROWS: '`trimtab query "select * from vanished_rows"`, and whether the source delivered all of the table',
    Guard.TURNOVER: "`trimtab review list`, the models and the prices: did a model change?",
    Guard.ORDER_COUNT: "the models and the policies: did one change?",
    Guard.CONSERVATION: "the log; something does not add up, and a release does not make it",
    Guard.HALT: "who threw the switch and why; `trimtab resume --note` lifts it",
}
"""Where a person looks first."""


@task(name="guard_inputs", cache_policy=NO_CACHE, **retry_quietly)
def guard_inputs_task(run: RunRef) -> None:
    """Hold a run whose inputs cannot be trusted: too many rows quarantined, prices stale or jumping, accounts or lots gone.

    Raises
    ------
    RunHeld
        A guard stops the run and nobody has released it.
    """
    with open_stores() as at:
        hold_where(at, run, [*_halt(at), *_of_inputs(at, run)])


@task(name="guard_trades", cache_policy=NO_CACHE, **retry_quietly)
def guard_trades_task(run: RunRef) -> None:
    """Hold a run that would trade more than the settings allow.

    Raises
    ------
    RunHeld
        A guard stops the run and nobody has released it.
    """
    with open_stores() as at:
        hold_where(at, run, [*_halt(at), *_of_trades(at, run)])


def hold_where(at: Stores, run: RunRef, findings: Sequence[Finding]) -> None:
    """Hold the run for the findings, unless it is done or a person has released it for all of these guards.

    The kill switch is no guard that a release passes: it is lifted.

    Raises
    ------
    RunHeld
        The run is held now.
    """
    row = at.ledger.runs.get_run(run.run_id)
    if not findings or row is None or row.state is RunState.DONE:
        return
    if row.is_released_for(finding.guard for finding in findings) and Guard.HALT not in {
        each.guard for each in findings
    }:
        return
    reason = "\n".join(finding.sentence for finding in findings)
    at.ledger.runs.hold_run(run.run_id, reason, utc_now(), guards=[finding.guard for finding in findings])
    raise RunHeld(
        f"run {run.run_id} is held: {reason}\n\n"
        f"Hint: look at {LOOK[findings[0].guard]}; or release with `trimtab resume {run.run_id} --note WHY`."
    )


@contextmanager
def show_if_held(run: RunRef) -> Iterator[None]:
    """Show a run that is held as an artifact in the Prefect UI."""
    try:
        yield
    except (RunHeld, ConservationBroken):
        with open_stores() as at:
            row = at.ledger.runs.get_run(run.run_id)
        if row is not None and row.state is RunState.HELD:
            create_markdown_artifact(held_page(row), key="night-held", description=run.run_id)
        raise


def held_page(row: RunRow) -> str:
    """What the Prefect UI shows of a held run."""
    reasons = "\n\n".join((row.held_reason or "").splitlines())
    looks = "\n".join(f"| {guard} | {LOOK[Guard(guard)]} |" for guard in row.held_guards)
    return (
        f"# {row.run_id} is held\n\n{reasons}\n\n"
        "Nothing of it is routed or exported until a person releases it.\n\n"
        f"| guard | look at |\n|---|---|\n{looks}\n\nRelease: `trimtab resume {row.run_id} --note WHY`\n"
    )


def _halt(at: Stores) -> list[Finding]:
    halt = at.ledger.halts.current_halt()
    return [] if halt is None else [Finding(Guard.HALT, f"{halt.actor} halted everything: {halt.note}")]


def _is_late(at: Stores, run: RunRef) -> bool:
    """Whether the run adds late files to another: nobody chose its accounts, so they are judged as those of a night are."""
    row = at.ledger.runs.get_run(run.run_id)
    return row is not None and row.base_run_id is not None


def _of_inputs(at: Stores, run: RunRef) -> list[Finding]:
    settings, last, is_late = at.settings, last_night(at, run), _is_late(at, run)
    gate = at.lake.read("gate", run.run_id)
    before = last.run_id if last else None
    sizes = at.lake.figures("night_size", run_id=run.run_id, last_run=before, is_late=is_late)
    held = _held_prices(at, run, last)
    newest = held["price_date"].max()
    ages = settings.max_price_age_sessions, settings.max_security_price_age_sessions
    sessions = sessions_to(run.as_of_date, settings.exchange, max(ages) + 1)
    if isinstance(newest, date) and newest < sessions[-1]:
        give_notice(f"the newest price is dated {newest}, before the session of {sessions[-1]}")
    stopped = gate.filter(pl.col("reason") != ONLY_UNBOOKED, outcome=str(Outcome.QUARANTINED))
    least, most_out = settings.guard_min_accounts, settings.max_quarantined_fraction
    of_quarantine = [
        *guards.quarantined_accounts(stopped.height, sizes["accounts"], most_out, min_accounts=least),
        *guards.nobodys_lots(
            sizes["nobodys_lots"], sizes["landed_lots"], most_out, accounts=sizes["accounts"], min_accounts=least
        ),
    ]
    found = [
        *_with_causes(at, run, stopped, of_quarantine),
        *guards.stale_prices(held.filter(pl.col("price_usd") > 0), sessions, most=ages[0], most_of_one=ages[1]),
        *guards.price_moves(held, settings.max_price_move),
    ]
    if last is None:
        return found
    gone = read_vanished(at.lake, run, last)
    found += guards.lost_rows(gone, settings.max_lost_rows_fraction, min_rows=least)
    if run.is_scoped and not is_late:
        return found
    tonight, then = Size(sizes["accounts"], sizes["lots"]), Size(sizes["last_accounts"], sizes["last_lots"])
    most = settings.max_missing_accounts_fraction
    return [
        *found,
        *guards.missing_accounts(sizes["missing"], then.accounts, most, min_accounts=least),
        *guards.lot_shrinkage(tonight, then, settings.max_lots_shrink_fraction, min_accounts=least),
    ]


def _with_causes(at: Stores, run: RunRef, stopped: pl.DataFrame, found: Sequence[Finding]) -> list[Finding]:
    """What quarantine holds the run for: what caused it before what it cost."""
    if not found:
        return []
    behind = behind_sentence(trace(at.lake.read("quarantine", run.run_id), stopped))
    first, *others = found
    return [Finding(first.guard, "\n".join(filter(None, [behind, first.sentence]))), *others]


def _held_prices(at: Stores, run: RunRef, last: RunRow | None) -> pl.DataFrame:
    """``security_id, price_usd, price_date, last_price_usd`` of each security held; the last price in tonight's shares."""
    held = at.lake.held_prices(run.run_id)
    if last is None:
        return held.with_columns(last_price_usd=pl.lit(None, held.schema["price_usd"]))
    history = prices_then(at, run, last)
    then = history.prices.rename({"price_usd": "last_price_usd"})
    held = held.join(then, on="security_id", how="left", maintain_order="left")
    held = less_spun_off(held, actions_of(at.lake, run), last.as_of_date)
    if at.settings.max_price_move is None:
        return held
    ratio = pl.col("price_usd").cast(pl.Float64) / pl.col("last_price_usd").cast(pl.Float64)
    moved = held.filter((ratio - 1).abs() > at.settings.max_price_move)
    if moved.is_empty():
        return held
    splits = agreed_splits(at, run, last, history, moved.select("security_id", "price_usd"))
    shares = held.join(splits, on="security_id", how="left", maintain_order="left")
    rate = pl.col("old_shares") / pl.col("new_shares")
    in_shares = (pl.col("last_price_usd").cast(pl.Float64) * rate).round(6).cast(held.schema["last_price_usd"])
    return shares.with_columns(last_price_usd=pl.coalesce(in_shares, "last_price_usd")).select(held.columns)


def _of_trades(at: Stores, run: RunRef) -> list[Finding]:
    settings, sums = at.settings, at.lake.figures("trade_sums", run_id=run.run_id)
    accounts = at.lake.read("scope", run.run_id).height
    found = guards.order_count(sums["orders"], settings.max_run_orders)
    if run.is_scoped and not _is_late(at, run):
        return found
    return [
        *guards.turnover(
            sums["gross_usd"],
            sums["nav_usd"],
            accounts,
            settings.max_run_turnover,
            min_accounts=settings.guard_min_accounts,
        ),
        *found,
    ]

"""Pull: take a night's files, name the run after what is in them, and land them in the lake, shard by shard."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from importlib.metadata import version
from itertools import chain

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import RunKind, Step
from schemas.errors import InputRefused, WrongUsage
from schemas.landing import CONTRACTS
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.sources import DatedSource
from tasks.core.facts import in_scope, shard_accounts, shard_count_for
from tasks.pull.carry_forward import remembered
from tasks.pull.inputs import TakenFiles, digest, take
from tasks.pull.land import Landing, with_shard, with_the_others, without_broken
from tasks.pull.late_files import LateFiles, standing
from tasks.pull.missing_files import awaiting
from tasks.pull.orders_under_way import orders_under_way
from tasks.runtime import Stores, alone_on, failure_noted, give_notice, open_stores, retry_quietly, timed_step, utc_now
from warehouse.ledger import OPEN_STATES, LandedBefore, NewRun, RunRow


@dataclass(frozen=True)
class Request:
    """What was asked for. ``scope`` empty: every account. ``scope_id``: the look that found these accounts; null: a person named them."""

    sources: tuple[DatedSource, ...]
    as_of_date: date
    kind: RunKind
    submitter: str
    scope: tuple[str, ...] = ()
    scope_id: str | None = None


class NobodyLeft(WrongUsage):
    """All accounts of the scope ``scope_id``, which a look found, have left since."""

    def __init__(self, scope_id: str) -> None:
        super().__init__(scope_id)
        self.scope_id = scope_id

    def __str__(self) -> str:
        """One sentence."""
        return f"no account of {self.scope_id} is left in the sources"


@task(name="pull", cache_policy=NO_CACHE, **retry_quietly)
def pull_task(request: Request) -> RunRef:
    """Land the sources' tables and start, or find again, the run that is named after them.

    Raises
    ------
    InputRefused
        A source that every account needs cannot be used.
    SourceUnreachable
        Such a source does not answer.
    WrongUsage
        An account that a person asked for is not in the sources; ``NobodyLeft`` where none of those that a look found is.
    """
    with open_stores() as at:
        taken = take(request.sources, at.settings.staging_folder)
        taken = without_broken(without_repeats(taken, at))
        for each in taken.absent:
            give_notice(f"{each.source.name}: {each.note}")
        released = at.ledger.released_rows(request.as_of_date)
        releases = (f"released {row}" for row in released["quarantine_id"])
        inputs = digest(taken, chain(releases, _of_other_days(taken, request.as_of_date)))
        stands = standing(at.ledger, request.as_of_date, taken, _newest(released)) if _is_full(request) else None
        if isinstance(stands, RunRow):
            return run_ref(stands)
        late = stands
        new = NewRun(
            run_id=_run_id(request, inputs, late, at),
            as_of_date=request.as_of_date,
            kind=request.kind,
            submitter=request.submitter,
            input_hash=inputs,
            code_version=version("trimtab"),
            source=", ".join(source.url for source in request.sources),
            scope=json.dumps(request.scope) if request.scope else None,
            base_run_id=late.base.run_id if late else None,
        )
        with alone_on(at.ledger, new.run_id):
            if (Step.PULL, GLOBAL_SHARD) in at.ledger.finished_steps(new.run_id):
                return run_ref(at.ledger.start_run(new, utc_now()))
            return _land(request, new, taken, late, at)


def find_pulled_run(run_id: str) -> RunRef | None:
    """The reference of a run whose inputs are in the lake; null where its pull did not finish."""
    with open_stores() as at:
        row = at.ledger.get_run(run_id)
        is_pulled = (Step.PULL, GLOBAL_SHARD) in at.ledger.finished_steps(run_id)
    return run_ref(row) if row is not None and is_pulled else None


def run_ref(row: RunRow) -> RunRef:
    """The reference of a run that has been pulled."""
    is_scoped = row.scope is not None or row.base_run_id is not None
    return RunRef(row.run_id, row.as_of_date, row.kind, row.shard_count, is_scoped=is_scoped)


def run_name(request: Request, inputs: str, added: Sequence[str] = ()) -> str:
    """``<as_of>-<kind>-<12 hex>``: the same night on the same inputs has the same name. Policy is part of the inputs."""
    parts = [request.as_of_date.isoformat(), request.kind, inputs, *sorted(request.scope), *added]
    digits = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    return f"{request.as_of_date.isoformat()}-{request.kind}-{digits}"


def _run_id(request: Request, inputs: str, late: LateFiles | None, at: Stores) -> str:
    """The run's name. One that another of the night has replaced does not come back: where its inputs do, they are run anew."""
    if late is not None:
        return run_name(request, inputs, (f"after {late.newest.run_id}", *late.custodians))
    name = run_name(request, inputs)
    newest = at.ledger.full_run_of(request.as_of_date) if _is_full(request) else None
    found = at.ledger.get_run(name)
    if newest is None or found is None or found.started_at >= newest.started_at:
        return name
    return run_name(request, inputs, (f"after {newest.run_id}",))


def _of_other_days(taken: TakenFiles, as_of: date) -> Iterator[str]:
    """What a format makes of a file may depend on the source's day, which names the run where it is not the run's own."""
    for each in taken.inputs:
        if each.format is not None and each.source.day != as_of:
            yield f"of {each.source.day} {each.file.sha256}"


def without_repeats(taken: TakenFiles, at: Stores) -> TakenFiles:
    """Refuse a file whose own number is not above that of an earlier day: it is an old file again.

    Raises
    ------
    InputRefused
        Every account needs its source.
    """
    for each in taken.inputs:
        source = each.source
        last = None if each.sequence is None else at.ledger.last_sequence(source.name, each.reader, source.day)
        if last is None or each.sequence is None or each.sequence > last[1]:
            continue
        note = (
            f"{each.file.name} has the number {each.sequence}, the file of {last[0]} had {last[1]}; needed a higher one"
        )
        if not source.custodians:
            raise InputRefused(f"{note}\n\nHint: an earlier night's file again?")
        taken = taken.without(each.refused(note))
    return taken


def _newest(released: pl.DataFrame) -> datetime | None:
    newest = released["released_at"].max()
    return newest if isinstance(newest, datetime) else None


def _is_full(request: Request) -> bool:
    return request.kind is RunKind.NIGHTLY and not request.scope


def _land(request: Request, new: NewRun, taken: TakenFiles, late: LateFiles | None, at: Stores) -> RunRef:
    landing = Landing(taken, utc_now(), _landed_before(taken, new, at))
    parsed = {table: landing.whole(table, at.lake) for table in ("accounts", "households")}
    known = remembered(landing, parsed["accounts"], new, at)
    parsed["accounts"] = pl.concat([parsed["accounts"], *(rows for table, rows in known if table == "accounts")])
    everybody = parsed["accounts"]
    if everybody.is_empty():
        notes = "; ".join(each.note for each in taken.absent)
        raise InputRefused(f"no account is known: {notes}\n\nHint: run the night again when a file has come.")
    asked = _asked(request, late, everybody, at)
    landed, scope = in_scope(everybody, asked, parsed["households"]["household_id"].drop_nulls())
    parsed["accounts"] = landed
    _miss_nobody(request, scope, taken)
    started = at.ledger.start_run(new, utc_now())
    count = started.shard_count or shard_count_for(landed.height, at.settings.accounts_per_shard)
    at.ledger.set_run_shape(new.run_id, count, len(scope))
    run = replace(run_ref(started), shard_count=count)
    shards = shard_accounts(landed, count)
    with failure_noted(at.ledger, run), timed_step(at.ledger, run, Step.PULL, GLOBAL_SHARD) as step:
        under_way = orders_under_way(
            at,
            run,
            landed=shards["account_id"],
            scope=scope,
            trades=landing.typed("trades", at.lake),
            now=utc_now(),
        )
        pulled = scope.to_frame("account_id").join(shards, on="account_id", how="left")
        own = {
            "awaiting": awaiting(taken, request.sources, landed).join(shards, on="account_id"),
            "scope": pulled.with_columns(pl.col("shard").fill_null(0)),
            "last_exports": at.ledger.last_exports().join(shards, on="account_id"),
            "held_accounts": at.ledger.held_accounts().join(shards, on="account_id"),
            **{table: rows.join(shards, on="account_id") for table, rows in under_way.items()},
            "always_review": _always_review(at),
        }
        placing = shards if late is None else with_the_others(shards, everybody)
        is_narrow = bool(request.scope)
        kept = [*parsed.items(), *((table, rows) for table, rows in known if table != "accounts")]
        batches = (
            (f"landed_{table}", with_shard(table, frame, placing, is_narrow=is_narrow))
            for table, frame in chain(kept, landing.rest())
        )
        step.rows = at.lake.load(
            run,
            [*(f"landed_{table}" for table in CONTRACTS), *own],
            chain(own.items(), batches),
            copies=lambda: landing.copies,
            shards=placing,
            is_narrow=is_narrow,
        )
        at.ledger.record_inputs(run.run_id, landing.inputs)
    return run


def _miss_nobody(request: Request, scope: pl.Series, taken: TakenFiles) -> None:
    """Refuse where an account asked for is in no source; those that a look found may have left, as long as one is there."""
    missing = sorted(set(request.scope) - set(scope))
    if not missing:
        return
    if request.scope_id is None:
        raise WrongUsage(
            f"the source has no account {', '.join(missing)}\n\n"
            f"Hint: look at {', '.join(each.file.name for each in taken.of('accounts'))}."
        )
    if len(missing) == len(request.scope):
        raise NobodyLeft(request.scope_id)
    give_notice(
        f"{len(missing)} of the {len(request.scope)} accounts of {request.scope_id} are no longer in the sources; "
        "the others go on"
    )


def _always_review(at: Stores) -> pl.DataFrame:
    """The setting, landed with the run: its routes are the same whichever attempt decides them."""
    reasons = sorted(str(reason) for reason in at.settings.always_review)
    return pl.DataFrame({"reason": reasons, "shard": GLOBAL_SHARD}, schema={"reason": pl.String, "shard": pl.Int32})


def _landed_before(taken: TakenFiles, new: NewRun, at: Stores) -> dict[tuple[str, str, str], LandedBefore]:
    """What earlier runs landed of the files, as far as the lake still has it."""
    found = at.ledger.landed_before([(each.file.sha256, each.source.day) for each in taken.inputs], new)
    return {
        (sha256, reader, table): known
        for (sha256, reader, table), known in found.items()
        if at.lake.has_rows(
            table,
            known.run_id,
            first_row=known.first_row,
            last_row=known.last_row,
            count=known.row_count,
        )
    }


def _asked(request: Request, late: LateFiles | None, accounts: pl.DataFrame, at: Stores) -> pl.Series | None:
    """The accounts to be looked at; None: all.

    Late files cover their custodians' accounts. What they tell may forbid what another account of the household was about to
    do (a loss sold there, bought here), so that members whose proposals have not left are looked at again too.
    """
    if late is None:
        return pl.Series(request.scope) if request.scope else None
    theirs = accounts.filter(pl.col("custodian").is_in(late.custodians))
    households = theirs.select("household_id").drop_nulls().unique()
    open_ = at.ledger.list_proposals(states=OPEN_STATES).select("account_id")
    members = accounts.join(households, on="household_id", how="semi").join(open_, on="account_id", how="semi")
    return pl.concat([theirs, members])["account_id"].drop_nulls().unique()

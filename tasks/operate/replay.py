"""Replay: a run computed again from what it pulled, by the code that is here now, and compared with what it stored.

1. The lake is read as it was when the run ended: at the snapshot of the run's last write, which names it
   (``warehouse.lake.snapshots.end_of``).
2. What the run knew is put into a home beside the real one (``tasks.operate.replay_scratch``) and goes through the steps of the night,
   by the settings that the run kept; as far as the run itself got.
3. Compared, cell by cell: what the steps write, the proposals as they were entered in the queue, the run's counts, the files of its
   exports (``tasks.operate.replay_exports``). And the lake as it stands against the lake as it was: nobody changes a closed run.
4. Where something differs it is told why, as far as that is on record: rows changed since, versions, settings.

The real home is only read. Frames are of one shard at a time but for proposals and what leaves in one export, as in the night.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Final

import polars as pl

from schemas.enums import RunState, Step
from schemas.errors import WrongUsage
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from tasks.core.explain import counts_of
from tasks.core.replay import TableDiff, compare, merge_diffs
from tasks.operate.replay_exports import ExportDiff, exports_again
from tasks.operate.replay_scratch import COMPUTED, PULLED, RecordedRun, fill, known_runs, scratch_stores
from tasks.performance import performance_shard
from tasks.propose import measure_shard, propose_shard, route_run
from tasks.runtime import DECIDING, SETTING, VERSION, Stores, hash_file, open_ledger, settings_then, utc_now, versions
from tasks.validate import validate_shard
from warehouse.lake import Lake, LakeAt, Past, end_of, past_of
from warehouse.ledger import ROUTED, RunRow, Runs

QUEUED: Final = ("run_id", "as_of_date", "submitter", *(name for name in ROUTED if name != "ttl_hours"))
"""What routing says of a proposal once and for all."""
BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay found.

    ``computed``: what the steps gave against what the run stored. ``since``: the lake as it stands against the lake as it was.
    ``causes``: why something differs; ``notices``: what to know besides.
    """

    run_id: str
    snapshot: int
    computed: tuple[TableDiff, ...]
    since: tuple[TableDiff, ...]
    exports: tuple[ExportDiff, ...]
    causes: tuple[str, ...]
    notices: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """The same bytes."""
        return not self.differing and not any(one.problems for one in self.exports)

    @property
    def differing(self) -> list[TableDiff]:
        """Tables that differ, either way."""
        return [one for one in (*self.computed, *self.since) if not one.is_same]


def replay_run(settings: Settings, run_id: str, folder: Path) -> ReplayResult:
    """Compute a run again in an empty folder and compare.

    Raises
    ------
    WrongUsage
        There is no such run, or its pull did not finish.
    InputRefused
        What it pulled is not in the lake any more.
    """
    with closing(open_ledger(settings)) as ledger, past_of(settings) as past:
        row = ledger.runs.get_run(run_id)
        if row is None:
            raise WrongUsage(f"there is no run {run_id}\n\nHint: `trimtab runs` lists them.")
        finished = ledger.runs.finished_steps(run_id)
        if (Step.PULL, GLOBAL_SHARD) not in finished:
            raise WrongUsage(f"run {run_id} did not finish its pull: nothing of it can be replayed")
        moment = _ended_at(ledger.runs, row) or utc_now()
        known = RecordedRun(row, ledger, past.at(end_of(past.snapshots, run_id, moment)))
        with_it = known.lake.read("made_with", run_id)
        with scratch_stores(settings_then(settings, with_it), folder) as at:
            fill(at, known)
            tables = _run_steps(at, known, finished)
            computed = [*_compare_tables(known.lake, at.lake, run_id, tables), *_compare_ledger(at, known, finished)]
            exports = tuple(exports_again(at, known, settings))
        since = _changes_since(past, known)
        found = ReplayResult(run_id, known.lake.snapshot.number, tuple(computed), tuple(since), exports, (), ())
        causes = () if found.is_same else tuple(_causes(found, with_it, row.code_version))
        notices = tuple(_notices(known, settings, with_it, past, is_same=found.is_same))
    return ReplayResult(run_id, found.snapshot, found.computed, found.since, exports, causes, notices)


def _ended_at(runs: Runs, run: RunRow) -> datetime | None:
    """When a run that is done wrote its last: the run is closed before the step ``performance``. None: it is not done."""
    if run.state is not RunState.DONE or run.finished_at is None:
        return None
    after = [one.finished_at for one in runs.step_rows(run.run_id) if one.step is Step.PERFORMANCE]
    return max([run.finished_at, *after])


def _run_steps(at: Stores, known: RecordedRun, finished: frozenset[tuple[Step, int]]) -> dict[int, list[str]]:
    """Do the steps that the run finished; the tables that they wrote, by shard."""
    tables: dict[int, list[str]] = {}
    works = {
        Step.VALIDATE: validate_shard,
        Step.MEASURE: measure_shard,
        Step.PROPOSE: propose_shard,
        Step.PERFORMANCE: performance_shard,
    }
    for step, work in works.items():
        if step is Step.PERFORMANCE and _is_of_several_nights(known):
            continue
        for shard in (shard for shard in known.shards if (step, shard) in finished):
            work(at, known.ref, shard)
            tables.setdefault(shard, []).extend(COMPUTED[step])
    if (Step.ROUTE, GLOBAL_SHARD) in finished:
        route_run(at, known.ref)
    return tables


def _is_of_several_nights(known: RecordedRun) -> bool:
    """Whether the run computed the performance of other nights than its own: it read what came after it."""
    nights = known.lake.read("performance", known.row.run_id, columns=("night_date",))["night_date"]
    return bool((nights != known.row.as_of_date).any())


def _compare_tables(then: LakeAt, now: Lake, run_id: str, tables: Mapping[int, Sequence[str]]) -> list[TableDiff]:
    """The run's rows in two lakes, by table; of a shard at a time."""
    return merge_diffs(chain.from_iterable(_of_shard(then, now, run_id, *each) for each in tables.items()))


def _of_shard(then: LakeAt, now: Lake, run_id: str, shard: int, tables: Sequence[str]) -> Iterator[TableDiff]:
    old, new = (lake.read_tables(dict.fromkeys(tables, ()), run_id, shard) for lake in (then, now))
    yield from (_of_columns(table, then, old[table], new[table]) for table in tables)


def _of_columns(table: str, lake: LakeAt, then: pl.DataFrame, now: pl.DataFrame) -> TableDiff:
    """Compared in the columns that there were: one that came since was never written."""
    columns = lake.columns_of(table) or tuple(now.columns)
    return compare(table, then.select(columns), now.select(columns))


def _compare_ledger(at: Stores, known: RecordedRun, finished: frozenset[tuple[Step, int]]) -> Iterator[TableDiff]:
    """The queue as routing filled it, and the counts of a run that is done."""
    run_id = known.row.run_id
    if (Step.ROUTE, GLOBAL_SHARD) in finished:
        then, now = (
            ledger.proposals.list_proposals(run_id=run_id).filter(pl.col("version") == 1).select(QUEUED)
            for ledger in (known.ledger, at.ledger)
        )
        yield compare("queue", then, now)
    if known.row.state is RunState.DONE:
        counts = counts_of(*(at.lake.read(table, run_id) for table in ("account_outcomes", "proposals")))
        yield compare("counts", *(_counts(each) for each in (known.row.counts, counts)))


def _counts(counts: dict[str, int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"name": list(counts), "count": list(counts.values())}, schema={"name": pl.String, "count": pl.Int64}
    )


def _changes_since(past: Past, known: RecordedRun) -> list[TableDiff]:
    """The run's tables as the lake has them now, against those of the run's end; none where ``maintain`` has removed the run."""
    newest = past.newest
    if newest.snapshot == known.lake.snapshot or _is_removed(past, known):
        return []
    every = (*PULLED, *chain.from_iterable(COMPUTED.values()))
    return _compare_tables(known.lake, newest, known.row.run_id, dict.fromkeys(known.shards, every))


def _is_removed(past: Past, known: RecordedRun) -> bool:
    """Whether the lake shows the run's accounts only in older snapshots."""
    return known.row.accounts_pulled > 0 and past.newest.read("scope", known.row.run_id).is_empty()


def _causes(found: ReplayResult, with_it: pl.DataFrame, code_version: str) -> Iterator[str]:
    """Why something differs, as far as it is on record."""
    for diff in (one for one in found.since if not one.is_same):
        what = "an input" if diff.table in PULLED else "a result"
        yield f"{diff.table}, {what} of the run, was changed in the lake after the run had ended (snapshot {found.snapshot})"
    if all(one.is_same for one in found.computed) and not any(one.problems for one in found.exports):
        return
    changed = list(_version_changes(with_it, code_version))
    yield from changed
    yield from (f"its steps ran with several values of {name}: {text}" for name, text in _several(with_it))
    if not changed:
        yield (
            "what it was computed with is the same as far as it is on record (trimtab, Python, libraries, settings): the program was "
            "changed without a new version, or rows were changed before the run had ended"
        )


def _version_changes(with_it: pl.DataFrame, code_version: str) -> Iterator[str]:
    """Versions then and now, where they differ."""
    then = dict(_values(with_it, VERSION)) or {"trimtab": (code_version,)}
    for name, now in versions().items():
        if name in then and then[name] != (now,):
            yield f"computed with {name} {' and '.join(then[name])} then, {now} now"


def _values(with_it: pl.DataFrame, kind: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each name's values, sorted."""
    of_kind = with_it.filter(pl.col("kind") == kind).group_by("name").agg(pl.col("value").unique().sort()).sort("name")
    yield from ((name, tuple(values)) for name, values in of_kind.iter_rows())


def _several(with_it: pl.DataFrame) -> Iterator[tuple[str, str]]:
    for kind in (SETTING, VERSION):
        yield from ((name, ", ".join(values)) for name, values in _values(with_it, kind) if len(values) > 1)


def _notices(
    known: RecordedRun, settings: Settings, with_it: pl.DataFrame, past: Past, *, is_same: bool
) -> Iterator[str]:
    then = settings_then(settings, with_it)
    for name in DECIDING:
        if (was := getattr(then, name)) != (now := getattr(settings, name)):
            yield f"the setting {name} was {was} then and is {now} now; replayed with {was}"
    if with_it.is_empty():
        yield "the run kept no record of its settings and libraries: replayed with the settings of now"
    if is_same:
        yield from _version_changes(with_it, known.row.code_version)
    began, ended = known.validating()
    late = {row.run_id for row in known_runs(known.ledger.runs, known.row, ended)} - {
        row.run_id for row in known_runs(known.ledger.runs, known.row, began)
    }
    yield from (f"run {run_id} was done while this one validated; it was left out" for run_id in sorted(late))
    released = known.ledger.readmissions.released_rows(known.row.as_of_date)["released_at"]
    between = released.filter((released > began) & (released <= ended)).len()
    if between:
        yield f"{between:,} rows were released from quarantine while the run validated; they were left out"
    yield from _read_at(known, past)
    if _is_of_several_nights(known):
        yield "the run computed the performance of several nights, after an earlier one was run again or missed; that was left out"
    if _is_removed(past, known):
        yield "its rows were removed from the lake since, but for those that trades consist of"
    yield from _changed_sources(known)


def _read_at(known: RecordedRun, past: Past) -> Iterator[str]:
    """What is to be said of the snapshot that was read: all but the run's last write, before the run had ended."""
    snapshot, ended = known.lake.snapshot, _ended_at(known.ledger.runs, known.row)
    is_late = ended is not None and snapshot.made_at > ended
    if snapshot.run_id == known.row.run_id:
        if is_late:
            yield f"by the clock the run wrote to the lake after it had ended: read as of snapshot {snapshot.number}, with what it wrote then"
    elif is_late:
        yield f"the lake as it was when the run ended was expired: read as of snapshot {snapshot.number}, {len(past.snapshots):,} are left"
    else:
        yield f"no snapshot of the lake names the run: read as of snapshot {snapshot.number}, the last until its end by the clock"


def _changed_sources(known: RecordedRun) -> Iterator[str]:
    """Files that the run took and that are still in its folders, with other contents."""
    folders = [
        Path(url.removeprefix("file://"))
        for url in known.row.source.split(", ")
        if "://" not in url.removeprefix("file://")
    ]
    taken: dict[str, set[str]] = {}
    for each in known.ledger.inputs.inputs_of(known.row.run_id):
        if each.sha256:
            taken.setdefault(each.name, set()).add(each.sha256)
    for name, digests in taken.items():
        there = [folder / Path(name).name for folder in folders if (folder / Path(name).name).is_file()]
        if there and not any(hash_file(path) in digests for path in there):
            yield f"{there[0]} is not what the run took; the replay reads the rows that were landed of it"

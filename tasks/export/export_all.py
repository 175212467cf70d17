"""Export everything that is approved: run by run, and what goes to different places apart.

Where a delivery is for some custodians alone, an export must hold nobody else's orders: custodians whose orders go to the same
places leave together, the others in exports of their own. Without such deliveries a run's orders leave in one.

A household that is managed together leaves whole: where some of its members are at a custodian that was not asked for, they leave
too, and groups of custodians that share a household are claimed together.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from schemas.enums import RunState
from schemas.errors import Terminal, WrongUsage
from schemas.exports import Delivery, Profile
from tasks.export.export import ExportResult, done_run, export_run
from tasks.export.packages import Exporter, asked_for, planned_packages, stored_tables
from tasks.export.plan import ExportPlan
from tasks.known import behind_since
from warehouse.ledger import Exports

HELD_BACK: Final[dict[str, pl.DataType]] = {
    "run_id": pl.String(),
    "proposal_id": pl.String(),
    "account_id": pl.String(),
    "reason": pl.String(),
}
"""Approved proposals that may not leave, and why."""


@dataclass(frozen=True, slots=True)
class ExportedRuns:
    """What was exported. ``waiting``: runs with approved proposals that are held, unfinished or failed. ``held_back``: table ``HELD_BACK``.

    ``problems``: a sentence for each run that could not be exported; the others were. ``notices``: what in the settings of places
    and formats looks like a mistake.
    """

    results: tuple[ExportResult, ...]
    waiting: tuple[str, ...]
    held_back: pl.DataFrame
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def export_all(by: Exporter, *, run_id: str | None = None, custodians: Collection[str] = ()) -> ExportedRuns:
    """Export every run that has approved proposals, or one; of some custodians, or of all.

    Raises
    ------
    RunHeld
        Everything is halted, or the one run is not done.
    WrongUsage
        Nothing was ever proposed for a custodian that is named.
    TrimtabError
        As ``export_run``.
    """
    by.ledger.halts.need_no_halt()
    _need_known(by.ledger.exports, custodians)
    by = replace(by, custodians=frozenset(custodians))
    by.ledger.proposals.expire(by.now)
    results: list[ExportResult] = []
    waiting: list[str] = []
    problems: list[str] = []
    held_back = [pl.DataFrame(schema=HELD_BACK)]
    for one in [run_id] if run_id else by.ledger.exports.runs_to_export():
        run = by.ledger.runs.get_run(one)
        if run_id is None and (run is None or run.state is not RunState.DONE):
            waiting.append(one)
            continue
        try:
            acting = replace(by, deliveries=()) if run is not None and run.is_simulation else by
            for plans in _acts(acting, one):
                while result := export_run(one, acting, plans):
                    results.append(result)
            held_back.append(_held_back(by, one))
        except Terminal as error:
            by.ledger.halts.need_no_halt()
            if run_id is not None:
                raise
            problems.append(f"{one}: {error}")
    notices = (*_strange_names(by), *_without_place(by, results))
    return ExportedRuns(tuple(results), tuple(waiting), pl.concat(held_back), tuple(problems), notices)


def _strange_names(by: Exporter) -> Iterable[str]:
    """Custodians that a place or a format is for, and for whom nothing was ever proposed: new ones, or mistyped."""
    known = by.ledger.exports.known_custodians()
    named: list[tuple[str, Delivery | Profile]] = [("delivery", one) for one in by.deliveries]
    for kind, one in [*named, *(("profile", one) for one in by.plan.profiles)]:
        for name in sorted(set(one.custodians) - set(known)) if known else ():
            yield f"the {kind} {one.name} is for {name}, for whom nothing was ever proposed; there are {', '.join(known)}"


def _without_place(by: Exporter, results: Iterable[ExportResult]) -> Iterable[str]:
    """Exports that stay in the export folder although others are delivered."""
    for result in results if by.deliveries else ():
        rows = {row.export_id: row for row in by.ledger.exports.exports_of(result.run_id)}
        if not ExportPlan.parse(rows[result.export_id].plan).deliveries:
            run = by.ledger.runs.get_run(result.run_id)
            is_simulation = run is not None and run.is_simulation
            why = "its run is a simulation" if is_simulation else "no delivery takes the orders of all its custodians"
            yield f"{result.export_id} goes to no place: {why}"


def _need_known(exports: Exports, custodians: Collection[str]) -> None:
    """A name that is mistyped would let nothing leave, and say nothing."""
    if strange := sorted(set(custodians) - set(exports.known_custodians())):
        raise WrongUsage(
            f"nothing was ever proposed for the custodian {strange[0]}\n\nHint: there are {', '.join(exports.known_custodians())}."
        )


def _acts(by: Exporter, run_id: str) -> Iterator[Sequence[ExportPlan]]:
    """What a run's orders leave by: first no plan, so that what was interrupted is finished, then plans that are claimed together."""
    yield ()
    approved = by.ledger.exports.approved_in(run_id).filter(pl.col("export_id").is_null())
    asked = asked_for(approved, by.custodians)
    for groups in _bound_groups(asked, _groups(by, asked)):
        yield [_plan_of(by, group) for group in groups]


def _plan_of(by: Exporter, group: tuple[str, ...]) -> ExportPlan:
    profiles = _profiles(by, group)
    update = {"custodians": group, "deliveries": _places(by, group, profiles), "profiles": profiles}
    return by.plan.model_copy(update=update)


def _groups(by: Exporter, asked: pl.DataFrame) -> list[tuple[str, ...]]:
    """Custodians that leave together; the empty group is everybody."""
    if not by.custodians and not any(delivery.custodians for delivery in by.deliveries):
        return [()]
    places: dict[tuple[str, ...], list[str]] = {}
    for custodian in asked["custodian"].unique().sort():
        group = (custodian,)
        places.setdefault(_places(by, group, _profiles(by, group)), []).append(custodian)
    return [tuple(group) for group in places.values()]


def _bound_groups(asked: pl.DataFrame, groups: list[tuple[str, ...]]) -> list[list[tuple[str, ...]]]:
    """The groups, those together that share a household; in the order of the first of each."""
    bound = [[group] for group in groups]
    shared = asked.drop_nulls("household_id").group_by("household_id").agg(pl.col("custodian").unique())
    for custodians in shared["custodian"].to_list():
        of_it = [some for some in bound if any(set(group) & set(custodians) for group in some)]
        if len(of_it) > 1:
            merged = [group for group in groups if any(group in some for some in of_it)]
            place = bound.index(of_it[0])
            bound = [some for some in bound if some not in of_it]
            bound.insert(place, merged)
    return bound


def _profiles(by: Exporter, group: Collection[str]) -> tuple[Profile, ...]:
    """Profiles that write orders of some of these custodians; the empty group is everybody."""
    return tuple(one for one in by.plan.profiles if not group or not one.custodians or set(group) & set(one.custodians))


def _places(by: Exporter, group: Collection[str], profiles: Collection[Profile]) -> tuple[str, ...]:
    """Places that take the orders of all these custodians, or of everybody, in a format that there is."""
    written = {"", *(profile.name for profile in profiles)}
    return tuple(
        one.name
        for one in by.deliveries
        if one.profile in written and (not one.custodians or (group and set(group) <= set(one.custodians)))
    )


def _held_back(by: Exporter, run_id: str) -> pl.DataFrame:
    """Approved proposals that a profile, a cut-off or a fill told since keeps, and those of their households; the reasons are audited once."""
    run = done_run(by.ledger.runs, run_id)
    waiting = by.ledger.exports.approved_in(run_id).filter(pl.col("export_id").is_null())
    late = by.ledger.exports.past_cut_off(run_id, by.now)
    told = pl.format("the cut-off of {} was at {} UTC", "custodian", pl.col("cut_off_at").dt.strftime("%Y-%m-%d %H:%M"))
    rows = [late.select("proposal_id", "account_id", reason=told)]
    in_time = waiting.join(late, on="proposal_id", how="anti")
    proposals = in_time.select("proposal_id", "account_id")
    behind = behind_since(by.lake, by.ledger, run, proposals["account_id"])
    rows.append(proposals.join(behind, on="account_id").select("proposal_id", "account_id", reason="waiting_reason"))
    if proposals.height and by.plan.profiles:
        stored = stored_tables(by.lake, run_id)
        settled = proposals.join(behind, on="account_id", how="anti")["account_id"]
        everybody = replace(by, custodians=frozenset())
        ids = proposals["proposal_id"]
        _, refused = planned_packages(run, stored, everybody, ids, [by.plan], settled=settled)
        named = refused.unique("account_id", keep="first", maintain_order=True).join(proposals, on="account_id")
        rows.append(named.select("proposal_id", "account_id", "reason"))
    found = pl.concat(rows)
    found = pl.concat([found, _kept_with(found, waiting)])
    if found.height:
        by.ledger.exports.note_refused(
            run_id, dict(found.select("proposal_id", "reason").iter_rows()), actor=by.actor, now=by.now
        )
    return found.select(pl.lit(run_id).alias("run_id"), *list(HELD_BACK)[1:])


def _kept_with(found: pl.DataFrame, waiting: pl.DataFrame) -> pl.DataFrame:
    """The other proposals of households of which one is kept back, with a reason that names it; columns of ``found``."""
    theirs = waiting.select("proposal_id", "account_id", "household_id").drop_nulls("household_id")
    first = (
        found.join(theirs.select("proposal_id", "household_id"), on="proposal_id")
        .unique("household_id", keep="first", maintain_order=True)
        .select("household_id", kept="account_id", why="reason")
    )
    told = pl.format(
        "it leaves together with {} of the household {}, which is kept back: {}", "kept", "household_id", "why"
    )
    others = theirs.join(first, on="household_id").join(found, on="proposal_id", how="anti").sort("proposal_id")
    return others.select("proposal_id", "account_id", reason=told)

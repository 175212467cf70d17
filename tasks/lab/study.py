"""A study in the lake: what was asked for, which of its shards of paths are finished, which policies it tries.

A study stands in the lake as a run does, under the hash of what it means; the ledger has none of it, for nothing of it is ever decided or
leaves. What is finished is what the lake has: a shard's rows are written in one transaction, so that a study that was broken off goes on where it was.
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import polars as pl

from schemas.enums import RunKind
from schemas.errors import WrongUsage
from schemas.lab import Study, parse_study
from schemas.lab_grid import PolicyPoint
from schemas.lab_tables import LAB, LAB_INTERNAL
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from tasks.core.lab import (
    BEGIN,
    Holders,
    LabPolicy,
    Market,
    MarketHistory,
    Measured,
    Terms,
    classes_of,
    course_count,
    courses,
    flows_of,
    later_dates,
    path_measures,
    simulate,
    step_count,
    steps_per_year,
    terms,
    unsupported,
)
from tasks.core.solver import Floats
from tasks.lab.data import content_hash, read_history
from tasks.lab.firm_accounts import FirmAccounts, firm_accounts, night_of_study, with_night
from tasks.runtime import utc_now
from warehouse.lake import open_lake

MOST_ACCOUNTS: Final = 100_000
"""A path under a policy is an account: so many a shard at most, unless it is a single path."""
MOST_CELLS: Final = 8_000_000
"""Steps of classes of all paths of a shard: 64 MB."""
SHOWN_ACCOUNTS: Final = 200_000
"""Accounts of the first paths whose measures are kept one by one, at most; of ``FEWEST_SHOWN`` paths in any case."""
FEWEST_SHOWN: Final = 50


@dataclass(frozen=True)
class StudyPlan:
    """A study, its data, and how it is cut into shards of paths: by the study alone, so that machines make no difference."""

    study: Study
    history: MarketHistory | None
    firm: FirmAccounts | None = None

    @property
    def account_count(self) -> int:
        """How many accounts each policy is tried on, on each course of the market."""
        return 1 if self.firm is None else len(self.firm.holders.names)

    def courses(self, first: int, count: int) -> Market:
        """The courses ``first`` to ``first + count - 1``, dated from the night on where accounts of one are tried."""
        return courses(self.study, self.history, first, count, None if self.firm is None else self.firm.begin)

    def terms(self, market: Market) -> Terms | Holders:
        """The accounts that every policy is tried on."""
        if self.firm is None:
            return terms(self.study, market)
        return replace(self.firm.holders, flow_usd=flows_of(self.study, market))

    @property
    def minutes(self) -> tuple[float, float, float] | None:
        """Minutes of a proposal that policy approves, one person decides, two decide; null: none are stated, and proposals not counted."""
        stated = self.study.review
        return None if stated is None else (stated.minutes_auto, stated.minutes_one, stated.minutes_two)

    def figures(self, market: Market) -> tuple[Measured, dict[str, Floats]]:
        """What the engine measures on a market, and ``path_measures`` of it, each account by itself."""
        measured = simulate(market, self.policies, self.terms(market), is_routed=self.minutes is not None)
        return measured, path_measures(measured, market, self.minutes)

    @cached_property
    def points(self) -> list[PolicyPoint]:
        """Every policy of the grid by its parameters; the first is the reference."""
        return self.study.points()

    @cached_property
    def policies(self) -> list[LabPolicy]:
        """The same as the engine takes them."""
        return [LabPolicy(point.look, point.policy, point.absolute_band, point.relative_band) for point in self.points]

    @property
    def path_count(self) -> int:
        """All paths."""
        return course_count(self.study)

    @property
    def shard_size(self) -> int:
        """Paths of a shard; the last may have fewer."""
        cells = step_count(self.study, self.history) * len(classes_of(self.study))
        accounts = len(self.policies) * self.account_count
        return max(1, min(MOST_ACCOUNTS // accounts, MOST_CELLS // cells, self.path_count))

    @property
    def shard_count(self) -> int:
        """How many shards there are."""
        return -(-self.path_count // self.shard_size)

    @property
    def shown_count(self) -> int:
        """How many paths are kept one by one."""
        return min(self.path_count, max(FEWEST_SHOWN, SHOWN_ACCOUNTS // len(self.policies)))

    @property
    def as_of(self) -> date:
        """The last date of the market's data, or the night of the accounts."""
        if self.firm is not None:
            return self.firm.begin
        market = self.study.market
        return BEGIN if self.history is None else self.history.between(market.from_, market.to).dates[-1]

    @property
    def run(self) -> RunRef:
        """How the study's rows are named in the lake."""
        return RunRef(self.study.study_id, self.as_of, RunKind.MANUAL, self.shard_count)

    def paths_of(self, shard: int) -> range:
        """The paths of a shard, by number."""
        first = shard * self.shard_size
        return range(first, min(first + self.shard_size, self.path_count))


def plan_of(study: Study, settings: Settings | None = None) -> StudyPlan:
    """The plan of a study; its data are read, and accounts of the firm from the home.

    Raises
    ------
    WrongUsage
        They are not there or do not have what the study asks for, or the engine cannot try a policy yet.
    """
    history = read_history(study)
    if history is not None:
        history.between(study.market.from_, study.market.to).of([*study.book.market_classes.values()])
    firm = None
    if study.book.kind == "accounts" and settings is not None:
        begin = night_of_study(settings, study).as_of_date
        looks = later_dates(begin, 1, steps_per_year(study, history))
        firm = firm_accounts(settings, study, looks[1])
    plan = StudyPlan(study, history, firm)
    for point, policy in zip(plan.points, plan.policies, strict=True):
        if said := unsupported(policy):
            raise WrongUsage(f"the lab cannot try {point.policy_id}: {said}\n\nHint: change [grid] of the study.")
    return plan


def read_study(path: Path) -> Study:
    """The study in a TOML file. A market's file is taken from the folder of the study, and known by its content from here on.

    Raises
    ------
    WrongUsage
        The file cannot be read, or does not hold together.
    """
    try:
        study = parse_study(path.read_bytes(), source=path.name)
    except OSError as error:
        raise WrongUsage(
            f"{path} cannot be read: {error.strerror}\n\nHint: `trimtab lab run` takes a TOML file, as examples/lab/bands.toml."
        ) from error
    if study.market.source != "file":
        return study
    data = (path.parent / str(study.market.path)).resolve()
    known = {"path": str(data), "content_hash": content_hash(data)}
    given = study.model_dump(by_alias=True, exclude_unset=True)
    return Study.model_validate(given | {"market": given["market"] | known})


def enter_study(settings: Settings, study: Study) -> StudyPlan:
    """Put a study into the lake, where workers find it; again changes its name at most.

    Raises
    ------
    WrongUsage
        Its data do not have what it asks for.
    """
    plan = plan_of(with_night(settings, study), settings)
    study = plan.study
    words = {"study_name": [study.name], "study": [study.to_json()]}
    row = {**words, "shard_count": [plan.shard_count], "entered_date": [utc_now().date()]}
    frame = pl.DataFrame(row, schema=LAB_INTERNAL["lab_studies"])
    frames = {"lab_studies": frame}
    if plan.firm is not None:
        named = plan.firm.left_out.with_columns(study_id=pl.lit(study.study_id), is_hypothetical=pl.lit(value=True))
        frames["lab_left_out"] = named.select(LAB["lab_left_out"].keys())
    open_lake(settings).replace(plan.run, GLOBAL_SHARD, frames)
    return plan


def load_plan(settings: Settings, study_id: str) -> StudyPlan:
    """The plan of a study that was entered.

    Raises
    ------
    WrongUsage
        It was not, or its data are not what they were.
    """
    rows = open_lake(settings).read("lab_studies", study_id)
    if rows.is_empty():
        raise WrongUsage(f"there is no study {study_id}\n\nHint: `trimtab lab list` has them.")
    return plan_of(Study.of_json(rows["study"].item()), settings)


def finished_shards(settings: Settings, study_id: str) -> list[int]:
    """Shards of a study that the lake has."""
    return open_lake(settings).rows_found("study_shards", study_id=study_id)["shard"].to_list()


def list_studies(settings: Settings) -> pl.DataFrame:
    """``study_id, study_name, policy_count, path_count, shard_count, finished_count, is_done`` of every study."""
    rows = open_lake(settings).rows_found("studies")
    studies = [Study.of_json(text) for text in rows["study"]]
    return rows.select(
        "study_id",
        "study_name",
        policy_count=pl.Series([len(study.points()) for study in studies], dtype=pl.Int64),
        path_count=pl.Series([course_count(study) for study in studies], dtype=pl.Int64),
        shard_count=pl.col("shard_count"),
        finished_count=pl.col("finished_count"),
        is_done=pl.col("is_done"),
    )


def find_study(settings: Settings, words: str) -> dict[str, Any]:
    """The row of ``list_studies`` of the study that is called so, or whose id begins so.

    Raises
    ------
    WrongUsage
        None is, or several are.
    """
    rows = list_studies(settings)
    found = rows.filter((pl.col("study_name") == words) | pl.col("study_id").str.starts_with(words))
    if found.height != 1:
        which = "no study" if found.is_empty() else f"{found.height} studies ({', '.join(found['study_id'])})"
        raise WrongUsage(
            f"{which} called {words}, or whose id begins so; needed one\n\nHint: `trimtab lab list` has them."
        )
    return found.row(0, named=True)

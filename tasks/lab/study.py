"""A study in the lake: what was asked for, which of its shards of paths are finished, which policies it tries.

A study stands in the lake as a run does, under the hash of what it means; the ledger has none of it, for nothing of it is ever decided or
leaves. What is finished is what the lake has: a shard's rows are written in one transaction, so that a study that was broken off goes on where it was.
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import polars as pl

from schemas.enums import RunKind
from schemas.errors import WrongUsage
from schemas.lab import Study, parse_study
from schemas.lab_grid import PolicyPoint
from schemas.lab_tables import LAB_INTERNAL
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from tasks.core.lab import BEGIN, LabPolicy, MarketHistory, classes_of, course_count, step_count, unsupported
from tasks.lab.data import content_hash, read_history
from warehouse.lake import Lake, open_lake

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
        cells = step_count(self.study, self.history) * len(self.study.book.targets)
        return max(1, min(MOST_ACCOUNTS // len(self.policies), MOST_CELLS // cells, self.path_count))

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
        """The last date of the market's data."""
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


def plan_of(study: Study) -> StudyPlan:
    """The plan of a study; its data are read.

    Raises
    ------
    WrongUsage
        They are not there or do not have what the study asks for, or the engine cannot try a policy yet.
    """
    history = read_history(study)
    plan = StudyPlan(study, history)
    if history is not None:
        history.between(study.market.from_, study.market.to).of(classes_of(study))
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
    plan = plan_of(study)
    row = {"study_name": [study.name], "study": [study.to_json()], "shard_count": [plan.shard_count]}
    frame = pl.DataFrame(row, schema=LAB_INTERNAL["lab_studies"])
    open_lake(settings).replace(plan.run, GLOBAL_SHARD, {"lab_studies": frame})
    return plan


def stored_plan(lake: Lake, study_id: str) -> StudyPlan:
    """The plan of a study that was entered.

    Raises
    ------
    WrongUsage
        It was not, or its data are not what they were.
    """
    rows = lake.read("lab_studies", study_id)
    if rows.is_empty():
        raise WrongUsage(f"there is no study {study_id}\n\nHint: `trimtab lab list` has them.")
    return plan_of(Study.of_json(rows["study"].item()))


def load_plan(settings: Settings, study_id: str) -> StudyPlan:
    """``stored_plan`` of the settings' lake."""
    return stored_plan(open_lake(settings), study_id)


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

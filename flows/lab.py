"""The policy lab: the shards of a study's paths, one after the other or on the workers of a cluster, and what all of them come to."""

import sys
from contextlib import ExitStack
from typing import Any, Self, cast
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flows.workers import shard_executor
from schemas.run import RunRef
from tasks.lab import SIMULATE, finished_shards, lab_paths_task, lab_summary_task, load_plan
from tasks.runtime import current_settings, foreseen_as_state, private_files


@flow(name="lab", flow_run_name="lab {study_id}", validate_parameters=False)
@foreseen_as_state
def lab(study_id: str) -> int | State[Any]:
    """Try every policy of a study that was entered, and say on how many paths; shards that the lake has are not done again."""
    private_files()
    settings = current_settings()
    plan = load_plan(settings, study_id)
    left = sorted(set(plan.run.shards) - set(finished_shards(settings, study_id)))
    with shard_executor(settings) as executor, StudyProgress(plan.run, len(left)) as progress:
        executor.each(
            SIMULATE,
            lab_paths_task,
            plan.run,
            left,
            finished=lambda: {(SIMULATE, shard) for shard in finished_shards(settings, study_id)},
            moved=progress.move,
        )
    lab_summary_task(plan.run)
    get_run_logger().info("%s: %d policies on %d paths", plan.study.name, len(plan.policies), plan.path_count)
    return plan.path_count


class StudyProgress:
    """Moves the study's progress bar, in Prefect's pages and, where a person looks on, in the terminal."""

    def __init__(self, run: RunRef, left_count: int) -> None:
        self._total, self._done = run.shard_count, run.shard_count - left_count
        made = create_progress_artifact(progress=self._percent(), key="lab-progress", description=run.run_id)
        self._artifact = cast(UUID, made)  # a coroutine only where the caller is one
        console = Console(file=sys.stderr)
        self._bar = Progress(
            TextColumn("paths"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._shown = self._bar.add_task("paths", total=self._total, completed=self._done)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Show the bar."""
        self._open.enter_context(self._bar)
        return self

    def __exit__(self, *failure: object) -> None:
        """Leave it as it stands."""
        self._open.close()

    def move(self) -> None:
        """One more shard is done."""
        self._done += 1
        self._bar.update(self._shown, completed=self._done)
        update_progress_artifact(self._artifact, self._percent())

    def _percent(self) -> float:
        return min(100.0, 100.0 * self._done / self._total)

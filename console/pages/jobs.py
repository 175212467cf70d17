"""What people asked the console to do, and how far it is: started as a process of its own, told here as it goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from nicegui import ui

from console.pages.parts import panel
from console.shared import PageContext, clock, note_dialog, plural, span
from schemas.errors import ExitCode
from tasks.jobs import settle_lost, start_job
from warehouse.ledger import JobKind, JobRow, RunRow

LOOKS_SECONDS: Final = 1.5
SHOWN: Final = 6
WORDS: Final[Mapping[JobKind, str]] = {
    JobKind.CHECK: "check of the files",
    JobKind.DRY_RUN: "dry run",
    JobKind.NIGHT: "night",
    JobKind.RESUME: "resumption",
    JobKind.EXPORT: "export",
    JobKind.DELIVER: "delivery",
}
ENDS: Final[Mapping[int, tuple[str, str]]] = {
    ExitCode.DONE: ("done", "done"),
    ExitCode.HELD: ("held", "held"),
    ExitCode.INPUT_REFUSED: ("input refused", "failed"),
}
"""By exit code: what it is called, and how it is coloured."""
STEPS_A_SHARD: Final = 3
STEPS_BESIDE: Final = 3
"""Of a run: pull, the gate of what belongs to no account, and route."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with how far its run is: finished steps of all; null: no run yet, or none of its own."""

    job: JobRow
    run: RunRow | None
    steps: tuple[int, int, str] | None


async def ask_for(desk: PageContext, kind: JobKind, wanted: Mapping[str, Any]) -> JobRow | None:
    """Ask for work; what was refused is told in a notice, and null comes back."""
    backend = desk.backend
    job = await desk.ask(
        lambda: start_job(backend.ledger.jobs, backend.settings, kind, wanted, actor=desk.name, now=desk.now)
    )
    if job is not None:
        ui.notify(f"The {WORDS[kind]} is asked for; how far it is stands on this page.", type="positive")
    return job


async def ask_resumption(desk: PageContext, run: RunRow) -> None:
    """Let a held run go on, after asking why."""
    text = "It goes on from where it stopped, on what it pulled. Its guards' reasons stay on record with your note."
    note = await note_dialog(f"Resume the night of {run.as_of_date}?", text, "Resume")
    if note is not None:
        await ask_for(desk, JobKind.RESUME, {"run_id": run.run_id, "note": note})


def read_jobs(desk: PageContext, limit: int = SHOWN) -> list[JobView]:
    """The newest jobs, and how far each is."""
    ledger = desk.backend.ledger
    settle_lost(ledger.jobs, desk.now)
    return [_view(desk, job) for job in ledger.jobs.list_jobs(limit)]


def _view(desk: PageContext, job: JobRow) -> JobView:
    runs = desk.backend.ledger.runs
    run = runs.get_run(job.run_id) if job.run_id else None
    if job.finished_at is not None:
        return JobView(job, run, None)
    if job.kind is JobKind.RESUME:
        run = runs.get_run(str(job.wanted["run_id"]))
    elif job.kind is JobKind.NIGHT:
        day = date.fromisoformat(job.wanted["as_of"])
        own = (one for one in runs.list_runs(SHOWN) if one.started_at >= job.asked_at and one.as_of_date == day)
        run = next((one for one in own if one.submitter == job.actor), None)
    if run is None:
        return JobView(job, None, None)
    steps = runs.step_rows(run.run_id)
    every = STEPS_A_SHARD * run.shard_count + STEPS_BESIDE
    return JobView(job, run, (min(len(steps), every), every, str(steps[-1].step) if steps else "pull"))


class JobsPanel:
    """The newest jobs on a page; drawn anew where one has changed. ``is_quiet``: nothing is shown while none is under way."""

    def __init__(self, desk: PageContext, *, is_quiet: bool = False) -> None:
        self._desk = desk
        self._is_quiet = is_quiet
        self._seen: Sequence[JobView] | None = None
        self.place = ui.element("div").props('role="status" aria-live="polite"').classes("full")
        ui.timer(LOOKS_SECONDS, self.refresh)

    async def refresh(self) -> None:
        """Look how far they are."""
        found = await self._desk.look(lambda: read_jobs(self._desk))
        if found is None:
            return
        shown = [one for one in found if one.job.finished_at is None] if self._is_quiet else found
        if shown == self._seen and not any(one.job.finished_at is None for one in shown):
            return
        self._seen = shown
        self.place.clear()
        if shown:
            with self.place, panel("Asked for", wide=True):
                for one in shown:
                    self._draw(one)

    def _draw(self, one: JobView) -> None:
        job, now = one.job, self._desk.now
        with ui.element("div").classes("job"):
            with ui.row().classes("headline"):
                ui.label(_what(job)).classes("strong")
                name, look = (
                    ENDS.get(job.exit_code or 0, ("failed", "failed")) if job.finished_at else ("under way", "running")
                )
                ui.label(name).classes(f"state {look}")
                ui.label(f"asked by {job.actor}, {clock(job.asked_at)}").classes("quiet")
                if job.finished_at:
                    ui.label(f"took {span(job.finished_at - job.asked_at)}").classes("quiet")
                else:
                    ui.label(span(now - job.asked_at)).classes("quiet")
                if one.run is not None:
                    ui.link("to the run", f"/?run={one.run.run_id}")
            if one.steps is not None:
                done, every, step = one.steps
                bar = ui.linear_progress(value=done / every, show_value=False, size="8px")
                bar.props(f'aria-label="{done} of {plural(every, "step")} done"')
                ui.label(f"{done} of {plural(every, 'step')}, last: {step}").classes("quiet")
            elif job.finished_at is None:
                ui.linear_progress(show_value=False, size="8px").props('indeterminate aria-label="Reading the files"')
            for line in filter(None, (job.told or "").splitlines()):
                ui.label(line)


def _what(job: JobRow) -> str:
    about = job.wanted.get("as_of") or job.wanted.get("run_id") or "every run"
    source = f" from {job.wanted['source'][0]}" if job.wanted.get("source") else ""
    return f"{WORDS[job.kind].capitalize()} of {about}{source}"

"""Studies of the policy lab: what each policy costs and gives, all of it hypothetical."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
from fastapi import Request
from nicegui import ui

from console.pages.parts import panel, plain_table
from console.shared import Backend, PageContext, count, frame, page_context, waiting_page
from tasks.lab import StudyPicture, list_studies, policy_table, read_study_page, short_measures
from warehouse.ledger import PolicyChange

TITLE: Final = "Studies"


def register(backend: Backend) -> None:
    """``/studies`` and ``/studies/<id>``."""

    @ui.page("/studies")
    async def studies(request: Request) -> None:
        desk = page_context(backend, request)
        with frame(desk, request, TITLE), panel("Studies of the policy lab", wide=True) as part:
            pass
        if not await desk.arrived():
            return
        rows = await desk.look(lambda: list_studies(desk.backend.settings))
        with part:
            _list(rows)

    @ui.page("/studies/{study_id}")
    async def study(request: Request, study_id: str) -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, TITLE)
        if content is not None:
            await desk.show(content, lambda: _read(desk, study_id), _draw)


@dataclass(frozen=True)
class _Study:
    """What the page shows."""

    name: str
    words: Mapping[str, Any]
    policies: pl.DataFrame
    pictures: Sequence[StudyPicture]
    left_out: pl.DataFrame
    changes: list[PolicyChange]


def _read(desk: PageContext, study_id: str) -> _Study:
    backend = desk.backend
    page = read_study_page(backend.settings, study_id)
    changes = [each for each in backend.ledger.policy_changes.list_changes() if each.study_id == study_id]
    return _Study(page.name, page.words, page.policies, page.pictures, page.left_out, changes)


def _list(rows: pl.DataFrame | None) -> None:
    if rows is None or rows.is_empty():
        ui.label("None yet. Studies are run by trimtab lab run; docs/how-to/lab.md says how.").classes("quiet")
        return
    shown = [
        {
            "study": row["study_name"],
            "policies": count(row["policy_count"]),
            "paths": count(row["path_count"]),
            "state": "done" if row["is_done"] else f"{row['finished_count']} of {row['shard_count']} parts",
            "link": f"/studies/{row['study_id']}",
        }
        for row in rows.iter_rows(named=True)
    ]
    columns = {name: name for name in ("study", "policies", "paths", "state")}
    plain_table(columns, shown, numbers=("policies", "paths"), link="study")


def _draw(study: _Study) -> None:
    with ui.element("div").classes("banner bad").props('role="note"'):
        ui.label(study.words["title"]).classes("strong")
        with ui.expansion("Criteria, assumptions and risks").classes("quiet"):
            for part in ("criteria", "assumptions", "risks"):
                for sentence in study.words[part]:
                    ui.label(sentence)
    with ui.element("section").classes("panel head"):
        ui.label(study.name).classes("title").props('role="heading" aria-level="2"')
    with panel("Policies", wide=True):
        names = ["policy", "group", *short_measures()]
        rows = [
            {
                "number": str(number),
                **dict(zip(names, ("" if value is None else str(value) for value in row), strict=True)),
            }
            for number, row in enumerate(policy_table(study.policies), 1)
        ]
        labels = {name: name.removesuffix("_usd").replace("_", " ") for name in names}
        plain_table({"number": "", **labels}, rows, numbers=("number", "group"))
        ui.label(
            "In brackets: the difference to the reference on the same paths, and its standard error. Policies of one group cannot be told apart by the wealth that they leave."
        ).classes("quiet")
    with ui.element("div").classes("halves"):
        for picture in study.pictures:
            with ui.element("section").classes("panel"):
                ui.html(picture.svg, sanitize=False).classes("picture")
                ui.label(picture.caption).classes("quiet")
    _left_out(study.left_out)
    _changes(study.changes)


def _left_out(rows: pl.DataFrame) -> None:
    if rows.is_empty():
        return
    with panel(f"Accounts left out: {rows.height:,}"):
        reasons = rows["reason"].value_counts().sort("count", "reason", descending=[True, False])
        shown = [{"accounts": count(number), "because": reason} for reason, number in reasons.iter_rows()]
        plain_table({"accounts": "accounts", "because": "because"}, shown, numbers=("accounts",))


def _changes(changes: list[PolicyChange]) -> None:
    if not changes:
        return
    with panel("Changes of policy that it stands behind"):
        shown = [
            {
                "state": change.state,
                "policy": change.policy_id,
                "by": change.study_policy,
                "proposed by": change.proposer,
                "approved by": ", ".join(vote.actor for vote in change.votes if vote.is_approved),
                "note": change.note,
            }
            for change in changes
        ]
        plain_table({name: name for name in shown[0]}, shown)

"""Models: what each asks for and how far accounts may be off, who is on it, how far they are, and who trades tonight."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from console.pages.parts import Pager, facts, panel, plain_table
from console.shared import (
    NONE,
    Backend,
    count,
    dollars,
    drift_chart,
    from_to,
    large_dollars,
    page_context,
    percent,
    plural,
    waiting_page,
    word,
)
from tasks.core.explain import OUTCOMES
from tasks.review import model_page, models_page

TITLE: Final = "Models"
PAGE_ROWS: Final = 50
LIST_COLUMNS: Final = {
    "model": "model",
    "classes": "classes",
    "accounts": "accounts",
    "value": "value",
    "mean": "drift, mean",
    "max": "drift, largest",
    "trading": "trade tonight",
    "trades": "trades",
}
ACCOUNT_COLUMNS: Final = {
    "account": "account",
    "custodian": "custodian",
    "value": "value",
    "drift": "drift",
    "outcome": "outcome",
    "trades": "trades",
    "tax": "tax",
}
TARGET_COLUMNS: Final = {
    "asset_class": "asset class",
    "target": "target",
    "absolute": "absolute band",
    "relative": "relative band",
    "lesser": "the lesser",
    "greater": "the greater",
}
NUMBERS: Final = (
    *("classes", "accounts", "value", "mean", "max", "trading", "trades", "drift", "tax", "rank"),
    *("target", "absolute", "relative", "lesser", "greater"),
)
CELLS: Final = """
<a v-if="col.name === 'account'" :href="props.row.link" class="row-link mono">{{ props.row.account }}</a>
<template v-else-if="col.name === 'outcome'"><span :class="'state ' + props.row.word">{{ props.row.outcome }}</span></template>
<template v-else-if="col.name === 'trades'"><a v-if="props.row.to" :href="props.row.to" class="row-link">{{ props.row.trades }}</a></template>
"""


def register(backend: Backend) -> None:
    """``/models`` and ``/models/<id>``, of the newest whole night, and ``?run=`` of another."""

    @ui.page("/models")
    async def every(request: Request, run: str = "") -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, TITLE)
        if content is not None:
            await desk.show(content, lambda: models_page(backend.lake, backend.ledger.runs, run or None), _draw_all)

    @ui.page("/models/{model_id}")
    async def one(request: Request, model_id: str, run: str = "") -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, "Model")
        if content is not None:
            await desk.show(
                content, lambda: model_page(backend.lake, backend.ledger.runs, model_id, run_id=run or None), _draw
            )


def _draw_all(page: dict[str, Any]) -> None:
    _headline(TITLE, page)
    with ui.row().classes("decisions"):
        ui.link("Model changes that investors' profiles ask for", "/model-changes")
        ui.link("The models over nights", "/book?by=model&nights=30")
    with panel("Every model", wide=True):
        rows = [
            {
                "model": one["model_id"],
                "link": f"/models/{quote(one['model_id'])}",
                "classes": count(one["classes"]) if one["classes"] else "no targets",
                "accounts": count(one["accounts"]),
                "value": large_dollars(one["nav_usd"]),
                "mean": percent(one["mean_drift"]),
                "max": percent(one["max_drift"]),
                "trading": count(one["trading"]),
                "trades": large_dollars(one["traded_usd"]),
            }
            for one in page["models"]
        ]
        plain_table(LIST_COLUMNS, rows, numbers=NUMBERS, link="model").props('aria-label="Models"')


def _headline(title: str, page: dict[str, Any]) -> None:
    with ui.row().classes("headline"):
        ui.label(title).classes("title").props('role="heading" aria-level="2"')
        ui.space()
        ui.link(f"night of {page['run']['as_of_date']}", f"/?run={page['run']['run_id']}").classes("quiet")


def _draw(page: dict[str, Any]) -> None:
    name = page["model_id"]
    _headline(f"Model {name}", page)
    trading = page["outcomes"].get("proposed", 0)
    figures = [
        (count(page["account_count"]), "accounts"),
        (large_dollars(page["nav_usd"]), "value"),
        (count(trading), "trade tonight"),
        (large_dollars(page["trades"]["gross_value_usd"]), "of trades"),
        (large_dollars(page["trades"]["est_tax_usd"]), "tax"),
        (large_dollars(page["trades"]["est_cost_usd"]), "cost"),
    ]
    with ui.element("div").classes("tiles"):
        for figure, text in figures:
            with ui.element("div").classes("tile"):
                ui.label(figure).classes("figure")
                ui.label(text).classes("quiet")
    with ui.row().classes("decisions"):
        ui.link("Performance of its accounts", f"/models/{quote(name)}/performance")
        ui.link("Model changes", "/model-changes")
        ui.link("Every model", "/models")
    with ui.element("div").classes("halves"):
        _targets(page["targets"])
        with panel("Drift of its accounts"):
            chart = ui.echart(drift_chart(page["drift"]["before"], page["drift"]["after"])).style("height: 320px")
            chart.props('role="img" aria-label="Accounts by one-way drift, now and after the trades"')
        with panel("What became of them"):
            said = dict(OUTCOMES)
            facts({f"{word(one)}: {count(number)}": said.get(one, "") for one, number in page["outcomes"].items()})
        _buy_list(page["buy_list"])
    _accounts(page["accounts"])


def _targets(targets: Sequence[dict[str, Any]]) -> None:
    with panel("Targets and tolerances"):
        if not targets:
            ui.label("No target was delivered: accounts on this model are not traded.").classes("note")
            return
        rows = [
            {
                "asset_class": word(one["asset_class"] or NONE),
                "target": percent(one["target_weight"]),
                "absolute": percent(one["absolute_band"]),
                "relative": percent(one["relative_band"], 0),
                "lesser": percent(one["lesser_band"], 2),
                "greater": percent(one["greater_band"], 2),
            }
            for one in targets
        ]
        plain_table(TARGET_COLUMNS, rows, numbers=NUMBERS).props('aria-label="Targets"')
        ui.label(
            "An absolute band is in per cent of value, a relative one in per cent of the target. Which of the two counts where both are given, "
            "the lesser or the greater, is policy."
        ).classes("quiet")


def _buy_list(rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    with panel("What it buys"):
        shown = [
            {
                "asset_class": word(one["asset_class"] or NONE),
                "security": one["security_id"] or NONE,
                "link": f"/securities/{quote(one['security_id'] or '')}",
                "rank": count(one["rank"]),
                "tax": word(one["tax_status"] or "any"),
            }
            for one in rows
        ]
        columns = {"asset_class": "asset class", "security": "security", "rank": "rank", "tax": "of accounts"}
        plain_table(columns, shown, numbers=NUMBERS, link="security").props('aria-label="Buy list"')


def _accounts(accounts: Sequence[dict[str, Any]]) -> None:
    with panel("Its accounts", wide=True):
        ui.label("Those that trade first, then those that are off most.").classes("quiet")
        table = plain_table(ACCOUNT_COLUMNS, [], numbers=NUMBERS, cells=CELLS)
        table.props('aria-label="Accounts of the model"')
        at = {"skip": 0}

        async def turn(by: int) -> None:
            show(max(at["skip"] + by, 0))

        pager = Pager(turn, PAGE_ROWS)

        def show(skip: int) -> None:
            at["skip"] = skip
            table.rows = [_account(one) for one in accounts[skip : skip + PAGE_ROWS]]
            table.update()
            pager.show(skip, len(accounts), plural(0, "account"))

        show(0)


def _account(one: dict[str, Any]) -> dict[str, Any]:
    is_trading = one["proposal_id"] is not None
    before, after = one["one_way_drift"], one["one_way_drift_after"]
    return {
        "id": one["account_id"],
        "account": one["account_id"],
        "link": f"/accounts/{quote(one['account_id'])}",
        "custodian": one["custodian"] or NONE,
        "value": dollars(one["nav_usd"]),
        "drift": from_to(before, after) if is_trading else percent(before),
        "outcome": word(one["outcome"]),
        "word": one["outcome"],
        "trades": dollars(one["gross_value_usd"]) if is_trading else "",
        "to": f"/proposals/{one['proposal_id']}" if is_trading else "",
        "tax": dollars(one["est_tax_usd"]) if is_trading else "",
    }

"""Pieces that several pages are made of."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

from nicegui import ui

from console.shared import NONE, class_chart, day, dollars, height_of, ordered, percent, plural, shares, word
from schemas.enums import RunState
from tasks.core.explain import folded, folded_orders, folded_words
from warehouse.ledger import RunRow

LINK_CELL: Final = '<q-td :props="props"><a :href="props.row.link" class="row-link">{{ props.value }}</a></q-td>'
ROW: Final = """
<q-tr :props="props">
  <q-td v-for="col in props.cols" :key="col.name" :props="props">
    CELLS
    <template v-else>{{ col.value }}</template>
  </q-td>
</q-tr>
"""
ALL_ROWS: Final = '<q-checkbox dense v-model="props.selected" aria-label="Select all rows shown" />'
"""The box in the head of a table of which rows are selected."""
Page = Mapping[str, Any]
MOST_ALIKE: Final = 20
"""Orders of members of an index, of one side, that are shown without being asked for."""
NO_LINKS: Final[Mapping[str, str]] = MappingProxyType({})


@contextmanager
def panel(title: str, *, wide: bool = False) -> Iterator[ui.element]:
    """A titled part of a page."""
    with ui.element("section").classes("panel wide" if wide else "panel") as section:
        ui.label(title).classes("panel-title").props('role="heading" aria-level="2"')
        yield section


def facts(pairs: Mapping[str, str], links: Mapping[str, str] = NO_LINKS) -> None:
    """Names with their values, one a line; some values lead somewhere."""
    with ui.element("dl").classes("facts"):
        for name, value in pairs.items():
            with ui.element("dt"):
                ui.label(name)
            with ui.element("dd"):
                ui.link(value, links[name]) if name in links else ui.label(value)


def plain_table(
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    *,
    numbers: Sequence[str] = (),
    link: str = "",
    cells: str = "",
) -> ui.table:
    """A table without paging; ``link`` names the column whose cells lead to the row's ``link``.

    ``cells``: how the cells of some columns are drawn, ``v-if`` after ``v-if``; others show their value.
    """
    described = [
        {"name": name, "label": label, "field": name, "align": "right" if name in numbers else "left"}
        for name, label in columns.items()
    ]
    keyed = [{"id": number, **row} for number, row in enumerate(rows)]
    table = ui.table(rows=keyed, columns=described, row_key="id").props("flat dense wrap-cells").classes("plain")
    if link:
        table.add_slot(f"body-cell-{link}", LINK_CELL)
    if cells:
        table.add_slot("body", ROW.replace("CELLS", cells))
    return table


class Pager:
    """Turns the pages of a grid; ``turn`` is called with how many rows to go on, or back."""

    def __init__(self, turn: Callable[[int], Awaitable[None]], page_rows: int) -> None:
        self.page_rows = page_rows
        with ui.row().classes("pager"):
            self.back = ui.button(icon="chevron_left", on_click=lambda: turn(-page_rows))
            self.back.props('flat round aria-label="Previous page"')
            self.where = ui.label().classes("quiet")
            self.forth = ui.button(icon="chevron_right", on_click=lambda: turn(page_rows))
            self.forth.props('flat round aria-label="Next page"')

    def show(self, skip: int, number: int, nothing: str) -> None:
        """Say which rows of how many are shown, or ``nothing``."""
        last = min(skip + self.page_rows, number)
        self.where.text = f"{skip + 1:,}–{last:,} of {number:,}" if number else nothing  # noqa: RUF001
        self.back.set_enabled(skip > 0)
        self.forth.set_enabled(last < number)


def standing_of(run: RunRow, newer: RunRow | None) -> str:
    """A run's state as it is shown: one whose place another took is neither held nor at work any more."""
    return "superseded" if newer is not None and run.state is not RunState.DONE else str(run.state)


def name_boxes(table: ui.table, field: str) -> None:
    """Give the boxes by which rows are selected names: that of the whole, and of each row what its ``field`` has."""
    table.add_slot("header-selection", ALL_ROWS)
    table.add_slot(
        "body-selection",
        f"""<q-checkbox dense v-model="props.selected" :aria-label="'Select ' + props.row.{field}" />""",
    )


def chips(words: Sequence[str], kind: str = "") -> None:
    """Words as small labels in a row."""
    for each in words:
        ui.label(each).classes(f"chip {kind}")


def class_panel(page: Page) -> None:
    """Weights by class, now and after, within their bands; and what stopped a class that stays out."""
    classes = folded(page["classes"])
    if not classes:
        return
    with panel("Weights by class", wide=True):
        chart = ui.echart(class_chart(classes)).style(f"height: {height_of(len(classes))}px")
        chart.props('role="img" aria-label="Weight of each class now and after the trades, with its band"')
        with ui.expansion("As a table").classes("quiet"):
            rows = [
                {
                    "class": word(row["asset_class"]),
                    "value": dollars(row["value_usd"]),
                    "weight": percent(row["weight"]),
                    "target": percent(row["target_weight"]),
                    "band": percent(row["band"]),
                    "drift": percent(row["drift"]),
                    "after": percent(row.get("weight_after")),
                    "out": "out of band" if row["is_out_of_band"] else "",
                }
                for row in classes
            ]
            columns = {name: name for name in ("class", "value", "weight", "target", "band", "drift", "after")}
            plain_table({**columns, "out": ""}, rows, numbers=("value", "weight", "target", "band", "drift", "after"))
        for row in folded_words(page.get("stopped", ()), ("code",)):
            with ui.element("p").classes("note"):
                ui.label(f"{word(row['asset_class'])}: {row['sentence']}")
                ui.label(str(row["detail"] or "")).classes("quiet")


def order_rows(orders: Sequence[Page]) -> list[dict[str, Any]]:
    """Orders as rows of the table that ``orders_table`` draws; their lots are text."""
    return [
        {
            "order_id": one["order_id"],
            "side": one["side"],
            "symbol": one["symbol"] or one["security_id"],
            "quantity": ordered(one["quantity"], one["amount_usd"]),
            "price": f"{float(one['price_usd']):,.2f}",
            "value": dollars(one["value_usd"]),
            "tax": dollars(one["est_tax_usd"]),
            "cost": dollars(one["est_cost_usd"]),
            "reason": one["reason"],
            "note": one.get("note") or "",
            "lots": [_lot(lot) for lot in one.get("lots", [])],
        }
        for one in orders
    ]


def _lot(lot: Page) -> dict[str, str]:
    return {
        "lot": str(lot["lot_id"]),
        "quantity": shares(lot["quantity"]),
        "cost": "unknown" if lot["unit_cost_usd"] is None else f"{float(lot['unit_cost_usd']):,.2f}",
        "acquired": day(lot["acquired_date"]),
        "term": str(lot["term"] or NONE),
        "gain": dollars(lot["gain_usd"]),
    }


ORDER_COLUMNS: Final = {
    "side": "",
    "symbol": "symbol",
    "quantity": "quantity",
    "price": "price",
    "value": "value",
    "tax": "tax",
    "cost": "cost",
    "reason": "reason",
}
ORDER_BODY: Final = """
<q-tr :props="props" :class="props.row.side">
  <q-td v-for="col in props.cols" :key="col.name" :props="props">
    <template v-if="col.name === 'side'"><span :class="'side ' + props.row.side">{{ props.row.side }}</span></template>
    <template v-else-if="col.name === 'reason'">
      <div>{{ props.row.reason }}</div>
      <div v-if="props.row.note" class="quiet">{{ props.row.note }}</div>
      <details v-if="props.row.lots.length" class="lots"><summary>{{ props.row.lots.length === 1 ? '1 lot' : props.row.lots.length + ' lots' }}</summary>
        <table><thead><tr><th>lot</th><th>shares</th><th>unit cost</th><th>acquired</th><th>term</th><th>gain</th></tr></thead>
        <tbody><tr v-for="lot in props.row.lots" :key="lot.lot"><td>{{ lot.lot }}</td><td>{{ lot.quantity }}</td><td>{{ lot.cost }}</td><td>{{ lot.acquired }}</td><td>{{ lot.term }}</td><td>{{ lot.gain }}</td></tr></tbody></table>
      </details>
    </template>
    <template v-else>{{ col.value }}</template>
  </q-td>
</q-tr>
"""


def orders_table(orders: Sequence[Page]) -> ui.table:
    """Orders with their reasons and, below each sell, the lots that it closes."""
    numbers = ("quantity", "price", "value", "tax", "cost")
    table = plain_table(ORDER_COLUMNS, order_rows(orders), numbers=numbers).classes("orders")
    table.add_slot("body", ORDER_BODY)
    return table


def orders_panel(orders: Sequence[Page]) -> None:
    """The orders of a proposal."""
    sells = sum(1 for one in orders if one["side"] == "sell")
    with panel(f"Orders: {plural(sells, 'sell')}, {plural(len(orders) - sells, 'buy')}", wide=True):
        rest, many = folded_orders([dict(one) for one in orders], MOST_ALIKE)
        orders_table(rest)
        for words, some in many:
            value, tax = (dollars(sum(one[name] for one in some)) for name in ("value_usd", "est_tax_usd"))
            with ui.expansion(f"{words}: {value}, tax {tax}"):
                orders_table(some)

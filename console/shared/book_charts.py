"""Charts of the whole book over nights as options of ECharts. Lines are told apart by colour and by mark."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from console.shared.charts import AXIS, BASE, INK, Options
from console.shared.formatting import word

COLORS: Final = ("#3b82c4", "#e08a2b", "#2a9d8f", "#a05195", "#8b7d1f", "#d45087", "#6b7785", "#7a5230")
MARKS: Final = ("circle", "rect", "triangle", "diamond", "emptyCircle", "emptyRect", "emptyTriangle", "emptyDiamond")
MOST_LINES: Final = len(COLORS)
GRID: Final[Options] = {"left": 8, "right": 16, "top": 44, "bottom": 8, "containLabel": True}
LEGEND: Final[Options] = {
    "type": "scroll",
    "top": 0,
    "left": 0,
    "textStyle": {"color": INK},
    "pageTextStyle": {"color": INK},
}


def lines_chart(nights: Sequence[date], values: Mapping[str, Sequence[float | None]], axis: str) -> Options:
    """A line a name over nights; ``axis``: how its figures are written, as ``{value} %``. Gaps are nights that have none."""
    return {
        **BASE,
        "grid": GRID,
        "legend": LEGEND,
        "tooltip": {"trigger": "axis", "renderMode": "richText"},
        "xAxis": _nights_axis(nights),
        "yAxis": {
            **AXIS,
            "type": "value",
            "axisLabel": {"color": INK, "formatter": axis},
        },
        "series": [
            {
                "name": name,
                "type": "line",
                "symbol": mark,
                "symbolSize": 8,
                "lineStyle": {"color": color},
                "itemStyle": {"color": color},
                "data": list(line),
            }
            for (name, line), color, mark in zip(values.items(), COLORS, MARKS, strict=False)
        ],
    }


def stack_chart(nights: Sequence[date], counts: Mapping[str, Sequence[int]]) -> Options:
    """A bar a night, made of so many accounts of each name."""
    return {
        **BASE,
        "grid": GRID,
        "legend": LEGEND,
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}, "renderMode": "richText"},
        "xAxis": _nights_axis(nights),
        "yAxis": {**AXIS, "type": "value", "minInterval": 1},
        "series": [
            {
                "name": word(name),
                "type": "bar",
                "stack": "accounts",
                "barMaxWidth": 40,
                "itemStyle": {"color": color},
                "data": list(numbers),
            }
            for (name, numbers), color in zip(counts.items(), COLORS, strict=False)
        ],
    }


def _nights_axis(nights: Sequence[date]) -> Options:
    labels: Any = {"color": INK, "hideOverlap": True}
    return {**AXIS, "type": "category", "data": [night.isoformat() for night in nights], "axisLabel": labels}

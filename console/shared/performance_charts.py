"""Charts of performance as options of ECharts; in per cent."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Final

import polars as pl

from console.shared.charts import AFTER, AXIS, BASE, INK, NOW, Options

DIGITS: Final = 4


def growth_chart(nights: pl.DataFrame) -> Options:
    """Cumulated return and the model's, a point a night; ``nights``: ``night_date, daily_return, model_return``."""
    rows = nights.sort("night_date")
    lines = [("earned", "daily_return", NOW), ("model", "model_return", AFTER)]
    return {
        **BASE,
        "grid": {"left": 8, "right": 24, "top": 34, "bottom": 8, "containLabel": True},
        "legend": {"top": 0, "left": 0, "textStyle": {"color": INK}},
        "tooltip": {"trigger": "axis", "renderMode": "richText"},
        "xAxis": {**AXIS, "type": "category", "data": [f"{day}" for day in rows["night_date"]]},
        "yAxis": {**AXIS, "type": "value", "scale": True, "axisLabel": {"color": INK, "formatter": "{value} %"}},
        "series": [
            {
                "name": name,
                "type": "line",
                "showSymbol": False,
                "itemStyle": {"color": color},
                "lineStyle": {"color": color, "type": "dashed" if color == AFTER else "solid"},
                "data": _growth_of(rows[column]),
            }
            for name, column, color in lines
        ],
    }


def _growth_of(returns: pl.Series) -> list[float]:
    growth = accumulate(returns.fill_null(0.0), lambda grown, earned: grown * (1 + earned), initial=1.0)
    return [round(100 * (each - 1), DIGITS) for each in list(growth)[1:]]


def bars_chart(values: Mapping[str, Any]) -> Options:
    """A bar a name, to the right above 0 and to the left below; fractions."""
    names = list(values)[::-1]
    return {
        **BASE,
        "grid": {"left": 8, "right": 24, "top": 8, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}, "renderMode": "richText"},
        "xAxis": {**AXIS, "type": "value", "axisLabel": {"color": INK, "formatter": "{value} %"}},
        "yAxis": {**AXIS, "type": "category", "data": names, "splitLine": {"show": False}},
        "series": [
            {
                "type": "bar",
                "barWidth": 14,
                "itemStyle": {"color": NOW, "borderRadius": 3},
                "data": [round(100 * values[name], DIGITS) for name in names],
            }
        ],
    }

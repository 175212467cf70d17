"""Charts as options of ECharts: plain values in, plain values out. Labels are text, never markup.

Colours are told apart in light and dark and by those who do not tell red from green: blue is now, orange is after, grey is
what is allowed.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from console.shared.formatting import large_dollars, word
from tasks.core.explain import STEPS, Stage

NOW: Final = "#3b82c4"
AFTER: Final = "#e08a2b"
ALLOWED: Final = "rgba(128,140,152,.28)"
INK: Final = "#7f8b97"
LINE: Final = "rgba(128,140,152,.25)"
ROW_PIXELS: Final = 30
Options = dict[str, Any]

AXIS: Final[Options] = {
    "axisLabel": {"color": INK},
    "axisLine": {"show": False},
    "axisTick": {"show": False},
    "splitLine": {"lineStyle": {"color": LINE}},
}
BASE: Final[Options] = {"animation": False, "textStyle": {"fontFamily": "inherit"}, "aria": {"enabled": True}}
"""What every chart has."""


def class_chart(classes: Sequence[Mapping[str, Any]]) -> Options:
    """A row a class: its band as a bar around the target, its weight now and after the trades as points; in per cent of NAV."""
    rows = list(reversed(classes))
    names = [word(str(row["asset_class"])) for row in rows]
    bands = [_band(row) for row in rows]
    points = [("now", "weight", NOW, "emptyCircle"), ("after", "weight_after", AFTER, "circle")]
    return {
        **BASE,
        "grid": {"left": 8, "right": 24, "top": 34, "bottom": 8, "containLabel": True},
        "legend": {"top": 0, "left": 0, "textStyle": {"color": INK}, "data": ["band", "target", "now", "after"]},
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}, "renderMode": "richText"},
        "xAxis": {**AXIS, "type": "value", "axisLabel": {"color": INK, "formatter": "{value} %"}},
        "yAxis": {**AXIS, "type": "category", "data": names, "splitLine": {"show": False}},
        "series": [
            _bar("", [low for low, _ in bands], "transparent", is_silent=True),
            _bar("band", [high - low for low, high in bands], ALLOWED),
            {
                "name": "target",
                "type": "scatter",
                "symbol": "rect",
                "symbolSize": [2, 18],
                "itemStyle": {"color": INK},
                "data": [_hundredths(row["target_weight"]) for row in rows],
            },
            *(
                {
                    "name": name,
                    "type": "scatter",
                    "symbol": symbol,
                    "symbolSize": 11,
                    "itemStyle": {"color": color, "borderWidth": 2},
                    "data": [_hundredths(row.get(key)) for row in rows],
                }
                for name, key, color, symbol in points
            ),
        ],
    }


def _band(row: Mapping[str, Any]) -> tuple[float, float]:
    target, band = row["target_weight"] or 0.0, row["band"]
    if band is None:
        return _hundredths(target) or 0.0, _hundredths(target) or 0.0
    return _hundredths(target - band) or 0.0, _hundredths(target + band) or 0.0


def _hundredths(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 3)


def _bar(name: str, values: Sequence[float], color: str, *, is_silent: bool = False) -> Options:
    return {
        "name": name,
        "type": "bar",
        "stack": "band",
        "barWidth": 14,
        "silent": is_silent,
        "itemStyle": {"color": color, "borderRadius": 3},
        "tooltip": {"show": False},
        "data": list(values),
    }


def height_of(rows: int) -> int:
    """Pixels that a chart of so many rows needs."""
    return 60 + ROW_PIXELS * max(rows, 1)


def drift_chart(before: Sequence[int], after: Sequence[int]) -> Options:
    """Accounts by one-way drift, now and if everything proposed were traded."""
    names = [f"{100 * low:g} to {100 * high:g} %" for low, high in pairwise(STEPS)]
    names.append(f"over {100 * STEPS[-1]:g} %")
    series = [("now", before, NOW), ("after", after, AFTER)]
    return {
        **BASE,
        "grid": {"left": 8, "right": 8, "top": 34, "bottom": 8, "containLabel": True},
        "legend": {"top": 0, "left": 0, "textStyle": {"color": INK}},
        "tooltip": {"trigger": "axis", "renderMode": "richText"},
        "xAxis": {**AXIS, "type": "category", "data": names, "axisLabel": {"color": INK, "interval": 0, "rotate": 35}},
        "yAxis": {**AXIS, "type": "value", "minInterval": 1},
        "series": [
            {
                "name": name,
                "type": "bar",
                "data": list(counts),
                "itemStyle": {"color": color, "borderRadius": [3, 3, 0, 0]},
            }
            for name, counts, color in series
        ],
    }


def nights_chart(nights: Sequence[Mapping[str, Any]]) -> Options:
    """An account's drift over nights, in per cent of NAV: half the sum over classes, and the largest of one. Gaps are nights that measured none."""
    series = [("one-way drift", "one_way_drift", NOW), ("largest class", "max_abs_drift", AFTER)]
    return {
        **BASE,
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 8, "containLabel": True},
        "legend": {"top": 0, "left": 0, "textStyle": {"color": INK}},
        "tooltip": {"trigger": "axis", "renderMode": "richText"},
        "xAxis": {
            **AXIS,
            "type": "category",
            "data": [night["as_of_date"].isoformat() for night in nights],
            "axisLabel": {"color": INK, "hideOverlap": True},
        },
        "yAxis": {**AXIS, "type": "value", "min": 0, "axisLabel": {"color": INK, "formatter": "{value} %"}},
        "series": [
            {
                "name": name,
                "type": "line",
                "symbolSize": 7,
                "lineStyle": {"color": color},
                "itemStyle": {"color": color},
                "data": [_hundredths(night[key]) for night in nights],
            }
            for name, key, color in series
        ],
    }


def funnel_chart(stages: Sequence[Stage]) -> Options:
    """A bar a stage, as long as its accounts."""
    rows = list(reversed(stages))
    return {
        **BASE,
        "grid": {"left": 8, "right": 190, "top": 4, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "value", "show": False},
        "yAxis": {
            **AXIS,
            "type": "category",
            "data": [stage.here.name for stage in rows],
            "axisLabel": {"color": INK, "fontSize": 13},
        },
        "series": [
            {
                "type": "bar",
                "barWidth": 20,
                "itemStyle": {"color": NOW, "borderRadius": 4},
                "label": {"show": True, "position": "right", "color": INK, "fontSize": 13},
                "data": [{"value": stage.here.accounts, "label": {"formatter": _stage_label(stage)}} for stage in rows],
            }
        ],
    }


def _stage_label(stage: Stage) -> str:
    here = stage.here
    traded = f", trades {large_dollars(here.traded_usd)}" if here.traded_usd else ""
    return f"{here.accounts:,}  ·  {large_dollars(here.nav_usd)}{traded}"


def frontier_chart(scenarios: Sequence[Mapping[str, Any]]) -> Options:
    """What each way of trading would leave of drift and cost in tax and spread; policy's own stands out."""
    swept = sorted((one for one in scenarios if one["scenario"] == "sweep"), key=lambda one: one["tracking_penalty"])
    named: dict[tuple[float, float], list[str]] = {}
    for one in scenarios:
        if one["scenario"] != "sweep":
            named.setdefault(_spot(one), []).append(word(str(one["scenario"])))
    chosen = {_spot(one) for one in scenarios if one["scenario"] == "policy"}
    return {
        **BASE,
        "grid": {"left": 8, "right": 30, "top": 20, "bottom": 24, "containLabel": True},
        "tooltip": {"trigger": "item", "renderMode": "richText", "formatter": "{b}"},
        "xAxis": {**AXIS, "type": "value", "name": "drift left, % of NAV", "nameLocation": "middle", "nameGap": 28},
        "yAxis": {
            **AXIS,
            "type": "value",
            "scale": True,
            "name": "tax and cost, USD",
            "nameTextStyle": {"align": "left"},
        },
        "series": [
            {
                "type": "line",
                "symbolSize": 6,
                "lineStyle": {"color": NOW, "type": "dashed"},
                "itemStyle": {"color": NOW},
                "data": [
                    {"value": list(_spot(one)), "name": f"tracking penalty {one['tracking_penalty']:g}"}
                    for one in swept
                ],
            },
            {
                "type": "scatter",
                "symbolSize": 14,
                "label": {"show": True, "position": "right", "formatter": "{b}", "color": INK},
                "data": [
                    {
                        "value": list(spot),
                        "name": ", ".join(names),
                        "itemStyle": {"color": AFTER if spot in chosen else NOW},
                    }
                    for spot, names in named.items()
                ],
            },
        ],
    }


def _spot(scenario: Mapping[str, Any]) -> tuple[float, float]:
    cost = float(scenario["est_tax_usd"]) + float(scenario["est_cost_usd"])
    return round(100 * float(scenario["one_way_drift_after"] or 0.0), 3), round(cost, 2)

import json
from typing import Any

from console.shared.charts import class_chart, drift_chart, frontier_chart, funnel_chart
from tasks.core.explain.account_funnel import STEPS, AccountPart, Stage

CLASSES: list[dict[str, Any]] = [
    {"asset_class": "technology", "weight": 0.2, "target_weight": 0.24, "band": 0.05, "weight_after": 0.237},
    {"asset_class": "cash", "weight": -0.08, "target_weight": 0.02, "band": None, "weight_after": None},
]


def series(options: dict[str, Any], name: str) -> list[Any]:
    return next(list(each["data"]) for each in options["series"] if each["name"] == name)


def test_weights_stand_within_their_bands_in_per_cent() -> None:
    options = class_chart(CLASSES)
    assert options["yAxis"]["data"] == ["cash", "technology"]
    assert series(options, "") == [2.0, 19.0]
    assert series(options, "band") == [0.0, 10.0]
    assert series(options, "target") == [2.0, 24.0]
    assert series(options, "now") == [-8.0, 20.0]
    assert series(options, "after") == [None, 23.7]


def test_every_bin_of_the_histogram_has_its_name() -> None:
    options = drift_chart([1] * len(STEPS), [2] * len(STEPS))
    assert len(options["xAxis"]["data"]) == len(STEPS)
    assert options["xAxis"]["data"][0] == "0 to 0.5 %"
    assert options["xAxis"]["data"][-1] == "over 50 %"


def test_the_funnel_reads_from_the_top() -> None:
    stages = [Stage(AccountPart("pulled", 10, 2e6)), Stage(AccountPart("proposed", 3, 5e5, 1e5))]
    options = funnel_chart(stages)
    assert options["yAxis"]["data"] == ["proposed", "pulled"]
    (bars,) = options["series"]
    assert [bar["value"] for bar in bars["data"]] == [3, 10]
    assert bars["data"][0]["label"]["formatter"] == "3  ·  $500.0k, trades $100.0k"


def scenario(name: str, drift: float, tax: float, penalty: float = 2.0) -> dict[str, Any]:
    return {
        "scenario": name,
        "tracking_penalty": penalty,
        "one_way_drift_after": drift,
        "est_tax_usd": tax,
        "est_cost_usd": 1.0,
    }


def test_scenarios_on_one_spot_share_its_label_and_policys_stands_out() -> None:
    rows = [
        scenario("hold", 0.1, -1),
        scenario("policy", 0.02, 9),
        scenario("full", 0.02, 9),
        scenario("sweep", 0.03, 5, 4.0),
        scenario("sweep", 0.05, 3, 1.0),
    ]
    line, spots = frontier_chart(rows)["series"]
    assert [point["value"] for point in line["data"]] == [[5.0, 4.0], [3.0, 6.0]]
    assert {spot["name"]: spot["value"] for spot in spots["data"]} == {"hold": [10.0, 0.0], "policy, full": [2.0, 10.0]}
    colors = {spot["name"]: spot["itemStyle"]["color"] for spot in spots["data"]}
    assert colors["policy, full"] != colors["hold"]


def test_charts_are_plain_data_and_their_texts_no_markup() -> None:
    for options in (class_chart(CLASSES), drift_chart([1], [1]), funnel_chart([Stage(AccountPart("pulled", 1, 1.0))])):
        json.dumps(options)
        if "tooltip" in options:
            assert options["tooltip"]["renderMode"] == "richText"

"""What a study found, as pictures: drift against turnover and tax, the wealth that is left, years, and gaps. Each is stamped as hypothetical.

The *closed form* beside drift and turnover is that of two classes whose weight wanders as a Brownian motion of s a year: kept within a band of b by trades that go no
further than its edge, its drift is uniform, so that its root mean square is b/√3, and s²/(2b) is traded a year one way. No rule that trades at drift alone has less of
both (Constantinides 1986; Leland 2000): turnover x drift = s²/(2√3). Looking once a month sees less than that and trades late.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from tasks.core.lab import Market
from tasks.lab.compare import NOISE, verdict
from tasks.lab.pictures import BLUE, COLOURS, GREY, Axis, Dot, Line, Picture, dollars, percent, plain
from tasks.lab.study import StudyPlan

SEEN: Final = 200
"""Courses that the weight's volatility is measured on, at most."""
TWO: Final = 2
MOST_YEARS: Final = 5
"""Policies whose years are drawn."""
STAMP: Final = "hypothetical"


class StudyPicture(NamedTuple):
    """A picture and what it says."""

    svg: str
    caption: str


def edge_turnover(drift: float, weight_volatility: float) -> float:
    """One-way turnover a year at a root-mean-square drift, where trades go to the edge of the band and no further."""
    return weight_volatility**2 / (2 * math.sqrt(3) * drift)


def weight_volatility(market: Market, weight: float) -> float:
    """How far the first class's weight of two wanders in a year, from ``weight``: w(1 - w) times the deviation of the difference of their log returns."""
    logs = np.log(market.growth) + np.log1p(market.dividend_yield)
    spread = (logs[:, :, 0] - logs[:, :, 1]).std(ddof=1) * math.sqrt(market.steps_per_year)
    return float(weight * (1 - weight) * spread)


def study_pictures(
    plan: StudyPlan, policies: pl.DataFrame, years: pl.DataFrame, gaps: pl.DataFrame
) -> list[StudyPicture]:
    """The pictures of a study; ``policies`` in the order of ``policies_of``, whose numbers they name."""
    rows = list(policies.iter_rows(named=True))
    return [
        drift_and_turnover(plan, rows),
        drift_and_tax(rows),
        wealth(rows),
        by_year(rows, years),
        gaps_of(rows, gaps),
    ]


def _dots(rows: Sequence[dict[str, Any]], x: str, y: str, form: Any) -> list[Dot]:
    """A dot a policy with its number, in the colour of its group; the reference is hollow."""
    return [
        Dot(
            row[x],
            row[y],
            str(number),
            f"{row['policy_id']}: {x} {row[x]:.4f}, {y} {form(row[y])}",
            GREY if row["group"] is None else COLOURS[(row["group"] - 1) % len(COLOURS)],
            is_hollow=row["is_reference"],
        )
        for number, row in enumerate(rows, 1)
    ]


def drift_and_turnover(plan: StudyPlan, rows: Sequence[dict[str, Any]]) -> StudyPicture:
    """Turnover a year on drift, with the closed form of two classes."""
    lines = []
    said = "Down and to the left is better. Numbers are those of the table; policies of one colour cannot be told apart by the wealth that they leave."
    targets = plan.study.book.targets
    if len(targets) == TWO and plan.firm is None:
        market = plan.courses(0, min(SEEN, plan.path_count))
        spread = weight_volatility(market, targets[market.classes[0]])
        known = [row["rms_drift"] for row in rows if row["rms_drift"] > 0 and row["turnover_per_year"] > 0]
        if known and spread > 0:
            drifts = np.geomspace(min(known) / 1.5, max(known) * 1.2, 60)
            lines.append(
                Line(
                    [(each, edge_turnover(each, spread)) for each in drifts],
                    "closed form: to the edge, at every moment",
                    GREY,
                    is_dashed=True,
                )
            )
            said += f" Dashed: the least turnover that any band needs, for weights that wander by {percent(round(spread, 5))} a year."
    picture = Picture(
        f"Drift and turnover, {STAMP}",
        Axis("drift, root mean square of one-way drift", percent),
        Axis("one-way turnover a year", percent),
        _dots(rows, "rms_drift", "turnover_per_year", percent),
        lines,
    )
    return StudyPicture(picture.svg(), said)


def drift_and_tax(rows: Sequence[dict[str, Any]]) -> StudyPicture:
    """Tax and cost a year on drift."""
    paid = [{**row, "paid": row["tax_per_year_usd"] + row["cost_per_year_usd"]} for row in rows]
    picture = Picture(
        f"Drift against tax and cost, {STAMP}",
        Axis("drift, root mean square of one-way drift", percent),
        Axis("tax and half spreads a year, USD", dollars),
        _dots(paid, "rms_drift", "paid", dollars),
    )
    return StudyPicture(
        picture.svg(),
        "What following the targets more closely costs a year in tax and half spreads, on average over the courses.",
    )


def wealth(rows: Sequence[dict[str, Any]]) -> StudyPicture:
    """What is left after everything is sold and taxed: what nine of ten courses are within, and the middle one."""
    ends = ("liquidated_wealth_p05_usd", "liquidated_wealth_p50_usd", "liquidated_wealth_p95_usd")
    lines, dots = [], []
    for number, row in enumerate(rows):
        low, middle, high = (row[name] for name in ends)
        colour = GREY if row["group"] is None else COLOURS[(row["group"] - 1) % len(COLOURS)]
        lines.append(Line([(number, low), (number, high)], colour=colour))
        dots.append(
            Dot(
                number,
                middle,
                "",
                f"{row['policy_id']}: {dollars(low)} to {dollars(high)}, half below {dollars(middle)}",
                colour,
            )
        )
    names = [str(number) for number in range(1, len(rows) + 1)]
    picture = Picture(
        f"Wealth left after tax, {STAMP}",
        Axis("policy"),
        Axis("USD on the last date, all sold and taxed", dollars),
        dots,
        lines,
        x_names=names,
    )
    noise = sum(verdict(row, "liquidated_wealth_usd") == NOISE for row in rows)
    said = f"Lines reach from what one course in twenty is below to what one in twenty is above. {noise} of {len(rows) - 1} policies are {NOISE} from the reference in it."
    return StudyPicture(picture.svg(), said)


def by_year(rows: Sequence[dict[str, Any]], years: pl.DataFrame) -> StudyPicture:
    """Difference of each year's return to the reference's, of the first policies."""
    chosen = [row for row in rows if not row["is_reference"]][:MOST_YEARS]
    lines = []
    for number, row in enumerate(chosen):
        own = years.filter(policy_id=row["policy_id"]).sort("year").drop_nulls("difference_year_return")
        points = [(year, 1e4 * value) for year, value in own.select("year", "difference_year_return").iter_rows()]
        lines.append(Line(points, f"{rows.index(row) + 1}", COLOURS[number]))
    lines.append(Line([(line_year, 0.0) for line_year in _ends(years)], colour=GREY, is_dashed=True))
    picture = Picture(
        f"Years beside the reference, {STAMP}",
        Axis("year", lambda year: f"{year:.0f}" if year == round(year) else "", has_zero=False),
        Axis("return beyond the reference's, basis points", plain),
        lines=lines,
    )
    return StudyPicture(
        picture.svg(),
        f"The first {len(chosen)} policies of the table. A policy that is ahead on average is behind in many years.",
    )


def _ends(years: pl.DataFrame) -> list[float]:
    known = years["year"].to_list()
    return [float(min(known)), float(max(known))]


def gaps_of(rows: Sequence[dict[str, Any]], gaps: pl.DataFrame) -> StudyPicture:
    """How far trades may have been from the best: mean and greatest gap of each policy."""
    found = {row["policy_id"]: row for row in gaps.iter_rows(named=True)}
    own = [found[row["policy_id"]] for row in rows]
    dots = [
        Dot(number, row["max_gap_bps"], "", f"{row['policy_id']}: {row['max_gap_bps']:.4f}", BLUE)
        for number, row in enumerate(own)
    ]
    means = [
        Dot(
            number,
            row["mean_gap_bps"],
            "",
            f"{row['policy_id']}: {row['mean_gap_bps']:.6f} on average",
            BLUE,
            is_hollow=True,
        )
        for number, row in enumerate(own)
    ]
    picture = Picture(
        f"Gaps of all trades, {STAMP}",
        Axis("policy"),
        Axis("basis points of NAV", plain),
        [*dots, *means],
        x_names=[str(number) for number in range(1, len(rows) + 1)],
    )
    solves = int(gaps["solve_count"].sum())
    return StudyPicture(
        picture.svg(),
        f"{solves:,} trades were solved. Full: the greatest gap to the bound that proves a trade best; hollow: on average.",
    )

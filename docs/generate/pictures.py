"""Pictures of the explanation, drawn from the product's own functions: what is shown is what is computed.

Compiled functions are called as the Python that they are compiled from (``py_func``): a picture need not wait for a compiler.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from types import FunctionType
from typing import Any, Final

import numpy as np
import polars as pl

from tasks.core.drift import is_out_of_band
from tasks.core.solver.kernel import excess_at, trade_at
from tasks.core.solver.netting import tax_on
from tasks.core.solver.workspace import Workspace, new_workspace

WIDTH: Final = 680
HEIGHT: Final = 340
LEFT, RIGHT, TOP, BOTTOM = 78, 24, 28, 52
BLUE, ORANGE, GREEN, GREY, INK = "#1f6fb4", "#c4560d", "#2e7d32", "#9aa3ad", "#24292f"
Points = Sequence[tuple[float, float]]
Ticks = Mapping[int, str] | Mapping[float, str]


@dataclass
class Chart:
    """A drawing with two axes; coordinates are those of what is shown."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    parts: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point of the plane on the page."""
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (y - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Points, colour: str, *, width: float = 2.5, dash: str = "") -> None:
        """A line through points."""
        path = " ".join("{:.1f},{:.1f}".format(*self.at(*point)) for point in points)
        style = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{style}/>')

    def area(self, points: Points, colour: str) -> None:
        """A surface."""
        path = " ".join("{:.1f},{:.1f}".format(*self.at(*point)) for point in points)
        self.parts.append(f'<polygon points="{path}" fill="{colour}" fill-opacity="0.16"/>')

    def dot(self, x: float, y: float, colour: str) -> None:
        """A point that matters."""
        across, down = self.at(x, y)
        self.parts.append(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="5" fill="{colour}"/>')

    def text(self, x: float, y: float, words: str, *, colour: str = INK, anchor: str = "start", dy: float = 0) -> None:
        """Words beside a point."""
        across, down = self.at(x, y)
        self.parts.append(
            f'<text x="{across:.1f}" y="{down + dy:.1f}" fill="{colour}" text-anchor="{anchor}">{words}</text>'
        )

    def axes(self, x_ticks: Ticks, y_ticks: Ticks, x_title: str, y_title: str) -> None:
        """Both axes with their marks and titles."""
        (x_least, x_most), (y_least, y_most) = self.x_range, self.y_range
        for x, words in x_ticks.items():
            self.text(x, y_least, words, anchor="middle", dy=18)
        for y, words in y_ticks.items():
            self.line([(x_least, y), (x_most, y)], "#e3e6ea", width=1)
            self.text(x_least, y, f"{words}\N{NO-BREAK SPACE}", anchor="end", dy=4)
        self.text(x_most, y_least, x_title, colour="#57606a", anchor="end", dy=40)
        self.text(x_least, y_most, y_title, colour="#57606a", dy=-12)

    def svg(self, title: str) -> str:
        """The file."""
        size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        style = 'font-family="sans-serif" font-size="13" role="img"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>'
        ground = f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#ffffff"/>'
        return "\n".join([head, f"<title>{title}</title>", ground, *self.parts, "</svg>\n"])


def bands() -> str:
    """Weights of three classes against their targets and bands."""
    held = pl.DataFrame(
        {"name": ["stocks", "bonds", "real estate"], "weight": [0.6, 0.3, 0.1], "target": [0.5, 0.4, 0.1], "band": 0.05}
    )
    judged = held.with_columns(is_out=is_out_of_band(pl.col("weight") - pl.col("target"), pl.col("band")))
    chart = Chart((0, 0.7), (0, 3))
    chart.axes({x / 10: f"{x * 10} %" for x in range(8)}, {}, "share of NAV", "")
    for place, row in enumerate(judged.iter_rows(named=True)):
        y, target, band, weight = 2.5 - place, row["target"], row["band"], row["weight"]
        low, high = target - band, target + band
        chart.area([(low, y - 0.22), (low, y + 0.22), (high, y + 0.22), (high, y - 0.22)], BLUE)
        chart.line([(target, y - 0.22), (target, y + 0.22)], BLUE)
        colour = ORANGE if row["is_out"] else GREEN
        chart.dot(weight, y, colour)
        chart.text(0, y, f"{row['name']}\N{NO-BREAK SPACE}", anchor="end", dy=4)
        said = f"drift {weight - target:+.0%}: out of band" if row["is_out"] else "in band"
        chart.text(weight, y + 0.3, said, colour=colour, anchor="middle")
    return chart.svg("Weights of three classes against their targets and bands")


def example() -> Workspace:
    """An account of 100,000 USD: stocks 10 % over, bonds 10.5 % under, real estate 2 % over, hardly any cash."""
    desk = new_workspace(1, 3, 6)
    account_of, classes, lots = desk.accounts, desk.classes, desk.lots
    account = account_of[0]
    account["nav"], account["tracking_penalty"] = 100_000, 2.0
    account["cash"], account["cash_target"] = 500.0, 2_000.0
    account["first"], account["last"] = 0, 3
    classes["value"][:], classes["target"][:] = [60_000, 29_500, 10_000], [50_000, 40_000, 8_000]
    classes["buy_reach"][:], classes["now"][:] = [0, np.inf, 0], 0.0005
    classes["first"][:], classes["last"][:] = [0, 4, 5], [4, 5, 6]
    lots["now"][:6] = [0.001, 0.03, 0.09, 0.16, 0.12, 0.04]
    lots["reach"][:6] = [2_500, 3_000, 2_500, 6_000, 29_500, 10_000]
    records = (each.view(np.recarray) for each in (account_of, classes, lots))
    return desk._replace(**dict(zip(("accounts", "classes", "lots"), records, strict=True)))


def price_of_cash(desk: Workspace) -> float:
    """``x = mu / k`` where cash raised equals cash used, by bisection."""
    low, high = -1e5, 1e5
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _excess(desk, middle) < 0 else (low, middle)
    return low


def _excess(desk: Workspace, x: float) -> float:
    return float(_python(excess_at)(desk, 0, x)[0])


def _python(function: Any) -> Callable[..., Any]:
    """The Python that a function is compiled from, which calls that of every compiled function it names."""
    plain = function.py_func
    named = {name: plain.__globals__.get(name) for name in plain.__code__.co_names}
    inner = {name: _python(value) for name, value in named.items() if hasattr(value, "py_func")}
    return FunctionType(plain.__code__, {**plain.__globals__, **inner}, plain.__name__, plain.__defaults__)


def lots() -> str:
    """What a dollar of stocks sold is worth, and what it costs, lot by lot."""
    desk = example()
    x = price_of_cash(desk)
    _python(trade_at)(desk, 0, x)
    k = desk.accounts[0]["tracking_penalty"] / desk.accounts[0]["nav"]
    over = float(desk.classes[0]["value"] - desk.classes[0]["target"])
    sold = float(desk.lots["sold_usd"][:4].sum())
    costs, sizes = desk.lots["now"][:4], desk.lots["reach"][:4]
    edges = [0.0, *accumulate(float(size) for size in sizes)]
    stairs = [(at, float(cost)) for edge, cost in zip(pairwise(edges), costs, strict=True) for at in edge]
    chart = Chart((0, 14_000), (0, 0.25))
    money = {x: f"{x:,}" for x in range(0, 14_001, 2_000)}
    chart.axes(money, {y / 20: f"{y * 5} %" for y in range(6)}, "sold of the class, USD", "of each dollar")
    worth = [(q, k * (over - q + x)) for q in (0.0, over + x)]
    chart.area(
        [(0, 0), *[(min(q, sold), cost) for q, cost in stairs if q <= sold], (sold, costs[2]), (sold, 0)], ORANGE
    )
    chart.line(worth, BLUE)
    chart.line(stairs, ORANGE)
    chart.line([(sold, 0), (sold, k * (over - sold + x))], GREY, width=1.5, dash="4 4")
    chart.dot(sold, k * (over - sold + x), INK)
    chart.text(600, worth[0][1], "what a dollar sold is worth", colour=BLUE, dy=-4)
    chart.text(8_300, 0.16, "what it costs: tax and half the spread", colour=ORANGE, dy=-8)
    chart.text(sold + 150, k * (over - sold + x), f"{sold:,.0f} USD are sold", dy=-14)
    for number, (first, last) in enumerate(pairwise(edges), 1):
        chart.text(
            (first + last) / 2, float(costs[number - 1]), f"lot {number}", anchor="middle", dy=16 if number > 1 else -8
        )
    return chart.svg("What a dollar sold of a class is worth, and what it costs, lot by lot")


def cash() -> str:
    """Cash raised less cash used, against the price of cash."""
    desk = example()
    k = float(desk.accounts[0]["tracking_penalty"] / desk.accounts[0]["nav"])
    found = price_of_cash(desk)
    grid = [(float(mu), _excess(desk, float(mu) / k)) for mu in np.linspace(-0.02, 0.16, 181)]
    chart = Chart((-0.02, 0.16), (-12_000, 16_000))
    dollars = {y: f"{y:,}" for y in range(-12_000, 16_001, 4_000)}
    chart.axes({x / 50: f"{x * 2} %" for x in range(9)}, dollars, "price of cash", "cash raised less cash used, USD")
    chart.line([(-0.02, 0), (0.16, 0)], GREY, width=1.5)
    chart.line(grid, BLUE)
    chart.line([(found * k, -12_000), (found * k, 0)], GREY, width=1.5, dash="4 4")
    chart.dot(found * k, 0, INK)
    chart.text(found * k + 0.003, 0, f"a dollar more of cash is worth {found * k * 100:.1f} cents", dy=22)
    return chart.svg("Cash raised less cash used, against the price of cash")


def tax() -> str:
    """Tax on a net long-term gain beside a short-term gain, and the two convex functions that it is the lesser of."""
    short_rate, long_rate, short = 0.37, 0.20, 10_000.0
    gains = np.linspace(-15_000, 10_000, 101)
    chart = Chart((-15_000, 10_000), (0, 8_000))
    money = {x: f"{x:,}" for x in range(-15_000, 10_001, 5_000)}
    chart.axes(money, {y: f"{y:,}" for y in range(0, 8_001, 2_000)}, "net long-term gain, USD", "tax, USD")
    taxed = [(short_rate - long_rate) * short + long_rate * max(short + long, 0) for long in gains]
    offset = [short_rate * max(short + long, 0) for long in gains]
    true = [float(_python(tax_on)(short, long, short_rate, long_rate)) for long in gains]
    chart.line(list(zip(gains, true, strict=True)), BLUE, width=6)
    chart.line(list(zip(gains, taxed, strict=True)), GREEN, dash="7 5")
    chart.line(list(zip(gains, offset, strict=True)), ORANGE, dash="7 5")
    chart.text(-14_500, 1_700, "A: both terms taxed", colour=GREEN, dy=-8)
    chart.text(4_600, 6_000, "B: long term a loss", colour=ORANGE, anchor="end", dy=-8)
    chart.text(-7_600, 250, "the tax: the lesser of the two", colour=BLUE, dy=-4)
    chart.text(-14_500, 7_300, "with a short-term gain of 10,000 USD; rates 37 % and 20 %")
    return chart.svg("Tax as a function of the net long-term gain")

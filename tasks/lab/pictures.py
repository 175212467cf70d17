"""Pictures as SVG: lines, bands and dots on two axes, for pages and files; nothing in them asks another host for anything.

Colours are told apart by those who do not tell red from green. A label that has no room beside its dot is left out: the dot still says its name when pointed at.
"""

import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

BLUE: Final = "#2f6fad"
ORANGE: Final = "#d0761c"
GREY: Final = "#7f8b97"
GREEN: Final = "#1c8a75"
PURPLE: Final = "#8457a8"
INK: Final = "#24303a"
COLOURS: Final = (BLUE, ORANGE, GREEN, PURPLE, "#b8476a", "#6b7a1f", "#4a5b8c", "#9a6a3a")
WIDTH: Final = 760
HEIGHT: Final = 460
LEFT: Final = 84
RIGHT: Final = 24
TOP: Final = 58
BOTTOM: Final = 56
LETTER: Final = 6.6
"""Width of a letter of a label, in points."""
LINE_HEIGHT: Final = 14
TICKS: Final = 6
MILLION: Final = 1_000_000

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def percent(value: float) -> str:
    """``5 %``, ``0.25 %``."""
    return f"{100 * value:.6g} %"


def dollars(value: float) -> str:
    """``1.5 million``, ``25,000``."""
    return f"{value / MILLION:.6g} million" if abs(value) >= MILLION else f"{value:,.0f}"


def plain(value: float) -> str:
    """A number as short as it can be."""
    return f"{value:.6g}"


@dataclass(frozen=True)
class Axis:
    """What is measured along it, how a value is written, and whether it begins at nothing."""

    label: str
    form: Callable[[float], str] = plain
    has_zero: bool = True


@dataclass(frozen=True)
class Dot:
    """A point with a name; ``title`` is what it says when pointed at."""

    x: float
    y: float
    label: str
    title: str = ""
    colour: str = BLUE
    is_hollow: bool = False


@dataclass(frozen=True)
class Line:
    """Points joined in their order; a line without a label is not in the legend."""

    points: Sequence[tuple[float, float]]
    label: str = ""
    colour: str = BLUE
    is_dashed: bool = False


@dataclass(frozen=True)
class Band:
    """What is between two lines over the same x."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    label: str = ""
    colour: str = BLUE


@dataclass(frozen=True)
class Picture:
    """All of a picture."""

    title: str
    x: Axis
    y: Axis
    dots: Sequence[Dot] = ()
    lines: Sequence[Line] = ()
    bands: Sequence[Band] = ()
    x_names: Sequence[str] = field(default=())
    """Names of the places 0, 1, 2 ... of an axis of names."""

    def svg(self) -> str:
        """The picture."""
        xs = [dot.x for dot in self.dots] + [x for line in self.lines for x, _ in line.points]
        ys = [dot.y for dot in self.dots] + [y for line in self.lines for _, y in line.points]
        xs += [x for band in self.bands for x in band.x]
        ys += [y for band in self.bands for y in (*band.low, *band.high)]
        across = _Scale(xs, self.x, LEFT, WIDTH - RIGHT, names=len(self.x_names))
        up = _Scale(ys, self.y, HEIGHT - BOTTOM, TOP)
        shown: list[Band | Line] = [*self.bands, *self.lines]
        legend = [(each.label, each.colour) for each in shown if each.label]
        parts = [
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            _text(LEFT, 20, self.title, size=15, is_bold=True),
            *_legend(legend),
            *_grid(across, up, self.x_names),
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, self.x.label, anchor="middle"),
            f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle" font-size="12" fill="{INK}">{html.escape(self.y.label)}</text>',
            *(_band(band, across, up) for band in self.bands),
            *(_line(line, across, up) for line in self.lines),
            *_dots(self.dots, across, up),
        ]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
            f'aria-label="{html.escape(self.title)}" font-family="system-ui, sans-serif">{"".join(parts)}</svg>'
        )


class _Scale:
    """From values to points."""

    def __init__(self, values: Iterable[float], axis: Axis, start: float, end: float, *, names: int = 0) -> None:
        known = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(known), max(known)
        if axis.has_zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if high <= low:
            low, high = low - abs(low or 1.0) / 2, high + abs(high or 1.0) / 2
        step = _nice((high - low) / TICKS)
        self.low, self.high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        if names:
            self.low, self.high, step = -0.5, names - 0.5, 1.0
        self.form, self._start, self._end = axis.form, start, end
        first = math.ceil(self.low / step - 1e-9)
        self.ticks = [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def __call__(self, value: float) -> float:
        return self._start + (self._end - self._start) * (value - self.low) / (self.high - self.low)


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _grid(across: _Scale, up: _Scale, names: Sequence[str]) -> list[str]:
    parts = []
    for value in up.ticks:
        y = up(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e2e6ea"/>')
        parts.append(_text(LEFT - 8, y + 4, up.form(value), anchor="end"))
    for value in across.ticks:
        x = across(value)
        if not names:
            parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eef1f4"/>')
        said = names[round(value)] if names else across.form(value)
        parts.append(_text(x, HEIGHT - BOTTOM + 18, said, anchor="middle"))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, is_bold: bool = False) -> str:
    weight = ' font-weight="600"' if is_bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{INK}"{weight}>{html.escape(text)}</text>'


def _legend(entries: Sequence[tuple[str, str]]) -> list[str]:
    parts, x = [], float(LEFT)
    for label, colour in entries:
        parts.append(f'<rect x="{x:.1f}" y="32" width="18" height="6" rx="3" fill="{colour}"/>')
        parts.append(_text(x + 24, 39, label))
        x += 44 + LETTER * len(label)
    return parts


def _band(band: Band, across: _Scale, up: _Scale) -> str:
    there = [f"{across(x):.1f} {up(y):.1f}" for x, y in zip(band.x, band.high, strict=True)]
    back = [f"{across(x):.1f} {up(y):.1f}" for x, y in zip(band.x, band.low, strict=True)][::-1]
    return f'<path d="M{"L".join([*there, *back])}Z" fill="{band.colour}" fill-opacity=".18"/>'


def _line(line: Line, across: _Scale, up: _Scale) -> str:
    way = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in line.points)
    dashes = ' stroke-dasharray="6 4"' if line.is_dashed else ""
    return f'<path d="M{way}" fill="none" stroke="{line.colour}" stroke-width="2"{dashes}/>'


def _dots(dots: Sequence[Dot], across: _Scale, up: _Scale) -> list[str]:
    places = [(across(dot.x), up(dot.y)) for dot in dots]
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    parts = []
    for dot, (x, y) in zip(dots, places, strict=True):
        fill = "#fff" if dot.is_hollow else dot.colour
        title = html.escape(dot.title or dot.label)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{dot.colour}" stroke-width="2"><title>{title}</title></circle>'
        )
        box = next((box for box in _places_beside(x, y, dot.label) if _is_free(box, taken, (x, y))), None)
        if dot.label and box is not None:
            taken.append(box)
            parts.append(_text(box[0], box[3] - 3, dot.label))
    return parts


def _places_beside(x: float, y: float, label: str) -> list[Box]:
    """Right, left, above and below, then further off."""
    wide, half = LETTER * len(label), LINE_HEIGHT / 2
    corners = [(x + 9, y - half), (x - 9 - wide, y - half), (x - wide / 2, y - 8 - LINE_HEIGHT), (x - wide / 2, y + 8)]
    corners += [(x + aside, y + down) for down in (6, -20, 20, -34) for aside in (6, -6 - wide)]
    return [(left, top, left + wide, top + LINE_HEIGHT) for left, top in corners]


def _is_free(box: Box, taken: Sequence[Box], own: tuple[float, float]) -> bool:
    if box[0] < LEFT or box[2] > WIDTH or box[1] < TOP - LINE_HEIGHT or box[3] > HEIGHT - BOTTOM + 2:
        return False
    others = [each for each in taken if not (each[0] < own[0] < each[2] and each[1] < own[1] < each[3])]
    return all(box[2] <= one[0] or box[0] >= one[2] or box[3] <= one[1] or box[1] >= one[3] for one in others)

"""What benchmarks measured, kept: every run adds its figures to ``results.csv`` and draws ``results.svg`` from it.

    python -m tests.benchmarks.results      # draws what is kept

Grain: one figure of one run of a benchmark. Figures of different machines are not to be compared, their ratios are: ``ratio`` is the
figure over that of ``beside``, measured in the same run. ``load`` is how many processes wanted a processor when it began.
"""

import csv
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
KEPT, PICTURE = "results.csv", "results.svg"
ALL_BUT_THESE: Final = ("--", ":(top)", ":(top,exclude)tests/benchmarks/results.*")
WIDTH, ROW, MARGIN = 960, 24, 16
CURVE: Final = (560, 170)
"""Where a curve begins, and how wide it is."""
INK, GREY, BLUE = "#24292f", "#57606a", "#1f6fb4"


@dataclass(frozen=True)
class Machine:
    """Where and of what a benchmark was run. ``commit`` ends in ``+`` where files differed from it."""

    measured_at: str
    commit: str
    processors: int
    memory_gb: float
    python: str
    load: float

    @classmethod
    def now(cls) -> "Machine":
        """This one."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(
            measured_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
            commit=_git("rev-parse", "--short=12", "HEAD")
            + ("+" if _git("status", "--porcelain", "-uno", *ALL_BUT_THESE) else ""),
            processors=len(os.sched_getaffinity(0)),
            memory_gb=round(memory / 1e9, 1),
            python=platform.python_version(),
            load=round(os.getloadavg()[0], 1),
        )


@dataclass(frozen=True)
class Figure:
    """What was measured; less is better. ``size``: of what, such as ``100,000 accounts``. ``ratio`` null: nothing stood beside it."""

    name: str
    size: str
    value: float
    unit: str
    ratio: float | None = None
    beside: str = ""


@dataclass
class Figures:
    """The figures of a run of one benchmark."""

    found: list[Figure] = field(default_factory=list)

    def add(self, name: str, size: str, value: float, unit: str = "s", beside: tuple[str, float] | None = None) -> None:
        """A figure; ``beside``: the name and the value, in the same unit, of what it is compared with."""
        ratio = None if beside is None else float(f"{value / beside[1]:.4g}")
        self.found.append(Figure(name, size, float(f"{value:.4g}"), unit, ratio, beside[0] if beside else ""))


@contextmanager
def kept(benchmark: str, folder: Path = HERE) -> Iterator[Figures]:
    """Figures that are kept in the folder, and drawn, once the benchmark has come to its end."""
    machine, figures = Machine.now(), Figures()
    yield figures
    keep(benchmark, machine, figures.found, folder / KEPT)
    (folder / PICTURE).write_text(draw(read(folder / KEPT)))


COLUMNS: Final = (*(each.name for each in fields(Machine)), "benchmark", *(each.name for each in fields(Figure)))


def keep(benchmark: str, machine: Machine, figures: Sequence[Figure], path: Path) -> None:
    """Add lines to the file, or begin it."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows({**asdict(machine), "benchmark": benchmark, **asdict(figure)} for figure in figures)


def read(path: Path) -> list[dict[str, str]]:
    """Lines of the file, oldest first."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def draw(lines: Sequence[dict[str, str]]) -> str:
    """A row a figure: its newest value, and its ratios (where it has none, its values) from the oldest to the newest."""
    series: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for line in lines:
        series.setdefault((line["benchmark"], line["name"], line["size"]), []).append(line)
    parts: list[str] = []
    down = MARGIN
    for benchmark, rows in groupby(sorted(series), key=lambda key: key[0]):
        down += ROW
        newest = max((line for line in lines if line["benchmark"] == benchmark), key=lambda line: line["measured_at"])
        parts.append(_text(MARGIN, down, benchmark, weight="bold"))
        parts.append(
            _text(360, down, "newest: {measured_at}, {commit}, {processors} processors, load {load}".format(**newest))
        )
        for key in rows:
            down += ROW
            parts += _row(series[key], down)
        down += ROW // 2
    title = "Figures of the benchmarks: the newest, and how they came about"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {down + MARGIN}" width="{WIDTH}" height="{down + MARGIN}" '
        'font-family="sans-serif" font-size="13" role="img">'
    )
    ground = f'<rect width="{WIDTH}" height="{down + MARGIN}" rx="6" fill="#ffffff"/>'
    return "\n".join([head, f"<title>{title}</title>", ground, *parts, "</svg>\n"])


def _row(lines: Sequence[dict[str, str]], down: int) -> Iterator[str]:
    newest = lines[-1]
    yield _text(MARGIN + 12, down, newest["name"])
    yield _text(360, down, newest["size"], colour=GREY)
    yield _text(CURVE[0] - 12, down, f"{float(newest['value']):,.4g} {newest['unit']}", anchor="end")
    values = [float(line["ratio"] or line["value"]) for line in lines]
    left, width = CURVE
    most = max(values) or 1.0
    step = width / max(len(values) - 1, 1)
    points = [(left + number * step, down + 3 - 16 * value / most) for number, value in enumerate(values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline points="{left},{down + 3} {left + width},{down + 3}" stroke="#e3e6ea"/>'
    yield f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="2"/>'
    yield f'<circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="3" fill="{BLUE}"/>'
    if newest["ratio"]:
        yield _text(left + width + 12, down, f"{float(newest['ratio']):,.3g} x {newest['beside']}", colour=GREY)


def _text(
    across: int, down: int, words: str, *, colour: str = INK, anchor: str = "start", weight: str = "normal"
) -> str:
    plain = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{across}" y="{down}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{plain}</text>'


def _git(*words: str) -> str:
    """What git answers; nothing outside a checkout."""
    try:
        return subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


if __name__ == "__main__":
    sys.stdout.write(f"{(HERE / PICTURE).write_text(draw(read(HERE / KEPT)))} characters in {HERE / PICTURE}\n")

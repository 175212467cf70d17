import csv
from pathlib import Path

import pytest

from tests.benchmarks.results import COLUMNS, HERE, KEPT, PICTURE, draw, kept, read


def test_the_picture_is_drawn_from_what_is_kept() -> None:
    assert (HERE / PICTURE).read_text() == draw(read(HERE / KEPT))


def test_every_line_that_is_kept_has_its_figure_machine_and_commit() -> None:
    for line in read(HERE / KEPT):
        assert tuple(line) == COLUMNS
        assert all(line[name] for name in COLUMNS if name not in {"ratio", "beside"})
        assert float(line["value"]) >= 0
        assert bool(line["ratio"]) == bool(line["beside"])


def test_figures_are_added_to_those_of_before_and_drawn(tmp_path: Path) -> None:
    for seconds in (4.0, 3.0):
        with kept("gate", tmp_path) as figures:
            figures.add("contract", "200 lots", seconds, beside=("bare Polars", 2.0))
    with (tmp_path / KEPT).open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["benchmark"], row["name"], row["value"], row["ratio"]) for row in rows] == [
        ("gate", "contract", "4.0", "2.0"),
        ("gate", "contract", "3.0", "1.5"),
    ]
    assert "1.5 x bare Polars" in (tmp_path / PICTURE).read_text()


def test_a_benchmark_that_fails_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), kept("gate", tmp_path) as figures:
        figures.add("contract", "200 lots", 1 / 0)
    assert not list(tmp_path.iterdir())

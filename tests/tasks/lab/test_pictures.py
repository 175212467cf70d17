"""Pictures: values stand where the axes say, names are text, and labels do not lie on each other."""

import re
import xml.etree.ElementTree as ET

import pytest

from tasks.lab.pictures import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Band, Dot, Line, Picture, percent, plain

SVG = "{http://www.w3.org/2000/svg}"


def drawn(chart: Picture) -> ET.Element:
    return ET.fromstring(chart.svg())  # noqa: S314 - we wrote it


def texts(root: ET.Element) -> list[tuple[str, float, float]]:
    found = [each for each in root.iter(f"{SVG}text") if each.get("x")]
    return [(each.text or "", float(each.get("x", 0)), float(each.get("y", 0))) for each in found]


def test_a_dot_stands_where_the_axes_say() -> None:
    root = drawn(Picture("t", Axis("x"), Axis("y", percent), dots=[Dot(3, 0.02, "a"), Dot(10, 0.1, "b")]))
    one, two = root.iter(f"{SVG}circle")
    across, down = WIDTH - RIGHT - LEFT, HEIGHT - BOTTOM - TOP
    assert float(one.get("cx", 0)) == pytest.approx(LEFT + 0.3 * across, abs=0.1)
    assert float(one.get("cy", 0)) == pytest.approx(HEIGHT - BOTTOM - 0.2 * down, abs=0.1)
    assert (float(two.get("cx", 0)), float(two.get("cy", 0))) == (WIDTH - RIGHT, TOP)
    at = {text: y for text, _, y in texts(root)}
    assert at["10 %"] - 4 == pytest.approx(TOP, abs=0.1)


def test_names_are_text_and_never_markup() -> None:
    chart = Picture(
        "<b>", Axis("<i>"), Axis("&"), dots=[Dot(1, 1, "<script>", "a & b")], lines=[Line([(0, 0), (1, 1)], "<u>")]
    )
    root = drawn(chart)
    assert {each.tag for each in root.iter()} <= {
        f"{SVG}{name}" for name in ("svg", "rect", "text", "path", "circle", "title")
    }
    assert "<script>" in {each.text for each in root.iter()}


def test_labels_do_not_lie_on_each_other() -> None:
    dots = [Dot(1 + number / 1000, 1, f"model number {number}") for number in range(12)]
    root = drawn(Picture("t", Axis("x"), Axis("y"), dots=dots))
    labels = [(x, y) for text, x, y in texts(root) if text.startswith("model")]
    assert 2 <= len(labels) <= 12
    assert len({(round(x), round(y)) for x, y in labels}) == len(labels)
    assert len(list(root.iter(f"{SVG}title"))) == 12


def test_an_axis_of_names_has_each_in_its_place() -> None:
    chart = Picture(
        "t", Axis("policy"), Axis("wealth"), bands=[Band([0, 1], [1, 2], [3, 4], "b")], x_names=["one", "two"]
    )
    at = {text: x for text, x, _ in texts(drawn(chart))}
    assert at["one"] < at["two"]
    assert at["b"] < at["two"]


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [], [-3.0, 2.0], [1e-9, 3e-9], [1e9, 1.000001e9]])
def test_whatever_the_values_there_are_ticks_and_no_fault(values: list[float]) -> None:
    for has_zero in (True, False):
        lines = [Line([(value, value) for value in values])] if values else []
        root = drawn(Picture("t", Axis("x", plain, has_zero), Axis("y", plain, has_zero), lines=lines))
        ticks = [text for text, _, _ in texts(root) if re.fullmatch(r"-?[\d.e+-]+", text)]
        assert len(ticks) >= 2

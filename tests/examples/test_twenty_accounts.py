"""The night of twenty accounts done as its page says; what the page shows is what the night says, and its sums add up."""

import ast
import csv
import operator
import re
import shutil
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.pages import ROOT, answer_to, fences, seen

HERE: Final = ROOT / "examples" / "twenty-accounts"
PAGE: Final = HERE / "README.md"
OPERATORS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
SUMS: Final = [line for fence in fences(PAGE) if fence.language == "arithmetic" for line in fence.text.splitlines()]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api")
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1
def test_the_night_says_of_every_account_what_its_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = shutil.copytree(HERE, tmp_path / "twenty")
    monkeypatch.chdir(home)
    monkeypatch.setenv("TRIMTAB_HOME", str(home))
    answered = ""
    for fence in fences(PAGE):
        if fence.language == "sh":
            answered = "".join(answer_to(line, "", capsys) for line in fence.text.splitlines())
        elif fence.language == "text" and answered:
            assert seen(fence.text, answered) == [], answered
            answered = ""
    shown = sections()
    with (HERE / "landing" / "accounts.csv").open(newline="") as file:
        assert list(shown) == [row["account_id"] for row in csv.DictReader(file)]
    for account, text in shown.items():
        page = answer_to(f"trimtab explain {account}", "", capsys)
        assert seen(text, " ".join(page.split())) == [], page  # which wraps its sentences


def sections() -> dict[str, str]:
    """What is shown of ``trimtab explain``, by account."""
    parts = re.split(r"^### (\S+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return {
        account: "".join(re.findall(r"^```text\n(.*?)^```$", part, re.MULTILINE | re.DOTALL))
        for account, part in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize("line", SUMS)
def test_a_sum_adds_up(line: str) -> None:
    _, terms, shown = line.split(" = ")
    result = number(shown)
    assert abs(worked_out(terms) - result) <= Fraction(1, 2 * 10 ** len(shown.partition(".")[2])), float(
        worked_out(terms)
    )


def worked_out(terms: str) -> Fraction:
    """Numbers, the four operations, squares and brackets."""
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", terms).replace("\N{MULTIPLICATION SIGN}", "*").replace("²", "**2")
    return _value(ast.parse(plain, mode="eval").body)


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp):
        return Fraction(OPERATORS[type(node.op)](_value(node.left), _value(node.right)))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    assert isinstance(node, ast.Constant), ast.dump(node)
    return Fraction(str(node.value))


def number(text: str) -> Fraction:
    """A number with commas between thousands."""
    return Fraction(text.replace(",", ""))

"""The examples of docs/how-to/executions.md are read as it says."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.execution_writers import read_text

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "executions.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL))
ORDER = "9f2c41d07ab35e688123"


@pytest.mark.parametrize(
    ("name", "format_", "kinds"),
    [
        ("csv", "csv", ["acknowledged", "fill", "bust"]),
        ("fix", "fix", ["acknowledged", "fill", "bust"]),
        ("xml", "flex", ["fill", "bust"]),
        ("json", "alpaca", ["acknowledged", "fill", "bust"]),
    ],
)
def test_an_example_is_read_as_the_page_says(tmp_path: Path, name: str, format_: str, kinds: list[str]) -> None:
    found = read_text(tmp_path, EXAMPLES[name])
    assert found.format == format_
    assert found.unread["message"].to_list() == []
    assert found.executions["kind"].to_list() == kinds
    *_, fill, bust = found.executions.to_dicts()
    assert (fill["client_order_id"], fill["side"], fill["quantity"]) == (ORDER, "sell", Decimal(12))
    assert (fill["price_usd"], fill["trade_date"].isoformat()) == (Decimal("410.25"), "2026-01-05")
    assert bust["reference_id"] == fill["execution_id"]
    assert sum(found.lots["quantity"]) in {0, Decimal(12)}


def test_every_format_has_an_example() -> None:
    assert sorted(EXAMPLES) == ["csv", "fix", "json", "xml"]

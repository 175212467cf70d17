"""Tables that people read: a narrow terminal makes them long or wide, and never less than they are."""

import pytest

from flows.commands import terminal

NAMES = ("proposal", "why", "amount", "note")
ROW = ("053b01e61a3057b1f62d", "turnover_above_limit", "1,234,567.89 USD\ntax 12.50", "asked on Monday")


@pytest.mark.parametrize("width", [20, 40, 70, 200])
def test_nothing_is_left_out_however_narrow_it_is(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "WIDTH_OF_A_FILE", width)
    terminal.print_table("", NAMES, [ROW], whole=("proposal", "amount"))
    drawn = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    proposals, whys, amounts, notes = (
        [cell.strip() for cell in column if cell.strip()] for column in zip(*drawn, strict=True)
    )

    assert (proposals, amounts) == ([ROW[0]], ROW[2].split("\n"))
    assert ("".join(whys), " ".join(notes)) == (ROW[1], ROW[3])


def test_a_table_is_as_wide_as_its_terminal_at_most_where_it_has_room(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "WIDTH_OF_A_FILE", 80)
    terminal.print_table("", NAMES, [(*ROW[:3], "a long note " * 20)], whole=("proposal", "amount"))
    assert {len(line.rstrip()) for line in capsys.readouterr().out.splitlines()[1:]} == {80}

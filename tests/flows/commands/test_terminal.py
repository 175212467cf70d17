"""Tables that people read: a narrow terminal makes them long or wide, and never less than they are."""

import io
import re

import polars as pl
import pytest
from rich.text import Text

from flows.commands import say as saying
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


def test_columns_are_kept_to_where_output_is_piped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    terminal.print_table("", NAMES, [(*ROW[:3], "a long note " * 20)], whole=("proposal", "amount"))
    assert {len(line.rstrip()) for line in capsys.readouterr().out.splitlines()[1:]} == {90}


def test_without_colour_nothing_is_bold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    for no_color, codes in ("", True), ("1", False):
        monkeypatch.setenv("NO_COLOR", no_color)
        terminal.text_console(80).print(Text("Account", style="bold red"))
        assert ("\x1b[" in capsys.readouterr().out) is codes


COMMANDS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x200E, 0x202E, 0x2066, 0x2028, 0xFEFF)]
HARMLESS = "\t\n"
ATTACKS = (
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[H",
    "\x1b[8mhidden",
    "\x9b31m",
    "\r0 shares",
    "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "a\u202eb",
)


@pytest.mark.parametrize("text", [*(f"a{one}b" for one in COMMANDS if one not in HARMLESS), *ATTACKS])
def test_nothing_that_a_terminal_obeys_comes_through(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name from a file or a comment of somebody's, in every way in which a command prints."""
    terminal.print_table(text, [text], [[text], [Text(text)]])
    terminal.print_frame("t", pl.DataFrame({"name": [text]}))
    terminal.print_json({"name": text})
    terminal.notice(text)
    saying.say(text)
    saying.say(text, err=True)
    console = terminal.TextConsole(file=io.StringIO(), force_terminal=True, width=80)
    console.print(text, Text(text, style="bold"))

    out, err = capsys.readouterr()
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())  # type: ignore[attr-defined] # Rich's own bold
    for said in (out, err, drawn):
        assert not [one for one in said if one in COMMANDS and one not in HARMLESS]
    shown = ascii(next(one for one in text if one in COMMANDS))[1:-1]
    assert all(shown in said for said in (out, err))


@pytest.mark.parametrize("text", ["Zoë — 東京 1,5\u00a0% 👩‍💻", "two\nlines\tand a tab", "C:\\x1b"])
def test_letters_of_every_language_stay(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    saying.say(text)

    assert capsys.readouterr().out == f"{text}\n"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_rows_for_a_program_are_as_they_are_and_for_a_person_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for out, wanted in ((io.StringIO(), "a\x1b[2J\n"), (Screen(), "a\\x1b[2J\n")):
        monkeypatch.setattr("sys.stdout", out)
        saying.hand_over("a\x1b[2J\n")
        assert out.getvalue() == wanted

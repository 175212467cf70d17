"""The Markdown pages of the repository: their fences, headings, links, and the commands that they type."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from flows.commands.cli import main, whole_command

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
HOW_TO: Final = DOCS / "how-to"
PAGES: Final = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("examples/*/*.md"),
        *(page for page in DOCS.rglob("*.md") if "_build" not in page.relative_to(DOCS).parts),
    ]
)
SHELLS: Final = {"", "sh", "console"}
"""Languages of fences that hold commands."""
_FENCE: Final = re.compile(r"^(`{3,})([^\n`]*)\n(.*?)^\1 *$", re.MULTILINE | re.DOTALL)
_COMMAND: Final[Any] = whole_command()


class Fence(NamedTuple):
    """A block of a page: what stands behind the three backticks, what is in it, and the line above."""

    language: str
    text: str
    above: str


def name_of(page: Path) -> str:
    """Path of a page within the repository."""
    return page.relative_to(ROOT).as_posix()


def fences(page: Path) -> list[Fence]:
    """Blocks of a page."""
    text = page.read_text()
    return [
        Fence(found[2].strip(), found[3], text[: found.start()].rstrip().rpartition("\n")[2])
        for found in _FENCE.finditer(text)
    ]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Of its headings, as forges and Sphinx make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> set[str]:
    """Targets of a page's links and pictures that lead into the repository."""
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    return {target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", target)}


def typed(page: Path, program: str) -> list[list[str]]:
    """Words behind a program's name in the blocks of a page, one list a command; a line that ends in a backslash goes on.

    What stands in brackets may be left out, and is taken as given.
    """
    lines = [
        re.sub(r"\[(--.*?)\]", r"\1", line.removeprefix("$ "))
        for fence in fences(page)
        if fence.language in SHELLS
        for line in fence.text.replace("\\\n", " ").splitlines()
        if re.search(rf"(^|[ /]){program}\b", line)
    ]
    return [words[1:] for line in lines for words in _commands(line) if words[0] in {program, f".venv/bin/{program}"}]


def _commands(line: str) -> list[list[str]]:
    """A line as a shell parts it; what stands behind three spaces is a remark."""
    lexer = shlex.shlex(re.split(r" {3,}", line.strip())[0], posix=True, punctuation_chars="&|<>;")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("&|<>;"):
            commands.append([])
        else:
            commands[-1].append(word)
    return [words for words in commands if words]


def parse(words: list[str]) -> None:
    """Hand words to the command line as it would read them, without doing what they say.

    Raises
    ------
    typer.BadParameter
        A command, an option or a value that there is not.
    """
    command, rest = command_of(words)
    command.make_context("trimtab", rest)


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and the words that are left for it."""
    command, rest = _COMMAND, words
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"there is no command {' '.join(words)}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def answer_to(line: str, before: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a line of a terminal answers; ``ID`` stands for the proposal that was shown before."""
    if not line.startswith("trimtab "):
        return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    proposal = re.search(r"\b[0-9a-f]{20}\b", before)
    words = [proposal[0] if word == "ID" and proposal else word for word in shlex.split(line)[1:]]
    paths = [str(path) for word in words if word.endswith("/*") for path in sorted(Path().glob(word))]
    with pytest.raises(SystemExit):
        main([word for word in words if not word.endswith("/*")] + paths)
    return "".join(capsys.readouterr())


def seen(shown: str, answered: str) -> list[str]:
    """Lines that a page shows and that were not answered in that order; ``…`` stands for anything, spaces for any spaces."""
    rest, missing = re.sub(r"[ \t]+", " ", answered), []
    for line in shown.splitlines():
        pattern = ".*".join(re.escape(part) for part in re.sub(r"\s+", " ", line.strip()).split("…"))
        found = re.search(pattern, rest)
        if found is None:
            missing.append(line)
        else:
            rest = rest[found.end() :]
    return missing

"""The command is listed without what its commands import, and says the same before and after they are imported."""

import subprocess
import sys
from pathlib import Path

import typer

from flows.commands.cli import app, whole_command
from tests.support.cli_session import environment


def test_the_list_says_of_a_command_what_its_own_help_says() -> None:
    listed = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    imported = whole_command().commands
    assert {name: one.help for name, one in listed.items()} == {name: one.help for name, one in imported.items()}
    assert list(listed) == list(imported)


def test_help_imports_no_command(tmp_path: Path) -> None:
    text = (
        "import sys\nfrom flows.commands.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'prefect', 'pandera', 'polars', 'duckdb', 'numba', 'alembic', 'fastapi'} & set(sys.modules)\n"
        "print(sorted(heavy | {name for name in sys.modules if name.startswith('flows.commands.')}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "['flows.commands.cli', 'flows.commands.lazy_group', 'flows.commands.say']"

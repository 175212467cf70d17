"""Several commands as somebody types them one after the other, in one process, so that Prefect's server starts once.

``python -m tests.support.cli_session HOME``: stdin holds a JSON list of ``{"words": [...], "settings": {...}}``; stdout receives, for each,
exit code, stdout, stderr and the files of the home afterwards.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from schemas.settings import Settings
from tests.support.prefect_home import prefect_home

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Command:
    """What a command left behind."""

    code: int
    out: str
    err: str
    files: list[str]


def environment(home: Path, **settings: str) -> dict[str, str]:
    """A shell with nothing of ours set but the home, and a Prefect of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIMTAB_", "PREFECT_"))}
    ours = {"TRIMTAB_HOME": str(home), "PREFECT_HOME": str(home.with_name(f"{home.name}-prefect"))}
    return {**kept, **ours, "PYTHONPATH": str(ROOT), **settings}


def variables_of(settings: Settings) -> dict[str, str]:
    """The settings as variables, for a process that is to have them."""
    given = settings.model_dump(mode="json", exclude_defaults=True)
    return {
        f"TRIMTAB_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }


def session(home: Path, *commands: tuple[Sequence[str], Mapping[str, str]]) -> list[Command]:
    asked = [{"words": list(words), "settings": dict(settings)} for words, settings in commands]
    shell = environment(home)
    prefect_home(Path(shell["PREFECT_HOME"]))
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.cli_session", str(home)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        env=shell,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Command(**one) for one in json.loads(done.stdout)]


@contextmanager
def captured(number: int) -> Any:
    """What is written to a file descriptor meanwhile, by this process and those it starts."""
    kept = os.dup(number)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), number)
        try:
            yield file
        finally:
            os.dup2(kept, number)
            os.close(kept)


def text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def run(words: list[str], settings: dict[str, str], home: Path) -> dict[str, Any]:
    from flows.commands.cli import main  # noqa: PLC0415 - after the environment is as it should be

    os.environ.update(settings)
    code: Any = 0
    with captured(1) as out, captured(2) as err:
        try:
            main(words)
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
        texts = {"out": text_of(out), "err": text_of(err)}
    for name in settings:
        del os.environ[name]
    files = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    return {"code": code, **texts, "files": files}


if __name__ == "__main__":
    told = json.load(sys.stdin)
    answers = [run(one["words"], one["settings"], Path(sys.argv[1])) for one in told]
    print(json.dumps(answers))

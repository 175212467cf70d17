"""Imports run one way: schemas <- tasks/core <- tasks <- flows, schemas <- warehouse <- tasks, console on top."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("schemas", "warehouse", "tasks.core", "tasks", "flows", "console", "tests")
"""Our folders, the most specific name first where one contains another."""

MAY_IMPORT = {
    "schemas": {"schemas"},
    "warehouse": {"schemas", "warehouse"},
    "tasks.core": {"schemas", "tasks.core"},
    "tasks": {"schemas", "warehouse", "tasks.core", "tasks"},
    "flows": {"schemas", "warehouse", "tasks.core", "tasks", "flows"},
    "console": {"schemas", "warehouse", "tasks.core", "tasks", "console"},
}
ALSO = {("flows/commands/cli.py", "console")}
"""The one command that starts the console."""

NOT_IN_THE_CORE = {
    "prefect",
    "duckdb",
    "sqlalchemy",
    "os",
    "pathlib",
    "io",
    "time",
    "logging",
    "tempfile",
    "subprocess",
}
ALLOWED = {("tasks/core/solver/entry.py", "os")}
"""It asks how many processors there are; its answer does not depend on that."""

CLOCKS = {"now", "today", "utcnow", "time", "perf_counter", "monotonic"}
BELOW_THE_COMMAND_LINE = {"tasks/runtime/stores.py", "tasks/runtime/steps.py"}
"""``utc_now`` for time stamps, and how long a step took."""


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(module: str) -> str | None:
    """Which of our folders a dotted name is in; null for everything else."""
    return next((room for room in ROOMS if module == room or module.startswith(f"{room}.")), None)


def imported(tree: ast.AST, package: str = "") -> Iterator[str]:
    """Every module imported anywhere in a file, inside functions too; ``from a import b`` counts as ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*([package] if node.level else []), *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def clock_calls(tree: ast.AST) -> list[str]:
    """Calls such as ``datetime.now()``, ``date.today()``, ``time.time()``."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        ast.unparse(call)
        for call in calls
        if isinstance(call, ast.Attribute)
        and call.attr in CLOCKS
        and isinstance(call.value, ast.Name | ast.Attribute)
        and ast.unparse(call.value).split(".")[-1] in {"datetime", "date", "time"}
    ]


def strangers(path: Path) -> list[str]:
    """Imports of a file that its folder may not have."""
    room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert room is not None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ".".join(path.relative_to(ROOT).parent.parts)
    others = {(module, room_of(module)) for module in imported(tree, package)}
    return sorted(
        module
        for module, other in others
        if other is not None and other not in MAY_IMPORT[room] and (name_of(path), other) not in ALSO
    )


@pytest.mark.parametrize("path", sources("schemas", "warehouse", "tasks", "flows", "console"), ids=name_of)
def test_a_file_imports_only_from_below(path: Path) -> None:
    assert strangers(path) == []


@pytest.mark.parametrize("path", sources("tasks/core"), ids=name_of)
def test_the_core_knows_no_store_no_disk_and_no_clock(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = {module.split(".")[0] for module in imported(tree)} & NOT_IN_THE_CORE
    assert {name for name in known if (name_of(path), name) not in ALLOWED} == set()
    assert clock_calls(tree) == []


@pytest.mark.parametrize("path", sources("schemas", "warehouse", "tasks"), ids=name_of)
def test_nothing_below_the_command_line_asks_for_the_time(path: Path) -> None:
    calls = clock_calls(ast.parse(path.read_text(encoding="utf-8")))
    assert calls == [] or name_of(path) in BELOW_THE_COMMAND_LINE


def test_only_the_warehouse_talks_to_databases() -> None:
    talkers = {
        name_of(path).split("/")[0]
        for path in sources("schemas", "tasks", "flows", "console")
        for module in imported(ast.parse(path.read_text(encoding="utf-8")))
        if module.split(".")[0] in {"duckdb", "sqlalchemy", "sqlite3", "alembic"}
    }
    assert talkers == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import warehouse.lake.lake", ["warehouse.lake.lake"]),
        ("from tasks import review", ["tasks.review.review"]),
        ("def f():\n    from flows.commands.cli import app as a", ["flows.commands.cli.app"]),
        ("from . import pull", ["tasks.pull.pull_task"]),
        ("from .core.drift import band", ["tasks.core.drift.drift.band"]),
    ],
)
def test_every_way_of_importing_is_seen(text: str, found: list[str]) -> None:
    assert list(imported(ast.parse(text), "tasks")) == found


@pytest.mark.parametrize(
    "text", ["datetime.now(UTC)", "date.today()", "time.perf_counter()", "datetime.datetime.utcnow()", "time.time()"]
)
def test_every_way_of_asking_for_the_time_is_seen(text: str) -> None:
    assert len(clock_calls(ast.parse(text))) == 1


@pytest.mark.parametrize(
    ("module", "room"), [("tasks.core.drift.drift", "tasks.core"), ("tasks.pull.pull_task", "tasks"), ("os", None)]
)
def test_the_core_is_a_room_of_its_own(module: str, room: str | None) -> None:
    assert room_of(module) == room

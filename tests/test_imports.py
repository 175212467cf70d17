"""Imports run one way through rooms, and a room is entered by its door: what its ``__init__`` offers, listed in ``__init__.pyi``."""

import ast
import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = ("schemas", "warehouse", "tasks", "flows", "console")

CORE = "tasks.core"
LEDGER = "warehouse.ledger"

MAY_IMPORT: Mapping[str, set[str]] = {
    "schemas": set(),
    # the pure core
    f"{CORE}.gate": {"schemas"},
    f"{CORE}.guards": {"schemas", f"{CORE}.gate"},
    f"{CORE}.solver": set(),
    f"{CORE}.facts": {"schemas", f"{CORE}.gate"},
    f"{CORE}.drift": {"schemas", f"{CORE}.facts"},
    f"{CORE}.tax": {"schemas", f"{CORE}.facts", f"{CORE}.solver"},
    f"{CORE}.export": {"schemas", f"{CORE}.facts"},
    f"{CORE}.rules": {"schemas", f"{CORE}.facts", f"{CORE}.solver", f"{CORE}.tax"},
    f"{CORE}.reconcile": {"schemas", f"{CORE}.facts", f"{CORE}.gate", f"{CORE}.tax", f"{CORE}.export"},
    f"{CORE}.propose": {
        "schemas",
        *(f"{CORE}.{room}" for room in ("facts", "gate", "drift", "tax", "export", "rules", "solver")),
    },
    f"{CORE}.explain": {
        "schemas",
        *(f"{CORE}.{room}" for room in ("facts", "gate", "drift", "tax", "rules", "propose")),
    },
    f"{CORE}.monitor": {"schemas", f"{CORE}.facts", f"{CORE}.drift", f"{CORE}.propose"},
    f"{CORE}.lab": {
        "schemas",
        *(f"{CORE}.{room}" for room in ("facts", "drift", "rules", "solver", "tax", "propose")),
    },
    f"{CORE}.profiles": {"schemas", f"{CORE}.gate", f"{CORE}.solver"},
    f"{CORE}.broker": {"schemas", f"{CORE}.facts", f"{CORE}.export"},
    f"{CORE}.performance": {"schemas", *(f"{CORE}.{room}" for room in ("facts", "gate", "tax", "lab"))},
    f"{CORE}.forecast": {f"{CORE}.lab"},
    f"{CORE}.replay": set(),
    # the warehouse
    "warehouse.file_lock": set(),
    "warehouse.faults": {"schemas"},
    "warehouse.lake": {"schemas", "warehouse.faults", "warehouse.file_lock"},
    f"{LEDGER}.store": {"schemas", "warehouse.faults"},
    f"{LEDGER}.access": {"schemas", f"{LEDGER}.store"},
    f"{LEDGER}.runs": {"schemas", "warehouse.faults", "warehouse.file_lock", f"{LEDGER}.access", f"{LEDGER}.store"},
    f"{LEDGER}.review": {"schemas", f"{LEDGER}.access", f"{LEDGER}.runs", f"{LEDGER}.store"},
    f"{LEDGER}.export": {"schemas", f"{LEDGER}.access", f"{LEDGER}.review", f"{LEDGER}.runs", f"{LEDGER}.store"},
    f"{LEDGER}.executions": {"schemas", f"{LEDGER}.access", f"{LEDGER}.review", f"{LEDGER}.store"},
    f"{LEDGER}.monitor": {"schemas", f"{LEDGER}.review", f"{LEDGER}.runs", f"{LEDGER}.store"},
    LEDGER: {
        "schemas",
        "warehouse.faults",
        *(f"{LEDGER}.{room}" for room in ("store", "access", "runs", "review", "export", "executions", "monitor")),
    },
    "warehouse.copies": {"schemas", "warehouse.faults", "warehouse.lake", LEDGER},
    "warehouse.migrations": {LEDGER},
    # stages
    "tasks.runtime": {"schemas", "warehouse"},
    "tasks.sources": {"schemas", CORE, "warehouse.file_lock", "tasks.runtime"},
    "tasks.formats": {"schemas", CORE, "tasks.sources"},
    "tasks.executions": {"schemas", CORE, "tasks.formats"},
    "tasks.deliveries": {"schemas", CORE, "tasks.runtime", "tasks.sources"},
    "tasks.known": {"schemas", CORE, "warehouse", "tasks.runtime"},
    "tasks.pull": {
        "schemas",
        CORE,
        "warehouse",
        *(f"tasks.{room}" for room in ("runtime", "sources", "formats", "known")),
    },
    "tasks.validate": {"schemas", CORE, "warehouse", "tasks.runtime", "tasks.known"},
    "tasks.propose": {"schemas", CORE, "warehouse", "tasks.runtime", "tasks.known"},
    "tasks.review": {"schemas", CORE, "warehouse", "tasks.runtime", "tasks.known", "tasks.propose"},
    "tasks.export": {
        "schemas",
        CORE,
        "warehouse",
        *(f"tasks.{room}" for room in ("runtime", "known", "deliveries", "review")),
    },
    "tasks.reconcile": {
        "schemas",
        CORE,
        "warehouse",
        *(f"tasks.{room}" for room in ("runtime", "sources", "executions", "review", "export")),
    },
    "tasks.monitor": {
        "schemas",
        CORE,
        "warehouse",
        *(f"tasks.{room}" for room in ("runtime", "sources", "formats", "known", "pull")),
    },
    "tasks.performance": {
        "schemas",
        CORE,
        "warehouse",
        *(f"tasks.{room}" for room in ("runtime", "known", "pull", "propose")),
    },
    "tasks.operate": {
        "schemas",
        CORE,
        "warehouse",
        *(f"tasks.{room}" for room in ("runtime", "known", "pull", "validate", "propose", "performance", "export")),
    },
    "tasks.jobs": {"schemas", "warehouse", "tasks.runtime"},
    "tasks.simulate": {"schemas", CORE, "tasks.runtime", "tasks.export"},
    "tasks.demo": {"schemas", "tasks.formats", "tasks.runtime"},
    "tasks.lab": {"schemas", CORE, "warehouse", "tasks.runtime", "tasks.known"},
    "tasks.forecast": {"schemas", CORE, "warehouse", "tasks.lab"},
    # flows and the command
    "flows.workers": {"schemas", "warehouse.lake", "tasks.runtime"},
    "flows": {"schemas", "flows.workers", "tasks"},
    "flows.commands": {"schemas", "flows", "tasks", "warehouse", "console"},
    "flows.commands.accounts": {"schemas", "flows.commands", "tasks", "warehouse"},
    "flows.commands.nights": {"schemas", "flows.commands", "tasks", "warehouse"},
    "flows.commands.lab": {"schemas", "flows", "tasks", "warehouse"},
    "flows.commands.profiles": {"schemas", "flows", "tasks", "warehouse"},
    "flows.commands.simulate": {"schemas", "flows", "tasks"},
    "flows.commands.performance": {"schemas", "flows", "tasks", "warehouse"},
    # the console
    "console.shared": {"schemas", "tasks", "warehouse"},
    "console.api": {"schemas", "tasks", "warehouse", "console.shared"},
    "console.metrics": {"schemas", "tasks", "warehouse", "console.shared"},
    "console.sign_in": {"schemas", "tasks", "warehouse", "console.shared"},
    "console.pages": {"schemas", "tasks", "warehouse", "console.shared"},
    "console.lab": {"schemas", "tasks", "warehouse", "console.shared", "console.pages"},
    "console.monitor": {"schemas", "tasks", "warehouse", "console.shared", "console.pages"},
    "console.pages.records": {"schemas", "tasks", "warehouse", "console.shared", "console.pages"},
    "console.pages.firm": {"schemas", "tasks", "warehouse", "console.shared", "console.pages"},
    "console": {
        "schemas",
        "tasks",
        "warehouse",
        *(
            f"console.{r}"
            for r in ("shared", "api", "metrics", "sign_in", "pages", "pages.firm", "pages.records", "lab", "monitor")
        ),
    },
}
"""What each room may import, beside itself. A folder of rooms stands for all of them."""

NOT_IN = {"tasks.demo": {"flows.commands"}}
"""Rooms that may be imported by these alone, whatever stands above."""

WITHOUT_A_DOOR = {
    "schemas",
    "warehouse.file_lock",
    "flows",
    "flows.commands",
    "flows.commands.accounts",
    "flows.commands.lab",
    "flows.commands.profiles",
    "flows.commands.nights",
    "flows.commands.simulate",
    "flows.commands.performance",
    "console",
    "console.pages",
    "console.lab",
    "console.monitor",
    "console.pages.firm",
    "console.pages.records",
}
"""Rooms that are entered by their modules: words that everything shares, and programs."""

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


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str | None:
    """The innermost of our rooms that a dotted name is in; null for everything else."""
    parts = module.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in MAY_IMPORT), None)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.AST, package: str = "") -> Iterator[tuple[str, str]]:
    """Every module imported anywhere in a file, inside functions too, and the name taken from it ("" for the module itself)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*([package] if node.level else []), *([node.module] if node.module else [])])
            yield from ((base, alias.name) for alias in node.names)


@cache
def modules() -> frozenset[str]:
    return frozenset(map(module_of, sources(*PRODUCT)))


def targets(path: Path) -> set[str]:
    """The modules of ours that a file imports; what it takes from a door counts as the module behind it."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    found = set()
    for base, name in imported(parsed(path), package):
        if f"{base}.{name}" in modules():
            found.add(f"{base}.{name}")
        elif base in modules():
            found.add(behind_door(base, name))
    return found


@cache
def door(room: str) -> Mapping[str, str]:
    """The names that a room offers, and the module of the room that each comes from."""
    stub = ROOT / room.replace(".", "/") / "__init__.pyi"
    if not stub.is_file():
        return {}
    names = {}
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        assert isinstance(node, ast.ImportFrom), f"{stub} holds imports and nothing else"
        for alias in node.names:
            names[alias.name] = f"{room}.{node.module}" if node.module else f"{room}.{alias.name}"
    return names


def behind_door(room: str, name: str) -> str:
    """The module that has the name which a room offers; the room itself where it offers none of that name."""
    module = door(room).get(name, room)
    return behind_door(module, name) if module != room and door(module) else module


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Circles of a graph, one for each place where following the arrows comes back."""
    found: list[list[str]] = []
    done: set[str] = set()

    def follow(node: str, way: list[str]) -> None:
        if node in way:
            found.append([*way[way.index(node) :], node])
        elif node not in done:
            for further in sorted(graph.get(node, ())):
                follow(further, [*way, node])
            done.add(node)

    for node in sorted(graph):
        follow(node, [])
    return found


def is_within(room: str, allowed: set[str]) -> bool:
    return any(room == each or room.startswith(f"{each}.") for each in allowed)


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


def strangers(path: Path) -> set[str]:
    """Rooms that a file imports and its own may not."""
    room = room_of(module_of(path))
    if room is None:  # a folder of rooms has no code of its own
        return {base for base, _ in imported(parsed(path))}
    others = {other for target in targets(path) if (other := room_of(target)) is not None and other != room}
    reserved = {other for other in others if room not in NOT_IN.get(other, {room})}
    return {other for other in others if not is_within(other, MAY_IMPORT[room])} | reserved


def windows(path: Path) -> set[str]:
    """Names that a file takes from another room past its door."""
    room = room_of(module_of(path))
    found = set()
    for base, name in imported(parsed(path), ".".join(path.relative_to(ROOT).parent.parts)):
        other = room_of(base)
        if other not in {None, room, *WITHOUT_A_DOOR} and not (base == other and name in door(other)):
            found.add(f"{base}: {name}")
    return found


def test_a_room_imports_only_from_rooms_below() -> None:
    assert {name_of(path): found for path in sources(*PRODUCT) if (found := strangers(path))} == {}


def test_a_room_is_entered_by_its_door() -> None:
    assert {name_of(path): found for path in sources(*PRODUCT) if (found := windows(path))} == {}


@pytest.mark.parametrize("room", sorted(room for room in MAY_IMPORT if door(room)))
def test_a_door_opens_on_what_it_lists(room: str) -> None:
    package = importlib.import_module(room)
    folder = ROOT / room.replace(".", "/")
    inside = {path.stem for path in folder.iterdir()}
    for name, module in door(room).items():
        thing = getattr(package, name)
        assert name not in inside or module == f"{room}.{name}", f"{name} is a module and a name of {room}"
        assert (
            thing is importlib.import_module(module)
            if module == f"{room}.{name}"
            else thing is getattr(importlib.import_module(module), name)
        )


def test_no_circle_anywhere_inside_functions_too() -> None:
    assert circles({module_of(path): targets(path) for path in sources(*PRODUCT)}) == []
    rooms: dict[str, set[str]] = {}
    for path in sources(*PRODUCT):
        room = room_of(module_of(path))
        if room is not None:
            others = {other for target in targets(path) if (other := room_of(target)) is not None}
            rooms.setdefault(room, set()).update(others - {room})
    assert circles(rooms) == []


def test_every_room_stands_in_the_rules() -> None:
    folders = {module_of(path) for path in sources(*PRODUCT) if path.name == "__init__.py"}
    assert {folder for folder in folders if folder not in {"tasks", CORE, "warehouse"}} <= set(MAY_IMPORT)


def test_the_core_knows_no_store_no_disk_and_no_clock() -> None:
    core = sources("tasks/core")
    known = {(name_of(path), base.split(".")[0]) for path in core for base, _ in imported(parsed(path))}
    assert {(name, module) for name, module in known - ALLOWED if module in NOT_IN_THE_CORE} == set()
    assert {name_of(path): calls for path in core if (calls := clock_calls(parsed(path)))} == {}


def test_nothing_below_the_command_line_asks_for_the_time() -> None:
    asking = {name_of(path) for path in sources("schemas", "warehouse", "tasks") if clock_calls(parsed(path))}
    assert asking <= BELOW_THE_COMMAND_LINE


def test_only_the_warehouse_talks_to_databases() -> None:
    talkers = {
        name_of(path).split("/")[0]
        for path in sources("schemas", "tasks", "flows", "console")
        for base, _ in imported(parsed(path))
        if base.split(".")[0] in {"duckdb", "sqlalchemy", "sqlite3", "alembic"}
    }
    assert talkers == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import warehouse.lake", [("warehouse.lake", "")]),
        ("from tasks import review", [("tasks", "review")]),
        ("def f():\n    from flows.commands.cli import app as a", [("flows.commands.cli", "app")]),
        ("from . import pull", [("tasks", "pull")]),
        ("from .core.drift import band", [("tasks.core.drift", "band")]),
    ],
)
def test_every_way_of_importing_is_seen(text: str, found: list[tuple[str, str]]) -> None:
    assert list(imported(ast.parse(text), "tasks")) == found


@pytest.mark.parametrize(
    "text", ["datetime.now(UTC)", "date.today()", "time.perf_counter()", "datetime.datetime.utcnow()", "time.time()"]
)
def test_every_way_of_asking_for_the_time_is_seen(text: str) -> None:
    assert len(clock_calls(ast.parse(text))) == 1


@pytest.mark.parametrize(
    ("module", "room"),
    [("tasks.core.drift.drift", "tasks.core.drift"), ("tasks.pull.land", "tasks.pull"), ("tasks", None), ("os", None)],
)
def test_the_innermost_room_counts(module: str, room: str | None) -> None:
    assert room_of(module) == room


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "a"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []

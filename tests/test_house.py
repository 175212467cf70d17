"""Rooms are small, a class name stands once, and a function is named by a verb or a noun."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PRODUCT: Final = ("flows", "tasks", "schemas", "warehouse", "console", "deploy", "docs")
MOST_FILES: Final = 25
"""More modules in one folder are a room not yet seen."""
MOST_PARTICIPLES: Final = 0.015
"""Share of functions that are named by a bare participle: what is handed to a page as a callback, for example."""
IRREGULAR: Final = frozenset(
    re.findall(
        r"\w+",
        "bought broken built chosen cut drawn done fallen found given gone grown held hidden kept known laid led left lost "
        "made meant met paid sent shown sold spent struck taken thought told understood woken won worn written",
    )
)
CHANGING: Final = frozenset({"clear", "pop", "popitem", "setdefault", "update", "__setitem__", "__delitem__"})
MOST_HOPS: Final = 6
"""Between the flow and the system's own call that writes a file of an export."""
EXPORTING: Final = ("flows/release.py", "tasks/export/*.py", "tasks/runtime/atomic_folder.py")
LONG: Final = 300
WHY_LONG: Final = {
    "console/pages/proposal.py": "one page with its figures, its household and what is done with the proposal",
    "tasks/review/review.py": "one service layer: filters, names, decisions and what is said of households",
    "console/pages/queue.py": "one page with its table, its filters and what is done with the rows chosen",
    "schemas/enums.py": "every word that is stored or shown, each with its meaning",
    "schemas/settings.py": "every setting, each with its meaning",
    "schemas/landing.py": "the landing contract, column by column",
    "tasks/core/explain/account_page.py": "one page of facts about an account, section by section",
    "tasks/core/export/mapping_rules.py": "every rule of the outgoing mapping language",
    "tasks/core/gate/parsing.py": "every kind of cell, read the same way",
    "warehouse/ledger/access/access.py": "sessions, tokens and sign-in are one transaction each on the same tables",
    "warehouse/ledger/export/exports.py": "an export from its claim to its publication",
    "warehouse/ledger/review/decisions.py": "what may be decided, and by whom, in one place",
    "warehouse/ledger/review/proposals.py": "every move of a proposal's state",
    "warehouse/ledger/store/tables.py": "the ledger's tables",
}


MAY_WRITE_ENVIRONMENT: Final = {
    "flows/commands/cli.py": "what Prefect's own server takes, where the caller has not said otherwise"
}
MAY_LOAD_SETTINGS: Final = {
    "schemas/settings.py": "it reads them",
    "tasks/runtime/run_settings.py": "where none are bound",
    "deploy/alerts.py": "a program of its own",
}
"""Everything else is handed its settings, or asks for those of the run."""


HOLD_THE_LEDGER: Final = {
    "warehouse/ledger/ledger.py": "it is made here",
    "tasks/runtime/stores.py": "it is opened here",
    "tasks/runtime/steps.py": "what a task works on, from which it hands parts on",
    "tasks/operate/replay_scratch.py": "a replay opens one of its own beside the real one",
    "tasks/export/packages.py": "what an export works on: eight parts, from claim to publication",
    "tasks/export/deliver.py": "what a delivery works on: four parts",
    "tasks/known/fill_lag.py": "what is known of an order stands in five parts",
    "console/shared/backend.py": "what pages and routes work on, from which they hand parts on",
}
"""Who may name the whole ledger. Every other function says by its arguments which parts it reads and writes."""


def modules() -> list[Path]:
    found = (path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if "_build" not in path.parts)


def functions() -> Iterator[str]:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name


def is_bare_participle(name: str) -> bool:
    """``matched``, ``_told``: one word that says what has been done, and neither who does it nor what comes back."""
    bare = name.strip("_")
    return re.fullmatch(r"[a-z]+(?<!e)ed", bare) is not None or bare in IRREGULAR


def test_no_folder_holds_more_files_than_a_person_can_look_over() -> None:
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in modules())
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_a_class_name_stands_once() -> None:
    places = defaultdict(list)
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path.relative_to(ROOT).as_posix())
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_few_functions_are_named_by_a_bare_participle() -> None:
    names = list(functions())
    found = [name for name in names if is_bare_participle(name)]
    assert len(found) < MOST_PARTICIPLES * len(names), sorted(found)


def test_a_participle_is_seen() -> None:
    seen = [
        name
        for name in ("matched", "_told", "need", "with_matched", "read", "matched_rows", "feed")
        if is_bare_participle(name)
    ]
    assert seen == ["matched", "_told"]


def test_a_long_file_has_its_reason() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in modules()}
    long = {name for name, length in lengths.items() if length > LONG and "migrations" not in name}
    assert long - set(WHY_LONG) == set()


def test_commands_print_in_one_way() -> None:
    """What goes past it brings escapes in names and notes to the terminal."""
    past = re.compile(r"typer\.echo\(|click\.echo\(|[^.\w]print\(|sys\.stdout\.write\(|[^\w]Console\(")
    found = {
        path.name: past.findall(path.read_text(encoding="utf-8"))
        for path in ROOT.glob("flows/commands/*.py")
        if path.name != "say.py"
    }
    assert {name: some for name, some in found.items() if some} == {}


def test_few_modules_hold_the_whole_ledger() -> None:
    naming = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if "Ledger" in {getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", "")}
    }
    assert naming == set(HOLD_THE_LEDGER)


def calls(*patterns: str) -> dict[str, set[str]]:
    """By function: what it calls, as it stands there."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (path for pattern in patterns for path in ROOT.glob(pattern)):
        for function in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(function, ast.FunctionDef):
                names = {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
                found[function.name] |= names
    return found


def test_from_the_flow_to_a_files_bytes_it_is_as_near_as_is_written_down() -> None:
    _, _, rest = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("From the flow to a file's bytes: ")
    way = re.findall(r"`(\w+)`", rest.partition("\n")[0])
    assert 1 <= len(way) - 1 <= MOST_HOPS
    called = calls(*EXPORTING)
    assert [(one, other) for one, other in pairwise(way) if other not in called[one]] == []
    assert "@flow" in (ROOT / f"flows/{way[0]}.py").read_text(encoding="utf-8")
    assert "os.write" in called[way[-1]]


def writes_environment(tree: ast.AST) -> bool:
    """Whether it changes the variables of its own process: ``os.environ[...] = ``, ``del``, ``update`` and the like, ``putenv``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load) and is_environment(node.value):
            return True
        if isinstance(node, ast.Attribute) and (
            node.attr in {"putenv", "unsetenv"} or (node.attr in CHANGING and is_environment(node.value))
        ):
            return True
        if isinstance(node, ast.AugAssign) and is_environment(node.target):
            return True
    return False


def is_environment(node: ast.expr) -> bool:
    return ast.unparse(node) in {"os.environ", "environ"}


def test_no_setting_travels_through_the_environment() -> None:
    trees = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in modules()}
    assert {name for name, tree in trees.items() if writes_environment(tree)} == set(MAY_WRITE_ENVIRONMENT)
    loading = {
        name
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if "load_settings" in {getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", "")}
    }
    assert loading == set(MAY_LOAD_SETTINGS)


@pytest.mark.parametrize(
    ("text", "is_write"),
    [
        ("os.environ['TRIMTAB_HOME'] = 'x'", True),
        ("del os.environ[name]", True),
        ("os.environ |= wanted", True),
        ("os.environ.update(wanted)", True),
        ("change = os.environ.pop", True),
        ("os.putenv('TRIMTAB_HOME', 'x')", True),
        ("environment = {**os.environ, 'A': 'b'}", False),
        ("os.environ.get('HOME'), os.environ['PATH']", False),
    ],
)
def test_a_write_to_the_environment_is_seen(text: str, *, is_write: bool) -> None:
    assert writes_environment(ast.parse(text)) is is_write

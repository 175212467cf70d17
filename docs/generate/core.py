"""Pages of the Python core: of each room what its door offers, drawn from docstrings when the pages are built."""

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from docs.generate.markdown import code, page, prose, section, sentence, table
from docs.generate.notes import field_notes

CORE: Final = "tasks.core"
FOLDER: Final = Path(importlib.import_module(CORE).__file__ or "").parent
ROOMS: Final = sorted(path.parent.name for path in FOLDER.glob("*/__init__.pyi"))


def core_pages() -> dict[str, Callable[[], str]]:
    """A page for each room, by its path within the documentation, and one that lists them."""
    rooms = {f"reference/core/{room}.md": partial(_room_page, room) for room in ROOMS}
    return {"reference/core/index.md": _index_page, **rooms}


def _index_page() -> str:
    rows = [[f"[{room}]({room}.md)", _first_line(importlib.import_module(f"{CORE}.{room}"))] for room in ROOMS]
    return page(
        "Python core",
        prose(importlib.import_module(CORE).__doc__),
        table(["room", "what"], rows),
        "```{toctree}\n:hidden:\n\n" + "\n".join(ROOMS) + "\n```",
    )


def _room_page(room: str) -> str:
    name = f"{CORE}.{room}"
    offered = {given: (module, getattr(importlib.import_module(name), given)) for module, given in _door(room)}
    constants = [
        [code(given), sentence(field_notes(f"{name}.{module}").get(("", given), ""))]
        for given, (module, value) in offered.items()
        if not (inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value))
    ]
    return page(
        code(name),
        prose(importlib.import_module(name).__doc__),
        *(_directive(name, given, value) for given, (_, value) in offered.items()),
        section("Constants", table(["name", "what"], constants)) if constants else "",
    )


def _door(room: str) -> Iterator[tuple[str, str]]:
    """Module and name of what a room offers, in the order of its door."""
    for statement in ast.parse((FOLDER / room / "__init__.pyi").read_text()).body:
        if isinstance(statement, ast.ImportFrom):
            yield from ((statement.module or "", alias.name) for alias in statement.names)


def _directive(room: str, name: str, value: Any) -> str:
    """What Sphinx draws the docstring of a class, a function or a module with."""
    if inspect.ismodule(value):
        lines = [f".. automodule:: {room}.{name}", "   :members:"]
    elif inspect.isclass(value):
        lines = [f".. autoclass:: {room}.{name}", "   :members:", "   :undoc-members:"]
    elif inspect.isroutine(value):
        lines = [f".. autofunction:: {room}.{name}"]
    else:
        return ""
    return "\n".join(["```{eval-rst}", *lines, "```"])


def _first_line(module: ModuleType) -> str:
    return prose((module.__doc__ or "").partition("\n")[0])

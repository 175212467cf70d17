"""What the source says of a name in a comment ``#:`` behind it or a docstring under it."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Final

from sphinx.pycode import ModuleAnalyzer

MARK: Final = "#: "


@cache
def field_notes(name: str) -> dict[tuple[str, str], str]:
    """Of each class and field of a module, what is said of the field."""
    analyzer = ModuleAnalyzer.for_module(name)
    return {place: " ".join(lines).strip() for place, lines in analyzer.find_attr_docs().items()}


def note_of(owner: type, field: str) -> str:
    """What is said of a class's field, there or where it is inherited from; empty: nothing."""
    ours = [each for each in owner.__mro__ if each.__module__.partition(".")[0] == owner.__module__.partition(".")[0]]
    found = (field_notes(each.__module__).get((each.__name__, field), "") for each in ours)
    return next((note for note in found if note), "")


def key_notes(module: ModuleType) -> dict[tuple[str, ...], str]:
    """What is said of each key of the module's dictionaries, by the path of keys that leads there.

    A dictionary that is named in another's place is read where it stands; one that is spread is too.
    """
    source = inspect.getsource(module)
    given = {
        target.id: statement.value
        for statement in ast.parse(source).body
        if isinstance(statement, ast.AnnAssign) and isinstance(target := statement.target, ast.Name)
    }
    lines = source.splitlines()

    def walk(value: ast.expr | None, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        if isinstance(value, ast.Name):
            yield from walk(given.get(value.id), path)
        if not isinstance(value, ast.Dict):
            return
        for key, inner in zip(value.keys, value.values, strict=True):
            if key is None:
                yield from walk(inner, path)
            elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield (*path, key.value), lines[key.lineno - 1].partition(MARK)[2]
                yield from walk(inner, (*path, key.value))

    return {place: note for name, value in given.items() for place, note in walk(value, (name,))}

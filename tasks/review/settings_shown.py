"""Every setting with its value and where that comes from, for people to read; nothing that may be a secret is in it."""

import ast
import inspect
import json
import os
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from schemas.settings import PREFIX, Settings

SECRETS: Final = (
    (re.compile(r"(://)[^\s/@\"']*@"), r"\1…@"),
    (re.compile(r"(://[^\s?\"']*)\?[^\s\"']+"), r"\1?…"),
    (re.compile(r"(?i)((?:password|passwd|secret|token|key)\s*=\s*)('[^']*'|\"[^\"]*\"|[^\s&;\"']+)"), r"\1…"),
)
"""What of an address may be a secret: who signs in there, what is asked behind ``?``, and what is called so."""
NOT_SHOWN: Final = "set, not shown"
EMPTY: Final = "empty"


class SettingSource(StrEnum):
    """Where a value comes from; the variable wins over the file."""

    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class SettingShown:
    """A setting. ``meaning``: what it is for, as the reference says."""

    name: str
    variable: str
    value: str
    source: SettingSource
    default: str
    meaning: str


def setting_rows(settings: Settings) -> list[SettingShown]:
    """Every setting in the order of the reference."""
    meanings = _meanings()
    return [
        SettingShown(
            name,
            f"{PREFIX}{name}".upper(),
            value_text(getattr(settings, name)),
            _source(settings, name),
            value_text(field.get_default(call_default_factory=True)),
            meanings.get(name, ""),
        )
        for name, field in Settings.model_fields.items()
    ]


def _source(settings: Settings, name: str) -> SettingSource:
    if f"{PREFIX}{name}".upper() in os.environ:
        return SettingSource.ENVIRONMENT
    return SettingSource.FILE if name in settings.model_fields_set - {"home"} else SettingSource.DEFAULT


def value_text(value: Any) -> str:
    """A value as text, without what may be a secret."""
    if isinstance(value, SecretStr):
        return NOT_SHOWN if value.get_secret_value() else EMPTY
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list | dict | set | frozenset) and not value:
        return EMPTY
    text = (
        json.dumps(_plain(value), default=str)
        if isinstance(value, tuple | list | dict | set | frozenset)
        else str(value)
    )
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text or EMPTY


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return NOT_SHOWN
    if isinstance(value, BaseModel):
        return {
            name: _plain(getattr(value, name)) for name in type(value).model_fields if name in value.model_fields_set
        }
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


@cache
def _meanings() -> dict[str, str]:
    return dict(_docstrings(ast.parse(textwrap.dedent(inspect.getsource(Settings)))))


def _docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names of fields, and the text below each."""
    (cls,) = tree.body
    statements = cls.body if isinstance(cls, ast.ClassDef) else []
    for here, below in pairwise(statements):
        if isinstance(here, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield ast.unparse(here.target), " ".join(str(below.value.value).replace("``", "").split())

"""How TOML files of ours are read, and what the two kinds of mapping share: how custodians' files are read (``tasks.formats``) and written (``tasks.core.export``).

An option of both has the same name in both; ``is_`` and ``has_`` are yes or no.
"""

import tomllib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import WrongUsage


class MappingPart(BaseModel):
    """Frozen; refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MappingFile(MappingPart):
    """The whole TOML file. ``decimal``: the sign before the digits after the point."""

    description: str = ""
    decimal: Literal[".", ","] = "."


Given = TypeVar("Given", bound=MappingPart)


def parse_mapping(model: type[Given], content: bytes, *, source: str, page: str) -> Given:
    """What a TOML file holds, a mapping or a study. ``source`` names it in messages; ``page`` is where its keys are explained.

    Raises
    ------
    WrongUsage
        It does not hold together: the source, the key and what was needed.
    """
    try:
        given = tomllib.loads(content.decode(), parse_float=Decimal)
    except ValueError as error:
        raise wrong_mapping(source, f"this is no TOML in UTF-8 ({error})", page) from error
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise wrong_mapping(source, f"{_key(first['loc'], given)}: {_sentence(first, model)}", page) from error


def wrong_mapping(source: str, fault: str, page: str) -> WrongUsage:
    """The error of a mapping with this fault."""
    return WrongUsage(f"{source}: {fault}\n\nHint: {page} says what each key means.")


def suggest_name(found: str, known: Iterable[str]) -> str:
    """What a name that is none may have been meant for."""
    names = list(known)
    near = get_close_matches(found, names, n=1)
    return f"did you mean {near[0]}?" if near else f"needed one of {', '.join(names)}"


def _key(place: tuple[int | str, ...], given: Any) -> str:
    """``columns[3] (Shares).decimals``: lists count from 1, an item that has a name is named; types that were tried are left out."""
    parts = []
    for each in place:
        if isinstance(each, str) and not each.isidentifier():
            continue
        given = _item(given, each)
        title = f" ({given['name']})" if isinstance(given, dict) and isinstance(given.get("name"), str) else ""
        parts.append(f"[{each + 1}]{title}" if isinstance(each, int) else f".{each}")
    return "".join(parts).removeprefix(".") or "the file"


def _item(given: Any, key: int | str) -> Any:
    try:
        return given[key]
    except (TypeError, LookupError):
        return None


def _sentence(fault: Any, model: type[BaseModel]) -> str:
    if fault["type"] == "extra_forbidden":
        *above, key = fault["loc"]
        fields = _model_at(model, above).model_fields
        return (
            f"there is no such key; {suggest_name(str(key), [field.alias or name for name, field in fields.items()])}"
        )
    if fault["type"] == "missing":
        return "needed, and absent"
    message, found = str(fault["msg"]).removeprefix("Value error, "), fault["input"]
    return f"{message} (found {str(found)[:60]})" if isinstance(found, (str, int, Decimal)) else message


def _model_at(model: type[BaseModel], place: list[int | str]) -> type[BaseModel]:
    """The model that is read at a place."""
    for each in place:
        field = model.model_fields.get(str(each))
        if field is not None:
            model = next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)

"""Pages of what goes in: the landing contract, policy, settings."""

from enum import StrEnum
from typing import Any, Final, get_args, get_origin

import annotated_types
import polars as pl
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.generate.markdown import code, page, prose, section, sentence, table
from docs.generate.notes import note_of
from schemas.exports import Delivery, ExecutionSource, Profile
from schemas.landing import CONTRACTS, OPTIONAL_COLUMNS, OPTIONAL_TABLES
from schemas.landing_columns import dtypes
from schemas.policy import Policy
from schemas.settings import PREFIX, Settings
from schemas.sources import Source
from tasks.core.gate.contract import column_requirement

ENTRIES: Final[dict[str, type[BaseModel]]] = {
    "sources": Source,
    "profiles": Profile,
    "deliveries": Delivery,
    "executions": ExecutionSource,
}
"""Tables of ``trimtab.toml``, each with as many entries as are needed."""


def landing_page() -> str:
    """The landing contract, a section a table."""
    return page(
        "Landing contract",
        prose(
            """
            What a source delivers: one CSV or Parquet file a table, or a table or view of that name in a database. Column order does not
            matter, a column that is not known is passed over with a notice, a missing one refuses the run unless it is optional. A row
            that breaks a rule is set aside with every rule it broke. Quantities, prices and amounts have at most 12 digits before the
            point and 6 after it; rates, weights and bands are fractions of 1; dates are ISO 8601; money is US dollars.
            """
        ),
        *(_landing_section(name) for name in CONTRACTS),
    )


def _landing_section(name: str) -> str:
    contract = CONTRACTS[name]
    schema = contract.to_schema()
    key = schema.unique or []
    optional = OPTIONAL_COLUMNS.get(name, frozenset())
    rows = []
    for column, dtype in dtypes(name).items():
        _, _, said = column_requirement(name, column).partition(": ")
        if column in Policy.model_fields:
            said = f"[{column}](policy.md)"
        empty = "null" if schema.columns[column].nullable else ""
        rows.append(
            [
                code(column) + ("*" if column in key else ""),
                type_word(dtype),
                "may be missing" if column in optional else empty,
                said,
            ]
        )
    kind = "Optional table. " if name in OPTIONAL_TABLES else ""
    return section(
        code(name),
        kind + prose(contract.__doc__),
        table(["column, * key", "type", "empty", "what, and its rule"], rows),
    )


def type_word(dtype: pl.DataType) -> str:
    """A column's type as people say it."""
    if isinstance(dtype, pl.Decimal):
        return f"decimal, {dtype.scale} digits"
    words = {pl.String: "text", pl.Date: "date", pl.Float64: "number", pl.Boolean: "true or false"}
    return words.get(type(dtype), "time, UTC" if isinstance(dtype, pl.Datetime) else "whole number")


def policy_page() -> str:
    """Parameters of a policy."""
    rows = [_field_row(Policy, name, field) for name, field in Policy.model_fields.items()]
    return page(
        "Policy",
        "Columns of the landing table [policies](landing.md#policies): what decides trades. One that is absent or null takes its default.",
        table(["parameter", "takes", "default", "meaning"], rows),
    )


def settings_page() -> str:
    """Settings, and the entries of the tables among them."""
    plain = [
        [code(f"{PREFIX}{name.upper()}"), *_field_row(Settings, name, field)[1:]]
        for name, field in Settings.model_fields.items()
        if name not in ENTRIES
    ]
    tables = [
        section(
            f"`[[{name}]]`",
            sentence(note_of(Settings, name)),
            table(
                ["key", "takes", "default", "meaning"],
                [_field_row(model, key, field) for key, field in model.model_fields.items()],
            ),
        )
        for name, model in ENTRIES.items()
    ]
    return page(
        "Settings",
        "Where things are, and how large a night may be. Each is a variable, or a line of `<home>/trimtab.toml` under its name in small "
        "letters without `TRIMTAB_`; the variable wins, and an unknown name is refused in both. `none` stands for a limit that is not set.",
        table(["variable", "takes", "default", "meaning"], plain),
        *tables,
    )


def _field_row(model: type[BaseModel], name: str, field: FieldInfo) -> list[str]:
    note = note_of(model, name)
    return [code(name), _takes(field), _default(field), sentence(note)]


def _takes(field: FieldInfo) -> str:
    """What values a field has, in words."""
    kind, is_many = _kind(field.annotation)
    words = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        word = ", ".join(code(str(each)) for each in kind)
    elif get_args(kind):
        word = ", ".join(code(str(each)) for each in get_args(kind) if each)
    else:
        word = words.get(kind, getattr(kind, "__name__", "text").lower())
    word = {"path": "folder", "secretstr": "text, a secret", "time": "time of day"}.get(word, word)
    limits = _limits(field) if word.endswith("number") else ""
    return f"any of {word}" if is_many else f"{word} {limits}".rstrip()


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The type of a field's values and whether it holds several; of a mapping the type of what it holds."""
    is_many = False
    while (origin := get_origin(annotation)) is not None:
        inner = [each for each in get_args(annotation) if each not in {type(None), Ellipsis}]
        if not isinstance(inner[0], type) and get_origin(inner[0]) is None:
            return annotation, is_many  # the words of a Literal
        is_many |= origin in {tuple, frozenset}
        annotation = inner[-1] if origin not in {tuple, frozenset} and hasattr(origin, "items") else inner[0]
    return annotation, is_many


def _constraints(field: FieldInfo) -> list[Any]:
    nested = [each for part in get_args(field.annotation) for each in getattr(part, "__metadata__", ())]
    found = [*field.metadata, *nested]
    return [inner for each in found for inner in (each.metadata if isinstance(each, FieldInfo) else [each])]


def _limits(field: FieldInfo) -> str:
    """Where its numbers begin and end."""
    least = most = ""
    for constraint in _constraints(field):
        match constraint:
            case annotated_types.Ge(ge=number):
                least = f"{number}"
            case annotated_types.Gt(gt=number):
                least = f"above {number}"
            case annotated_types.Le(le=number):
                most = f"{number}"
            case _:
                pass
    if least.startswith("above"):
        return f"{least} up to {most}" if most else least
    return f"from {least} to {most}" if most else least and f"of {least} or more"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, frozenset):
        return ", ".join(sorted(code(str(each)) for each in value))
    if value is None:
        return "none"
    if hasattr(value, "get_secret_value") or value in ("", (), {}):
        return "empty"
    return code(str(value).lower() if isinstance(value, bool) else str(value))

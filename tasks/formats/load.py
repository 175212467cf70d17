"""Load a format: one that ships with the program, by name, or a TOML file, by path."""

import hashlib
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from schemas.errors import WrongUsage
from tasks.formats.faults import faults
from tasks.formats.mapping import InputFormat, InputMapping

_SHIPPED: Final = Path(__file__).parent
_ENDING: Final = ".toml"


def shipped_formats() -> tuple[str, ...]:
    """Names of the formats that ship with the program."""
    return tuple(sorted(path.stem.replace("_", "-") for path in _SHIPPED.glob(f"*{_ENDING}")))


def load_format(name: str) -> InputFormat:
    """The format of a name, or of a path that ends in ``.toml``.

    Raises
    ------
    WrongUsage
        There is no such format, or the mapping does not hold together: the file, the key and what was needed.
    """
    is_path = name.endswith(_ENDING)
    path = Path(name) if is_path else _SHIPPED / f"{name.replace('-', '_')}{_ENDING}"
    if not path.is_file() if is_path else name not in shipped_formats():
        raise WrongUsage(
            f"there is no format {name}; needed one of {', '.join(shipped_formats())}, or the path of a TOML file\n\n"
            "Hint: docs/how-to/formats.md says how to write one."
        )
    content = path.read_bytes()
    mapping = _parse(path.name, content)
    fault = next(faults(mapping), None)
    if fault is not None:
        raise _wrong(path.name, fault)
    return InputFormat(mapping, hashlib.sha256(content).hexdigest())


def _parse(file: str, content: bytes) -> InputMapping:
    try:
        return InputMapping.model_validate(tomllib.loads(content.decode(), parse_float=Decimal))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong(file, f"this is no TOML in UTF-8 ({error})") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise _wrong(file, f"{_key(first['loc'])}: {_sentence(first['msg'], first['input'])}") from error


def _key(place: tuple[int | str, ...]) -> str:
    """``tables[1].columns.quantity``: lists count from 1; names of types that were tried are left out."""
    parts = [
        f"[{each + 1}]" if isinstance(each, int) else f".{each}"
        for each in place
        if isinstance(each, int) or each.isidentifier()
    ]
    return "".join(parts).removeprefix(".") or "the file"


def _sentence(message: str, found: object) -> str:
    text = message.removeprefix("Value error, ")
    shown = f" (found {str(found)[:60]})" if isinstance(found, (str, int, Decimal)) else ""
    return {"Extra inputs are not permitted": "there is no such key", "Field required": "needed, and absent"}.get(
        text, text + shown
    )


def _wrong(file: str, fault: str) -> WrongUsage:
    return WrongUsage(f"{file}: {fault}\n\nHint: docs/how-to/formats.md says what each key means.")

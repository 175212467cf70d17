"""Load a format: one that ships with the program, by name, or a TOML file, by path."""

import hashlib
from pathlib import Path
from typing import Final

from schemas.errors import WrongUsage
from schemas.mappings import parse_mapping, wrong_mapping
from tasks.formats.faults import faults
from tasks.formats.mapping import InputFormat, InputMapping

_SHIPPED: Final = Path(__file__).parent
_ENDING: Final = ".toml"
_PAGE: Final = "docs/how-to/formats.md"


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
            f"Hint: {_PAGE} says how to write one."
        )
    content = path.read_bytes()
    mapping = parse_mapping(InputMapping, content, source=path.name, page=_PAGE)
    fault = next(faults(mapping), None)
    if fault is not None:
        raise wrong_mapping(path.name, fault, _PAGE)
    return InputFormat(mapping, hashlib.sha256(content).hexdigest())

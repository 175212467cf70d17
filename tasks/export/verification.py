"""Check an exported folder with nothing but itself and, where it is signed, the public key.

1. ``_SUCCESS`` names the manifest's hash, and the signature is the key's.
2. Every file listed is there with its hash, and no other file is.
3. What the manifest says adds up once more from the files: orders, accounts, dollars bought and sold; allocations to blocks;
   lots to sells. (A profile's folder has formats of its own; there the first two hold.)
"""

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.errors import Terminal, WrongUsage
from tasks.core.export import FORMAT, MANIFEST, SIGNATURE, SUCCESS, sha256
from tasks.export.signing import is_signed
from tasks.export.tombstone import TOMBSTONE
from tasks.runtime import hash_file, raise_it

OWN: Final = (MANIFEST, SIGNATURE, SUCCESS)
"""Files that a manifest does not list."""


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """A folder that is whole. ``is_signed``: a key was given, and the signature is its own."""

    export_id: str
    file_count: int
    order_count: int
    is_signed: bool


class ExportBroken(Terminal):
    """A folder is not what was exported; none of its files should be used."""


def verify(folder: Path, key: Ed25519PublicKey | None = None) -> VerificationResult:
    """Check a folder.

    Raises
    ------
    WrongUsage
        It is no exported folder.
    ExportBroken
        Something is missing, was changed, or does not add up; the message names the first.
    """
    manifest = read_manifest(folder, key)
    try:
        listed = {str(entry["path"]): entry for entry in manifest["files"]}
        found = dict(_files(folder))
        for path in sorted(listed.keys() | found.keys()):
            _check_file(folder, path, listed.get(path), is_there=path in found)
        if "profile" not in manifest:
            _check_sums(folder, manifest, listed)
    except (KeyError, TypeError, AttributeError, ArithmeticError, UnicodeDecodeError) as error:
        raise ExportBroken(
            f"{MANIFEST} of {folder}, or a file that it lists, is not in its form ({type(error).__name__})"
        ) from None
    return VerificationResult(
        str(manifest["export_id"]), len(listed), int(manifest["totals"]["orders"]), key is not None
    )


def read_manifest(folder: Path, key: Ed25519PublicKey | None = None) -> dict[str, Any]:
    """The manifest that ``_SUCCESS`` names and, where a key is given, that it signed.

    Raises
    ------
    WrongUsage
        It is no exported folder.
    ExportBroken
        The manifest is another one, or not signed by the key.
    """
    if (folder / TOMBSTONE).is_file() and not (folder / SUCCESS).exists():
        raise WrongUsage(f"{folder} is no export: one was given up here before it left; there are no orders of it")
    content = _bytes(folder, MANIFEST)
    said = _bytes(folder, SUCCESS).split()[:1]
    if said != [sha256(content).encode()]:
        raise ExportBroken(
            f"{MANIFEST} of {folder} is not the one that {SUCCESS} names; it was changed, or is not whole"
        )
    if key is not None:
        if not (folder / SIGNATURE).is_file():
            raise ExportBroken(f"{folder} has no {SIGNATURE}; needed one by the key given")
        if not is_signed(content, _bytes(folder, SIGNATURE), key):
            raise ExportBroken(f"{SIGNATURE} of {folder} is not of the key given; do not use these files")
    try:
        manifest: Any = json.loads(content)
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict):
        raise ExportBroken(f"{MANIFEST} of {folder} is no JSON object")
    if manifest.get("format") != FORMAT:
        raise WrongUsage(f"{folder} is of the format {manifest.get('format')}; needed {FORMAT}")
    return manifest


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise WrongUsage(
            f"{folder} has no {name} ({error.strerror}); needed a folder that was exported whole\n\n"
            "Hint: name the folder <as-of date>/<run>; one without _SUCCESS is not complete yet."
        ) from None


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file but the folder's own, by its path inside."""
    for parent, folders, names in os.walk(folder, onerror=raise_it):
        for name in (*names, *(each for each in folders if Path(parent, each).is_symlink())):
            path = Path(parent, name)
            inside = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise ExportBroken(f"{inside} of {folder} is a link; an export has none")
            if inside not in OWN:
                yield inside, path


def _check_file(folder: Path, path: str, entry: dict[str, Any] | None, *, is_there: bool) -> None:
    if entry is None:
        raise ExportBroken(f"{path} of {folder} is not in the manifest; somebody put it there")
    if not is_there:
        raise ExportBroken(f"{path} of {folder} is missing")
    if hash_file(folder / path) != entry["sha256"]:
        raise ExportBroken(f"{path} of {folder} was changed: its hash is not the manifest's")


def _check_sums(folder: Path, manifest: dict[str, Any], listed: dict[str, Any]) -> None:
    orders = [row for path in listed if path.startswith("accounts/") for row in _rows(folder / path)]
    totals = manifest["totals"]
    _require_equal("orders", len(orders), totals["orders"])
    _require_equal("accounts", len({row["account_id"] for row in orders}), totals["accounts"])
    for side in ("sell", "buy"):
        value = sum((Decimal(row["estimated_value_usd"]) for row in orders if row["side"] == side), Decimal(0))
        _require_equal(f"dollars of {side} orders", value, Decimal(totals[f"{side}_value_usd"]))
    blocks = {row["block_id"]: Decimal(row["quantity"]) for row in _rows(folder / "blocks.csv")}
    _require_equal("allocations by block", _sums(_rows(folder / "allocations.csv"), "block_id"), blocks)
    sells = {row["client_order_id"]: Decimal(row["quantity"]) for row in orders if row["side"] == "sell"}
    lots = (row for path in listed if path.startswith("lots/") for row in _rows(folder / path))
    _require_equal("lots by sell", _sums(lots, "client_order_id"), sells)


def _sums(rows: Iterator[dict[str, str]], name: str) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row[name]] += Decimal(row["quantity"])
    return dict(sums)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))


def _require_equal(what: str, found: object, needed: object) -> None:
    if isinstance(found, dict) and isinstance(needed, dict):
        for name in sorted(found.keys() | needed.keys()):
            if found.get(name) != needed.get(name):
                raise ExportBroken(f"the {what} {name} come to {found.get(name)}, needed {needed.get(name)}")
    elif found != needed:
        raise ExportBroken(f"the {what} come to {found}, the manifest says {needed}")

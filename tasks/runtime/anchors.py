"""Anchors of the audit chain: how long it was and what its newest hash was, signed, in a folder outside the ledger.

One is written when a run is done, before an export and after it, as a file of its own that is named after the chain's length; none is
ever changed. A chain that was cut, or written anew, no longer has the row that an anchor names. Before an anchor is written the newest
one must still fit, so that a chain which grew again after a cut gets none; nothing leaves then.

The signature is HMAC-SHA256 over the anchor's JSON (sorted keys, no spaces) without its member ``hmac``, with the key of the install.

Known limits: whoever may read the key and write the folder can make anchors, and whoever may empty the folder leaves nothing to compare
with: keep it where another user, an append-only disk or a lock of objects stands before that, or copy it away.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from schemas.errors import AuditBroken, Terminal
from schemas.settings import Settings
from tasks.runtime.atomic_folder import FILE_MODE, flush, make_folders, temporary_name, write_file
from tasks.runtime.stores import utc_now
from warehouse.ledger import Audit

FORMAT: Final = "trimtab-anchor-1"
KEY_BYTES: Final = 32
SUFFIX: Final = ".anchor.json"


@contextmanager
def anchored(settings: Settings, audit: Audit, what: str) -> Iterator[None]:
    """Anchor the chain before and after what is done, even where that breaks off.

    Raises
    ------
    AuditBroken
        The chain does not fit its newest anchor; nothing was done.
    Terminal
        An anchor cannot be written.
    """
    write_anchor(settings, audit, f"before {what}")
    try:
        yield
    finally:
        write_anchor(settings, audit, what)


def write_anchor(settings: Settings, audit: Audit, what: str) -> None:
    """Write down the chain's length and newest hash; one that is there already stays.

    Raises
    ------
    AuditBroken
        The chain does not fit its newest anchor; none was written.
    Terminal
        The folder or the key cannot be read or written.
    """
    folder = settings.anchor_folder
    with _explained(folder):
        make_folders(folder)
        key = _key(settings.anchor_key, is_made=True)
        newest = _anchor_files(folder)[-1:]  # before the ledger is looked at: a chain only grows
        length, hashes = audit.audit_hashes(_length_of(path) for path in newest)
        for path in newest:
            if fault := _fault(path, key, length, hashes):
                raise AuditBroken(None, f"nothing was done: {fault}\n\n{HINT}")
        final = folder / f"{length:012}{SUFFIX}"
        content = {"format": FORMAT, "seq": length, "hash": hashes[length], "at": utc_now().isoformat(), "of": what}
        if final not in newest:
            _put(final, json.dumps({**content, "hmac": _signature(content, key)}, sort_keys=True).encode())


def anchor_faults(settings: Settings, audit: Audit, place: Path) -> tuple[int, list[str]]:
    """How many anchors there are in a folder, or in one file, and a sentence for each that the chain does not fit, or if they cannot be read."""
    paths = [place] if place.is_file() else _anchor_files(place)
    if not paths:
        return 0, []
    try:
        with _explained(place):
            key = _key(settings.anchor_key, is_made=False)
            length, hashes = audit.audit_hashes(_length_of(path) for path in paths)
            return len(paths), [fault for path in paths if (fault := _fault(path, key, length, hashes))]
    except Terminal as error:
        return 0, [str(error)]


HINT: Final = (
    "Hint: keep the ledger as it is; `trimtab audit verify` looks at all of it. Where a backup was restored on purpose, put the anchors "
    "that are newer aside."
)


def _anchor_files(folder: Path) -> list[Path]:
    """Oldest first; none where there is no folder."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def _length_of(path: Path) -> int:
    """The length that the file is named after, which is also in it; 0: of none."""
    digits = path.name.removesuffix(SUFFIX)
    return int(digits) if digits.isdecimal() else 0


def _fault(path: Path, key: bytes, length: int, hashes: Mapping[int, str]) -> str | None:
    """Why the chain and an anchor do not belong together; null: they do."""
    try:
        content: Any = json.loads(path.read_bytes())
        signature = content.pop("hmac")
        is_ours = hmac.compare_digest(signature, _signature(content, key)) and content["format"] == FORMAT
        seq, digest, at = int(content["seq"]), content["hash"], content["at"]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return f"{path} is no anchor, or was changed"
    if not is_ours or seq != _length_of(path):
        return f"the anchor {path} was changed, or signed with another key than this install's"
    if seq > length:
        return f"the audit chain ends at row {length}; it had {seq} when {path} was written at {at}"
    if hashes.get(seq) != digest:
        return f"audit row {seq} is not the one that was there when {path} was written at {at}"
    return None


def _signature(content: Mapping[str, Any], key: bytes) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _key(path: Path, *, is_made: bool) -> bytes:
    """The key of the install, which nobody else may read; made where it is missing and may be.

    Raises
    ------
    Terminal
        It is missing, is none, or others may read it.
    """
    if is_made and not path.exists():
        make_folders(path.parent)
        _put(path, secrets.token_hex(KEY_BYTES).encode())
    content, mode = path.read_bytes(), path.stat().st_mode & 0o777
    if len(content) < KEY_BYTES:
        raise Terminal(f"{path} is too short for a key of anchors; needed {KEY_BYTES} bytes or more")
    if mode & ~FILE_MODE:
        raise Terminal(f"the key of anchors {path} is open to others (mode {mode:o}); needed 600\n\nHint: `chmod 600`.")
    return content


def _put(final: Path, content: bytes) -> None:
    """A new file, whole or not at all; one of the name that is there stays."""
    temporary = temporary_name(final)
    try:
        write_file(temporary, content)
        flush(temporary)
        os.link(temporary, final)
    except FileExistsError:
        return
    finally:
        temporary.unlink(missing_ok=True)
    flush(final.parent)


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Terminal(
            f"the anchors of the audit chain in {place} cannot be read or written: {error.filename}: {error.strerror}\n\n"
            "Hint: TRIMTAB_ANCHOR_URL names the folder, TRIMTAB_ANCHOR_KEY_FILE the key; nothing leaves without an anchor."
        ) from error

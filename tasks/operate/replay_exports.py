"""The files of a run's exports made again: from what a replay proposes, versions that people made, and the plan kept with the claim.

The manifest names the SHA-256 of every other file, and the ledger that of the manifest, so that files are compared that were
moved, or thrown away, long ago. A signature is taken from the folder where the key is not here.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.enums import RunState
from schemas.errors import ConservationBroken, WrongUsage
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from tasks.core.export import MANIFEST, SIGNATURE, Export, make_release, sha256
from tasks.export import BOOK, ExportPlan, Sending, book_of, is_signed, render_export, signer_of
from tasks.operate.replay_scratch import RecordedRun
from tasks.runtime import Stores, file_hashes
from warehouse.ledger import ExportRow, ExportState

FILES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class ExportDiff:
    """An export made again. ``problems``: what differs, in sentences; none: every file is the same."""

    export_id: str
    files: int
    problems: tuple[str, ...] = ()


def exports_again(at: Stores, known: RecordedRun, settings: Settings) -> Iterator[ExportDiff]:
    """Each published export of a run, made again below the scratch home."""
    if known.row.state is not RunState.DONE:
        return
    for row in known.ledger.exports.exports_of(known.row.run_id):
        if row.state is ExportState.PUBLISHED:
            yield _again(at, known, row, settings)


def _again(at: Stores, known: RecordedRun, row: ExportRow, settings: Settings) -> ExportDiff:
    run, plan = known.row, ExportPlan.parse(row.plan)
    export = Export(run.run_id, run.as_of_date, row.sequence, row.export_id)
    was = Path(row.folder) / export.folder_name
    approved = known.ledger.exports.approved_in(run.run_id).filter(pl.col("export_id") == row.export_id)
    claimed = known.ledger.exports.export_order_ids(row.export_id)
    try:
        book = book_of(_tables_of(at, known, approved), known.ledger.amendments, run.run_id)
        release = make_release(export, book, approved=approved, claimed=claimed)
        sign = _sign(plan, was, settings)
        final = at.settings.export_folder.resolve() / run.as_of_date.isoformat() / export.folder_name
        made = render_export(Sending(release, plan.profiles, sign), final, lambda _point: None, lambda: None)
    except (ConservationBroken, _Unsigned) as error:
        return ExportDiff(row.export_id, 0, (str(error).split("\n", 1)[0],))
    files = dict(file_hashes(final))
    return ExportDiff(row.export_id, len(files), tuple(_problems(files, was, made, row)))


def _tables_of(at: Stores, known: RecordedRun, approved: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The tables of an export, of its accounts alone."""
    mine = approved.select("account_id").unique()
    run_id = known.row.run_id
    found: dict[str, pl.DataFrame] = {}
    for table in BOOK:
        if table == "landed_securities":
            found[table] = at.lake.read(table, run_id, GLOBAL_SHARD)
            continue
        parts = [
            at.lake.read(table, run_id, shard).join(mine, on="account_id", how="semi") for shard in known.ref.shards
        ]
        found[table] = pl.concat(parts)
    return found


class _Unsigned(Exception):
    """The signature cannot be made again."""


def _sign(plan: ExportPlan, was: Path, settings: Settings) -> Callable[[bytes], bytes] | None:
    """Signs as the export was signed: by the key, or by signatures that stand in its folder and fit."""
    if not plan.signing_key:
        return None
    with suppress(WrongUsage):
        signer = signer_of(settings)
        if signer is not None and signer.public_hex == plan.signing_key:
            return signer.sign
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(plan.signing_key))
    signatures = [path.read_bytes() for path in sorted(was.rglob(SIGNATURE))] if was.is_dir() else []

    def find_signature(manifest: bytes) -> bytes:
        fitting = next((one for one in signatures if is_signed(manifest, one, key)), None)
        if fitting is None and plan.profiles:
            raise _Unsigned(
                f"a manifest made again has no signature of the key {plan.signing_key[:16]}... here; needed that key, "
                "or the folder with manifests that are the same"
            )
        return fitting or b""

    return find_signature


def _problems(files: dict[str, str], was: Path, made: str, row: ExportRow) -> Iterator[str]:
    """What differs from what was published; named by the manifest where the folder is still there."""
    here = _bytes_if_there(was / MANIFEST)
    is_kept = here is not None and sha256(here) == row.manifest_sha256
    if here is not None and not is_kept:
        yield f"{was / MANIFEST} was changed since it was published"
    if made == row.manifest_sha256:
        return
    if here is None or not is_kept:
        yield f"{MANIFEST} has SHA-256 {made}, published was {row.manifest_sha256}; which files differ is not known without its folder"
        return
    published = {each["path"]: each["sha256"] for each in json.loads(here)["files"]}
    again = {path: digest for path, digest in files.items() if path in published or path not in _closing()}
    differing = sorted(path for path in published.keys() | again.keys() if published.get(path) != again.get(path))
    names = ", ".join(differing[:FILES_SHOWN])
    more = f" and {len(differing) - FILES_SHOWN} more" if len(differing) > FILES_SHOWN else ""
    yield (
        f"{len(differing):,} of {len(published):,} files differ: {names}{more}" if differing else f"{MANIFEST} differs"
    )


def _closing() -> frozenset[str]:
    """Files that no manifest lists: those that end the folder."""
    return frozenset({MANIFEST, SIGNATURE, "_SUCCESS"})


def _bytes_if_there(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None

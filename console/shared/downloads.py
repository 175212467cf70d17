"""Files of an export that left, as its manifest lists them, and the route that hands one to a releaser or an admin."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response

from console.shared.backend import Backend
from console.shared.guard import session_in
from schemas.enums import Role
from schemas.errors import TrimtabError
from tasks.core.export import MANIFEST, SIGNATURE, SUCCESS
from tasks.export import final_folder, read_manifest
from warehouse.ledger import ExportRow, ExportState

MAY_DOWNLOAD: Final = frozenset({Role.RELEASER, Role.ADMIN})
BESIDE: Final = (MANIFEST, SIGNATURE, SUCCESS)
"""Files that the manifest does not list."""


def export_files(export: ExportRow) -> list[dict[str, Any]]:
    """``path, rows, size, sha256`` of every file that is there: the manifest first, then as it lists them; none where the folder is gone."""
    folder = final_folder(export)
    try:
        listed = read_manifest(folder)["files"]
    except TrimtabError:
        return []
    beside = [{"path": name, "rows": None, "sha256": None} for name in BESIDE]
    known = [
        *beside,
        *({"path": str(one["path"]), "rows": one.get("rows"), "sha256": one.get("sha256")} for one in listed),
    ]
    sized = [(one, _size(folder / one["path"])) for one in known]
    return [{**one, "size": number} for one, number in sized if number is not None]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def download_link(export_id: str, path: str) -> str:
    """Where a file is handed out."""
    return f"/download/{quote(export_id, safe='')}/{quote(path)}"


def downloads_router(backend: Backend) -> APIRouter:
    """``/download/<export>/<file>``: nothing but files that the export has."""
    router = APIRouter()

    @router.get("/download/{export_id}/{path:path}", include_in_schema=False)
    def download(request: Request, export_id: str, path: str) -> Response:
        if session_in(request).roles.isdisjoint(MAY_DOWNLOAD):
            return PlainTextResponse("A releaser or an admin may download files of an export.", 403)
        export = backend.ledger.deliveries.export_named(export_id)
        is_there = export is not None and export.state is ExportState.PUBLISHED
        if export is None or not is_there or path not in {one["path"] for one in export_files(export)}:
            return PlainTextResponse("There is no such file.", 404)
        return FileResponse(final_folder(export) / path, filename=f"{export_id}-{path.replace('/', '-')}")

    return router

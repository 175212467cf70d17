"""``trimtab console``: serve the console until it is stopped."""

import logging

import uvicorn

from console.app import make_app
from console.shared import open_backend
from schemas.settings import Settings


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve pages and API at an address. A proxy before it may be on this machine only; its word on the client is taken."""
    app = make_app(open_backend(settings))
    logging.getLogger("nicegui").setLevel(logging.WARNING)
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, server_header=False)

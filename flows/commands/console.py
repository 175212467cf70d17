"""``trimtab console``: serve the review console."""

from typing import Annotated

import typer

from console.app import serve
from tasks.runtime import current_settings


def console(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; 0.0.0.0 behind a proxy with TLS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen at.")] = 8080,
) -> None:
    """Serve the review console and the REST API until stopped. Users sign in with `trimtab users set-password`."""
    serve(current_settings(), host, port)

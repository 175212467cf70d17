"""``trimtab console``: serve the review console."""

import socket
from contextlib import closing
from typing import Annotated

import typer

from console.app import serve
from flows.commands.terminal import notice
from schemas.errors import WrongUsage
from tasks.runtime import current_actor, current_settings, open_ledger


def console(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; 0.0.0.0 behind a proxy with TLS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen at.")] = 8080,
) -> None:
    """Serve the review console and the REST API until stopped. Users sign in with `trimtab users set-password`."""
    settings = current_settings()
    with closing(open_ledger(settings)) as ledger:
        is_closed = not settings.oidc_issuer_url and not any(
            ledger.access.password_hash_of(user.name) for user in ledger.users.list_users()
        )
    listening = _listen(host, port)
    at = f"[{host}]" if ":" in host else host
    notice(f"The console is at http://{at}:{listening.getsockname()[1]}; ctrl-c stops it.")
    if is_closed:
        notice(f"Nobody can sign in yet: `trimtab users set-password {current_actor()}` makes your password.")
    serve(settings, listening)


def _listen(host: str, port: int) -> socket.socket:
    """The socket to serve on.

    Raises
    ------
    WrongUsage
        Something listens there, or the address is none of this machine's.
    """
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise WrongUsage(
            f"nothing can listen at {host}, port {port}: {why}\n\nHint: --port takes another one."
        ) from None

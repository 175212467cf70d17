"""The console as one application: the guard around it, the API, the sign-in, and the pages; served until it is stopped."""

import logging
import secrets
import socket
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from nicegui import app as web
from nicegui import ui
from starlette.middleware.sessions import SessionMiddleware
from starlette.staticfiles import StaticFiles

from console.api import add_problems, api_router
from console.lab import studies
from console.metrics import metrics_router
from console.monitor import following
from console.pages import register
from console.pages.firm import book, models, people
from console.pages.firm import settings as settings_page
from console.pages.records import model_changes, performance
from console.shared import Backend, RequestGuard, bind_sockets, downloads_router, open_backend
from console.sign_in import sign_in_router
from schemas.errors import Terminal
from schemas.settings import Settings

STATIC: Final = Path(__file__).parent / "static"
SIGN_IN_SECONDS: Final = 600
"""How long the way to the identity provider and back may take."""
ABSENCE_SECONDS: Final = 20
"""How long a page's content waits for a browser that says nothing: behind a lid, in a tunnel, or busy drawing. Then the page loads anew, and an
open dialog, a choice of rows and what was typed are gone. A page that says nothing is asked after four fifths of it, and a session that ended
meanwhile is then noticed (``shared/sockets.py``)."""
STYLE: Final = '<link rel="stylesheet" href="/static/console.css"><script src="/static/find.js" defer></script><script src="/static/scrolls.js" defer></script><script src="/static/notices.js"></script>'


def make_api(backend: Backend) -> FastAPI:
    """Everything but the pages."""
    app = FastAPI(
        title="trimtab",
        version=version("trimtab"),
        summary="Nights, accounts, proposals, decisions, exports and what came back, for systems around trimtab.",
        description="Amounts in USD, prices and quantities are decimal strings, so that no digit is lost; weights, drift and returns are "
        "numbers, fractions of 1; what may be several is a list. Times are UTC.",
        docs_url=None,
        redoc_url=None,
    )
    add_problems(app)
    app.include_router(metrics_router(backend))
    app.include_router(api_router(backend), prefix="/api")
    app.include_router(sign_in_router(backend))
    app.include_router(downloads_router(backend))
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_middleware(
        SessionMiddleware,
        secret_key=secrets.token_urlsafe(32),
        session_cookie="trimtab_sign_in",
        max_age=SIGN_IN_SECONDS,
        path="/sign-in",
        same_site="lax",
        https_only=backend.is_https,
    )
    app.add_middleware(RequestGuard, backend=backend)
    return app


def make_app(backend: Backend) -> FastAPI:
    """The whole console. Once a process: the pages' framework knows one application."""
    app = make_api(backend)
    ui.add_head_html(STYLE, shared=True)
    web.config.quasar_config["loadingBar"]["skipHijack"] = True  # a bar without a name, which reads out each request
    register(backend)
    studies.register(backend)
    following.register(backend)
    performance.register(backend)
    model_changes.register(backend)
    book.register(backend)
    models.register(backend)
    people.register(backend)
    settings_page.register(backend)
    bind_sockets()
    ui.run_with(
        app,
        title="trimtab",
        favicon=STATIC / "favicon.svg",
        dark=None,
        language="en-US",
        show_welcome_message=False,
        tailwind=False,
        reconnect_timeout=ABSENCE_SECONDS,
    )
    return app


def serve(settings: Settings, listening: socket.socket) -> None:
    """Serve pages and API on a socket. A proxy before it may be on this machine only; its word on the client is taken."""
    app = make_app(open_backend(settings))
    logging.getLogger("nicegui").setLevel(logging.WARNING)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
    if not server.started:
        raise Terminal("the console did not start\n\nHint: what is printed above says why.")

"""Signing in and out: a plain form for local users, a link for those whom an identity provider vouches for."""

import secrets
from html import escape
from pathlib import Path
from typing import Annotated, Any, Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from fastapi import APIRouter, Form, Request
from httpx2 import HTTPError
from joserfc.errors import JoseError
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.shared import Backend, cookie_name, is_local, is_secure, own_origin, secret_of
from schemas.errors import TrimtabError
from tasks.review import SignInRefused, sign_in, sign_in_as_subject, sign_out

PAGE: Final = (Path(__file__).parents[1] / "static" / "sign_in.html").read_text(encoding="utf-8")
FORM: Final = (Path(__file__).parents[1] / "static" / "sign_in_form.html").read_text(encoding="utf-8")
LONGEST: Final = 1_000
"""Characters of a name or a password that are looked at."""
HASHED_AT_ONCE: Final = 2
"""Passwords: each takes 64 MiB and a processor for a while."""
MOST_WAITING: Final = 100
"""Sign-ins that wait for that; more are told to come back."""


def sign_in_router(backend: Backend) -> APIRouter:
    """``/sign-in``, ``/sign-out``, and the way to the identity provider and back."""
    router = APIRouter(include_in_schema=False)
    _add_form(router, backend)
    _add_provider(router, backend, _provider(backend))
    return router


def _add_form(router: APIRouter, backend: Backend) -> None:
    @router.get("/sign-in")
    def form(next: str = "/") -> Response:  # noqa: A002 - it is the query's name
        return _page(backend, next)

    hashing, inside = (
        CapacityLimiter(HASHED_AT_ONCE),
        0,
    )  # threads of their own: whoever is signed in waits for none of them

    @router.post("/sign-in")
    async def check(
        request: Request,
        name: Annotated[str, Form(max_length=LONGEST)] = "",
        password: Annotated[str, Form(max_length=LONGEST)] = "",
        next: Annotated[str, Form()] = "/",  # noqa: A002
    ) -> Response:
        if not backend.settings.is_password_sign_in:
            return _page(backend, next, "Passwords are switched off here; use your organization's sign-in.", 403)
        address = request.client.host if request.client else ""
        nonlocal inside
        if inside >= HASHED_AT_ONCE + MOST_WAITING:
            return _page(backend, next, "Too many people are signing in just now; try again in a moment.", 503)

        def checked() -> str:
            of, now, lifetime = backend.ledger, backend.now(), backend.lifetime
            return sign_in(of.access, of.users, name, password, address=address, now=now, lifetime=lifetime)

        inside += 1
        try:
            secret = await run_sync(checked, limiter=hashing)
        except SignInRefused as refused:
            return _page(backend, next, _sentence(str(refused)), 403)
        finally:
            inside -= 1
        return _welcome(backend, request, secret, next)

    @router.post("/sign-out")
    def leave(request: Request) -> Response:
        sign_out(backend.ledger.access, secret_of(backend, request), now=backend.now())
        gone = RedirectResponse("/sign-in", 303)
        has_tls = is_secure(backend, request)
        gone.delete_cookie(cookie_name(is_secure=has_tls), secure=has_tls, httponly=True, samesite="lax")
        return gone


def _add_provider(router: APIRouter, backend: Backend, provider: Any) -> None:
    @router.get("/sign-in/oidc")
    async def away(request: Request, next: str = "/") -> Response:  # noqa: A002
        if provider is None:
            return _page(backend, next, "No identity provider is set up here.", 404)
        request.session["next"] = next if is_local(next) else "/"
        try:
            redirect: Response = await provider.authorize_redirect(
                request, f"{own_origin(backend, request)}/sign-in/oidc/back", nonce=secrets.token_urlsafe()
            )
        except (AuthlibBaseError, HTTPError, ValueError):
            return _page(backend, next, "The identity provider cannot be reached; try again.", 502)
        return redirect

    @router.get("/sign-in/oidc/back")
    async def back(request: Request) -> Response:
        wanted = str(request.session.pop("next", "/"))
        if provider is None:
            return _page(backend, wanted, "No identity provider is set up here.", 404)
        try:
            token: dict[str, Any] = await provider.authorize_access_token(request)
            person = token["userinfo"]
            subject = f"{person['iss']}|{person['sub']}"
            secret = await run_in_threadpool(
                lambda: sign_in_as_subject(
                    backend.ledger.access, backend.ledger.users, subject, now=backend.now(), lifetime=backend.lifetime
                )
            )
        except SignInRefused as refused:
            return _page(backend, wanted, _sentence(str(refused)), 403)
        except TrimtabError as error:
            return _page(backend, wanted, _sentence(str(error)), 503)
        except (AuthlibBaseError, JoseError, HTTPError, KeyError, ValueError):
            return _page(backend, wanted, "The identity provider did not vouch for you; try again.", 403)
        return _welcome(backend, request, secret, wanted)


def _provider(backend: Backend) -> Any:
    settings = backend.settings
    if not settings.oidc_issuer_url:
        return None
    return OAuth().register(
        "provider",
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        server_metadata_url=f"{settings.oidc_issuer_url.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid", "code_challenge_method": "S256"},
    )


def _page(backend: Backend, wanted: str, problem: str = "", status: int = 200) -> HTMLResponse:
    """The form. Whatever came from outside is escaped."""
    path = wanted if is_local(wanted) else "/"
    alert = f'<p role="alert" class="alert">{escape(problem)}</p>' if problem else ""
    form = FORM.replace("{{next}}", escape(path, quote=True)) if backend.settings.is_password_sign_in else ""
    link = ""
    if backend.settings.oidc_issuer_url:
        link = '<a class="button" href="/sign-in/oidc">Sign in with your organization</a>'
    return HTMLResponse(
        PAGE.replace("{{alert}}", alert).replace("{{form}}", form).replace("{{link}}", link), status_code=status
    )


def _welcome(backend: Backend, request: Request, secret: str, wanted: str) -> Response:
    """On to the page that was wanted, with the session in a cookie that scripts cannot read."""
    answer = RedirectResponse(wanted if is_local(wanted) else "/", 303)
    has_tls = is_secure(backend, request)
    answer.set_cookie(
        cookie_name(is_secure=has_tls),
        secret,
        max_age=int(backend.lifetime.session.total_seconds()),
        secure=has_tls,
        httponly=True,
        samesite="lax",
    )
    return answer


def _sentence(text: str) -> str:
    first = text.split("\n\n", maxsplit=1)[0]
    return f"{first[:1].upper()}{first[1:]}."

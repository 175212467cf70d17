"""Errors of the API as ``application/problem+json`` (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response

from console.shared import sentence
from schemas.errors import DecisionRefused, Retryable, RunHeld, TrimtabError, WrongUsage

RETRY_SECONDS: Final = "2"
TYPE: Final = "application/problem+json"
STATUSES: Final[tuple[tuple[type[TrimtabError], HTTPStatus], ...]] = (
    (DecisionRefused, HTTPStatus.CONFLICT),
    (RunHeld, HTTPStatus.CONFLICT),
    (WrongUsage, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Retryable, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""Which status an error has; the first that fits."""


class ApiProblem(HTTPException):
    """An answer other than the one asked for."""

    def __init__(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """The answer."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return JSONResponse(body, status_code=status, headers=headers, media_type=TYPE)


def add_problems(app: FastAPI) -> None:
    """Answer errors of the API as problems, those of pages in a sentence."""

    @app.exception_handler(TrimtabError)
    def foreseen(request: Request, error: TrimtabError) -> Response:
        status = next((code for kind, code in STATUSES if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
        headers = {"retry-after": RETRY_SECONDS} if isinstance(error, Retryable) else None
        return _answer(request, status, sentence(str(error)), headers)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        return _answer(request, error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        found = [{"where": ".".join(str(part) for part in one["loc"]), "message": one["msg"]} for one in error.errors()]
        told = "; ".join(f"{one['where']}: {one['message']}" for one in found)
        if not _is_api(request):
            return PlainTextResponse(told, HTTPStatus.UNPROCESSABLE_ENTITY)
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, told, errors=found)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _answer(request: Request, status: int, detail: str, headers: dict[str, str] | None) -> Response:
    if _is_api(request):
        return problem(status, detail, headers)
    return PlainTextResponse(detail, status, headers)

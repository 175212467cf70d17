"""Questions to a Prefect server."""

import time
from typing import Any, Final

import httpx

PATIENCE_SECONDS: Final = 300


def said(method: str, url: str, body: Any = None, auth: tuple[str, str] | None = None) -> Any:
    """The server's answer. One that is being started again, or whose database is locked, is waited for, as Prefect's own client does."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer = httpx.request(method, url, json=body, timeout=30, auth=auth)
        except httpx.TransportError:
            if time.monotonic() > until:
                raise
        else:
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > until:
                return answer.raise_for_status().json() if answer.content else None
        time.sleep(0.5)

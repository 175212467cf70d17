import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from joserfc.jwk import RSAKey

from tests.support.console_scene import Api, api_on, sign_in
from tests.support.identity_provider import CLIENT, SECRET, Provider, provider

HTML = {"accept": "text/html"}


@pytest.fixture
def vouching() -> Iterator[Provider]:
    with provider() as found:
        yield found


@pytest.fixture
def linked(home: Path, vouching: Provider) -> Iterator[Api]:
    """Bob is whom the provider calls u-1."""
    for api in api_on(home, oidc_issuer_url=vouching.url, oidc_client_id=CLIENT, oidc_client_secret=SECRET):
        ledger = api.backend.ledger
        admin = next(user.name for user in ledger.users.list_users() if "admin" in user.roles)
        ledger.access.link_subject("bob", f"{vouching.url}|u-1", actor=admin, now=api.backend.now())
        yield api


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def sent_back(location: str) -> str:
    """What the provider answers a browser that comes from us: where to go back to."""
    try:
        urllib.request.build_opener(_Stay).open(location)
    except urllib.error.HTTPError as answer:
        back = urlsplit(answer.headers["location"])
        return f"{back.path}?{back.query}"
    raise AssertionError("the provider did not send the browser back")


def gone_through(api: Api, wanted: str = "/queue") -> Any:
    away = api.client.get("/sign-in/oidc", params={"next": wanted})
    assert away.status_code == 302, away.text
    return api.client.get(sent_back(away.headers["location"]))


def test_whom_the_provider_vouches_for_is_signed_in(linked: Api) -> None:
    assert "Sign in with your organization" in linked.client.get("/sign-in").text
    back = gone_through(linked)
    assert (back.status_code, back.headers["location"]) == (303, "/queue")
    cookie = back.headers["set-cookie"]
    assert "HttpOnly" in cookie
    (event,) = [row for row in linked.backend.ledger.audit.audit_rows() if row.event == "signed_in"]
    assert (event.actor, event.detail) == ("bob", '{"method":"oidc"}')


def test_somebody_who_is_not_linked_is_told_whom_to_ask(linked: Api, vouching: Provider) -> None:
    vouching.subject = "u-2"
    back = gone_through(linked)
    assert back.status_code == 403
    assert "ask an admin" in back.text.lower()


def test_a_token_for_somebody_else_is_refused(linked: Api, vouching: Provider) -> None:
    vouching.audience = "another-client"
    assert gone_through(linked).status_code == 403


def test_a_token_that_somebody_else_signed_is_refused(linked: Api, vouching: Provider) -> None:
    vouching.signing_key = RSAKey.generate_key(2048, {"kid": "one"})
    assert gone_through(linked).status_code == 403


def test_a_code_that_another_browser_asked_for_is_refused(linked: Api) -> None:
    away = linked.client.get("/sign-in/oidc")
    back = sent_back(away.headers["location"])
    linked.client.cookies.clear()
    assert linked.client.get(back).status_code == 403


def test_a_code_is_used_once(linked: Api) -> None:
    away = linked.client.get("/sign-in/oidc")
    back = sent_back(away.headers["location"])
    assert linked.client.get(back).status_code == 303
    assert linked.client.get(back).status_code == 403


def test_nobody_is_sent_elsewhere_afterwards(linked: Api) -> None:
    assert gone_through(linked, wanted="//evil.example").headers["location"] == "/"


def test_a_provider_that_does_not_answer_is_said_to(home: Path) -> None:
    for api in api_on(home, oidc_issuer_url="http://127.0.0.1:1", oidc_client_id=CLIENT):
        answer = api.client.get("/sign-in/oidc")
        assert answer.status_code == 502
        assert "cannot be reached" in answer.text


def test_without_a_provider_there_is_no_such_way(api: Api) -> None:
    assert api.client.get("/sign-in/oidc").status_code == 404
    assert "organization" not in api.client.get("/sign-in").text


def test_passwords_can_be_switched_off(home: Path, vouching: Provider) -> None:
    for api in api_on(home, oidc_issuer_url=vouching.url, oidc_client_id=CLIENT, is_password_sign_in=False):
        assert 'type="password"' not in api.client.get("/sign-in").text
        assert sign_in(api.client, "bob").status_code == 403

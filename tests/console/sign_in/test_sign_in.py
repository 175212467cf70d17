import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import pytest

from console.sign_in import routes
from tests.support.console_scene import Api, cookie_in, sign_in

SELF = {"origin": "http://testserver"}


def test_a_name_with_its_password_is_signed_in_and_sent_on(api: Api) -> None:
    answer = sign_in(api.client, "bob", next="/queue?filter=held%3Dno")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/queue?filter=held%3Dno"
    assert {"HttpOnly", "SameSite=lax"} <= {part.strip() for part in cookie_in(answer).split(";")}


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_elsewhere(api: Api, wanted: str) -> None:
    assert sign_in(api.client, "bob", next=wanted).headers["location"] == "/"


def test_what_is_wrong_is_not_told_apart(api: Api) -> None:
    wrong = sign_in(api.client, "bob", password="not the one it is")  # noqa: S106
    unknown = sign_in(api.client, "nobody")
    assert wrong.status_code == unknown.status_code == 403
    assert wrong.text == unknown.text
    assert "do not belong together" in wrong.text
    assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize("name", ["root", "admin", "demo", ""])
@pytest.mark.parametrize("password", ["", "admin", "trimtab", "password"])
def test_nobody_has_a_password_that_was_not_given(api: Api, name: str, password: str) -> None:
    assert sign_in(api.client, name, password=password).status_code == 403


def test_guessing_a_name_is_slowed_down_and_its_neighbours_are_not(api: Api) -> None:
    for _ in range(5):
        sign_in(api.client, "bob", password="not the one it is")  # noqa: S106
    right = sign_in(api.client, "bob")
    other = sign_in(api.client, "cat")
    assert "too many failed attempts" in right.text.lower()
    assert other.status_code == 303


def test_a_name_is_never_markup(api: Api) -> None:
    page = api.client.get("/sign-in", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_a_sign_in_from_another_site_is_refused(api: Api) -> None:
    assert sign_in(api.client, "bob", origin="http://evil.example").status_code == 403


def test_a_post_that_is_too_long_is_refused_before_it_is_hashed(api: Api) -> None:
    answer = sign_in(api.client, "bob", password="x" * 2_000)
    assert answer.status_code == 422


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[int], threading.Event]]:
    """Hashing that takes until it is told to go on; how many were at it at the same time, each time that one began."""
    go_on, at_it, lock = threading.Event(), 0, threading.Lock()
    seen: list[int] = []

    def sign_in(*_: object, **__: object) -> str:
        nonlocal at_it
        with lock:
            at_it += 1
            seen.append(at_it)
        assert go_on.wait(60)
        with lock:
            at_it -= 1
        return "secret"

    monkeypatch.setattr(routes, "sign_in", sign_in)
    yield seen, go_on
    go_on.set()


def test_a_crowd_at_the_door_stands_in_nobody_elses_way(api: Api, slow: tuple[list[int], threading.Event]) -> None:
    """More than there are threads for all else."""
    seen, go_on = slow
    with ThreadPoolExecutor(60) as threads:
        crowd = [threads.submit(sign_in, api.client, "bob") for _ in range(60)]
        headers = api.token("cat")
        assert api.client.get("/api/proposals", headers=headers).status_code == 200
        go_on.set()
        assert {one.result().status_code for one in crowd} == {303}
    assert max(seen) == routes.HASHED_AT_ONCE
    assert len(seen) == 60


def test_a_queue_that_is_too_long_sends_people_away(
    api: Api, slow: tuple[list[int], threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST_WAITING", 3)
    _, go_on = slow
    with ThreadPoolExecutor(12) as threads:
        crowd = [threads.submit(sign_in, api.client, "bob") for _ in range(12)]
        for _ in islice(as_completed(crowd), 12 - routes.HASHED_AT_ONCE - 3):
            pass
        go_on.set()
        answers = [one.result() for one in crowd]
    assert sorted(one.status_code for one in answers) == [303] * 5 + [503] * 7
    assert "Too many people are signing in just now" in next(one.text for one in answers if one.status_code == 503)

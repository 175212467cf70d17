import pytest

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


def test_guessing_is_slowed_down_by_name_and_by_address(api: Api) -> None:
    for _ in range(5):
        sign_in(api.client, "bob", password="not the one it is")  # noqa: S106
    right = sign_in(api.client, "bob")
    other = sign_in(api.client, "cat")
    assert "too many failed attempts" in right.text.lower()
    assert "too many failed attempts" in other.text.lower()


def test_a_name_is_never_markup(api: Api) -> None:
    page = api.client.get("/sign-in", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_a_sign_in_from_another_site_is_refused(api: Api) -> None:
    assert sign_in(api.client, "bob", origin="http://evil.example").status_code == 403


def test_a_post_that_is_too_long_is_refused_before_it_is_hashed(api: Api) -> None:
    answer = sign_in(api.client, "bob", password="x" * 2_000)
    assert answer.status_code == 422

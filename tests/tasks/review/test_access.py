"""Signing in with a real ledger; argon2 takes its time, so few hashes are made."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from schemas.enums import Role, Scope
from schemas.errors import DecisionRefused, WrongUsage
from tasks.review import access
from tasks.review.access import Lifetime, SignInRefused
from tests.support.ledger_book import NOW, staffed
from warehouse.ledger import Ledger

GOOD = "four words are enough"
LIFETIME = Lifetime(timedelta(hours=12), timedelta(minutes=30))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home") / "ledger.sqlite"
    ledger = staffed(f"sqlite:///{path}")
    access.set_password(ledger.access, "bob", GOOD, actor="ann", now=NOW)
    ledger.close()
    return path


@pytest.fixture
def ledger(home: Path, tmp_path: Path) -> Iterator[Ledger]:
    copy = tmp_path / "ledger.sqlite"
    copy.write_bytes(home.read_bytes())
    opened = Ledger.open(f"sqlite:///{copy}", owner="ann", now=NOW)
    yield opened
    opened.close()


def sign_in(
    ledger: Ledger, password: str = GOOD, *, name: str = "bob", now: datetime = NOW, address: str = "::1"
) -> str:
    return access.sign_in(ledger.access, ledger.users, name, password, address=address, now=now, lifetime=LIFETIME)


def user(ledger: Ledger, secret: str, now: datetime) -> str | None:
    session = access.session_of(ledger.access, secret, now=now, lifetime=LIFETIME)
    return session.name if session else None


def test_the_right_password_opens_a_session_that_only_its_secret_names(ledger: Ledger) -> None:
    secret = sign_in(ledger)

    assert user(ledger, secret, NOW) == "bob"
    assert user(ledger, secret + "x", NOW) is None
    assert user(ledger, access.digest(secret), NOW) is None
    assert user(ledger, "", NOW) is None
    with ledger.reading() as connection:
        kept = str(connection.exec_driver_sql("SELECT * FROM sessions").all())
    assert secret not in kept


@pytest.mark.parametrize(
    ("name", "password"), [("bob", "wrong"), ("bob", ""), ("vic", GOOD), ("nobody", GOOD), ("", "")]
)
def test_a_wrong_name_and_a_wrong_password_are_told_alike(ledger: Ledger, name: str, password: str) -> None:
    with pytest.raises(SignInRefused, match=r"^this name and password do not belong together$"):
        sign_in(ledger, password, name=name)


def test_guessing_is_slowed_down_by_name_from_any_address_and_ends_by_itself(ledger: Ledger) -> None:
    for number in range(5):
        with pytest.raises(SignInRefused, match="belong together"):
            sign_in(ledger, "wrong", address=f"10.0.0.{number}")

    with pytest.raises(SignInRefused, match="too many failed attempts; try again after 22:00:30 UTC"):
        sign_in(ledger, address="10.0.0.9")
    assert user(ledger, sign_in(ledger, now=NOW + timedelta(seconds=31)), NOW + timedelta(seconds=31)) == "bob"


@pytest.mark.parametrize(("count", "until"), [(9, "22:08:00"), (49, "23:00:00")])
def test_each_failure_after_the_free_ones_doubles_the_wait_up_to_an_hour(
    ledger: Ledger, count: int, until: str
) -> None:
    for _ in range(count):
        assert ledger.access.begin_attempt([access.digest("name bob")], "", lambda _: True, NOW)
    with pytest.raises(SignInRefused, match=until):
        sign_in(ledger)


def test_of_many_guesses_at_once_no_more_are_looked_at_than_one_after_the_other(ledger: Ledger) -> None:
    def guess(number: int) -> str:
        with pytest.raises(SignInRefused) as refused:
            sign_in(ledger, f"guess {number}")
        return str(refused.value)

    with ThreadPoolExecutor(30) as threads:
        told = Counter(each.split(";")[0] for each in threads.map(guess, range(60)))

    assert told == {access.REFUSED: 5, "too many failed attempts": 55}


def test_an_address_that_guesses_many_names_is_slowed_down_too(ledger: Ledger) -> None:
    for number in range(access.FREE_BY_ADDRESS):
        with pytest.raises(SignInRefused, match="belong together"):
            sign_in(ledger, "wrong", name=f"guess{number}", address="10.0.0.1")

    with pytest.raises(SignInRefused, match="too many"):
        sign_in(ledger, address="10.0.0.1")
    assert sign_in(ledger, address="10.0.0.2")


def test_who_guesses_elsewhere_does_not_lock_the_owner_out(ledger: Ledger) -> None:
    assert sign_in(ledger, address="192.0.2.7")
    for number in range(12):
        with pytest.raises(SignInRefused):
            sign_in(ledger, "wrong", address=f"10.0.0.{number}")

    with pytest.raises(SignInRefused, match="too many"):
        sign_in(ledger, address="192.0.2.8")
    later = NOW + timedelta(minutes=1)
    assert sign_in(ledger, address="192.0.2.7")
    for _ in range(5):  # nor is where they are known a way around
        with pytest.raises(SignInRefused, match="belong together"):
            sign_in(ledger, "wrong", address="192.0.2.7", now=later)
    with pytest.raises(SignInRefused, match="too many"):
        sign_in(ledger, "wrong", address="192.0.2.7", now=later)


def test_a_place_where_somebody_signed_in_is_known_for_a_while(ledger: Ledger) -> None:
    assert sign_in(ledger, address="192.0.2.7")
    for days, is_known in ((89, True), (181, False)):
        then = NOW + timedelta(days=days)
        for number in range(5):
            with pytest.raises(SignInRefused):
                sign_in(ledger, "wrong", address=f"10.{days}.0.{number}", now=then)
        if is_known:
            assert sign_in(ledger, address="192.0.2.7", now=then)
        else:
            with pytest.raises(SignInRefused, match="too many"):
                sign_in(ledger, address="192.0.2.7", now=then)


def test_many_of_one_office_sign_in_one_after_the_other(ledger: Ledger) -> None:
    for _ in range(access.FREE_BY_ADDRESS + 2):
        assert sign_in(ledger, address="192.0.2.7")


def test_a_session_ends_with_its_time_with_idleness_and_with_signing_out(ledger: Ledger) -> None:
    secret = sign_in(ledger)
    moment = NOW
    while moment < NOW + timedelta(hours=12):
        assert user(ledger, secret, moment) == "bob"
        moment += timedelta(minutes=29)
    assert user(ledger, secret, NOW + timedelta(hours=12)) is None

    idle = sign_in(ledger)
    assert user(ledger, idle, NOW + timedelta(minutes=30)) is None

    left = sign_in(ledger)
    access.sign_out(ledger.access, left, now=NOW)
    assert user(ledger, left, NOW) is None


def test_a_new_password_or_no_role_ends_every_session(ledger: Ledger) -> None:
    secret = sign_in(ledger)
    ledger.users.set_roles("bob", [], actor="ann", now=NOW)
    assert user(ledger, secret, NOW) is None
    ledger.users.set_roles("bob", [Role.REVIEWER], actor="ann", now=NOW)
    assert user(ledger, secret, NOW) == "bob"

    access.set_password(ledger.access, "bob", "another four words", actor="bob", now=NOW)

    assert user(ledger, secret, NOW) is None
    with pytest.raises(DecisionRefused, match="needed is admin"):
        access.set_password(ledger.access, "bob", "another four words", actor="cat", now=NOW)


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaa", "abcabcabcabc", "my name is bob!"])
def test_an_easy_password_is_refused(ledger: Ledger, password: str) -> None:
    with pytest.raises(WrongUsage, match="password"):
        access.set_password(ledger.access, "bob", password, actor="ann", now=NOW)


def test_who_an_identity_provider_vouches_for_signs_in_only_when_linked(ledger: Ledger) -> None:
    with pytest.raises(SignInRefused, match="nobody here is linked"):
        access.sign_in_as_subject(ledger.access, ledger.users, "https://id|7", now=NOW, lifetime=LIFETIME)
    ledger.access.link_subject("cat", "https://id|7", actor="ann", now=NOW)

    assert (
        user(
            ledger,
            access.sign_in_as_subject(ledger.access, ledger.users, "https://id|7", now=NOW, lifetime=LIFETIME),
            NOW,
        )
        == "cat"
    )
    with pytest.raises(WrongUsage, match="is cat already"):
        ledger.access.link_subject("bob", "https://id|7", actor="ann", now=NOW)


def test_a_token_works_until_it_is_over_or_revoked_and_shows_nothing_afterwards(ledger: Ledger) -> None:
    scopes = [Scope.PROPOSALS_READ]
    secret = access.make_token(
        ledger.access, label="oms", owner="bob", scopes=scopes, custodians=["northbank"], actor="bob", now=NOW, days=10
    )
    token = access.token_of(ledger.access, secret, now=NOW)

    assert token is not None
    assert (token.owner, token.scopes, token.custodians) == ("bob", {Scope.PROPOSALS_READ}, {"northbank"})
    assert access.token_of(ledger.access, secret, now=NOW + timedelta(days=10)) is None
    assert access.token_of(ledger.access, secret[:-1], now=NOW) is None
    with pytest.raises(DecisionRefused, match="needed is admin"):
        ledger.access.revoke_token(token.token_id, actor="cat", now=NOW)
    ledger.access.revoke_token(token.token_id, actor="bob", now=NOW)
    assert access.token_of(ledger.access, secret, now=NOW) is None
    with pytest.raises(WrongUsage, match="there is no token"):
        ledger.access.revoke_token(token.token_id, actor="bob", now=NOW)


def test_a_token_for_somebody_else_takes_an_admin_and_never_lasts_for_good(ledger: Ledger) -> None:
    asked = {"label": "x", "owner": "bob", "scopes": [Scope.RUNS_READ], "custodians": None, "now": NOW}

    with pytest.raises(DecisionRefused, match="needed is admin"):
        access.make_token(ledger.access, actor="cat", **asked)
    with pytest.raises(WrongUsage, match="lasts 1 to 366 days"):
        access.make_token(ledger.access, actor="ann", days=4000, **asked)
    assert access.make_token(ledger.access, actor="ann", **asked).startswith("trimtab_")


def test_saved_filters_are_somebodys_own(ledger: Ledger) -> None:
    ledger.access.save_filter("bob", "big", "min_value=1000", NOW)
    ledger.access.save_filter("bob", "big", "min_value=2000", NOW)

    assert ledger.access.saved_filters("bob") == {"big": "min_value=2000"}
    assert ledger.access.saved_filters("cat") == {}
    ledger.access.drop_filter("bob", "big")
    assert ledger.access.saved_filters("bob") == {}

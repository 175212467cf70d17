"""Signing in: passwords of local users, sessions of browsers and tokens of machines.

A secret is 256 random bits, kept only as its SHA-256; a password is kept as an argon2id hash. Guessing is slowed down by name and by
address: after five failures of a name, or twenty from an address, each further one doubles the wait, up to an hour. An attempt is counted
before it is looked at, so that many at once are no way around. Who guesses from elsewhere does not lock a name out where its owner has
signed in within 90 days.
"""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from schemas.enums import Role, Scope
from schemas.errors import DecisionRefused, WrongUsage
from warehouse.ledger import Access, Failures, SessionRow, SignIn, TokenRow, Users

LEAST_CHARACTERS: Final = 12
MOST_CHARACTERS: Final = 1_000
FREE_FAILURES: Final = 5
FREE_BY_ADDRESS: Final = 20
"""An office has one address for all."""
FIRST_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(hours=1)
TOKEN_DAYS: Final = 90
MOST_TOKEN_DAYS: Final = 366
PREFIX: Final = "trimtab_"
"""What every token begins with, so that it is recognized where it should not be."""
REFUSED: Final = "this name and password do not belong together"
"""Said whichever of the two is wrong."""


class SignInRefused(DecisionRefused):
    """Nobody was signed in; says why as far as a stranger may know."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lasts at most, and unused."""

    session: timedelta
    idle: timedelta


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobodys_hash() -> str:
    """Checked where there is no such user, so that they take as long as others."""
    return _hasher().hash(secrets.token_hex())


def digest(secret: str) -> str:
    """What is kept of a random secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def set_password(access: Access, name: str, password: str, *, actor: str, now: datetime) -> None:
    """Give a user a password.

    Raises
    ------
    WrongUsage
        It is too short or too easy, or there is no such user.
    DecisionRefused
        The actor is neither the user nor an admin.
    """
    need_good_password(name, password)
    access.set_password_hash(name, _hasher().hash(password), actor=actor, now=now)


def add_person(
    users: Users, access: Access, name: str, roles: Collection[Role], password: str | None, *, actor: str, now: datetime
) -> None:
    """Add a user, with a password where one is given; one that is not good enough adds nobody.

    Raises
    ------
    WrongUsage
        The name is empty or taken, or the password is too short or too easy.
    DecisionRefused
        The actor is no admin.
    """
    if password is not None:
        need_good_password(name, password)
    users.add_user(name, roles, actor=actor, now=now)
    if password is not None:
        set_password(access, name, password, actor=actor, now=now)


def need_good_password(name: str, password: str) -> None:
    """Refuse what is guessed first.

    Raises
    ------
    WrongUsage
        It is.
    """
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise WrongUsage(f"a password has at least {LEAST_CHARACTERS} characters\n\nHint: four words are a good one.")
    if name.lower() in password.lower() or len(set(password.lower())) < LEAST_CHARACTERS // 2:
        raise WrongUsage("this password is too easy to guess\n\nHint: four words are a good one, without your name.")


def sign_in(
    access: Access, users: Users, name: str, password: str, *, address: str, now: datetime, lifetime: Lifetime
) -> str:
    """Check a password; the secret of the new session.

    Raises
    ------
    SignInRefused
        Name and password do not belong together, or too many failures came before.
    """
    counted = _Counted.of(name, address)
    waits: list[datetime] = []

    def allows(found: Mapping[str, Failures]) -> bool:
        waits[:] = counted.waits(found, now)
        return not waits

    if not access.begin_attempt(counted.keys, counted.known, allows, now):
        raise SignInRefused(f"too many failed attempts; try again after {max(waits):%H:%M:%S} UTC")
    kept = access.password_hash_of(name)
    is_right = _is_right(kept or _nobodys_hash(), password) and kept is not None
    if not is_right or not users.roles_of(name):
        raise SignInRefused(REFUSED)
    access.succeed([counted.person, counted.name, counted.known], counted.address, now)
    if kept is not None and _hasher().check_needs_rehash(kept):
        access.refresh_password_hash(name, _hasher().hash(password))
    return new_session(access, name, SignIn.PASSWORD, now=now, lifetime=lifetime)


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a sign-in is counted under: the name from this address, the address, and the name from anywhere; ``known``: it was right before."""

    person: str
    address: str
    name: str
    known: str

    @classmethod
    def of(cls, name: str, address: str) -> "_Counted":
        person = f"name {name} address {address}"
        return cls(digest(person), digest(f"address {address}"), digest(f"name {name}"), digest(f"known {person}"))

    @property
    def keys(self) -> tuple[str, ...]:
        return self.person, self.address, self.name

    def waits(self, found: Mapping[str, Failures], now: datetime) -> list[datetime]:
        """Until when to wait; none: no longer.

        Where the name has signed in from this address before, failures from elsewhere do not count: its owner is not locked out.
        """
        free = {self.person: FREE_FAILURES, self.address: FREE_BY_ADDRESS, self.name: FREE_FAILURES}
        if self.known in found:
            del free[self.name]
        ends = [
            found[key].last_at + min(FIRST_WAIT * 2 ** min(found[key].count - most, 16), LONGEST_WAIT)
            for key, most in free.items()
            if key in found and found[key].count >= most
        ]
        return [end for end in ends if end > now]


def _is_right(kept: str, password: str) -> bool:
    try:
        return _hasher().verify(kept, password[:MOST_CHARACTERS])
    except (VerifyMismatchError, InvalidHashError):
        return False


def sign_in_as_subject(access: Access, users: Users, subject: str, *, now: datetime, lifetime: Lifetime) -> str:
    """The secret of a new session of whom an identity provider vouches for.

    Raises
    ------
    SignInRefused
        Nobody here is linked to this subject, or they have no role.
    """
    name = access.user_of_subject(subject)
    if name is None or not users.roles_of(name):
        raise SignInRefused("nobody here is linked to this sign-in; ask an admin for `trimtab users link`")
    return new_session(access, name, SignIn.OIDC, now=now, lifetime=lifetime)


def new_session(access: Access, name: str, method: SignIn, *, now: datetime, lifetime: Lifetime) -> str:
    """The secret of a new session."""
    secret = secrets.token_urlsafe(32)
    access.start_session(name, digest(secret), method, now=now, expires_at=now + lifetime.session)
    return secret


def session_of(
    access: Access, secret: str, *, now: datetime, lifetime: Lifetime, is_use: bool = True
) -> SessionRow | None:
    """Whose session a secret is; null: nobody's any more. A page that only looks whether it still stands is no use of it."""
    return access.session_user(digest(secret), now, idle=lifetime.idle, is_use=is_use) if secret else None


def sign_out(access: Access, secret: str, *, now: datetime) -> None:
    """End a session."""
    access.end_session(digest(secret), now)


def make_token(
    access: Access,
    *,
    label: str,
    owner: str,
    scopes: Collection[Scope],
    custodians: Collection[str] | None,
    actor: str,
    now: datetime,
    days: int = TOKEN_DAYS,
) -> str:
    """A new token; it is not kept and cannot be shown again.

    Raises
    ------
    WrongUsage
        It would last too long, has no scope, or its owner no role.
    DecisionRefused
        The actor may not make it.
    """
    if not 0 < days <= MOST_TOKEN_DAYS:
        raise WrongUsage(f"a token lasts 1 to {MOST_TOKEN_DAYS} days, not {days}")
    secret = PREFIX + secrets.token_urlsafe(32)
    access.add_token(
        secrets.token_hex(6),
        digest(secret),
        label=label,
        owner=owner,
        scopes=scopes,
        custodians=custodians,
        actor=actor,
        now=now,
        expires_at=now + timedelta(days=days),
    )
    return secret


def token_of(access: Access, secret: str, *, now: datetime) -> TokenRow | None:
    """The token that a secret is; null: none in force."""
    return access.token_of(digest(secret), now) if secret.startswith(PREFIX) else None

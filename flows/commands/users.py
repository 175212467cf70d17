"""``trimtab users``: who may look, approve, release and administer."""

import getpass
import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, notice, print_json, print_table
from schemas.enums import Role, Scope
from schemas.errors import WrongUsage
from tasks.review import access
from tasks.runtime import current_actor, current_settings, open_ledger

app = typer.Typer(no_args_is_help=True, help="Users of the ledger and their roles.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="As the operating system calls them.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")]
Roles = Annotated[list[Role] | None, typer.Option("--role", help="May be given several times.")]


@app.command("list")
def list_(*, is_json: Json = False) -> None:
    """Show the users and their roles."""
    with closing(open_ledger(current_settings())) as ledger:
        users = ledger.users.list_users()
    if is_json:
        print_json([{"name": user.name, "roles": sorted(user.roles)} for user in users])
    else:
        rows = [(user.name, ", ".join(sorted(user.roles)), user.created_at) for user in users]
        print_table(f"{len(users)} users", ("name", "roles", "created_at"), rows)


@app.command()
def add(name: Name, roles: Roles = None, *, is_stdin: Stdin = False) -> None:
    """Add a user; with a password, given on stdin, they can sign in to the console."""
    password = _from_stdin() if is_stdin else None
    with closing(open_ledger(current_settings())) as ledger:
        access.add_person(
            ledger.users, ledger.access, name, roles or [], password, actor=current_actor(), now=datetime.now(UTC)
        )
    notice(f"{name} was added; {_may(roles)}.")


@app.command("set-password")
def set_password(name: Name, *, is_stdin: Stdin = False) -> None:
    """Set a user's password for the console, typed twice or given on stdin; their sessions end."""
    password = _from_stdin() if is_stdin else _typed_twice()
    with closing(open_ledger(current_settings())) as ledger:
        access.set_password(ledger.access, name, password, actor=current_actor(), now=datetime.now(UTC))
    notice(f"{name} has a new password.")


@app.command()
def link(
    name: Name, subject: Annotated[str, typer.Option("--subject", help="<issuer>|<sub> of the identity provider.")]
) -> None:
    """Let who an identity provider calls SUBJECT sign in as this user."""
    with closing(open_ledger(current_settings())) as ledger:
        ledger.access.link_subject(name, subject, actor=current_actor(), now=datetime.now(UTC))
    notice(f"{name} is linked.")


@app.command()
def tokens(*, is_json: Json = False) -> None:
    """Show the tokens of machines, without the secrets, which are not kept."""
    with closing(open_ledger(current_settings())) as ledger:
        found = ledger.access.list_tokens()
    rows = [
        {
            "token_id": one.token_id,
            "label": one.label,
            "owner": one.owner,
            "scopes": sorted(one.scopes),
            "custodians": None if one.custodians is None else sorted(one.custodians),
            "expires_at": one.expires_at,
            "revoked_at": one.revoked_at,
        }
        for one in found
    ]
    if is_json:
        print_json(rows)
    else:
        print_table(
            f"{len(rows)} tokens", tuple(rows[0]) if rows else ("token_id",), [tuple(row.values()) for row in rows]
        )


@app.command("add-token")
def add_token(
    owner: Name,
    label: Annotated[str, typer.Option("--label", help="What it is for.")],
    scopes: Annotated[list[Scope], typer.Option("--scope", help="May be given several times.")],
    custodians: Annotated[
        list[str] | None, typer.Option("--custodian", help="Only this custodian; may be repeated.")
    ] = None,
    days: Annotated[int, typer.Option("--days", help="How long it lasts.")] = access.TOKEN_DAYS,
) -> None:
    """Make a token for a machine that acts as a user. It is printed once, and only its hash is kept."""
    with closing(open_ledger(current_settings())) as ledger:
        secret = access.make_token(
            ledger.access,
            label=label,
            owner=owner,
            scopes=scopes,
            custodians=custodians,
            actor=current_actor(),
            now=datetime.now(UTC),
            days=days,
        )
    say(secret)


@app.command("revoke-token")
def revoke_token(token_id: Annotated[str, typer.Argument(metavar="TOKEN_ID")]) -> None:
    """End a token."""
    with closing(open_ledger(current_settings())) as ledger:
        ledger.access.revoke_token(token_id, actor=current_actor(), now=datetime.now(UTC))
    notice(f"{token_id} is revoked.")


def _from_stdin() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _typed_twice() -> str:
    if not sys.stdin.isatty():
        raise WrongUsage("a password is typed at a terminal\n\nHint: --password-stdin takes it from a pipe.")
    first, second = getpass.getpass("password: "), getpass.getpass("again: ")
    if first != second:
        raise WrongUsage("the two passwords differ")
    return first


@app.command("set-roles")
def set_roles(name: Name, roles: Roles = None) -> None:
    """Replace a user's roles; without --role they may do nothing any more."""
    with closing(open_ledger(current_settings())) as ledger:
        ledger.users.set_roles(name, roles or [], actor=current_actor(), now=datetime.now(UTC))
    notice(f"{name}: {_may(roles)}.")


def _may(roles: list[Role] | None) -> str:
    return f"has the role {', '.join(sorted(set(roles)))}" if roles else "has no role"

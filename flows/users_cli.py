"""``trimtab users``: who may look, approve, release and administer."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer

from flows.terminal import notice, print_json, print_table
from schemas.enums import Role
from schemas.settings import load_settings
from tasks.stores import current_actor, open_ledger

app = typer.Typer(no_args_is_help=True, help="Users of the ledger and their roles.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="As the operating system calls them.")]
Roles = Annotated[list[Role] | None, typer.Option("--role", help="May be given several times.")]


@app.command("list")
def list_(*, is_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the users and their roles."""
    with closing(open_ledger(load_settings())) as ledger:
        users = ledger.list_users()
    if is_json:
        print_json([{"name": user.name, "roles": sorted(user.roles)} for user in users])
    else:
        rows = [(user.name, ", ".join(sorted(user.roles)), user.created_at) for user in users]
        print_table(f"{len(users)} users", ("name", "roles", "created_at"), rows)


@app.command()
def add(name: Name, roles: Roles = None) -> None:
    """Add a user."""
    with closing(open_ledger(load_settings())) as ledger:
        ledger.add_user(name, roles or [], actor=current_actor(), now=datetime.now(UTC))
    notice(f"{name} was added; {_may(roles)}.")


@app.command("set-roles")
def set_roles(name: Name, roles: Roles = None) -> None:
    """Replace a user's roles; without --role they may do nothing any more."""
    with closing(open_ledger(load_settings())) as ledger:
        ledger.set_roles(name, roles or [], actor=current_actor(), now=datetime.now(UTC))
    notice(f"{name}: {_may(roles)}.")


def _may(roles: list[Role] | None) -> str:
    return f"has the role {', '.join(sorted(set(roles)))}" if roles else "has no role"

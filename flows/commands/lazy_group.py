"""A group of commands whose modules are imported when they are called; a name and a sentence are enough to list them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class LazyCommand(NamedTuple):
    """Where a command is, ``module:name`` of a function or a ``Typer``, and the first lines of its help."""

    address: str
    help: str


class LazyGroup(TyperGroup):
    """Lists ``lazy_commands`` without importing them; a subclass says which they are."""

    lazy_commands: ClassVar[Mapping[str, LazyCommand]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands.update({name: TyperCommand(name, help=of.help) for name, of in self.lazy_commands.items()})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that the first word names, before it is called or completed."""
        self.load(*args[:1])
        return super().resolve_command(ctx, args)

    def load(self, *names: str) -> None:
        """Import commands in the place of what lists them; other names are left to the group."""
        for name in self.lazy_commands.keys() & set(names):
            module, _, attribute = self.lazy_commands[name].address.partition(":")
            found, alone = getattr(import_module(module), attribute), typer.Typer()
            if isinstance(found, typer.Typer):
                alone.add_typer(found, name=name)
            else:
                alone.command(name)(found)
            self.commands[name] = typer.main.get_group(alone).commands[name]

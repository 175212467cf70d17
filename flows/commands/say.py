"""The one way in which a command prints a sentence: as text, whatever names, notes and files have in them."""

import sys

import typer

from tasks.runtime import plain_text


def say(text: object, *, err: bool = False) -> None:
    """A line or more on stdout, or on stderr."""
    typer.echo(plain_text(str(text)), err=err)


def hand_over(text: str) -> None:
    """Rows for another program, as they are; before a person's eyes as text."""
    sys.stdout.write(plain_text(text) if sys.stdout.isatty() else text)

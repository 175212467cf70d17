"""Pages of what is called: the command line and the REST API."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from console.app import make_api
from console.shared.backend import Backend
from docs.generate.markdown import code, page, prose, section, sentence, table
from flows.commands.cli import whole_command
from schemas.enums import Scope
from schemas.settings import Settings
from tasks.runtime.stores import open_ledger

PROBLEM: Final = "ProblemOut"


def commands_page() -> str:
    """Every command with its arguments and options."""
    command = whole_command()
    return page(
        "Command line",
        prose(command.help),
        "`--help` behind any command says the same. What the numbers mean that a command ends with: [exit codes](exit-codes.md).",
        *_command_sections(command, "trimtab"),
    )


def _command_sections(command: Any, name: str) -> Iterator[str]:
    for word, inner in sorted(getattr(command, "commands", {}).items()):
        called = f"{name} {word}"
        if getattr(inner, "invoke_without_command", True):
            yield section(code(called), prose(inner.help), _parameters(inner, called))
        yield from _command_sections(inner, called)


def _parameters(command: Any, called: str) -> str:
    context = command.context_class(command, info_name=called)
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [
        [code(re.sub(r"<(?:list\[)?(.+?)\]?>$", r"<\1>", name)), sentence(said.replace("[required]", "Needed."))]
        for name, said in records
    ]
    usage = f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
    return f"{usage}\n\n{table(['', 'meaning'], rows)}" if rows else usage


def rest_page() -> str:
    """Every route of the API, from the description that the console itself serves."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder))
        ledger = open_ledger(settings)
        described = make_api(Backend(settings, ledger)).openapi()
        ledger.close()
    routes = {f"{method.upper()} {path}": of[method] for path, of in described["paths"].items() for method in of}
    shared = set.intersection(*(_failures(route) for route in routes.values() if _failures(route)))
    models = described["components"]["schemas"]
    return page(
        "REST API",
        f"{described['info']['summary']} The console serves this description at `/openapi.json`. A token has scopes "
        f"({', '.join(code(scope) for scope in Scope)}) and acts for one user: [the console](../how-to/console.md#the-api). "
        "Amounts and quantities are exact decimals, written as text. Errors are `application/problem+json` "
        f"([{PROBLEM}](#problemout)), with the status {', '.join(sorted(shared))} and what a route adds.",
        *(_route(called, route, _failures(route) - shared) for called, route in routes.items()),
        section("Models", *(_model(name, models[name]) for name in sorted(models))),
    )


def _failures(route: dict[str, Any]) -> set[str]:
    return {status for status in route["responses"] if not status.startswith("2")}


def _route(called: str, route: dict[str, Any], failures: set[str]) -> str:
    rows = [
        [code(one["name"]), one["in"], _type(one["schema"]), prose(one.get("description", ""))]
        for one in route.get("parameters", [])
    ]
    body = _content(route.get("requestBody", {}))
    answers = [_content(answer) for status, answer in route["responses"].items() if status.startswith("2")]
    return section(
        called,
        prose(route.get("description", "")),
        table(["parameter", "in", "type", "meaning"], rows) if rows else "",
        f"Takes {body}." if body else "",
        f"Gives {', '.join(answers)}." if any(answers) else "",
        f"Fails with {' or '.join(sorted(failures))} as well." if failures else "",
    )


def _content(said: dict[str, Any]) -> str:
    return next((_type(each["schema"]) for each in said.get("content", {}).values() if each.get("schema")), "")


def _model(name: str, model: dict[str, Any]) -> str:
    if "enum" in model:
        return section(name, ", ".join(code(word) for word in model["enum"]), level=3)
    needed = model.get("required", [])
    rows = [
        [code(field) + ("*" if field in needed else ""), _type(of), sentence(of.get("description", ""))]
        for field, of in model.get("properties", {}).items()
    ]
    return section(name, prose(model.get("description", "")), table(["field, * always", "type", ""], rows), level=3)


def _type(schema: dict[str, Any]) -> str:
    """A type as people say it; a model with a link to it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    words = {"date": "date", "date-time": "time, UTC"}
    kind = str(schema.get("type", "anything"))
    plain = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    return words.get(str(schema.get("format")), plain.get(kind, kind))

"""``trimtab frontier``: the efficient frontier of the firm's asset classes, and its models beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.commands.terminal import Json, notice, print_json, print_table
from schemas.errors import WrongUsage
from tasks.lab import FoundFrontier, FrontierRequest, frontier_of, frontier_picture, model_rows, rung_rows, write_ladder
from tasks.runtime import current_settings

LadderOf = Literal["frontier", "models"]
Month = r"YYYY-MM"
HYPOTHETICAL = "Hypothetical: expected returns are those of the past, or as stated, and no promise. A distance within 1.96 of its standard errors is noise."
PERCENT = "{:.2%}"


def frontier(  # noqa: PLR0917 - options, each by its name
    data: Annotated[
        str | None,
        typer.Option("--data", help="Packaged data, as us_1926_2018; the prices of the home's nights where absent."),
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar=Month, help="First month of the history.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar=Month, help="Last month of the history.")] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="CLASS[=NAME]", help="A class of the firm, and its name in the data. Again for each."
        ),
    ] = None,
    expected: Annotated[
        list[str] | None,
        typer.Option(
            "--expected",
            metavar="CLASS=RETURN",
            help="Expected return a year instead of the history's, as stocks=0.06.",
        ),
    ] = None,
    most: Annotated[
        list[str] | None, typer.Option("--most", metavar="CLASS=WEIGHT", help="Most weight of a class, as gold=0.1.")
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", min=10, max=10_000, help="How often the history is drawn again.")
    ] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the drawing.")] = 1,
    picture: Annotated[Path | None, typer.Option("--picture", metavar="FILE.svg", help="Write the picture.")] = None,
    ladder: Annotated[
        Path | None,
        typer.Option(
            "--ladder", metavar="FOLDER", help="Write ladder.csv, and model_targets.csv of models that are made."
        ),
    ] = None,
    ladder_of: Annotated[
        LadderOf, typer.Option("--ladder-of", help="Ten models of the frontier, or the firm's own.")
    ] = "frontier",
    *,
    is_json: Json = False,
) -> None:
    """Show the efficient frontier of asset classes, how far the firm's models are from it, and ten models on it. Nothing is traded by it."""
    asked = FrontierRequest(
        data=data,
        first=first,
        last=last,
        classes={name: other or name for name, other in (each.partition("=")[::2] for each in classes or ())},
        expected=_numbers("--expected", expected or (), -1.0, 10.0),
        most=_numbers("--most", most or (), 0.0, 1.0),
        draws=draws,
        seed=seed,
    )
    found = frontier_of(current_settings(), asked)
    written = []
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_text(frontier_picture(found), encoding="utf-8")
        written.append(picture)
    if ladder is not None:
        written += write_ladder(found, ladder, is_of_models=ladder_of == "models")
    if is_json:
        print_json(
            {
                "is_hypothetical": True,
                "source": found.source,
                "source_date": found.source_date,
                "models_date": found.models_date,
                "models": model_rows(found),
                "frontier": rung_rows(found),
                "left_out": [
                    {"model_id": model, "asset_class": name} for model, name in sorted(found.left_out.items())
                ],
                "files": [str(path) for path in written],
            }
        )
        return
    _print(found)
    for path in written:
        typer.echo(path)


def _print(found: FoundFrontier) -> None:
    columns = [
        "model",
        "expected return",
        "volatility",
        "frontier's return beyond it",
        "standard error",
        "frontier's volatility below it",
        "verdict",
    ]
    models = [
        [name, *(PERCENT.format(value) for value in values), verdict]
        for name, *values, verdict in (row.values() for row in model_rows(found))
    ]
    if models:
        print_table(
            f"Models of {found.models_date} beside the frontier of {found.source}", columns, models, whole={"model"}
        )
    rungs = [
        [
            row["model_id"],
            PERCENT.format(row["expected_return"]),
            PERCENT.format(row["volatility"]),
            ", ".join(f"{name} {weight:.1%}" for name, weight in row["weights"].items()),
        ]
        for row in rung_rows(found)
    ]
    print_table(
        f"Resampled frontier of {found.source}",
        ["model", "expected return", "volatility", "weights"],
        rungs,
        whole={"model"},
    )
    if found.left_out:
        some = ", ".join(f"{model} ({name})" for model, name in sorted(found.left_out.items())[:5])
        notice(f"{len(found.left_out):,} models have a class without data and are not shown: {some}")
    notice(HYPOTHETICAL)


def _numbers(option: str, given: Sequence[str], least: float, most: float) -> dict[str, float]:
    """``CLASS=NUMBER`` of an option.

    Raises
    ------
    WrongUsage
        One is none, or is out of bounds.
    """
    found = {}
    for each in given:
        name, _, text = each.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not name or not least <= value <= most:
            raise WrongUsage(
                f"{option} is {each}; needed a class and a number from {least:g} to {most:g}\n\nHint: as in {option} stocks=0.06."
            )
        found[name] = value
    return found

"""``trimtab forecast``: accounts that will leave their bands by the next session, beside what became of earlier forecasts."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, print_json, print_table
from tasks.forecast import BreachForecast, forecast_breaches
from tasks.runtime import settings_of_a_home

SHOWN_SCORES = 10


def forecast(
    most: Annotated[int, typer.Option("--most", min=0, help="How many of the likeliest accounts are named.")] = 20,
    *,
    is_json: Json = False,
) -> None:
    """Say how many accounts will leave their bands by the next session, which are likeliest, and how good such forecasts were. Decides nothing."""
    found = forecast_breaches(settings_of_a_home(), most=most)
    if is_json:
        print_json(asdict(found))
        return
    for line in forecast_sentences(found):
        say(line)
    if found.likeliest:
        rows = [(one.account_id, f"{one.chance:.1%}") for one in found.likeliest]
        print_table("likeliest to leave their bands", ("account", "chance"), rows, whole=("account",))
    if found.scores:
        print_table(
            "the newest forecasts, and what happened",
            ("night", "accounts", "forecast", "90 in 100", "happened", "Brier", "Brier learned"),
            [
                (
                    one.night_date,
                    f"{one.accounts:,}",
                    f"{one.expected:,.1f}",
                    f"{one.low:,.0f} to {one.high:,.0f}",
                    f"{one.happened:,}",
                    f"{one.brier:.5f}",
                    "-" if one.learned_brier is None else f"{one.learned_brier:.5f}",
                )
                for one in found.scores[-SHOWN_SCORES:]
            ],
        )


def forecast_sentences(found: BreachForecast) -> Iterator[str]:
    """What the forecast and its record come to."""
    yield (
        f"Of {found.accounts:,} accounts within their bands on {found.as_of}, {found.expected:,.1f} are expected to leave them by the next session; "
        f"{found.low:,.0f} to {found.high:,.0f} in 90 of 100 cases. {found.out_already:,} are out already."
    )
    told = found.record
    if told.nights:
        yield (
            f"So far: {told.nights} nights forecast, {told.covered:.0%} of their counts within the interval; "
            f"Brier score {told.brier:.5f}, log loss {told.log_loss:.4f}."
        )
    if told.gain is None:
        yield "By the formula: nothing has been learned yet."
    else:
        error = "" if told.error is None else f", standard error {told.error:.5f}"
        used = (
            "learned from past nights, which has won"
            if found.method == "learned"
            else "the formula; what was learned has not won"
        )
        yield f"By {used}: Brier score better by {told.gain:.5f}{error} on {told.compared} nights that it had not seen."
    if found.unpriced:
        yield f"Taken as if they did not move, for want of prices: {', '.join(found.unpriced)}."

"""``trimtab simulate fills``: what a simulated broker says of an export's orders, as a file for ``trimtab reconcile``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, notice, print_json
from schemas.errors import WrongUsage
from tasks.core.broker import ENDINGS, BrokerModel
from tasks.runtime import current_settings
from tasks.simulate import simulate_fills

MODEL: Final = BrokerModel()

app = typer.Typer(
    no_args_is_help=True,
    help="A broker that is simulated, for trying things out; its fills are taken of the orders of simulations alone.",
)


@app.callback()
def simulate() -> None:
    """Try the whole circle without a broker."""


@app.command()
def fills(
    folder: Annotated[Path, typer.Argument(metavar="EXPORT", help="An exported folder: <exports>/<as-of date>/<run>.")],
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed says the same of an order.")] = 0,
    market: Annotated[
        Path | None,
        typer.Option(
            "--market",
            metavar="FILE",
            help="CSV with security_id, half_spread_bps, daily_volatility, daily_volume; assumed are 2 bps, 0.02 and 50 million USD a day.",
        ),
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help=f"{', '.join(list(ENDINGS)[:-1])} or {list(ENDINGS)[-1]}.")
    ] = "csv",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Where the file goes; <home>/simulated where absent.")
    ] = None,
    impact: Annotated[
        float,
        typer.Option(
            "--impact",
            min=0,
            max=100,
            help="Y of the square-root law: price moves by Y x volatility x sqrt(quantity / volume).",
        ),
    ] = MODEL.impact,
    participation: Annotated[
        float, typer.Option("--participation", min=0, max=1, help="Part of a security's volume that is filled at most.")
    ] = MODEL.participation,
    reject_rate: Annotated[
        float, typer.Option("--reject-rate", min=0, max=1, help="Share of orders that are rejected.")
    ] = MODEL.reject_rate,
    bust_rate: Annotated[
        float, typer.Option("--bust-rate", min=0, max=1, help="Share of orders of which a fill is busted.")
    ] = MODEL.bust_rate,
    correct_rate: Annotated[
        float,
        typer.Option("--correct-rate", min=0, max=1, help="Share of orders of which a fill's price is corrected."),
    ] = MODEL.correct_rate,
    is_json: Json = False,
) -> None:
    """Fill an export's orders by a stated model of spread, impact and volume, and write a file that `trimtab reconcile` reads."""
    if file_format not in ENDINGS:
        raise WrongUsage(f"{file_format} is no format of executions; needed one of {', '.join(ENDINGS)}")
    settings = current_settings()
    done = simulate_fills(
        folder,
        model=BrokerModel(participation, impact, reject_rate, bust_rate, correct_rate),
        seed=seed,
        market=market,
        file_format=file_format,
        to=to or settings.home / "simulated",
        exchange=settings.exchange,
    )
    if is_json:
        print_json({**asdict(done), "path": str(done.path), "trade_date": done.trade_date.isoformat()})
        return
    say(str(done.path))
    cost = "" if done.cost_bps is None else f", {done.cost_bps:.2f} bps beyond the reference prices"
    counts = ", ".join(f"{count:,} {kind}" for kind, count in done.counts.items())
    notice(f"{done.orders:,} orders on {done.trade_date}: {done.filled:,} filled whole{cost}; reports: {counts}")
    notice(
        "Simulated: `trimtab reconcile FILE` takes it where the run was a simulation (the setting is_simulation), and refuses it elsewhere."
    )

"""What a run was computed with: the settings that decide what its steps write, and the versions of what computed it.

Steps keep it in the lake beside what they write (table ``made_with``), so that a replay computes by the same settings, and can
say which version differs where the answer does. Limits of guards are not among them: they hold a run and change none of its
numbers. Neither is ``always_review``, which is landed with the run.
"""

import json
import platform
from importlib.metadata import version
from typing import Final

import polars as pl

from schemas.enums import Step
from schemas.settings import Settings
from schemas.stored import INTERNAL

DECIDING: Final = (
    "exchange",
    "is_frontier_written",
    "max_basis_change_fraction",
    "max_cost_to_price",
    "max_total_difference_fraction",
    "max_unexplained_cash_fraction",
    "max_unexplained_fraction",
    "max_unexplained_position_fraction",
    "risk_free_rate",
    "twin_policy",
)
"""Settings that validate, measure, propose and performance read."""
LIBRARIES: Final = ("trimtab", "duckdb", "exchange_calendars", "numba", "numpy", "pandera", "polars", "pyxirr")
SETTING: Final = "setting"
VERSION: Final = "version"


def made_with(settings: Settings, step: Step) -> pl.DataFrame:
    """Rows of the table ``made_with`` for a step that runs here and now; a setting's value is JSON."""
    values = settings.model_dump(mode="json", include=set(DECIDING))
    rows = [(SETTING, name, json.dumps(values[name])) for name in DECIDING]
    rows += [(VERSION, name, value) for name, value in versions().items()]
    return pl.DataFrame([(str(step), *row) for row in rows], schema=INTERNAL["made_with"], orient="row")


def versions() -> dict[str, str]:
    """Versions of Python and of what computes, by name."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def settings_then(settings: Settings, rows: pl.DataFrame) -> Settings:
    """The settings with those of ``made_with`` in the place of today's; where steps had several, the first of them in order of value."""
    then = rows.filter(pl.col("kind") == SETTING, pl.col("name").is_in(DECIDING)).sort("name", "value", descending=True)
    return settings.model_copy(update={name: json.loads(value) for name, value in then.select("name", "value").rows()})

"""A book of three accounts whose investors have profiles, and nights over it."""

from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import polars as pl

from schemas.enums import Role
from schemas.run import RunRef
from schemas.settings import Settings
from tasks.review import access
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.console_scene import PASSWORD
from tests.support.landing_book import AS_OF, rows_of, sound_book, write_book
from tests.support.night_driver import run_night

LADDER: Final = """
    model_id | rung | expected_return | volatility | source_date
    income   | 1    | 0.03            | 0.04       | 2025-12-31
    growth   | 2    | 0.06            | 0.13       | 2025-12-31
"""
INVESTORS: Final = """
    investor_id | household_id | is_tenth_risked | is_half_risked | horizon_years | wealth_usd | goal_usd | profiled_date
    careful     | H1           | false           | false          | 20            | 2000000    | 300000   | 2025-06-01
    bold        | H3           | true            | true           | 30            | 2000000    |          | 2025-06-01
"""
NO_STOCKS: Final = """
    model_id | asset_class | target_weight | absolute_band | relative_band
    income   | stocks      | 0             | 0.05          |
"""


def book(**tables: str) -> dict[str, pl.DataFrame]:
    """The sound book, whose third account is active and of a household of its own."""
    found = sound_book()
    is_third = pl.col("account_id") == "A3"
    found["accounts"] = found["accounts"].with_columns(
        status=pl.lit("active"), household_id=pl.when(is_third).then(pl.lit("H3")).otherwise("household_id")
    )
    found["lots"] = found["lots"].with_columns(
        quantity=pl.when(pl.col("lot_id") == "1").then(
            pl.concat_str("quantity", pl.lit("00")).str.replace("5.500", "550")
        )
    )
    found["model_targets"] = pl.concat([found["model_targets"], rows_of(NO_STOCKS)])
    del found["restrictions"]
    return found | {name: rows_of(text) for name, text in tables.items()}


def with_profiles(**tables: str) -> dict[str, pl.DataFrame]:
    return book(**{"ladder": LADDER, "investors": INVESTORS, **tables})


def night(settings: Settings, tables: Mapping[str, pl.DataFrame], day: int = 0) -> RunRef:
    folder = settings.home.parent / f"landing-{day}"
    folder.mkdir(exist_ok=True)
    dated = dict(tables)
    dated["prices"] = tables["prices"].with_columns(price_date=pl.lit((AS_OF + timedelta(days=day)).isoformat()))
    write_book(folder, dated, "csv")
    return run_night(settings, folder, AS_OF + timedelta(days=day))


def profiled_home(folder: Path) -> Settings:
    """A home after a night that asks for two model changes: of A3, and of the household H1, in which A1 and A2 are managed together.

    Bob and Cat review, Vic looks on; all have a password.
    """
    settings = Settings(home=folder / "home", max_quarantined_fraction=1.0, max_run_turnover=None)
    night(settings, with_profiles())
    (settings.home / "trimtab.toml").touch()
    hashed = access._hasher().hash(PASSWORD)
    with closing(open_ledger(settings)) as ledger:
        for name, role in (("bob", Role.REVIEWER), ("cat", Role.REVIEWER), ("vic", Role.VIEWER)):
            ledger.users.add_user(name, {role}, actor=current_actor(), now=utc_now())
            ledger.access.set_password_hash(name, hashed, actor=current_actor(), now=utc_now())
    return settings

"""The gate of profiles: what is broken costs advice, never a trade, and never the advice of those whom it could not mean."""

from collections.abc import Mapping

import polars as pl
import pytest

from tasks.core.gate import ProfileTables, gate_globals, usable_profiles, whole_files
from tests.support.landing_book import AS_OF, GLOBAL_TABLES, parsed, rows_of, sound_book

Book = Mapping[str, pl.DataFrame]
TEXTS = {
    "investors": """
        investor_id | household_id | is_tenth_risked | risk_score | horizon_years | yearly_income_usd | yearly_flow_usd | wealth_usd | income_beta | goal_usd | goal_date  | glide_path_id | profiled_date
        I1          | H1           | true            | 50         | 10            | 90000             | -5              | 1000       | 0.5         | 5000     | 2030-01-01 | P             | 2025-12-01
        I2          | H2           | false           |            | 5             |                   |                 |            |             |          |            |               | 2026-01-05
    """,
    "ladder": """
        model_id | rung | expected_return | volatility | source_date
        income   | 1    | 0.03            | 0.05       | 2025-12-31
        growth   | 3    | 0.06            | 0.13       | 2025-12-31
    """,
    "glide_paths": """
        glide_path_id | years_to_goal | risky_share | rung
        P             | 0             | 0.2         |
        P             | 20            | 0.9         |
        Q             | 0             |             | 1
    """,
}


def book(table: str = "", row: int = 1, **cells: str | None) -> dict[str, pl.DataFrame]:
    found = {name: rows_of(text) for name, text in TEXTS.items()}
    if table:
        here = pl.int_range(pl.len()) == row - 1
        found[table] = found[table].with_columns(
            pl.when(here).then(pl.lit(value, dtype=pl.String)).otherwise(name).alias(name)
            for name, value in cells.items()
        )
    return found


def judged(own: Book) -> tuple[ProfileTables, dict[int, str]]:
    """What advice may rest on, and the rules that the one spoilt table's rows broke, by row."""
    common = {name: rows for name, rows in sound_book().items() if name in GLOBAL_TABLES}
    tables = parsed({**common, **own})
    quarantine = gate_globals(tables, whole_files({name: f"{name}.csv" for name in tables}), AS_OF).quarantine
    broken = dict(quarantine.select("landed_row", "broken_rules").iter_rows())
    return usable_profiles({name: tables[name] for name in TEXTS}, quarantine), broken


def test_sound_profiles_pass_whole() -> None:
    found, broken = judged(book())
    assert broken == {}
    assert (found.investors.height, found.ladder["model_id"].to_list()) == (2, ["income", "growth"])
    assert found.glide_paths["glide_path_id"].to_list() == ["P", "P", "Q"]
    assert found.is_broken(pl.Series(["H1", "H2"])).to_list() == [False, False]


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ({"investor_id": "I 1"}, "investor_id_identifier"),
        ({"investor_id": "I2"}, "unique_investor_id"),
        ({"is_tenth_risked": "perhaps"}, "is_tenth_risked_readable"),
        ({"risk_score": "101"}, "risk_score_between_0_and_100"),
        ({"horizon_years": "-1"}, "horizon_years_between_0_and_100"),
        ({"yearly_income_usd": "-1"}, "yearly_income_usd_not_negative"),
        ({"yearly_flow_usd": "x"}, "yearly_flow_usd_readable"),
        ({"wealth_usd": "-3"}, "wealth_usd_not_negative"),
        ({"income_beta": "1.5"}, "income_beta_between_0_and_1"),
        ({"goal_usd": "0"}, "goal_usd_positive"),
        ({"goal_date": "soon"}, "goal_date_readable"),
        ({"glide_path_id": "?"}, "glide_path_id_identifier"),
        ({"profiled_date": None}, "profiled_date_required"),
        ({"profiled_date": "2026-01-06"}, "profiled_date_not_after_as_of"),
    ],
)
def test_a_broken_profile_costs_its_household_its_advice(cells: dict[str, str | None], rule: str) -> None:
    found, broken = judged(book("investors", 1, **cells))
    assert rule in broken[1]
    assert "H1" not in found.investors["household_id"].to_list()
    assert found.is_broken(pl.Series(["H1", "H2", "H9"])).to_list() == [True, rule == "unique_investor_id", False]


@pytest.mark.parametrize(
    ("household", "lost"), [("h1", [True, False]), ("H 1", [True, False]), ("?!", [True, True]), (None, [False, False])]
)
def test_a_household_that_cannot_be_read_could_be_any(household: str | None, lost: list[bool]) -> None:
    found, _ = judged(book("investors", 1, household_id=household, risk_score="x"))
    assert found.is_broken(pl.Series(["H1", "H2"])).to_list() == lost


@pytest.mark.parametrize(
    ("row", "cells", "rule"),
    [
        (1, {"model_id": "nope"}, "model_known"),
        (1, {"rung": "3"}, "rung_alone"),
        (1, {"rung": "-1"}, "rung_between_0_and_10000"),
        (1, {"expected_return": "3"}, "expected_return_between_-1_and_1"),
        (1, {"volatility": "-0.1"}, "volatility_between_0_and_2"),
        (2, {"volatility": "0.04"}, "volatility_rises"),
        (1, {"source_date": "2026-02-01"}, "source_date_not_after_as_of"),
        (1, {"model_id": "growth"}, "unique_model_id"),
    ],
)
def test_a_ladder_is_used_whole_or_not_at_all(row: int, cells: dict[str, str | None], rule: str) -> None:
    found, broken = judged(book("ladder", row, **cells))
    assert rule in broken[row]
    assert found.ladder.is_empty()


@pytest.mark.parametrize(
    ("row", "cells", "rule", "left"),
    [
        (1, {"risky_share": None}, "share_or_rung", ["Q"]),
        (1, {"rung": "2"}, "share_or_rung", ["Q"]),
        (1, {"risky_share": None, "rung": "2"}, "path_of_one_kind", ["Q"]),
        (2, {"risky_share": "1.1"}, "risky_share_between_0_and_1", ["Q"]),
        (3, {"years_to_goal": "101"}, "years_to_goal_between_0_and_100", ["P", "P"]),
        (2, {"years_to_goal": "0"}, "unique_glide_path_id_years_to_goal", ["Q"]),
        (3, {"glide_path_id": "?"}, "glide_path_id_identifier", []),
        (3, {"rung": "x"}, "rung_readable", ["P", "P"]),
    ],
)
def test_a_glide_path_is_used_whole_or_not_at_all(
    row: int, cells: dict[str, str | None], rule: str, left: list[str]
) -> None:
    found, broken = judged(book("glide_paths", row, **cells))
    assert rule in broken[row]
    assert found.glide_paths["glide_path_id"].to_list() == left


def test_tables_that_did_not_come_are_as_ones_without_rows() -> None:
    common = {name: rows for name, rows in sound_book().items() if name in GLOBAL_TABLES}
    without = gate_globals(parsed(common), {}, AS_OF)
    empty = gate_globals(parsed(common | {name: rows.clear() for name, rows in book().items()}), {}, AS_OF)
    assert without.quarantine.equals(empty.quarantine)

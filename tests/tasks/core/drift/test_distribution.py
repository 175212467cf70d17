"""Every account is counted once before and once after, whatever its drift."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.drift.distribution import EDGES, WIDTH, bar, chart, drift_counts
from tests.support.landing_book import rows_of

DRIFT = rows_of("""
    account_id | one_way_drift
    a          | 0.12
    b          | 0.005
    c          | 0.0051
    d          | 0.9
    e          |
""").with_columns(pl.col("one_way_drift").cast(pl.Float64))
PROPOSALS = rows_of("""
    account_id | one_way_drift_after
    a          | 0.004
    d          | 0.02
""").with_columns(pl.col("one_way_drift_after").cast(pl.Float64))


def counted(drift: pl.DataFrame, proposals: pl.DataFrame) -> dict[str, tuple[int, int]]:
    rows = drift_counts(drift, proposals).iter_rows()
    return {bucket: (before, after) for bucket, before, after in rows if before or after}


def test_an_edge_is_inside_and_who_does_not_trade_stays() -> None:
    assert counted(DRIFT, PROPOSALS) == {
        "up to 0.5 %": (1, 2),
        "0.5 to 1 %": (1, 1),
        "1 to 2 %": (0, 1),
        "10 to 15 %": (1, 0),
        "over 25 %": (1, 0),
        "unknown": (1, 1),
    }


def test_every_bucket_is_there_in_order() -> None:
    buckets = drift_counts(DRIFT.drop_nulls(), PROPOSALS)["bucket"].to_list()
    assert len(buckets) == len(EDGES) + 1
    assert (buckets[0], buckets[-1]) == ("up to 0.5 %", "over 25 %")


@given(st.lists(st.tuples(st.one_of(st.none(), st.floats(0, 2)), st.one_of(st.none(), st.floats(0, 2))), max_size=40))
def test_nobody_is_lost(pairs: list[tuple[float | None, float | None]]) -> None:
    names = [f"a{number}" for number in range(len(pairs))]
    before = pl.DataFrame(
        {"account_id": names, "one_way_drift": [pair[0] for pair in pairs]},
        schema={"account_id": pl.String, "one_way_drift": pl.Float64},
    )
    after = pl.DataFrame(
        {"account_id": names, "one_way_drift_after": [pair[1] for pair in pairs]},
        schema={"account_id": pl.String, "one_way_drift_after": pl.Float64},
    ).drop_nulls()
    found = drift_counts(before, after)
    assert found["before"].sum() == found["after"].sum() == len(pairs)


@pytest.mark.parametrize(
    ("count", "most", "text"),
    [(0, 10, ""), (10, 10, "█" * WIDTH), (5, 10, "█" * (WIDTH // 2)), (1, 1_000_000, "▏"), (1, 8, "█▌")],
)
def test_a_bar_is_as_long_as_its_share_and_never_nothing_for_something(count: int, most: int, text: str) -> None:
    assert bar(count, most) == text


def test_the_chart_names_no_account_and_has_a_row_for_each_bucket() -> None:
    lines = chart(drift_counts(DRIFT, PROPOSALS)).splitlines()
    assert len(lines) == 2 + len(EDGES) + 2
    assert lines[2] == f"| up to 0.5 % | 1 | {'█' * 6} | 2 | {'█' * 12} |"


def test_an_empty_night_has_an_empty_chart() -> None:
    lines = chart(drift_counts(DRIFT.clear(), PROPOSALS.clear())).splitlines()
    assert all("█" not in line for line in lines)

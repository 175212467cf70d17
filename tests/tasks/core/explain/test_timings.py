import polars as pl

from tasks.core.explain.summary import timings

STEPS = pl.DataFrame(
    {
        "step": ["pull", "measure", "measure", "propose", "route"],
        "shard": [-1, 0, 1, 0, -1],
        "rows": [300, 100, 200, 52, 7],
        "seconds": [2.0, 0.5, 4.0, 4.0, 0.0],
    }
)


def test_totals_come_first_then_shards_and_the_slowest_leads() -> None:
    assert timings(STEPS).rows() == [
        ("measure", "all", 4.5, 300, 67),
        ("propose", "all", 4.0, 52, 13),
        ("pull", "all", 2.0, 300, 150),
        ("route", "all", 0.0, 7, None),
        ("measure", "1", 4.0, 200, 50),
        ("propose", "0", 4.0, 52, 13),
        ("pull", "of no account", 2.0, 300, 150),
        ("measure", "0", 0.5, 100, 200),
        ("route", "of no account", 0.0, 7, None),
    ]


def test_the_order_of_the_rows_given_does_not_matter() -> None:
    assert timings(STEPS.reverse()).equals(timings(STEPS))


def test_a_run_without_steps_has_none() -> None:
    assert timings(STEPS.clear()).height == 0

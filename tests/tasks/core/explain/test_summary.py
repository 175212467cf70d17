import shlex
from datetime import date
from decimal import Decimal

import polars as pl

from schemas.enums import Outcome, RunKind, Step
from schemas.run import RunRef
from schemas.tables import PUBLIC
from tasks.core.explain.summary import counts_of, exceptions, markdown
from tests.support.landing_book import rows_of

RUN = RunRef("2026-03-02-nightly-abc", date(2026, 3, 2), RunKind.NIGHTLY, 1)
OUTCOMES = rows_of("""
    account_id | outcome      | reason
    a          | proposed     | drift
    b          | proposed     | cash
    c          | in_band      | no_trigger
    f          | blocked      | cannot_raise_cash: 12.5 USD short
    e          | blocked      | cannot_raise_cash: 3.0 USD short
    d          | quarantined  | lots:quantity_not_negative
    g          | cooling_down | cool_down: 3 days since the last export
""")
PROPOSALS = pl.DataFrame(
    {
        "route": ["auto", "review"],
        "order_count": [2, 3],
        "gross_value_usd": [Decimal("1000.5"), Decimal(2000)],
        "gap_bps": [0.25, 0.05],
    },
    schema_overrides={"gross_value_usd": pl.Decimal(38, 6)},
)
NO_PROPOSALS = pl.DataFrame(schema=PUBLIC["proposals"])
ROWS = dict.fromkeys(Step, 1_000)


def page(outcomes: pl.DataFrame, proposals: pl.DataFrame, seconds: float = 0.5) -> list[str]:
    counts = counts_of(outcomes, proposals)
    return markdown(RUN, counts, proposals, dict.fromkeys(Step, seconds), ROWS).splitlines()


def test_counts_name_every_outcome_and_route() -> None:
    assert counts_of(OUTCOMES, PROPOSALS) == {
        "accounts": 7,
        "in_band": 1,
        "proposed": 2,
        "blocked": 2,
        "quarantined": 1,
        "frozen": 0,
        "cooling_down": 1,
        "no_trade": 0,
        "error": 0,
        "route_auto": 1,
        "route_review": 1,
        "orders": 5,
    }


def test_an_empty_night_counts_zero() -> None:
    assert set(counts_of(OUTCOMES.clear(), NO_PROPOSALS).values()) == {0}


def test_outcomes_sum_to_the_accounts() -> None:
    counts = counts_of(OUTCOMES, PROPOSALS)
    assert sum(counts[outcome] for outcome in Outcome) == counts["accounts"]


def test_exceptions_are_what_was_not_traded_the_most_frequent_first_without_numbers() -> None:
    assert exceptions(RUN, OUTCOMES).drop("command").rows() == [
        ("blocked", "cannot_raise_cash", 2),
        ("cooling_down", "cool_down", 1),
        ("in_band", "no_trigger", 1),
        ("quarantined", "lots:quantity_not_negative", 1),
    ]


def test_exceptions_name_no_account_but_the_command_that_lists_them() -> None:
    rows = [(f"A-{name}", "frozen", "account_frozen: since '25") for name in "dbeac"]
    frozen = exceptions(RUN, pl.DataFrame(rows, schema=OUTCOMES.schema, orient="row"))
    assert "A-" not in str(frozen.to_dicts())
    text = (
        f"SELECT account_id, reason FROM account_outcomes WHERE run_id = '{RUN.run_id}' AND outcome = 'frozen' "
        "AND split_part(reason, ': ', 1) = 'account_frozen'"
    )
    assert shlex.split(frozen["command"].item()) == ["trimtab", "query", text]


def test_a_quote_in_a_reason_ends_no_command() -> None:
    odd = OUTCOMES.filter(pl.col("account_id") == "d").with_columns(reason=pl.lit("it's odd"))
    assert exceptions(RUN, odd)["command"].item().endswith("= 'it''s odd'\"")


def test_the_page_has_the_funnel_the_money_and_the_time() -> None:
    lines = page(OUTCOMES, PROPOSALS)
    assert lines[0] == "# 2026-03-02-nightly-abc"
    assert "| blocked | 2 |" in lines
    assert "| **pulled** | **7** |" in lines
    assert (
        "5 orders of 3,000.50 USD in 2 proposals: 1 approved by policy, 1 for review. "
        "Gap to the proven bound: median 0.1500 bp, largest 0.2500 bp of NAV."
    ) in lines
    assert "| measure | 1,000 | 0.50 | 2,000 |" in lines


def test_the_page_of_a_night_without_proposals_has_no_gap() -> None:
    lines = page(OUTCOMES.clear(), NO_PROPOSALS)
    assert any(
        "0 orders of 0.00 USD" in line and line.endswith("median none bp, largest none bp of NAV.") for line in lines
    )


def test_a_step_that_took_no_time_is_no_division_by_zero() -> None:
    assert any(line.startswith("| pull | 1,000 | 0.00 | ") for line in page(OUTCOMES, PROPOSALS, seconds=0.0))

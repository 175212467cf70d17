from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from console.shared import formatting as words
from console.shared.break_words import ADVICE, MEANINGS, break_sentence
from schemas.enums import Break

NOW = datetime(2026, 7, 1, 22, tzinfo=UTC)
GAP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0"),
        (0.004, "$0"),
        (-0.004, "$0"),
        (0.5, "$0.50"),
        (99.994, "$99.99"),
        (Decimal("1234.56"), "$1,235"),
        (-22.084, "\N{MINUS SIGN}$22.08"),
        (-2_694.5, "\N{MINUS SIGN}$2,694"),
        (None, "\N{EN DASH}"),
    ],
)
def test_dollars_have_cents_where_they_tell_something(amount: float | Decimal | None, text: str) -> None:
    assert words.dollars(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(999, "$999"), (1_000, "$1.0k"), (2_027_292.7, "$2.0M"), (-3.2e9, "\N{MINUS SIGN}$3.2B"), (None, "\N{EN DASH}")],
)
def test_large_sums_are_short(amount: float | None, text: str) -> None:
    assert words.large_dollars(amount) == text


def test_shares_have_no_zeros_that_say_nothing() -> None:
    assert [words.shares(each) for each in (Decimal("414.000000"), 6.278, Decimal("1234.5"), 100)] == [
        "414",
        "6.278",
        "1,234.5",
        "100",
    ]


def test_weights_are_in_per_cent() -> None:
    assert words.percent(0.149) == f"14.9{GAP}%"
    assert words.percent(-0.02) == f"\N{MINUS SIGN}2.0{GAP}%"
    assert words.from_to(0.149, 0.016) == f"14.9{GAP}→{GAP}1.6{GAP}%"
    assert words.from_to(None, 0.016) == f"\N{EN DASH}{GAP}→{GAP}1.6{GAP}%"


@pytest.mark.parametrize(
    ("gap", "text"),
    [
        (timedelta(seconds=30), "in 30 s"),
        (timedelta(minutes=59, seconds=59), "in 59 min"),
        (timedelta(hours=3, minutes=5), "in 3 h 05 min"),
        (timedelta(days=2, hours=1), "in 2 d 1 h"),
        (-timedelta(minutes=12), "12 min ago"),
    ],
)
def test_times_are_told_from_now(gap: timedelta, text: str) -> None:
    assert words.until(NOW + gap, NOW) == text


def test_moments_and_days_are_as_the_world_writes_them() -> None:
    assert words.clock(NOW) == "2026-07-01 22:00 UTC".replace(" ", GAP)
    assert words.day(date(2026, 7, 1)) == "2026-07-01"
    assert words.clock(None) == words.day(None) == words.until(None, NOW) == "\N{EN DASH}"


def test_errors_become_sentences() -> None:
    assert (
        words.sentence("there is no run r1\n\nHint: `trimtab runs` lists them.")
        == "There is no run r1. `trimtab runs` lists them."
    )
    assert words.sentence("it is held.") == "It is held."


def test_words_are_said_as_people_say_them() -> None:
    assert words.words("short_cash|large_tax") == ["short cash", "large tax"]
    assert words.words(None) == words.words("") == []
    assert [words.plural(number, "order") for number in (0, 1, 1200)] == ["0 orders", "1 order", "1,200 orders"]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("10.005000"), "10.005"),
        (Decimal("1234.5"), "1,234.50"),
        (Decimal("71.134"), "71.134"),
        (10, "10.00"),
        (Decimal("0.000001"), "0.000001"),
        (None, words.NONE),
    ],
)
def test_a_price_keeps_every_digit_that_says_something(amount: Decimal | None, text: str) -> None:
    assert words.price(amount) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, f"0{GAP}B"), (999, f"999{GAP}B"), (1_250_000, f"1.2{GAP}MB"), (None, words.NONE)]
)
def test_sizes_have_a_unit(number: int | None, text: str) -> None:
    assert words.size(number) == text


@pytest.mark.parametrize(
    ("code", "days", "text"),
    [
        (Break.OVERFILLED, 1, "Filled 4.5 of 3: $1,025 more than ordered."),
        (Break.REJECTED, 1, "Turned down with 4.5 of 3 filled: $1,025 not traded."),
        (Break.NOT_FILLED, 1, "Filled 4.5 of 3: $1,025 to go."),
        (Break.NOT_ACKNOWLEDGED, 0, "Nobody has said anything of it yet: $1,025."),
        (Break.NOT_ACKNOWLEDGED, 1, "Nobody has said anything of it for 1 day: $1,025."),
        (Break.UNKNOWN_ORDER, 1, "Filled 4.5 for $1,025, and no order that left asked for it."),
        (Break.EXCEPTION_VOID, 1, "It did not get what a person fixed for it of its block."),
    ],
)
def test_a_break_is_a_sentence_with_its_figures(code: Break, days: int, text: str) -> None:
    amounts = {"ordered_quantity": Decimal("3.000000"), "filled_quantity": Decimal("4.500000")}
    assert break_sentence({"code": str(code), "amount_usd": Decimal("1025.00"), "age_days": days, **amounts}) == text


def test_every_code_has_a_meaning_and_advice() -> None:
    assert set(MEANINGS) == set(ADVICE) == set(Break)

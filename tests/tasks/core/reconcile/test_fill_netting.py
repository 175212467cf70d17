import itertools
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.executions import MESSAGES
from tasks.core.reconcile.fill_netting import net_fills
from tests.support.examples import at_most

NOON = datetime(2026, 3, 3, 17, tzinfo=UTC)


def message(  # noqa: PLR0917 - as a sentence
    name: str, kind: str = "fill", quantity: int = 10, about: str | None = None, minute: int = 0, source: str = "b"
) -> dict[str, object]:
    return {
        "source": source,
        "execution_id": name,
        "kind": kind,
        "order_id": "o1",
        "quantity": Decimal(quantity),
        "price_usd": Decimal(5),
        "trade_date": date(2026, 3, 3),
        "executed_at": NOON + timedelta(minutes=minute),
        "reference_id": about,
    }


def table(*messages: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in MESSAGES} for row in messages], schema=MESSAGES)


def standing(*messages: dict[str, object]) -> dict[str, int]:
    """Quantity by root, whatever the order of the messages."""
    answers = {
        tuple(net_fills(table(*some)).select("root_id", pl.col("quantity").cast(pl.Int64)).rows())
        for some in itertools.islice(itertools.permutations(messages), 24)
    }
    (answer,) = answers
    return dict(answer)


def test_fills_stand_as_they_are() -> None:
    assert standing(message("f1"), message("f2", quantity=3), message("a", "acknowledged")) == {"f1": 10, "f2": 3}


def test_a_busted_fill_never_was() -> None:
    assert standing(message("f1"), message("x", "bust", about="f1"), message("f2")) == {"f2": 10}


def test_a_correction_says_what_holds() -> None:
    assert standing(message("f1"), message("c1", "correct", 7, "f1")) == {"f1": 7}


def test_the_last_correction_of_a_chain_holds_whatever_the_clocks_say() -> None:
    chain = (message("f1"), message("c1", "correct", 7, "f1", 9), message("c2", "correct", 8, "c1", 2))
    assert standing(*chain) == {"f1": 8}


def test_a_correction_that_tells_no_day_and_no_fees_keeps_those_of_its_fill() -> None:
    first = message("f1") | {"fees_usd": Decimal("1.5")}
    silent = message("c1", "correct", 7, "f1") | {"trade_date": None, "executed_at": None}
    (row,) = net_fills(table(silent, first)).to_dicts()
    assert (row["quantity"], row["trade_date"], row["fees_usd"]) == (7, date(2026, 3, 3), Decimal("1.5"))


def test_of_two_corrections_of_one_fill_the_later_holds_and_then_the_greater_id() -> None:
    assert standing(message("f1"), message("c9", "correct", 7, "f1", 1), message("c1", "correct", 8, "f1", 2)) == {
        "f1": 8
    }
    assert standing(message("f1"), message("c1", "correct", 7, "f1"), message("c2", "correct", 8, "f1")) == {"f1": 8}


def test_a_bust_of_a_correction_busts_the_fill_and_is_final() -> None:
    late = message("c2", "correct", 8, "f1", 9)
    assert standing(message("f1"), message("c1", "correct", 7, "f1"), message("x", "bust", about="c1"), late) == {}


def test_a_correction_counts_before_its_fill_has_come_and_a_bust_too() -> None:
    assert standing(message("c1", "correct", 7, "f1")) == {"f1": 7}
    assert standing(message("x", "bust", about="f1")) == {}


def test_the_same_id_of_another_source_is_another_execution() -> None:
    bust = message("x", "bust", about="f1", source="c")
    assert standing(message("f1"), bust) == {"f1": 10}


def test_names_that_go_round_in_a_circle_count_for_nothing() -> None:
    ring = (message("c1", "correct", 7, "c2"), message("c2", "correct", 8, "c1"), message("c3", "correct", 9, "c3"))
    assert standing(*ring, message("f1")) == {"f1": 10}


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 9, 100])
def test_chains_may_be_long(length: int) -> None:
    chain = [message("c0"), *(message(f"c{n}", "correct", n, f"c{n - 1}") for n in range(1, length + 1))]
    random.Random(length).shuffle(chain)  # noqa: S311 - for tests
    assert net_fills(table(*chain)).select("root_id", "quantity").rows() == [("c0", Decimal(length))]


@settings(max_examples=at_most(60))
@given(st.data())
def test_names_drawn_at_random_come_to_what_following_them_by_hand_comes_to(data: st.DataObject) -> None:
    names = [f"e{n}" for n in range(data.draw(st.integers(1, 8)))]
    kinds = [data.draw(st.sampled_from(["fill", "correct", "bust"])) for _ in names]
    abouts = [None if kind == "fill" else data.draw(st.sampled_from([*names, "gone"])) for kind in kinds]
    rows = [
        message(name, kind, place + 1, about, data.draw(st.integers(0, 2)))
        for place, (name, kind, about) in enumerate(zip(names, kinds, abouts, strict=True))
    ]
    answer = dict(net_fills(table(*rows)).select("root_id", pl.col("quantity").cast(pl.Int64)).rows())
    assert answer == by_hand(rows)


def by_hand(rows: list[dict[str, object]]) -> dict[str, int]:
    by_name = {str(row["execution_id"]): row for row in rows}

    def walk(name: str) -> tuple[str, int] | None:
        for depth in itertools.count():
            row = by_name.get(name)
            if row is None or row["kind"] == "fill":
                return name, depth
            if depth > len(rows):
                return None
            name = str(row["reference_id"])
        raise AssertionError

    chains: dict[str, list[tuple[int, object, str]]] = {}
    for name in by_name:
        if found := walk(name):
            chains.setdefault(found[0], []).append((found[1], by_name[name]["executed_at"], name))
    busted = {root for root, chain in chains.items() if any(by_name[name]["kind"] == "bust" for *_, name in chain)}
    return {root: int(str(by_name[max(chain)[2]]["quantity"])) for root, chain in chains.items() if root not in busted}

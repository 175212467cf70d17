"""Random days at the market, told in messages that come in any order: what truly happened is known from the drawing alone.

Names begin with the seed, so that many days fit in one table.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import polars as pl

from schemas.executions import MESSAGES, SENT_ORDERS

DAY = date(2026, 3, 3)
OPENS = datetime(2026, 3, 3, 14, 30, tzinfo=UTC)
STEPS = ("1", "0.001", "0.000001")


@dataclass
class Day:
    """Orders, the messages about them, and by order or block the fills that stood in the end: (quantity, price, fee).

    ``wants``: what each order still wants of its block's fills.
    """

    orders: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    truth: dict[str, list[tuple[Decimal, Decimal, Decimal]]] = field(default_factory=dict)
    wants: dict[str, Decimal] = field(default_factory=dict)


def order_table(days: list[Day]) -> pl.DataFrame:
    rows = [{name: row.get(name) for name in SENT_ORDERS} for day in days for row in day.orders]
    return pl.DataFrame(rows, schema=SENT_ORDERS)


def message_table(days: list[Day]) -> pl.DataFrame:
    rows = [{name: row.get(name) for name in MESSAGES} for day in days for row in day.messages]
    return pl.DataFrame(rows, schema=MESSAGES)


def drawn_day(seed: int) -> Day:
    """One to six orders, some in blocks, each filled, corrected, busted, turned down or left alone; some of a block by themselves."""
    draw = random.Random(seed)  # noqa: S311 - for tests
    day = Day(_orders(draw, f"{seed}-"), [])
    blocks = sorted({str(row["block_id"]) for row in day.orders})
    for block in blocks:
        members = [row for row in day.orders if row["block_id"] == block]
        if draw.random() < 0.5:
            for row in members:
                if draw.random() < 0.25:
                    part = draw.randint(0, int(row["quantity"] // row["quantity_step"])) * row["quantity_step"]
                    _trade(draw, day, {"order_id": row["order_id"]}, part, row)
                day.wants[row["order_id"]] = _wanted(day, row)
            left = sum((day.wants[row["order_id"]] for row in members), Decimal(0))
            _trade(draw, day, {"block_id": block}, left, members[0])
        else:
            for row in members:
                _trade(draw, day, {"order_id": row["order_id"]}, row["quantity"], row)
    draw.shuffle(day.messages)
    return day


def _orders(draw: random.Random, prefix: str) -> list[dict[str, Any]]:
    rows = []
    for number in range(draw.randint(1, 6)):
        block = draw.randint(1, 2)
        step = Decimal(STEPS[block])
        rows.append(
            {
                "order_id": f"{prefix}o{number}",
                "proposal_id": f"{prefix}p{number // 2}",
                "block_id": f"{prefix}b{block}",
                "account_id": f"{prefix}a{number // 2}",
                "custodian": "Acme",
                "side": ("buy", "sell")[block - 1],
                "security_id": f"s{block}",
                "symbol": f"S{block}",
                "quantity": step * draw.randint(1, 500),
                "quantity_step": step,
                "price_usd": Decimal(draw.randint(1, 10**8)).scaleb(-6),
            }
        )
    return rows


def _trade(draw: random.Random, day: Day, about: dict[str, Any], quantity: Decimal, row: dict[str, Any]) -> None:
    """Messages about one order or block; what stands of them goes to the truth."""
    name = next(iter(about.values()))
    stands = day.truth.setdefault(name, [])
    if draw.random() < 0.8:
        _say(day, about, "acknowledged", f"{name}-ack")
    left = quantity // row["quantity_step"]
    for number in range(draw.randint(0, 4)):
        units = draw.randint(0, int(left))
        if units == 0:
            continue
        left -= units
        first = _fill(draw, units * row["quantity_step"])
        last = _fate(draw, day, about, f"{name}-f{number}", first)
        if last is not None:
            stands.append(last)
    if draw.random() < 0.15:
        _say(day, about, draw.choice(["rejected", "cancelled"]), f"{name}-end")


def _wanted(day: Day, row: dict[str, Any]) -> Decimal:
    """What is left of an order of a block after what happened under its own name."""
    name = row["order_id"]
    if any(said["kind"] == "rejected" and said.get("order_id") == name for said in day.messages):
        return Decimal(0)
    return row["quantity"] - sum((quantity for quantity, *_ in day.truth.get(name, [])), Decimal(0))


def _fill(draw: random.Random, quantity: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    return quantity, Decimal(draw.randint(1, 10**9)).scaleb(-6), Decimal(draw.randint(0, 10**6)).scaleb(-6)


def _fate(
    draw: random.Random, day: Day, about: dict[str, Any], name: str, fill: tuple[Decimal, Decimal, Decimal]
) -> tuple[Decimal, Decimal, Decimal] | None:
    """A fill and what became of it: the fill that stood in the end; null if none did."""
    _say(day, about, "fill", name, *fill)
    last, told = name, fill
    for number in range(draw.choice([0, 0, 0, 1, 2, 3])):
        told = _fill(draw, fill[0])  # at other prices, never more than was left
        correction = f"{name}-c{number}"
        _say(day, about, "correct", correction, *told, reference_id=last, minute=number + 1)
        last = correction
    if draw.random() < 0.15:
        _say(day, about, "bust", f"{name}-x", reference_id=draw.choice([name, last]))
        return None
    return told


def _say(  # noqa: PLR0917 - as a sentence
    day: Day,
    about: dict[str, Any],
    kind: str,
    name: str,
    quantity: Decimal | None = None,
    price: Decimal | None = None,
    fee: Decimal | None = None,
    *,
    reference_id: str | None = None,
    minute: int = 0,
) -> None:
    day.messages.append(
        {
            **about,
            "source": "broker",
            "execution_id": name,
            "kind": kind,
            "quantity": quantity,
            "price_usd": price,
            "fees_usd": fee,
            "trade_date": DAY,
            "executed_at": OPENS + timedelta(minutes=minute),
            "reference_id": reference_id,
        }
    )


def half_even(amount: Fraction) -> Decimal:
    """Dollars in whole cents, by long division."""
    hundredths = amount * 100
    whole = hundredths.numerator // hundredths.denominator
    rest = hundredths - whole
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1)
    return (Decimal(whole + up) / 100).quantize(Decimal("0.01"), ROUND_HALF_EVEN)

"""Random accounts and households for the solver's tests."""

from itertools import pairwise
from typing import Final

import numpy as np

from tasks.core.solver.arrays import Book, Floats, Ints, Limits, no_limits

OF_CLASSES: Final = {"class_value", "class_target", "class_min", "loss_room"} | {
    name for name in Book._fields if name[:4] == "buy_"
}
OF_LOTS: Final = {name for name in (*Book._fields, *Limits._fields) if name[:4] == "lot_"} - {"lot_start"}
STARTS: Final = {"class_start", "lot_start"}


def random_book(
    rng: np.random.Generator, accounts: int, *, max_lots: int = 6, step: float = 1.0, classes_of: Ints | None = None
) -> Book:
    """Accounts with 1 to 6 classes, locked lots, barred purchases, cash owed, and taxes of either sign."""
    columns: dict[str, list[float]] = {name: [] for name in Book._fields}
    columns["class_start"], columns["lot_start"] = [0], [0]
    for account in range(accounts):
        classes = int(rng.integers(1, 7)) if classes_of is None else int(classes_of[account])
        nav = 0.0
        values, lots_of = [], []
        for c in range(classes):
            price = float(np.round(rng.uniform(5, 400), 2))
            count = int(rng.integers(0, max_lots + 1))
            spread = float(rng.uniform(0, 0.002))
            buy_cost = float(rng.uniform(0, 0.002))
            quantity = np.round(rng.uniform(1, 300, count), 0 if rng.random() < 0.8 else 3)
            tax = np.maximum(rng.uniform(-0.1, 0.25, count) * (rng.random(count) < 0.7), -(spread + buy_cost))
            lots = sorted(
                (
                    spread + float(t),
                    float(q),
                    price if rng.random() < 0.9 else price * 2,
                    bool(rng.random() < 0.85),
                    spread,
                )
                for t, q in zip(tax, quantity, strict=True)
            )
            lots_of.append((lots, c, price, buy_cost))
            values.append(sum(q * p for _, q, p, _, _ in lots))
        nav = sum(values)
        cash = float(np.round(rng.normal(0.03, 0.06) * max(nav, 10_000), 2))
        nav = max(nav + cash, 1_000.0)
        weights = rng.dirichlet(np.ones(classes + 1))
        columns["nav"].append(nav)
        columns["tracking_penalty"].append(float(rng.uniform(0.3, 5)))
        columns["cash"].append(cash)
        columns["cash_target"].append(float(weights[-1] * nav * rng.uniform(0, 0.3)))
        columns["min_trade"].append(0.0)
        for (lots, c, price, buy_cost), value in zip(lots_of, values, strict=True):
            columns["class_value"].append(value)
            columns["class_target"].append(float(weights[c] * nav))
            columns["buy_cap"].append(float(rng.choice([np.inf, np.inf, np.inf, 0.0, 0.05 * nav])))
            columns["buy_cost"].append(buy_cost)
            columns["buy_spread"].append(buy_cost)
            columns["buy_price"].append(price)
            columns["buy_step"].append(step)
            for cost, q, p, is_free, spread in lots:
                columns["lot_quantity"].append(q)
                columns["lot_price"].append(p)
                columns["lot_step"].append(step)
                columns["lot_spread"].append(spread)
                columns["lot_cost"].append(cost)
                columns["lot_cap"].append(q * p if is_free else 0.0)
                columns["lot_security"].append(c * 2 + (p != price))
            columns["lot_start"].append(columns["lot_start"][-1] + len(lots))
        columns["class_start"].append(columns["class_start"][-1] + classes)
    whole = {"class_start", "lot_start", "lot_security"}
    return Book(**{name: np.array(rows, np.int64 if name in whole else np.float64) for name, rows in columns.items()})


def random_limits(rng: np.random.Generator, book: Book, *, taxed: float = 0.8) -> tuple[Book, Limits]:
    """Netting, gain budgets, turnover limits and prices of location on top of ``book``; some accounts have none of a kind.

    Losses save tax; what may be sold of them is what a class has above its destination and what cash lacks, or less, or all.
    """
    n, m, lots = len(book.nav), len(book.buy_cap), len(book.lot_cap)
    class_of = np.repeat(np.arange(m), np.diff(book.lot_start))
    lower = rng.uniform(0, 0.25, n) * (rng.random(n) < 0.9)
    higher = lower + rng.uniform(0, 0.2, n) * (rng.random(n) < 0.9)
    is_taxed, is_odd = rng.random(n) < taxed, rng.random(n) < 0.1
    short_rate, long_rate = np.where(is_odd, (lower, higher), (higher, lower)) * is_taxed
    before = rng.normal(0, 0.05, (2, n)) * book.nav * (rng.random((2, n)) < 0.8)
    gain_cap = np.where(rng.random(n) < 0.4, rng.choice([0, 0.005, 0.05], n) * book.nav, np.inf)
    gain = rng.uniform(-0.6, 0.8, lots) * (rng.random(lots) < 0.85)
    is_short = rng.random(lots) < 0.4
    location = rng.uniform(0, 0.003, m) * (rng.random(m) < 0.4)
    buy_cost = book.buy_cost + location
    cost = book.lot_cost - location[class_of]
    order = np.lexsort((cost, class_of))
    over = np.maximum(book.class_value - book.class_target, 0)
    lacking = np.maximum(book.cash_target - book.cash, 0)[np.repeat(np.arange(n), np.diff(book.class_start))]
    columns = {name: rows[order] for name, rows in book._asdict().items() if name in OF_LOTS}
    limits = no_limits(book)._replace(
        turnover=np.where(rng.random(n) < 0.4, rng.choice([0, 0.05, 0.3, 0.6], n) * book.nav, np.inf),
        gain=gain_cap,
        short_before=before[0],
        long_before=before[1],
        short_rate=short_rate,
        long_rate=long_rate,
        loss_room=np.where(rng.random(m) < 0.2, np.inf, (over + lacking) * rng.choice([1, 1, 1, 0.3], m)),
        lot_gain=gain[order],
        lot_is_short=is_short[order],
    )
    return book._replace(**columns)._replace(buy_cost=buy_cost, lot_cost=cost[order]), limits


def random_households(
    rng: np.random.Generator, households: int, *, most: int = 10, step: float = 1.0
) -> tuple[Book, Limits, Ints]:
    """Households of 2 to ``most`` accounts with limits, and where each one's accounts begin."""
    members = rng.integers(2, most + 1, households)
    starts = np.concatenate([[0], np.cumsum(members)]).astype(np.int64)
    classes = rng.integers(1, 7, households)
    book = random_book(rng, int(starts[-1]), max_lots=4, step=step, classes_of=np.repeat(classes, members))
    nav = np.add.reduceat(book.nav, starts[:-1])
    weights = [rng.dirichlet(np.ones(count + 1)) for count in classes]
    book = book._replace(
        nav=np.repeat(nav, members),
        tracking_penalty=np.repeat(book.tracking_penalty[starts[:-1]], members),
        cash_target=np.repeat([0.3 * usd * share[-1] for usd, share in zip(nav, weights, strict=True)], members),
        class_target=np.concatenate(
            [np.tile(usd * share[:-1], count) for usd, share, count in zip(nav, weights, members, strict=True)]
        ),
    )
    book, limits = random_limits(rng, book, taxed=0.25)
    return book, limits._replace(loss_room=household_room(rng, book, starts)), starts


def household_room(rng: np.random.Generator, book: Book, starts: Ints) -> Floats:
    """Room for losses of each class, of the household as a whole: what it has above its destination and what cash lacks, or part of it."""
    room = np.zeros(len(book.buy_cap))
    for first, last in pairwise(starts):
        rows = slice(book.class_start[first], book.class_start[last])
        held = book.class_value[rows].reshape(last - first, -1).sum(axis=0)
        over = np.maximum(held - book.class_target[book.class_start[first] : book.class_start[first + 1]], 0)
        lacking = max(book.cash_target[first] - book.cash[first:last].sum(), 0)
        room[rows] = np.tile((over + lacking) * rng.choice([1, 1, 1, 0.3]), last - first)
    return room


def pick(book: Book, limits: Limits, accounts: Ints) -> tuple[Book, Limits]:
    """Some accounts of a book, in the order given."""
    classes, class_start = _rows(book.class_start, accounts)
    lots, lot_start = _rows(book.lot_start, classes)
    starts = {"class_start": class_start, "lot_start": lot_start}
    picked = {
        name: rows[lots if name in OF_LOTS else classes if name in OF_CLASSES else accounts]
        for name, rows in {**book._asdict(), **limits._asdict()}.items()
        if name not in STARTS
    } | starts
    return Book(**{name: picked[name] for name in Book._fields}), Limits(**{n: picked[n] for n in Limits._fields})


def _rows(start: Ints, groups: Ints) -> tuple[Ints, Ints]:
    """Rows of some groups, one group after the other, and where each begins among them."""
    count = np.diff(start)[groups]
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return np.arange(first[-1]) + np.repeat(start[:-1][groups] - first[:-1], count), first


def take(book: Book, account: int) -> Book:
    """One account of a book, alone."""
    return pick(book, no_limits(book), np.array([account]))[0]


def small_book(rng: np.random.Generator) -> Book:
    """One account of three classes, at most one lot each, worth about fifty whole shares."""
    classes = 3
    price = np.round(rng.uniform(20, 300, classes), 2)
    quantity = np.floor(rng.uniform(0, 20, classes))
    value = price * quantity
    cash = float(np.round(rng.uniform(0, 0.2) * max(float(value.sum()), 3_000), 2))
    nav = float(value.sum()) + cash + 100.0
    weights = rng.dirichlet(np.ones(classes + 1) * 3)
    spread, buy_cost = rng.uniform(0, 0.001, classes), rng.uniform(0, 0.001, classes)
    tax = np.maximum(rng.uniform(-0.05, 0.1, classes), -(spread + buy_cost))
    has = quantity > 0
    return Book(
        nav=np.array([nav]),
        tracking_penalty=np.array([rng.uniform(0.5, 4)]),
        cash=np.array([cash + 100.0]),
        cash_target=np.array([weights[-1] * nav * 0.3]),
        min_trade=np.zeros(1),
        class_start=np.array([0, classes]),
        class_value=value,
        class_target=weights[:classes] * nav,
        buy_cap=np.where(rng.random(classes) < 0.85, np.inf, 0.0),
        buy_cost=buy_cost,
        buy_spread=buy_cost,
        buy_price=price,
        buy_step=np.ones(classes),
        lot_start=np.concatenate([[0], np.cumsum(has)]).astype(np.int64),
        lot_quantity=quantity[has],
        lot_price=price[has],
        lot_step=np.ones(has.sum()),
        lot_spread=spread[has],
        lot_cost=(spread + tax)[has],
        lot_cap=np.where(rng.random(classes) < 0.9, value, 0.0)[has],
        lot_security=np.arange(has.sum()),
    )

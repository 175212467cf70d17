"""What an answer's trades come to, worked out from the book alone: the solver's tests compare its own figures with these."""

from itertools import pairwise

import numpy as np

from tasks.core.solver.arrays import MILLIONTHS, Book, Floats, Ints, Limits
from tasks.core.solver.solution import Answer
from tests.support.referees import tax


def one(**columns: object) -> Book:
    """One account with one class a column entry; what is not given is a plain class without lots."""
    classes = len(columns["class_value"])  # type: ignore[arg-type]
    lots = len(columns.get("lot_quantity", []))  # type: ignore[arg-type]
    plain: dict[str, object] = {
        "nav": [100_000.0],
        "tracking_penalty": [2.0],
        "cash": [0.0],
        "cash_target": [0.0],
        "min_trade": [0.0],
        "class_start": [0, classes],
        "buy_cap": [np.inf] * classes,
        "buy_cost": [0.0] * classes,
        "buy_spread": columns.get("buy_cost", [0.0] * classes),
        "buy_price": [1.0] * classes,
        "buy_step": [1.0] * classes,
        "lot_start": [0] * (classes + 1),
        "lot_quantity": [],
        "lot_price": [1.0] * lots,
        "lot_step": [1.0] * lots,
        "lot_spread": [0.0] * lots,
        "lot_cost": [0.0] * lots,
        "lot_cap": columns.get("lot_quantity", []),
        "lot_security": list(range(lots)),
    }
    whole = {"class_start", "lot_start", "lot_security"}
    values = {**plain, **columns}
    return Book(**{name: np.array(values[name], np.int64 if name in whole else np.float64) for name in Book._fields})


def account_of_classes(book: Book) -> Ints:
    """Number of each class's account."""
    return np.repeat(np.arange(len(book.nav)), np.diff(book.class_start))


def class_of_lots(book: Book) -> Ints:
    """Number of each lot's class."""
    return np.repeat(np.arange(len(book.buy_cap)), np.diff(book.lot_start))


def account_of_lots(book: Book) -> Ints:
    """Number of each lot's account."""
    return account_of_classes(book)[class_of_lots(book)]


def sold_shares(answer: Answer) -> Floats:
    """Shares sold of each lot."""
    return answer.sold / MILLIONTHS


def sold_usd(book: Book, answer: Answer) -> Floats:
    """Usd sold of each lot."""
    return sold_shares(answer) * book.lot_price


def bought_usd(book: Book, answer: Answer) -> Floats:
    """Usd bought of each class."""
    return answer.bought * book.buy_step * book.buy_price


def of_accounts(book: Book, *, lots: Floats | float = 0.0, classes: Floats | float = 0.0) -> Floats:
    """Each account's sum of what its lots and its classes have."""
    n, m, count = len(book.nav), len(book.buy_cap), len(book.lot_cap)
    of_lots = np.bincount(account_of_lots(book), np.broadcast_to(lots, count), n)
    return of_lots + np.bincount(account_of_classes(book), np.broadcast_to(classes, m), n)


def class_trades(book: Book, answer: Answer) -> tuple[Floats, Floats]:
    """Usd sold and usd bought of each class."""
    return np.bincount(class_of_lots(book), sold_usd(book, answer), len(book.buy_cap)), bought_usd(book, answer)


def order_values(book: Book, answer: Answer) -> dict[tuple[int, int, int], float]:
    """Usd of each order by account, class and security (-1: the class's purchase)."""
    orders: dict[tuple[int, int, int], float] = {}
    account, of_class, sold = account_of_lots(book), class_of_lots(book), sold_usd(book, answer)
    for lot in np.flatnonzero(answer.sold):
        key = (int(account[lot]), int(of_class[lot]), int(book.lot_security[lot]))
        orders[key] = orders.get(key, 0.0) + float(sold[lot])
    owner, bought = account_of_classes(book), bought_usd(book, answer)
    return orders | {(int(owner[c]), int(c), -1): float(bought[c]) for c in np.flatnonzero(answer.bought)}


def order_counts(book: Book, answer: Answer) -> Ints:
    """Orders of each account."""
    return np.bincount([account for account, _, _ in order_values(book, answer)], minlength=len(book.nav))


def cash_after(book: Book, answer: Answer) -> Floats:
    """Cash of each account after its trades and their half spreads."""
    received, paid = sold_usd(book, answer) * (1 - book.lot_spread), bought_usd(book, answer) * (1 + book.buy_spread)
    return book.cash + of_accounts(book, lots=received, classes=-paid)


def tax_added(book: Book, limits: Limits, answer: Answer) -> Floats:
    """Tax that each account's trades add."""
    gain = answer.counted
    short = limits.short_before + of_accounts(book, lots=gain * limits.lot_is_short)
    long = limits.long_before + of_accounts(book, lots=gain * ~limits.lot_is_short)
    rows = zip(limits.short_rate, limits.long_rate, strict=True)
    after, before = zip(short, long, strict=True), zip(limits.short_before, limits.long_before, strict=True)
    return np.array([tax(*new, *r) - tax(*old, *r) for new, old, r in zip(after, before, rows, strict=True)])


def nothing_of(answer: Answer) -> Answer:
    """The answer that trades nothing."""
    return answer._replace(sold=0 * answer.sold, bought=0 * answer.bought, counted=0 * answer.counted)


def objectives(book: Book, limits: Limits, answer: Answer, starts: Ints | None = None) -> Floats:
    """What is minimised, usd, of each account, or of each household (with ``starts``), costs paid from cash."""
    starts = np.arange(len(book.nav) + 1) if starts is None else starts
    costs = of_accounts(
        book, lots=book.lot_cost * sold_usd(book, answer), classes=book.buy_cost * bought_usd(book, answer)
    )
    paid = np.add.reduceat(costs + tax_added(book, limits, answer), starts[:-1])
    sold, bought = class_trades(book, answer)
    value, cash, total = book.class_value - sold + bought, cash_after(book, answer), []
    for first, last in pairwise(starts):
        held = value[book.class_start[first] : book.class_start[last]].reshape(last - first, -1).sum(axis=0)
        over = held - book.class_target[book.class_start[first] : book.class_start[first + 1]]
        squares = float(over @ over) + (cash[first:last].sum() - book.cash_target[first]) ** 2
        total.append(0.5 * book.tracking_penalty[first] / book.nav[first] * squares)
    return paid + np.array(total)

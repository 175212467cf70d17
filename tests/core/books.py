"""Random accounts for the solver's tests, and an independent referee."""

import cvxpy as cp
import numpy as np

from tasks.core.arrays import Book
from tasks.core.whole_units import CASH_CUSHION


def random_book(rng: np.random.Generator, accounts: int, *, max_lots: int = 6, step: float = 1.0) -> Book:
    """Accounts with 1 to 6 classes, locked lots, barred purchases, cash owed, and taxes of either sign."""
    columns: dict[str, list[float]] = {name: [] for name in Book._fields}
    columns["class_start"], columns["lot_start"] = [0], [0]
    for _ in range(accounts):
        classes = int(rng.integers(1, 7))
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


def take(book: Book, account: int) -> Book:
    """One account of a book, alone."""
    c0, c1 = book.class_start[account], book.class_start[account + 1]
    l0, l1 = book.lot_start[c0], book.lot_start[c1]
    parts = {}
    for name, rows in zip(Book._fields, book, strict=True):
        if name == "class_start":
            parts[name] = rows[account : account + 2] - c0
        elif name == "lot_start":
            parts[name] = rows[c0 : c1 + 1] - l0
        elif name.startswith("lot_"):
            parts[name] = rows[l0:l1]
        elif name.startswith(("class_", "buy_")):
            parts[name] = rows[c0:c1]
        else:
            parts[name] = rows[account : account + 1]
    return Book(**parts)


def referee(book: Book) -> float | None:
    """Optimum, usd, of a one-account book by Clarabel, another formulation and another algorithm; None: infeasible."""
    nav = float(book.nav[0])
    classes, lots = len(book.buy_cap), len(book.lot_cap)
    which = np.repeat(np.arange(classes), np.diff(book.lot_start))
    sold_lots = cp.Variable(lots + 1, nonneg=True)  # one more than there are: a variable may not be empty
    bought = cp.Variable(classes, nonneg=True)
    pick = np.zeros((classes, lots + 1))
    pick[which, np.arange(lots)] = 1
    cash = book.cash[0] / nav + cp.sum(sold_lots) - cp.sum(bought)
    track = cp.sum_squares((book.class_value - book.class_target) / nav - pick @ sold_lots + bought)
    track += cp.square(cash - book.cash_target[0] / nav)
    cost = np.append(book.lot_cost, 0) @ sold_lots + book.buy_cost @ bought
    is_capped = np.isfinite(book.buy_cap)
    limits = [
        cash >= 0,
        bought[is_capped] <= book.buy_cap[is_capped] / nav,
        sold_lots <= np.append(book.lot_cap, 0) / nav,
    ]
    problem = cp.Problem(cp.Minimize(0.5 * book.tracking_penalty[0] * track + cost), limits)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    return float(problem.value) * nav if problem.status in {"optimal", "optimal_inaccurate"} else None


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


def whole_share_trades(book: Book) -> list[np.ndarray]:
    """For each class of ``small_book`` its possible trades: rows of value moved, cash flow, cost."""
    choices = []
    for c in range(len(book.buy_cap)):
        rows = [(0.0, 0.0, 0.0)]
        if book.buy_cap[c] > 0:
            values = np.arange(1, int(book.nav[0] / book.buy_price[c]) + 1) * book.buy_price[c]
            rows += [(v, -v * (1 + book.buy_cost[c]), v * book.buy_cost[c]) for v in values]
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            values = np.arange(1, int(book.lot_quantity[lot]) + 1) * book.lot_price[lot] * (book.lot_cap[lot] > 0)
            rows += [(-v, v * (1 - book.lot_spread[lot]), v * book.lot_cost[lot]) for v in values]
        choices.append(np.array(rows))
    return choices


def enumerated_optimum(book: Book) -> float:
    """Optimum, usd, over all whole-share trades of ``small_book`` with costs paid from cash, by trying every one."""
    k, (one, two, three) = book.tracking_penalty[0] / book.nav[0], whole_share_trades(book)
    gaps = book.class_value - book.class_target
    worth = [0.5 * k * (gap + rows[:, 0]) ** 2 + rows[:, 2] for gap, rows in zip(gaps, (one, two, three), strict=True)]
    cash = book.cash[0] + one[:, None, None, 1] + two[None, :, None, 1] + three[None, None, :, 1]
    total = worth[0][:, None, None] + worth[1][None, :, None] + worth[2][None, None, :]
    total = total + 0.5 * k * (cash - book.cash_target[0]) ** 2
    return float(np.where(cash >= CASH_CUSHION, total, np.inf).min())


def highs_bounds(book: Book, *, tangents: int = 60) -> tuple[float, float]:
    """A lower and an upper bound, usd, on the optimum over whole shares of ``small_book``, by HiGHS (mixed-integer).

    A binary chooses each class's trade from a table of exact objectives; the cash term, a parabola of the sum, is bounded
    below by tangents, so the optimum of the program is a lower bound and its trades, valued exactly, are an upper one.
    """
    k, choices = float(book.tracking_penalty[0] / book.nav[0]), whole_share_trades(book)
    gaps = book.class_value - book.class_target
    picks = [cp.Variable(len(rows), boolean=True) for rows in choices]
    worth = sum(
        pick @ (0.5 * k * (gap + rows[:, 0]) ** 2 + rows[:, 2])
        for pick, rows, gap in zip(picks, choices, gaps, strict=True)
    )
    cash = book.cash[0] + sum(pick @ rows[:, 1] for pick, rows in zip(picks, choices, strict=True))
    over, off = cash - book.cash_target[0], cp.Variable()
    at = np.linspace(-book.cash_target[0], book.nav[0], tangents)
    limits = [cash >= CASH_CUSHION, *(off >= k * point * over - 0.5 * k * point**2 for point in at)]
    problem = cp.Problem(cp.Minimize(worth + off), [*limits, *(cp.sum(pick) == 1 for pick in picks)])
    problem.solve(solver=cp.HIGHS)
    exact = float(worth.value) + 0.5 * k * float(over.value) ** 2
    return float(problem.value), exact

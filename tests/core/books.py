"""Random accounts for the solver's tests, and an independent referee."""

import cvxpy as cp
import numpy as np

from tasks.core.kernel import Book


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
                (spread + float(t), float(q), price if rng.random() < 0.9 else price * 2, bool(rng.random() < 0.85), spread)
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


def referee(book: Book, *, is_whole: bool = False) -> float | None:
    """Optimum of a one-account book by Clarabel (continuous) or HiGHS-free enumeration elsewhere; None: infeasible. In usd."""
    nav = float(book.nav[0])
    classes, lots = len(book.buy_cap), len(book.lot_cap)
    which = np.repeat(np.arange(classes), np.diff(book.lot_start))
    q = cp.Variable(lots, nonneg=True) if lots else np.zeros(0)
    b = cp.Variable(classes, nonneg=True)
    pick = np.zeros((classes, lots))
    pick[which, np.arange(lots)] = 1
    sold = pick @ q if lots else np.zeros(classes)
    cash = book.cash[0] / nav + (cp.sum(q) if lots else 0.0) - cp.sum(b)
    track = cp.sum_squares((book.class_value - book.class_target) / nav - sold + b)
    track += cp.square(cash - book.cash_target[0] / nav)
    cost = (book.lot_cost @ q if lots else 0.0) + book.buy_cost @ b
    limits = [cash >= 0, b[np.isfinite(book.buy_cap)] <= (book.buy_cap / nav)[np.isfinite(book.buy_cap)]]
    if lots:
        limits.append(q <= book.lot_cap / nav)
    problem = cp.Problem(cp.Minimize(0.5 * book.tracking_penalty[0] * track + cost), limits)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    if problem.status not in {"optimal", "optimal_inaccurate"}:
        return None
    return float(problem.value) * nav

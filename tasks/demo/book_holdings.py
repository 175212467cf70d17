"""What the sample book's accounts hold, and since when.

1. Each account last stood near its model on some past date: targets with a little noise, each class split over one to
   three of its securities.
2. From there history carries the weights: each grows with its security's price to the as-of date.
3. Some accounts are then pushed: one class taken up or down, or something held that the model has no class for.
4. Weights become whole quantity steps, and each holding is cut into lots bought at dates of its past, with more weight on
   recent years. A lot costs the close of its date, so gains and losses are what history made them; none is of a day whose price is so
   far from today's that the gate would set it aside.

Known limits: the dates of lots do not depend on step 1; nothing is sold on the way from there.
"""

from typing import Final

import numpy as np

from tasks.demo.book_accounts import CLOSED
from tasks.demo.book_reference import CLASS_OF, CLASSES, PREFERENCE, SYMBOLS, UNITS_PER_SHARE, target_matrix
from tasks.demo.book_types import MICRO, AccountDraw, DailyCloses, Flags, Floats, Ints, LotDraw

MEAN_DAYS_SINCE_TARGET: Final = 100
"""Trading days since the account stood near its model."""
TARGET_NOISE: Final = 0.05
PUSHED_SHARE: Final = 0.15
UNMODELLED_SHARE: Final = 0.05
ANOTHER_SECURITY: Final = (0.55, 0.15)
"""Chance that a class is split over two securities at least, and over three."""
SHARES_WANTED: Final = 6
"""A stock is dear for an account whose target would not buy so many of its shares."""
NEVER: Final = 1e6
MEAN_LOTS: Final = 19.0
MOST_COST_TO_PRICE: Final = 19.0
"""Below the default of the setting `max_cost_to_price`."""
MOST_LOTS: Final = 60
YEAR_DAYS: Final = 252
MEAN_OLD_DAYS: Final = 1_100
DAY_BITS: Final = 14
"""Positions of dates fit in so many bits."""


def draw_weights(rng: np.random.Generator, market: DailyCloses, accounts: AccountDraw) -> Floats:
    """Fraction of the account's value per security; what is missing from 1 is cash. Most closed accounts hold nothing."""
    count = len(accounts)
    target = target_matrix()[accounts.model]
    planned = target * np.exp(rng.normal(0, TARGET_NOISE, target.shape))
    cash = planned[:, -1] * np.exp(rng.normal(0, TARGET_NOISE, count))
    value = planned[:, CLASS_OF] * _split(rng, market, accounts, target)
    value = _with_unmodelled(rng, value, target)
    value *= _growth(rng, market, count) * _push(rng, count)[:, CLASS_OF]
    weights = value / (value.sum(axis=1) + cash)[:, None]
    weights[(accounts.status == CLOSED) & (rng.random(count) < 0.8)] = 0.0  # noqa: PLR2004
    return np.asarray(weights)


def draw_lots(rng: np.random.Generator, market: DailyCloses, accounts: AccountDraw, weights: Floats) -> LotDraw:
    """Lots of every holding; a holding too small for one quantity step is left out."""
    account, security = np.nonzero(weights)
    value = weights[account, security] * accounts.nav_usd[account]
    units = np.rint(value / market.closes[-1][security] * UNITS_PER_SHARE[security]).astype(np.int64)
    account, security, units = account[units > 0], security[units > 0], units[units > 0]
    holding = _holding_of_lot(rng, account, len(accounts))
    day = _purchase_days(rng, market, security[holding], is_trading=accounts.is_trading[account[holding]])
    key = np.sort(holding << DAY_BITS | day)
    holding, day = key >> DAY_BITS, key & (1 << DAY_BITS) - 1
    lot_units = _cut_into_lots(rng, holding, units)
    micros = _with_reinvested(rng, security[holding], lot_units * (MICRO // UNITS_PER_SHARE[security[holding]]))
    kept = micros > 0
    holding, day = holding[kept], day[kept]
    sequence = np.arange(len(holding)) - np.searchsorted(holding, holding)
    return LotDraw(account[holding], security[holding], day, sequence, micros[kept])


def unit_costs(market: DailyCloses, lots: LotDraw) -> Floats:
    """Close of each lot's date of purchase."""
    return market.closes[lots.day, lots.security]


def _split(rng: np.random.Generator, market: DailyCloses, accounts: AccountDraw, target: Floats) -> Floats:
    """Each security's share of its class: preferred ones more often, dear ones only where the account can buy several."""
    shares = np.ones((len(accounts), len(SYMBOLS)))
    for name, symbols in PREFERENCE.items():
        members = np.array([SYMBOLS.index(symbol) for symbol in symbols])
        room = target[:, CLASSES.index(name)] * accounts.nav_usd
        is_dear = market.closes[-1][members] > room[:, None] / SHARES_WANTED
        taste = rng.gumbel(size=is_dear.shape) - 0.5 * np.arange(len(members)) - NEVER * is_dear
        place = np.argsort(np.argsort(-taste, axis=1), axis=1)
        wanted = 1 + (rng.random(len(accounts))[:, None] < ANOTHER_SECURITY).sum(axis=1)
        part = rng.uniform(0.5, 1.5, is_dear.shape) * (place < wanted[:, None]) * ((place == 0) | ~is_dear)
        shares[:, members] = part / part.sum(axis=1, keepdims=True)
    return shares


def _with_unmodelled(rng: np.random.Generator, value: Floats, target: Floats) -> Floats:
    """A few accounts hold a security whose class their model leaves out."""
    extra = rng.integers(len(SYMBOLS), size=len(value))
    size = rng.uniform(0.01, 0.06, len(value)) * (rng.random(len(value)) < UNMODELLED_SHARE / 0.4)
    rows = np.arange(len(value))
    is_left_out = target[rows, CLASS_OF[extra]] == 0
    value[rows, extra] += size * is_left_out
    return value


def _growth(rng: np.random.Generator, market: DailyCloses, count: int) -> Floats:
    """Price now over price on the day when the account stood near its model, per security."""
    since = rng.exponential(MEAN_DAYS_SINCE_TARGET, count).astype(np.int64)
    day = np.maximum(len(market.dates) - 1 - since, market.first_priced.max())
    return (market.closes[-1] / market.closes)[day]  # type: ignore[no-any-return]


def _push(rng: np.random.Generator, count: int) -> Floats:
    push = np.ones((count, len(CLASSES)))
    factor = np.exp(rng.choice((-1, 1), count) * rng.uniform(0.2, 0.6, count))
    is_pushed = rng.random(count) < PUSHED_SHARE
    push[np.arange(count), rng.integers(len(CLASSES) - 1, size=count)] = np.where(is_pushed, factor, 1.0)
    return push


def _holding_of_lot(rng: np.random.Generator, account: Ints, count: int) -> Ints:
    """Each holding gets one lot; what the account wants beyond that falls on its holdings at random."""
    held = np.bincount(account, minlength=count)
    first = np.cumsum(held) - held
    wanted = np.clip(np.rint(rng.gamma(4.0, MEAN_LOTS / 4, count)), 3, MOST_LOTS).astype(np.int64)
    owner = np.repeat(np.arange(count), np.where(held > 0, np.maximum(wanted - held, 0), 0))
    extra = first[owner] + (rng.random(len(owner)) * held[owner]).astype(np.int64)
    return np.concatenate([np.arange(len(account)), extra])


def _purchase_days(rng: np.random.Generator, market: DailyCloses, security: Ints, *, is_trading: Flags) -> Ints:
    """Dates with a price; within the span of the table of trades only for accounts that traded in it."""
    size, last = len(security), len(market.dates) - 1
    oldest = last - _first_plausible(market)[security]
    recent = last - market.recent_from + 1
    age = recent + rng.integers(YEAR_DAYS - recent, size=size)
    age = np.where(rng.random(size) < 0.62, (YEAR_DAYS + rng.exponential(MEAN_OLD_DAYS, size)).astype(np.int64), age)  # noqa: PLR2004
    age = np.where(age > oldest, recent + (rng.random(size) * (oldest - recent + 1)).astype(np.int64), age)
    is_recent = is_trading & (rng.random(size) < 0.15)  # noqa: PLR2004
    age = np.where(is_recent, rng.integers(1, recent, size=size), age)
    return last - age


def _first_plausible(market: DailyCloses) -> Ints:
    """By security the first day of its prices from which on none is so far from today's that the gate would set the cost aside."""
    ratio = market.closes / market.closes[-1]
    is_far = (ratio > MOST_COST_TO_PRICE) | (ratio < 1 / MOST_COST_TO_PRICE)
    after = len(ratio) - np.argmax(is_far[::-1], axis=0)
    return np.maximum(market.first_priced, np.where(is_far.any(axis=0), after, 0)).astype(np.int64)


def _cut_into_lots(rng: np.random.Generator, holding: Ints, units: Ints) -> Ints:
    """Cut each holding into its lots at random places, so that they add up; a lot may come to nothing."""
    upto = np.cumsum(rng.exponential(size=len(holding)))
    is_last = np.append(holding[1:] != holding[:-1], True)
    ends = upto[is_last]
    starts = np.append(0.0, ends[:-1])
    fraction = (upto - starts[holding]) / (ends - starts)[holding]
    until = np.where(is_last, units[holding], np.floor(fraction * units[holding]).astype(np.int64))
    before = np.append(0, until[:-1])
    before[np.append(0, np.flatnonzero(is_last)[:-1] + 1)] = 0
    return until - before  # type: ignore[no-any-return]


def _with_reinvested(rng: np.random.Generator, security: Ints, micros: Ints) -> Ints:
    """Some lots of stocks carry ten-thousandths of a share, as reinvested dividends leave them."""
    fraction = rng.integers(1, 10_000, size=len(micros)) * (MICRO // 10_000)
    is_reinvested = (UNITS_PER_SHARE[security] == 1) & (rng.random(len(micros)) < 0.03)  # noqa: PLR2004
    return np.where(is_reinvested, micros + fraction, micros)

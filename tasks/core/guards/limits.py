"""Guards: what makes a run stop until a person has looked. Each is a limit, a figure, and a sentence where the figure is past it.

Touching a limit is inside. A limit of null never stops a run. Up to ``min_accounts`` quarantined accounts stop no run, however small
it is: none of them is traded, each other was judged by itself, and so many are looked at one by one. What is missing, or would be
turned over, is judged by shares in runs of ``min_accounts`` or more: one account that closes is a quarter of a book of four.

Sources: the limits of ``schemas.settings``; what they guard against is a source that delivers half of its file, a night
old, or with an unchecked price.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

import polars as pl

from schemas.enums import Guard
from tasks.core.gate import looks_split
from tasks.core.guards.vanished import Vanished

NAMED: Final = 5
"""How many securities a sentence names; the artifact of the run lists all."""
_SPLIT: Final = "; a split would explain it"


@dataclass(frozen=True, slots=True)
class Finding:
    """A guard and why it stops the run."""

    guard: Guard
    sentence: str


@dataclass(frozen=True, slots=True)
class Size:
    """How much a night delivered."""

    accounts: int
    lots: int


def quarantined_accounts(out: int, pulled: int, most: float, *, min_accounts: int) -> list[Finding]:
    """More accounts quarantined than ``most`` of those pulled, and more than ``min_accounts``."""
    if out <= min_accounts or out / pulled <= most:
        return []
    share = f"{out / pulled:.1%}"
    return [
        Finding(Guard.QUARANTINE, f"{out:,} of {pulled:,} accounts are quarantined ({share}); the limit is {most:.1%}")
    ]


def nobodys_lots(out: int, landed: int, most: float, *, accounts: int, min_accounts: int) -> list[Finding]:
    """More lots of accounts that were not delivered than ``most`` of those landed: whose they are is not known, and their accounts look poorer.

    Lots of accounts that were delivered cost their accounts the night, and are counted with these.
    """
    if accounts < min_accounts or landed == 0 or out / landed <= most:
        return []
    return [
        Finding(
            Guard.QUARANTINE,
            f"{out:,} of {landed:,} lots name no account that was delivered ({out / landed:.1%}); the limit is {most:.1%}",
        )
    ]


def stale_prices(prices: pl.DataFrame, sessions: Sequence[date], *, most: int, most_of_one: int) -> list[Finding]:
    """Prices that are too old, of securities that are held.

    Parameters
    ----------
    prices
        ``security_id, price_date`` of each security held.
    sessions
        Trading days up to the as-of date, in order; enough of them to reach back past both limits.
    most
        Trading days by which the newest price may be older than the last session.
    most_of_one
        As much for the price of one security.
    """
    newest = prices["price_date"].max()
    if not isinstance(newest, date):
        return []
    needed, oldest = sessions[-1 - most], sessions[-1 - most_of_one]
    if newest < needed:
        return [
            Finding(
                Guard.STALE_PRICES,
                f"the newest price is dated {newest}; needed {needed} or later. Yesterday's file again?",
            )
        ]
    old = prices.filter(pl.col("price_date") < oldest).sort("price_date", "security_id")
    if old.is_empty():
        return []
    named = ", ".join(
        f"{security} of {day}" for security, day in old.select("security_id", "price_date").head(NAMED).rows()
    )
    return [
        Finding(
            Guard.STALE_PRICES,
            f"{old.height:,} securities held have prices older than {oldest}: {named}{_and_more(old.height)}",
        )
    ]


def price_moves(prices: pl.DataFrame, most: float | None) -> list[Finding]:
    """Securities held whose price moved by more than ``most`` since the last night.

    ``prices``: ``security_id, price_usd, last_price_usd`` of each security held; null where there was none. The last price is in
    tonight's shares: a split that is known moves nothing.
    """
    if most is None:
        return []
    moved = (
        prices.drop_nulls("last_price_usd")
        .with_columns(
            ratio=pl.col("price_usd").cast(pl.Float64) / pl.col("last_price_usd").cast(pl.Float64),
            is_like_split=looks_split(pl.col("price_usd"), pl.col("last_price_usd")),
        )
        .filter(pl.col("price_usd") != pl.col("last_price_usd"), (pl.col("ratio") - 1).abs() > most)
        .sort((pl.col("ratio").log()).abs(), "security_id", descending=[True, False])
    )
    if moved.is_empty():
        return []
    named = ", ".join(
        f"{security} from {_usd(last)} to {_usd(now)}{_SPLIT if is_like_split else ''}"
        for security, last, now, is_like_split in moved.select(
            "security_id", "last_price_usd", "price_usd", "is_like_split"
        )
        .head(NAMED)
        .rows()
    )
    return [
        Finding(
            Guard.PRICE_MOVE,
            f"{moved.height:,} {'security' if moved.height == 1 else 'securities'} held moved by more than {most:.0%}: {named}{_and_more(moved.height)}",
        )
    ]


def missing_accounts(missing: int, last: int, most: float | None, *, min_accounts: int) -> list[Finding]:
    """Accounts of the last night that tonight's source does not have."""
    if most is None or missing == 0 or last < min_accounts or missing / last <= most:
        return []
    return [
        Finding(
            Guard.MISSING_ACCOUNTS,
            f"{missing:,} of the last night's {last:,} accounts are missing ({missing / last:.1%}); the limit is {most:.1%}",
        )
    ]


def lot_shrinkage(tonight: Size, last: Size, most: float | None, *, min_accounts: int) -> list[Finding]:
    """Fewer lots than the last night by more than ``most``."""
    if most is None or last.accounts < min_accounts or last.lots == 0 or 1 - tonight.lots / last.lots <= most:
        return []
    return [
        Finding(
            Guard.SMALL_SNAPSHOT,
            f"{tonight.lots:,} lots came, {last.lots:,} the last night ({1 - tonight.lots / last.lots:.1%} fewer); "
            f"the limit is {most:.1%}",
        )
    ]


def lost_rows(vanished: Vanished, most: float | None, *, min_rows: int) -> list[Finding]:
    """Rows about what may be traded that are gone.

    A few are looked at one by one, for restrictions are lifted and lists are changed. The run stops where a table was emptied, where more
    than ``min_rows`` and a larger share than ``most`` of it are gone, where a restriction for every account is, and where a model has
    nothing left to buy of a class.
    """
    found = []
    for table, expected in vanished.expected.items():
        gone = vanished.of(table).height
        if table in vanished.emptied:
            found.append(f"{table} has no row; the last night had {expected:,} that would still hold")
        elif most is not None and gone > min_rows and gone / expected > most:
            found.append(
                f"{gone:,} of the {expected:,} rows of {table} that would still hold are gone ({gone / expected:.1%}); "
                f"the limit is {most:.1%}"
            )
    for_everyone = vanished.of("restrictions").filter(pl.col("account_id").is_null())
    if for_everyone.height:
        found.append(f"restrictions for every account are gone: {row_names(for_everyone)}")
    if vanished.closed_classes:
        some = ", ".join(vanished.closed_classes[:NAMED])
        found.append(
            f"nothing of the last night's buy_list is left for {some}{_and_more(len(vanished.closed_classes))}"
        )
    return [Finding(Guard.LOST_ROWS, sentence) for sentence in found]


def row_names(rows: pl.DataFrame) -> str:
    """A few rows of ``vanished_rows`` by what they say, without their accounts and households."""
    said = rows.select(_said().alias("said"))["said"].drop_nulls().unique().sort().to_list()
    return ", ".join(said[:NAMED]) + _and_more(len(said))


def _said() -> pl.Expr:
    """``no_sell of STK``, ``STK for growth/stocks``, ``growth/stocks in taxable``; null of a household."""
    names = ("rule", "security_id", "model_id", "asset_class", "tax_status")
    cells = {name: pl.col("row").str.json_path_match(f"$.{name}") for name in names}
    of_class = pl.format("{}/{}", cells["model_id"], cells["asset_class"])
    return pl.coalesce(
        pl.format("{} of {}", cells["rule"], cells["security_id"]),
        pl.format("{} for {}", cells["security_id"], of_class),
        pl.format("{} in {}", of_class, cells["tax_status"]),
    )


def turnover(gross: Decimal, nav: Decimal, accounts: int, most: float | None, *, min_accounts: int) -> list[Finding]:
    """Trades of more than ``most`` of the value of all accounts in the run: half of buys and sells over NAV."""
    if most is None or accounts < min_accounts or nav <= 0 or float(gross / 2 / nav) <= most:
        return []
    return [
        Finding(
            Guard.TURNOVER,
            f"the run would turn over {float(gross / 2 / nav):.1%} of {_usd(nav)} USD; the limit is {most:.1%}",
        )
    ]


def order_count(orders: int, most: int | None) -> list[Finding]:
    """More orders than ``most``."""
    if most is None or orders <= most:
        return []
    return [Finding(Guard.ORDER_COUNT, f"the run would send {orders:,} orders; the limit is {most:,}")]


def _and_more(count: int) -> str:
    return f" and {count - NAMED:,} more" if count > NAMED else ""


def _usd(amount: Decimal) -> str:
    text = f"{amount:,.6f}".rstrip("0")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<2}"

"""How the fills of a block are shared out among its orders: pro rata, in whole units, every cent placed.

One block at a time, in integers: quantities count units of the security's step, money counts cents.

1. Orders that a person fixed in writing get what was said.
2. The rest is shared in proportion to what was ordered, rounded down; what is left over goes, a unit each, to the largest
   remainders, ties to the first account and order by name. No order gets more than it asked for.
3. A share below the least that is worth having (``min_units``, or the whole order where that is less) is not made: the
   smallest orders step back, as few as possible, and the others share theirs.
4. Money is shared like units: every order pays the block's average price, to the cent, and the cents sum to the block's.

Known limits: shares follow the sum of all fills. An order's share of a later sum can be a unit less than of an earlier one
(the Alabama paradox of largest remainders), so that shares are final when the block is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class OrderPart:
    """An order's part of a block: its name, what it ordered, and what a person fixed it to, in units; null: not fixed."""

    key: tuple[str, str]
    ordered: int
    fixed: int | None = None


def shares(parts: Sequence[OrderPart], filled: int, *, min_units: int = 1) -> list[int]:
    """Units of each part, in the parts' order; they sum to ``filled``, or to what was ordered where that is less.

    Parameters
    ----------
    parts
        Orders of one block.
    filled
        Units that the block was filled with.
    min_units
        Least share of a part, where it did not order less.

    Raises
    ------
    ValueError
        A person fixed more than was ordered, or more than was filled.
    """
    fixed = sum(part.fixed or 0 for part in parts)
    if fixed > filled or any(part.fixed is not None and not 0 <= part.fixed <= part.ordered for part in parts):
        raise ValueError(f"{fixed} units are fixed, {filled} were filled")
    open_ = sorted((part for part in parts if part.fixed is None), key=lambda part: (-part.ordered, part.key))
    left = min(filled - fixed, sum(part.ordered for part in open_))
    taken = dict(zip((part.key for part in open_), _least_respected(open_, left, min_units), strict=True))
    return [taken[part.key] if part.fixed is None else part.fixed for part in parts]


def _least_respected(parts: Sequence[OrderPart], units: int, min_units: int) -> list[int]:
    """Shares of parts that come largest first: of the most of them that all get enough, none to the others."""
    low, high = (1 if min_units > 1 else len(parts)), len(parts)
    while low < high:  # the more share, the less for each
        middle = (low + high + 1) // 2
        if _is_enough(parts[:middle], units, min_units):
            low = middle
        else:
            high = middle - 1
    while low < len(parts) and units > sum(part.ordered for part in parts[:low]):
        low += 1  # those who may have some cannot take all
    sharing = parts[:low]
    return [*pro_rata([part.ordered for part in sharing], units), *([0] * (len(parts) - low))]


def _is_enough(parts: Sequence[OrderPart], units: int, min_units: int) -> bool:
    """Whether each part's share, before what is left over, is nothing less than the least."""
    total = sum(part.ordered for part in parts)
    return all(part.ordered * units >= min(min_units, part.ordered) * total for part in parts[-1:])


def pro_rata(weights: Sequence[int], amount: int) -> list[int]:
    """An amount in proportion to weights, in whole numbers: largest remainders, ties to the first. Sums to the amount.

    With no weight at all, everything goes to the first.
    """
    total = sum(weights)
    if total == 0:
        return [amount, *([0] * (len(weights) - 1))] if weights else []
    cut = [weight * amount // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(weights[place] * amount % total), place))
    for place in by_remainder[: amount - sum(cut)]:
        cut[place] += 1
    return cut


def cents(amount: Decimal) -> int:
    """Dollars in whole cents, rounded half-even."""
    return int(amount.quantize(CENT, ROUND_HALF_EVEN).scaleb(2))

"""What of the losses on a holding counts for tax where shares were bought in the wash-sale window.

Of the shares of a holding sold at a loss, first acquired first (26 CFR 1.1091-1(b)), each is matched with a share that was bought
in the window and belongs to another lot: first those of other purchases (``outside``), which disallow its loss for good, then those
of the holding's own recent lots (``inside``), to whose basis it moves. Where shares of such a lot are sold tonight as well, the loss
that moved to them counts with them (26 USC 1091(d)): all of it where the whole of what replaced others is sold, else in proportion.

Quantities are whole millionths of a unit.

Known limits: the loss that moved keeps the term of the lot it came from, which is that of the lot it moved to unless the holding
periods together make that one long-term (26 USC 1223(3)).
"""

from typing import Any

import numpy as np
from numba import njit

from tasks.core.solver.arrays import Floats, Ints
from tasks.core.solver.compiling import compile_inner


@compile_inner
def count_in_order(sold: Any, gain: Any, inside: Any, outside: int, counted: Any) -> None:
    """Fill ``counted``, usd, of one holding's lots in order of acquisition; ``gain``: usd per millionth sold."""
    replaced = np.zeros(len(sold), np.int64)
    for one in range(len(sold)):
        counted[one] = gain[one] * sold[one]
        if gain[one] >= 0 or sold[one] <= 0:
            continue
        lost = min(sold[one], outside)
        outside -= lost
        need, disallowed = sold[one] - lost, float(lost)
        for two in range(len(sold)):
            moved = min(need, inside[two] - replaced[two]) if two != one else 0
            if moved > 0:
                replaced[two] += moved
                need -= moved
                disallowed += moved * (1.0 - min(1.0, sold[two] / inside[two]))
        counted[one] -= disallowed * gain[one]


@compile_inner
def replaced_units(units: int, total: int, left: int, held: int) -> int:
    """On how many of a lot's ``units`` a loss is disallowed if it is sold first, at most the lot.

    ``total``: bought of its security in the window, that has replaced nothing yet; ``left``: what is left so of the purchase of the lot's own
    day, of which the account holds ``held``: of these the others of that day count, the lot itself does not.
    """
    return min(units, max(total - max(left - (held - units), 0), 0))


@njit(cache=True, nogil=True)
def count_replaced(units: Ints, total: Ints, left: Ints, held: Ints) -> Ints:
    """``replaced_units`` of every lot."""
    replaced = np.zeros(len(units), np.int64)
    for lot in range(len(units)):
        replaced[lot] = replaced_units(units[lot], total[lot], left[lot], held[lot])
    return replaced


@njit(cache=True, nogil=True)
def counted_gains(start: Ints, sold: Ints, gain: Floats, inside: Ints, outside: Ints) -> Floats:
    """Gain that counts, usd, of what is ``sold`` of each lot.

    Holding h has the lots from ``start[h]`` to ``start[h + 1]``, in order of acquisition; ``outside`` is the same on each of
    its lots. Millionths of a unit; ``gain`` in usd per millionth.
    """
    counted = np.zeros(len(sold))
    for holding in range(len(start) - 1):
        first, last = start[holding], start[holding + 1]
        if last > first:
            count_in_order(sold[first:last], gain[first:last], inside[first:last], outside[first], counted[first:last])
    return counted

"""The account that a study describes, as one of the accounts that the lab's engine takes."""

from typing import Final

import numpy as np

from tasks.core.facts import BPS
from tasks.core.lab.arrays import Holders, Market, Terms

BEGINNING_PRICE: Final = 100.0
"""Usd of a unit of each class on the first date."""


def holders_of(market: Market, terms: Terms | Holders) -> Holders:
    """The accounts; the one that is described begins as cash, with ``1 + alternates`` securities a class."""
    if isinstance(terms, Holders):
        return terms
    classes = len(market.classes)
    many = 1 + terms.alternates
    row = (1, classes * many)
    rates = (terms.short_term_rate, terms.long_term_rate) if terms.is_taxed else (0.0, 0.0)
    return Holders(
        names=("",),
        class_of=np.repeat(np.arange(classes), many)[None],
        price=np.full(row, BEGINNING_PRICE),
        spread=np.repeat(np.asarray(terms.half_spread_bps, np.float64), many)[None] / BPS,
        step=np.full(row, terms.quantity_step),
        choice=np.tile(np.arange(1, many + 1), classes)[None],
        can_sell=np.ones(row, np.bool_),
        target=np.append(np.asarray(terms.targets, np.float64), 0.0)[None],
        location=np.zeros((1, classes)),
        has_cash_band=np.zeros(1, np.bool_),
        rates=np.array([rates], np.float64),
        is_taxed=np.array([terms.is_taxed], np.bool_),
        cash=np.array([terms.nav_usd], np.float64),
        gains=np.zeros((1, 2)),
        carried=np.zeros((1, 2)),
        lot_start=np.zeros(2, np.int64),
        lot_security=np.zeros(0, np.int64),
        lot_units=np.zeros(0, np.int64),
        lot_cost=np.zeros(0),
        lot_date=(),
        flow_usd=terms.flow_usd,
        begins_in_cash=True,
    )

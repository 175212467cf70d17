"""Which of the sample book's households are managed together: a share of them, each to the model of its largest account."""

from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from schemas.landing_columns import dtypes
from tasks.demo.book_accounts import household_ids, words
from tasks.demo.book_policies import HOUSEHOLD_POLICY
from tasks.demo.book_reference import MODEL_IDS
from tasks.demo.book_types import AccountDraw, Ints

MANAGED_SHARE: Final = 0.075
"""Of the households; some 3 % of accounts come to be managed with others."""


def draw_managed(rng: np.random.Generator, accounts: AccountDraw) -> tuple[AccountDraw, Ints]:
    """Accounts with the members of managed households in one model, and which households those are, sorted; at least one if there is any."""
    households = np.unique(accounts.household[accounts.household > 0])
    is_managed = rng.random(len(households)) < MANAGED_SHARE
    is_managed[:1] |= not is_managed.any()
    managed = households[is_managed]
    largest = _largest_members(accounts, managed)
    is_member = np.isin(accounts.household, managed)
    model = accounts.model.copy()
    model[is_member] = accounts.model[largest][np.searchsorted(managed, accounts.household[is_member])]
    return replace(accounts, model=model), managed


def households_frame(accounts: AccountDraw, managed: Ints, *, width: int) -> pl.DataFrame:
    """Return the landing table ``households``."""
    first = np.searchsorted(accounts.number, managed)
    frame = pl.DataFrame(
        {
            "household_id": household_ids(managed, width=width),
            "model_id": words(MODEL_IDS, accounts.model[first]),
            "policy_id": pl.repeat(HOUSEHOLD_POLICY, len(managed), eager=True),
        }
    )
    return frame.select(*dtypes("households"))


def _largest_members(accounts: AccountDraw, managed: Ints) -> Ints:
    """Position of the largest account of each household, in their order."""
    order = np.lexsort((-accounts.nav_usd, accounts.household))
    return order[np.searchsorted(accounts.household[order], managed)]

"""Accounts that wait: what their custodian is to deliver has not come, or could not be used."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from schemas.enums import Reason
from schemas.sources import Source
from tasks.pull.carry_forward import tables_of
from tasks.pull.inputs import TakenFiles

HOLDINGS: Final = ("lots", "cash")
"""Tables without which an account looks like another one."""


def awaiting(taken: TakenFiles, sources: Sequence[Source], accounts: pl.DataFrame) -> pl.DataFrame:
    """``account_id, reason`` of each account whose custodian's file has not come or could not be used.

    Where one has not, an account waits too whose lots or cash only custodians' sources deliver, none of them for its own.
    """
    reasons = {
        custodian: str(Reason.FILE_REFUSED if each.is_refused else Reason.AWAITING_FILE)
        for custodian, each in taken.waiting.items()
    }
    is_unserved = [~pl.col("custodian").is_in(served) for served in _served(taken, sources)]
    is_waiting = pl.any_horizontal(pl.col("custodian").is_in(list(reasons)), *is_unserved)
    waiting = accounts.drop_nulls("account_id").filter(is_waiting)
    reason = pl.col("custodian").replace_strict(reasons, default=str(Reason.AWAITING_FILE), return_dtype=pl.String)
    return waiting.select("account_id", reason=reason).unique("account_id", keep="first", maintain_order=True)


def _served(taken: TakenFiles, sources: Sequence[Source]) -> Iterator[list[str]]:
    """Of lots and cash, where custodians' sources alone deliver them and one did not: the custodians that have such a source."""
    late = {table for each in taken.absent for table in tables_of(each.source)}
    for table in HOLDINGS:
        if table in late and all(each.source.custodians for each in taken.of(table)):
            yield [name for source in sources if table in tables_of(source) for name in source.custodians]

"""What the market did, out of fills, busts and corrections that may come in any order and more than once.

1. A bust or a correction names the execution that it is about, which may be a correction itself: following the names ends at
   a fill, or at one that was never reported. That is the *root*; every message belongs to one.
2. A busted root does not count. A bust is final.
3. Else the last correction holds: the one that follows the longest chain, then the latest, then the greatest id. Where it gives
   no day, time or fees they are those of what it corrects.
4. Else the fill itself.
5. A bust or a correction that names another order than its root does is void (``crossed_messages``), as it would be refused had the root
   come first; what refers to it still leads to the root.

So the answer depends on the set of messages alone, not on their order. A correction whose fill never came counts: it says
what holds. Ids are those of one source; the same id of another source is another execution.

Known limits: names that go round in a circle have no root; their messages count for nothing.
"""

from typing import Final

import polars as pl

from schemas.enums import ExecutionKind

ID: Final = ("source", "execution_id")
ROOT: Final = ("source", "root_id")
CHANGES: Final = (ExecutionKind.BUST, ExecutionKind.CORRECT)
KEPT: Final = ("trade_date", "executed_at", "fees_usd")
"""What a correction need not repeat."""
FILLS: Final = (ExecutionKind.FILL, *CHANGES)


def net_fills(messages: pl.DataFrame) -> pl.DataFrame:
    """One row per root that was not busted: a fill as it stands, with ``root_id``, sorted by source and root.

    Parameters
    ----------
    messages
        Table ``MESSAGES``; acknowledgements, rejections and cancellations are left out. Ids of a source are unique.
    """
    rooted = with_roots(messages.filter(pl.col("kind").is_in(FILLS)))
    rooted = rooted.join(_crossed_rows(rooted).select(ID), on=ID, how="anti", maintain_order="left")
    busted = rooted.filter(pl.col("kind") == ExecutionKind.BUST).select(ROOT)
    standing = rooted.filter(pl.col("root_id").is_not_null() & (pl.col("kind") != ExecutionKind.BUST))
    return (
        standing.join(busted, on=ROOT, how="anti")
        .sort(*ROOT, "depth", "executed_at", "execution_id", nulls_last=False)
        .group_by(ROOT, maintain_order=True)
        .agg(pl.all().exclude(ROOT).exclude(KEPT).last(), pl.col(KEPT).drop_nulls().last())
        .select(*messages.columns, "root_id")
        .sort(ROOT)
    )


def crossed_messages(messages: pl.DataFrame) -> pl.DataFrame:
    """Busts and corrections that name another order, or block, than the fill that they lead to, by source and id."""
    rooted = with_roots(messages.filter(pl.col("kind").is_in(FILLS)))
    return _crossed_rows(rooted).select(messages.columns).sort(ID)


def _crossed_rows(rooted: pl.DataFrame) -> pl.DataFrame:
    about = pl.coalesce("order_id", "block_id")
    fills = rooted.filter(pl.col("kind") == ExecutionKind.FILL).select("source", "root_id", root_about=about)
    return rooted.join(fills, on=ROOT).filter(about != pl.col("root_about"))


def with_roots(fills: pl.DataFrame) -> pl.DataFrame:
    """Fills, busts and corrections with ``root_id`` and ``depth``: how many names lead to it. Null root: a circle."""
    names = (
        fills.filter(pl.col("kind").is_in(CHANGES))
        .select(*ID, name="reference_id")
        .with_columns(depth=pl.lit(1, pl.Int64))
    )
    for _ in range(names.height.bit_length()):  # each look doubles how far a name reaches
        further = names.select("source", pl.col("execution_id").alias("name"), next="name", more="depth")
        names = names.join(further, on=("source", "name"), how="left").select(
            *ID, pl.coalesce("next", "name").alias("name"), depth=pl.col("depth") + pl.col("more").fill_null(0)
        )
    is_circle = pl.col("depth") > names.height
    roots = names.select(*ID, "depth", root_id=pl.when(~is_circle).then(pl.col("name")))
    return fills.join(roots, on=ID, how="left").with_columns(
        root_id=pl.when(pl.col("kind") == ExecutionKind.FILL).then(pl.col("execution_id")).otherwise(pl.col("root_id")),
        depth=pl.col("depth").fill_null(0),
    )

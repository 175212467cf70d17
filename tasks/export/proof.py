"""Whether the orders of proposals still hash to what the ledger says was routed, decided or sent."""

from collections.abc import Iterator

import polars as pl

from tasks.core.export import content_hashes
from tasks.review import newest_rows
from warehouse.lake import Lake
from warehouse.ledger import OPEN_STATES, SENT_STATES, Amendments, Proposals


def content_faults(lake: Lake, proposals: Proposals, amendments: Amendments) -> Iterator[str]:
    """A sentence for each proposal that waits, may leave or has left and whose orders are not what they were; by run and proposal."""
    known = proposals.list_proposals(states=[*OPEN_STATES, *SENT_STATES])
    for (run_id,), some in known.sort("run_id", "proposal_id").group_by("run_id", maintain_order=True):
        name = str(run_id)
        orders = newest_rows({"orders": lake.read("orders", name)}, amendments.amended(name))["orders"]
        found = some.join(content_hashes(orders), on="proposal_id", how="left", suffix="_now", maintain_order="left")
        is_same = pl.col("content_hash").eq_missing(pl.col("content_hash_now"))
        for proposal_id, state in found.filter(~is_same).select("proposal_id", "state").iter_rows():
            yield f"the orders of proposal {proposal_id}, which is {state}, are not those that were routed"

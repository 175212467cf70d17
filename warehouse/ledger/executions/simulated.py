"""What a simulated broker says is taken of the orders of simulations alone."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.errors import WrongUsage
from schemas.executions import SIMULATED
from warehouse.ledger.store import export_orders, exports, in_chunks, runs


def refuse_simulated(connection: Connection, name: str, ids: Collection[str], orders: Collection[str]) -> None:
    """Raise ``WrongUsage`` where some of the ids are a simulated broker's, and the orders are not all of simulations.

    Parameters
    ----------
    name
        Of the file, for the message.
    ids
        Of its executions.
    orders
        What they name or lead to, orders and blocks.
    """
    if not any(one.startswith(SIMULATED) for one in ids):
        return
    table = export_orders.join(exports, exports.c.export_id == export_orders.c.export_id)
    known = sa.select(export_orders.c.order_id, export_orders.c.block_id, exports.c.run_id, runs.c.is_simulation)
    query = known.select_from(table.join(runs, runs.c.run_id == exports.c.run_id))
    found: set[str] = set()
    for some in in_chunks(sorted(orders)):
        is_named = export_orders.c.order_id.in_(some) | export_orders.c.block_id.in_(some)
        for row in connection.execute(query.where(is_named)):
            if not row.is_simulation:
                _refuse(name, f"order {row.order_id} of run {row.run_id}, which is no simulation")
            found |= {row.order_id, row.block_id}
    for strange in sorted(set(orders) - found)[:1]:
        _refuse(name, f"{strange}, which is no order that left from here")


def _refuse(name: str, what: str) -> None:
    raise WrongUsage(
        f"{name} is of a simulated broker (its executions begin with {SIMULATED}) and is about {what}; needed orders of simulations alone\n\n"
        "Hint: nothing was taken. In a home where nights are tried, is_simulation = true in trimtab.toml makes each run that begins a simulation."
    )

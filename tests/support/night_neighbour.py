"""A process beside a night: ``read`` queries the lake, ``write`` adds users, until a file appears; prints what it counted."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from schemas.enums import Role
from schemas.settings import Settings
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from warehouse.lake.public_query import query

HALF = """
    SELECT count(*) AS halves
    FROM (SELECT run_id, account_id FROM account_outcomes WHERE outcome = 'proposed') AS o
    FULL JOIN (SELECT run_id, account_id FROM proposals) AS p USING (run_id, account_id)
    WHERE o.account_id IS NULL OR p.account_id IS NULL
"""
"""A shard's outcomes and proposals are written in one transaction: seen together or not at all."""


def read(settings: Settings, is_over: Callable[[], bool]) -> dict[str, int]:
    looks, halves = 0, 0
    while not is_over():
        halves += query(settings, HALF)["halves"][0]
        query(settings, "SELECT state, count(*) FROM queue GROUP BY 1")
        looks += 1
    return {"looks": looks, "halves": halves}


def write(settings: Settings, is_over: Callable[[], bool]) -> dict[str, int]:
    users = 0
    with closing(open_ledger(settings)) as ledger:
        while not is_over():
            ledger.users.add_user(f"user-{users}", [Role.VIEWER], actor=current_actor(), now=utc_now())
            users += 1
            time.sleep(0.02)
    return {"users": users}


def main(what: str, told: str, stop: str) -> None:
    Path(f"{stop}.{what}").touch()
    settings = Settings(**json.loads(told))
    print(json.dumps({"read": read, "write": write}[what](settings, Path(stop).exists)))


if __name__ == "__main__":
    main(*sys.argv[1:])

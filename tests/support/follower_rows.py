"""Rows of followers of a price stream, as a process says how it stands."""

from datetime import datetime
from typing import Any

from warehouse.ledger import FollowerRow


def follower_row(name: str, looked_at_time: datetime, **values: Any) -> FollowerRow:
    given: dict[str, Any] = {
        "follower_id": name,
        "host": name,
        "process": 7,
        "started_at": looked_at_time,
        "looked_at_time": looked_at_time,
        "ended_at": None,
        "look_every_seconds": 5.0,
        "look_count": 1,
        "state": "looking",
        "reasons": "",
        "as_of_date": None,
        "night_run_id": "",
        "looked_at": 1200,
        "skipped": 3,
        "out_of_band": 17,
        "newly": 4,
        "fresh": 40,
        "old": 2,
        "never_quoted": 1,
        "refused_lines": 6,
        "seconds": 0.25,
        **values,
    }
    return FollowerRow(**given)

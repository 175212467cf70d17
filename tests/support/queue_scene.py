"""A ledger in which three proposals wait for a person, two of them of a custodian with a cut-off."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import polars as pl

from schemas.settings import Settings
from tasks.runtime.steps import Stores
from tests.support.ledger_book import NOW, new_run, proposed, staffed
from warehouse.lake.lake import open_lake

CUT_OFF: Final = NOW + timedelta(minutes=90)


@contextmanager
def waiting_queue(home: Path) -> Iterator[Stores]:
    """Run r1: a1 and a2 of northbank, a3 of harbor."""
    with closing(staffed(f"sqlite:///{home / 'ledger.sqlite'}")) as ledger:
        ledger.runs.start_run(new_run("r1"), NOW)
        frame = pl.concat([proposed("r1", ["a1", "a2"]), proposed("r1", ["a3"], custodian="harbor")])
        ledger.proposals.route_proposals("r1", frame, frame["account_id"], NOW, {"northbank": CUT_OFF})
        settings = Settings(home=home, console_url="https://trimtab.example.com/")
        yield Stores(settings, open_lake(settings), ledger)

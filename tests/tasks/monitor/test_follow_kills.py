"""A process that follows a stream is killed at every effect it has: the next one makes good what was begun, once."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tasks.runtime.stores import utc_now
from tests.support.follow_kills import killed_everywhere, step
from tests.support.monitor_scene import TODAY, Scene

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


def test_killed_at_any_effect_a_breach_is_entered_once_and_waits_for_its_run(tmp_path: Path) -> None:
    template = Scene(tmp_path / "template").delivered("acme", "other")
    template.night()
    (tmp_path / "homes").mkdir()
    killed = killed_everywhere(template.folder, tmp_path / "homes")
    found: set[int] = set()
    for scene in killed:
        with scene.stores() as at:
            found.add(step(at, stocks=60).newly)
            assert step(at, stocks=60).newly == 0
            (row,) = at.ledger.breaches.scopes_to_announce(utc_now() + timedelta(days=1))
            assert (row.account_count, row.run_id) == (2, None)
            assert at.ledger.breaches.accounts_of_scope(row.scope_id) == ("A1", "A3")
            assert at.ledger.audit.verify_audit() > 0
        prices = pl.read_parquet(scene.folder / "home" / "streamed" / TODAY.isoformat() / "prices.parquet")
        assert prices["price_usd"].cast(pl.Float64).to_list() == [60.0, 100.0]
    assert len(killed) > 10
    assert found == {0, 2}  # killed before the breach was entered, and after

"""How followers of a price stream stand: one row each, the newest look; rows of long ago go."""

from dataclasses import replace
from datetime import timedelta

from tests.support.follower_rows import follower_row
from tests.support.ledger_book import NOW, hours
from warehouse.ledger import Ledger


def test_a_look_takes_the_place_of_the_one_before(ledger: Ledger) -> None:
    first = follower_row("a", NOW)
    second = replace(first, looked_at_time=NOW + hours(1), look_count=2, state="held", reasons="a price jumped")
    other = follower_row("b", NOW + timedelta(minutes=1))
    for row in (first, other, second):
        ledger.followers.note_look(row)
    assert ledger.followers.list_followers(NOW) == [second, other]
    assert ledger.followers.list_followers(NOW + hours(1)) == [second]
    assert ledger.audit.verify_audit() > 0


def test_rows_of_long_ago_go_when_another_begins(ledger: Ledger) -> None:
    ledger.followers.note_look(follower_row("a", NOW))
    ledger.followers.note_look(follower_row("b", NOW + timedelta(days=6)))
    assert len(ledger.followers.list_followers(NOW)) == 2
    ledger.followers.note_look(follower_row("c", NOW + timedelta(days=8)))
    assert [row.follower_id for row in ledger.followers.list_followers(NOW)] == ["c", "b"]

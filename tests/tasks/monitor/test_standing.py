"""What a follower says of its looks, and when nobody looks any more."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.settings import Settings
from tasks.monitor.follow_look import FollowLook, FollowState
from tasks.monitor.standing import is_silent, look_record, monitor_standing, silent_follower
from tasks.runtime import open_ledger
from tests.support.follower_rows import follower_row
from tests.support.ledger_book import NOW
from warehouse.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path}/ledger.sqlite?timeout=0.1"
    with closing(open_ledger(Settings(home=tmp_path, ledger_url=url))) as ledger:
        yield ledger


def test_each_look_is_said_and_its_end(ledger: Ledger) -> None:
    looks = [
        FollowLook(FollowState.LOOKING, NOW, NOW.date(), "n1", looked_at=9, out_of_band=2, newly=2, fresh=5),
        FollowLook(
            FollowState.HELD, NOW, NOW.date(), "n1", reasons=("a", "b"), newly=1, refused_lines={"late": 3, "x": 1}
        ),
    ]
    with look_record(ledger.followers, 5.0) as record:
        assert monitor_standing(ledger.followers, ledger.breaches, NOW, 10).followers == []
        for look in looks:
            record.note(look)
        (row,) = monitor_standing(ledger.followers, ledger.breaches, NOW, 10).followers
        assert (row.state, row.reasons, row.look_count, row.newly, row.refused_lines) == ("held", "a; b", 2, 3, 4)
        assert (row.ended_at, is_silent(row, NOW)) == (None, False)
    (row,) = monitor_standing(ledger.followers, ledger.breaches, NOW, 10).followers
    assert row.ended_at is not None
    assert not is_silent(row, NOW + timedelta(hours=1))
    assert silent_follower(ledger.followers, NOW + timedelta(hours=1)) is None


def test_one_that_never_looked_says_nothing(ledger: Ledger) -> None:
    with look_record(ledger.followers, 5.0):
        pass
    assert monitor_standing(ledger.followers, ledger.breaches, NOW, 10).followers == []


def test_a_ledger_that_does_not_answer_stops_no_look(ledger: Ledger, tmp_path: Path) -> None:
    look = FollowLook(FollowState.LOOKING, NOW)
    with look_record(ledger.followers, 5.0) as record, closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        record.note(look)
        other.rollback()
        assert monitor_standing(ledger.followers, ledger.breaches, NOW, 10).followers == []
        record.note(look)
        assert [row.look_count for row in monitor_standing(ledger.followers, ledger.breaches, NOW, 10).followers] == [2]


@pytest.mark.parametrize(
    ("every", "took", "seconds", "silent"),
    [
        (5.0, 0.1, 29, False),
        (5.0, 0.1, 31, True),
        (60.0, 0.1, 200, False),
        (60.0, 0.1, 241, True),
        (5.0, 40.0, 69, False),
    ],
)
def test_silence_is_several_looks_that_did_not_come(every: float, took: float, seconds: int, *, silent: bool) -> None:
    row = follower_row("a", NOW, look_every_seconds=every, seconds=took)
    assert is_silent(row, NOW + timedelta(seconds=seconds)) is silent


def test_the_alarm_is_of_the_last_that_looked_where_none_does(ledger: Ledger) -> None:
    later = NOW + timedelta(minutes=10)
    killed = follower_row("a", NOW)
    ledger.followers.note_look(killed)
    assert silent_follower(ledger.followers, NOW) is None
    assert silent_follower(ledger.followers, later) == killed
    assert silent_follower(ledger.followers, NOW + timedelta(days=2)) is None
    another = follower_row("b", later)
    ledger.followers.note_look(another)
    assert silent_follower(ledger.followers, later) is None
    ledger.followers.note_look(replace(another, ended_at=later))
    assert silent_follower(ledger.followers, later + timedelta(minutes=10)) is None

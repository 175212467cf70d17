"""Killed at any effect on the system, an export, its delivery and its reconciliation end as if nothing had happened."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fault_harness import killed_everywhere, outcome, prepared, work

pytestmark = pytest.mark.system

MEMORY = Path("/dev/shm")  # noqa: S108 - waiting for a disk takes most of the time


@pytest.fixture
def room() -> Iterator[Path]:
    """An empty folder, in memory where there is such a place."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def test_killed_at_any_effect_everything_ends_as_if_nothing_had_happened(room: Path) -> None:
    for name in ("template", "homes", "undisturbed"):
        (room / name).mkdir()
    template = prepared(room / "template")
    work(prepared(room / "undisturbed"))
    expected = outcome(room / "undisturbed")
    killed = killed_everywhere(template, room / "homes")
    assert len(killed) > 100
    for home in killed:
        work(home)
        for found, needed in zip(outcome(home), expected, strict=True):
            assert found == needed, home.name

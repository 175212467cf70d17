from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger_book import staffed
from warehouse.ledger import Ledger


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'home' / 'ledger.sqlite'}"


@pytest.fixture
def ledger(address: str) -> Iterator[Ledger]:
    ledger = staffed(address)
    yield ledger
    ledger.close()

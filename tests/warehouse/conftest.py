import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ledger_book import opened, staffed
from warehouse.ledger import Ledger


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'home' / 'ledger.sqlite'}"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with its people, made once: the migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "ledger.sqlite"
    staffed(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def ledger(address: str, template: Path) -> Iterator[Ledger]:
    home = Path(address.removeprefix("sqlite:///")).parent
    home.mkdir(mode=0o700)
    shutil.copy(template, home)
    ledger = opened(address)
    yield ledger
    ledger.close()

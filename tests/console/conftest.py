from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console_scene import Api, api_on, copied, make_home


@pytest.fixture(scope="session")
def night_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night, made once; whoever changes anything works on a copy."""
    home = tmp_path_factory.mktemp("console") / "night"
    make_home(home, accounts=400)
    return home


@pytest.fixture
def home(night_home: Path, tmp_path: Path) -> Path:
    return copied(night_home, tmp_path / "home")


@pytest.fixture
def api(home: Path) -> Iterator[Api]:
    yield from api_on(home)

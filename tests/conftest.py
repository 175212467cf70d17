"""What every folder of tests may ask for."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.examples import at_most
from tests.support.servers import _no_settings_of_mine, postgres, postgres_server, s3, s3_server, sshd, sshd_server
from warehouse.lake.connection import bounds

__all__ = ["_no_settings_of_mine", "postgres", "postgres_server", "s3", "s3_server", "sshd", "sshd_server"]

# Whoever runs the tests may have a home of their own in the environment, and a Prefect: no test may write there. Nor does a terminal's width count.
OTHERS = {"PREFECT_HOME", "PREFECT_API_URL", "COLUMNS"}
for name in [name for name in os.environ if name.startswith("TRIMTAB_") or name in OTHERS]:
    del os.environ[name]

bounds.threads = 1  # books are small, and the tests' processes share the machine: a second thread only takes turns

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("trimtab", deadline=None, max_examples=at_most(100))
settings.load_profile("trimtab")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden``: what the golden nights give now is what is expected from now on."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/expected anew; read its diff")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a slow test come first: no process is left alone with one of them at the end."""
    slow = {item.path for item in items if any(map(item.get_closest_marker, ("slow", "system")))}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[None]:
    """A Prefect server of the tests' own, with a database that is thrown away."""
    from prefect.testing import utilities  # noqa: PLC0415 - core tests never pay for Prefect

    from tests.support.prefect_home import NAME, prefect_home  # noqa: PLC0415 - as above

    def with_database(*_: Any) -> str:
        """A temporary folder as the harness asks for one, in which its database is made already."""
        home = prefect_home(Path(tempfile.mkdtemp()))
        (home / NAME).rename(home / "prefect-test.db")
        return str(home)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utilities, "mkdtemp", with_database)
        with utilities.prefect_test_harness(server_startup_timeout=120):
            yield


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """A night makes its process's files private from then on; the next test starts as it would alone."""
    before = os.umask(0o022)
    yield
    os.umask(before)

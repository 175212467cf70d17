"""What every folder of tests may ask for."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[None]:
    """A Prefect server of the tests' own, with a database that is thrown away."""
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415 - core tests never pay for Prefect

    with prefect_test_harness(server_startup_timeout=120):
        yield

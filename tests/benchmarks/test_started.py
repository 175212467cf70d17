"""Every benchmark is run on next to nothing, so that none is found broken on the day that it is needed."""

from importlib import import_module
from pathlib import Path

import pytest

from tests.benchmarks.results import HERE, KEPT, read

SMALLEST = {
    "drift": "--accounts 20",
    "export": "--accounts 3",
    "find": "--accounts 60",
    "gate": "--lots 2000",
    "households": "--part 0 --members 4 --wide 3",
    "kernel": "--accounts 20 --compiled",
    "lab": "--paths 2 --years 1",
    "monitor": "--accounts 20",
    "night": "--accounts 30 --export",
    "peers": "--accounts 2",
    "performance": "--accounts 30",
    "pull": "--accounts 30",
    "queue": "--proposals 60",
}
"""By benchmark: its options. PostgreSQL, Dask and compiling anew have tests of their own, and take long to start."""


@pytest.fixture(autouse=True)
def _a_home_that_is_set_and_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRIMTAB_HOME", "TRIMTAB_ACCOUNTS_PER_SHARD", "TRIMTAB_DASK", "TRIMTAB_TWIN_POLICY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_every_benchmark_is_among_these() -> None:
    assert {path.stem for path in HERE.glob("*.py") if not path.stem.startswith("test_")} == {*SMALLEST, "results"}


@pytest.mark.parametrize(("name", "words"), SMALLEST.items())
def test_a_benchmark_comes_to_its_end_and_keeps_figures(name: str, words: str, tmp_path: Path) -> None:
    import_module(f"tests.benchmarks.{name}").main(words.split(), tmp_path)
    assert {line["benchmark"] for line in read(tmp_path / KEPT)} == {name}

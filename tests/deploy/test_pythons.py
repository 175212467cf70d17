"""The Pythons that trimtab is for are said in several places, and alike."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


@pytest.fixture(scope="module")
def versions(project: dict[str, Any]) -> list[str]:
    return [found[1] for line in project["classifiers"] if (found := re.search(r":: Python :: (3\.\d+)$", line))]


def test_what_may_be_installed_is_what_is_named(project: dict[str, Any], versions: list[str]) -> None:
    minors = [int(version.removeprefix("3.")) for version in versions]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert project["requires-python"] == f">=3.{minors[0]},<3.{minors[-1] + 1}"


def test_setup_takes_what_is_named(versions: list[str]) -> None:
    said = subprocess.run(["make", "--silent", "pythons"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout.split() == versions


def test_the_readme_names_them(versions: list[str]) -> None:
    assert f"Python {', '.join(versions[:-1])} or {versions[-1]}," in (ROOT / "README.md").read_text()


def test_the_image_has_one_of_them(versions: list[str]) -> None:
    found = re.search(r"^ARG BASE=python:(3\.\d+)\.", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert found
    assert found[1] in versions

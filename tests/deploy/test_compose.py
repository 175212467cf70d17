"""The image and its containers, as far as they can be read: what gets in, who waits for whom, and where is written."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "deploy" / "compose.yaml").read_text()
DOCKERFILE: Final = (ROOT / "deploy" / "Dockerfile").read_text()
SERVICES: Final[dict[str, dict[str, Any]]] = yaml.safe_load(TEXT)["services"]
OURS: Final = {name: service for name, service in SERVICES.items() if service["image"] == "trimtab"}
HOME: Final = "/var/lib/trimtab"
SCRATCH: Final = "/tmp"  # noqa: S108 - of a container, which nobody else has


def let_in() -> set[str]:
    """What the builder is given of the checkout."""
    first, *others = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    return {line.removeprefix("!") for line in others if line.startswith("!")}


def test_the_image_is_given_all_that_its_commands_name() -> None:
    assert all((ROOT / path).exists() for path in let_in())
    packages = re.search(r"^packages = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert packages is not None
    assert set(re.findall(r'"(\w+)"', packages[1])) <= let_in()
    for module in re.findall(r"python -m deploy\.(\w+)", TEXT):
        assert {f"deploy/{module}.py", f"deploy/{module}.yaml"} <= let_in()
    assert "deploy/prefect.yaml" in let_in()


def test_neither_settings_nor_history_get_into_the_image() -> None:
    folders = {path for path in let_in() if (ROOT / path).is_dir()}
    assert folders == {"flows", "schemas", "tasks", "warehouse", "console"}
    assert not [path for path in let_in() if "env" in path or path.startswith(".")]


def test_the_image_is_built_with_the_uv_that_setup_takes() -> None:
    version = re.search(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert version is not None
    assert f"uv=={version[1]} " in DOCKERFILE


def test_one_service_builds_the_image_and_nobody_looks_for_it_elsewhere() -> None:
    assert [name for name, service in OURS.items() if "build" in service] == ["server"]
    assert {service["pull_policy"] for service in OURS.values()} == {"never"}


def test_every_variable_has_a_default() -> None:
    told = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))
    assert set(re.findall(r"\$\{\w+(.{2})", told)) == {":-"}


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_says_when_it_is_ready(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        if how["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"] == "no"


def test_postgres_is_not_ready_while_it_is_set_up() -> None:
    """Its image sets up with a server that listens on a socket only, then starts another."""
    test = SERVICES["postgres"]["healthcheck"]["test"]
    assert test[test.index("--host") + 1] == "127.0.0.1"


@pytest.mark.parametrize("name", OURS)
def test_a_container_may_do_no_more_than_it_needs(name: str) -> None:
    service = OURS[name]
    assert (service["read_only"], service["init"], service["cap_drop"]) == (True, True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", OURS)
def test_all_that_is_written_has_a_place(name: str) -> None:
    """Mounts, and for what would go elsewhere a variable: the rest of the file system cannot be written to."""
    service = OURS[name]
    on_disk = {volume.split(":")[-1] for volume in service["volumes"]} - {"ro"}
    in_memory = {mount.split(":")[0] for mount in service["tmpfs"]}
    assert HOME in on_disk
    assert on_disk | in_memory >= {SCRATCH, "/home/trimtab"}
    if name in {"worker", "console", "dask-worker"}:
        assert SCRATCH in on_disk, "engines write there what does not fit in memory"


def test_what_programs_write_into_themselves_goes_to_the_home() -> None:
    for variable in ("TRIMTAB_HOME", "PREFECT_HOME", "PREFECT_UI_STATIC_DIRECTORY", "NUMBA_CACHE_DIR"):
        assert re.search(rf"\b{variable}={HOME}\b", DOCKERFILE), variable

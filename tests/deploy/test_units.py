"""The systemd units: what they start is there, nobody has more than they need, and systemd finds nothing wrong with them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
UNITS: Final = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
CHECKOUT: Final = "/opt/trimtab"
TIGHT: Final = {
    "User=trimtab",
    "EnvironmentFile=/etc/trimtab/env",
    "UMask=0077",
    "StateDirectoryMode=0700",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "CapabilityBoundingSet=",
    "SystemCallFilter=@system-service",
}


def name_of(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("unit", UNITS, ids=name_of)
def test_a_unit_may_do_no_more_than_it_needs(unit: Path) -> None:
    assert set(unit.read_text().splitlines()) >= TIGHT


@pytest.mark.parametrize("unit", UNITS, ids=name_of)
def test_what_a_unit_starts_is_in_the_environment_that_setup_makes(unit: Path) -> None:
    programs = re.findall(rf"^ExecStart={CHECKOUT}/\.venv/bin/(\S+)", unit.read_text(), re.MULTILINE)
    assert programs
    assert all((Path(sys.executable).parent / program).exists() for program in programs)
    assert len(programs) == unit.read_text().count("ExecStart=")


def test_the_deployments_are_made_by_the_same_commands_wherever_it_runs() -> None:
    unit = (ROOT / "deploy" / "systemd" / "trimtab-deploy.service").read_text()
    for path in (ROOT / "deploy" / "compose.yaml", ROOT / "docs" / "how-to" / "runbook.md"):
        text = path.read_text()
        for command in (
            "prefect work-pool create trimtab --type process --overwrite",
            "prefect --no-prompt deploy --prefect-file deploy/prefect.yaml --all",
            "python -m deploy.automations",
        ):
            assert command in text
            assert f"ExecStart={CHECKOUT}/.venv/bin/{command}" in unit


def test_the_runbook_names_every_unit() -> None:
    text = (ROOT / "docs" / "how-to" / "runbook.md").read_text()
    assert {unit.stem for unit in UNITS} == set(
        re.findall(r"\btrimtab-(?:console|dask-worker|dask|deploy|monitor|prefect|worker)\b", text)
    )


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine: it comes with systemd")
    for unit in UNITS:  # as if the checkout were in its place, and whoever runs this were its user
        text = (
            unit.read_text().replace(CHECKOUT, str(ROOT)).replace(f"{ROOT}/.venv/bin", str(Path(sys.executable).parent))
        )
        (tmp_path / unit.name).write_text(text.replace("=trimtab\n", "=root\n", 2))
    units = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

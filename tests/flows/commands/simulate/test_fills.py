"""``trimtab simulate fills`` as somebody types it, and ``trimtab reconcile`` after it."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows.commands.cli import main
from schemas.settings import Settings
from tasks.runtime.stores import utc_now
from tests.support.export_scene import Scene
from warehouse.lake.lake import open_lake


def typed(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return int(ended.value.code or 0), out, err


@pytest.fixture(params=[True, False], ids=["simulation", "real"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    made = Scene(tmp_path, moment=utc_now(), is_simulation=request.param).prepare(is_owned_here=True)
    made.load(open_lake(Settings(home=tmp_path)))
    made.export()
    return made


def test_a_simulation_is_filled_and_reconciled_and_nothing_else_is(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    code, path, err = typed(
        capsys, "simulate", "fills", scene.final, "--seed", "5", "--reject-rate", "0", "--bust-rate", "0"
    )
    assert code == 0, err
    assert "6 orders on 2026-03-03: 6 filled whole, 2." in err
    assert Path(path.strip()).parent == scene.home / "simulated"
    is_simulation = bool(scene.ledger.runs.list_runs()[0].is_simulation)
    code, out, err = typed(capsys, "reconcile", path.strip())
    if not is_simulation:
        assert (code, out) == (2, "")
        assert "which is no simulation; needed orders of simulations alone\n\nHint: nothing was taken." in err
        return
    assert code == 0, err
    assert "6 filled" in out
    code, out, err = typed(capsys, "reconcile", path.strip(), "--json")
    told: dict[str, Any] = json.loads(out)
    assert (code, told["taken"], told["set_aside"], told["orders"]) == (0, 0, [], [])


def test_what_is_typed_wrongly_is_a_sentence(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = typed(capsys, "simulate", "fills", scene.final, "--format", "pdf")
    assert code == 2
    assert "pdf is no format of executions; needed one of csv, fix, flex, alpaca" in err
    code, _, err = typed(capsys, "simulate", "fills", scene.home)
    assert code == 2
    assert "needed a folder that was exported whole" in err
    code, out, _ = typed(capsys, "simulate", "fills", scene.final, "--format", "fix", "--json")
    assert code == 0
    assert json.loads(out)["orders"] == 6

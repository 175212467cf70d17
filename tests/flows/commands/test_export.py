"""``trimtab export``, ``export verify``, ``reconcile``, ``allot`` and ``allocations`` as somebody types them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from flows.commands.cli import main
from schemas.settings import Settings
from tasks.runtime.stores import utc_now
from tests.support.export_scene import RUN, Interrupted, Scene, crash_at, interrupt
from tests.support.fill_scene import fill, write_fills
from warehouse.lake.lake import open_lake

PROFILES: Final = '[{"name": "desk", "format": "fix44", "sender": "US", "target": "THEM"}]'


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A home with three proposals approved, for the user who types."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    scene = Scene(tmp_path, moment=utc_now()).prepare(is_owned_here=True)
    scene.load(open_lake(Settings(home=tmp_path)))
    yield scene
    scene.ledger.close()


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> "Typed":
    return Typed(capsys)


class Typed:
    """Runs a command: exit code, stdout, stderr."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = self.capsys.readouterr()
        code = ended.value.code
        assert "Traceback" not in err
        return code if isinstance(code, int) else 0, out, err

    def json(self, *words: str | Path, code: int = 0) -> Any:
        found, out, err = self(*words, "--json")
        assert found == code, err
        return json.loads(out)


def test_an_export_is_told_with_its_deliveries_and_a_second_has_nothing_to_do(
    scene: Scene, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_DELIVERIES", f'[{{"name": "archive", "url": "{scene.home / "drop"}"}}]')
    (export,) = typed.json("export")
    assert (export["run_id"], export["accounts"], export["orders"]) == (RUN, 3, 6)
    assert export["deliveries"] == [{"name": "archive", "is_delivered": True, "problem": None}]
    code, out, err = typed("export")
    assert (code, out) == (0, "")
    assert "nothing to export" in err


def test_a_delivery_that_fails_is_a_sentence_and_an_exit_code(
    scene: Scene, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scene.home / "drop").write_text("no folder")
    monkeypatch.setenv("TRIMTAB_DELIVERIES", f'[{{"name": "archive", "url": "{scene.home / "drop"}"}}]')
    code, out, err = typed("export")
    assert code == 1
    assert "3 accounts, 6 orders" in out
    assert "is not delivered to archive" in err


def test_a_claim_that_is_too_late_is_told_with_what_to_do_and_can_be_given_up(
    tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The night was two days ago: its claim was left open by a crash, and has expired since."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    then = utc_now() - timedelta(days=2)
    scene = Scene(tmp_path, moment=then).prepare(is_owned_here=True)
    scene.load(open_lake(Settings(home=tmp_path)))
    with pytest.raises(Interrupted):
        scene.export_all(then, checkpoint=crash_at(0, interrupt))
    code, out, err = typed("export")
    assert (code, out) == (1, "")
    assert f"`trimtab export abandon {RUN}-export-1 --note WHY`" in err
    assert typed("export", "abandon", f"{RUN}-export-1")[0] == 2
    told = typed.json("export", "abandon", f"{RUN}-export-1", "--note", "too late")
    assert told == {
        "export_id": f"{RUN}-export-1",
        "folder": str(scene.final),
        "proposals": 3,
        "is_done_here": True,
        "given_up_with_it": [],
        "households_left_in_part": [],
    }
    assert "was given up before" in typed("export", "abandon", f"{RUN}-export-1", "--note", "again")[2]
    assert typed("export", "verify", scene.final)[0] == 2
    code, out, err = typed("export")
    assert (code, out) == (0, "")
    assert "nothing to export" in err
    scene.ledger.close()


def test_an_export_that_has_left_is_not_given_up(scene: Scene, typed: Typed) -> None:
    typed("export")
    code, _, err = typed("export", "abandon", f"{RUN}-export-1", "--note", "too late")
    assert code == 2
    assert "has left" in err
    assert set(scene.states().values()) == {"exported", "pending_review"}


@pytest.mark.usefixtures("scene")
def test_what_a_profile_cannot_express_stays_and_is_told(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_PROFILES", '[{"name": "tws", "format": "ibkr_basket"}]')
    code, out, err = typed("export")
    assert (code, out) == (0, "")
    assert "p-a1 of a1 stays: tws: " in err


def test_a_folder_is_verified_without_a_home_and_a_changed_one_is_refused(
    scene: Scene, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (export,) = typed.json("export")
    monkeypatch.setenv("TRIMTAB_HOME", str(scene.home / "nowhere"))
    assert typed.json("export", "verify", export["folder"]) == [
        {"export_id": f"{RUN}-export-1", "files": 8, "orders": 6, "is_signed": False}
    ]
    (Path(export["folder"]) / "blocks.csv").write_text("")
    code, _, err = typed("export", "verify", export["folder"])
    assert code == 1
    assert "blocks.csv of" in err
    assert typed("export", "verify", scene.home / "nowhere")[0] == 2
    assert not (scene.home / "nowhere").exists()


def test_what_came_back_is_told_and_what_is_alarming_has_an_exit_code(scene: Scene, typed: Typed) -> None:
    typed("export")
    unknown = {"execution_id": "e2", "kind": "rejected", "client_order_id": "gone"}
    good = write_fills(scene.home / "good.csv", fill("e1", "a1-sell", "3"), unknown)
    told = typed.json("reconcile", good)
    assert (told["taken"], told["alarms"]) == (1, [])
    assert [(row["order_id"], row["state"]) for row in told["orders"]] == [("a1-sell", "filled")]
    assert [row["code"] for row in told["set_aside"]] == ["unknown_order"]
    bad = write_fills(scene.home / "bad.csv", fill("e3", "a2-sell", "4"))
    assert typed.json("reconcile", bad, code=3)["alarms"][0]["code"] == "overfilled"
    breaks = typed.json("reconcile")
    assert breaks["breaks"][0]["code"] == "overfilled"
    assert [row["execution_id"] for row in breaks["set_aside"]] == ["e2"]
    unasked = write_fills(scene.home / "unasked.csv", fill("e4", "gone", "1"))
    assert typed.json("reconcile", unasked, code=3)["alarms"][0]["code"] == "unknown_order"
    assert typed.json("reconcile", "--lots") == []
    for words in (["reconcile", good], ["reconcile"], ["reconcile", "--lots"]):
        assert typed(*words)[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["reconcile", "gone.csv"], 4, "gone.csv"),
        (["reconcile", "gone.csv", "--format", "xml"], 2, "xml is no format of executions; needed one of csv, fix"),
        (["allot", "B", "--order", "a1", "--note", "why"], 2, "a1 is no allotment; needed ID=QUANTITY"),
        (["allot", "B", "--order", "a1=NaN", "--note", "why"], 2, "a1=NaN is no allotment"),
        (["allot", "B", "--order", "a1=1", "--note", "why"], 2, "a1 is no order of block B"),
        (["allocations", "--block", "B"], 2, "nothing was filled of block B"),
        (["allocations", "--fix", "gone"], 2, "gone is no FIX profile of the settings; there are: none"),
        (["export", "--run", "gone"], 2, "there is no run gone"),
        (["export", "--custodian", "gone"], 2, "nothing was ever proposed for the custodian gone"),
    ],
)
@pytest.mark.usefixtures("scene")
def test_what_cannot_be_done_is_a_sentence(typed: Typed, words: list[str], code: int, sentence: str) -> None:
    found, _, err = typed(*words)
    assert sentence in err
    assert found == code


def test_a_block_is_allotted_and_its_statement_printed(
    scene: Scene, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_PROFILES", PROFILES)
    typed("export")
    block = dict(scene.ledger.answers.sent_orders().select("side", "block_id").unique().iter_rows())["sell"]
    typed("reconcile", write_fills(scene.home / "fills.csv", fill("e1", block, "4", side="sell")))
    code, out, _ = typed("allot", block, "--order", "a2-sell=3", "--note", "a2 pays its rent")
    assert (code, "orders changed" in out) == (0, True)
    rows = {row["order_id"]: row for row in typed.json("allocations")}
    assert float(rows["a2-sell"]["allotted_quantity"]) == 3
    assert rows["a2-sell"]["exception"].endswith(": a2 pays its rent")
    _, out, _ = typed("allocations", "--fix", "desk")
    assert out.startswith("8=FIX.4.4\x01")

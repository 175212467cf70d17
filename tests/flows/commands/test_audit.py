"""What an insider or a thief does to ledger, lake and audit, and what `trimtab audit verify` and `trimtab export` say then."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from flows.commands import audit as audit_cli
from schemas.errors import AuditBroken, ConservationBroken, TrimtabError
from schemas.settings import load_settings
from tasks.export.release import export_approved
from tasks.runtime import utc_now
from tests.support.export_scene import RUN, Scene
from warehouse.lake import open_lake

Verify = Callable[..., str]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A home with an approved run, exported by nobody yet."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    scene = Scene(tmp_path, moment=utc_now()).prepare(is_owned_here=True)
    scene.load(open_lake(load_settings()))
    return scene


@pytest.fixture
def verify(scene: Scene) -> Verify:
    """The command; what it says on stdout, or the error that it ends with."""

    def verify(*words: str) -> str:
        assert scene.home.is_dir()
        result = CliRunner().invoke(audit_cli.app, ["verify", *words])
        return str(result.exception) if isinstance(result.exception, TrimtabError) else result.stdout

    return verify


def export() -> int:
    return len(export_approved(load_settings()).results)


def cut(scene: Scene, count: int) -> int:
    """Take the newest rows away, with the head set right, as whoever owns the database can; how long the chain is then."""
    with scene.ledger.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_no_delete")
        length = int(connection.exec_driver_sql("SELECT max(seq) FROM audit").scalar_one()) - count
        connection.exec_driver_sql(f"DELETE FROM audit WHERE seq > {length}")
        connection.exec_driver_sql(
            f"UPDATE audit_head SET seq = {length}, hash = (SELECT hash FROM audit WHERE seq = {length})"
        )
    return length


def anchors(scene: Scene) -> list[Path]:
    return sorted((scene.home / "anchors").iterdir())


def test_a_whole_chain_says_so_and_against_how_many_anchors(scene: Scene, verify: Verify) -> None:
    total = len(scene.ledger.audit.audit_rows())
    assert verify() == f"The audit chain is whole: {total} rows; there is no anchor to compare with.\n"

    assert export() == 1

    assert len(anchors(scene)) == 2
    total = len(scene.ledger.audit.audit_rows())
    assert verify() == f"The audit chain is whole: {total} rows; 2 anchors fit.\n"
    assert json.loads(verify("--json")) == {"rows": total, "is_whole": True, "anchors": 2}


def test_anchors_and_their_key_are_for_their_owner_alone(scene: Scene) -> None:
    export()

    assert {path.stat().st_mode & 0o777 for path in (*anchors(scene), scene.home / "anchor.key")} == {0o600}
    assert (scene.home / "anchors").stat().st_mode & 0o777 == 0o700


def test_an_anchor_tells_length_and_newest_hash_and_what_was_done(scene: Scene) -> None:
    export()
    newest = scene.ledger.audit.audit_rows(limit=1)[0]

    told = json.loads(anchors(scene)[-1].read_text())

    assert (told["seq"], told["hash"], told["of"]) == (newest.seq, newest.hash, "an export")
    assert anchors(scene)[-1].name == f"{newest.seq:012}.anchor.json"


def test_a_cut_end_of_the_chain_is_named_and_lets_nothing_leave(scene: Scene, verify: Verify) -> None:
    export()
    before = int(anchors(scene)[-1].name[:12])
    scene.approve_the_waiting()
    cut(scene, 3)

    told = verify()

    assert f"the audit chain ends at row {before - 2}; it had {before} when" in told
    assert "proposal p-b4 is approved, and the newest row of the audit about it" in told
    with pytest.raises(AuditBroken, match=f"nothing was done: the audit chain ends at row {before - 2}"):
        export()


@pytest.mark.parametrize("grown", [1, 2, 3, 9])
def test_a_chain_that_grew_again_after_a_cut_does_not_fit(scene: Scene, verify: Verify, grown: int) -> None:
    export()
    cut(scene, 2)
    for number in range(grown):
        scene.ledger.halts.halt("ops", f"{number}", utc_now())
        scene.ledger.halts.lift_halt("ops", "again", utc_now())

    assert f"audit row {int(anchors(scene)[-1].name[:12])} is not the one that was there when" in verify()
    with pytest.raises(AuditBroken, match="is not the one that was there"):
        export()
    assert len(anchors(scene)) == 2


def test_a_copy_of_anchors_kept_elsewhere_is_compared_with(scene: Scene, verify: Verify, tmp_path: Path) -> None:
    export()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(scene.home / "anchors", elsewhere)
    shutil.rmtree(scene.home / "anchors")
    assert "2 anchors fit" in verify("--anchor", str(elsewhere))
    assert "1 anchors fit" in verify("--anchor", str(min(elsewhere.iterdir())))

    assert "elsewhere/none has no anchor; needed" in verify("--anchor", str(elsewhere / "none"))

    cut(scene, 1)

    assert "it had" in verify("--anchor", str(elsewhere))


@pytest.mark.parametrize("member", ["seq", "hash", "at", "of", "hmac", "format"])
def test_an_anchor_that_was_changed_is_named(scene: Scene, verify: Verify, member: str) -> None:
    export()
    path = anchors(scene)[-1]
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, member: 1 if member == "seq" else "x"}))

    assert f"the anchor {path} was changed" in verify()
    with pytest.raises(AuditBroken, match="was changed"):
        export()


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "{}", '{"hmac": 1}', '{"hmac": "é"}', "\x00"])
def test_a_damaged_anchor_is_named(scene: Scene, verify: Verify, text: str) -> None:
    export()
    path = anchors(scene)[0]
    path.write_text(text)

    assert f"{path} is no anchor, or was changed" in verify()


def test_another_key_fits_no_anchor_and_none_is_a_sentence(scene: Scene, verify: Verify) -> None:
    export()
    key = scene.home / "anchor.key"
    key.write_text("0" * 64)
    assert "signed with another key than this install's" in verify()

    key.chmod(0o640)
    assert "is open to others (mode 640)" in verify()

    key.unlink()
    assert "cannot be read or written" in verify()


def test_nothing_leaves_where_no_anchor_can_be_written(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    (scene.home / "taken").touch()
    monkeypatch.setenv("TRIMTAB_ANCHOR_URL", str(scene.home / "taken"))

    with pytest.raises(TrimtabError, match=r"anchors of the audit chain in .*taken cannot be read or written"):
        export()
    assert scene.ledger.exports.exports_of(RUN) == []


def test_orders_changed_in_the_lake_are_named_and_do_not_leave(scene: Scene, verify: Verify) -> None:
    buys = pl.col("side") == "buy"
    more = pl.when(buys).then(pl.col("quantity") + 1).otherwise("quantity").cast(pl.Decimal(18, 6))
    scene.lake.tables["orders"] = scene.lake.tables["orders"].with_columns(
        quantity=pl.when(pl.col("account_id") == "a2").then(more).otherwise("quantity")
    )
    scene.load(open_lake(load_settings()))

    assert verify() == "the orders of proposal p-a2, which is auto_approved, are not those that were routed"
    with pytest.raises(ConservationBroken, match="an order of proposal p-a2 was changed since it was approved"):
        export_approved(load_settings(), RUN)
    assert scene.ledger.exports.exports_of(RUN) == []


def test_orders_taken_out_of_the_lake_are_named(scene: Scene, verify: Verify) -> None:
    scene.lake.tables["orders"] = scene.lake.tables["orders"].filter(pl.col("account_id") != "b4")
    scene.load(open_lake(load_settings()))

    assert verify() == "the orders of proposal p-b4, which is pending_review, are not those that were routed"


def test_a_changed_row_is_named_with_its_proposal(scene: Scene, verify: Verify) -> None:
    with scene.ledger.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        connection.exec_driver_sql("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
        connection.exec_driver_sql("UPDATE audit SET actor = 'nobody' WHERE proposal_id = 'p-a1'")

    told = verify().splitlines()

    assert told[0] == "audit row 2 is not what was written"
    assert told[1].endswith("is not what was written (of proposal p-a1)")

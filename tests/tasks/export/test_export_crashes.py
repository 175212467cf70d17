import errno
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.errors import ConservationBroken, DecisionRefused, Terminal
from tasks.export import export
from tasks.export.export import export_run
from tasks.export.plan import ExportPlan
from tests.support.export_scene import (
    NOW,
    POINTS,
    RUN,
    WAITING,
    Interrupted,
    Scene,
    assert_exported_once,
    contents,
    crash_at,
    exporter,
    interrupt,
)
from tests.support.mounts import small_disk
from warehouse.ledger import ExportPart, ExportRow
from warehouse.ledger.export import Exports

TIMES = 10
"""How often two operators race."""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path).prepare()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The folder as an export that nothing disturbs leaves it."""
    scene = Scene(tmp_path_factory.mktemp("undisturbed")).prepare()
    scene.export()
    return contents(scene.exports)


@pytest.mark.parametrize("call", range(len(POINTS)))
def test_an_export_interrupted_anywhere_ends_as_if_it_had_not_been(
    scene: Scene, undisturbed: dict[str, bytes], call: int
) -> None:
    with pytest.raises(Interrupted):
        scene.export(crash_at(call, interrupt))
    assert contents(scene.exports) in ({}, undisturbed)
    result = scene.export()
    assert (result is None) == (POINTS[call] == "published")
    assert_exported_once(scene, undisturbed)


def test_two_operators_at_once_make_one_folder_and_one_publication_every_time(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    scenes = [Scene(tmp_path / str(number)).prepare() for number in range(TIMES)]
    racers = [exporter(name, *(scene.home for scene in scenes)) for name in ("left", "right")]
    told = [racer.communicate(timeout=240)[0].splitlines() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    for scene, *lines in zip(scenes, *told, strict=True):
        left, right = map(json.loads, lines)
        assert {left["is_published_here"], right["is_published_here"]} == {False, True}
        assert left["manifest_sha256"] == right["manifest_sha256"]
        assert_exported_once(scene, undisturbed)


def test_one_that_plans_while_another_claims_finishes_what_was_claimed(
    scene: Scene, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = export.planned_packages
    others = iter([Scene(scene.home)])

    def late(*arguments: Any, **options: Any) -> Any:
        for other in others:  # the first time
            with pytest.raises(Interrupted):
                other.export(crash_at(0, interrupt))
        return planned(*arguments, **options)

    monkeypatch.setattr(export, "planned_packages", late)
    assert scene.export() is not None
    assert_exported_once(scene, undisturbed)


def test_a_disk_that_fills_up_leaves_nothing_to_see_and_room_is_all_it_takes(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    scene = Scene(tmp_path).prepare()
    with small_disk(scene.exports) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(disk_room(disk) - 5 * 4096))
        with pytest.raises(Terminal, match="No space left on device"):
            scene.export()
        assert set(contents(scene.exports)) == {"ballast"}
        ballast.unlink()
        scene.export()
        assert_exported_once(scene, undisturbed)


def test_a_folder_that_cannot_be_written_is_named_and_the_claim_waits(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    scene = Scene(tmp_path).prepare()
    with small_disk(scene.exports) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(Terminal, match="Read-only file system"):
            scene.export()
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        scene.export()
        assert_exported_once(scene, undisturbed)


def disk_room(disk: Path) -> int:
    """Bytes that still fit."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


class Outrun(Exports):
    """Exports of a ledger in which another operator claims, and maybe publishes, just before we do."""

    rivals_manifest: str | None = None

    def claim_export(self, run_id: str, parts: Sequence[ExportPart], *, now: datetime, **options: Any) -> ExportRow:
        rival = super().claim_export(run_id, parts, now=now, **options)
        if self.rivals_manifest is not None:
            self.publish_export(rival.export_id, self.rivals_manifest, now)
        return super().claim_export(run_id, parts, now=now, **options)


def test_a_claim_lost_to_a_slower_operator_is_finished_for_them(scene: Scene, undisturbed: dict[str, bytes]) -> None:
    scene.ledger.exports = Outrun(scene.ledger.engine)
    result = scene.export()
    assert result is not None
    assert result.sequence == 1
    assert_exported_once(scene, undisturbed)


def test_a_claim_lost_to_a_faster_operator_leaves_nothing_to_do(scene: Scene) -> None:
    ours = Outrun(scene.ledger.engine)
    ours.rivals_manifest = "theirs"
    scene.ledger.exports = ours
    assert scene.export() is None
    assert [export.manifest_sha256 for export in ours.exports_of(RUN)] == ["theirs"]
    assert not scene.exports.exists()


class Overtaken(Exports):
    """Exports of a ledger in which another operator claims right after our first look at it."""

    overtake: Callable[[], None] | None = None

    def open_export(self, run_id: str) -> ExportRow | None:
        found = super().open_export(run_id)
        self._let_them()
        return found

    def exportable(self, run_id: str, now: datetime) -> list[str]:
        found = super().exportable(run_id, now)
        self._let_them()
        return found

    def _let_them(self) -> None:
        overtake, self.overtake = self.overtake, None
        if overtake is not None:
            overtake()


def test_a_claim_between_two_looks_is_finished_too(scene: Scene, undisturbed: dict[str, bytes]) -> None:
    def claim() -> None:
        with pytest.raises(Interrupted):
            rival.export(crash_at(0, interrupt))

    rival = Scene(scene.home)
    ours = Overtaken(scene.ledger.engine)
    ours.overtake = claim
    scene.ledger.exports = ours
    result = scene.export()
    assert result is not None
    assert result.is_published_here
    assert_exported_once(scene, undisturbed)


def test_an_order_that_left_never_leaves_again_under_another_proposal(scene: Scene) -> None:
    scene.export()
    before = contents(scene.exports)
    again = pl.col("order_id").str.replace(WAITING, "a1", literal=True)
    for name in ("orders", "lot_relief"):
        scene.lake.tables[name] = scene.lake.tables[name].filter(pl.col("account_id") == WAITING).with_columns(again)
    scene.approve_the_waiting()
    with pytest.raises(ConservationBroken, match="was changed since it was approved"):
        scene.export()
    assert contents(scene.exports) == before
    claim = ExportPart(orders=scene.lake.tables["orders"].select("order_id", "proposal_id"))
    with pytest.raises(DecisionRefused, match="was exported before"):  # the ledger would not have it either
        scene.ledger.exports.claim_export(RUN, [claim], actor="ops", folder=str(scene.exports), now=NOW)


def test_a_full_disk_is_explained_and_the_claim_is_resumed(scene: Scene, undisturbed: dict[str, bytes]) -> None:
    def fill() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(Terminal, match="No space left on device"):
        scene.export(crash_at(2, fill))
    assert contents(scene.exports) == {}
    assert scene.ledger.exports.open_export(RUN) is not None
    scene.export()
    assert_exported_once(scene, undisturbed)


def test_an_approval_after_the_claim_waits_for_the_next_export(scene: Scene, undisturbed: dict[str, bytes]) -> None:
    with pytest.raises(Interrupted):
        scene.export(crash_at(0, interrupt))
    scene.approve_the_waiting()
    done = scene.export_all(NOW)
    assert [(result.sequence, result.account_count) for result in done.results] == [(1, 3), (2, 1)]
    assert contents(scene.final) == contents_of_first(undisturbed)


def contents_of_first(undisturbed: dict[str, bytes]) -> dict[str, bytes]:
    return {path.removeprefix(f"2026-03-02/{RUN}/"): content for path, content in undisturbed.items()}


@pytest.mark.parametrize("path", ["accounts/a1.csv", "manifest.json", "accounts/new.csv"])
def test_a_folder_that_was_tampered_with_is_refused_and_left_as_it_is(scene: Scene, path: str) -> None:
    with pytest.raises(Interrupted):
        scene.export(crash_at(POINTS.index("renamed"), interrupt))
    with (scene.final / path).open("a") as file:
        file.write("tampered\n")
    tampered = contents(scene.exports)
    with pytest.raises(Terminal, match=f"is not this export: {path}"):
        scene.export()
    assert contents(scene.exports) == tampered
    assert scene.ledger.exports.open_export(RUN) is not None


def test_a_strange_folder_in_the_place_is_never_overwritten(scene: Scene) -> None:
    scene.final.mkdir(parents=True)
    with pytest.raises(Terminal, match="is not this export"):
        scene.export()
    assert list(scene.final.iterdir()) == []


def test_an_export_begun_elsewhere_is_not_finished_here(scene: Scene) -> None:
    with pytest.raises(Interrupted):
        scene.export(crash_at(POINTS.index("placed"), interrupt))
    with pytest.raises(Terminal, match="was begun in"):
        export_run(RUN, scene.exporter(export_folder=scene.home / "elsewhere"), [ExportPlan()])
    assert not (scene.home / "elsewhere").exists()

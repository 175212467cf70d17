"""Deliveries: which export goes where, what is tried again, and what the ledger is told."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.enums import ProfileFormat
from schemas.errors import DecisionRefused, PlaceUnreachable, RunHeld, Terminal
from schemas.exports import Delivery, Profile
from tasks.deliveries.place import DeliveryPlace
from tasks.export.deliver import ATTEMPTS, Deliverer, DeliveryResult, deliver_exports
from tasks.export.plan import ExportPlan
from tests.support.export_scene import NOW, RUN, Scene, contents
from warehouse.ledger import DeliveryRow

EXPORT = f"{RUN}-export-1"
LINES = Profile(name="lines", format=ProfileFormat.JSONL)


class Site:
    """A scene that has exported for some places, and who delivers; waiting takes no time and is written down."""

    def __init__(self, home: Path, *places: Delivery, plan: ExportPlan | None = None) -> None:
        self.scene = Scene(home).prepare()
        self.places, self.waited = places, list[float]()
        (self.result,) = self.scene.export_all(deliveries=places, plan=plan or ExportPlan()).results

    def deliver(self, *places: Delivery) -> list[DeliveryResult]:
        by = Deliverer(
            ledger=self.scene.ledger,
            deliveries=places or self.places,
            now=lambda: NOW + timedelta(hours=1),
            wait=self.waited.append,
        )
        return deliver_exports(by)

    def row(self, name: str = "archive") -> DeliveryRow:
        (found,) = (row for row in self.scene.ledger.deliveries.deliveries_of([EXPORT]) if row.name == name)
        return found

    @property
    def delivered(self) -> list[str]:
        return [row.detail for row in self.scene.ledger.audit.audit_rows() if row.event == "delivered"]


@pytest.fixture
def archive(tmp_path: Path) -> Delivery:
    return Delivery(name="archive", url=str(tmp_path / "drop"))


@pytest.fixture
def site(tmp_path: Path, archive: Delivery) -> Site:
    return Site(tmp_path, archive)


def flaky(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
    """Each time a place is opened it raises the next error; it is itself when there is none left."""
    from tasks.export import deliver as module  # noqa: PLC0415 - what is replaced

    real, left = module.open_place, list(errors)

    @contextmanager
    def opened(delivery: Delivery) -> Iterator[DeliveryPlace]:
        if left:
            raise left.pop(0)
        with real(delivery) as place:
            yield place

    monkeypatch.setattr(module, "open_place", opened)


def test_an_export_is_delivered_as_it_is_and_acknowledged_with_its_hash(site: Site, tmp_path: Path) -> None:
    (done,) = site.deliver()
    assert (done.problem, done.file_count) == (None, 10)
    assert contents(tmp_path / "drop") == contents(site.scene.exports)
    row = site.row()
    assert (row.state, row.attempts, row.file_count) == ("delivered", 1, 10)
    assert row.manifest_sha256 == site.result.manifest_sha256
    assert row.delivered_at == NOW + timedelta(hours=1)
    assert len(site.delivered) == 1


def test_what_is_delivered_is_not_delivered_again(site: Site, tmp_path: Path) -> None:
    site.deliver()
    (tmp_path / "drop" / "2026-03-02" / RUN / "_SUCCESS").unlink()  # the receiver has taken it
    assert site.deliver() == []
    assert not (tmp_path / "drop" / "2026-03-02" / RUN / "_SUCCESS").exists()
    assert len(site.delivered) == 1


def test_what_the_receiver_took_before_all_was_there_is_not_sent_again(
    tmp_path: Path, archive: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.export.deliver.BATCH", 3)
    site = Site(tmp_path, archive.model_copy(update={"is_emptied": True}))
    taken = taking(site, monkeypatch)
    assert [one.problem for one in site.deliver()] == ["the line broke"]
    assert site.row().sent_count == 6
    assert [one.problem for one in site.deliver()] == [None]
    left = {path for path in contents(tmp_path / "drop") if not path.endswith(("manifest.json", "_SUCCESS"))}
    assert len(taken) == 6
    assert not left & set(taken)
    assert (site.row().state, site.row().sent_count) == ("delivered", 8)


def test_a_file_that_is_gone_is_told_and_not_sent_again(
    tmp_path: Path, archive: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.export.deliver.BATCH", 3)
    site = Site(tmp_path, archive)
    taking(site, monkeypatch)
    site.deliver()
    (done,) = site.deliver()
    assert "was acknowledged and is not at the place any more" in str(done.problem)
    assert not list((tmp_path / "drop").rglob("_SUCCESS"))


def test_another_address_gets_everything(tmp_path: Path, archive: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.export.deliver.BATCH", 3)
    site = Site(tmp_path, archive)
    with monkeypatch.context() as patch:
        taking(site, patch)
        site.deliver()
    assert site.row().sent_count == 6
    (done,) = site.deliver(archive.model_copy(update={"url": str(tmp_path / "spare")}))
    assert done.problem is None
    assert contents(tmp_path / "spare") == contents(site.scene.exports)


def test_a_place_that_is_gone_from_the_settings_is_told(site: Site) -> None:
    (done,) = site.deliver(Delivery(name="other", url="/nowhere"))
    assert (done.name, str(done.problem).split(";")[0]) == (
        "archive",
        "the settings have no delivery of that name any more",
    )


def test_a_slower_deliverer_stops_when_another_has_begun_or_ended_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.export.deliver.LOOK_SECONDS", 0)
    row = site.scene.ledger.deliveries.begin_delivery(
        EXPORT,
        "archive",
        url=site.places[0].url,
        file_count=8,
        size_bytes=1,
        manifest_sha256=site.result.manifest_sha256,
        now=NOW,
    )
    assert [one.problem for one in site.deliver()] == [None]
    with pytest.raises(DecisionRefused, match="by somebody else"):
        site.scene.ledger.deliveries.need_own_attempt(row)
    with pytest.raises(DecisionRefused, match="by somebody else"):
        site.scene.ledger.deliveries.note_sent(row, 3)
    assert site.row().state == "delivered"


def taking(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A receiver who takes every file as it comes, and a line that breaks once, for good, with the third batch."""
    from tasks.export import deliver as module  # noqa: PLC0415 - what is replaced

    real, taken, batches = module.open_place, list[str](), iter(range(99))
    drop = Path(site.places[0].url)

    class Taking:
        def __init__(self, place: DeliveryPlace) -> None:
            self.place = place

        def hashes(self, folder: str, paths: Collection[str]) -> dict[str, str]:
            return self.place.hashes(folder, paths)

        def put(self, folder: str, files: Sequence[tuple[str, bytes]]) -> None:
            number = next(batches)
            if number == 2:
                raise Terminal("the line broke")
            self.place.put(folder, files)
            if number < 2:
                taken.extend(f"{folder}/{path}" for path, _ in files)
                for path, _ in files:
                    (drop / folder / path).unlink()

    @contextmanager
    def opened(delivery: Delivery) -> Iterator[DeliveryPlace]:
        with real(delivery) as place:
            yield Taking(place)

    monkeypatch.setattr(module, "open_place", opened)
    return taken


def test_what_may_pass_by_itself_is_tried_again_after_longer_and_longer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    flaky(monkeypatch, PlaceUnreachable("no answer"), PlaceUnreachable("no answer"))
    assert [one.problem for one in site.deliver()] == [None]
    assert site.waited == [1, 2]
    assert site.row().attempts == 3


def test_a_place_that_stays_away_is_told_and_tried_the_next_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    flaky(monkeypatch, *[PlaceUnreachable("no answer")] * ATTEMPTS)
    assert [one.problem for one in site.deliver()] == ["no answer"]
    assert site.waited == [1, 2, 4, 8]
    assert (site.row().state, site.row().problem) == ("sending", "no answer")
    assert [one.problem for one in site.deliver()] == [None]
    assert site.row().problem is None


def test_what_needs_a_person_is_not_tried_again_and_stops_no_other_place(
    tmp_path: Path, archive: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, archive, Delivery(name="other", url=str(tmp_path / "other")))
    flaky(monkeypatch, Terminal("no access"))
    assert [(one.name, one.problem) for one in site.deliver()] == [("archive", "no access"), ("other", None)]
    assert site.waited == []


def test_a_halt_stops_a_delivery_between_files_and_nothing_says_it_is_whole(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        halting(site.scene, patch)
        with pytest.raises(RunHeld, match="the desk is on fire"):
            site.deliver()
    assert not list((tmp_path / "drop").rglob("_SUCCESS"))
    assert site.row().state == "sending"
    site.scene.ledger.halts.lift_halt("ops", "it is out", NOW)
    assert [one.problem for one in site.deliver()] == [None]


def halting(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is halted once the first files are there."""
    from tasks.export import deliver as module  # noqa: PLC0415 - what is replaced

    real = module.open_place

    class Halting:
        def __init__(self, place: DeliveryPlace) -> None:
            self.place = place

        def hashes(self, folder: str, paths: Collection[str]) -> dict[str, str]:
            return self.place.hashes(folder, paths)

        def put(self, folder: str, files: Sequence[tuple[str, bytes]]) -> None:
            self.place.put(folder, files)
            if not scene.ledger.halts.current_halt():
                scene.ledger.halts.halt("ops", "the desk is on fire", NOW)

    @contextmanager
    def opened(delivery: Delivery) -> Iterator[DeliveryPlace]:
        with real(delivery) as place:
            yield Halting(place)

    monkeypatch.setattr(module, "open_place", opened)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0)


def test_files_that_were_changed_after_the_export_are_not_delivered(site: Site, tmp_path: Path) -> None:
    (site.result.folder / "accounts" / "a1.csv").write_text("something else")
    (done,) = site.deliver()
    assert str(done.problem).startswith("accounts/a1.csv of")
    assert not list((tmp_path / "drop").rglob("_SUCCESS"))


def test_a_problem_is_told_without_the_account_that_a_file_is_named_after(tmp_path: Path) -> None:
    place = Delivery(name="desk", url=str(tmp_path / "desk"), profile="lines")
    site = Site(tmp_path, place, plan=ExportPlan(profiles=(LINES,)))
    (site.result.folder / "lines" / "a1.jsonl").write_text("something else")
    (done,) = site.deliver()
    assert str(done.problem).startswith("a1.jsonl of")
    assert str(done.told).startswith("*.jsonl of")


def test_a_place_that_holds_other_bytes_under_the_name_is_left_as_it_is(site: Site, tmp_path: Path) -> None:
    strange = tmp_path / "drop" / "2026-03-02" / RUN / "accounts" / "a1.csv"
    strange.parent.mkdir(parents=True)
    strange.write_text("theirs")
    (done,) = site.deliver()
    assert done.problem
    assert strange.read_text() == "theirs"
    assert not list((tmp_path / "drop").rglob("_SUCCESS"))


def test_a_place_that_is_set_up_later_gets_nothing_that_left_before(site: Site, tmp_path: Path) -> None:
    assert [one.name for one in site.deliver(*site.places, Delivery(name="late", url=str(tmp_path / "late")))] == [
        "archive"
    ]
    assert not (tmp_path / "late").exists()


def test_a_place_for_one_profile_gets_that_folder_which_is_whole_by_itself(tmp_path: Path) -> None:
    place = Delivery(name="desk", url=str(tmp_path / "desk"), profile="lines")
    site = Site(tmp_path, place, plan=ExportPlan(profiles=(LINES,)))
    assert [one.problem for one in site.deliver()] == [None]
    names = {path.rsplit("/", 1)[1] for path in contents(tmp_path / "desk")}
    assert names == {"-a3.jsonl", "a1.jsonl", "a2.jsonl", "manifest.json", "_SUCCESS"}


def test_orders_of_another_custodian_never_reach_a_place_that_is_not_for_them(
    tmp_path: Path, archive: Delivery
) -> None:
    site = Site(tmp_path, archive)
    narrowed = archive.model_copy(update={"custodians": ("Beta",)})
    (done,) = site.deliver(narrowed)
    assert "holds orders of Acme, Inc, and archive is for Beta" in str(done.problem)
    assert not (tmp_path / "drop").exists()

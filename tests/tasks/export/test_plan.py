"""Profiles, signatures, cut-offs and custodians of an export: what is claimed, and that it is finished as it was claimed."""

import csv
import hashlib
import json
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from schemas.enums import ProfileFormat
from schemas.errors import WrongUsage
from schemas.exports import Delivery, Profile
from schemas.settings import Settings
from tasks.export.plan import ExportPlan, signer_of
from tasks.export.signing import read_public_key, read_signer
from tasks.export.verification import ExportBroken, VerificationResult, verify
from tests.support.export_scene import NOW, POINTS, RUN, Interrupted, Scene, contents, crash_at, interrupt

LINES = Profile(name="lines", format=ProfileFormat.JSONL)
ALPACA = Profile(name="alpaca", format=ProfileFormat.ALPACA)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path).prepare()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key, and ``public.pem`` beside it."""
    made = Ed25519PrivateKey.generate()
    path = tmp_path / "signing.pem"
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    public = made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    return path


# --- profiles


def test_a_profile_has_a_folder_with_a_manifest_of_its_own_and_stands_in_the_exports(scene: Scene) -> None:
    (result,) = scene.export_all(plan=ExportPlan(profiles=(LINES,))).results
    inside = sorted(path for path in contents(result.folder) if path.startswith("lines/"))
    names = ["-a3.jsonl", "_SUCCESS", "a1.jsonl", "a2.jsonl", "manifest.json"]
    assert inside == [f"lines/{name}" for name in names]
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert {entry["path"] for entry in manifest["files"]} >= set(inside)
    assert verify(result.folder) == VerificationResult(f"{RUN}-export-1", 13, 6, is_signed=False)
    assert verify(result.folder / "lines").file_count == 3


def test_the_same_orders_leave_in_every_profile_under_the_same_names(scene: Scene) -> None:
    (result,) = scene.export_all(plan=ExportPlan(profiles=(LINES,))).results
    rows = csv.DictReader((result.folder / "accounts" / "a1.csv").read_text().splitlines())
    lines = [json.loads(line) for line in (result.folder / "lines" / "a1.jsonl").read_text().splitlines()]
    assert [row["client_order_id"] for row in rows] == [line["client_order_id"] for line in lines]


def test_an_interrupted_export_is_finished_by_the_plan_that_it_was_claimed_with(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        scene.export_all(plan=ExportPlan(profiles=(LINES,)), checkpoint=crash_at(2, interrupt))
    (result,) = scene.export_all().results
    assert (result.folder / "lines" / "a1.jsonl").is_file()
    (tmp_path / "again").mkdir()
    undisturbed = Scene(tmp_path / "again").prepare()
    (expected,) = undisturbed.export_all(plan=ExportPlan(profiles=(LINES,))).results
    assert contents(result.folder) == contents(expected.folder)


def test_a_proposal_with_an_order_that_a_profile_cannot_express_stays_whole_and_says_why(scene: Scene) -> None:
    done = scene.export_all(plan=ExportPlan(profiles=(ALPACA,)))
    assert done.results == ()
    (sentence,) = {reason for *_, reason in done.held_back.rows()}
    assert done.held_back["account_id"].to_list() == ["-a3", "a1", "a2"]
    assert sentence.startswith("alpaca: ")
    assert scene.ledger.exports.exports_of(RUN) == []
    assert not scene.exports.exists()


def test_why_a_proposal_stays_is_audited_once(scene: Scene) -> None:
    for _ in range(2):
        scene.export_all(plan=ExportPlan(profiles=(ALPACA,)))
    said = [row.proposal_id for row in scene.ledger.audit.audit_rows() if row.event == "export_refused"]
    assert sorted(map(str, said)) == ["p--a3", "p-a1", "p-a2"]
    (result,) = scene.export_all().results
    assert result.account_count == 3


def test_the_others_leave_without_it(scene: Scene) -> None:
    orders = scene.lake.tables["orders"]
    odd = orders["account_id"] != "a2"
    scene.lake.tables["orders"] = orders.with_columns(symbol=orders["symbol"].replace({"=BB": "BB"})).with_columns(
        symbol=orders["symbol"].replace({"=BB": "BB"}).zip_with(odd, orders["symbol"])
    )
    done = scene.export_all(plan=ExportPlan(profiles=(ALPACA,)))
    assert [result.account_count for result in done.results] == [2]
    assert done.held_back["account_id"].to_list() == ["a2"]
    assert sorted(path.name for path in (done.results[0].folder / "accounts").iterdir()) == ["-a3.csv", "a1.csv"]


# --- signatures


def test_a_signed_export_is_verified_with_the_public_key_alone(scene: Scene, key: Path) -> None:
    signer = read_signer(key)
    (result,) = scene.export_all(
        plan=ExportPlan(signing_key=signer.public_hex, profiles=(LINES,)), signer=signer
    ).results
    public = read_public_key(key.with_name("public.pem"))
    assert verify(result.folder, public).is_signed
    assert verify(result.folder / "lines", public).is_signed
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key.with_name("public.pem")), "-rawin"]
    files = ["-in", str(result.folder / "manifest.json"), "-sigfile", str(result.folder / "manifest.json.sig")]
    assert subprocess.run([*words, *files], capture_output=True, check=False).returncode == 0


def test_an_export_begun_with_a_key_is_finished_with_it_or_not_at_all(scene: Scene, key: Path) -> None:
    signer = read_signer(key)
    with pytest.raises(Interrupted):
        scene.export_all(
            plan=ExportPlan(signing_key=signer.public_hex), signer=signer, checkpoint=crash_at(0, interrupt)
        )
    (problem,) = scene.export_all().problems
    assert "needed that key to finish it" in problem
    (result,) = scene.export_all(signer=signer).results
    assert (result.folder / "manifest.json.sig").is_file()


def test_another_key_and_a_changed_signature_are_found_out(scene: Scene, key: Path, tmp_path: Path) -> None:
    signer = read_signer(key)
    (result,) = scene.export_all(plan=ExportPlan(signing_key=signer.public_hex), signer=signer).results
    other = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(ExportBroken, match="is not of the key given"):
        verify(result.folder, other)
    (result.folder / "manifest.json.sig").unlink()
    with pytest.raises(ExportBroken, match=r"has no manifest\.json\.sig"):
        verify(result.folder, read_public_key(tmp_path / "public.pem"))


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        (None, 0o600, "cannot be read"),
        ("nonsense", 0o600, "is no Ed25519 key"),
        ("key", 0o644, r"can be read by others \(mode 644\); needed 600"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused(key: Path, content: str | None, mode: int, sentence: str) -> None:
    if content is None:
        key.unlink()
    elif content == "nonsense":
        key.write_text(content)
    if content is not None:
        key.chmod(mode)
    with pytest.raises(WrongUsage, match=sentence):
        signer_of(Settings(signing_key_file=str(key)))


# --- verification


@pytest.mark.parametrize(
    ("path", "change", "sentence"),
    [
        ("accounts/a1.csv", b"x", "was changed: its hash is not the manifest's"),
        ("accounts/a1.csv", None, "is missing"),
        ("accounts/zz.csv", b"x", "is not in the manifest; somebody put it there"),
        ("manifest.json", b"{}", "is not the one that _SUCCESS names"),
    ],
)
def test_what_was_changed_is_found(scene: Scene, path: str, change: bytes | None, sentence: str) -> None:
    (result,) = scene.export_all().results
    if change is None:
        (result.folder / path).unlink()
    else:
        (result.folder / path).write_bytes(change)
    with pytest.raises(ExportBroken, match=sentence):
        verify(result.folder)


@pytest.mark.parametrize(
    ("path", "old", "new", "sentence"),
    [
        ("accounts/a1.csv", b"sell,AAA,s1,3", b"sell,AAA,s1,4", "the lots by sell a1-sell come to 3, needed 4"),
        (
            "accounts/a1.csv",
            b",30.75,",
            b",31.75,",
            "the dollars of sell orders come to 93.25, the manifest says 92.25",
        ),
        ("allocations.csv", b",3,30.75", b",2,30.75", "the allocations by block"),
    ],
)
def test_what_does_not_add_up_is_found_though_every_hash_is_right(
    scene: Scene, path: str, old: bytes, new: bytes, sentence: str
) -> None:
    (result,) = scene.export_all().results
    file = result.folder / path
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, new, 1))
    manifest = json.loads((result.folder / "manifest.json").read_text())
    for entry in manifest["files"]:
        entry["sha256"] = hashlib.sha256((result.folder / entry["path"]).read_bytes()).hexdigest()
    text = json.dumps(manifest).encode()
    (result.folder / "manifest.json").write_bytes(text)
    (result.folder / "_SUCCESS").write_text(f"{hashlib.sha256(text).hexdigest()}  manifest.json\n")
    with pytest.raises(ExportBroken, match=sentence):
        verify(result.folder)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"format": "trimtab-export/1"}', '{"format": "trimtab-export/1", "files": [1]}']
)
def test_a_manifest_that_is_none_is_a_sentence(scene: Scene, text: str) -> None:
    (result,) = scene.export_all().results
    (result.folder / "manifest.json").write_text(text)
    (result.folder / "_SUCCESS").write_text(f"{hashlib.sha256(text.encode()).hexdigest()}  manifest.json\n")
    with pytest.raises(ExportBroken):
        verify(result.folder)


def test_a_link_in_a_folder_is_found(scene: Scene, tmp_path: Path) -> None:
    (result,) = scene.export_all().results
    (result.folder / "more").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ExportBroken, match=r"more of .* is a link"):
        verify(result.folder)


def test_a_folder_that_is_not_whole_yet_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"has no manifest\.json"):
        verify(tmp_path)


# --- cut-offs and custodians


def late_scene(home: Path) -> Scene:
    """As the scene, with a cut-off an hour after the night."""
    return Scene(home).prepare(cut_offs={"Acme, Inc": NOW + timedelta(hours=1)})


def test_before_the_cut_off_orders_leave(tmp_path: Path) -> None:
    (result,) = late_scene(tmp_path).export_all(NOW + timedelta(minutes=59)).results
    assert result.account_count == 3


def test_after_the_cut_off_nothing_leaves_and_it_says_so(tmp_path: Path) -> None:
    scene = late_scene(tmp_path)
    done = scene.export_all(NOW + timedelta(hours=1))
    assert done.results == ()
    assert done.held_back["reason"].unique().to_list() == ["the cut-off of Acme, Inc was at 2026-03-03 02:00 UTC"]
    assert not scene.exports.exists()


def test_what_left_in_time_is_entered_after_the_cut_off(tmp_path: Path) -> None:
    scene = late_scene(tmp_path)
    with pytest.raises(Interrupted):
        scene.export_all(NOW, checkpoint=crash_at(POINTS.index("renamed"), interrupt))
    (result,) = scene.export_all(NOW + timedelta(hours=2)).results
    assert result.account_count == 3


def test_custodians_whose_orders_go_to_different_places_leave_apart(tmp_path: Path) -> None:
    scene = Scene(tmp_path, custodians={"a2": "Beta"}).prepare()
    places = (
        Delivery(name="acme", url="/drop/acme", custodians=("Acme, Inc",)),
        Delivery(name="archive", url="/drop/all"),
    )
    results = scene.export_all(deliveries=places).results
    accounts = [sorted(path.stem for path in (result.folder / "accounts").iterdir()) for result in results]
    assert accounts == [["-a3", "a1"], ["a2"]]
    plans = [ExportPlan.parse(row.plan) for row in scene.ledger.exports.exports_of(RUN)]
    assert [(plan.custodians, plan.deliveries) for plan in plans] == [
        (("Acme, Inc",), ("acme", "archive")),
        (("Beta",), ("archive",)),
    ]


def test_one_custodians_orders_can_leave_alone_and_one_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path, custodians={"a2": "Beta"}).prepare()
    (result,) = scene.export_all(custodians=["Beta"]).results
    assert [path.stem for path in (result.folder / "accounts").iterdir()] == ["a2"]
    with pytest.raises(
        WrongUsage, match="nothing was ever proposed for the custodian beta\n\nHint: there are Acme, Inc, Beta"
    ):
        scene.export_all(custodians=["beta"])


def test_an_export_that_was_begun_is_finished_whosever_orders_are_asked_for(tmp_path: Path) -> None:
    scene = Scene(tmp_path, custodians={"a2": "Beta"}).prepare()
    places = (Delivery(name="acme", url="/drop/acme", custodians=("Acme, Inc",)),)
    with pytest.raises(Interrupted):
        scene.export_all(checkpoint=crash_at(0, interrupt))
    (result,) = scene.export_all(deliveries=places, custodians=["Beta"]).results
    assert result.account_count == 3
    assert scene.ledger.exports.open_export(RUN) is None


def test_a_place_for_a_profile_gets_no_export_that_lacks_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path, custodians={"a2": "Beta"}).prepare()
    lines = LINES.model_copy(update={"custodians": ("Beta",)})
    places = (
        Delivery(name="desk", url="/drop/desk", profile="lines"),
        Delivery(name="acme", url="/drop/acme", custodians=("Acme, Inc",)),
    )
    scene.export_all(plan=ExportPlan(profiles=(lines,)), deliveries=places)
    plans = {
        plan.custodians: plan.deliveries
        for row in scene.ledger.exports.exports_of(RUN)
        for plan in [ExportPlan.parse(row.plan)]
    }
    assert plans == {("Acme, Inc",): ("acme",), ("Beta",): ("desk",)}


def test_without_places_of_their_own_all_custodians_leave_together(tmp_path: Path) -> None:
    scene = Scene(tmp_path, custodians={"a2": "Beta"}).prepare()
    (result,) = scene.export_all(deliveries=(Delivery(name="archive", url="/drop/all"),)).results
    assert result.account_count == 3


def test_a_custodian_that_a_place_misspells_is_told_and_so_are_orders_without_a_place(tmp_path: Path) -> None:
    scene = Scene(tmp_path).prepare()
    places = (Delivery(name="acme", url="/drop/acme", custodians=("Acme Inc",)),)
    done = scene.export_all(deliveries=places)
    assert done.notices == (
        "the delivery acme is for Acme Inc, for whom nothing was ever proposed; there are Acme, Inc",
        f"{RUN}-export-1 goes to no place: no delivery takes the orders of all its custodians",
    )
    assert not scene.export_all(deliveries=places).results

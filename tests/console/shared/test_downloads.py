"""Files of an export are handed to operators alone, byte for byte, and nothing that the export does not have."""

import hashlib
from datetime import date
from urllib.parse import quote

import pytest

from console.shared.downloads import download_link, export_files
from tasks.export import final_folder
from tasks.export.release import export_approved
from tasks.runtime.stores import utc_now
from tests.support.console_scene import Api, sign_in
from warehouse.ledger import Decision, ExportRow

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1


@pytest.fixture
def export(api: Api) -> ExportRow:
    rows = api.waiting.filter(approvals_needed=1)
    alone = rows.filter(rows["household_id"].is_null()).head(3)
    ledger = api.backend.ledger
    ledger.decisions.decide(alone["proposal_id"], decision=Decision.APPROVE, actor="bob", now=utc_now())
    (done,) = export_approved(api.backend.settings, actor="rex").results
    found = ledger.deliveries.export_named(done.export_id)
    assert found is not None
    return found


def test_a_releaser_downloads_every_file_byte_for_byte(api: Api, export: ExportRow) -> None:
    assert export.actor == "rex"
    assert sign_in(api.client, "rex").status_code == 303
    files = export_files(export)
    on_disk = {
        path.relative_to(final_folder(export)).as_posix() for path in final_folder(export).rglob("*") if path.is_file()
    }
    assert {one["path"] for one in files} == on_disk
    for one in files:
        answer = api.client.get(download_link(export.export_id, one["path"]))
        assert answer.status_code == 200
        assert answer.content == (final_folder(export) / one["path"]).read_bytes()
        assert "attachment" in answer.headers["content-disposition"]
        if one["sha256"]:
            assert hashlib.sha256(answer.content).hexdigest() == one["sha256"]


@pytest.mark.parametrize("who", ["vic", "bob", "sam"])
def test_others_are_refused(api: Api, export: ExportRow, who: str) -> None:
    link = download_link(export.export_id, "manifest.json")
    assert api.client.get(link, headers={"accept": "*/*"}).status_code == 401
    sign_in(api.client, who)
    answer = api.client.get(link)
    assert answer.status_code == 403
    assert "manifest" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "../../../ledger.sqlite",
        "..%2f..%2f..%2fledger.sqlite",
        "/etc/passwd",
        "accounts",
        "",
        "manifest.json\x00",
        "nothing.csv",
    ],
)
def test_nothing_but_the_exports_own_files_is_handed_out(api: Api, export: ExportRow, path: str) -> None:
    sign_in(api.client, "rex")
    answer = api.client.get(f"/download/{export.export_id}/{quote(path, safe='/%')}")
    assert answer.status_code in {404, 307}
    assert b"SQLite" not in answer.content
    assert api.client.get(f"/download/no-such/{quote('manifest.json')}").status_code == 404


def test_an_export_whose_folder_is_gone_has_no_files(export: ExportRow) -> None:
    final_folder(export).rename(final_folder(export).with_name("moved"))
    assert export_files(export) == []
    assert isinstance(date.fromisoformat(final_folder(export).parent.name), date)

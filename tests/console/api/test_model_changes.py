"""Model changes over the API: read, decided exactly as looked at, by whom may, and by nobody who sees some custodians only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.enums import Scope
from tests.support.console_scene import Api, api_on
from tests.support.home_copy import copy_home
from tests.support.profile_scene import profiled_home

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return profiled_home(tmp_path_factory.mktemp("profiled")).home


@pytest.fixture
def api(home: Path, tmp_path: Path) -> Iterator[Api]:
    copy_home(home, tmp_path / "home")
    (tmp_path / "home" / "trimtab.toml").touch()
    yield from api_on(tmp_path / "home")


def changes(api: Api, headers: dict[str, str], **query: Any) -> dict[str, dict[str, Any]]:
    answer = api.client.get("/api/model-changes", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return {one["subject_id"]: one for one in answer.json()["model_changes"]}


def say(
    api: Api, change: dict[str, Any], headers: dict[str, str], decision: str, note: str = "", *, etag: str = ""
) -> Any:
    return api.client.post(
        f"/api/model-changes/{change['change_id']}/decisions",
        json={"decision": decision, "note": note},
        headers={**headers, "if-match": etag or change["etag"]},
    )


def test_what_waits_is_told_with_its_reason_tax_and_cost(api: Api) -> None:
    headers = api.token("vic", Scope.PROPOSALS_READ)
    found = changes(api, headers)
    assert {name: (one["subject_kind"], one["from_model_id"], one["to_model_id"]) for name, one in found.items()} == {
        "H1": ("household", "growth", "income"),
        "A3": ("account", "income", "growth"),
    }
    stored = {row["subject_id"]: row for row in api.backend.ledger.model_changes.model_changes().to_dicts()}
    for name, one in found.items():
        assert float(one["est_tax_usd"]) == pytest.approx(float(stored[name]["est_tax_usd"]))
        assert float(one["est_cost_usd"]) > 0
        assert (one["reason"], one["order_count"]) == (stored[name]["reason"], stored[name]["order_count"])
    detail = api.client.get(f"/api/model-changes/{found['A3']['change_id']}", headers=headers)
    assert detail.json() == {"change": found["A3"], "decisions": []}
    assert detail.headers["etag"] == found["A3"]["etag"]
    assert changes(api, headers, state="approved") == {}
    assert api.client.get("/api/model-changes/ffffffff", headers=headers).status_code == 404


def test_a_decision_is_of_what_was_looked_at_and_is_recorded(api: Api) -> None:
    headers = api.token("bob")
    one = changes(api, headers)["A3"]
    path = f"/api/model-changes/{one['change_id']}/decisions"
    assert api.client.post(path, json={"decision": "approve"}, headers=headers).status_code == 428
    assert say(api, one, headers, "approve", etag='"other"').status_code == 412
    assert say(api, one, headers, "reject").status_code == 409  # a rejection needs a note
    assert say(api, one, headers, "hold").status_code == 409
    done = say(api, one, headers, "approve", "as the client asked")
    assert (done.status_code, done.json()["change"]["state"]) == (200, "approved")
    (said,) = done.json()["decisions"]
    assert (said["actor"], said["decision"], said["note"]) == ("bob", "approve", "as the client asked")
    assert say(api, one, headers, "reject", "too late").status_code == 412
    assert list(changes(api, headers, state=["approved", "rejected"])) == ["A3"]
    after = done.json()["change"]
    back = say(api, after, headers, "withdraw", "the client called")
    assert (back.status_code, back.json()["change"]["state"]) == (200, "withdrawn")
    assert api.backend.ledger.audit.verify_audit()


def test_who_may_not_review_decides_nothing_and_who_sees_some_custodians_sees_none(api: Api) -> None:
    looking = api.token("vic")
    one = changes(api, looking)["H1"]
    assert say(api, one, looking, "approve").status_code in {403, 409}
    reading = api.token("bob", Scope.PROPOSALS_READ)
    assert say(api, one, reading, "approve").status_code == 403
    some = api.token("bob", custodians=["Acme"])
    for path in ("/api/model-changes", f"/api/model-changes/{one['change_id']}"):
        assert api.client.get(path, headers=some).status_code == 403
    assert say(api, one, some, "approve").status_code == 403
    assert changes(api, looking)["H1"]["state"] == "pending_review"

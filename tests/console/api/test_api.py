from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest

from schemas.enums import Scope
from tests.support.console_scene import Api, api_on, copied, sign_in
from tests.support.ledger_book import new_run, proposed, route
from warehouse.ledger import Ledger, Sort


def test_without_a_token_nothing_is_said(api: Api) -> None:
    for headers in (
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer trimtab_x"},
        {"authorization": "Basic Ym9i"},
    ):
        answer = api.client.get("/api/proposals", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["detail"] == "A token in force is needed."


def test_a_session_of_the_pages_is_no_token(api: Api) -> None:
    sign_in(api.client, "bob")
    assert api.client.get("/api/proposals").status_code == 401


def test_a_token_does_only_what_its_scopes_say(api: Api) -> None:
    headers = api.token("bob", Scope.RUNS_READ)
    assert api.client.get("/api/runs", headers=headers).status_code == 200
    refused = api.client.get("/api/proposals", headers=headers)
    assert (refused.status_code, refused.json()["detail"]) == (403, "This token lacks the scope proposals:read.")
    one = api.waiting["proposal_id"][0]
    writing = api.client.post(f"/api/proposals/{one}/decisions", json={"decision": "approve"}, headers=headers)
    assert writing.status_code == 403


def test_a_token_is_over_after_its_time_when_revoked_and_when_its_owner_lost_their_roles(api: Api) -> None:
    ledger, now = api.backend.ledger, api.backend.now()
    admin = next(user.name for user in ledger.users.list_users() if "admin" in user.roles)
    late = api.token("bob")
    (row,) = ledger.access.list_tokens("bob")
    assert ledger.access.token_of("x", now) is None
    assert api.client.get("/api/me", headers=late).json()["name"] == "bob"
    ledger.access.revoke_token(row.token_id, actor="bob", now=now)
    assert api.client.get("/api/me", headers=late).status_code == 401
    other = api.token("cat")
    ledger.users.set_roles("cat", [], actor=admin, now=now)
    assert api.client.get("/api/me", headers=other).status_code == 401


def test_runs_are_told_with_their_counts(api: Api) -> None:
    headers = api.token("vic")
    (run,) = api.client.get("/api/runs", headers=headers).json()["runs"]
    assert (run["kind"], run["state"], run["as_of_date"]) == ("nightly", "done", "2022-12-28")
    assert run["counts"]["accounts"] == run["accounts_pulled"]
    assert api.client.get(f"/api/runs/{run['run_id']}", headers=headers).json() == run
    assert api.client.get("/api/runs/none", headers=headers).status_code == 404


@pytest.mark.parametrize("sort", list(Sort))
def test_pages_hold_every_proposal_once_in_every_order(api: Api, sort: Sort) -> None:
    headers = api.token("vic")
    found: list[dict[str, Any]] = []
    query = {"sort": str(sort), "limit": "37"}
    while True:
        page = api.client.get("/api/proposals", params=query, headers=headers).json()
        found += page["proposals"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    ids = [one["proposal_id"] for one in found]
    assert sorted(ids) == sorted(api.waiting["proposal_id"].to_list())
    if sort is Sort.VALUE:
        values = [Decimal(one["gross_value_usd"]) for one in found]
        assert values == sorted(values, reverse=True)


def test_a_cursor_of_another_filter_or_order_is_refused(api: Api) -> None:
    headers = api.token("vic")
    page = api.client.get("/api/proposals", params={"limit": 3}, headers=headers).json()
    for query in ({"sort": "tax"}, {"filter": "held=no"}):
        answer = api.client.get("/api/proposals", params={**query, "cursor": page["next_cursor"]}, headers=headers)
        assert answer.status_code == 400
    for cursor in ("x", "AAAA", "W10", "eyJhIjoxfQ", "bnVsbA"):
        assert api.client.get("/api/proposals", params={"cursor": cursor}, headers=headers).status_code == 400


def test_a_filter_is_that_of_the_command_line(api: Api) -> None:
    headers = api.token("vic")
    query = {"filter": "custodian=northbank,min_value=20000", "limit": 500}
    found = api.client.get("/api/proposals", params=query, headers=headers).json()["proposals"]
    expected = [
        row["proposal_id"]
        for row in api.waiting.iter_rows(named=True)
        if row["custodian"] == "northbank" and row["gross_value_usd"] >= 20_000
    ]
    assert 0 < len(found) < api.waiting.height
    assert sorted(one["proposal_id"] for one in found) == sorted(expected)
    wrong = api.client.get("/api/proposals", params={"filter": "colour=red"}, headers=headers)
    assert (wrong.status_code, wrong.json()["detail"][:30]) == (422, "A filter knows no 'colour'. It")


def test_a_proposal_is_told_with_its_orders_and_their_lots(api: Api) -> None:
    headers = api.token("vic")
    found = 0
    for one in api.waiting["proposal_id"][:8]:
        body, etag = api.detail(one, headers)
        assert body["proposal"]["etag"] == etag
        assert len(body["orders"]) == body["proposal"]["order_count"]
        total = sum(Decimal(order["value_usd"]) for order in body["orders"])
        assert total == Decimal(body["proposal"]["gross_value_usd"])
        for order in body["orders"]:
            if order["side"] == "sell":
                found += 1
                assert sum(Decimal(lot["quantity"]) for lot in order["lots"]) == Decimal(order["quantity"])
    assert found


def single(api: Api) -> list[str]:
    """Proposals that one approval is enough for."""
    return [row["proposal_id"] for row in api.waiting.iter_rows(named=True) if row["approvals_needed"] == 1]


def double(api: Api) -> list[str]:
    return [row["proposal_id"] for row in api.waiting.iter_rows(named=True) if row["approvals_needed"] == 2]


def test_a_decision_names_what_was_looked_at(api: Api) -> None:
    headers, one = api.token("bob"), single(api)[0]
    _, etag = api.detail(one, headers)
    path = f"/api/proposals/{one}/decisions"
    assert api.client.post(path, json={"decision": "approve"}, headers=headers).status_code == 428
    assert api.decide(one, "approve", headers, etag='"other-1"').status_code == 412
    held = api.decide(one, "hold", headers, etag=etag)
    assert held.json()["held_by"] == "bob"
    assert api.decide(one, "approve", headers, etag=etag).status_code == 412
    done = api.decide(one, "approve", headers, etag=held.headers["etag"])
    assert (done.status_code, done.json()["state"]) == (200, "approved")
    again = api.decide(one, "approve", headers, etag=done.headers["etag"])
    assert (again.status_code, again.json()["title"]) == (409, "Conflict")
    assert "is approved; to approve it, it must be pending_review" in again.json()["detail"]


def test_the_same_person_does_not_make_four_eyes(api: Api) -> None:
    bob, cat, one = api.token("bob"), api.token("cat"), double(api)[0]
    first = api.decide(one, "approve", bob)
    assert first.json()["state"] == "pending_review"
    twice = api.decide(one, "approve", bob)
    assert twice.status_code == 409
    assert "already approved by bob; a second person is needed" in twice.json()["detail"]
    another_token = api.token("bob")
    assert api.decide(one, "approve", another_token).status_code == 409
    assert api.decide(one, "approve", cat).json()["state"] == "approved"


def test_nobody_approves_what_they_submitted(api: Api) -> None:
    route(api.backend.ledger, "own", ["z1"], day=2, submitter="sam", now=api.backend.now())
    own = "own.z1"
    sam, bob = api.token("sam"), api.token("bob")
    etag = api.client.get("/api/proposals", params={"filter": "run=own"}, headers=sam).json()["proposals"][0]["etag"]
    refused = api.decide(own, "approve", sam, etag=etag)
    assert refused.status_code == 409
    assert "was submitted by sam; another person must approve it" in refused.json()["detail"]
    assert api.decide(own, "approve", bob, etag=etag).status_code == 200


@pytest.mark.parametrize("name", ["vic", "rex"])
def test_who_may_not_review_decides_nothing_with_any_token(api: Api, name: str) -> None:
    headers = api.token(name)
    one = single(api)[0]
    refused = api.decide(one, "approve", headers)
    assert refused.status_code == 409
    assert "has the role" in refused.json()["detail"]
    assert api.detail(one, headers)[0]["proposal"]["state"] == "pending_review"


def test_a_superseded_version_is_not_decided(api: Api) -> None:
    headers, one = api.token("bob"), single(api)[0]
    body, etag = api.detail(one, headers)
    account = body["proposal"]["account_id"]
    ledger: Ledger = api.backend.ledger
    ledger.runs.start_run(new_run("newer", day=2), api.backend.now())
    ledger.proposals.route_proposals("newer", proposed("newer", [account]), pl.Series([account]), api.backend.now())
    late = api.decide(one, "approve", headers, etag=etag)
    assert late.status_code == 412
    fresh = api.decide(one, "approve", headers)
    assert fresh.status_code == 409
    assert "is superseded" in fresh.json()["detail"]


def test_many_are_decided_together_or_what_can_be(api: Api) -> None:
    headers, ids = api.token("bob"), single(api)[:4]
    etags = {one: api.detail(one, headers)[1] for one in ids}
    api.decide(ids[0], "reject", headers, note="too large")
    body = {"decision": "approve", "proposals": [{"proposal_id": one, "etag": etags[one]} for one in ids]}
    refused = api.client.post("/api/decisions", json=body, headers=headers)
    assert refused.status_code == 409
    assert "1 of 4" in refused.json()["detail"]
    assert api.detail(ids[1], headers)[0]["proposal"]["state"] == "pending_review"
    taken = api.client.post("/api/decisions", json={**body, "is_all_or_none": False}, headers=headers).json()
    assert taken["states"] == dict.fromkeys(ids[1:], "approved")
    assert list(taken["refused"]) == [ids[0]]


def test_an_order_is_dropped_through_the_api_and_the_version_waits_for_somebody_else(api: Api) -> None:
    bob, cat = api.token("bob"), api.token("cat")
    for one in single(api):
        body, etag = api.detail(one, bob)
        buys = [order for order in body["orders"] if order["side"] == "buy"]
        if len(buys) > 1:
            wanted = {"orders": [{"order_id": buys[0]["order_id"], "quantity": "0"}], "note": "none of it"}
            path = f"/api/proposals/{one}/amendments"
            answer = api.client.post(path, json=wanted, headers={**bob, "if-match": etag})
            if answer.status_code == 200:
                break
            assert "with its household" in answer.json()["detail"]
    new = answer.json()
    assert (new["version"], new["replaces"], new["state"]) == (2, one, "pending_review")
    assert new["order_count"] == len(body["orders"]) - 1
    assert answer.headers["etag"] == new["etag"] != etag
    kept = api.detail(new["proposal_id"], bob)[0]["orders"]
    assert buys[0]["order_id"] not in {order["order_id"] for order in kept}
    assert api.decide(new["proposal_id"], "approve", bob).status_code == 409
    assert api.decide(new["proposal_id"], "approve", cat).json()["state"] == "approved"
    assert api.client.post(path, json=wanted, headers=bob).status_code == 428
    assert api.client.post(path, json=wanted, headers={**bob, "if-match": etag}).status_code == 412


def test_an_order_named_twice_says_nothing_of_what_is_wanted(api: Api) -> None:
    headers, one = api.token("bob"), single(api)[0]
    body, etag = api.detail(one, headers)
    name, path = body["orders"][0]["order_id"], f"/api/proposals/{one}/amendments"
    wanted = {"orders": [{"order_id": name, "quantity": quantity} for quantity in ("0", "1")], "note": "either"}
    answer = api.client.post(path, json=wanted, headers={**headers, "if-match": etag})
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "An order is named twice; say once what is to become of it.",
    )
    assert api.detail(one, headers)[1] == etag


@pytest.mark.parametrize("etag", ["x", '"-1"', '""', "W/"])
def test_an_etag_that_is_none_fits_nothing(api: Api, etag: str) -> None:
    headers, one = api.token("bob"), single(api)[0]
    body = {"decision": "approve", "is_all_or_none": False, "proposals": [{"proposal_id": one, "etag": etag}]}
    answer = api.client.post("/api/decisions", json=body, headers=headers).json()
    assert answer["states"] == {}
    assert "has changed since it was looked at" in answer["refused"][one]


def test_a_token_of_one_custodian_sees_and_decides_no_other(api: Api) -> None:
    rows = api.waiting
    mine = rows.filter(rows["custodian"] == "northbank")["proposal_id"][0]
    other = rows.filter(rows["custodian"] != "northbank")["proposal_id"][0]
    narrow, wide = api.token("bob", custodians=["northbank"]), api.token("bob")
    _, etag = api.detail(other, wide)
    assert api.detail(mine, narrow)[0]["proposal"]["custodian"] == "northbank"
    hidden = api.client.get(f"/api/proposals/{other}", headers=narrow)
    missing = api.client.get("/api/proposals/nothing", headers=narrow)
    assert hidden.status_code == missing.status_code == 404
    assert hidden.json()["detail"].replace(other, "") == missing.json()["detail"].replace("nothing", "")
    assert api.decide(other, "approve", narrow, etag=etag).status_code == 404
    body = {"decision": "approve", "proposals": [{"proposal_id": other, "etag": etag}], "is_all_or_none": False}
    assert api.client.post("/api/decisions", json=body, headers=narrow).status_code == 404
    for text in ("", "custodian=harbor", "state=any"):
        query = {"filter": text, "limit": 500}
        found = api.client.get("/api/proposals", params=query, headers=narrow).json()["proposals"]
        assert {one["custodian"] for one in found} <= {"northbank"}
    run_id = rows["run_id"][0]
    assert api.client.get(f"/api/runs/{run_id}/exports", headers=narrow).status_code == 403
    assert api.client.get("/api/runs", headers=narrow).status_code == 403
    assert api.detail(other, wide)[0]["proposal"]["state"] == "pending_review"


@pytest.mark.parametrize(
    "name", ["' OR '1'='1", "%", "_", "../../etc/passwd", "<script>alert(1)</script>", "\u202e", "x" * 128]
)
def test_odd_names_find_nothing(api: Api, name: str) -> None:
    headers = api.token("bob")
    answer = api.client.get(f"/api/proposals/{quote(name, safe='')}", headers=headers)
    assert answer.status_code == 404
    assert answer.headers["content-type"] in {"application/problem+json", "application/json"}


def test_what_the_body_does_not_know_is_refused(api: Api) -> None:
    headers, one = api.token("bob"), single(api)[0]
    body = {"decision": "approve", "actor": "cat"}
    answer = api.client.post(f"/api/proposals/{one}/decisions", json=body, headers={**headers, "if-match": "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "body.actor"


def test_metrics_count_and_name_nobody(api: Api) -> None:
    text = api.client.get("/metrics").text
    assert f'trimtab_proposals{{state="pending_review"}} {api.waiting.height}.0' in text
    assert "trimtab_halted 0.0" in text
    for secret in ("bob", "northbank", api.waiting["account_id"][0]):
        assert secret not in text


def test_health_is_that_of_the_ledger(api: Api) -> None:
    assert api.client.get("/healthz").json() == {"status": "ok"}


@pytest.fixture
def gone(night_home: Path, tmp_path: Path) -> Iterator[Api]:
    yield from api_on(copied(night_home, tmp_path / "gone"))


def test_an_expired_proposal_is_refused_in_words(gone: Api) -> None:
    headers, one = gone.token("bob"), single(gone)[0]
    _, etag = gone.detail(one, headers)
    gone.backend.ledger.proposals.expire(gone.backend.now() + timedelta(hours=21))
    assert gone.decide(one, "approve", headers, etag=etag).status_code == 412

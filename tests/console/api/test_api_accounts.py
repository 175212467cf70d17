"""Accounts, households, orders and operations by REST: as the lake has them, by scope and role, decimal strings, lists as lists."""

import re
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from flows.commands.status import RUN
from schemas.enums import Scope
from schemas.errors import ExitCode
from tests.support.console_scene import Api, api_on, copied

Json = dict[str, Any]
PATIENCE_SECONDS: Final = 120


@pytest.fixture(scope="module")
def seen(night_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """For what changes nothing."""
    yield from api_on(copied(night_home, tmp_path_factory.mktemp("seen") / "home"))


def got(api: Api, path: str, headers: dict[str, str] | None = None, **query: Any) -> Json:
    answer = api.client.get(f"/api{path}", headers=headers or api.token("vic"), params=query)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def every(api: Api, path: str, name: str, **query: Any) -> list[Json]:
    """All pages of a list."""
    headers, rows, cursor = api.token("vic"), [], None
    while True:
        page = got(api, path, headers, **query, **({"cursor": cursor} if cursor else {}))
        rows += page[name]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows


def row_of(api: Api) -> Json:
    return api.waiting.drop_nulls("household_id").sort("account_id").row(0, named=True)


def test_every_account_is_listed_once_with_what_the_run_made_of_it(seen: Api) -> None:
    run_id = row_of(seen)["run_id"]
    rows = every(seen, "/accounts", "accounts", limit=70)
    lake = seen.backend.lake
    outcomes, drift = lake.read("account_outcomes", run_id), lake.read("account_drift", run_id)
    assert {(one["account_id"], one["outcome"], "|".join(one["reasons"])) for one in rows} == set(outcomes.rows())
    assert len(rows) == outcomes.height
    assert [one["account_id"] for one in rows] == sorted(one["account_id"] for one in rows)
    told = {one["account_id"]: (one["nav_usd"], one["one_way_drift"]) for one in rows if one["nav_usd"]}
    assert told == {
        name: (str(nav), moved)
        for name, nav, moved in drift.drop_nulls("nav_usd").select("account_id", "nav_usd", "one_way_drift").rows()
    }
    proposed = every(seen, "/accounts", "accounts", outcome="proposed")
    assert {one["account_id"] for one in proposed} == set(outcomes.filter(outcome="proposed")["account_id"])


def test_holdings_and_cash_of_an_account_are_what_was_landed(seen: Api) -> None:
    row = row_of(seen)
    name = row["account_id"]
    found = got(seen, f"/accounts/{name}/holdings")["holdings"]
    lots = seen.backend.lake.read_account("landed_lots", row["run_id"], name)
    assert {(held["security_id"], lot["lot_id"], lot["quantity"]) for held in found for lot in held["lots"]} == {
        (security, lot, str(quantity))
        for security, lot, quantity in lots.select("security_id", "lot_id", "quantity").rows()
    }
    detail = got(seen, f"/accounts/{name}")
    cash = seen.backend.lake.read_account("landed_cash", row["run_id"], name)
    assert detail["cash"]["settled_usd"] == str(cash["settled_usd"][0])
    drift = seen.backend.lake.read_account("drift", row["run_id"], name)
    assert {(one["asset_class"], one["value_usd"], one["drift"]) for one in detail["classes"]} == {
        (asset_class, str(value), drifted)
        for asset_class, value, drifted in drift.select("asset_class", "value_usd", "drift").rows()
    }
    (night,) = got(seen, f"/accounts/{name}/nights")["nights"]
    assert (night["run_id"], night["outcome"]) == (row["run_id"], "proposed")


def test_households_are_listed_with_their_accounts_and_shown_side_by_side(seen: Api) -> None:
    row = row_of(seen)
    landed = seen.backend.lake.read("landed_accounts", row["run_id"]).drop_nulls("household_id").unique("account_id")
    rows = every(seen, "/households", "households", limit=9)
    assert {one["household_id"]: one["account_count"] for one in rows} == dict(
        landed["household_id"].value_counts().iter_rows()
    )
    shown = got(seen, f"/households/{row['household_id']}")
    assert shown["account_count"] == len(shown["accounts"])
    assert row["proposal_id"] in {one["proposal_id"] for one in shown["accounts"]}


def test_every_order_that_was_proposed_is_listed_once(seen: Api) -> None:
    row = row_of(seen)
    orders = seen.backend.lake.read("orders", row["run_id"])
    rows = every(seen, "/orders", "orders", limit=83)
    assert sorted((one["order_id"], one["quantity"], one["value_usd"]) for one in rows) == sorted(
        (name, str(quantity), str(value))
        for name, quantity, value in orders.select("order_id", "quantity", "value_usd").rows()
    )
    own = every(seen, "/orders", "orders", account=row["account_id"])
    assert {one["order_id"] for one in own} == set(orders.filter(account_id=row["account_id"])["order_id"])


def test_a_token_of_one_custodian_sees_its_accounts_alone(seen: Api) -> None:
    landed = seen.backend.lake.read("landed_accounts", row_of(seen)["run_id"]).sort("account_id")
    mine, other = (landed.filter(custodian=name)["account_id"][0] for name in ("harbor", "lakeside"))
    headers = seen.token("vic", custodians=["harbor"])
    for path in ("", "/holdings", "/nights"):
        assert seen.client.get(f"/api/accounts/{mine}{path}", headers=headers).status_code == 200
        refused = seen.client.get(f"/api/accounts/{other}{path}", headers=headers)
        assert (refused.status_code, refused.json()["detail"]) == (404, f"No run has an account {other}.")
    for path in ("/accounts", "/households", "/orders"):
        assert seen.client.get(f"/api{path}", headers=headers).status_code == 403


def test_nights_are_started_by_who_may_and_followed(api: Api) -> None:
    wanted = {"as_of_date": "2022-12-28", "kind": "check"}
    for who, scopes, status in (("bob", list(Scope), 409), ("rex", [Scope.RUNS_READ], 403)):
        answer = api.client.post("/api/runs", json=wanted, headers=api.token(who, *scopes))
        assert answer.status_code == status, answer.text
    assert api.backend.ledger.jobs.list_jobs() == []
    headers = api.token("rex")
    elsewhere = api.client.post("/api/runs", json={**wanted, "source": ["/etc"]}, headers=headers)
    assert elsewhere.status_code == 409
    asked = api.client.post("/api/runs", json=wanted, headers=headers)
    assert (asked.status_code, asked.json()["kind"], asked.json()["actor"]) == (202, "check", "rex")
    path, end = f"/jobs/{asked.json()['job_id']}", time.monotonic() + PATIENCE_SECONDS
    while got(api, path, headers)["finished_at"] is None and time.monotonic() < end:
        time.sleep(0.5)
    done = got(api, path, headers)
    assert done["exit_code"] == ExitCode.INPUT_REFUSED  # the copy has no files to look at
    assert done["told"]
    assert api.client.get("/api/jobs/99", headers=headers).status_code == 404
    run_id = row_of(api)["run_id"]
    nothing = api.client.post("/api/runs/zebra/resumption", json={"note": "so"}, headers=headers)
    assert nothing.status_code == 404
    assert api.client.post(f"/api/runs/{run_id}/resumption", json={}, headers=headers).status_code == 422


def test_a_halt_is_thrown_and_lifted_with_notes_by_who_may(api: Api) -> None:
    headers, note = api.token("rex"), {"note": "a wrong price"}
    assert api.client.post("/api/halt", json=note, headers=api.token("bob")).status_code == 409
    assert got(api, "/halt", headers)["is_halted"] is False
    assert api.client.post("/api/halt/lift", json=note, headers=headers).status_code == 409
    told = api.client.post("/api/halt", json=note, headers=headers).json()
    assert (told["is_halted"], told["actor"], told["note"]) == (True, "rex", "a wrong price")
    resumed = api.client.post(f"/api/runs/{row_of(api)['run_id']}/resumption", json=note, headers=headers)
    assert resumed.status_code == 409
    assert api.client.post("/api/halt/lift", json={"note": "mended"}, headers=headers).json()["is_halted"] is False
    rows = [row for row in api.backend.ledger.audit.audit_rows() if "halt" in row.event]
    assert {row.actor for row in rows} == {"rex"}


def test_amounts_and_quantities_are_described_as_strings(seen: Api) -> None:
    described = seen.client.get("/openapi.json").json()["components"]["schemas"]
    wrong = []
    for name, model in described.items():
        for field, said in model.get("properties", {}).items():
            kinds = {one.get("type") for one in said.get("anyOf", [said])} - {"null"}
            if (field.endswith("_usd") or "quantity" in field) and name.endswith("Out") and kinds != {"string"}:
                wrong.append(f"{name}.{field}")
    assert wrong == []


def test_no_answer_joins_words_by_a_bar(seen: Api) -> None:
    row = row_of(seen)
    paths = ["/runs", "/proposals", "/accounts", "/households", "/orders", f"/proposals/{row['proposal_id']}"]
    paths += [f"/accounts/{row['account_id']}{end}" for end in ("", "/holdings", "/nights")]
    paths += [f"/households/{row['household_id']}"]
    for path in paths:
        text = str(got(seen, path))
        assert re.findall(r"'\w+(?:\|\w+)+'", text) == [], path


def test_the_command_line_prints_a_run_as_it_is_given_here(seen: Api) -> None:
    (run,) = got(seen, "/runs")["runs"]
    assert set(RUN) == run.keys()


def test_the_book_by_model_comes_to_its_accounts(seen: Api) -> None:
    """Added up here from the list of accounts, which reads the lake by another statement."""
    expected: dict[str, list[Json]] = {}
    for one in every(seen, "/accounts", "accounts"):
        expected.setdefault(one["model_id"] or "not known", []).append(one)
    (night,) = got(seen, "/book", by="custodian")["nights"]
    assert sum(group["accounts"] for group in night["groups"]) == sum(map(len, expected.values()))
    (whole,) = got(seen, "/book", nights=1)["nights"][0]["groups"]
    measured = [one for rows in expected.values() for one in rows if one["nav_usd"] and Decimal(one["nav_usd"]) > 0]
    nav = sum(Decimal(one["nav_usd"]) for one in measured)
    assert Decimal(whole["value_usd"]) == nav
    drift = sum(Decimal(one["nav_usd"]) * Decimal(one["one_way_drift"]) for one in measured) / nav
    assert whole["one_way_drift"] == pytest.approx(float(drift), abs=1e-9)
    (classes,) = got(seen, "/book", by="class")["nights"]
    traded = sum(Decimal(group["traded_usd"]) for group in classes["groups"])
    assert traded == Decimal(whole["traded_usd"])


def test_what_waits_comes_to_the_queue_and_a_token_of_one_custodian_sees_none_of_it(seen: Api) -> None:
    waits = got(seen, "/waiting")["waits"]
    approvals = [one for one in waits if one["kind"] == "approval"]
    assert sum(one["count"] for one in approvals) == seen.waiting.height
    assert all("sam" in one["people"] and "rex" not in one["people"] for one in approvals)
    narrow = seen.token("vic", custodians=["harbor"])
    for path in ("/book", "/waiting"):
        assert seen.client.get(f"/api{path}", headers=narrow).status_code == 403


def test_models_are_their_targets_and_accounts(seen: Api) -> None:
    listed = got(seen, "/models")
    lake, run_id = seen.backend.lake, listed["run_id"]
    accounts = every(seen, "/accounts", "accounts")
    drifts = {one["account_id"]: one["one_way_drift"] for one in accounts}
    assert sum(one["accounts"] for one in listed["models"]) >= len(accounts) - 20  # some are of no known model
    largest = listed["models"][0]
    page = got(seen, f"/models/{largest['model_id']}", limit=500)
    targets = lake.read("landed_model_targets", run_id).filter(model_id=largest["model_id"])
    assert {(one["asset_class"], one["target_weight"]) for one in page["targets"]} == set(
        targets.select("asset_class", "target_weight").rows()
    )
    bands = {one["asset_class"]: one["lesser_band"] for one in page["targets"]}
    told = lake.read("drift", run_id).filter(
        pl.col("account_id").is_in([one["account_id"] for one in page["accounts"]])
    )
    for asset_class, band in told.drop_nulls("band").select("asset_class", "band").unique().rows():
        assert bands.get(asset_class) is None or bands[asset_class] == pytest.approx(band)
    assert len(page["accounts"]) == page["account_count"] == largest["accounts"]
    assert all(one["one_way_drift"] == drifts[one["account_id"]] for one in page["accounts"])
    trading = [one for one in page["accounts"] if one["proposal_id"]]
    assert page["accounts"][: len(trading)] == trading
    assert len(trading) == page["outcomes"]["proposed"] == largest["trading"]
    assert seen.client.get("/api/models/zebra", headers=seen.token("vic")).status_code == 404
    assert seen.client.get("/api/models", headers=seen.token("vic", custodians=["harbor"])).status_code == 403

"""What the API tells of orders that left, and to whom."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from console.api.cursors import write_cursor
from console.app import make_api
from console.shared.backend import Backend
from console.shared.deliveries import undelivered_count
from schemas.enums import Break, Scope
from schemas.exports import Delivery
from schemas.settings import Settings
from tests.support.after_export_scene import EXPORT, OTHER, TwoCustodians, told
from tests.support.console_scene import Api
from tests.support.export_scene import CUSTODIAN, NOW, RUN
from tests.support.fill_scene import fill

LATER = NOW + timedelta(days=3)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoCustodians]:
    desk = told(tmp_path_factory.mktemp("after"))
    block = desk.ledger.answers.sent_orders(["a2-buy"])["block_id"][0]
    desk.later(fill("e9", block, "3", side="buy"), hours=2, name="block.csv")
    desk.deliver()
    with closing(desk.ledger):
        yield desk


@pytest.fixture(scope="module")
def api(desk: TwoCustodians) -> Iterator[Api]:
    """Three days on; nothing changes what it shows."""
    backend = Backend(Settings(home=desk.home, deliveries=desk.places), desk.ledger, now=lambda: LATER)
    with TestClient(make_api(backend)) as client:
        yield Api(backend, client)


@pytest.fixture(scope="module")
def wide(api: Api) -> dict[str, str]:
    return api.token("ops")


@pytest.fixture(scope="module")
def narrow(api: Api) -> dict[str, str]:
    return api.token("ops", custodians=[OTHER])


def got(api: Api, headers: dict[str, str], path: str, **query: Any) -> Any:
    answer = api.client.get(f"/api/{path}", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(api: Api, headers: dict[str, str], path: str = "fills", **query: Any) -> list[str]:
    return [one["order_id"] for one in got(api, headers, path, **query)[path]]


def test_an_order_that_left_is_told_with_exact_amounts(api: Api, wide: dict[str, str]) -> None:
    (one,) = (one for one in got(api, wide, "fills")["fills"] if one["order_id"] == "a1-sell")
    assert one == {
        "order_id": "a1-sell",
        "proposal_id": "p-a1",
        "export_id": EXPORT,
        "run_id": RUN,
        "account_id": "a1",
        "custodian": CUSTODIAN,
        "block_id": one["block_id"],
        "side": "sell",
        "security_id": "s1",
        "symbol": "AAA",
        "quantity": "3.000000",
        "amount_usd": None,
        "cusip": None,
        "isin": None,
        "reference_price_usd": "10.250000",
        "sent_at": "2026-03-03T01:00:00Z",
        "state": "filled",
        "is_closed": True,
        "filled_quantity": "4.000000",
        "average_price_usd": "10.005000",
        "gross_usd": "40.020000",
        "fees_usd": "0.020000",
        "first_trade_date": "2026-03-03",
        "last_trade_date": "2026-03-03",
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"account": "a1"}, ["a1-buy", "a1-sell"]),
        ({"custodian": OTHER}, ["a2-buy", "a2-sell"]),
        ({"state": "exported"}, ["-a3-buy", "-a3-sell"]),
        ({"state": "filled", "proposal": "p-a2"}, ["a2-buy", "a2-sell"]),
        ({"run": "other"}, []),
        ({"run": RUN, "state": "failed"}, ["a1-buy"]),
    ],
)
def test_orders_are_sought_by_what_they_are(
    api: Api, wide: dict[str, str], query: dict[str, str], found: list[str]
) -> None:
    assert names(api, wide, **query) == found


@pytest.mark.parametrize(
    ("path", "key"), [("fills", "fills"), ("breaks", "breaks"), ("executions/aside", "executions")]
)
def test_pages_hold_everything_once(api: Api, wide: dict[str, str], path: str, key: str) -> None:
    everything = got(api, wide, path)
    assert everything["next_cursor"] is None
    rows: list[Any] = []
    cursor: dict[str, str] = {}
    for _ in everything[key]:
        page = got(api, wide, path, limit=1, **cursor)
        rows += page[key]
        cursor = {"cursor": page["next_cursor"]}
    assert rows == everything[key] != []
    assert page["next_cursor"] is None


def test_a_cursor_of_another_filter_is_refused(api: Api, wide: dict[str, str]) -> None:
    cursor = got(api, wide, "fills", limit=1)["next_cursor"]
    for path, query in (("fills", {"state": "filled"}), ("breaks", {}), ("exports", {}), ("executions/aside", {})):
        answer = api.client.get(f"/api/{path}", params={**query, "cursor": cursor}, headers=wide)
        assert (answer.status_code, answer.json()["detail"]) == (400, "This cursor is of another order or filter.")


@pytest.mark.parametrize(
    "after",
    [
        (NOW.replace(tzinfo=None), "a", "b", 1),
        (NOW, "a", "b", 2**63),
        (NOW, "a", "b", True),
        (NOW, "\0", "b", 1),
        (NOW, "\ud800", "b", 1),
        ("yesterday", "a", "b", 1),
        (NOW, "a", "b"),
        (),
    ],
    ids=repr,
)
def test_a_cursor_that_somebody_made_up_is_refused(api: Api, wide: dict[str, str], after: tuple[Any, ...]) -> None:
    answer = api.client.get("/api/executions/aside", params={"cursor": write_cursor(after, "aside")}, headers=wide)
    assert answer.status_code == 400


def test_one_order_is_told_with_every_message_about_it_and_its_block(api: Api, wide: dict[str, str]) -> None:
    sold = got(api, wide, "fills/a1-sell")
    assert [(one["execution_id"], one["kind"], one["quantity"]) for one in sold["messages"]] == [
        ("e1", "fill", "4.000000")
    ]
    assert [(one["code"], one["is_alarm"]) for one in sold["breaks"]] == [("overfilled", True)]
    bought = got(api, wide, "fills/a2-buy")
    (message,) = bought["messages"]
    assert (message["order_id"], message["block_id"], message["quantity"]) == (
        None,
        bought["order"]["block_id"],
        "3.000000",
    )
    assert [(one["order_id"], one["is_block"]) for one in bought["breaks"]] == [(message["block_id"], True)]
    missing = api.client.get("/api/fills/b4-sell", headers=wide)
    assert (missing.status_code, missing.json()["detail"]) == (404, "There is no order b4-sell that left.")


def test_breaks_are_told_alarms_first_with_amounts_and_age(api: Api, wide: dict[str, str]) -> None:
    found = got(api, wide, "breaks")["breaks"]
    told = [(one["account_id"], one["code"], one["amount_usd"], one["age_days"], one["is_alarm"]) for one in found]
    assert told == [
        (None, "unknown_order", "15.000000", 3, True),
        ("a1", "overfilled", "10.250000", 3, True),
        (None, "unknown_order", "10.000000", 3, True),
        (None, "unknown_order", "10.000000", 3, True),
        (None, "overfilled", "10.250000", 2, True),
        ("-a3", "not_acknowledged", "30.750000", 3, False),
        ("-a3", "not_acknowledged", "20.500000", 3, False),
        ("a1", "rejected", "20.500000", 2, False),
    ]
    assert names(api, wide, "breaks", code="rejected") == ["a1-buy"]
    assert names(api, wide, "breaks", account="-a3") == ["-a3-sell", "-a3-buy"]


def test_a_fill_of_no_order_of_ours_is_told_as_a_break_with_what_is_known_of_it(
    api: Api, wide: dict[str, str], narrow: dict[str, str]
) -> None:
    nameless, first, second = got(api, wide, "breaks", code="unknown_order")["breaks"]
    assert first == {
        "order_id": "gone",
        "is_block": False,
        "code": "unknown_order",
        "is_alarm": True,
        "sentence": "Filled 1 for $10.00, and no order that left asked for it.",
        "advice": "Ask the broker whose it is. Where the order is ours, read the file again once it has left.",
        "ordered_quantity": "0.000000",
        "filled_quantity": "1.000000",
        "amount_usd": "10.000000",
        "since_at": "2026-03-03T01:00:00Z",
        "age_days": 3,
        **dict.fromkeys(["account_id", "custodian", "symbol", "side", "proposal_id", "export_id", "run_id"]),
        "source": "csv",
        "execution_id": "e2",
    }
    assert second == {**first, "execution_id": "e5"}, "a fill that two files tell is one"
    assert (nameless["order_id"], nameless["execution_id"], nameless["filled_quantity"]) == (None, "e6", "2.000000")
    assert names(api, narrow, "breaks", code="unknown_order") == []


def test_every_break_says_what_was_found_and_what_to_do(api: Api, wide: dict[str, str]) -> None:
    found = got(api, wide, "breaks")["breaks"]
    told = {one["code"]: (one["sentence"], one["advice"]) for one in found}
    assert told["rejected"] == (
        "Turned down with 0 of 2 filled: $20.50 not traded.",
        "Ask the broker why; the next night looks at the account anew.",
    )
    assert all(text.endswith(".") for pair in told.values() for text in pair)


def test_an_export_is_told_with_its_deliveries(api: Api, wide: dict[str, str]) -> None:
    one = got(api, wide, f"exports/{EXPORT}")
    archive, bank, oms = one.pop("deliveries")
    assert (one["sequence"], one["state"], one["actor"]) == (1, "published", "ops")
    assert (bank["name"], bank["state"], bank["problem"], bank["attempts"]) == ("bank", "delivered", None, 1)
    assert (bank["manifest_sha256"], bank["delivered_at"]) == (one["manifest_sha256"], "2026-03-03T01:00:00Z")
    assert bank["files"] > 0 < bank["bytes"]
    assert (archive["state"], archive["delivered_at"]) == ("sending", None)
    assert archive["attempts"] > 0
    assert archive["problem"]
    assert (oms["name"], oms["state"], oms["files"], oms["attempts"]) == ("oms", "waiting", None, 0)
    whole = {**one, "deliveries": [archive, bank, oms]}
    assert got(api, wide, "exports") == {"exports": [whole], "next_cursor": None}
    assert got(api, wide, f"runs/{RUN}/exports") == {"exports": [whole]}
    assert got(api, wide, "exports", run="other")["exports"] == []
    assert api.client.get("/api/exports/none", headers=wide).status_code == 404


def test_exports_are_told_the_last_one_first(tmp_path_factory: pytest.TempPathFactory) -> None:
    desk = TwoCustodians(tmp_path_factory.mktemp("twice"))
    desk.scene.approve_the_waiting()
    desk.scene.export_all(now=NOW + timedelta(hours=1))
    backend = Backend(Settings(home=desk.home), desk.ledger, now=lambda: LATER)
    with closing(desk.ledger), TestClient(make_api(backend)) as client:
        api = Api(backend, client)
        headers = api.token("ops")
        first = got(api, headers, "exports", limit=1)
        second = got(api, headers, "exports", limit=1, cursor=first["next_cursor"])
    told = [(page["exports"][0]["sequence"], page["exports"][0]["deliveries"]) for page in (first, second)]
    assert told == [(2, []), (1, [])], "places that there are no more get nothing"
    assert second["next_cursor"] is None


def test_a_person_settles_an_order_once_with_a_note_and_the_right_scope(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    desk = TwoCustodians(tmp_path_factory.mktemp("settled"))
    backend = Backend(Settings(home=desk.home), desk.ledger, now=lambda: LATER)
    with closing(desk.ledger), TestClient(make_api(backend)) as client:
        api = Api(backend, client)
        headers = api.token("ops", Scope.DECISIONS_WRITE)

        def said(order: str, note: str = "the desk lost it", **given: Any) -> tuple[int, Any]:
            answer = client.post(
                f"/api/fills/{order}/settlement", json={"note": note}, **({"headers": headers} | given)
            )
            return answer.status_code, answer.json()

        assert said("a1-sell", headers=api.token("ops", Scope.FILLS_READ))[0] == 403
        assert said("a1-sell", headers=api.token("ops", Scope.DECISIONS_WRITE, custodians=[OTHER]))[0] == 404
        assert said("a1-sell", note="")[0] == 422
        assert said("nothing")[0] == 404
        status, order = said("a1-sell")
        assert (status, order["state"], order["is_closed"], order["filled_quantity"]) == (
            200,
            "failed",
            True,
            "0.000000",
        )
        status, problem = said("a1-sell")
        assert status == 422
        assert "has its final word already" in problem["detail"]


def test_a_token_needs_the_scope(api: Api) -> None:
    headers = api.token("ops", Scope.PROPOSALS_READ, Scope.EXPORTS_READ)
    for path in ("fills", "fills/a1-sell", "breaks", "executions/aside"):
        refused = api.client.get(f"/api/{path}", headers=headers)
        assert (refused.status_code, refused.json()["detail"]) == (403, "This token lacks the scope fills:read.")
    fills_only = api.token("ops", Scope.FILLS_READ)
    for path in ("exports", f"exports/{EXPORT}", f"runs/{RUN}/exports", "proposals"):
        assert api.client.get(f"/api/{path}", headers=fills_only).status_code == 403


def test_a_token_of_one_custodian_sees_no_order_and_no_break_of_another(api: Api, narrow: dict[str, str]) -> None:
    for query in ({}, {"custodian": CUSTODIAN}, {"account": "a1"}, {"proposal": "p-a1"}, {"run": RUN}):
        assert set(names(api, narrow, **query)) <= {"a2-buy", "a2-sell"}
        broken = got(api, narrow, "breaks", **query)["breaks"]
        assert {one["custodian"] for one in broken} <= {OTHER}
    assert names(api, narrow) == ["a2-buy", "a2-sell"]
    (theirs,) = got(api, narrow, "breaks")["breaks"]
    assert (theirs["is_block"], theirs["custodian"]) == (True, OTHER)


def test_an_order_of_another_custodian_is_as_one_that_is_not_there(api: Api, narrow: dict[str, str]) -> None:
    hidden = api.client.get("/api/fills/a1-sell", headers=narrow)
    missing = api.client.get("/api/fills/nothing", headers=narrow)
    assert hidden.status_code == missing.status_code == 404
    assert hidden.json()["detail"].replace("a1-sell", "nothing") == missing.json()["detail"]
    assert got(api, narrow, "fills/a2-sell")["order"]["custodian"] == OTHER


def test_what_is_nobodys_is_shown_to_nobody_who_sees_some_only(
    api: Api, wide: dict[str, str], narrow: dict[str, str]
) -> None:
    aside = got(api, wide, "executions/aside")["executions"]
    assert sorted((one["execution_id"], one["code"], one["file_name"]) for one in aside) == [
        ("e1", "conflicting", "later.csv"),
        ("e2", "unknown_order", "again.csv"),
        ("e2", "unknown_order", "fills.csv"),
        ("e5", "unknown_order", "fills.csv"),
        ("e6", "unknown_order", "fills.csv"),
    ]
    for path in ("executions/aside", "exports", f"exports/{EXPORT}", f"runs/{RUN}/exports"):
        refused = api.client.get(f"/api/{path}", headers=narrow)
        assert (refused.status_code, "e2" in refused.text) == (403, False)


@pytest.mark.parametrize("name", ["' OR '1'='1", "%", "../../etc/passwd", "<script>alert(1)</script>", "x" * 128])
def test_odd_names_find_nothing(api: Api, wide: dict[str, str], name: str) -> None:
    for path in ("fills", "exports"):
        assert api.client.get(f"/api/{path}/{quote(name, safe='')}", headers=wide).status_code == 404
    assert names(api, wide, account=name) == names(api, wide, "breaks", custodian=name) == []


def test_metrics_count_what_is_broken_and_what_has_not_arrived_and_name_nobody(api: Api) -> None:
    text = api.client.get("/metrics").text
    for line in (
        'trimtab_open_breaks{code="overfilled"} 2.0',
        'trimtab_open_breaks{code="unknown_order"} 3.0',
        'trimtab_open_breaks{code="not_filled"} 0.0',
        'trimtab_executions_set_aside{code="unknown_order"} 4.0',
        "trimtab_orders_not_acknowledged 2.0",
        "trimtab_exports_not_delivered 1.0",
        "trimtab_open_orders 2.0",
        "trimtab_open_orders_age_sessions 3.0",
    ):
        assert line in text
    for secret in (OTHER, "a1-sell", "AAA", "archive"):
        assert secret not in text


@pytest.mark.parametrize(
    ("places", "number"),
    [(["bank", "archive", "oms"], 1), (["archive"], 1), (["oms"], 1), (["bank", "new"], 0), ([], 0)],
)
def test_an_export_is_not_delivered_while_a_place_that_it_is_for_and_that_there_is_lacks_it(
    desk: TwoCustodians, places: list[str], number: int
) -> None:
    known = tuple(Delivery(name=name, url=str(desk.home / name)) for name in places)
    assert undelivered_count(Backend(Settings(home=desk.home, deliveries=known), desk.ledger)) == number


def test_every_code_is_a_gauge(api: Api) -> None:
    text = api.client.get("/metrics").text
    assert all(f'trimtab_open_breaks{{code="{code}"}}' in text for code in Break)


@pytest.mark.parametrize(
    "path", ["/api/fills", "/api/breaks", "/api/fills/{order_id}", "/api/executions/aside", "/api/exports"]
)
def test_the_description_says_what_everything_is(api: Api, path: str) -> None:
    found = api.client.get("/openapi.json").json()["paths"][path]["get"]
    assert found["description"].endswith(".")
    assert found["security"]
    unnamed = [one["name"] for one in found["parameters"] if one["in"] == "query" and "description" not in one]
    assert unnamed == []


def test_a_name_that_postgresql_could_not_take_is_refused(api: Api, wide: dict[str, str]) -> None:
    for path, query in (("fills", {"account": "a\0"}), ("proposals", {"filter": "account=\0"}), ("fills/a%00", {})):
        assert api.client.get(f"/api/{path}", params=query, headers=wide).status_code == 422

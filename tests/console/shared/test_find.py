"""The search box finds whatever is there by a piece of its name, and nothing else; what it knows is what the stores have."""

import pytest

from console.shared.find_box import link_of
from tasks.review import FoundKind, newest_runs
from tests.support.console_scene import Api

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1


def names(api: Api, text: str) -> dict[FoundKind, list[str]]:
    found: dict[FoundKind, list[str]] = {}
    for one in api.backend.find(text):
        found.setdefault(one.kind, []).append(one.name)
    return found


def test_every_account_household_and_security_is_found_by_its_name(api: Api) -> None:
    lake, (run,) = api.backend.lake, newest_runs(api.backend.ledger.runs)
    accounts = lake.read("landed_accounts", run.run_id)
    securities = lake.read("landed_securities", run.run_id)
    for kind, wanted in (
        (FoundKind.ACCOUNT, accounts["account_id"]),
        (FoundKind.HOUSEHOLD, accounts["household_id"]),
        (FoundKind.SECURITY, securities["security_id"]),
    ):
        for name in wanted.drop_nulls().unique():
            first = api.backend.find(name.lower())[0]
            assert (first.name, link_of(first).rsplit("/", maxsplit=1)[1]) == (name, name)
            assert kind in names(api, name)


def test_a_piece_of_a_name_finds_those_that_have_it_and_no_others(api: Api) -> None:
    run = newest_runs(api.backend.ledger.runs)[0]
    accounts = api.backend.lake.read("landed_accounts", run.run_id)["account_id"].to_list()
    for piece in ("0001", "a00003", "39", "zz"):
        has_it = sorted(name for name in accounts if piece in name.lower())
        assert names(api, piece).get(FoundKind.ACCOUNT, []) == has_it[:6]


def test_proposals_and_orders_are_found_by_the_first_digits_of_their_id(api: Api) -> None:
    run = newest_runs(api.backend.ledger.runs)[0]
    order = api.backend.lake.read("orders", run.run_id).sort("order_id").row(0, named=True)
    (found,) = [one for one in api.backend.find(order["order_id"][:9]) if one.kind is FoundKind.ORDER]
    assert (found.name, found.proposal_id) == (order["order_id"], order["proposal_id"])
    assert link_of(found) == f"/proposals/{order['proposal_id']}"
    assert names(api, order["proposal_id"][:8].upper())[FoundKind.PROPOSAL] == [order["proposal_id"]]
    assert FoundKind.ORDER not in names(api, order["order_id"][:5])


def test_runs_are_found_and_what_could_be_a_pattern_is_text(api: Api) -> None:
    run = newest_runs(api.backend.ledger.runs)[0]
    assert names(api, run.run_id[-6:])[FoundKind.RUN] == [run.run_id]
    assert names(api, "nightly")[FoundKind.RUN] == [run.run_id]
    for text in ("%%", "__", ".*", "a[", "\\", "'; drop table runs; --", "x" * 10_000, " ", "a"):
        assert api.backend.find(text) == []


def test_securities_are_found_by_symbol_and_by_words_of_their_name(api: Api) -> None:
    run = newest_runs(api.backend.ledger.runs)[0]
    row = api.backend.lake.read("landed_securities", run.run_id).filter(security_id="AAPL").row(0, named=True)
    assert names(api, row["name"][:5].upper())[FoundKind.SECURITY][0] == "AAPL"
    assert names(api, row["symbol"])[FoundKind.SECURITY][0] == "AAPL"


def test_names_are_read_once_for_a_night(api: Api) -> None:
    first = api.backend.names()
    assert api.backend.names() is first

"""What a proposal is shown against: the version before it, or the account's proposal of an earlier night."""

from tasks.review.versions import changes, version_before
from tests.support.console_scene import Api
from tests.support.ledger_book import route


def test_a_first_proposal_has_nothing_before_it(api: Api) -> None:
    one = api.backend.ledger.proposals.get_proposal(api.waiting["proposal_id"][0])
    assert one is not None
    assert version_before(api.backend.ledger.proposals, one) is None
    assert (
        changes(
            api.backend.ledger.amendments,
            api.backend.reader(one["account_id"]),
            None,
            api.backend.lake.read("orders", one["run_id"]),
        )
        == []
    )


def test_a_later_nights_proposal_is_shown_against_the_one_before(api: Api) -> None:
    ledger = api.backend.ledger
    first = api.waiting.row(0, named=True)
    route(ledger, "later", [first["account_id"]], day=2, now=api.backend.now())
    later = ledger.proposals.get_proposal(f"later.{first['account_id']}")
    assert later is not None
    before = version_before(ledger.proposals, later)
    assert before is not None
    assert before["proposal_id"] == first["proposal_id"]
    read = api.backend.reader(first["account_id"])
    nothing = read("orders", "later")
    found = changes(ledger.amendments, read, before, nothing)
    assert len(found) == first["order_count"]
    assert all(change.now == 0 < change.before for change in found)

"""What is said of an outcome: itself, then a sentence for each part of its reason."""

import pytest

from schemas.enums import Outcome
from tasks.core.explain.sentences import outcome_sentences


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_said_and_only_one_in_its_bands_needs_no_reason(outcome: Outcome) -> None:
    reason = {Outcome.PROPOSED: "drift|cash", Outcome.QUARANTINED: "lots:account_known|prices:price_usd_positive"}
    first, *why = outcome_sentences(
        outcome, reason.get(outcome, "" if outcome is Outcome.IN_BAND else "account_frozen")
    )
    assert first.endswith(".")
    assert (why == []) is (outcome is Outcome.IN_BAND)


def test_a_row_of_nobodys_is_said_to_be_one_that_could_be_this_accounts() -> None:
    *_, rules, stray = outcome_sentences(Outcome.QUARANTINED, "lots:account_known")
    assert rules == "Broken rules: lots:account_known."
    assert stray.startswith("A row of lots names no account that was delivered")

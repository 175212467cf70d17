"""Rows that are too many, too few, torn, or refer to what is not there."""

from pathlib import Path

import pytest

from tests.bad_inputs.deliver import Judged, Spoil, add, cell, delivered, edit, replace

IDENTIFIER = "1 to 64 characters of A-Z a-z 0-9 . _ - (not . or .. alone)"
NUMBER = "a number of at most 12 digits before the point and 6 after it"
LINE = "as many cells as the header has columns"
SECURITY = "a security with a good row in the table securities"
PRICE = "a security with a good row in the table prices"
ACCOUNT = "an account of the table accounts"
MODEL = "a model with good rows in the table model_targets"
OTHER = "a key that no other row of the table has"
TWICE = "A3, BND, 1"


def header_again(name: str) -> Spoil:
    return edit(name, lambda text: text + text.partition("\n")[0] + "\n")


def said(found: Judged) -> list[str]:
    """Each sentence of each message, as ``<table> <row>: <column> is <found>; needed <what>``."""
    return [
        sentence.replace(".csv row ", " ").rstrip(".")
        for message in found.messages
        for sentence in message.replace(
            ". " + message.partition(" row ")[0], ".\n" + message.partition(" row ")[0]
        ).split("\n")
    ]


QUARANTINED: dict[str, tuple[Spoil, dict[str, str], list[str]]] = {
    "a row cut short": (
        replace("lots.csv", "A3,BND,1,3,50,2022-05-06", "A3,BND,1"),
        {"A3": "lots:line_complete"},
        [f"lots 4: line is A3,BND,1; needed {LINE}"],
    ),
    "a cell too many": (
        replace("lots.csv", "A3,BND,1,3,50,2022-05-06", "A3,BND,1,3,50,2022-05-06,x"),
        {"A3": "lots:line_complete"},
        [f"lots 4: line is A3,BND,1,3,50,2022-05-06,x; needed {LINE}"],
    ),
    "a comma at the end of a row": (
        replace("lots.csv", "A3,BND,1,3,50,2022-05-06", "A3,BND,1,3,50,2022-05-06,"),
        {"A3": "lots:line_complete"},
        [f"lots 4: line is A3,BND,1,3,50,2022-05-06,; needed {LINE}"],
    ),
    "a thousands comma without quotes": (
        replace("lots.csv", "A3,BND,1,3,", "A3,BND,1,3,000,"),
        {"A3": "lots:line_complete"},
        [f"lots 4: line is A3,BND,1,3,000,50,2022-05-06; needed {LINE}"],
    ),
    "semicolons in one row": (
        replace("lots.csv", "A3,BND,1,3,50,2022-05-06", "A3;BND;1;3;50;2022-05-06"),
        {"A3": "lots:account_known"},
        [f"lots 4: line is A3;BND;1;3;50;2022-05-06; needed {LINE}"],
    ),
    "a file cut in the middle of a cell": (
        edit("lots.csv", lambda text: text[:-6]),
        {"A3": "lots:acquired_date_readable"},
        ["lots 4: acquired_date is 2022-; needed a date as YYYY-MM-DD"],
    ),
    "a file cut in the middle of a row": (
        edit("lots.csv", lambda text: text[:-20]),
        {"A3": "lots:line_complete"},
        [f"lots 4: line is A3,BN; needed {LINE}"],
    ),
    "a row twice": (
        add("lots.csv", "A3,BND,1,3,50,2022-05-06"),
        {"A3": "lots:unique_account_id_security_id_lot_id"},
        [f"lots {row}: account_id, security_id, lot_id is {TWICE}; needed {OTHER}" for row in (4, 5)],
    ),
    "a key twice, with another quantity": (
        add("lots.csv", "A3,BND,1,4,50,2022-05-06"),
        {"A3": "lots:unique_account_id_security_id_lot_id"},
        [f"lots {row}: account_id, security_id, lot_id is {TWICE}; needed {OTHER}" for row in (4, 5)],
    ),
    "cash twice": (
        add("cash.csv", "A1,100,0"),
        {"A1": "cash:unique_account_id"},
        [f"cash {row}: account_id is A1; needed {OTHER}" for row in (1, 4)],
    ),
    "an account twice": (
        add("accounts.csv", "A3,,Other,taxable,income,plain,frozen,0.24,0.15,0,0,0"),
        {"A3": "accounts:unique_account_id"},
        [f"accounts {row}: account_id is A3; needed {OTHER}" for row in (3, 4)],
    ),
    "a price twice": (
        add("prices.csv", "OLD,4,2026-01-05"),
        {},
        [f"prices {row}: security_id is OLD; needed {OTHER}" for row in (3, 4)],
    ),
    "a totals row": (
        add("cash.csv", "TOTAL,94.75,10"),
        {},
        [f"cash 4: account_id is TOTAL; needed {ACCOUNT}"],
    ),
    "a totals row with empty cells": (
        add("lots.csv", "TOTAL,,,25.5,,"),
        {},
        [
            f"lots 5: account_id is TOTAL; needed {ACCOUNT}",
            f"lots 5: lot_id is empty; needed {IDENTIFIER}",
            f"lots 5: security_id is empty; needed {IDENTIFIER}",
        ],
    ),
    "a trailer": (add("lots.csv", "TRL|000004"), {}, [f"lots 5: line is TRL|000004; needed {LINE}"]),
    "a comment": (
        replace("lots.csv", "A3,BND", "# sold the rest\nA3,BND"),
        {},
        [f"lots 4: line is # sold the rest; needed {LINE}"],
    ),
    "a row of commas": (
        add("cash.csv", ",,"),
        {},
        [
            f"cash 4: account_id is empty; needed {IDENTIFIER}",
            f"cash 4: settled_usd is empty; needed {NUMBER}",
        ],
    ),
    "a line of spaces": (add("lots.csv", "   "), {}, [f"lots 5: line is empty; needed {LINE}"]),
    "the end mark of DOS": (add("lots.csv", "\x1a"), {}, [f"lots 5: line is ?; needed {LINE}"]),
    "the header once more": (
        header_again("cash.csv"),
        {},
        [
            f"cash 4: account_id is account_id; needed {ACCOUNT}",
            f"cash 4: pending_usd is pending_usd; needed {NUMBER}",
            f"cash 4: settled_usd is settled_usd; needed {NUMBER}",
        ],
    ),
    "the header once more, all identifiers": (
        header_again("households.csv"),
        {},
        [
            f"households 2: model_id is model_id; needed {MODEL}",
            "households 2: policy_id is policy_id; needed a policy with a good row in the table policies",
        ],
    ),
    "smart quotes": (
        replace("lots.csv", "A3,BND", "\u201cA3\u201d,BND"),
        {"A3": "lots:account_known"},
        [f"lots 4: account_id is \u201cA3\u201d; needed {IDENTIFIER}"],
    ),
    "single quotes": (
        replace("lots.csv", "A3,BND", "'A3',BND"),
        {"A3": "lots:account_known"},
        [f"lots 4: account_id is 'A3'; needed {IDENTIFIER}"],
    ),
    "a stray quote": (
        replace("lots.csv", "A3,BND", 'A"3,BND'),
        {"A3": "lots:account_known"},
        [f'lots 4: account_id is A"3; needed {IDENTIFIER}'],
    ),
    "quotes doubled without quotes around": (
        replace("lots.csv", "A3,BND", 'A3,""BND""'),
        {"A3": "lots:security_id_identifier"},
        [f'lots 4: security_id is BND""; needed {IDENTIFIER}'],
    ),
    "a space before a quote": (
        replace("lots.csv", "A3,BND", 'A3, "BND"'),
        {"A3": "lots:security_id_identifier"},
        [f'lots 4: security_id is  "BND"; needed {IDENTIFIER}'],
    ),
    "letters behind a quote": (
        replace("lots.csv", "A3,BND", 'A3,"BND"x'),
        {"A3": "lots:security_known"},
        [f"lots 4: security_id is BNDx; needed {SECURITY}"],
    ),
    "a lot of an unknown account": (
        cell("lots", 4, account_id="A9"),
        {},
        [f"lots 4: account_id is A9; needed {ACCOUNT}"],
    ),
    "cash of an unknown account": (
        cell("cash", 3, account_id="A9"),
        {"A3": "accounts:cash_present"},
        [
            "accounts 3: account_id is A3; needed a row of the account in the table cash",
            f"cash 3: account_id is A9; needed {ACCOUNT}",
        ],
    ),
    "a trade of an unknown account": (
        cell("trades", 1, account_id="A9"),
        {},
        [f"trades 1: account_id is A9; needed {ACCOUNT}"],
    ),
    "an account without cash": (
        edit("cash.csv", lambda text: text.replace("A3,0,0\n", "")),
        {"A3": "accounts:cash_present"},
        ["accounts 3: account_id is A3; needed a row of the account in the table cash"],
    ),
    "a lot of an unknown security": (
        cell("lots", 4, security_id="GHOST"),
        {"A3": "lots:security_known"},
        [f"lots 4: security_id is GHOST; needed {SECURITY}"],
    ),
    "a price of an unknown security": (
        cell("prices", 3, security_id="GHOST"),
        {},
        [f"prices 3: security_id is GHOST; needed {SECURITY}"],
    ),
    "a security without a price": (
        edit("prices.csv", lambda text: text.replace("STK,101.25,2026-01-05\n", "")),
        {"A1": "lots:security_has_price", "A2": "lots:security_has_price"},
        [f"lots {row}: security_id is STK; needed {PRICE}" for row in (1, 3)],
    ),
    "a restriction of an unknown security": (
        cell("restrictions", 1, security_id="GHOST"),
        {"A1": "restrictions:security_known"},
        [f"restrictions 1: security_id is GHOST; needed {SECURITY}"],
    ),
    "a restriction that is none": (
        cell("restrictions", 1, rule="no_touch"),
        {"A1": "restrictions:rule_known"},
        ["restrictions 1: rule is no_touch; needed one of no_buy, no_sell, no_trade, no_new, hold_range"],
    ),
    "a range without an end": (
        cell("restrictions", 3, min_quantity=None, max_quantity=None, max_value_usd=None),
        {"A2": "restrictions:limit_given"},
        [
            (
                "restrictions 3: min_quantity, max_quantity, min_value_usd, max_value_usd is empty, empty, empty, empty; "
                "needed one limit at least, where the rule is hold_range"
            )
        ],
    ),
    "an unknown model": (
        cell("accounts", 3, model_id="none"),
        {"A3": "accounts:model_known"},
        [f"accounts 3: model_id is none; needed {MODEL}"],
    ),
    "an unknown policy": (
        cell("accounts", 3, policy_id="none"),
        {"A3": "accounts:policy_known"},
        ["accounts 3: policy_id is none; needed a policy with a good row in the table policies"],
    ),
    "a household of an unknown model": (
        cell("households", 1, model_id="none"),
        {"A1": "accounts:household_whole", "A2": "accounts:household_whole"},
        [
            f"households 1: model_id is none; needed {MODEL}",
            *(
                f"accounts {row}: household_id is H1; needed a household without a broken row in the table households"
                for row in (1, 2)
            ),
        ],
    ),
    "a class that the model has not": (
        cell("buy_list", 3, asset_class="gold"),
        {"A3": "accounts:model_known"},
        [
            "buy_list 3: asset_class is gold; needed a class of the model",
            f"accounts 3: model_id is income; needed {MODEL}",
        ],
    ),
    "a model of 0.99": (
        cell("model_targets", 4, target_weight="0.89"),
        {"A3": "accounts:model_known"},
        [
            f"buy_list 3: model_id is income; needed {MODEL}",
            *(
                f"model_targets {row}: model_id is income; "
                "needed target_weight to sum to 1 within 1e-06, found a sum of 0.99"
                for row in (4, 5)
            ),
            f"accounts 3: model_id is income; needed {MODEL}",
        ],
    ),
    "a model without cash": (
        cell("model_targets", 5, asset_class="gold"),
        {"A3": "accounts:model_known"},
        [
            f"buy_list 3: model_id is income; needed {MODEL}",
            *(f"model_targets {row}: model_id is income; needed a model with the class cash" for row in (4, 5)),
            f"accounts 3: model_id is income; needed {MODEL}",
        ],
    ),
}


@pytest.mark.parametrize("name", QUARANTINED)
def test_a_bad_row_is_set_aside_with_its_reason(tmp_path: Path, name: str) -> None:
    spoil, verdicts, sentences = QUARANTINED[name]
    found = delivered(tmp_path, spoil)
    assert (found.refusal, said(found), found.verdicts) == ("", sentences, verdicts)
    for table, rows in found.parsed.items():
        lost = set(found.quarantine.filter(table_name=table)["landed_row"])
        assert found.accepted(table)["row_number"].to_list() == [n for n in rows["row_number"] if n not in lost]


OPEN = (
    'a quoted cell runs over the end of its line; needed one row a line\n\nHint: look for a missing closing quote (").'
)
EVERYONE = "The row restricts every account, and nothing may trade while it cannot be read."
MEND = "Hint: mend the row, or name the account it is meant for."
REFUSED: dict[str, tuple[Spoil, str]] = {
    "a quote left open": (replace("lots.csv", "A1,BND", '"A1,BND'), f"lots.csv near row 2: {OPEN}"),
    "a quote left open in the last row": (replace("lots.csv", "2022", '"2022'), f"lots.csv near row 4: {OPEN}"),
    "a quote left open until the next": (
        replace("lots.csv", "A1,BND,1", 'A1,BND,"1\nA9,BND,"2'),
        f"lots.csv near row 2: {OPEN}",
    ),
    "a line break in a name": (replace("securities.csv", "Bond ETF", '"Bond\nETF"'), f"securities.csv near row 2: {OPEN}"),
    "a restriction of everyone that is none": (
        cell("restrictions", 2, rule="no_touch"),
        ("restrictions.csv row 2: rule is no_touch; needed one of no_buy, no_sell, no_trade, no_new, hold_range. "
        f"{EVERYONE}\n\n{MEND}"),
    ),
    "a restriction of everyone until 1899": (
        cell("restrictions", 2, until_date="1899-12-31"),
        f"restrictions.csv row 2: until_date is 1899-12-31; needed a date as YYYY-MM-DD. {EVERYONE}\n\n{MEND}",
    ),
    "a restriction with semicolons, of who knows whom": (
        replace("restrictions.csv", "A1,STK,no_sell,2026-02-01,,,,", "A1;STK;no_sell;2026-02-01;;;;"),
        f"restrictions.csv row 1: line is A1;STK;no_sell;2026-02-01;;;;; needed {LINE}. {EVERYONE}\n\n{MEND}",
    ),
    "a restriction of everyone cut short": (
        add("restrictions.csv", ",OLD"),
        f"restrictions.csv row 4: line is ,OLD; needed {LINE}. {EVERYONE}\n\n{MEND}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_row_that_may_hide_others_or_concerns_everyone_refuses_the_night(tmp_path: Path, name: str) -> None:
    spoil, refusal = REFUSED[name]
    assert delivered(tmp_path, spoil).refusal == refusal


@pytest.mark.parametrize(
    "spoil",
    [add("trades.csv", "A2,BND,2025-12-21,buy,1,49,"), add("restrictions.csv", "A1,STK,no_sell,2026-02-01,,,,")],
)
def test_a_trade_or_a_restriction_may_be_there_twice(tmp_path: Path, spoil: Spoil) -> None:
    found = delivered(tmp_path, spoil)
    assert (found.refusal, found.verdicts, found.messages) == ("", {}, ())

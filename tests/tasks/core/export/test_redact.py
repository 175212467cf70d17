import pytest

from tasks.core.export.redact import without_accounts

IDS = ("a1", "a1.b", ".x", "-3")


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("accounts/a1.csv of /var/exports is another file", "accounts/*.csv of /var/exports is another file"),
        ("desk/a1.jsonl and lots/-3.csv", "desk/*.jsonl and lots/*.csv"),
        ("s3://bucket/lines/a1.b.fix was sent", "s3://bucket/lines/*.fix was sent"),
        (
            "/in/.a1.csv.0f3c.part of the bank, /in/..x.csv.9.part",
            "/in/.*.csv.0f3c.part of the bank, /in/.*.csv.9.part",
        ),
        ("accounts/.x.csv", "accounts/*.csv"),
        ("blocks.csv of bank.example is gone; needed 128.", "blocks.csv of bank.example is gone; needed 128."),
    ],
)
def test_a_file_is_told_by_its_kind_and_not_by_its_account(sentence: str, told: str) -> None:
    assert without_accounts(sentence, IDS) == told

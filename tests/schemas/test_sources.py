from datetime import date

import pytest
from pydantic import ValidationError

from schemas.enums import LandingTable
from schemas.landing import CONTRACTS
from schemas.sources import Source

DAY = date(2026, 3, 2)


def test_the_contracts_are_those_of_the_landing_tables() -> None:
    assert list(CONTRACTS) == list(LandingTable)


def test_an_address_without_a_scheme_is_a_folder() -> None:
    assert Source(url="/srv/landing").scheme == "file"
    assert Source(url="s3://bucket/in").scheme == "s3"


def test_the_date_stands_in_the_address_and_in_the_names() -> None:
    source = Source(url="sftp://me@bank/{as_of}/out", format="fixed-example", files="POS{as_of:%y%j}.dat").on(DAY)
    assert (source.url, source.files, source.day) == ("sftp://me@bank/2026-03-02/out", "POS26061.dat", DAY)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"url": "ftp://host/x"}, "starts with ftp; needed a folder or file://, s3://"),
        ({"url": "postgresql://me:hunter2@host/db"}, "holds a password; needed one without"),
        ({"url": "postgresql://me@host/db?password=hunter2"}, "holds a password"),
        ({"url": "/x", "files": "*.txt"}, "names files and no format"),
        ({"url": "/x", "custodians": ("Acme",)}, "serves custodians and names no tables"),
        ({"url": "/x", "tables": ("lotz",)}, "names the table lotz; needed tables of accounts, lots"),
        ({"url": "/x", "name": "../x"}, "String should match pattern"),
        ({"url": "/x", "colour": "red"}, "Extra inputs are not permitted"),
        ({"url": "/x", "day": DAY}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(told: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        Source(**told)  # type: ignore[arg-type]
    assert "hunter2" not in refused.value.errors()[0]["msg"]

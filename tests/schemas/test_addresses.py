import pytest
from pydantic import ValidationError

from schemas.addresses import Address
from schemas.exports import Delivery, ExecutionSource
from schemas.sources import Source

EVERYWHERE = [Source, Delivery, ExecutionSource]


@pytest.mark.parametrize("kind", EVERYWHERE)
@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"url": "ftp://host/x"}, "the address of bank starts with ftp; needed a folder or file://, s3://"),
        ({"url": "sftp://me:hunter2@host/x"}, "the address of bank holds a password; needed one without"),
        ({"url": "s3://bucket/x?password=hunter2"}, "holds a password"),
        ({"url": "/x", "colour": "red"}, "Extra inputs are not permitted"),
        ({"url": "/x", "name": "../x"}, "String should match pattern"),
        ({}, "Field required"),
    ],
)
def test_every_address_outside_is_held_to_the_same_rules(
    kind: type[Address], told: dict[str, str], message: str
) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        kind(**{"name": "bank"} | told)
    assert "hunter2" not in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize("kind", EVERYWHERE)
def test_an_address_without_a_scheme_is_a_folder_and_stays_as_it_is(kind: type[Address]) -> None:
    place = kind(name="bank", url="/srv/in")
    assert (place.scheme, kind(name="bank", url="sftp://me@host/x").scheme) == ("file", "sftp")
    with pytest.raises(ValidationError, match="frozen"):
        place.url = "/other"  # type: ignore[misc]


def test_only_tables_come_from_a_database() -> None:
    assert Source(url="postgresql://me@host/db").scheme == "postgresql"
    for kind in (Delivery, ExecutionSource):
        with pytest.raises(ValidationError, match="starts with postgresql; needed a folder or file://, s3://, sftp://"):
            kind(name="bank", url="postgresql://me@host/db")

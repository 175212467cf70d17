"""Files and refusals of whole profiles, whatever their format."""

import polars as pl
import pytest

from schemas.enums import ProfileFormat
from schemas.exports import Profile
from tasks.core.export.files import profile_files
from tasks.core.export.order_formats import FORMATS, refusals_of
from tests.support.packages import release

ORDERS = (("A1", "sell", "S2", "12", "410.25"), ("A1", "buy", "S1", "17", "289.5"))


def spreadsheet(name: str) -> Profile:
    """A profile that takes symbols of at most a character, so that it refuses what these orders say."""
    columns = '{ name = "id", field = "client_order_id" }, { name = "what", field = "symbol", max_length = 1 }'
    return Profile(name=name, format=ProfileFormat.MAPPED, mapping=f'files = "orders.csv"\ncolumns = [{columns}]')


def test_an_order_is_refused_once_by_the_first_profile_that_cannot_express_it() -> None:
    made = release(ORDERS)
    lines = Profile(name="lines", format=ProfileFormat.JSONL)
    found = refusals_of(made, [lines, spreadsheet("first"), spreadsheet("second")])
    assert found["order_id"].to_list() == made.orders["order_id"].to_list()
    assert found["account_id"].to_list() == ["A1", "A1"]
    assert [reason.partition(": ")[0] for reason in found["reason"]] == ["first", "first"]
    assert refusals_of(made, [lines]).is_empty()
    assert refusals_of(made, []).is_empty()


@pytest.mark.parametrize("kind", [ProfileFormat.JSONL, ProfileFormat.ALPACA])
def test_files_of_a_profile_stand_in_a_folder_of_its_name(kind: ProfileFormat) -> None:
    made, by = release(ORDERS), Profile(name="mine", format=kind)
    plain = pl.concat(FORMATS[kind].files(made, by))
    found = pl.concat(profile_files(made, by))
    assert found["path"].to_list() == [f"mine/{path}" for path in plain["path"]]
    assert found.drop("path").equals(plain.drop("path"))

"""FIX messages read by others: simplefix (https://github.com/da4089/simplefix), and the rules of QuickFIX's data dictionaries."""

import importlib
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from schemas.enums import ProfileFormat
from schemas.exports import Profile
from tasks.core.export import fix_orders
from tasks.core.export.fix_allocations import allocation_instruction
from tests.support.fix_dictionary import Dictionary, faults_of
from tests.support.packages import release
from tests.support.servers import unavailable
from tests.tasks.core.export.test_fix import BUYS, FILLED, SHARES

CASES = [
    (version, grain) for version in (ProfileFormat.FIX44, ProfileFormat.FIX50SP2) for grain in ("accounts", "blocks")
]
DICTIONARIES = {
    ProfileFormat.FIX44: Dictionary("FIX.4.4"),
    ProfileFormat.FIX50SP2: Dictionary("FIX.5.0SP2", packs=("127",)),
}
NAMED = {"cusip": "922908769", "isin": "US9229087690"}
WITHOUT_PACKS = Dictionary("FIX.5.0SP2")


@pytest.fixture(scope="session")
def simplefix() -> Any:
    try:
        return importlib.import_module("simplefix")
    except ImportError:
        return unavailable("no simplefix: pip install simplefix")


def written(version: ProfileFormat, grain: str) -> list[bytes]:
    """Every message of the release, of securities with labels and orders in dollars, and that of a filled block."""
    profile = Profile.model_validate(
        {"name": "fix", "format": version, "grain": grain, "sender": "US", "target": "THEM"}
    )
    made = [release(), release(BUYS, **NAMED), release(BUYS, isin=NAMED["isin"])]
    made += [release(BUYS, **NAMED, amount_usd=Decimal("1234.50"))] if grain == "accounts" else []
    contents = pl.concat(each for one in made for each in fix_orders.files(one, profile))["content"]
    instruction = allocation_instruction(FILLED, SHARES, profile, allocation_id="block-1-1")
    return [*"".join(contents).encode().split(b"\n")[:-1], instruction.encode()]


@pytest.mark.parametrize(("version", "grain"), CASES)
def test_simplefix_reads_every_field_and_writes_the_same_bytes(
    version: ProfileFormat, grain: str, simplefix: Any
) -> None:
    for message in written(version, grain):
        parser = simplefix.FixParser()
        parser.append_buffer(message)
        read = parser.get_message()
        assert read.encode(raw=True) == message
        again = simplefix.FixMessage()
        for tag, value in read.pairs:
            if tag not in {b"9", b"10"}:
                again.append_pair(tag, value)
        assert again.encode() == message, "BodyLength and CheckSum are simplefix's own here"


@pytest.mark.parametrize(("version", "grain"), CASES)
def test_simplefix_reads_a_file_as_a_stream_once_the_line_feeds_are_gone(
    version: ProfileFormat, grain: str, simplefix: Any
) -> None:
    parser = simplefix.FixParser()
    parser.append_buffer(b"".join(written(version, grain)))
    assert [parser.get_message().encode(raw=True) for _ in written(version, grain)] == written(version, grain)
    assert parser.get_message() is None


@pytest.mark.parametrize(("version", "grain"), CASES)
def test_every_message_keeps_the_rules_of_the_data_dictionary(version: ProfileFormat, grain: str) -> None:
    for message in written(version, grain):
        assert faults_of(message, DICTIONARIES[version]) == []


@pytest.mark.parametrize("grain", ["accounts", "blocks"])
def test_only_messages_that_name_lots_need_the_extension_pack(grain: str) -> None:
    for message in written(ProfileFormat.FIX50SP2, grain):
        has_lots = b"\x011752=" in message
        faults = {fault.partition(" has")[2] for fault in faults_of(message, WITHOUT_PACKS) if "no field" in fault}
        assert bool(faults) == has_lots
        assert faults <= {f" no field {tag}" for tag in (1752, 1753, 1754)}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"38=22", b"38=23", "CheckSum is "),
        (b"\x019=", b"\x019=1", "BodyLength is 1"),
        (b"54=1\x01", b"", "54 is missing"),
        (b"54=1", b"54=Z", "54=Z is no code"),
        (b"80=17\x01", b"80=17\x0180=17\x01", "group 78 has its members in the order"),
        (b"467=A1-buy-S1\x0180=17\x01", b"80=17\x01467=A1-buy-S1\x01", "group 78 has its members in the order"),
        (b"78=2", b"78=3", "group 78 has 2 parts, its count is 3"),
        (b"79=A1\x01", b"", "group 78 does not begin with 79"),
        (b"38=22", b"38=2.2E1", "38=2.2E1 is no QTY"),
        (b"55=VTI", b"9999=VTI", "message D has no field 9999"),
        (b"15=USD", b"15=", "a field is not"),
        (b"40=1\x01", b"40=1\x0140=1\x01", "40 stands 2 times"),
        (b"49=US\x01", b"", "49 is missing"),
        (b"-00:00:00.000", b"-24:00:00.000", "is no UTCTIMESTAMP"),
    ],
)
def test_the_rules_see_what_is_wrong(old: bytes, new: bytes, fault: str) -> None:
    block, *_ = [
        message for message in written(ProfileFormat.FIX44, "blocks") if b"78=2" in message and b"35=D" in message
    ]
    assert old in block
    assert any(fault in found for found in faults_of(block.replace(old, new), DICTIONARIES[ProfileFormat.FIX44]))

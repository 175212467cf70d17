import pytest

from tasks.executions.fix_message import fields_of
from tasks.executions.words import Unreadable
from tests.support.execution_writers import SOH, fix_message

WHOLE = fix_message((35, "0"), (49, "BROKER"), (56, "US"), (34, 7), (52, "20260105-14:30:00"))


@pytest.mark.parametrize("separator", [SOH, "|", "^A"])
def test_fields_are_read_by_number(separator: str) -> None:
    found = fields_of(WHOLE.replace(SOH, separator).encode())
    assert (found[8], found[35], found[49], found[34]) == ("FIX.4.4", "0", "BROKER", "7")


def test_a_message_that_was_counted_by_hand_adds_up() -> None:
    body = "35=A|34=1|49=A|52=20260105-14:30:00|56=B|98=0|108=30|"
    assert len(body) == 53
    head = f"8=FIX.4.4|9={len(body)}|"
    total = sum(ord(letter) if letter != "|" else 1 for letter in head + body) % 256
    assert fields_of(f"{head}{body}10={total:03}|".encode())[108] == "30"


@pytest.mark.parametrize("separator", ["|", "^A"])
def test_a_separator_within_a_text_stays_where_the_sum_says_that_it_was_one(separator: str) -> None:
    text = f"a{separator}b"
    message = fix_message((35, "8"), (58, text), separator=separator)
    assert fields_of(message.encode())[58] == text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("BROKER", "BROKES", "CheckSum(10) is '116'; needed '117'"),
        ("BROKER", "BROKERS", "BodyLength(9) is '47'; needed 48, as many bytes"),
        (f"{SOH}10=", f"{SOH}11=", "the message is not whole; needed the fields 8, 9 and 35 first and 10 last"),
        (f"{SOH}34=7", "", "BodyLength(9) is '47'; needed 42, as many bytes"),
        (f"{SOH}34=7", f"{SOH}347", "the message has '347'; needed fields as 35=8"),
        ("8=FIX.4.4", "8=FIX.9.9", "BeginString(8) is 'FIX.9.9'; needed FIX.4.4 or FIXT.1.1"),
        (
            "8=FIX.4.4",
            "8=fix",
            "the message does not begin with BeginString(8) and a separator; needed SOH, | or ^A after it",
        ),
        ("35=0", "35=0\x0135=0", "BodyLength(9) is '47'; needed 52, as many bytes"),
    ],
)
def test_damage_is_told(old: str, new: str, message: str) -> None:
    assert old in WHOLE
    with pytest.raises(Unreadable) as found:
        fields_of(WHOLE.replace(old, new).encode())
    assert str(found.value) == message


def test_a_field_that_counts_stands_once_and_others_may_repeat() -> None:
    parties = fields_of(fix_message((35, "8"), (448, "A"), (448, "B")).encode())
    assert parties[448] == "A"
    with pytest.raises(Unreadable, match="field 17 stands more than once; needed it once"):
        fields_of(fix_message((35, "8"), (17, "A"), (17, "B")).encode())


def test_text_is_utf_8() -> None:
    assert fields_of(fix_message((35, "8"), (58, "Zürich")).encode())[58] == "Zürich"
    latin = fix_message((35, "8"), (58, "Z?rich")).encode().replace(b"?", b"\xfc")
    whole = latin.replace(latin[-4:-1], f"{sum(latin[: latin.rindex(b'10=')]) % 256:03d}".encode())
    with pytest.raises(Unreadable, match="field 58 has the byte 0xFC; needed text in UTF-8"):
        fields_of(whole)


def test_a_field_without_a_value_is_none() -> None:
    assert 58 not in fields_of(fix_message((35, "8"), (58, "")).encode())

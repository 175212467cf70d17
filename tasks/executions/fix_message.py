"""One FIX message out of its bytes, checked: the fields it has, and that nothing was lost or changed on the way.

1. Fields are parted by SOH, or by what logs print in its place: a bar, or a caret and an A. BeginString(8), BodyLength(9) and
   MsgType(35) come first, CheckSum(10) last.
2. BodyLength and CheckSum are worked out on the form with SOH. A bar within a text is kept where they say that it was one.
3. Text is UTF-8. A field that is read stands once.

Source: FIX 4.4 volume 2 and FIXT 1.1, "Message format", FIX Trading Community, https://www.fixtrading.org/standards/.

Known limits: a data field that holds a SOH (RawData, EncodedText) makes its message unreadable.
"""

import re
from collections.abc import Mapping
from typing import Final

from tasks.executions.fix_words import READ, VERSIONS
from tasks.executions.words import Unreadable, quote_value

SOH: Final = b"\x01"
_START: Final = re.compile(rb"8=([A-Z0-9.]{1,12})(\x01|\||\^A)")
_END: Final = {
    separator: re.compile(separator_ + rb"10=[0-9]{3}(?:" + separator_ + rb"|(?=[\r\n])|\Z)")
    for separator, separator_ in ((each, re.escape(each)) for each in (SOH, b"|", b"^A"))
}
_FIELD: Final = re.compile(rb"[1-9][0-9]{0,5}=")
_ORDER: Final = (b"8=", b"9=", b"35=")
_LEAST: Final = 4


def version_of(message: bytes) -> str:
    """BeginString(8) of the message; empty where it has none."""
    found = _START.match(message)
    return found[1].decode() if found else ""


def end_of(data: bytes, start: int, limit: int) -> int:
    """Where the message ends that begins at ``start``, before ``limit``: one without CheckSum(10) ends with its line."""
    begun = _START.match(data, start, limit)
    found = _END[begun[2]].search(data, start, limit) if begun else None
    line_end = data.find(b"\n", start, limit)
    if found:
        return found.end()
    return limit if line_end < 0 else line_end


def fields_of(message: bytes) -> Mapping[int, str]:
    """The message's fields that have a value, the first of each number.

    Raises
    ------
    Unreadable
        It is not whole, or not what was sent.
    """
    found = _START.match(message)
    if found is None:
        raise Unreadable("the message does not begin with BeginString(8) and a separator; needed SOH, | or ^A after it")
    if version_of(message) not in VERSIONS:
        raise Unreadable(f"BeginString(8) is {quote_value(version_of(message))}; needed {' or '.join(VERSIONS)}")
    fields = _parts(message, found[2])
    _refuse_disorder(fields)
    _refuse_damage(fields)
    return _values_by_number(fields)


def _parts(message: bytes, separator: bytes) -> list[bytes]:
    """The fields as bytes. What a printed separator cut off a text is put back."""
    fields: list[bytes] = []
    for part in message.removesuffix(separator).split(separator):
        if _FIELD.match(part) or separator == SOH or not fields:
            fields.append(part)
        else:
            fields[-1] += separator + part
    return fields


def _refuse_disorder(fields: list[bytes]) -> None:
    for part in fields:
        if not _FIELD.match(part):
            raise Unreadable(f"the message has {quote_value(part.decode(errors='replace'))}; needed fields as 35=8")
    starts = tuple(part[: part.index(b"=") + 1] for part in fields)
    if len(fields) < _LEAST or starts[:3] != _ORDER or starts[-1] != b"10=":
        raise Unreadable("the message is not whole; needed the fields 8, 9 and 35 first and 10 last")


def _refuse_damage(fields: list[bytes]) -> None:
    body = SOH.join(fields[2:-1]) + SOH
    before = SOH.join(fields[:2]) + SOH
    said = fields[1][2:]
    if said.lstrip(b"0") != str(len(body)).encode():
        raise Unreadable(
            f"BodyLength(9) is {quote_value(said.decode(errors='replace'))}; needed {len(body)}, as many bytes"
        )
    needed = f"{sum(before + body) % 256:03d}"
    if fields[-1][3:] != needed.encode():
        raise Unreadable(f"CheckSum(10) is {quote_value(fields[-1][3:].decode(errors='replace'))}; needed '{needed}'")


def _values_by_number(fields: list[bytes]) -> Mapping[int, str]:
    numbered: dict[int, str] = {}
    for part in fields:
        number, _, value = part.partition(b"=")
        try:
            text = value.decode()
        except UnicodeDecodeError as error:
            raise Unreadable(
                f"field {number.decode()} has the byte 0x{value[error.start]:02X}; needed text in UTF-8"
            ) from error
        if int(number) in READ and int(number) in numbered:
            raise Unreadable(f"field {number.decode()} stands more than once; needed it once")
        numbered.setdefault(int(number), text)
    return {number: text for number, text in numbered.items() if text}

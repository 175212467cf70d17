"""A reader of FIX messages that knows nothing of the code that wrote them: the standard's rules out of ``fix_dictionary.txt``.

``faults_of`` says what is wrong with a message: frame, unknown or missing fields, an order that a group does not have, wrong types and
codes. Outside groups fields may stand in any order after the first three; ApplVerID is looked for in the fourth place.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SOH = b"\x01"
DEFINITION = re.compile(r"(\d+)(!?)(\w+):(\w+)")
TYPES = {
    "STRING": r"[ -~]+",
    "CHAR": r"[!-~]",
    "INT": r"-?\d+",
    "LENGTH": r"\d+",
    "SEQNUM": r"[1-9]\d*",
    "NUMINGROUP": r"[1-9]\d*",
    "QTY": r"-?\d+(\.\d+)?",
    "PRICE": r"-?\d+(\.\d+)?",
    "AMT": r"-?\d+(\.\d+)?",
    "CURRENCY": r"[A-Z]{3}",
    "LOCALMKTDATE": r"\d{4}(0[1-9]|1[0-2])([0-2]\d|3[01])",
    "UTCTIMESTAMP": r"\d{8}-([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{3})?",
}
"""How a value of a type is written, by the standard's list of data types."""


class Field(NamedTuple):
    is_required: bool
    kind: str


class Dictionary:
    """One version: fields of each message by their tags, members of each group in their order, and codes."""

    def __init__(self, version: str, *, packs: tuple[str, ...] = ()) -> None:
        self.fields: dict[str, dict[str, Field]] = {}
        self.groups: dict[str, dict[str, list[str]]] = {}
        self.codes: dict[str, set[str]] = {}
        for line in Path(__file__).with_name("fix_dictionary.txt").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{version} "):
                _, part, group, *members = line.split()
                self._read(part.partition("+"), group, members, packs)

    def _read(self, part: tuple[str, str, str], group: str, members: list[str], packs: tuple[str, ...]) -> None:
        kind, is_added, pack = part
        if kind == "values":
            self.codes[group] = set(members)
        elif not is_added or pack in packs:
            found = {tag: Field(bool(mark), type_) for tag, mark, _, type_ in map(_parts, members)}
            self.fields.setdefault(kind, {}).update(found)
            if group != "*":
                self._insert(kind, group, list(found))

    def _insert(self, kind: str, group: str, members: list[str]) -> None:
        """Members of an extension pack come after AllocQty (80)."""
        known = self.groups.setdefault(kind, {}).setdefault(group, [])
        place = known.index("80") + 1 if known else 0
        known[place:place] = members


def _parts(member: str) -> tuple[str, str, str, str]:
    tag, mark, name, type_ = DEFINITION.fullmatch(member).groups()  # type: ignore[union-attr]
    return tag, mark, name, type_


def faults_of(message: bytes, dictionary: Dictionary) -> list[str]:
    """What is wrong with one message, without the line feed after it."""
    pairs = [part.partition(b"=") for part in message.split(SOH)]
    if pairs.pop() != (b"", b"", b"") or any(not tag.isdigit() or not value for tag, _, value in pairs):
        return ["a field is not <tag>=<value><SOH>"]
    fields = [(tag.decode(), value.decode("ascii", "replace")) for tag, _, value in pairs]
    return [*_frame_faults(message, fields), *_field_faults(fields, dictionary)]


def _frame_faults(message: bytes, fields: list[tuple[str, str]]) -> Iterator[str]:
    tags = [tag for tag, _ in fields]
    if tags[:3] != ["8", "9", "35"] or tags[-1] != "10" or ("1128" in tags and tags[3] != "1128"):
        yield "the frame's fields are not where they belong"
        return
    trailer = message.rindex(b"10=")
    body = message[message.index(b"35=") : trailer]
    if fields[1][1] != str(len(body)):
        yield f"BodyLength is {fields[1][1]}, the body has {len(body)} bytes"
    if fields[-1][1] != f"{sum(message[:trailer]) % 256:03d}":
        yield f"CheckSum is {fields[-1][1]}, the bytes sum to {sum(message[:trailer]) % 256}"


def _field_faults(fields: list[tuple[str, str]], dictionary: Dictionary) -> Iterator[str]:
    kind = dict(fields)["35"]
    known = {**dictionary.fields["header"], **dictionary.fields[kind], **dictionary.fields["trailer"]}
    for tag, value in fields:
        if tag not in known:
            yield f"message {kind} has no field {tag}"
        elif not re.fullmatch(TYPES[known[tag].kind], value):
            yield f"{tag}={value} is no {known[tag].kind}"
        elif tag in dictionary.codes and value not in dictionary.codes[tag] and tag != "35":
            yield f"{tag}={value} is no code"
    tags = [tag for tag, _ in fields]
    yield from (f"{tag} is missing" for tag, field in known.items() if field.is_required and tag not in tags)
    yield from _group_faults(fields, dictionary.groups[kind])


def _group_faults(fields: list[tuple[str, str]], groups: dict[str, list[str]]) -> Iterator[str]:
    """Each group has as many parts as its count says, each begins with its first member, members are in order; nothing else repeats."""
    place, alone = 0, Counter[str]()
    while place < len(fields):
        tag, value = fields[place]
        alone[tag] += 1
        place += 1
        members = groups.get(tag)
        if members is None:
            continue
        rows: list[list[str]] = []
        while place < len(fields) and fields[place][0] in members:
            rows += [[]] if fields[place][0] == members[0] else []
            if not rows:
                yield f"group {tag} does not begin with {members[0]}"
                break
            rows[-1].append(fields[place][0])
            place += 1
        if len(rows) != int(value):
            yield f"group {tag} has {len(rows)} parts, its count is {value}"
        for row in rows:
            if [members.index(member) for member in row] != sorted({members.index(member) for member in row}):
                yield f"group {tag} has its members in the order {row}"
    yield from (f"{tag} stands {count} times" for tag, count in alone.items() if count > 1)

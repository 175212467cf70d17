"""Read OFX investment statements, SGML (1.x) and XML (2.x), of one or many accounts.

1. Five kinds of record: ``InvAccount`` (one a statement), ``InvPosition``, ``InvBalance``, ``InvTransaction`` (every child of
   ``INVTRANLIST``) and ``SecInfo``. Their fields are the elements inside, in small letters; ``acctid``, ``brokerid`` and
   ``dtasof`` of the statement are in all but ``SecInfo``, ``ticker`` and ``secname`` of the security in all that name one.
2. Days (``dt...``) are ``YYYY-MM-DD``, the day as it is written: at the place that the statement's offset names.
3. Added: ``element`` (``POSSTOCK``, ``BUYMF``, ...), ``cursym`` (the statement's currency where an element names none),
   ``shares`` and ``lot`` of a position, ``cash`` of a balance, ``asof`` of the account: ``dtasof`` with its time, midnight where it has none. A
   statement without a balance has one whose ``cash`` says so.
4. Amounts have a point or a comma before their decimals, as OFX allows. A comma that may as well part thousands (``1,000``) is decimal where
   another of the file can be nothing else (``72,50``); without one it is no number.
5. A file is refused that is not whole, that answers with an error, or has two statements of one account.

Known limits: the file is held in memory. OFX has no tax lots and no gain where the broker leaves it out.
``Records.numbers`` is the place of a record among all of the file's.
"""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

import ofxtools.models
import ofxtools.Types
import polars as pl

from schemas.errors import InputRefused, WrongUsage
from tasks.formats.mapping import InputFormat
from tasks.formats.ofx_markup import ofx_tree, text_of
from tasks.formats.records import Records

KINDS: Final = ("InvAccount", "InvPosition", "InvBalance", "InvTransaction", "SecInfo")
ADDED: Final = frozenset({"element", "shares", "lot", "cash", "asof"})
"""Fields that no element of a file has."""
SHARES: Final = frozenset({"POSSTOCK", "POSMF", "POSOTHER"})
"""Positions whose unit is a share, priced by the share."""
_CONVERTED_FROM: Final = "ORIGCURRENCY"
"""What an amount was before it was turned into the statement's currency."""
_DAY: Final = re.compile(r"^([0-9]{4})([0-9]{2})([0-9]{2})(?:[0-9]{4,6}(?:\.[0-9]+)?)?(?:\[[^\]]*\])?$")
_MOMENT: Final = re.compile(r"^[0-9]{8}([0-9]{2})([0-9]{2})([0-9]{2})?")
_COMMA: Final = re.compile(r"^[+-]?[0-9]*,[0-9]+$")
_GROUPED: Final = re.compile(r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$")
_UNCLEAR: Final = "{} (its comma may part thousands or decimals)"
_KNOWN: Final = frozenset(
    name
    for model in vars(ofxtools.models).values()
    if isinstance(model, type) and issubclass(model, ofxtools.models.Aggregate)
    for name in model.elements
)
_AMOUNTS: Final = frozenset(
    name
    for model in vars(ofxtools.models).values()
    if isinstance(model, type) and issubclass(model, ofxtools.models.Aggregate)
    for name, kind in model.elements.items()
    if isinstance(kind, ofxtools.Types.Decimal)
)

Cells = dict[str, str]
_Row = tuple[int | str | None, ...]
"""Number of a record, and what stands in the fields that the mapping reads."""


def ofx_records(fmt: InputFormat, path: Path) -> Iterator[Records]:
    """The records of the kinds that the mapping reads, kind by kind.

    Raises
    ------
    InputRefused
        The file is no OFX investment statement, not the whole of one, or an error in place of one.
    WrongUsage
        The mapping reads a record or a field that OFX does not have.
    """
    wanted = _fields_to_read(fmt)
    root = ofx_tree(path)
    _refuse_errors(path.name, root)
    _write_points(root)
    securities = [_cells(each) for each in root.iter("SECINFO")]
    names = {each.get("uniqueid", ""): each for each in securities}
    found: dict[str, list[_Row]] = {kind: [] for kind in wanted}
    for number, (kind, cells) in enumerate(_all(path.name, root, names, securities), 1):
        if kind in found:
            found[kind].append((number, *(cells.get(name) or None for name in wanted[kind])))
    yield from (_records(kind, wanted[kind], rows) for kind, rows in found.items() if rows)


def _fields_to_read(fmt: InputFormat) -> dict[str, tuple[str, ...]]:
    """Fields that the mapping reads of each kind of record."""
    fields: dict[str, set[str]] = {}
    for table in fmt.mapping.tables:
        used = {name for column in table.columns.values() for name in column.field_names}
        fields.setdefault(table.records, set()).update(used, (condition.field for condition in table.where))
    if fmt.mapping.as_of:
        fields.setdefault(fmt.mapping.as_of.record, set()).add(fmt.mapping.as_of.field)
    for kind, names in fields.items():
        if kind not in KINDS:
            raise WrongUsage(f"the format {fmt.name} reads {kind}; needed one of {', '.join(KINDS)}")
        strange = sorted(names - _KNOWN - ADDED)
        if strange:
            raise WrongUsage(
                f"the format {fmt.name} reads {strange[0]} of {kind}; needed an element of OFX in small letters, as uniqueid"
            )
    return {kind: tuple(sorted(names)) for kind, names in fields.items()}


def _records(kind: str, names: tuple[str, ...], rows: list[_Row]) -> Records:
    numbers, *columns = zip(*rows, strict=True)
    cells = pl.DataFrame(dict(zip(names, columns, strict=True)), schema=dict.fromkeys(names, pl.String))
    return Records(kind, cells, pl.Series("numbers", numbers, dtype=pl.Int64))


def _refuse_errors(name: str, root: Element) -> None:
    """Refuse an answer that says that something went wrong, in its own words."""
    for parent in ("SONRS", "INVSTMTTRNRS"):
        for status in root.iterfind(f".//{parent}/STATUS"):
            cells = _cells(status)
            if cells.get("severity") == "ERROR":
                raise InputRefused(
                    f"{name} is an error in place of a statement (code {cells.get('code', 'unknown')}): "
                    f"{cells.get('message', 'without a message')[:200]}; needed an OFX investment statement\n\n"
                    "Hint: ask the broker for the statement again."
                )


def _write_points(root: Element) -> None:
    """A point in place of each decimal comma of an amount; words that no number reads where it may part thousands."""
    amounts = [each for each in root.iter() if not len(each) and each.tag.lower() in _AMOUNTS and "," in text_of(each)]
    texts = [text_of(each) for each in amounts]
    is_clear = any(_COMMA.match(text) and not _GROUPED.match(text) for text in texts)
    is_clear = is_clear and all(_COMMA.match(text) for text in texts)
    for each, text in zip(amounts, texts, strict=True):
        each.text = text.replace(",", ".") if is_clear else _UNCLEAR.format(text)


def _all(name: str, root: Element, names: dict[str, Cells], securities: list[Cells]) -> Iterator[tuple[str, Cells]]:
    """Every record of the file in its order, securities last."""
    seen: set[tuple[str | None, str]] = set()
    for place, answer in enumerate(root.iter("INVSTMTTRNRS"), 1):
        statement = answer.find("INVSTMTRS")
        if statement is None:
            raise InputRefused(f"{name}: answer {place} holds no statement (INVSTMTRS); needed one")
        own = _statement_cells(name, place, statement)
        account = (own.get("brokerid"), own["acctid"])
        if account in seen:
            raise InputRefused(f"{name}: statement {place} is of an account that came before; needed one each")
        seen.add(account)
        yield "InvAccount", own
        yield from _statement_records(statement, own, names)
    if not seen:
        raise InputRefused(f"{name} has no investment statement (INVSTMTTRNRS); needed one for each account")
    yield from (("SecInfo", cells) for cells in securities)


def _statement_cells(name: str, place: int, statement: Element) -> Cells:
    """``acctid``, ``brokerid``, ``dtasof`` and ``cursym`` of a statement."""
    own = _cells(statement, within=("INVACCTFROM",))
    for field in ("acctid", "dtasof", "curdef"):
        if not own.get(field):
            raise InputRefused(f"{name}: statement {place} has no {field.upper()}; needed it")
    return {**own, "cursym": own["curdef"], "asof": _moment(own["dtasof"], text_of(_child(statement, "DTASOF")))}


def _child(element: Element, tag: str) -> Element:
    """The child of that tag; an empty one where there is none."""
    found = element.find(tag)
    return Element(tag) if found is None else found


def _moment(day: str, text: str) -> str:
    """A day with the time that the text writes behind it, in ISO 8601; midnight where it writes none."""
    found = _MOMENT.match(text)
    return f"{day}T{':'.join(part or '00' for part in found.groups())}" if found else f"{day}T00:00:00"


def _statement_records(statement: Element, own: Cells, names: dict[str, Cells]) -> Iterator[tuple[str, Cells]]:
    positions, transactions = statement.find("INVPOSLIST"), statement.find("INVTRANLIST")
    for element in () if positions is None else positions:
        cells = {**own, **_with_security_names(_cells(element), names), "element": element.tag}
        yield "InvPosition", {**cells, "shares": _shares(cells), "lot": _lot(cells)}
    balances = statement.findall("INVBAL")
    for balance in balances:
        cells = {**own, **_cells(balance, within=())}
        yield "InvBalance", {**cells, "cash": _cash(cells, has_positions=positions is not None)}
    if not balances:
        yield "InvBalance", {**own, "cash": "not there (the statement has no balance, INVBAL)"}
    for element in () if transactions is None else transactions:
        if len(element):
            yield "InvTransaction", {**own, **_with_security_names(_cells(element), names), "element": element.tag}


def _cells(element: Element, *, within: tuple[str, ...] | None = None) -> Cells:
    """Values inside an element by tag, the first of each; ``within``: look into these of its children only."""
    found: Cells = {}
    for child in element:
        is_meant = child.tag != _CONVERTED_FROM if within is None else child.tag in within
        if len(child) and is_meant:
            found = {**_cells(child), **found}
        elif not len(child):
            name = child.tag.lower()
            found.setdefault(name, _plain(name, text_of(child)))
    return found


def _plain(name: str, text: str) -> str:
    """A day in ISO 8601; other text, and a day that cannot be read, as it stands."""
    found = _DAY.match(text) if name.startswith("dt") else None
    try:
        return date.fromisoformat("-".join(found.groups())).isoformat() if found else text
    except ValueError:
        return text


def _with_security_names(cells: Cells, names: dict[str, Cells]) -> Cells:
    security = names.get(cells.get("uniqueid", ""), {})
    return {name: security[name] for name in ("ticker", "secname") if name in security} | cells


def _shares(cells: Cells) -> str:
    """``units``, negative if short, where a unit is a share; else words that no number reads."""
    units, side = cells.get("units", ""), cells.get("postype", "")
    if cells["element"] not in SHARES or side not in {"LONG", "SHORT"}:
        return f"{units} {cells['element']} {side}".strip()
    return f"-{units.lstrip('+-')}" if side == "SHORT" else units


def _lot(cells: Cells) -> str:
    """The part of the account, and in a retirement plan the source, that holds the position."""
    return "-".join(cells[name] for name in ("heldinacct", "inv401ksource") if cells.get(name))


def _cash(cells: Cells, *, has_positions: bool) -> str:
    """``availcash`` where nothing is borrowed or sold short and positions are listed; else words that no number reads.

    Whether ``availcash`` counts what was borrowed or came of short sales differs from broker to broker.
    """
    available, margin, short = (cells.get(name, "") for name in ("availcash", "marginbalance", "shortbalance"))
    if not available:
        return "not there (its INVBAL has no AVAILCASH)"
    if not has_positions:
        return f"{available} (no INVPOSLIST)"
    return available if _is_zero(margin) and _is_zero(short) else f"{available} + {margin} margin + {short} short"


def _is_zero(text: str) -> bool:
    try:
        return Decimal(text or "0") == 0
    except InvalidOperation:
        return False

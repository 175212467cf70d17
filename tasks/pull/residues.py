"""Residues of other currencies: amounts under a cent that conversions and fees leave behind. They count for nothing.

1. Looked at are the tables whose rows are amounts alone (``AMOUNTS``), and of them rows that name another currency than USD.
2. A row is a residue where its currency is one of ``CURRENCIES`` and each of its amounts is a number under a hundredth of it, either
   way. It is left out, with a notice unless all of it is zero.
3. Any other row stays, to be refused by its currency: more than that, a currency we do not know, an amount that cannot be read.

A hundredth of a currency of states is worth a few cents at most; of what else calls itself a currency (gold, coins) it may be hundreds
of dollars.
"""

from dataclasses import replace
from typing import Final

import polars as pl

from schemas.landing_columns import BLANK_IS_ZERO
from tasks.core.gate import CURRENCY_COLUMN, LINE
from tasks.formats import RawTable

AMOUNTS: Final = {"cash": ("settled_usd", "pending_usd")}
"""Tables of amounts, and the columns that have them."""
_CODES: Final = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNH
CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX UYU UZS VES VND VUV
WST XAF XCD XOF XPF YER ZAR ZMW
"""
CURRENCIES: Final = frozenset(_CODES.split())
"""Currencies of states, by ISO 4217; CNH is the renminbi outside of China."""
_CENT: Final = 0.01


def without_residues(raw: RawTable, file_name: str) -> RawTable:
    """The rows that are no residues, with their numbers; a notice says how many are left out, and of which currencies."""
    if raw.table not in AMOUNTS or CURRENCY_COLUMN not in raw.frame.columns:
        return raw
    if not isinstance(raw.frame[CURRENCY_COLUMN].dtype, (pl.String, pl.Categorical, pl.Enum)):
        return raw
    codes = raw.frame[CURRENCY_COLUMN].cast(pl.String).str.strip_chars().str.to_uppercase()
    is_other = codes.is_in(CURRENCIES).fill_null(value=False)
    if not is_other.any():
        return raw
    amounts = [_number(raw, column) for column in AMOUNTS[raw.table]]
    is_small = [(number.abs() < _CENT).fill_null(value=False) for number in amounts]
    is_residue = is_other & pl.DataFrame(is_small).select(pl.all_horizontal(pl.all())).to_series()
    if LINE in raw.frame.columns:
        is_residue &= raw.frame[LINE].is_null()
    if not is_residue.any():
        return raw
    is_nothing = pl.DataFrame([number == 0 for number in amounts]).select(pl.all_horizontal(pl.all())).to_series()
    return _rows_at(raw, ~is_residue, _notices(raw.table, codes.filter(is_residue & ~is_nothing), file_name))


def _number(raw: RawTable, column: str) -> pl.Series:
    """The amounts as floats: near enough to tell whether they are under a cent. Null where they are no number."""
    if column not in raw.frame.columns:
        cells = pl.Series(column, [None], dtype=pl.String).new_from_index(0, raw.frame.height)
    else:
        cells = raw.frame[column]
    if isinstance(cells.dtype, pl.String):
        cells = cells.str.strip_chars().replace("", None)
    is_number = isinstance(cells.dtype, pl.String) or cells.dtype.is_numeric()
    numbers = (
        cells.cast(pl.Float64, strict=False) if is_number else pl.repeat(None, len(cells), dtype=pl.Float64, eager=True)
    )
    is_blank = cells.is_null() & (column in BLANK_IS_ZERO.get(raw.table, ()))
    return numbers.set(is_blank, 0.0).alias(column)


def _notices(table: str, codes: pl.Series, file_name: str) -> tuple[str, ...]:
    if codes.is_empty():
        return ()
    count, named = f"{len(codes):,}", ", ".join(sorted(codes.unique()))
    return (
        f"{file_name}: {count} rows of {table} in {named} come to less than a cent of it each; they count for nothing",
    )


def _rows_at(raw: RawTable, is_kept: pl.Series, notices: tuple[str, ...]) -> RawTable:
    numbers = raw.numbers
    if numbers is None:
        numbers = pl.int_range(raw.first_row, raw.first_row + raw.frame.height, dtype=pl.Int64, eager=True)
    return replace(
        raw,
        frame=raw.frame.filter(is_kept),
        numbers=numbers.filter(is_kept),
        as_read=None if raw.as_read is None else raw.as_read.filter(is_kept),
        notices=(*raw.notices, *notices),
    )

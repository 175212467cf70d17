"""FIX tag=value text in bulk: an expression per field, a column of message bodies, and the frame around each.

A message is ``8=<BeginString>|9=<BodyLength>|<body>10=<CheckSum>|``, where ``|`` stands for SOH (0x01). BodyLength counts the
bytes after its own SOH up to that before ``10=``; CheckSum is the sum of all bytes before ``10=``, modulo 256, as three digits.

Source: ISO 3531-1:2022 (FIX tagvalue encoding), 5.2.2 and 5.3.2; the rules of FIX 4.4 and 5.0 are the same and public
(http://fixwiki.org/fixwiki/FPL:Tag_Value_Syntax).

Values are printable ASCII. The standard has other characters in ``Encoded...`` fields only, beside an ASCII text, and only a few
fields have such a twin; neither symbols nor ids do.
"""

from typing import Final

import numpy as np
import polars as pl

from tasks.core.facts import number_cell

SOH: Final = "\x01"
PLAIN: Final = r"^[!-~](?:[ -~]*[!-~])?$"
"""Printable ASCII that neither starts nor ends with a space."""
MOST_DIGITS: Final = 15
""""All float fields must accommodate up to fifteen significant digits": what a receiver must be able to read."""


def is_plain(column: str) -> pl.Expr:
    """True where a text can be the value of a field. Null: null."""
    return pl.col(column).str.contains(PLAIN)


def field(tag: int, value: pl.Expr) -> pl.Expr:
    """``<tag>=<value>`` and SOH. A null or empty value leaves the field out: FIX has no empty fields."""
    text = value.cast(pl.String)
    written = pl.concat_str(pl.lit(f"{tag}="), text, pl.lit(SOH))
    return pl.when(text != "").then(written).otherwise(pl.lit(""))


def constant_field(tag: int, value: str) -> pl.Expr:
    """A field that is the same in every message; left out where it is empty."""
    return pl.lit(f"{tag}={value}{SOH}" if value else "")


def number(tag: int, column: str) -> pl.Expr:
    """A Decimal as a FIX float: no exponent, no needless zeros."""
    return field(tag, number_cell(column))


def day(tag: int, column: str) -> pl.Expr:
    """A date as ``YYYYMMDD`` (LocalMktDate)."""
    return field(tag, pl.col(column).dt.strftime("%Y%m%d"))


def is_readable_number(number: pl.Expr) -> pl.Expr:
    """True where a Decimal of up to six digits after the point has no more significant ones than every receiver must read."""
    digits = number.cast(pl.Decimal(38, 6)).cast(pl.String).str.replace(".", "", literal=True)
    is_whole = digits.str.ends_with("000000")
    significant = pl.when(is_whole).then(digits.str.head(-6)).otherwise(digits.str.strip_chars_end("0"))
    return significant.str.len_chars() <= MOST_DIGITS


def frame_messages(begin: str, bodies: pl.Series) -> pl.Series:
    """Whole messages, in the bodies' order.

    Parameters
    ----------
    begin
        BeginString (8).
    bodies
        Everything between BodyLength and CheckSum, each field ended by SOH.
    """
    heads = bodies.to_frame("body").select(
        message=pl.concat_str(pl.lit(f"8={begin}{SOH}9="), pl.col("body").str.len_bytes(), pl.lit(SOH), pl.col("body"))
    )
    sums = pl.Series("sum", checksums(heads["message"]))
    check = sums.cast(pl.String).str.zfill(3)
    return heads.with_columns(check).select(pl.concat_str("message", pl.lit("10="), "sum", pl.lit(SOH))).to_series()


def checksums(texts: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Sum of each text's UTF-8 bytes modulo 256. No text is empty.

    The bytes of all of them lie end to end; sums of a range of ``uint8`` wrap at 256 by themselves.
    """
    if texts.is_empty():
        return np.empty(0, np.uint8)
    everything = np.frombuffer(texts.str.join("").item().encode(), np.uint8)
    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    return np.add.reduceat(everything, np.cumsum(lengths) - lengths, dtype=np.uint8)

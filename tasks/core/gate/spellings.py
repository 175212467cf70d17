"""Which known identifiers a text could mean that is none of them: programs respell identifiers on the way.

A text could mean an identifier that has the same letters and digits but for

* letter case, spaces, punctuation and signs that a spreadsheet puts around a text (``="00123"``, ``'00123``);
* leading zeros, of the whole or of any run of digits in it;
* digits of another script or width, letters that look like digits (O and 0; I, l and 1), and ``.0`` behind a whole number;
* digits that a spreadsheet dropped: ``1.23E+11`` could be any number that rounds to it, and one of more than 15 digits any
  that shares the first 15.

Generous on purpose: an identifier that is named in vain costs a night, one that is missed costs wrong trades.
"""

import re
import unicodedata
from typing import Final

import polars as pl

_NUMBER: Final = re.compile(r"([0-9]+)(?:\.([0-9]*))?(?:e([0-9]{1,2}))?")
_KNOWN_NUMBER: Final = r"^[0-9]+(?:e[0-9]{1,2})?$"
_FLOAT_DIGITS: Final = 15
"""Digits that a spreadsheet keeps of a number."""
_SLACK: Final = 1 + 1e-12


def could_mean(texts: pl.Series, known: pl.Series) -> pl.DataFrame:
    """``text, meant``: each of the texts with each known identifier that it could mean, sorted; an identifier means itself.

    Parameters
    ----------
    texts
        What was found; few. Nulls mean nothing.
    known
        Identifiers of the contract's alphabet, ``A-Z a-z 0-9 . _ -``.
    """
    schema = {"text": pl.String, "meant": pl.String}
    found = texts.drop_nulls().unique()
    if found.is_empty() or known.is_empty():
        return pl.DataFrame(schema=schema)
    keyed = pl.DataFrame({"text": found, "key": [_plain(text) for text in found]}, schema_overrides={"key": pl.String})
    names = known.drop_nulls().unique().to_frame("meant")
    by_letters = _with_bare_key(keyed).join(_with_bare_key(names.with_columns(key="meant")), on="bare")
    pairs = [by_letters.select("text", "meant"), _by_looks(keyed, names), *_by_value(keyed, names)]
    return pl.concat([pl.DataFrame(schema=schema), *pairs]).unique().sort("text", "meant")


def _plain(text: str) -> str:
    """The text in ASCII digits and small letters, compatibility forms taken apart."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(str(unicodedata.digit(char)) if char.isdigit() else char for char in folded)


def _with_bare_key(frame: pl.DataFrame) -> pl.DataFrame:
    """``bare``: letters and digits of ``key``, without leading zeros; rows without any are left out."""
    letters = (
        pl.col("key")
        .str.to_lowercase()
        .str.replace(r"^(\W*[0-9]+)\.0*\W*$", "${1}")
        .str.replace_all(r"[\W_]", "")
        .str.replace_all(r"(^|[^0-9])0+([0-9])", "${1}${2}")
    )
    return frame.with_columns(bare=letters).filter(pl.col("bare") != "")


def _by_looks(keyed: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Identifiers that differ from a text in digits for the letters that look like them; one letter for another is another name."""
    plain = pl.col("key").str.to_lowercase().str.replace_all(r"[\W_]", "")
    looks = plain.str.replace_all("o", "0", literal=True).str.replace_all("[il]", "1").alias("looks")
    texts, known = (
        rows.select(pl.first(), plain.alias("plain"), looks) for rows in (keyed, names.select("meant", key="meant"))
    )
    alike = texts.join(known, on="looks", suffix="_known")
    is_meant = [
        all(one == other or one.isdigit() != other.isdigit() for one, other in zip(text, name, strict=True))
        for text, name in alike.select("plain", "plain_known").iter_rows()
    ]
    return alike.filter(pl.Series(is_meant, dtype=pl.Boolean)).select("text", "meant")


def _by_value(keyed: pl.DataFrame, names: pl.DataFrame) -> list[pl.DataFrame]:
    """Known numbers that round to a number that lost digits."""
    numbers = (
        names.with_columns(key=pl.col("meant").str.to_lowercase().str.replace_all(r"[._-]", ""))
        .filter(pl.col("key").str.contains(_KNOWN_NUMBER))
        .with_columns(value=pl.col("key").cast(pl.Float64))
    )
    pairs = []
    for text, key in keyed.rows():
        low, high = _range(key) or (1.0, 0.0)
        inside = numbers.filter(pl.col("value").is_between(low / _SLACK, high * _SLACK)) if low <= high else None
        if inside is not None and inside.height:
            pairs.append(inside.select(pl.lit(text).alias("text"), "meant"))
    return pairs


def _range(key: str) -> tuple[float, float] | None:
    """Least and greatest number that the text may have been; null where it is no number, or a number of which all digits stand."""
    pointed = key.replace(",", ".") if "e" in key else key
    found = _NUMBER.fullmatch(re.sub(r"[^0-9a-z.]", "", pointed))
    if found is None:
        return None
    whole, fraction, exponent = found[1], found[2] or "", int(found[3] or 0)
    if found[3] is None and len(whole.lstrip("0")) <= _FLOAT_DIGITS:
        return None
    digits = min(len((whole + fraction).lstrip("0")), _FLOAT_DIGITS)
    value = float(f"{whole}.{fraction or 0}e{exponent}")
    if value == 0:
        return 0.0, 0.0
    step = 10.0 ** (len(str(int(value))) - digits)
    return value - step / 2, value + step / 2

"""CUSIPs and ISINs: which of them may go along with an order.

1. A CUSIP is 9 characters, the last a check digit over the others' values: every second is doubled, digits are added (ANSI X9.6). An ISIN
   is a country's two letters, nine letters or digits and a check digit over all of them, letters written as numbers (ISO 6166, Luhn).
2. Of a security of the United States or Canada the ISIN holds the CUSIP: where it holds another neither is trusted.
3. A label that two securities have is a label of neither.

A label decides nothing here: holdings, prices and orders go by ``security_id``. So one that cannot be right stops no account; it leaves
with no order, which goes by symbol and identifier then. A wrong one that left could trade another security.

Known limits: a label that is right in itself and another security's is not seen, unless that security has it too.
"""

from typing import Final

import polars as pl

LABELS: Final = ("cusip", "isin")
ODD_LABELS: Final = {name: pl.String() for name in ("security_id", "label", "value", "fault")}
"""Grain: security and label that cannot be right. ``fault``: what is wrong with its value."""
_HOLDS_CUSIP: Final = ("US", "CA")
_PATTERN: Final = {"cusip": r"^[0-9A-Z*@#]{8}[0-9]$", "isin": r"^[A-Z]{2}[0-9A-Z]{9}[0-9]$"}
_FORM: Final = {
    "cusip": "is not 9 characters of 0-9 A-Z * @ #, the last a digit",
    "isin": "is not two letters, nine letters or digits, and a digit",
}
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*@#"
_NUMBERS: Final = {each: str(value) for value, each in enumerate(_ALPHABET)}
_MOST_NAMED: Final = 5
_LONGEST: Final = 20
_MOST_DIGITS: Final = 23
"""Of an ISIN whose letters are written as numbers: eleven letters and the check digit."""


def sound_labels(securities: pl.DataFrame) -> pl.DataFrame:
    """Securities with ``cusip`` and ``isin`` in capitals, null where they cannot be right; the rows as they were otherwise.

    Parameters
    ----------
    securities
        Every landed row: a label is judged beside those of the other securities.
    """
    judged = _judge(securities)
    return judged.select(
        pl.when(pl.col(f"{name}_fault").is_null()).then(name).alias(name) if name in LABELS else name
        for name in securities.columns
    )


def odd_labels(securities: pl.DataFrame) -> pl.DataFrame:
    """``ODD_LABELS`` of the landed rows, by security and label."""
    judged = _judge(securities)
    found = [
        judged.select("security_id", label=pl.lit(name), value=name, fault=f"{name}_fault").drop_nulls("fault")
        for name in LABELS
    ]
    return pl.concat(found).unique().sort("security_id", "label", "value", nulls_last=True)


def odd_label_notice(securities: pl.DataFrame) -> str:
    """Which labels go along with no order, and why; nothing where there are none."""
    odd = odd_labels(securities)
    if odd.is_empty():
        return ""
    words = pl.format("{} of {} is {}, which {}", "label", "security_id", pl.col("value").str.head(_LONGEST), "fault")
    first = odd.head(_MOST_NAMED).select(words).to_series().to_list()
    more = f"; and {odd.height - _MOST_NAMED:,} more" if odd.height > _MOST_NAMED else ""
    return f"{odd.height:,} CUSIPs or ISINs cannot be right and go along with no order: {'; '.join(first)}{more}"


def _judge(securities: pl.DataFrame) -> pl.DataFrame:
    """Securities with their labels in capitals, and ``cusip_fault`` and ``isin_fault``: null where nothing is wrong."""
    rows = securities.with_columns(_capitals(name) for name in LABELS)
    own = rows.with_columns(cusip_fault=_form_fault("cusip", _is_cusip()), isin_fault=_form_fault("isin", _is_isin()))
    both_sound = pl.all_horizontal(pl.col(f"{name}_fault").is_null() & pl.col(name).is_not_null() for name in LABELS)
    is_held = pl.col("isin").str.slice(0, 2).is_in(_HOLDS_CUSIP)
    differ = both_sound & is_held & (pl.col("isin").str.slice(2, 9) != pl.col("cusip"))
    return own.with_columns(
        pl.coalesce(
            f"{name}_fault",
            pl.when(differ).then(pl.lit(f"is of another security than the {other}")),
            pl.when(pl.col("security_id").n_unique().over(name) > 1).then(pl.lit("is of several securities")),
        ).alias(f"{name}_fault")
        for name, other in zip(LABELS, reversed(LABELS), strict=True)
    ).with_columns(pl.when(pl.col(name).is_not_null()).then(f"{name}_fault").alias(f"{name}_fault") for name in LABELS)


def _capitals(label: str) -> pl.Expr:
    text = pl.col(label).str.strip_chars().str.to_uppercase()
    return pl.when(text != "").then(text).alias(label)


def _form_fault(label: str, is_right: pl.Expr) -> pl.Expr:
    is_formed = pl.col(label).str.contains(_PATTERN[label])
    return pl.when(~is_formed).then(pl.lit(_FORM[label])).when(~is_right).then(pl.lit("fails its check digit"))


def _is_cusip() -> pl.Expr:
    """Whether the last digit is the one over the first eight characters."""
    values = (pl.col("cusip").str.slice(place, 1).replace(_NUMBERS).cast(pl.Int64, strict=False) for place in range(8))
    total = pl.sum_horizontal(_digits(value * (1 + place % 2)) for place, value in enumerate(values))
    return (total + pl.col("cusip").str.slice(8, 1).cast(pl.Int64, strict=False)) % 10 == 0


def _is_isin() -> pl.Expr:
    """Whether all digits, every second from the right doubled, come to a multiple of ten."""
    letters = {each: number for each, number in _NUMBERS.items() if each.isalpha()}
    backwards = pl.col("isin").str.replace_many(letters).str.reverse()
    values = (backwards.str.slice(place, 1).cast(pl.Int64, strict=False) for place in range(_MOST_DIGITS))
    return pl.sum_horizontal(_digits(value * (1 + place % 2)) for place, value in enumerate(values)) % 10 == 0


def _digits(number: pl.Expr) -> pl.Expr:
    """Sum of the digits of a number below 100; of none 0."""
    return (number // 10 + number % 10).fill_null(0)

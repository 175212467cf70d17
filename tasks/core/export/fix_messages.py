"""What FIX messages have in common: versions, the header, how a security is named, and what an order must be to become one.

Sources: FIX 4.4 with errata 2003-06-18, volumes 1 (header), 4 (New Order - Single), 5 (Allocation Instruction) and 6 (fields); FIX 5.0 SP2 and FIXT.1.1
with errata 2011-08-18, the same places; field by field at https://fiximate.fixtrading.org.

1. Symbol (55) names the security, and with it its CUSIP or ISIN where they are known: SecurityID (48) of SecurityIDSource (22) 1 or 4. Of two
   the ISIN is the alternate (SecurityAltID, 455, of SecurityAltIDSource, 456). Our own identifier is left out: there is no code for
   a firm's own but one agreed upon (100 and up).
2. SecurityType (167) is CS for a share and MF for a mutual fund. An exchange-traded fund has no code in either version (``ETF`` came with
   a later extension pack), and the field may be left out except in fixed income. What kind of bond or other thing ours is, we
   do not know, so these are refused.
3. There is no clock here: SendingTime (52) and the like are the as-of date at midnight UTC. The sender of the messages over a
   session sets 34 and 52 anew, with them 9 and 10; a FIX engine does so by itself.
"""

from datetime import date
from typing import Final, NamedTuple

import polars as pl

from schemas.enums import ProfileFormat, SecurityType, Side
from schemas.exports import Profile
from tasks.core.export import fix_encoding as fix
from tasks.core.export.blocks import BLOCK
from tasks.core.export.package import ExportPackage
from tasks.core.export.words import NOT_TOLD_APART, first_faults, has_label

SIDES: Final = {Side.BUY: "1", Side.SELL: "2"}
SECURITY_TYPES: Final = {SecurityType.EQUITY: "CS", SecurityType.MUTUAL_FUND: "MF", SecurityType.ETF: ""}
"""SecurityType (167) of what can be ordered; empty: left out."""
_PLAIN: Final = "printable ASCII that neither starts nor ends with a space"


class FixVersion(NamedTuple):
    """What differs between versions: BeginString (8), ApplVerID (1128), and whether an allocation may name a lot."""

    begin: str
    application: str
    has_lots: bool


VERSIONS: Final = {
    ProfileFormat.FIX44: FixVersion("FIX.4.4", "", has_lots=False),
    ProfileFormat.FIX50SP2: FixVersion("FIXT.1.1", "9", has_lots=True),
}


def refusals(release: ExportPackage, profile: Profile) -> pl.DataFrame:
    """Orders that FIX cannot say: no symbol, a kind of security without a code, text that is no plain ASCII, too many digits."""
    unwritable = (
        sayable_lots(release, profile).filter(~fix.is_plain("lot_id").fill_null(value=False))["order_id"].unique()
    )
    return first_faults(
        release.orders,
        {
            f"sender and target of the profile {profile.name} are to be {_PLAIN}": _is_session_faulty(profile),
            "the security {security_id} has no symbol, and FIX would name it by that": _is_blank("symbol"),
            f"FIX writes {_PLAIN}, the symbol of {{security_id}} is otherwise": ~fix.is_plain("symbol"),
            f"FIX writes {_PLAIN}, the account's id is otherwise": ~fix.is_plain("account_id"),
            f"FIX writes {_PLAIN}, the order's id is otherwise": ~fix.is_plain("order_id"),
            f"FIX writes {_PLAIN}, the order's reason is otherwise": ~(_is_blank("reason") | fix.is_plain("reason")),
            f"FIX writes {_PLAIN}, the id of a lot that it closes is otherwise": pl.col("order_id").is_in(
                unwritable.implode()
            ),
            f"FIX writes {_PLAIN}, the exchange of {{security_id}} is otherwise": ~(
                _is_blank("exchange") | fix.is_plain("exchange")
            ),
            NOT_TOLD_APART: pl.col("shares_symbol") & ~(pl.col("is_told_by_exchange") | has_label()),
            "FIX splits a block in shares alone, and {symbol} is ordered in dollars": pl.col("amount_usd").is_not_null()
            & (profile.grain == "blocks"),
            "FIX has codes for shares and funds, {symbol} is of type {security_type}": ~pl.col("security_type").is_in(
                list(SECURITY_TYPES)
            ),
            f"FIX is read to {fix.MOST_DIGITS} digits, the quantity of {{symbol}} has more": ~_is_readable(profile),
        },
    )


def sayable_lots(release: ExportPackage, profile: Profile) -> pl.DataFrame:
    """Lots that the messages name: all, or none in a version that has no fields for them."""
    return release.lots if VERSIONS[profile.format].has_lots else release.lots.clear()


def _is_session_faulty(profile: Profile) -> pl.Expr:
    """The same for every order. A bare literal that passes ``fill_null`` cannot filter a large frame (Polars 2.1)."""
    names = pl.DataFrame({"name": [profile.sender, profile.target]})
    is_plain = bool(names.select(fix.is_plain("name").all()).item())
    return pl.col("order_id").is_null() | (not is_plain)


def _is_blank(column: str) -> pl.Expr:
    return pl.col(column).fill_null("").str.strip_chars() == ""


def _is_readable(profile: Profile) -> pl.Expr:
    """The order's quantity, and its block's where that is written."""
    quantity = pl.col("quantity")
    alone = fix.is_readable_number(quantity)
    return alone & fix.is_readable_number(quantity.sum().over(BLOCK)) if profile.grain == "blocks" else alone


def header(kind: str, profile: Profile, day: date, *, sequence: pl.Expr) -> pl.Expr:
    """Standard header from MsgType (35) on. By the standard only the first three fields have their place; ApplVerID (1128) is the next.

    Parameters
    ----------
    kind
        MsgType.
    profile
        Its format, sender and target.
    day
        SendingTime is its midnight.
    sequence
        MsgSeqNum.
    """
    return pl.concat_str(
        fix.constant_field(35, kind),
        fix.constant_field(1128, VERSIONS[profile.format].application),
        fix.constant_field(49, profile.sender),
        fix.constant_field(56, profile.target),
        fix.field(34, sequence),
        fix.constant_field(52, midnight(day)),
    )


def midnight(day: date) -> str:
    """UTCTimestamp of the day's first moment."""
    return f"{day:%Y%m%d}-00:00:00.000"


def instrument(*labels: pl.Expr) -> pl.Expr:
    """Symbol (55), labels and, where it has a code, SecurityType (167), of ``symbol`` and ``security_type``."""
    code = pl.col("security_type").replace_strict(SECURITY_TYPES, return_dtype=pl.String)
    return pl.concat_str(fix.field(55, pl.col("symbol")), *labels, fix.field(167, code))


def security_ids() -> pl.Expr:
    """SecurityID (48) with its source, and the alternate's group (454), of ``cusip`` and ``isin``; none where neither is known."""
    cusip, isin = pl.col("cusip"), pl.col("isin")
    alone = pl.concat_str(fix.field(48, isin), fix.constant_field(22, "4"))
    first = pl.concat_str(fix.field(48, cusip), fix.constant_field(22, "1"))
    other = pl.concat_str(fix.constant_field(454, "1"), fix.field(455, isin), fix.constant_field(456, "4"))
    return (
        pl.when(cusip.is_not_null() & isin.is_not_null())
        .then(pl.concat_str(first, other))
        .when(cusip.is_not_null())
        .then(first)
        .when(isin.is_not_null())
        .then(alone)
        .otherwise(pl.lit(""))
    )


def exchange() -> pl.Expr:
    """SecurityExchange (207), the last of the instrument's fields, where ``exchange`` is known."""
    return fix.field(207, pl.col("exchange").fill_null(""))


def side() -> pl.Expr:
    """Side (54), of ``side``."""
    return fix.field(54, pl.col("side").replace_strict(SIDES, return_dtype=pl.String))

"""Rows of accounts' tables whose account was not delivered, and the accounts that they could be rows of; and what broken rows of other tables could name.

1. A row costs every account that its own could be a respelling of (``spellings``), and every account that is named in a text
   which is no identifier: a line of semicolons, a line with a cell too many.
2. One that names a security of ours, or of tilts and indexes a class of ours, and whose account is blank, or is no identifier and means none, could be anybody's. It costs every
   account but those that are known to be whole without it: for a lot, accounts that come to what the custodian says or that
   are compared with an earlier night; for a trade, those that are compared. A row of cash costs nobody so: an account without
   one is not traded anyway.
3. Cells may stand a column too far to the left or the right. Where a security of ours stands for the account, the row could be anybody's;
   where an account of ours stands for the security of a row without one, it is that account's.
4. One that names an account well and means none of ours is somebody else's, and costs nobody; nor does a trailer or a comment.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from schemas.enums import ActionKind
from schemas.landing_columns import IDENTIFIER, dtypes
from tasks.core.gate.spellings import could_mean

STRAY: Final[dict[str, type[pl.DataType]]] = {
    "table_name": pl.String,
    "text": pl.String,
    "is_name": pl.Boolean,
    "security": pl.String,
}
"""Grain: table, text and security. ``text``: the account as it was read, or the line where its cells may stand in the wrong columns; null: none
was. ``is_name``: it is an identifier. ``security``: what the row is about, a security or (``OF_CLASSES``) a class, as it was read; null where the
account is an identifier."""
STRAY_TABLES: Final = ("lots", "cash", "restrictions", "trades", "tilts", "direct_indexes")
OF_CLASSES: Final = ("tilts", "direct_indexes")
"""Those of which a row is about a class, and not about a security."""
ACCOUNT_KNOWN: Final = "account_known"
"""The rule that a row of an account that was not delivered breaks."""


def stray_rows(tables: Mapping[str, pl.DataFrame], delivered: pl.Series) -> pl.DataFrame:
    """``STRAY`` of the rows of accounts that are not delivered, each once. Restrictions without an account are everyone's."""
    parts = [pl.DataFrame(schema=STRAY)]
    for table in (name for name in STRAY_TABLES if name in tables):
        account = pl.col("account_id")
        is_stray = account.is_null() if table != "restrictions" else pl.lit(value=False)
        parts.append(stray_names(table, tables[table].filter(is_stray | ~account.is_in(delivered.implode()))))
    return pl.concat(parts)


def stray_names(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """``STRAY`` of rows whose account is not delivered."""
    line = pl.col("raw").str.json_path_match("$.line")
    is_named = is_name("account_id") & line.is_null()
    about = next((name for name in ("security_id", "asset_class") if name in rows.columns), None)
    security = pl.lit(None, dtype=pl.String) if about is None else text_of(about)
    return (
        rows.select(
            table_name=pl.lit(table),
            text=pl.coalesce(line, text_of("account_id")),
            is_name=is_named,
            security=pl.when(~is_named).then(security),
        )
        .unique()
        .sort("text", "is_name", "security")
    )


def without_foreign(tables: Mapping[str, pl.DataFrame], delivered: pl.Series) -> dict[str, pl.DataFrame]:
    """The tables without rows that name an account well and mean none of those delivered."""
    strays = stray_rows(tables, delivered)
    meant = meant_by(strays, delivered)["text"]
    foreign = strays.filter(pl.col("is_name") & ~pl.col("text").is_in(meant.implode()))["text"].unique()
    is_foreign = pl.col("account_id").is_in(foreign.implode()).fill_null(value=False)
    return {table: rows.filter(~is_foreign) if table != "accounts" else rows for table, rows in tables.items()}


def text_of(column: str) -> pl.Expr:
    """The identifier of a row as it was read; null where there was none."""
    text = pl.coalesce(
        pl.col(column).cast(pl.String), pl.col("raw").str.json_path_match(f"$.{column}")
    ).str.strip_chars()
    return pl.when(text != "").then(text).alias(column)


def is_name(column: str) -> pl.Expr:
    """Whether the column could be read and is an identifier."""
    return pl.col(column).str.contains(IDENTIFIER).fill_null(value=False).alias("is_name")


def meant_by(strays: pl.DataFrame, delivered: pl.Series) -> pl.DataFrame:
    """``text, meant``: the accounts that each text of the strays could mean or, where it is no identifier, names among other words."""
    words = (
        strays.filter(~pl.col("is_name"))
        .select("text", word=pl.col("text").str.extract_all(r"[A-Za-z0-9._-]+"))
        .explode("word")
        .drop_nulls()
        .unique()
    )
    inside = words.join(could_mean(words["word"], delivered), left_on="word", right_on="text").select("text", "meant")
    return pl.concat([could_mean(strays["text"], delivered), inside]).unique().sort("text", "meant")


def accounts_that_lack(
    strays: pl.DataFrame,
    delivered: pl.Series,
    securities: pl.Series,
    classes: pl.Series,
    *,
    broken: pl.DataFrame,
    counted: pl.DataFrame,
    compared: pl.DataFrame,
) -> pl.DataFrame:
    """``account_id, reason`` of the accounts that lose a row which could be theirs.

    Parameters
    ----------
    strays
        ``STRAY`` of the whole night.
    delivered
        Accounts to be judged.
    securities
        Securities that can be held.
    classes
        Classes that models have.
    broken
        ``account_id`` of those that are stopped anyhow: a row that could be anybody's adds nothing to that.
    counted, compared
        ``account_id`` of those that come to the custodian's totals, and of those that are compared with an earlier night.
    """
    pairs = meant_by(strays, delivered)
    meant = strays.join(pairs, on="text").select("table_name", account_id="meant")
    means_none = ~pl.col("text").is_in(pairs["text"].implode()).fill_null(value=False)
    nameless = strays.filter(~pl.col("is_name") & means_none)
    is_of_classes = pl.col("table_name").is_in(OF_CLASSES)
    parts = []
    for known, is_theirs in ((securities, ~is_of_classes), (classes, is_of_classes)):
        about = could_mean(nameless["security"], known)["text"]
        is_left = pl.col("is_name") & pl.col("text").is_in(known.implode())
        found = nameless.filter(pl.col("security").is_in(about.implode()))
        parts.append(pl.concat([found, strays.filter(is_left & means_none)]).filter(is_theirs))
    of_anybody = pl.concat(parts)
    owners = could_mean(nameless["security"], delivered).rename({"text": "security"})
    right = nameless.join(owners, on="security").select("table_name", account_id="meant")
    nobody = compared.clear()
    whole = {"lots": pl.concat([counted, compared]), "trades": compared}
    whole |= dict.fromkeys(("restrictions", *OF_CLASSES), nobody)
    everyone = delivered.to_frame("account_id").join(broken, on="account_id", how="anti")
    lacking = [
        everyone.join(whole[table], on="account_id", how="anti").select(pl.lit(table).alias("table_name"), "account_id")
        for table in of_anybody["table_name"].unique().sort()
        if table in whole
    ]
    return (
        pl.concat([meant, right, *lacking])
        .unique()
        .select("account_id", reason=pl.format("{}:{}", "table_name", pl.lit(ACCOUNT_KNOWN)))
    )


def lost_names(broken: pl.DataFrame, column: str, about: str, known: pl.Series) -> pl.DataFrame:
    """``text, is_anyones`` of what the column names in broken rows, as it was read.

    ``is_anyones``: it is no identifier, and the column ``about`` names something known: it is not a comment or a trailer. Or it names what
    belongs into ``about``: its cells stand too far to the left. What stands in ``about`` counts as a name, for they may stand too far to the right.
    """
    ours = could_mean(broken.select(text_of(about)).to_series(), known)["text"]
    is_ours = text_of(about).is_in(ours.implode()).fill_null(value=False)
    is_left = text_of(column).is_in(known.implode()).fill_null(value=False)
    own = broken.select(text_of(column).alias("text"), is_anyones=(~is_name(column) & is_ours) | is_left)
    right = broken.select(text_of(about).alias("text"), is_anyones=pl.lit(value=False)).drop_nulls("text")
    return pl.concat([own, right]).unique()


def lost_actions(broken: pl.DataFrame | None) -> pl.DataFrame:
    """``text, is_anyones`` of what broken rows of corporate actions have for a security, old or new.

    One whose security cannot be read, and that says what happened or when, could be about any.
    """
    if broken is None:
        return pl.DataFrame(schema={"text": pl.String, "is_anyones": pl.Boolean})
    says_kind = {
        name: text_of(name).str.to_lowercase().is_in(list(ActionKind)).fill_null(value=False)
        for name in dtypes("corporate_actions")
    }
    says = pl.any_horizontal(*says_kind.values(), pl.col("effective_date", "ratio").is_not_null())
    is_lost = ~is_name("security_id") | says_kind["effective_date"]  # its cells stand too far to the left
    old, new = (
        broken.select(text=text_of(name), is_anyones=is_lost & says.fill_null(value=False))
        for name in ("security_id", "new_security_id")
    )
    return pl.concat([old, new.drop_nulls("text").with_columns(is_anyones=pl.lit(value=False))]).unique()


def could_be_lost(known: pl.Series, lost: pl.DataFrame) -> pl.Series:
    """True for each of the known identifiers that one of the lost, ``text, is_anyones``, could mean; one that is anyone's and means none means all."""
    pairs = could_mean(lost["text"], known)
    means_none = ~pl.col("text").is_in(pairs["text"].implode()).fill_null(value=False)
    if lost.filter(means_none & pl.col("is_anyones")).height:
        return pl.repeat(value=True, n=known.len(), eager=True)
    return known.is_in(pairs["meant"].implode())

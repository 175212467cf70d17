"""Which order each execution is about, and which executions cannot be used and why.

1. An execution names an order or a block of ours; a bust or correction without a name is about what the execution that it
   refers to is about, through as many others without a name as there are.
2. One that is known already, the same in every column, says nothing new; it is set aside as a duplicate, unless it is the
   same row of the same file, read again.
3. A bust or correction that names another order than the execution that it is about is conflicting. Where it came first it is
   entered, and void from when the fill comes (``net_fills.crossed``): whichever comes first, the fill stands.
4. One id that says two things is conflicting: what was known first stands. Where both come in one file neither is taken.
5. Side, security and account, where the message gives them, must be the order's. A fill of a block names no account. A security may be named
   by the identifier, CUSIP or ISIN that the order left with, and by what it was renamed to until the day of the fill.

Accepted + set aside = read: every row ends up somewhere.
"""

from typing import Final

import polars as pl

from schemas.enums import Break
from schemas.executions import EXECUTIONS, MESSAGES
from tasks.core.reconcile.security_names import NO_NAMES

SAID: Final = (
    "kind",
    "client_order_id",
    "account_id",
    "symbol",
    "security_id",
    "side",
    "quantity",
    "price_usd",
    "fees_usd",
    "trade_date",
    "executed_at",
    "reference_id",
)
"""What makes two messages of one id the same message."""
ASIDE: Final[dict[str, pl.DataType]] = {
    "row_number": pl.Int64(),
    "execution_id": pl.String(),
    "client_order_id": pl.String(),
    "code": pl.String(),
    "raw": pl.String(),
    "message": pl.String(),
    "quantity": EXECUTIONS["quantity"],
    "price_usd": EXECUTIONS["price_usd"],
}
"""Executions that are not used: a code of ``Break`` and a sentence."""
LABELS: Final = ("cusip", "isin")
NAMES: Final = ("account_id", "symbol", "security_id", "side", *LABELS)


def match_executions(
    executions: pl.DataFrame, source: str, orders: pl.DataFrame, known: pl.DataFrame, names: pl.DataFrame = NO_NAMES
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Executions that are new and belong to orders of ours, as ``MESSAGES`` with ``row_number`` and what they said; and the others as ``ASIDE``.

    Parameters
    ----------
    executions
        Table ``EXECUTIONS`` of one file.
    source
        Whose ids they are.
    orders
        Table ``SENT_ORDERS``: every order that the executions name, by itself, by its block, or through ``known``.
    known
        Earlier executions of the source that have one of these ids or are referred to: ``execution_id``, ``order_id``, ``block_id``, and what they
        said (``SAID``).
    names
        ``KNOWN_NAMES`` that securities have beside those that orders left with.
    """
    named = _with_known_names(_with_order(executions, orders, known), names)
    first = named.sort("row_number").unique("execution_id", keep="first", maintain_order=True)
    judged = named.join(_known_executions(known), on="execution_id", how="left", suffix="_known").join(
        first.select("execution_id", first_row="row_number", **{f"{name}_first": name for name in SAID}),
        on="execution_id",
        how="left",
    )
    code, sentence = _verdict()
    answers = judged.with_columns(code=code, message=sentence).sort("row_number")
    accepted = answers.filter(pl.col("code").is_null()).with_columns(source=pl.lit(source))
    aside = answers.filter(pl.col("code").is_not_null())
    extra = [name for name in ("row_number", *SAID, "text") if name not in MESSAGES]
    return accepted.select(*MESSAGES, *extra), aside.select(list(ASIDE))


def _with_order(executions: pl.DataFrame, orders: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Executions with ``order_id`` or ``block_id`` and what was ordered: ``ordered_*``; null where unknown."""
    about = _about(orders)
    given = executions.join(about, on="client_order_id", how="left")
    through = pl.concat(
        [
            given.filter(pl.col("order_id").is_not_null() | pl.col("block_id").is_not_null()).select(
                "execution_id", "order_id", "block_id"
            ),
            known.select("execution_id", "order_id", "block_id"),
        ]
    ).unique("execution_id", keep="last", maintain_order=True)
    missing = given.filter(pl.col("order_id").is_null() & pl.col("block_id").is_null())
    nameless = missing.drop("order_id", "block_id", *(f"ordered_{name}" for name in NAMES))
    found = nameless.join(_follow_references(nameless, through), on="execution_id", how="left")
    key = pl.coalesce("order_id", "block_id")
    found = found.with_columns(key=key).join(
        about.select(key="client_order_id", **{f"ordered_{name}": f"ordered_{name}" for name in NAMES}),
        on="key",
        how="left",
    )
    rest = given.join(missing.select("row_number"), on="row_number", how="anti")
    referred = through.select(reference_id="execution_id", referred=key)
    whole = pl.concat([rest, found.select(rest.columns)]).sort("row_number")
    return whole.join(referred, on="reference_id", how="left", maintain_order="left")


def _with_known_names(named: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Executions with ``is_known_security_id`` and ``is_known_symbol``: whether the order's security had that name on the day."""
    for column, key in (("security_id", pl.col), ("symbol", _plain)):
        asked = named.select("row_number", "trade_date", "ordered_security_id", said=key(column)).drop_nulls("said")
        theirs = names.select(ordered_security_id="security_id", said=key("name"), since="since")
        is_since = (pl.col("trade_date") >= pl.col("since")).fill_null(value=True)
        rows = asked.join(theirs, on=("ordered_security_id", "said")).filter(is_since)["row_number"]
        named = named.with_columns(pl.col("row_number").is_in(rows.implode()).alias(f"is_known_{column}"))
    return named


def _follow_references(nameless: pl.DataFrame, through: pl.DataFrame) -> pl.DataFrame:
    """``execution_id, order_id, block_id`` of executions without a name that lead to one that has; a circle leads nowhere."""
    ways = nameless.select("execution_id", "reference_id").unique("execution_id", keep="first", maintain_order=True)
    led = [through.clear()]
    while True:
        ways = ways.filter(pl.col("reference_id").is_not_null())
        arrived = ways.join(through, left_on="reference_id", right_on="execution_id")
        led.append(arrived.select(through.columns))
        further = ways.join(arrived, on="execution_id", how="anti").join(
            nameless.select(reference_id="execution_id", next="reference_id").unique("reference_id"), on="reference_id"
        )
        ways = further.select("execution_id", reference_id="next")
        if ways.is_empty() or len(led) > nameless.height + 1:
            return pl.concat(led)


def _about(orders: pl.DataFrame) -> pl.DataFrame:
    """One row per name that an execution may use: each order, and each block."""
    singles = orders.select(
        client_order_id="order_id",
        order_id="order_id",
        block_id=pl.lit(None, pl.String),
        **{f"ordered_{name}": name for name in NAMES},
    )
    blocks = (
        orders.filter(pl.col("block_id").is_not_null())
        .sort("order_id")
        .unique("block_id", keep="first", maintain_order=True)
        .select(
            client_order_id="block_id",
            order_id=pl.lit(None, pl.String),
            block_id="block_id",
            **{f"ordered_{name}": name for name in NAMES},
        )
        .with_columns(ordered_account_id=pl.lit(None, pl.String))
    )
    return pl.concat([singles, blocks])


def _known_executions(known: pl.DataFrame) -> pl.DataFrame:
    return known.select("execution_id", pl.lit(value=True).alias("is_known"), *SAID)


def _same(suffix: str) -> pl.Expr:
    return pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}{suffix}")) for name in SAID)


def _plain(column: str) -> pl.Expr:
    """A symbol without the sign that class shares are written with: ``BRK.B``, ``BRK B`` and ``BRK/B`` are one."""
    return pl.col(column).str.replace_all(r"[^0-9A-Za-z]", "").str.to_uppercase()


def _is_another_id() -> pl.Expr:
    """Whether the message has an identifier, and it is none that the order's security has or left with."""
    names = [pl.col("security_id").ne_missing(pl.col(f"ordered_{name}")) for name in ("security_id", *LABELS)]
    return pl.col("security_id").is_not_null() & pl.all_horizontal(names) & ~pl.col("is_known_security_id")


def _is_another_symbol() -> pl.Expr:
    return (_plain("symbol") != _plain("ordered_symbol")) & ~pl.col("is_known_symbol")


def _verdict() -> tuple[pl.Expr, pl.Expr]:
    """Code and sentence of each row that is not used; null where it is."""
    is_known = pl.col("is_known").fill_null(value=False)
    is_later = pl.col("row_number") != pl.col("first_row")
    two_truths = (~_same("_first")).any().over("execution_id")
    is_lost = pl.col("order_id").is_null() & pl.col("block_id").is_null()
    verdicts: list[tuple[pl.Expr, Break, pl.Expr]] = [
        (
            is_known & _same("_known"),
            Break.DUPLICATE,
            pl.format("execution {} is known already", "execution_id"),
        ),
        (
            is_known & (pl.col("trade_date") != pl.col("trade_date_known")),
            Break.CONFLICTING,
            pl.format(
                "execution {} was told before, of {}; what was told first stands\n\n"
                "Hint: a sender who begins numbers anew each day has to put the date into them.",
                "execution_id",
                "trade_date_known",
            ),
        ),
        (
            is_known,
            Break.CONFLICTING,
            pl.format("execution {} was told otherwise before; what was told first stands", "execution_id"),
        ),
        (
            two_truths,
            Break.CONFLICTING,
            pl.format(
                "execution {} stands in the file more than once and not the same; none of them is taken", "execution_id"
            ),
        ),
        (
            is_later,
            Break.DUPLICATE,
            pl.format("execution {} stands in the file already, in row {}", "execution_id", "first_row"),
        ),
        (
            is_lost,
            Break.UNKNOWN_ORDER,
            pl.when(pl.col("client_order_id").is_null() & pl.col("reference_id").is_not_null())
            .then(
                pl.format("execution {} changes {}, which leads to no order that left", "execution_id", "reference_id")
            )
            .otherwise(
                pl.format(
                    "execution {} is about {}, which never left in an export",
                    "execution_id",
                    pl.coalesce("client_order_id", pl.lit("nothing")),
                )
            ),
        ),
        (
            pl.col("referred") != pl.coalesce("order_id", "block_id"),
            Break.CONFLICTING,
            pl.format("execution {} is about another order than {}, which it changes", "execution_id", "reference_id"),
        ),
        (
            pl.col("side") != pl.col("ordered_side"),
            Break.WRONG_SIDE,
            pl.format("execution {} is a {}, the order is a {}", "execution_id", "side", "ordered_side"),
        ),
        (
            _is_another_id() & (_is_another_symbol() | pl.col("symbol").is_null()),
            Break.WRONG_SECURITY,
            pl.format("execution {} is in {}, the order in {}", "execution_id", "security_id", "ordered_security_id"),
        ),
        (
            _is_another_symbol(),
            Break.WRONG_SECURITY,
            pl.format("execution {} is in {}, the order in {}", "execution_id", "symbol", "ordered_symbol"),
        ),
        (
            pl.col("account_id") != pl.col("ordered_account_id"),
            Break.WRONG_ACCOUNT,
            pl.format("execution {} is of another account than its order", "execution_id"),
        ),
    ]
    is_true = [condition.fill_null(value=False) for condition, *_ in verdicts]
    codes = [
        pl.when(condition).then(pl.lit(str(code))) for condition, (_, code, _) in zip(is_true, verdicts, strict=True)
    ]
    texts = [pl.when(condition).then(text) for condition, (*_, text) in zip(is_true, verdicts, strict=True)]
    return pl.coalesce(codes), pl.coalesce(texts)

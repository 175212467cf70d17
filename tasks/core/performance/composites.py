"""Returns of many accounts together: a household as one, a model's accounts as a composite with the spread among them.

    what earned an account's night      b = (value - flow) / (1 + r)
    composite, household                R = sum of b r / sum of b             each night, linked over the period
    dispersion                          standard deviation of the returns of the accounts that were in it for the whole period, each counting the same;
                                        and the same weighted by what each began with

An account belongs to the model that it had at the night before: a change of model is the new model's from the next night on. Source: CFA Institute, GIPS
2020, provisions 2.A.22 (accounts weighted by what they begin with), 4.A.1(f) (internal dispersion, of accounts that were in it throughout).

Known limits: an account that was set aside for some nights enters with all it earned meanwhile on the night that says so. GIPS asks for no dispersion of five accounts
or fewer: the number of accounts stands beside it.
"""

from typing import Final

import polars as pl

from tasks.core.facts import exact_sum

MEMBERS: Final = (
    "account_id",
    "night_date",
    "since_date",
    "model_id",
    "value_usd",
    "flow_usd",
    "daily_return",
    "model_return",
)
"""What is needed of the rows of ``performance``."""


def with_base(rows: pl.DataFrame) -> pl.DataFrame:
    """Nights that have a return, with ``base_usd``, what earned it, and ``model_then``, the model of the night before; ``rows``: ``MEMBERS``, whole nights of each account."""
    ordered = rows.sort("account_id", "night_date").with_columns(
        model_then=pl.coalesce(pl.col("model_id").shift(1).over("account_id"), "model_id")
    )
    value, flow = pl.col("value_usd").cast(pl.Float64), pl.col("flow_usd").cast(pl.Float64)
    return ordered.filter(pl.col("daily_return") > -1).with_columns(
        base_usd=(value - flow) * (1 / (1 + pl.col("daily_return")))
    )


def composite_nights(based: pl.DataFrame) -> pl.DataFrame:
    """``night_date, since_date, account_count, base_usd, flow_usd, daily_return, model_return`` of all accounts together, in order; ``based``: ``with_base``."""
    base = pl.col("base_usd")
    sums = {name: exact_sum(base * pl.col(name).fill_null(0.0)) for name in ("daily_return", "model_return")}
    nights = based.group_by("night_date").agg(
        account_count=pl.len().cast(pl.Int64),
        since_date=pl.col("since_date").max(),
        base_usd=exact_sum(base),
        flow_usd=pl.col("flow_usd").sum(),
        **sums,
    )
    return nights.with_columns(pl.col(name) * (1 / pl.col("base_usd")) for name in sums).sort("night_date")


def linked_return(returns: pl.Expr) -> pl.Expr:
    """Returns of nights, in order, as one."""
    return (1 + returns.fill_null(0.0)).product() - 1


def dispersion(based: pl.DataFrame) -> dict[str, float | int | None]:
    """``account_count`` of those that were in it on every night, and of their returns over the period ``low``, ``median``, ``high``, ``spread`` and ``weighted_spread``.

    Spreads are of the whole composite (n, not n - 1); null of fewer than two accounts.
    """
    nights = based["night_date"].n_unique()
    whole = (
        based.sort("account_id", "night_date")
        .group_by("account_id", maintain_order=True)
        .agg(count=pl.len(), earned=linked_return(pl.col("daily_return")), began=pl.col("base_usd").first())
        .filter(pl.col("count") == nights)
    )
    weight = pl.col("began") / pl.col("began").sum()
    mean = (weight * pl.col("earned")).sum()
    spreads = whole.select(
        low=pl.col("earned").min(),
        median=pl.col("earned").median(),
        high=pl.col("earned").max(),
        spread=pl.col("earned").std(ddof=0),
        weighted_spread=(weight * (pl.col("earned") - mean) ** 2).sum().sqrt(),
    ).row(0, named=True)
    few = whole.height < 2  # noqa: PLR2004 - one account has no spread
    return {
        "account_count": whole.height,
        **{name: None if few and "spread" in name else x for name, x in spreads.items()},
    }

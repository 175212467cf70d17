"""What the API gives of accounts, households and the orders that a run proposed. Amounts are decimal strings in USD, weights and drift fractions."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from console.api.models import ApiModel, LotOut
from schemas.enums import Outcome, RunState, Side, TaxStatus


class AccountOut(ApiModel):
    """An account as of a run; what the source did not say of it, or said twice, is null."""

    account_id: str
    run_id: str
    custodian: str | None
    household_id: str | None
    tax_status: TaxStatus | None
    model_id: str | None
    policy_id: str | None
    outcome: Outcome
    reasons: Annotated[list[str], Field(description="Why; of one with trades, what they were proposed for.")]
    nav_usd: Annotated[Decimal | None, Field(description="What the model governs; null: it was not measured.")]
    one_way_drift: Annotated[float | None, Field(description="Half the sum of the drifts of its classes.")]
    max_abs_drift: Annotated[float | None, Field(description="The largest drift of a class.")]

    @classmethod
    def of(cls, row: Mapping[str, Any], run_id: str) -> "AccountOut":
        """From a row of ``accounts_page``."""
        return cls.made_of(row, run_id=run_id, reasons=row["reason"].split("|") if row["reason"] else [])


class AccountsOut(ApiModel):
    """Some accounts of a run, by name; ``next_cursor`` null: there are no more."""

    accounts: list[AccountOut]
    next_cursor: str | None


class CashOut(ApiModel):
    """An account's cash as delivered, and what of it is kept back."""

    settled_usd: Decimal | None
    pending_usd: Decimal | None
    reserve_usd: Decimal | None


class ClassOut(ApiModel):
    """An asset class of an account or a household, `cash` one of them; ``drift``: weight less target, positive is overweight."""

    asset_class: str
    value_usd: Decimal
    weight: Annotated[float | None, Field(description="Null: NAV is not positive.")]
    target_weight: float
    drift: float | None
    band: Annotated[float | None, Field(description="How far drift may go; null: it has no band of its own.")]
    is_out_of_band: bool | None


class ClassAfterOut(ClassOut):
    """A class of a household before and after its trades."""

    value_after_usd: Decimal
    weight_after: float | None
    drift_after: float | None
    is_out_of_band_after: bool | None


class AccountDetailOut(ApiModel):
    """An account as of a run, with its cash and its classes."""

    account: AccountOut
    sentences: Annotated[list[str], Field(description="What became of it, in words.")]
    cash: CashOut
    classes: list[ClassOut]


class HeldLotOut(LotOut):
    """A tax lot that an account holds; null: not known."""

    cost_usd: Decimal | None
    value_usd: Decimal | None
    long_term_from: date | None
    is_frozen: bool


class HoldingOut(ApiModel):
    """All of one security in an account, with its lots; a price or a cost that is not known is null."""

    security_id: str
    symbol: str | None
    name: str | None
    asset_class: str | None
    quantity: Decimal
    price_usd: Decimal | None
    price_date: date | None
    value_usd: Decimal | None
    cost_usd: Decimal | None
    gain_usd: Decimal | None
    short_gain_usd: Decimal | None
    long_gain_usd: Decimal | None
    lots: list[HeldLotOut]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "HoldingOut":
        """From a holding of ``account_page``."""
        return cls.made_of(row, lots=[HeldLotOut.made_of(lot) for lot in row["lots"]])


class HoldingsOut(ApiModel):
    """What an account holds as of a run."""

    run_id: str
    holdings: list[HoldingOut]


class NightOut(ApiModel):
    """What became of an account in the newest run of a night, and what its cash did since the night before."""

    as_of_date: date
    run_id: str
    outcome: Outcome
    reasons: list[str]
    nav_usd: Decimal | None
    one_way_drift: float | None
    max_abs_drift: float | None
    settled_usd: Decimal | None
    change_usd: Annotated[Decimal | None, Field(description="Of its cash; null: not known of both nights.")]
    traded_usd: Annotated[Decimal | None, Field(description="Of that, its trades.")]
    other_usd: Annotated[Decimal | None, Field(description="Of that, all else.")]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "NightOut":
        """From a night of ``account_page``."""
        return cls.made_of(row, reasons=row["reason"].split("|") if row["reason"] else [])


class NightsOut(ApiModel):
    """Drift and outcomes of an account over nights, the newest first; a year of them at most."""

    nights: list[NightOut]


class HouseholdOut(ApiModel):
    """A household as of a run; ``nav_usd``: of its accounts that were measured."""

    household_id: str
    run_id: str
    account_count: int
    nav_usd: Decimal | None


class HouseholdsOut(ApiModel):
    """Some households of a run, by name; ``next_cursor`` null: there are no more."""

    households: list[HouseholdOut]
    next_cursor: str | None


class MemberOut(ApiModel):
    """An account of a household; what is null of its proposal: it has none."""

    account_id: str
    custodian: str | None
    tax_status: TaxStatus | None
    model_id: str | None
    outcome: Outcome | None
    nav_usd: Decimal | None
    one_way_drift: float | None
    one_way_drift_after: float | None
    proposal_id: str | None
    state: str | None
    gross_value_usd: Decimal | None
    est_tax_usd: Decimal | None
    est_cost_usd: Decimal | None
    order_count: int | None


class HouseholdDetailOut(ApiModel):
    """A household as of a run: its accounts side by side; drift and classes are of one that is managed together."""

    household_id: str
    run_id: str
    run_state: RunState
    is_managed: bool
    account_count: int
    model_id: str | None
    nav_usd: Decimal | None
    one_way_drift: float | None
    one_way_drift_after: float | None
    accounts: list[MemberOut]
    classes: list[ClassAfterOut]


class ProposedOrderOut(ApiModel):
    """An order as a run proposed it; of a proposal that a person changed since, `/proposals/{proposal_id}` has the orders that count."""

    order_id: str
    proposal_id: str
    account_id: str
    side: Side
    security_id: str
    symbol: str | None
    quantity: Decimal
    price_usd: Decimal
    value_usd: Decimal
    amount_usd: Annotated[Decimal | None, Field(description="Dollars that it is ordered in; null: ordered in shares.")]
    est_cost_usd: Decimal
    est_tax_usd: Decimal
    reason: str


class ProposedOrdersOut(ApiModel):
    """Some orders that a run proposed, by account; ``next_cursor`` null: there are no more."""

    orders: list[ProposedOrderOut]
    next_cursor: str | None

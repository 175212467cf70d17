"""What the API gives of orders that left. Quantities and amounts are decimal strings, amounts in USD; times are UTC."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from console.api.models import NO_NUL, ApiModel
from console.shared import ADVICE, Leg, Way, break_sentence
from schemas.enums import Break, ExecutionKind, OrderState, Side
from tasks.core.reconcile import ALARMS
from warehouse.ledger import ExportRow, ExportState


class SettlementIn(ApiModel):
    """What became of an order that left, as a person says."""

    note: Annotated[str, StringConstraints(min_length=1, max_length=4_000, pattern=NO_NUL)]


class FillOut(ApiModel):
    """One order that left, and what became of it; nothing was said of one that is ``exported``."""

    order_id: Annotated[str, Field(description="The order, as `client_order_id` in the export.")]
    proposal_id: str
    export_id: str
    run_id: str
    account_id: str
    custodian: str
    block_id: Annotated[str | None, Field(description="The block that it left in; null: in none.")]
    side: Side
    security_id: str
    symbol: str | None
    quantity: Annotated[Decimal, Field(description="Shares ordered; an estimate of what is ordered in dollars.")]
    amount_usd: Annotated[Decimal | None, Field(description="Dollars ordered; null: it was ordered in shares.")]
    cusip: Annotated[str | None, Field(description="The CUSIP that it left with; null: none.")]
    isin: Annotated[str | None, Field(description="The ISIN that it left with; null: none.")]
    reference_price_usd: Annotated[Decimal, Field(description="The price that it was proposed at.")]
    sent_at: Annotated[datetime, Field(description="When the files of its export were whole.")]
    state: OrderState
    is_closed: Annotated[bool, Field(description="Nothing more will be filled.")]
    filled_quantity: Decimal
    average_price_usd: Annotated[Decimal | None, Field(description="Null: nothing is filled.")]
    gross_usd: Annotated[Decimal, Field(description="Quantity times price of all its fills, in whole cents.")]
    fees_usd: Decimal
    first_trade_date: date | None
    last_trade_date: date | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "FillOut":
        """From a row of ``ANSWERED``."""
        return cls.made_of(row, reference_price_usd=row["price_usd"])


class FillsOut(ApiModel):
    """Some orders that left, the last ones first; ``next_cursor`` null: there are no more."""

    fills: list[FillOut]
    next_cursor: str | None


class MessageOut(ApiModel):
    """What a broker or custodian said about an order, or about the block that it left in."""

    source: Annotated[str, Field(description="Whose `execution_id` it is.")]
    execution_id: str
    kind: ExecutionKind
    order_id: Annotated[str | None, Field(description="Null: it is about the whole block.")]
    block_id: Annotated[str | None, Field(description="Null: it is about the order alone.")]
    quantity: Annotated[Decimal | None, Field(description="Of this fill alone; of a block, before it is shared out.")]
    price_usd: Decimal | None
    fees_usd: Decimal | None
    trade_date: date | None
    executed_at: datetime | None
    reference_id: Annotated[str | None, Field(description="The execution that a bust or a correction is about.")]
    text: Annotated[str | None, Field(description="The sender's own words.")]
    received_at: datetime


class BreakOut(ApiModel):
    """Where what came back differs from what left."""

    order_id: Annotated[
        str | None,
        Field(
            description="The order; of a whole block, the block; of `unknown_order`, what the fill names, if anything."
        ),
    ]
    is_block: bool
    code: Break
    is_alarm: Annotated[bool, Field(description="A person must look at it now.")]
    sentence: Annotated[str, Field(description="What was found.")]
    advice: Annotated[str, Field(description="What a person does about it.")]
    ordered_quantity: Decimal
    filled_quantity: Decimal
    amount_usd: Annotated[
        Decimal,
        Field(
            description="What is not filled, or filled too much, at the order's reference price; of `unknown_order`, the fill at its own."
        ),
    ]
    since_at: datetime
    age_days: Annotated[int, Field(description="Whole days since then.")]
    account_id: Annotated[str | None, Field(description="Null: of a whole block, or of no order of ours.")]
    custodian: Annotated[str | None, Field(description="Null: of no order of ours.")]
    symbol: str | None
    side: Annotated[Side | None, Field(description="Null: of no order of ours.")]
    proposal_id: Annotated[str | None, Field(description="Null: of a whole block, or of no order of ours.")]
    export_id: Annotated[str | None, Field(description="Null: of no order of ours.")]
    run_id: Annotated[str | None, Field(description="Null: of no order of ours.")]
    source: Annotated[str | None, Field(description="Whose fill of no order of ours it is; null of all others.")]
    execution_id: Annotated[str | None, Field(description="The fill, as its source calls it; null of all others.")]

    @classmethod
    def of(cls, row: Mapping[str, Any], now: datetime) -> "BreakOut":
        """From a row of ``FOUND``."""
        code, age_days = Break(row["code"]), max((now - row["since_at"]).days, 0)
        return cls.made_of(
            row,
            is_block=row["account_id"] is None and row["export_id"] is not None,
            is_alarm=code in ALARMS,
            sentence=break_sentence({**row, "age_days": age_days}),
            advice=ADVICE[code],
            age_days=age_days,
        )


class BreaksOut(ApiModel):
    """Some open breaks: alarms first, then the oldest, then the largest amounts; ``next_cursor`` null: there are no more."""

    breaks: list[BreakOut]
    not_yet_due: Annotated[
        dict[str, int], Field(description="By custodian, orders without an answer that need none yet: no breaks.")
    ]
    next_cursor: str | None


class FillDetailOut(ApiModel):
    """An order that left, its open breaks, and every message about it in the order in which they came."""

    order: FillOut
    breaks: list[BreakOut]
    messages: list[MessageOut]


class AsideOut(ApiModel):
    """An execution that was not used, and why."""

    source: str
    file_name: str | None
    row_number: int
    execution_id: str | None
    client_order_id: Annotated[str | None, Field(description="The order that it names, which may be none of ours.")]
    code: Break
    message: str
    quantity: Decimal | None
    price_usd: Decimal | None
    received_at: datetime


class AsidesOut(ApiModel):
    """Some executions set aside, the newest first; ``next_cursor`` null: there are no more."""

    executions: list[AsideOut]
    next_cursor: str | None


class DeliveryOut(ApiModel):
    """An export on its way to one place."""

    name: Annotated[str, Field(description="The place, as in the settings.")]
    state: Annotated[Leg, Field(description="`waiting`: no attempt was made yet.")]
    files: Annotated[int | None, Field(description="Null: not known before the first attempt.")]
    files_sent: Annotated[int, Field(description="How many of them the place has acknowledged.")]
    bytes: int | None
    manifest_sha256: Annotated[str | None, Field(description="Of the manifest that the place gets.")]
    attempts: int
    problem: Annotated[str | None, Field(description="Why the last attempt failed; null: it did not.")]
    delivered_at: Annotated[datetime | None, Field(description="When the place had all of it; null: it has not.")]

    @classmethod
    def of(cls, way: Way) -> "DeliveryOut":
        """From what is known of the delivery."""
        return cls.made_of(way, files=way.file_count, files_sent=way.sent_count, bytes=way.size_bytes)


class ExportOut(ApiModel):
    """One export of a run, and where it is delivered; ``manifest_sha256`` null: it is being written, or was given up.

    ``abandoned_by`` and ``abandon_note``: who gave it up before it left, and why; no order of it ever did.
    """

    export_id: str
    run_id: str
    sequence: int
    state: ExportState
    actor: str
    manifest_sha256: str | None
    started_at: datetime
    finished_at: datetime | None
    abandoned_by: str | None
    abandon_note: str | None
    deliveries: list[DeliveryOut]

    @classmethod
    def of(cls, export: ExportRow, ways: list[Way]) -> "ExportOut":
        """From the ledger's row and its deliveries."""
        return cls.made_of(export, deliveries=[DeliveryOut.of(way) for way in ways])


class ExportsOut(ApiModel):
    """Exports of a run, in order."""

    exports: list[ExportOut]


class ExportPageOut(ApiModel):
    """Some exports, what was begun last first; ``next_cursor`` null: there are no more."""

    exports: list[ExportOut]
    next_cursor: str | None

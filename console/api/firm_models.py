"""The part of the REST API that tells of models: targets, tolerances, and the accounts on each."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from console.api.accounts import OfRun, page_or_404
from console.api.caller import Caller, Named, need_run
from console.api.models import ApiModel
from console.shared import Backend
from schemas.enums import Outcome, TaxStatus
from tasks.review import model_page, models_page

MOST_ACCOUNTS = 500
Most = Annotated[int, Query(ge=1, le=MOST_ACCOUNTS, description="How many accounts at most.")]


class ModelOut(ApiModel):
    """A model in a run. Drifts are fractions, of its accounts' one-way drifts, each account counting once."""

    model_id: str
    classes: Annotated[int, Field(description="Asset classes that it has a target for.")]
    accounts: int
    nav_usd: Decimal | None
    trading: Annotated[int, Field(description="Accounts for which trades are proposed.")]
    traded_usd: Decimal | None
    mean_drift: float | None
    max_drift: float | None


class ModelsOut(ApiModel):
    """Every model of a run, the largest first."""

    run_id: str
    as_of_date: date
    models: list[ModelOut]


class TargetOut(ApiModel):
    """What a model asks for in an asset class. Weights and bands are fractions of NAV, the relative band one of the target."""

    asset_class: str | None
    target_weight: float | None
    absolute_band: float | None
    relative_band: float | None
    lesser_band: Annotated[float | None, Field(description="Which of the two counts is policy.")]
    greater_band: float | None


class BuyListOut(ApiModel):
    """A security that implements an asset class of a model."""

    asset_class: str | None
    security_id: str | None
    rank: int | None
    tax_status: TaxStatus | None


class ModelAccountOut(ApiModel):
    """An account on a model; what is null of its proposal: it has none."""

    account_id: str
    custodian: str | None
    outcome: Outcome
    nav_usd: Decimal | None
    one_way_drift: float | None
    one_way_drift_after: float | None
    proposal_id: str | None
    gross_value_usd: Decimal | None
    est_tax_usd: Decimal | None
    est_cost_usd: Decimal | None


class ModelDetailOut(ApiModel):
    """A model in a run, with the accounts that trade first, then those that are off most."""

    model_id: str
    run_id: str
    account_count: int
    nav_usd: Decimal
    outcomes: dict[Outcome, int]
    targets: list[TargetOut]
    buy_list: list[BuyListOut]
    accounts: list[ModelAccountOut]


def add_models(router: APIRouter, backend: Backend, reads: Any) -> None:
    """Models, for who sees every custodian."""

    @router.get("/models", tags=["book"])
    def models(*, run: OfRun = None, caller: Caller = reads) -> ModelsOut:
        """Every model of a run, the newest whole night where none is named."""
        caller.need_everything("A list of models")
        if run is not None:
            need_run(backend, run)
        page = page_or_404(lambda: models_page(backend.lake, backend.ledger.runs, run))
        return ModelsOut(
            run_id=page["run"]["run_id"],
            as_of_date=page["run"]["as_of_date"],
            models=[ModelOut.made_of(one) for one in page["models"]],
        )

    @router.get("/models/{model_id}", tags=["book"])
    def model(*, model_id: Named, run: OfRun = None, limit: Most = 100, caller: Caller = reads) -> ModelDetailOut:
        """A model: targets and tolerances, what it buys, its accounts and what became of them."""
        caller.need_everything("A model")
        page = page_or_404(lambda: model_page(backend.lake, backend.ledger.runs, model_id, run_id=run))
        return ModelDetailOut.made_of(
            page,
            run_id=page["run"]["run_id"],
            targets=[TargetOut.made_of(one) for one in page["targets"]],
            buy_list=[BuyListOut.made_of(one) for one in page["buy_list"]],
            accounts=[ModelAccountOut.made_of(one) for one in page["accounts"][:limit]],
        )

"""The grid of a study: parameters of a policy with the values that are tried, all with all."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, Self, get_args

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from schemas.mappings import MappingPart, suggest_name
from schemas.policy import Fraction, Policy

Look = Literal["daily", "monthly", "quarterly", "annual"]
MOST_POLICIES: Final = 10_000
OF_POLICY: Final = (
    "band_rule",
    "trade_to",
    "trade_mode",
    "min_trade_usd",
    "min_trade_weight",
    "improvement",
    "max_turnover",
    "max_orders",
    "tracking_penalty",
    "cash_tolerance_usd",
    "fewest_trades_bps",
    "short_term_gains",
    "max_realized_gain_usd",
    "wash_sale_days",
    "is_harvesting",
    "harvest_min_loss_usd",
    "harvest_min_loss_fraction",
    "auto_approve_max_turnover",
    "auto_approve_max_tax_usd",
    "four_eyes_above_usd",
)
"""Parameters of a policy of the night that a study may try."""
OF_ROUTE: Final = OF_POLICY[-3:]
"""Those that say who looks: they change no trade, and mean something where reviewers' minutes are stated."""
PARAMETERS: Final = ("look", "absolute_band", "relative_band", *OF_POLICY)
"""What a grid may name, in the order of the product."""
FIRST: Final[Mapping[str, Any]] = {"look": "monthly", "absolute_band": None, "relative_band": None}
"""Where a grid does not name a parameter; those of a policy have the defaults of a policy."""
_BAND: Final = TypeAdapter(Fraction)


@dataclass(frozen=True)
class PolicyPoint:
    """A point of the grid: every parameter it names, by name."""

    policy_id: str
    """``absolute_band=0.05,look=annual``: the parameters that have more than one value; ``policy`` where none has."""
    look: Look
    absolute_band: float | None
    relative_band: float | None
    policy: Policy

    def parameters(self) -> dict[str, Any]:
        """Value of each of ``PARAMETERS``."""
        ours = {"look": self.look, "absolute_band": self.absolute_band, "relative_band": self.relative_band}
        return ours | {name: getattr(self.policy, name) for name in OF_POLICY}


class GridSection(MappingPart):
    """Values of parameters to be tried, all with all."""

    values: dict[str, list[Any]]
    reference: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        """A grid in TOML names its parameters beside ``reference``; what is stored has them apart."""
        if not isinstance(given, Mapping) or "values" in given:
            return given
        values = {
            name: each if isinstance(each, list) else [each] for name, each in given.items() if name != "reference"
        }
        reference = given.get("reference", {})
        return {
            "values": {name: [_plain(value) for value in each] for name, each in values.items()},
            "reference": {name: _plain(value) for name, value in reference.items()}
            if isinstance(reference, dict)
            else reference,
        }

    @model_validator(mode="after")
    def _need_known_names(self) -> Self:
        for name in (*self.values, *self.reference):
            if name in Policy.model_fields and name not in PARAMETERS:
                raise ValueError(f"{name} plays no part in a study; those that do are {', '.join(PARAMETERS)}")
            if name not in PARAMETERS:
                raise ValueError(f"{name} is no parameter; {suggest_name(name, PARAMETERS)}")
        return self

    @model_validator(mode="after")
    def _need_valid_values(self) -> Self:
        if empty := sorted(name for name, given in self.values.items() if not given):
            raise ValueError(f"{empty[0]} has no value; needed one at least")
        if twice := sorted(name for name in self.values if len(set(self.valid(name))) < len(self.values[name])):
            raise ValueError(f"{twice[0]} has a value twice")
        for name, value in self.reference.items():
            if name not in self.values or _valid(name, value) not in self.valid(name):
                raise ValueError(f"the reference has {name} = {value}, which is none of its values")
        count = math.prod(map(len, self.values.values()))
        if count > MOST_POLICIES:
            raise ValueError(f"the grid has {count:,} policies; needed {MOST_POLICIES:,} at most")
        return self

    def valid(self, name: str) -> list[Any]:
        """The values of a parameter as the policy has them."""
        return [_valid(name, value) for value in self.values[name]]

    def first(self) -> dict[str, Any]:
        """The reference: what is named, and of the rest the first value."""
        named = {name: _valid(name, value) for name, value in self.reference.items()}
        return {name: named.get(name, self.valid(name)[0]) for name in PARAMETERS if name in self.values}

    def ordered(self) -> dict[str, list[Any]]:
        """Values by parameter in the order of the product, that of the reference first and the rest sorted."""
        return {
            name: [first, *sorted(each for each in self.valid(name) if each != first)]
            for name, first in self.first().items()
        }


def _valid(name: str, value: Any) -> Any:
    """The value of a parameter as a policy takes it.

    Raises
    ------
    ValueError
        It does not.
    """
    if name == "look":
        if value not in get_args(Look):
            raise ValueError(f"look is {value}; needed one of {', '.join(get_args(Look))}")
        return value
    if name in {"absolute_band", "relative_band"}:
        return _band(name, value)
    try:
        return getattr(Policy.model_validate({name: value}), name)
    except ValidationError as error:
        raise ValueError(f"{name} is {value}: {error.errors()[0]['msg']}") from None


def _band(name: str, value: Any) -> float:
    try:
        return _BAND.validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{name} is {value}: {error.errors()[0]['msg']}") from None


def product(values: Mapping[str, list[Any]]) -> Iterator[PolicyPoint]:
    """Every policy of a grid, in the order of its parameters and of their values."""
    named = [name for name, each in sorted(values.items()) if len(each) > 1]
    for chosen in itertools.product(*values.values()):
        point = {**FIRST, **dict(zip(values, chosen, strict=True))}
        policy_id = ",".join(f"{name}={_word(point[name])}" for name in named) or "policy"
        policy = Policy.model_validate({name: value for name, value in point.items() if name in OF_POLICY})
        yield PolicyPoint(policy_id, point["look"], point["absolute_band"], point["relative_band"], policy)


def _word(value: Any) -> str:
    """A number as short as it can be: 0.05, 1."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """A number as a policy stores it."""
    return float(value) if isinstance(value, Decimal) else value

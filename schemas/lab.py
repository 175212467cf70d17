"""Studies of the policy lab: TOML files that say which policies are tried on which courses of the market.

A study is named by what it means: spaces, the order of keys and its name do not count, nor does the order of a parameter's values,
but for which of them is the reference.
"""

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from schemas.enums import TaxStatus
from schemas.lab_grid import OF_ROUTE, GridSection, PolicyPoint, product
from schemas.mappings import MappingPart, parse_mapping, suggest_name

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Weight = Annotated[float, Field(gt=0, le=1)]
Yearly = Annotated[float, Field(gt=-1, lt=10)]
"""A rate of return or a volatility, as a fraction a year."""
Rate = Annotated[float, Field(ge=0, lt=1)]
DataSet = Literal["us_1926_2018", "us_styles_1949_2017", "us_stocks_1990_2022", "us_factors_2014_2022"]
Source = Literal["history", "bootstrap", "lognormal", "file"]

CASH: Final = "cash"
"""As ``schemas.landing`` has it, which brings pandera and pandas along."""
PAGE: Final = "docs/how-to/lab.md"
ID_LENGTH: Final = 16
TOLERANCE: Final = 1e-9


class MarketSection(MappingPart):
    """Where the courses of the market come from."""

    source: Source
    """``history``: as it was; ``bootstrap``: rows of it drawn in blocks; ``lognormal``: drawn from moments; ``file``: as a file of one's own has it."""
    data: DataSet | None = None
    """The packaged data that ``history`` and ``bootstrap`` are of."""
    path: str | None = None
    """Of ``file``: CSV with ``date, asset_class, total_return, dividend_yield``; from the folder of the study."""
    content_hash: str | None = None
    """SHA-256 of that file: filled in when the study is read."""
    from_: Annotated[Month | None, Field(alias="from")] = None
    """The first month of the history; its first where absent."""
    to: Month | None = None
    """The last month of the history; its last where absent."""
    block_months: Annotated[float, Field(ge=1, le=600)] = 12.0
    """Mean length of a block that ``bootstrap`` draws."""
    step: Literal["daily", "monthly"] = "monthly"
    """Of ``lognormal``; that of data is theirs."""
    means: dict[str, Yearly] = Field(default_factory=dict)
    """Of ``lognormal``: expected return of each class a year."""
    volatilities: dict[str, Annotated[float, Field(ge=0, lt=10)]] = Field(default_factory=dict)
    """Of ``lognormal``: standard deviation of the logarithm of each class's growth over a year."""
    correlations: dict[str, dict[str, Annotated[float, Field(ge=-1, le=1)]]] = Field(default_factory=dict)
    """Of ``lognormal``: of the logarithms, each pair once; 0 where absent."""
    risk_free_rate: Yearly = 0.0
    """Of ``lognormal``: what bills return a year."""
    dividend_yields: dict[str, Rate] = Field(default_factory=dict)
    """Part of each class's total return that is paid in cash, as a share of its value a year; 0 where absent."""

    @model_validator(mode="after")
    def _need_fitting_keys(self) -> Self:
        needs = {"history": {"data"}, "bootstrap": {"data"}, "lognormal": {"means", "volatilities"}, "file": {"path"}}
        others = {
            "history": {"from_", "to"},
            "bootstrap": {"from_", "to", "block_months"},
            "lognormal": {"step", "correlations", "risk_free_rate"},
            "file": {"from_", "to", "content_hash"},
        }
        given = self.model_fields_set - {"source", "dividend_yields"}
        if lacking := sorted(needs[self.source] - given):
            raise ValueError(f'source = "{self.source}" needs {", ".join(lacking)}')
        pairs = [frozenset((one, two)) for one, others in self.correlations.items() for two in others]
        if len(set(pairs)) < len(pairs) or any(len(pair) == 1 for pair in pairs):
            raise ValueError(
                "correlations has a pair twice, or a class with itself; needed each pair of two classes once"
            )
        if idle := sorted(given - needs[self.source] - others[self.source]):
            raise ValueError(f'{", ".join(idle).replace("from_", "from")} mean nothing to source = "{self.source}"')
        if self.from_ and self.to and self.from_ > self.to:
            raise ValueError(f"from = {self.from_} is after to = {self.to}")
        return self

    @property
    def is_sampled(self) -> bool:
        """Whether courses are drawn, as many as one likes."""
        return self.source in {"bootstrap", "lognormal"}


class PathsSection(MappingPart):
    """How many courses of the market, and how long they are."""

    count: Annotated[int, Field(ge=1, le=10_000_000)] = 1
    years: Annotated[int, Field(ge=1, le=200)] | None = None
    """Of drawn courses; history is as long as it is."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1


class BookSection(MappingPart):
    """The account that every policy is tried on, or accounts of the firm."""

    kind: Literal["account", "accounts"] = "account"
    """One account as described; or accounts of the home's last published night, with their own lots, cash, rates and restrictions."""
    nav_usd: Annotated[float, Field(gt=0, le=1e12)] = 1_000_000.0
    targets: dict[str, Weight] = Field(default_factory=dict)
    """By asset class; they sum to 1."""
    half_spread_bps: Annotated[float, Field(ge=0, le=5_000)] | dict[str, Annotated[float, Field(ge=0, le=5_000)]] = 0.0
    """Cost of a dollar bought or sold; one for all, or by asset class."""
    alternates: Annotated[int, Field(ge=0, le=5)] = 0
    """Securities of each class that may be bought where another of it was harvested; they move as the class does."""
    is_fractional: bool = True
    """Whether parts of a share can be traded; a share is worth 100 USD on the first date."""
    classes: dict[str, str] = Field(default_factory=dict)
    """Of ``accounts``: which class of the market each class of the firm moves as."""
    model_id: str | None = None
    custodian: str | None = None
    policy_id: str | None = None
    tax_status: TaxStatus | None = None
    least_nav_usd: Annotated[float, Field(ge=0)] | None = None
    most_nav_usd: Annotated[float, Field(ge=0)] | None = None
    """Of ``accounts``: which are meant; all of them where absent."""
    sample: Annotated[int, Field(ge=1, le=5_000)] = 100
    """Of ``accounts``: how many are drawn of those that are meant."""
    run_id: str | None = None
    """The night that the accounts are of: filled in when the study is entered."""

    @model_validator(mode="after")
    def _need_fitting_keys(self) -> Self:
        described = {"nav_usd", "targets", "half_spread_bps", "alternates", "is_fractional"}
        given = self.model_fields_set - {"kind"}
        idle = given & described if self.kind == "accounts" else given - described
        if idle:
            raise ValueError(f'{min(idle)} means nothing to kind = "{self.kind}"')
        needed = "classes" if self.kind == "accounts" else "targets"
        if not getattr(self, needed):
            raise ValueError(f'kind = "{self.kind}" needs {needed}')
        if self.kind == "account" and abs(sum(self.targets.values()) - 1) > TOLERANCE:
            raise ValueError(f"the targets sum to {sum(self.targets.values()):.6g}; needed 1")
        if CASH in self.classes:
            raise ValueError("classes has cash, which moves as nothing does; needed it left out")
        if isinstance(self.half_spread_bps, dict):
            _need_among("half_spread_bps", self.half_spread_bps, self.targets)
        return self

    @property
    def market_classes(self) -> dict[str, str]:
        """Classes of the accounts, sorted, and which class of the market each moves as."""
        own = self.classes if self.kind == "accounts" else {name: name for name in self.targets}
        return dict(sorted(own.items()))


class TaxSection(MappingPart):
    """Rates on gains; a study without them has no tax."""

    short_term_rate: Rate
    long_term_rate: Rate


class FlowsSection(MappingPart):
    """Cash that comes or goes."""

    monthly_usd: float = 0.0
    """Paid in at the end of each month; out where negative."""


class ReviewSection(MappingPart):
    """What a proposal takes of a reviewer's day; a study without it counts none."""

    minutes_one: Annotated[float, Field(ge=0, le=600)]
    """Of a proposal that one person decides."""
    minutes_two: Annotated[float, Field(ge=0, le=1200)]
    """Of one that needs two, both together."""
    minutes_auto: Annotated[float, Field(ge=0, le=600)] = 0.0
    """Of one that policy approves."""


class Study(MappingPart):
    """The whole TOML file."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    market: MarketSection
    paths: PathsSection = PathsSection()
    book: BookSection
    tax: TaxSection | None = None
    flows: FlowsSection = FlowsSection()
    review: ReviewSection | None = None
    grid: GridSection

    @model_validator(mode="after")
    def _need_a_fit(self) -> Self:
        market, paths = self.market, self.paths
        if market.is_sampled and paths.years is None:
            raise ValueError(f'paths.years is absent; source = "{market.source}" needs to be told how long a course is')
        if not market.is_sampled and (paths.years is not None or paths.count != 1):
            raise ValueError(
                f'source = "{market.source}" is one course, as long as it is; paths.count and paths.years mean nothing to it'
            )
        if (
            self.book.kind == "account"
            and self.book.alternates == 0
            and True in self.grid.values.get("is_harvesting", [])
        ):
            raise ValueError(
                "is_harvesting needs something to buy in place of what is sold: book.alternates, 1 or more"
            )
        if idle := sorted(set(OF_ROUTE) & set(self.grid.values)) if self.review is None else []:
            raise ValueError(f"{idle[0]} says who looks at a proposal; needed [review] with the minutes that takes")
        classes = set(self.book.market_classes.values())
        _need_among("market.dividend_yields", market.dividend_yields, classes)
        if self.book.kind == "accounts" and self.tax is not None:
            raise ValueError('[tax] means nothing to kind = "accounts": each account has rates of its own')
        if market.source == "lognormal":
            for key, given in (("means", market.means), ("volatilities", market.volatilities)):
                if lacking := sorted(classes - set(given)):
                    raise ValueError(f"market.{key} lacks {lacking[0]}, which has a target")
            pairs = set(market.correlations) | {two for each in market.correlations.values() for two in each}
            _need_among("market.correlations", pairs, market.means)
        return self

    def points(self) -> list[PolicyPoint]:
        """The product of the grid; the first is the reference."""
        return list(product(self.grid.ordered()))

    def meaning(self) -> dict[str, Any]:
        """What the study's name is made of: everything that changes its answers."""
        given = self.model_dump(mode="json", by_alias=True, exclude={"name": True, "grid": True, "market": {"path"}})
        if not self.book.alternates:
            del given["book"]["alternates"]
        if self.review is None:
            del given["review"]
        given["market"]["correlations"] = sorted(
            [*sorted((one, two)), value]
            for one, rest in self.market.correlations.items()
            for two, value in rest.items()
        )
        return given | {"grid": [point.parameters() for point in self.points()]}

    @cached_property
    def study_id(self) -> str:
        """Hash of what the study means."""
        text = json.dumps(self.meaning(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]

    def to_json(self) -> str:
        """The study as the lake has it; ``of_json`` reads it back."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    @classmethod
    def of_json(cls, text: str) -> Self:
        """The study that ``to_json`` wrote."""
        return cls.model_validate_json(text)


def parse_study(content: bytes, *, source: str) -> Study:
    """The study that a TOML file holds; ``source`` names it in messages.

    Raises
    ------
    WrongUsage
        It does not hold together: the key, what was found and what was needed.
    """
    return parse_mapping(Study, content, source=source, page=PAGE)


def _need_among(key: str, found: Any, known: Any) -> None:
    if strange := sorted(set(found) - set(known)):
        raise ValueError(f"{key} has {strange[0]}; {suggest_name(strange[0], sorted(known))}")

"""Settings say where things are and how large a night may be; policy (``schemas.policy``) decides trades.

Each setting is a variable ``TRIMTAB_<NAME>`` or a line of ``<home>/trimtab.toml``; the variable wins. Unknown names are
refused in both places.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from schemas.enums import LookReason
from schemas.errors import WrongUsage
from schemas.exports import Delivery, ExecutionSource, Profile
from schemas.sources import DatedSource, Source

PREFIX = "TRIMTAB_"
FRESH_PRICES = "fresh-prices"
"""How messages and the ledger call the source of ``prices_url``."""
NONE = "none"
"""Written for a limit that is not set, in a file or a variable: neither knows null."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Limit = Annotated[float | None, Field(ge=0), BeforeValidator(lambda given: None if given == NONE else given)]
Count = Annotated[int | None, Field(ge=0), BeforeValidator(lambda given: None if given == NONE else given)]


def _time_of_day(given: object) -> object:
    """Hours and minutes as text, or a time of TOML; seconds and zones would be left out in silence."""
    if isinstance(given, time) and given == given.replace(second=0, microsecond=0, tzinfo=None):
        return given
    if isinstance(given, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d(:00)?", given):
        return time.fromisoformat(given)
    raise ValueError(f"{given} is no time of day; needed hours and minutes, such as 15:30")


def _known_zone(given: str) -> str:
    try:
        ZoneInfo(given)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{given} is no time zone; needed one such as America/New_York") from None
    return given


def _known_workers(given: str) -> str:
    if re.fullmatch(r"|local(:[1-9]\d*)?|(tcp|tls)://[^\s/]+:\d+", given):
        return given
    raise ValueError(f"{given} names no workers; needed local, local:4, tcp://host:8786 or tls://host:8786")


def _known_stream(given: SecretStr) -> SecretStr:
    """Says nothing of the address, which may hold a secret."""
    if re.fullmatch(r"|(wss?|kafkas?|nats|tls)://[^\s/]+(/\S*)?", given.get_secret_value()):
        return given
    raise ValueError(
        "this is no address of a price stream; needed one that begins with ws://, wss://, kafka:// or nats://"
    )


StreamUrl = Annotated[SecretStr, AfterValidator(_known_stream)]
Workers = Annotated[str, AfterValidator(_known_workers)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
Zone = Annotated[str, AfterValidator(_known_zone)]


class LogFormat(StrEnum):
    """How runs log to the terminal or the journal."""

    TEXT = "text"
    JSON = "json"


class Settings(BaseSettings):
    """Where the stores are and which limits guard a run. Frozen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    home: Path = Path("var")
    """Folder that everything is in where no other setting says otherwise; no line of the file, only the variable."""
    lake_url: str = ""
    """``ducklake:...`` as DuckDB attaches it; empty = SQLite catalogue and Parquet under ``<home>/lake``."""
    lake_data_url: str = ""
    """Where the lake's Parquet files go; empty = ``<home>/lake/data``."""
    ledger_url: str = ""
    """SQLAlchemy address; empty = ``sqlite:///<home>/ledger.sqlite``."""
    export_url: str = ""
    """Folder that receives exports; empty = ``<home>/exports``."""
    source_url: str = ""
    """Address of the landing tables when neither ``--source`` nor ``sources`` is given; empty = ``<home>/landing``."""
    sources: tuple[Source, ...] = ()
    """Where a night's inputs come from, ``[[sources]]`` in the file; together they deliver the landing tables."""
    prices_url: str = ""
    """Address of the table ``prices`` through the session, for ``trimtab monitor`` and the runs it starts; may hold ``{as_of}``, the day of the look. Empty = the night's sources."""
    monitor_rearm_fraction: Fraction = 0.8
    """An account that was found out of band is armed again when every class is within this share of its band."""
    monitor_max_out_fraction: Limit = 0.2
    """A look at a stream that finds a larger share of its accounts out of band which the night did not find so is held: nothing of it is entered."""
    stream_url: StreamUrl = SecretStr("")
    """Prices through the session, for ``trimtab monitor --follow``: a websocket (``wss://``), a topic of Kafka (``kafka://host:port/topic``, ``kafkas://``) or a subject of NATS (``nats://host:port/subject``, ``tls://``); it may hold a secret."""
    stream_greeting: SecretStr = SecretStr("")
    """What the stream is sent once connected, such as a subscription; it may hold a secret. Empty = nothing."""
    stream_look_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 5
    """How often the whole book is looked at while prices stream."""
    stream_max_age_seconds: Annotated[float, Field(ge=1, le=86_400)] = 900
    """A share or exchange-traded fund whose last quote of the stream is older has no price: its accounts are not looked at."""
    stream_file_seconds: Annotated[float, Field(ge=1, le=86_400)] = 300
    """How often files are looked at meanwhile: those of cash, models and custodians, and for all prices while there is no stream."""
    max_quarantined_fraction: Fraction = 0.05
    """A run with a larger share of its accounts quarantined, and more of them than ``guard_min_accounts``, is held; so is one of which a larger share of the lots names no account that was delivered."""
    max_price_age_sessions: Annotated[int, Field(ge=0, le=366)] = 1
    """A run whose newest price is older than so many trading days before the as-of date is held; 1 admits the close before."""
    max_security_price_age_sessions: Annotated[int, Field(ge=0, le=366)] = 5
    """A run that holds a security whose own price is older than so many trading days is held."""
    max_price_move: Limit = 0.4
    """A run that holds a security whose price moved by more than this share since the last night is held."""
    max_missing_accounts_fraction: Limit = 0.05
    """A run that lacks a larger share of the last night's accounts is held."""
    max_lots_shrink_fraction: Limit = 0.2
    """A run whose lots are fewer than the last night's by a larger share is held."""
    max_lost_rows_fraction: Limit = 0.2
    """A run that lacks a larger share of the last night's restrictions, households, choices of the buy list or location preferences, and more of them than ``guard_min_accounts``, is held."""
    max_run_turnover: Limit = 0.25
    """A run that would turn over more than this share of its accounts' value is held: half of buys and sells over NAV."""
    max_run_orders: Count = None
    """A run with more orders is held."""
    guard_min_accounts: Annotated[int, Field(ge=0)] = 20
    """So many quarantined accounts, and rows about what may be traded that are gone, are looked at one by one and do not hold a run, however small it is; and runs of fewer accounts are not judged by shares of accounts missing, lots gone or nobody's, or value turned over."""
    max_unexplained_fraction: Fraction = 0.05
    """A holding that appeared, without a trade, and is more than this share of its account is quarantined."""
    max_unexplained_position_fraction: Fraction = 0.06
    """A holding that changed, without a trade, by more than this share of itself is quarantined, however small it is in its account."""
    max_basis_change_fraction: Annotated[float, Field(ge=0)] = 0.2
    """A lot whose unit cost changed by a larger share is quarantined."""
    max_unexplained_cash_fraction: Annotated[float, Field(ge=0)] = 0.05
    """Cash that changed, without a trade and without having been pending, by more than this share of its account is quarantined, unless the custodian's total has it too."""
    max_cost_to_price: Annotated[float, Field(gt=1)] = 20.0
    """A lot of a taxable account whose unit cost is more than so many times the price, or less than one part in so many of it, is quarantined."""
    max_total_difference_fraction: Fraction = 0.005
    """An account whose lots and cash differ from its custodian's total by more than this share of it, and 1 USD, is quarantined."""
    accounts_per_shard: Annotated[int, Field(ge=1)] = 50_000
    """Upper size of a shard; bounds memory."""
    dask: Workers = ""
    """Who works on the shards: empty = this process; ``local:2`` = so many processes beside it; ``tcp://host:port`` = the
    workers of a Dask scheduler."""
    is_simulation: bool = False
    """Runs that begin are simulations: no place gets their exports, and they take the fills of ``trimtab simulate fills``. A run stays what it began as."""
    is_frontier_written: bool = False
    """Write the table ``frontier`` for every proposed account; about ten times the work of proposing."""
    is_performance_written: bool = True
    """Write what every account has earned after each night, the tables ``performance`` and ``attribution``; no trade depends on it."""
    twin_policy: str = "never"
    """What each account is compared with: its twin, which trades ``never``, by the ``calendar`` (to target on the first trading day of each quarter), or by the policy of this name; empty = no twins."""
    risk_free_rate: Annotated[float, Field(gt=-1, le=1)] = 0.0
    """What Sharpe ratios are measured against: a rate a year, such as 0.04."""
    exchange: str = "XNYS"
    """Exchange calendar that says which days are trading days."""
    exchange_time_zone: Zone = "America/New_York"
    """Time zone of the exchange: of cut-offs, of the night's deadline, of the day that it is."""
    always_review: frozenset[LookReason] = frozenset({LookReason.HOLD, LookReason.ANOMALY})
    """Reasons to look that send a proposal to a person whatever policy says; a run keeps those it was pulled with."""
    profiles: tuple[Profile, ...] = ()
    """Further ways in which an export is written, ``[[profiles]]`` in the file."""
    deliveries: tuple[Delivery, ...] = ()
    """Where exports are copied to, ``[[deliveries]]`` in the file."""
    executions: tuple[ExecutionSource, ...] = ()
    """Where files of executions come from, ``[[executions]]`` in the file; none: only those named to ``trimtab reconcile``."""
    release_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    """How long before a custodian's cut-off the scheduled release lets its approved orders leave."""
    signing_key_file: str = ""
    """Ed25519 private key (PEM) that signs the manifests of exports; empty: they are not signed."""
    anchor_url: str = ""
    """Folder that receives anchors of the audit chain, best one that whoever runs this program cannot change afterwards; of one ledger alone. Empty = ``<home>/anchors``."""
    anchor_key_file: str = ""
    """Key that anchors are signed with, made where it is missing; empty = ``<home>/anchor.key``."""
    min_allocation_units: Annotated[int, Field(ge=1)] = 1
    """Least share of an order in a block that is filled in part, in units of the security's quantity step."""
    cut_offs: Mapping[str, TimeOfDay] = Field(default_factory=dict)
    """By custodian, the time of day in the exchange's time zone by which its orders must have left."""
    answer_hours: Annotated[float, Field(ge=0, le=8760)] = 24
    """How long after it left an order may be without any answer; after that it is a break. Until then it is counted apart, as not yet due."""
    answer_hours_of: Mapping[str, Annotated[float, Field(ge=0, le=8760)]] = Field(default_factory=dict)
    """The same by custodian, where one has a time of its own."""
    reminder_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    """How long before a cut-off people are reminded of what still waits."""
    backup_url: str = ""
    """Folder that receives the backups of ``maintain``, best on another disk; empty = none are made."""
    backups_kept: Annotated[
        int | None, Field(ge=1), BeforeValidator(lambda given: None if given == NONE else given)
    ] = 8
    """How many of the newest backups stay in it."""
    retention_years: Annotated[int, Field(ge=1, le=100)] = 7
    """How long bulk rows of runs, and the lake as it was then, are kept; the ledger and what trades consist of stay for good."""
    study_days: Annotated[
        int | None, Field(ge=1, le=36_500), BeforeValidator(lambda given: None if given == NONE else given)
    ] = 365
    """How long a study of the lab stays that was not asked for again and that no change of policy refers to; `none` = for good."""
    console_url: str = ""
    """Address at which people reach the console, behind a proxy or not; empty = as each request names it."""
    console_session_hours: Annotated[float, Field(gt=0, le=168)] = 12
    """Longest time that somebody stays signed in."""
    console_idle_minutes: Annotated[float, Field(gt=0, le=1440)] = 30
    """Time without doing anything after which somebody is signed out."""
    console_undo_seconds: Annotated[float, Field(ge=0, le=60)] = 5
    """Time in which an approval, a rejection or a withdrawal on the console's pages can be taken back before it counts; 0: it counts at once."""
    log_format: LogFormat = LogFormat.TEXT
    """``json``: runs log a line of JSON for each record."""
    night_deadline: Annotated[TimeOfDay | None, BeforeValidator(lambda given: None if given == NONE else given)] = time(
        23
    )
    """Time of day in the exchange's time zone by which a trading day's night is done; before noon it is that of the next day. Null: nobody waits."""
    alert_urls: tuple[SecretStr, ...] = ()
    """Where alerts go, as addresses of Apprise or of webhooks; each may hold a secret."""
    prefect_ui_url: str = ""
    """Address of the Prefect UI, which the console's runs link to; empty = no link."""
    oidc_issuer_url: str = ""
    """Identity provider (OpenID Connect) that signs people in to the console; empty = local users only."""
    oidc_client_id: str = ""
    """What the provider calls the console."""
    oidc_client_secret: SecretStr = SecretStr("")
    """What the console proves with that it is that one."""
    is_password_sign_in: bool = True
    """Whether local users may sign in with their password."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables win over the file, which arrives as initial values."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _check_exports(self) -> Self:
        for kind, names in (
            ("profiles", [one.name for one in self.profiles]),
            ("deliveries", [one.name for one in self.deliveries]),
            ("executions", [one.name for one in self.executions]),
        ):
            twice = sorted(name for name in set(names) if names.count(name) > 1)
            if twice:
                raise ValueError(f"{kind} has {twice[0]} twice; needed names that differ")
        known = {one.name for one in self.profiles}
        for delivery in self.deliveries:
            if delivery.profile and delivery.profile not in known:
                raise ValueError(
                    f"the delivery {delivery.name} takes the profile {delivery.profile}, which there is not"
                )
        return self

    @property
    def lake_address(self) -> str:
        """What DuckDB attaches as the lake."""
        return self.lake_url or f"ducklake:sqlite:{self.home.resolve() / 'lake' / 'catalog.sqlite'}"

    @property
    def lake_data_address(self) -> str:
        """The lake's folder or object-store prefix of Parquet files."""
        return self.lake_data_url or str(self.home.resolve() / "lake" / "data")

    @property
    def ledger_address(self) -> str:
        """What SQLAlchemy connects to as the ledger."""
        return self.ledger_url or f"sqlite:///{self.home.resolve() / 'ledger.sqlite'}"

    @property
    def export_folder(self) -> Path:
        """Folder that receives exports."""
        return Path(self.export_url) if self.export_url else self.home / "exports"

    @property
    def anchor_folder(self) -> Path:
        """Folder that receives the anchors of the audit chain."""
        return Path(self.anchor_url) if self.anchor_url else self.home / "anchors"

    @property
    def anchor_key(self) -> Path:
        """File of the key that anchors are signed with."""
        return Path(self.anchor_key_file) if self.anchor_key_file else self.home / "anchor.key"

    @property
    def staging_folder(self) -> Path:
        """Where files that were fetched from elsewhere stand."""
        return self.home / "staging"

    def sources_of(self, as_of: date, given: Sequence[str] = ()) -> tuple[DatedSource, ...]:
        """The sources of a night: the addresses given, else those of the settings, else the landing folder.

        A folder in the landing folder that is named after the date comes before the landing folder itself.
        """
        if given:
            names = ["source"] if len(given) == 1 else [f"source-{number}" for number, _ in enumerate(given, 1)]
            return tuple(_source(name, url).on(as_of) for name, url in zip(names, given, strict=True))
        if self.sources:
            return tuple(source.on(as_of) for source in self.sources)
        landing = _source("landing", self.source_url or str(self.home / "landing")).on(as_of)
        dated = Path(landing.url) / as_of.isoformat()
        is_dated = landing.scheme == "file" and dated.is_dir()
        return (landing.model_copy(update={"url": str(dated)}) if is_dated else landing,)

    @property
    def streamed_folder(self) -> Path:
        """Where prices that a stream gave stand, a folder a day, for the runs that they start."""
        return self.home / "streamed"

    def streamed_source(self, day: date) -> DatedSource | None:
        """Where prices stand that a stream gave on a day; null: nowhere."""
        folder = self.streamed_folder / day.isoformat()
        if not (folder / "prices.parquet").is_file():
            return None
        return _source(FRESH_PRICES, str(folder)).model_copy(update={"tables": ("prices",)}).on(day)

    def prices_source(self, day: date) -> DatedSource | None:
        """Where fresh prices of a day come from; null: from the night's own sources."""
        if not self.prices_url:
            return None
        return _source(FRESH_PRICES, self.prices_url).model_copy(update={"tables": ("prices",)}).on(day)


def _source(name: str, url: str) -> Source:
    """A source of landing tables at an address.

    Raises
    ------
    WrongUsage
        It is no address.
    """
    try:
        return Source(name=name, url=url)
    except ValidationError as error:
        raise WrongUsage(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def load_settings() -> Settings:
    """Settings from ``TRIMTAB_*`` variables over ``<home>/trimtab.toml``.

    Raises
    ------
    WrongUsage
        A variable or a line of the file has an unknown name or a value that does not fit.
    """
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise WrongUsage(f"{', '.join(unknown)} is not a setting\n\nHint: known are {', '.join(sorted(known))}.")
    folder = Path(os.environ.get(f"{PREFIX}HOME", "var"))
    try:
        return Settings(**{**_file_settings(folder / "trimtab.toml"), "home": folder})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise WrongUsage(f"setting {where}: {what}\n\nHint: see deploy/env.example.") from None
    except SettingsError as error:  # its text names the field, and shows nothing of the value
        names = [name for name in Settings.model_fields if f'"{name}"' in str(error)]
        raise WrongUsage(
            f"setting {', '.join(names)}: the variable is not JSON\n\nHint: see deploy/env.example."
        ) from None


def _file_settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise WrongUsage(f"{path.name} cannot be read as TOML: {error}") from None

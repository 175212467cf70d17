"""Settings say where things are and how large a night may be; policy (``schemas.policy``) decides trades.

Each setting is a variable ``TRIMTAB_<NAME>`` or a line of ``<home>/trimtab.toml``; the variable wins. Unknown names are
refused in both places.
"""

import os
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.errors import WrongUsage

PREFIX = "TRIMTAB_"


class Settings(BaseSettings):
    """Where the stores are and which limits guard a run. Frozen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    home: Path = Path("var")
    lake_url: str = ""
    """``ducklake:...`` as DuckDB attaches it; empty = SQLite catalogue and Parquet under ``<home>/lake``."""
    lake_data_url: str = ""
    """Where the lake's Parquet files go; empty = ``<home>/lake/data``."""
    ledger_url: str = ""
    """SQLAlchemy address; empty = ``sqlite:///<home>/ledger.sqlite``."""
    export_url: str = ""
    """Folder that receives exports; empty = ``<home>/exports``."""
    source_url: str = ""
    """Landing folder read when ``--source`` is not given; empty = ``<home>/landing``."""
    max_quarantined_fraction: Annotated[float, Field(ge=0, le=1)] = 0.05
    """A run with a larger share of its accounts quarantined is held."""
    accounts_per_shard: Annotated[int, Field(ge=1)] = 50_000
    """Upper size of a shard; bounds memory."""
    is_frontier_written: bool = False
    """Write the table ``frontier`` for every proposed account; about ten times the work of proposing."""
    exchange: str = "XNYS"
    """Exchange calendar that says which days are trading days."""
    exchange_time_zone: str = "America/New_York"

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
    def landing_folder(self) -> Path:
        """Folder that a night reads when no source is named."""
        return Path(self.source_url) if self.source_url else self.home / "landing"

    def landing_for(self, as_of: date) -> Path:
        """Where the night of a date lands: a folder named after the date in the landing folder, else the folder itself."""
        dated = self.landing_folder / as_of.isoformat()
        return dated if dated.is_dir() else self.landing_folder


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
        raise WrongUsage(f"setting {where}: {first['msg']}\n\nHint: see deploy/env.example.") from None


def _file_settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise WrongUsage(f"{path.name} cannot be read as TOML: {error}") from None

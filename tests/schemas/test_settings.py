"""Settings: variables over the file over defaults, and no name that is not one."""

from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.errors import WrongUsage
from schemas.settings import Settings, load_settings

DAY = date(2026, 3, 2)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    return tmp_path


def test_everything_lives_under_home(home: Path) -> None:
    settings = load_settings()
    assert settings.home == home
    assert settings.lake_address == f"ducklake:sqlite:{home}/lake/catalog.sqlite"
    assert settings.lake_data_address == f"{home}/lake/data"
    assert settings.ledger_address == f"sqlite:///{home}/ledger.sqlite"
    assert settings.export_folder == home / "exports"
    assert settings.landing_folder == home / "landing"


def test_home_is_var_where_nothing_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIMTAB_HOME")
    assert load_settings().home == Path("var")
    assert load_settings().lake_address == f"ducklake:sqlite:{Path('var').resolve()}/lake/catalog.sqlite"


@pytest.mark.parametrize(
    ("name", "text", "seen"),
    [
        ("LAKE_URL", "ducklake:postgres:dbname=lake", lambda s: s.lake_address),
        ("LAKE_DATA_URL", "s3://bucket/lake", lambda s: s.lake_data_address),
        ("LEDGER_URL", "postgresql://host/ledger", lambda s: s.ledger_address),
        ("EXPORT_URL", "/srv/exports", lambda s: str(s.export_folder)),
        ("SOURCE_URL", "/srv/landing", lambda s: str(s.landing_folder)),
        ("MAX_QUARANTINED_FRACTION", "0.25", lambda s: str(s.max_quarantined_fraction)),
        ("ACCOUNTS_PER_SHARD", "7", lambda s: str(s.accounts_per_shard)),
    ],
)
def test_a_variable_sets_it(monkeypatch: pytest.MonkeyPatch, name: str, text: str, seen: object) -> None:
    assert callable(seen)
    assert seen(load_settings()) != text
    monkeypatch.setenv(f"TRIMTAB_{name}", text)
    assert seen(load_settings()) == text


def test_the_file_sets_what_no_variable_does(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "trimtab.toml").write_text("accounts_per_shard = 11\nmax_quarantined_fraction = 0.5\n", encoding="utf-8")
    monkeypatch.setenv("TRIMTAB_ACCOUNTS_PER_SHARD", "22")
    settings = load_settings()
    assert (settings.accounts_per_shard, settings.max_quarantined_fraction) == (22, 0.5)


def test_an_unknown_variable_is_refused_and_the_known_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_ACCOUNT_PER_SHARD", "22")
    with pytest.raises(WrongUsage, match=r"(?s)TRIMTAB_ACCOUNT_PER_SHARD is not a setting.*TRIMTAB_ACCOUNTS_PER_SHARD"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shards = 3", "setting shards: Extra inputs are not permitted"),
        ("accounts_per_shard = 0", "setting accounts_per_shard: Input should be greater than or equal to 1"),
        ("max_quarantined_fraction = 1.5", "setting max_quarantined_fraction: Input should be less than"),
        ("accounts_per_shard = ", "trimtab.toml cannot be read as TOML"),
    ],
)
def test_a_wrong_line_of_the_file_is_refused_by_name(home: Path, text: str, message: str) -> None:
    (home / "trimtab.toml").write_text(text, encoding="utf-8")
    with pytest.raises(WrongUsage, match=message):
        load_settings()


def test_a_wrong_value_of_a_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_ACCOUNTS_PER_SHARD", "many")
    with pytest.raises(WrongUsage, match="setting accounts_per_shard: Input should be a valid integer"):
        load_settings()


def test_the_refusal_does_not_show_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_LEDGER_URL", "postgresql://me:secret@host/ledger")
    monkeypatch.setenv("TRIMTAB_ACCOUNTS_PER_SHARD", "many")
    with pytest.raises(WrongUsage) as refused:
        load_settings()
    assert "secret" not in str(refused.value)


def test_a_night_lands_in_the_folder_of_its_date_if_there_is_one(home: Path) -> None:
    settings = load_settings()
    assert settings.landing_for(DAY) == home / "landing"
    (home / "landing" / "2026-03-02").mkdir(parents=True)
    assert settings.landing_for(DAY) == home / "landing" / "2026-03-02"
    assert settings.landing_for(date(2026, 3, 3)) == home / "landing"


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.accounts_per_shard = 3  # type: ignore[misc]

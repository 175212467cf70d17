"""Settings: variables over the file over defaults, and no name that is not one."""

from datetime import date, time
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.enums import LookReason
from schemas.errors import WrongUsage
from schemas.settings import Settings, load_settings
from schemas.sources import Source

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
    assert [source.url for source in settings.sources_of(DAY)] == [f"{home}/landing"]
    assert settings.staging_folder == home / "staging"


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
        ("SOURCE_URL", "/srv/landing", lambda s: s.sources_of(DAY)[0].url),
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
    assert url_of(settings, DAY) == f"{home}/landing"
    (home / "landing" / "2026-03-02").mkdir(parents=True)
    assert url_of(settings, DAY) == f"{home}/landing/2026-03-02"
    assert url_of(settings, date(2026, 3, 3)) == f"{home}/landing"


def url_of(settings: Settings, day: date) -> str:
    (source,) = settings.sources_of(day)
    return source.url


def test_addresses_given_come_before_those_of_the_settings() -> None:
    settings = Settings(sources=(Source(name="bank", url="sftp://bank/out/{as_of:%Y%m%d}"),))
    assert [source.url for source in settings.sources_of(DAY)] == ["sftp://bank/out/20260302"]
    given = settings.sources_of(DAY, ["/a", "s3://b/{as_of}"])
    assert [(source.name, source.url) for source in given] == [("source-1", "/a"), ("source-2", "s3://b/2026-03-02")]


def test_sources_stand_in_the_file_as_tables(home: Path) -> None:
    text = """
        [[sources]]
        name = "book"
        url = "postgresql://trimtab@db/book"
        schema_name = "nightly"

        [[sources]]
        name = "northbank"
        url = "sftp://trimtab@files.northbank.example/outgoing"
        format = "delimited-example"
        custodians = ["North Bank"]
    """
    (home / "trimtab.toml").write_text(text, encoding="utf-8")
    first, second = load_settings().sources_of(DAY)
    assert (first.scheme, first.schema_name, second.custodians) == ("postgresql", "nightly", ("North Bank",))


def test_a_limit_is_taken_away_by_the_word_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().max_run_turnover == 0.25
    monkeypatch.setenv("TRIMTAB_MAX_RUN_TURNOVER", "none")
    assert load_settings().max_run_turnover is None


def test_cut_offs_and_reasons_are_told_by_variables_as_by_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'always_review = ["harvest"]\n[cut_offs]\nnorthbank = "15:30"\nharbor = 09:00:00\n'
    (home / "trimtab.toml").write_text(text, encoding="utf-8")
    settings = load_settings()
    assert settings.cut_offs == {"northbank": time(15, 30), "harbor": time(9)}
    assert settings.always_review == {LookReason.HARVEST}

    monkeypatch.setenv("TRIMTAB_CUT_OFFS", '{"northbank": "16:00"}')
    monkeypatch.setenv("TRIMTAB_ALWAYS_REVIEW", "[]")
    assert load_settings().cut_offs == {"northbank": time(16), "harbor": time(9)}  # the variable wins by custodian
    assert load_settings().always_review == frozenset()


def test_a_home_is_careful_where_nothing_says_otherwise() -> None:
    assert load_settings().always_review == {LookReason.HOLD, LookReason.ANOMALY}
    assert load_settings().cut_offs == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "CUT_OFFS",
            '{"northbank": "25:00"}',
            r"setting cut_offs\.northbank: 25:00 is no time of day; needed hours and",
        ),
        ("CUT_OFFS", '{"northbank": "15:30+02:00"}', "is no time of day"),
        ("CUT_OFFS", '{"northbank": "15:30:15"}', "is no time of day"),
        ("CUT_OFFS", '{"northbank": 55800}', "55800 is no time of day"),
        ("CUT_OFFS", "northbank=15:30", "setting cut_offs: the variable is not JSON"),
        ("ALWAYS_REVIEW", '["holds"]', r"setting always_review.*: Input should be 'hold', 'short_cash'"),
        ("ALWAYS_REVIEW", "hold", "setting always_review: the variable is not JSON"),
        ("EXCHANGE_TIME_ZONE", "Newyork", "setting exchange_time_zone: Newyork is no time zone; needed one such as"),
        ("EXCHANGE_TIME_ZONE", "../etc", "is no time zone"),
    ],
)
def test_a_wrong_cut_off_reason_or_zone_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str
) -> None:
    monkeypatch.setenv(f"TRIMTAB_{name}", text)
    with pytest.raises(WrongUsage, match=message):
        load_settings()


def test_a_time_of_the_file_with_seconds_is_refused(home: Path) -> None:
    (home / "trimtab.toml").write_text("[cut_offs]\nnorthbank = 15:30:15\n", encoding="utf-8")
    with pytest.raises(WrongUsage, match="15:30:15 is no time of day"):
        load_settings()


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.accounts_per_shard = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "name", ["max_price_age_sessions", "max_security_price_age_sessions", "release_minutes", "reminder_minutes"]
)
def test_a_span_that_no_calendar_has_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"TRIMTAB_{name.upper()}", "10000000000")
    with pytest.raises(WrongUsage, match=name):
        load_settings()

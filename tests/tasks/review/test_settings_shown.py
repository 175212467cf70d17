"""Settings are shown with where each comes from, and no secret is, however it was set."""

from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings, load_settings
from tasks.review.settings_shown import NOT_SHOWN, SettingSource, setting_rows

SECRET = "hunter-two-2"  # noqa: S105 - what must not be shown
FILE = f"""
max_run_turnover = 0.5
ledger_url = "postgresql://trimtab:{SECRET}@db.example.com/trimtab?password={SECRET}"
lake_url = "ducklake:postgres:host=db dbname=lake password='{SECRET}' user=trimtab"
source_url = "postgresql://reader:{SECRET}@db.example.com/nights?sslkey={SECRET}"
prices_url = "https://prices.example.com/close?token={SECRET}"
stream_url = "wss://prices.example.com/{SECRET}"
stream_greeting = '{{"key": "{SECRET}"}}'
alert_urls = ["slack://{SECRET}/{SECRET}"]
oidc_client_secret = "{SECRET}"
[[sources]]
name = "models"
url = "postgresql://reader@db.example.com/models"
[[deliveries]]
name = "north"
url = "sftp://us@files.example.com/in"
password_variable = "NORTH_PASSWORD"
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "trimtab.toml").write_text(FILE)
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    monkeypatch.setenv("TRIMTAB_EXCHANGE", "XNYS")
    monkeypatch.setenv("TRIMTAB_BACKUP_URL", f"s3://key:{SECRET}@bucket/backups")
    return load_settings()


def test_no_secret_is_shown(settings: Settings) -> None:
    rows = setting_rows(settings)
    assert SECRET not in "\n".join(f"{row}" for row in rows)
    values = {row.name: row.value for row in rows}
    assert values["oidc_client_secret"] == values["stream_url"] == NOT_SHOWN
    assert values["ledger_url"] == "postgresql://…@db.example.com/trimtab?…"
    assert "host=db" in values["lake_url"]
    assert NOT_SHOWN in values["alert_urls"]
    assert "db.example.com/models" in values["sources"]


def test_each_setting_says_where_its_value_comes_from_and_what_it_is_for(settings: Settings) -> None:
    rows: dict[str, Any] = {row.name: row for row in setting_rows(settings)}
    assert list(rows) == list(Settings.model_fields)
    sources = {name: row.source for name, row in rows.items()}
    assert sources["exchange"] is SettingSource.ENVIRONMENT
    assert sources["home"] is SettingSource.ENVIRONMENT
    assert sources["max_run_turnover"] is SettingSource.FILE
    assert sources["max_price_move"] is SettingSource.DEFAULT
    assert (rows["max_run_turnover"].value, rows["max_run_turnover"].default) == ("0.5", "0.25")
    assert rows["max_run_turnover"].meaning.startswith("A run that would turn over more")
    assert all(row.meaning for row in rows.values())

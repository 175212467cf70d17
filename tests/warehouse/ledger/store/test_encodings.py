"""Letters of every language, whatever encoding a PostgreSQL database was made with; where that cannot be, a sentence."""

from contextlib import closing
from pathlib import Path

import pytest

from schemas.enums import Role
from schemas.errors import WrongUsage
from schemas.settings import Settings
from tests.support.ledger_book import NOW, new_run, opened
from tests.support.servers import PASSWORD, Postgres
from warehouse.lake.lake import open_lake
from warehouse.lake.public_query import query


@pytest.fixture
def address(postgres: Postgres, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a database with the encoding of the test's parameter."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    name = postgres.new_database(f"TEMPLATE template0 ENCODING '{request.param}' LC_COLLATE 'C' LC_CTYPE 'C'")
    return f"postgresql+psycopg://owner@127.0.0.1:{postgres.port}/{name}"


@pytest.mark.parametrize("address", ["UTF8", "SQL_ASCII"], indirect=True)
def test_names_in_all_letters_come_back_as_they_were_written(address: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, ledger_url=address)
    open_lake(settings)
    with closing(opened(address)) as ledger:
        ledger.users.add_user("Zoë 李", [Role.VIEWER], actor="ann", now=NOW)
        ledger.runs.start_run(new_run("r1", submitter="Zoë 李"), NOW)

        assert ledger.users.roles_of("Zoë 李") == {Role.VIEWER}
        assert query(settings, "SELECT submitter FROM runs").rows() == [("Zoë 李",)]


@pytest.mark.parametrize("address", ["LATIN1"], indirect=True)
def test_a_database_that_cannot_keep_all_letters_is_refused(address: str) -> None:
    with pytest.raises(WrongUsage, match="has the encoding LATIN1") as refused:
        opened(address)
    assert "ENCODING 'UTF8'" in str(refused.value)

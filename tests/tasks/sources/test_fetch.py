"""One call, whatever the kind of source: the same four files come back the same."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from schemas.sources import Source
from tasks.sources.fetch import fetch_files
from tests.support.servers import ObjectStore, Postgres, Sshd

AS_OF = date(2026, 1, 2)
TEXT = b"account_id,settled_usd,pending_usd\nA,1,0\n"
Place = Callable[[], Source]


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    def source() -> Source:
        dated = tmp_path / "in" / "20260102"
        dated.mkdir(parents=True)
        (dated / "cash.csv").write_bytes(TEXT)
        return Source(name="here", url=f"{tmp_path}/in/{{as_of:%Y%m%d}}")

    return source


@pytest.fixture
def bucket(s3: ObjectStore) -> Place:
    def source() -> Source:
        name = s3.new_bucket()
        s3.put(f"{name}/in/2026-01-02/cash.csv", TEXT)
        return Source(name="here", url=f"s3://{name}/in/{{as_of}}", endpoint=s3.endpoint)

    return source


@pytest.fixture
def server(sshd: Sshd, folder: Place) -> Place:
    def source() -> Source:
        url = sshd.url(Path(folder().url))
        return Source(name="here", url=url, known_hosts=str(sshd.known_hosts), key_file=str(sshd.key_file))

    return source


@pytest.mark.parametrize("place", ["folder", "bucket", "server"])
def test_a_file_is_fetched_from_wherever_it_is(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source: Source = request.getfixturevalue(place)().on(AS_OF)
    (file,) = fetch_files(source, is_wanted="cash.csv".__eq__, staging=tmp_path / "staging")
    assert (file.source, file.name, file.size_bytes) == ("here", "cash.csv", len(TEXT))
    assert file.path.read_bytes() == TEXT
    assert fetch_files(source, is_wanted="lots.csv".__eq__, staging=tmp_path / "staging") == ()


def test_a_table_is_asked_for_as_a_parquet_file(postgres: Postgres, tmp_path: Path) -> None:
    schema, asked = postgres.new_schema(), set()
    postgres.run(
        schema, "CREATE TABLE cash (as_of_date date, account_id text)", "INSERT INTO cash VALUES ('2026-01-02', 'A')"
    )
    source = Source(name="here", url=postgres.url(), schema_name=schema).on(AS_OF)
    (file,) = fetch_files(source, is_wanted=lambda name: not asked.add(name), staging=tmp_path)
    assert (file.name, file.path) == (f"{schema}.cash", tmp_path / "cash.parquet")
    assert {"cash.parquet", "location_preferences.parquet"} <= asked
    assert fetch_files(source.on(date(2026, 1, 5)), is_wanted=lambda _: True, staging=tmp_path) == ()


def test_files_of_a_folder_leave_no_copy(folder: Place, tmp_path: Path) -> None:
    source = folder().on(AS_OF)
    (file,) = fetch_files(source, is_wanted=lambda _: True, staging=tmp_path / "staging")
    assert file.path == Path(source.url) / "cash.csv"
    assert not (tmp_path / "staging").exists()

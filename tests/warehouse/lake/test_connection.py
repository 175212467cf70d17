"""DuckDB gets its extensions from installed wheels, never from the network, and leaves nothing in the user's folder."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from warehouse.lake.connection import EXTENSIONS, _extension_path, _links, connect, sql_literal

ROOT = Path(__file__).parents[3]


def loaded(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute("SELECT extension_name FROM duckdb_extensions() WHERE loaded").fetchall()
    return {name for (name,) in rows}


@pytest.mark.parametrize("wheel", EXTENSIONS)
def test_an_extension_is_loaded_from_its_wheel(wheel: str) -> None:
    with connect() as bare, connect(wheel) as connection:
        assert EXTENSIONS[wheel] not in loaded(bare)
        assert EXTENSIONS[wheel] in loaded(connection)


def test_threads_may_connect_at_once() -> None:
    _links.cache_clear()
    _links()
    all_of_them = threading.Barrier(8)

    def connected(_each: int) -> set[str]:
        all_of_them.wait()
        with connect("ducklake", "sqlite") as connection:
            return loaded(connection)

    with ThreadPoolExecutor(8) as threads:
        assert all({"ducklake", "sqlite_scanner"} <= found for found in threads.map(connected, range(8)))


def test_nothing_is_downloaded_or_loaded_unasked() -> None:
    with connect() as connection:
        for name in ("autoinstall_known_extensions", "autoload_known_extensions"):
            row = connection.execute("SELECT current_setting($name)", {"name": name}).fetchone()
            assert row == (False,)
        with pytest.raises(duckdb.Error, match=r"(?i)extension"):
            connection.execute("SELECT * FROM read_csv('https://127.0.0.1:1/a.csv')")


def test_nothing_is_written_into_the_users_folder_or_left_in_the_temporary_one(tmp_path: Path) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}
    text = "from warehouse.lake.connection import *\nprint(connect(*EXTENSIONS).execute('SELECT 42').fetchone())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("(42,)\n", "")
    assert list(home.iterdir()) == []
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("text", ["plain", "O'Hara's folder", "''", "a b; DROP TABLE x"])
def test_a_quoted_text_comes_back_as_it_was(text: str) -> None:
    with connect() as connection:
        assert connection.execute(f"SELECT {sql_literal(text)}").fetchone() == (text,)


def test_a_connection_whose_extensions_were_checked_before_takes_no_other_that_is_not_signed(tmp_path: Path) -> None:
    altered = tmp_path / "sqlite_scanner.duckdb_extension"
    content = bytearray(_extension_path("sqlite").read_bytes())
    content[1000] ^= 1
    altered.write_bytes(content)
    for _ in "the first", "one after it":
        with connect("ducklake") as connection:
            setting = connection.execute("SELECT current_setting('allow_unsigned_extensions')").fetchall()
            assert setting == [(False,)]
            with pytest.raises(duckdb.IOException, match="signature"):
                connection.execute(f"LOAD '{altered}'")
            with pytest.raises(duckdb.InvalidInputException, match="while database is running"):
                connection.execute("SET allow_unsigned_extensions = true")


def test_an_extension_that_changed_since_it_was_checked_is_checked_again(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from warehouse.lake import connection
copy = Path(sys.argv[1])
copy.write_bytes(connection._extension_path("sqlite").read_bytes())
connection._extension_path = lambda wheel: copy
connection.connect("sqlite").close()
content = bytearray(copy.read_bytes())
content[1000] ^= 1
copy.unlink()
copy.write_bytes(content)
connection.connect("sqlite")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "copy")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "signature" in done.stderr

"""What an engine's error means is told by its code, or by its words where it has none, in one table an engine."""

import errno
import sqlite3

import duckdb
import psycopg
import pytest
import sqlalchemy as sa

from warehouse.faults.engine_errors import EngineFault, faults_of, is_busy, is_disconnect, is_passing


def in_sql(error: Exception) -> sa.exc.DBAPIError:
    return sa.exc.OperationalError("INSERT", {}, error)


@pytest.mark.parametrize(
    ("error", "faults"),
    [
        (in_sql(sqlite3.OperationalError("database is locked")), {EngineFault.BUSY}),
        (in_sql(sqlite3.OperationalError("database table is locked: runs")), {EngineFault.BUSY}),
        (in_sql(psycopg.errors.LockNotAvailable("canceling statement due to lock timeout")), {EngineFault.BUSY}),
        (in_sql(psycopg.errors.SerializationFailure("could not serialize access")), {EngineFault.BUSY}),
        (in_sql(psycopg.errors.DeadlockDetected("deadlock detected")), {EngineFault.BUSY}),
        (in_sql(psycopg.errors.AdminShutdown("terminating connection")), {EngineFault.LOST}),
        (in_sql(psycopg.errors.InFailedSqlTransaction("current transaction is aborted")), set()),
        (
            in_sql(psycopg.OperationalError("connection to socket failed: Permission denied")),
            {EngineFault.LOST, EngineFault.NO_ACCESS},
        ),
        (duckdb.Error("Failed to commit: deadlock detected"), {EngineFault.BUSY}),
        (duckdb.Error("Failed to commit: no space left on device"), {EngineFault.BUSY, EngineFault.NO_ROOM}),
        (duckdb.Error("server closed the connection unexpectedly"), {EngineFault.LOST}),
        (duckdb.ParserException("syntax error at or near SELEC"), set()),
        (OSError(errno.EEXIST, "already exists"), set()),
        (ValueError("database is locked"), set()),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else repr(value),
)
def test_an_error_says_what_its_engine_means(error: Exception, faults: set[EngineFault]) -> None:
    assert faults_of(error) == faults
    assert is_busy(error) is (EngineFault.BUSY in faults)
    assert is_disconnect(error) is (EngineFault.LOST in faults)
    assert is_passing(error) is bool(faults & {EngineFault.BUSY, EngineFault.LOST})

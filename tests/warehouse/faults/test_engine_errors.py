"""What an engine's error means is told by its code, or by its words where it has none, in one table an engine."""

import errno
import sqlite3

import duckdb
import psycopg
import pytest
import sqlalchemy as sa

from warehouse.faults.engine_errors import Fault, faults_of, is_busy, is_disconnect, is_passing


def in_sql(error: Exception) -> sa.exc.DBAPIError:
    return sa.exc.OperationalError("INSERT", {}, error)


@pytest.mark.parametrize(
    ("error", "faults"),
    [
        (in_sql(sqlite3.OperationalError("database is locked")), {Fault.BUSY}),
        (in_sql(sqlite3.OperationalError("database table is locked: runs")), {Fault.BUSY}),
        (in_sql(psycopg.errors.LockNotAvailable("canceling statement due to lock timeout")), {Fault.BUSY}),
        (in_sql(psycopg.errors.SerializationFailure("could not serialize access")), {Fault.BUSY}),
        (in_sql(psycopg.errors.DeadlockDetected("deadlock detected")), {Fault.BUSY}),
        (in_sql(psycopg.errors.AdminShutdown("terminating connection")), {Fault.LOST}),
        (in_sql(psycopg.errors.InFailedSqlTransaction("current transaction is aborted")), set()),
        (
            in_sql(psycopg.OperationalError("connection to socket failed: Permission denied")),
            {Fault.LOST, Fault.NO_ACCESS},
        ),
        (duckdb.Error("Failed to commit: deadlock detected"), {Fault.BUSY}),
        (duckdb.Error("Failed to commit: no space left on device"), {Fault.BUSY, Fault.NO_ROOM}),
        (duckdb.Error("server closed the connection unexpectedly"), {Fault.LOST}),
        (duckdb.ParserException("syntax error at or near SELEC"), set()),
        (OSError(errno.EEXIST, "already exists"), set()),
        (ValueError("database is locked"), set()),
    ],
    ids=repr,
)
def test_an_error_says_what_its_engine_means(error: Exception, faults: set[Fault]) -> None:
    assert faults_of(error) == faults
    assert is_busy(error) is (Fault.BUSY in faults)
    assert is_disconnect(error) is (Fault.LOST in faults)
    assert is_passing(error) is bool(faults & {Fault.BUSY, Fault.LOST})

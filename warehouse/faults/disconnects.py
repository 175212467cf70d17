"""Tells a ledger's connection that was lost from a statement that is wrong: the one may be tried again.

SQLAlchemy marks a connection that it had and lost. One that could not be made has no mark; PostgreSQL has not given such an
error a code of its own either (psycopg, ``OperationalError.sqlstate``), or one of class 08 or 57P ("PostgreSQL Error Codes",
PostgreSQL documentation, Appendix A).
"""

from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError

CODES: Final = ("08", "57P")


def is_disconnect(error: BaseException) -> bool:
    """Whether the error says that the ledger's server went away; the same call may succeed when it is back."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    is_postgres = isinstance(error, OperationalError) and type(error.orig).__module__.startswith("psycopg")
    code = getattr(error.orig, "sqlstate", None)
    return is_postgres and (code is None or code.startswith(CODES))

"""Tables or views of a PostgreSQL schema, all as of one moment, written to the staging folder as Parquet.

1. One REPEATABLE READ, READ ONLY transaction reads the catalogue and every relation: what is committed meanwhile is not seen.
2. All columns are taken, known or not; ``tasks.sources.postgres_columns`` says how each comes.
3. Rows are sorted by the table's key, then by its other known columns, and cut into row groups of a fixed size: the same
   content gives the same bytes, in whatever order it was inserted.
4. A column ``as_of_date`` chooses the rows of the source's day and is not delivered itself. A relation without rows of that date
   is not there yet.

Known limits: a server that is alive but never answers a query is waited for; one that is gone is noticed in half a minute.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import InputRefused
from schemas.landing import CONTRACTS
from schemas.sources import DatedSource, Source
from tasks.sources.fetched_file import FetchedFile
from tasks.sources.postgres_columns import AS_OF_COLUMN, PostgresColumn, quote_name, select
from tasks.sources.postgres_session import answers, session
from tasks.sources.staging import IncomingFile, Staging, open_staging

GROUP_ROWS: Final = 250_000
"""Rows of a row group: a batch's bytes must not depend on how the rows arrived."""
_SCHEMA: Final = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1"
_COLUMNS: Final = """
SELECT relation.relname::text, attribute.attname::text, type.typname::text, coalesce(base.typname, type.typname)::text,
    coalesce(base.typtype, type.typtype) = 'e', attribute.attcollation <> 0
FROM pg_catalog.pg_class AS relation
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid
JOIN pg_catalog.pg_type AS type ON type.oid = attribute.atttypid
LEFT JOIN pg_catalog.pg_type AS base ON base.oid = type.typbasetype
WHERE namespace.nspname = $1 AND relation.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND attribute.attnum > 0 AND NOT attribute.attisdropped
ORDER BY relation.relname, attribute.attnum
"""
"""Columns of every relation of a schema that has rows: tables, partitioned and foreign ones, views, materialized views."""


def fetch(source: DatedSource, *, is_wanted: Callable[[str], bool], staging: Path) -> tuple[FetchedFile, ...]:
    """The wanted landing tables of the source's schema, as of one moment, in ``staging``; sorted by name.

    Raises
    ------
    SourceUnreachable
        The server does not answer, broke off, or keeps a table locked.
    InputRefused
        There is no such database, schema, or leave to read it; or a column has a type that cannot hold what it should.
    """
    wanted = [table for table in CONTRACTS if is_wanted(f"{table}.parquet")]
    with open_staging(staging, source) as stage, session(source) as cursor:
        relations = _relations(source, cursor)
        written = [
            _write_relation(source, cursor, table, relations[table], stage)
            for table in sorted(wanted)
            if table in relations
        ]
    return tuple(file for file in written if file)


def _relations(source: Source, cursor: Any) -> Mapping[str, list[PostgresColumn]]:
    """Columns of each landing table that the schema has, in their order."""
    with answers(source):
        cursor.execute(_SCHEMA, (source.schema_name,))
        if not cursor.fetchall():
            raise InputRefused(
                f"the database of {source.name} has no schema {quote_name(source.schema_name)}; needed the one with the "
                "landing tables or views\n\nHint: set schema_name of the source."
            )
        cursor.execute(_COLUMNS, (source.schema_name,))
        found: dict[str, list[PostgresColumn]] = {}
        for relation, *column in cursor.fetchall():
            found.setdefault(relation, []).append(PostgresColumn(*column))
    return found


def _write_relation(
    source: DatedSource, cursor: Any, table: str, columns: Sequence[PostgresColumn], stage: Staging
) -> FetchedFile | None:
    """The relation as a file; null where it has no rows of the day."""
    query = select(source, table, columns)
    relation = f"{source.schema_name}.{table}"
    with stage.incoming() as incoming:
        with answers(source, relation):
            cursor.execute(query)
            rows = _write(cursor.fetch_record_batch(), incoming)
        if not rows and any(column.name == AS_OF_COLUMN for column in columns):
            return None
        return stage.place(incoming, f"{table}.parquet", shown_as=relation)


def _write(rows: pa.RecordBatchReader, incoming: IncomingFile) -> int:
    """Write all rows, a row group at a time; how many there were."""
    schema = pa.schema([(field.name, field.type) for field in rows.schema])
    count = 0
    with pq.ParquetWriter(incoming, schema, compression="zstd") as writer:
        for group in _groups(rows, schema):
            writer.write_table(group)
            count += group.num_rows
    return count


def _groups(rows: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows, ``GROUP_ROWS`` at a time, each group in one piece."""
    waiting: list[pa.RecordBatch] = []
    for batch in rows:
        waiting.append(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
        while sum(part.num_rows for part in waiting) >= GROUP_ROWS:
            table = pa.Table.from_batches(waiting, schema)
            yield table.slice(0, GROUP_ROWS).combine_chunks()
            waiting = table.slice(GROUP_ROWS).to_batches()
    if any(part.num_rows for part in waiting):
        yield pa.Table.from_batches(waiting, schema).combine_chunks()

"""Alembic runs on the connection that the ledger hands over, inside the ledger's own transaction."""

from alembic import context

from warehouse.ledger import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
context.run_migrations()

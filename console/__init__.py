"""The review console and the REST API, over the same services as the command line.

Nothing here decides: pages and routes call ``tasks`` and show what the ledger answers. The database is reached through
``warehouse`` alone, and every right is asked for again where a decision is written.
"""

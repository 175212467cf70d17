"""Reading what brokers and custodians say about orders: files of executions into the tables of ``schemas.executions``."""

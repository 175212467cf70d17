"""Reading what brokers and custodians say about orders: files of executions into the tables of ``schemas.executions``."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

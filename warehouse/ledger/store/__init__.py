"""Tables, types and words of the ledger, its transactions and its audit chain."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

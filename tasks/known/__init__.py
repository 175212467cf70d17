"""What the lake and the ledger know from before: earlier holdings, open orders, fills, runs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

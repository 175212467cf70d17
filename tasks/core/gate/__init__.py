"""The gate between what was delivered and what is traded on: every row is accepted or quarantined, none is dropped."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""The night after the gate: measure drift, propose trades, route and publish them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""A broker that is simulated: what it would say of orders that left, by a stated model of spread, impact and volume."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""After the night: what every account has earned, what its model would have, and why they differ."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""The exact rebalance over flat arrays. Imports NumPy and Numba, and nothing of ours but itself."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Whose model an account should have: risk aversion, capacity for loss, rungs of the firm's ladder, glide paths and goals."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

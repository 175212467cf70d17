"""Approved proposals leave as files: exactly once, whole, signed and delivered."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

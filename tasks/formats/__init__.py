"""A custodian's files as landing tables: each format is a TOML file that one engine reads."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

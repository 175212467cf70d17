"""Studies: their markets are read, their paths tried shard by shard, their tables written to the lake and shown."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""What pages and API share: the way to the stores, guards of requests, words and charts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""The policy lab: what each policy costs and gives, by the night's own engine on many courses of the market."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

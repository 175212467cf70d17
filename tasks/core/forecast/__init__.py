"""How many accounts will leave their bands by the next session, and which: by a formula, and by what was learned where that was better."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

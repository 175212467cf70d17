"""Places that finished exports are delivered to: folders, object stores and SFTP servers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Where the inputs of a night come from: folders, object stores, databases and SFTP servers, each fetched to local files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

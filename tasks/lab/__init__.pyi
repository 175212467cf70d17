from .data import content_hash as content_hash
from .data import read_history as read_history

from .book_types import FileFormat as FileFormat
from .sample import make_book as make_book

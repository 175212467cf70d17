from .book_types import DailyCloses as DailyCloses
from .book_types import FileFormat as FileFormat
from .next_night import BookedFills as BookedFills
from .next_night import make_next_night as make_next_night
from .next_night import market_frame as market_frame
from .next_night import next_closes as next_closes
from .sample import make_book as make_book
from .sample import read_market as read_market

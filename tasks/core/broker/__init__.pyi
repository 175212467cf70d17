from .day import MARKET as MARKET
from .day import ORDERS as ORDERS
from .day import REPORTS as REPORTS
from .day import BrokerModel as BrokerModel
from .day import day_of as day_of
from .files import ENDINGS as ENDINGS
from .files import file_of as file_of
from .prices import asked_prices as asked_prices

from .fills import SimulatedFills as SimulatedFills
from .fills import exported_lots as exported_lots
from .fills import exported_orders as exported_orders
from .fills import simulate_fills as simulate_fills
from .market import DEFAULTS as DEFAULTS
from .market import market_of as market_of

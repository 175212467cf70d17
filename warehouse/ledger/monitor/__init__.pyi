from .breaches import LATE_FILE as LATE_FILE
from .breaches import Breaches as Breaches
from .breaches import ScopeRow as ScopeRow

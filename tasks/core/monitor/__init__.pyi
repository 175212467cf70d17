from .breaches import HELD as HELD
from .breaches import KnownToday as KnownToday
from .breaches import Verdict as Verdict
from .breaches import seen_accounts as seen_accounts
from .breaches import verdict as verdict

from .breaches import LATE_FILE as LATE_FILE
from .breaches import Breaches as Breaches
from .breaches import BreachRow as BreachRow
from .breaches import ScopeRow as ScopeRow
from .followers import FollowerRow as FollowerRow
from .followers import Followers as Followers

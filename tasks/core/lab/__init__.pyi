from .arrays import LOOKS as LOOKS
from .arrays import MEASURES as MEASURES
from .arrays import LabPolicy as LabPolicy
from .arrays import Market as Market
from .arrays import Measured as Measured
from .arrays import Terms as Terms
from .arrays import look_flags as look_flags

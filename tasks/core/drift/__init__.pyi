from .distribution import chart as chart
from .distribution import drift_counts as drift_counts
from .drift import WEIGHT_TOLERANCE as WEIGHT_TOLERANCE
from .drift import account_drift as account_drift
from .drift import drift_by_class as drift_by_class
from .drift import household_drift as household_drift
from .drift import is_out_of_band as is_out_of_band
from .drift import tolerance_band as tolerance_band

from .start import KEPT_LOGS as KEPT_LOGS
from .start import log_of as log_of
from .start import settle_lost as settle_lost
from .start import start_job as start_job

from .breaches import BreachForecast as BreachForecast
from .breaches import LikelyAccount as LikelyAccount
from .breaches import forecast_breaches as forecast_breaches

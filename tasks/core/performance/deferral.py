"""What a tax that is paid later is worth: closed forms of growth that is taxed at a sale or every year, and of a harvest that is sold later.

    taxed at a sale     (1 + r)^n (1 - t) + t             of a dollar whose growth alone is taxed
    taxed every year    (1 + r (1 - t))^n
    a saving's worth    saved x growth taxed at a sale - deferred

A harvest of a loss L saves L x its rate now and lowers the basis by L, so that L x the later rate is owed when all is sold: what the lower basis owes is only put off, and
what stays is the difference of the rates and the growth of the saving meanwhile.

Source: Constantinides (1983, Econometrica 51) for the option; the sums are arithmetic.

Known limits: one rate of growth and one of tax for all years, and that the saving is invested beside the account.
"""

from typing import Final

GROWTH: Final = 0.07
YEARS: Final = 20
LATER_RATE: Final = 0.238
"""Assumed where a figure is shown: 7 % a year for 20 years, and the top federal rate on long-term gains with the tax on investment income."""


def growth_taxed_at_sale(rate: float, years: float, tax: float) -> float:
    """What a dollar comes to where its growth is taxed once, at the end."""
    return float((1 + rate) ** years * (1 - tax) + tax)


def growth_taxed_yearly(rate: float, years: float, tax: float) -> float:
    """What a dollar comes to where each year's growth is taxed."""
    return float((1 + rate * (1 - tax)) ** years)


def saving_worth(
    saved_usd: float, deferred_usd: float, *, rate: float = GROWTH, years: float = YEARS, tax: float = LATER_RATE
) -> float:
    """USD after so many years of a tax saved now and invested, of which a part is owed then."""
    return saved_usd * growth_taxed_at_sale(rate, years, tax) - deferred_usd

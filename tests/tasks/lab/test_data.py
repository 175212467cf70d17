"""What markets did: known figures of the packaged data, and files of one's own."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from schemas.errors import WrongUsage
from schemas.lab import Study, parse_study
from tasks.core.lab import MarketHistory
from tasks.lab.data import PRICES, content_hash, par_bond_returns, read_history


def study(market: str, targets: str = "{ stocks = 1.0 }") -> Study:
    text = f'name = "x"\n[market]\n{market}\n[book]\ntargets = {targets}\n[grid]\nlook = "monthly"\n'
    return parse_study(text.encode(), source="x.toml")


def packaged(data: str) -> MarketHistory:
    history = read_history(study(f'source = "history"\ndata = "{data}"'))
    assert history is not None
    assert history.total_return.shape == (len(history.dates) - 1, len(history.classes))
    assert np.isfinite(history.total_return).all()
    assert list(history.dates) == sorted(set(history.dates))
    return history


def test_stocks_bonds_and_bills_since_1926() -> None:
    """Rebalanced to 60/40 each month from 1927 to 2009 they gave 8.53 % a year, never rebalanced 8.92 %."""
    history = packaged("us_1926_2018")
    assert (history.classes, history.steps_per_year) == (("stocks", "bonds", "bills"), 12)
    assert (history.dates[0], history.dates[-1]) == (date(1926, 6, 30), date(2018, 11, 30))
    then = history.between("1927-01", "2009-12").of(("stocks", "bonds"))
    rebalanced = np.prod(1 + then.total_return @ [0.6, 0.4]) ** (12 / 996) - 1
    never = (np.prod(1 + then.total_return, axis=0) @ [0.6, 0.4]) ** (12 / 996) - 1
    assert (round(100 * rebalanced, 2), round(100 * never, 2)) == (8.53, 8.92)


def test_styles_since_1949_are_whole_returns_of_shares() -> None:
    history = packaged("us_styles_1949_2017")
    assert {"growth", "value", "income", "index", "momentum", "bills", "utils", "hlth"} <= set(history.classes)
    assert (history.dates[0], history.dates[-1]) == (date(1948, 12, 31), date(2017, 3, 31))
    yearly = {name: 12 * history.of([name]).total_return.mean() for name in ("growth", "value", "index", "bills")}
    assert yearly["bills"] < yearly["growth"] < yearly["index"] < yearly["value"]
    industries = history.of(
        [name for name in history.classes if name in {"nodur", "durbl", "manuf", "enrgy", "chems", "buseq"}]
    )
    high = history.risk_free > 0.009  # bills at 11 % a year: returns above bills would be lower by that
    gap = (industries.total_return.mean(axis=1) - history.of(["index"]).total_return[:, 0])[high].mean()
    assert abs(gap) < 0.005 < history.risk_free[high].mean()


def test_twenty_shares_since_1990() -> None:
    """Equal weights: never traded 17.472 % a year, traded to target every day more. Dates are those of the prices."""
    history = packaged("us_stocks_1990_2022")
    assert (len(history.classes), history.dates[0], history.dates[-1]) == (20, date(1990, 1, 2), date(2022, 12, 28))
    assert history.risk_free.max() == 0
    years = (history.dates[-1] - history.dates[0]).days / 365.25
    never = np.prod(1 + history.total_return, axis=0).mean() ** (1 / years) - 1
    assert 100 * never == pytest.approx(17.472, abs=0.01)


def test_factor_funds_since_2014() -> None:
    assert packaged("us_factors_2014_2022").classes == ("MTUM", "QUAL", "SIZE", "USMV", "VLUE")


def test_a_bond_whose_yield_stays_earns_it() -> None:
    for rate in (0.02, 0.05, 0.15):
        assert par_bond_returns(np.array([rate, rate]))[0] == pytest.approx((1 + rate / 2) ** (1 / 6) - 1)


def test_a_bond_loses_about_its_duration_when_yields_rise() -> None:
    duration = (1 - 1.025**-40) / 0.05 / 1.025 * 1.025
    assert par_bond_returns(np.array([0.05, 0.051]))[0] == pytest.approx(-0.001 * duration + 0.05 / 12, rel=0.1)


def test_data_are_read_without_importing_the_packages_that_ship_them() -> None:
    text = (
        "import sys\nfrom tasks.lab.data import _table, FRENCH, YIELDS, STYLES, PRICES\n"
        "[_table(place) for place in (FRENCH, YIELDS, STYLES, *PRICES.values())]\n"
        "print(sorted({'arch', 'linearmodels', 'skfolio', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert all(package == "skfolio" for package, _ in PRICES.values())


# --- a file of one's own

ROWS = """date,asset_class,total_return,dividend_yield
2020-01-31,stocks,0.01,0.02
2020-01-31,bonds,0.002,
2020-02-29,stocks,-0.08,0.03
2020-02-29,bonds,0.004,
"""


def of_file(folder: Path, text: str = ROWS) -> MarketHistory:
    path = folder / "market.csv"
    path.write_text(text)
    history = read_history(study(f'source = "file"\npath = "{path}"\ncontent_hash = "{content_hash(path)}"'))
    assert history is not None
    return history


def test_a_file_of_months(tmp_path: Path) -> None:
    history = of_file(tmp_path)
    assert history.dates == [date(2019, 12, 31), date(2020, 1, 31), date(2020, 2, 29)]
    assert (history.classes, history.steps_per_year) == (("bonds", "stocks"), 12)
    assert history.total_return.tolist() == [[0.002, 0.01], [0.004, -0.08]]
    assert history.dividend_yields == {"bonds": 0.0, "stocks": 0.025}


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    head, *rows = ROWS.splitlines()
    turned = of_file(tmp_path, "\n".join([head, *reversed(rows)]))
    assert turned.total_return.tolist() == of_file(tmp_path).total_return.tolist()


def test_a_file_of_days_with_bills(tmp_path: Path) -> None:
    days = pl.date_range(date(2020, 1, 1), date(2020, 1, 10), eager=True)
    text = "date,asset_class,total_return,dividend_yield\n" + "\n".join(f"{day},bills,0.0001,0" for day in days)
    history = of_file(tmp_path, text)
    assert (history.steps_per_year, history.dates[0]) == (252, date(2019, 12, 31))
    assert history.risk_free.tolist() == [0.0001] * 10


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("total_return,", "return,", "cannot be read as date, asset_class"),
        ("2020-01-31,stocks", "31/01/2020,stocks", "cannot be read as date, asset_class"),
        ("-0.08", "-1", "has a return of -1.0 on 2020-02-29"),
        ("-0.08", "inf", "has a return of inf"),
        ("-0.08", "", "without date, asset class or return"),
        ("0.03", "3", "dividend yield that is no fraction"),
        ("2020-02-29,bonds,0.004,\n", "", "has 3 rows for 2 dates of 2 classes"),
        ("2020-02-29,bonds", "2020-01-31,bonds", "has a date of a class twice"),
        (ROWS.partition("\n")[2], "", "has no rows"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in ROWS
    with pytest.raises(WrongUsage, match=f"market.csv .*{said}"):
        of_file(tmp_path, ROWS.replace(old, new))


def test_a_file_that_changed_since_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "market.csv"
    path.write_text(ROWS)
    asked = study(f'source = "file"\npath = "{path}"\ncontent_hash = "{content_hash(path)}"')
    path.write_text(ROWS.replace("0.01", "0.02"))
    with pytest.raises(WrongUsage, match="is not what it was when the study was read"):
        read_history(asked)
    path.unlink()
    with pytest.raises(WrongUsage, match="cannot be read: No such file"):
        read_history(asked)

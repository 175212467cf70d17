from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.landing_columns import dtypes
from schemas.tables import PUBLIC
from tasks.core.gate.anomaly_scores import NIGHTS, anomalies, anomaly_sentence
from tasks.core.gate.history import History
from tests.support.landing_book import rows_of

THEN = date(2026, 1, 2)
CALM = "0.0|2.0|-2.0|1.0|-1.0"


def typed(table: str, text: str) -> pl.DataFrame:
    """Rows drawn; a column left out is null."""
    drawn = rows_of(text)
    names = [name for name in dtypes(table) if name in drawn.columns]
    types = {name: dtypes(table)[name] for name in names}
    frame = drawn.select(
        pl.col(name).str.to_date() if dtype == pl.Date else pl.col(name).cast(dtype) for name, dtype in types.items()
    )
    return pl.concat([pl.DataFrame(schema=dtypes(table)), frame], how="diagonal")


def scored(
    lots: str = "A | S | 10",
    cash: str = "A | 100 | 0",
    trades: str = "",
    price: str = "90",
    recent: str | None = CALM,
) -> dict[str, object]:
    """Tonight's row of account A, which held 10 S at 90 and 100 in cash."""
    history = History(
        lots=typed("lots", "account_id | security_id | quantity\nA | S | 10"),
        cash=typed("cash", "account_id | settled_usd | pending_usd\nA | 100 | 50"),
        accepted=pl.DataFrame({"account_id": ["A"], "accepted_date": [THEN]}),
        prices=typed("prices", "security_id | price_usd\nS | 90"),
    )
    tonight = {
        "lots": typed("lots", f"account_id | security_id | quantity\n{lots}"),
        "cash": typed("cash", f"account_id | settled_usd | pending_usd\n{cash}"),
        "trades": typed("trades", f"account_id | security_id | trade_date | side | quantity | price_usd\n{trades}"),
    }
    before = pl.DataFrame({"account_id": ["A"], "recent_bps": [recent]}, schema_overrides={"recent_bps": pl.String})
    found = anomalies(tonight, typed("prices", f"security_id | price_usd\nS | {price}"), history, before)
    assert dict(found.schema) == PUBLIC["anomalies"]
    return found.row(0, named=True)


@pytest.mark.parametrize(
    ("night", "residual"),
    [
        ({"cash": "A | 100 | 50"}, 0.0),
        ({"cash": "A | 100 | 50", "price": "99"}, 0.0),
        ({"cash": "A | 150 | 0"}, 0.0),
        ({"cash": "A | 120 | 30"}, 0.0),
        ({"cash": "A | 150 | 900"}, 0.0),
        ({"cash": "A | 40 | 900"}, -600.0),
        ({"cash": "A | 160 | 50"}, 600.0),
        ({"lots": "A | S | 9", "cash": "A | 100 | 50"}, -900.0),
        ({"lots": "A | S | 11", "cash": "A | 5 | 50", "trades": "A | S | 2026-01-05 | buy | 1 | 95"}, 0.0),
        (
            {"lots": "A | S | 11", "cash": "A | 5 | 50", "trades": "A | S | 2026-01-05 | buy | 1 | 95", "price": "99"},
            0.0,
        ),
        ({"lots": "A | S | 8", "cash": "A | 290 | 50", "trades": "A | S | 2026-01-05 | sell | 2 | 95"}, 0.0),
        ({"lots": "A | S | 20", "cash": "A | 100 | 50", "price": "45"}, 0.0),
        ({"lots": "A | S | 20", "cash": "A | 100 | 50"}, 9000.0),
    ],
    ids=[
        "nothing happened",
        "the price rose",
        "the contribution arrived",
        "some of it arrived",
        "it arrived and more is announced",
        "cash is gone and more is announced",
        "cash from nowhere",
        "a share vanished",
        "bought",
        "bought and risen since",
        "sold",
        "split",
        "doubled",
    ],
)
def test_what_prices_trades_and_announced_flows_do_not_explain_remains(night: dict[str, str], residual: float) -> None:
    assert scored(**night)["residual_bps"] == pytest.approx(residual)


def test_a_trade_of_the_night_before_was_in_its_holdings_already() -> None:
    found = scored(cash="A | 100 | 50", trades="A | S | 2026-01-02 | buy | 1 | 45")
    assert found["residual_bps"] == 0


def test_the_score_counts_median_absolute_deviations() -> None:
    found = scored(cash="A | 160 | 50")
    assert found["score"] == pytest.approx(600 / (1.4826 * 1))
    assert found["nights"] == 5


def test_few_nights_have_no_score() -> None:
    assert scored(recent="1.0|2.0|3.0|4.0")["score"] is None
    assert scored(recent=None)["score"] is None


def test_an_account_that_never_had_a_residual_is_not_alarmed_by_a_cent() -> None:
    found = scored(cash="A | 100.01 | 50", recent="0.0|0.0|0.0|0.0|0.0")
    assert found["score"] == pytest.approx(0.1)


def test_the_last_residuals_go_on_and_the_oldest_leaves() -> None:
    recent = "|".join(f"{number}.0" for number in range(NIGHTS))
    kept = str(scored(cash="A | 160 | 50", recent=recent)["recent_bps"]).split("|")
    assert (len(kept), kept[0], kept[-1]) == (NIGHTS, "1.0", "600.0")


def test_an_account_that_was_stopped_keeps_its_history() -> None:
    found = scored(cash="B | 1 | 0")
    assert (found["residual_bps"], found["score"], found["recent_bps"]) == (None, None, CALM)


@given(st.lists(st.floats(-50, 50).map(lambda bps: round(bps, 2)), min_size=5, max_size=NIGHTS), st.floats(-900, 900))
def test_the_score_is_that_of_the_textbook(past: list[float], cash: float) -> None:
    found = scored(cash=f"A | {100 + round(cash, 2):.2f} | 50", recent="|".join(str(one) for one in past))
    middle = pl.Series(past).median()
    spread = (pl.Series(past) - middle).abs().median()
    assert isinstance(middle, float)
    assert isinstance(spread, float)
    residual = round(round(cash, 2) * 10, 2)
    assert found["residual_bps"] == pytest.approx(residual)
    assert found["score"] == pytest.approx((residual - middle) / max(1.4826 * spread, 1))


def test_people_are_told_only_what_is_unusual() -> None:
    assert anomaly_sentence(600.0, 404.7, 5) == (
        "It is worth 6.00% more than prices, trades and announced flows explain: 404.7 times its usual spread over the "
        "last 5 nights. This decides nothing."
    )
    assert "less than" in str(anomaly_sentence(-600.0, -404.7, 5))
    for ordinary in ((5.0, 3.5, 9), (5.0, None, 2), (None, None, 9)):
        assert anomaly_sentence(*ordinary) is None


def test_other_accounts_do_not_matter() -> None:
    lots = "account_id | security_id | quantity\n" + "\n".join(f"{name} | S | 1{name}" for name in "123")
    cash = "account_id | settled_usd | pending_usd\n" + "\n".join(f"{name} | {name}00 | 0" for name in "123")
    accepted = pl.DataFrame({"account_id": list("123"), "accepted_date": [THEN - timedelta(days=1)] * 3})
    recent = pl.DataFrame({"account_id": list("123"), "recent_bps": [CALM] * 3})
    prices = typed("prices", "security_id | price_usd\nS | 90")
    nothing = pl.DataFrame(schema=dtypes("trades"))
    before = typed("lots", lots).with_columns(quantity=pl.lit(10).cast(pl.Decimal(18, 6)))

    def of(names: str) -> pl.DataFrame:
        mine = pl.col("account_id").is_in(list(names))
        night = {"lots": typed("lots", lots).filter(mine), "cash": typed("cash", cash).filter(mine), "trades": nothing}
        history = History(before.filter(mine), typed("cash", cash).filter(mine), accepted.filter(mine), prices)
        return anomalies(night, prices, history, recent.filter(mine))

    whole = of("123")
    assert pl.concat([of("2"), of("31")]).sort("account_id").equals(whole)

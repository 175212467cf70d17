"""Studies: what is refused and in which words, what their names are made of, and the product of the grid."""

import itertools
import tomllib
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import WrongUsage
from schemas.lab import Study, parse_study
from schemas.lab_grid import OF_POLICY, PARAMETERS, Look
from schemas.policy import Policy
from tasks.core.lab import LOOKS

TEXT = """
name = "bands"
[market]
source = "bootstrap"
data = "us_1926_2018"
from = "1927-01"
to = "2009-12"
[paths]
count = 10000
years = 30
seed = 1
[book]
kind = "account"
nav_usd = 1000000
targets = { stocks = 0.6, bonds = 0.4 }
half_spread_bps = 10
[tax]
short_term_rate = 0.37
long_term_rate = 0.20
[grid]
look = ["monthly", "quarterly", "annual"]
absolute_band = [0.01, 0.05, 0.10]
trade_to = [0, 0.5, 1]
"""


def study(text: str = TEXT) -> Study:
    return parse_study(text.encode(), source="bands.toml")


def changed(old: str, new: str, text: str = TEXT) -> str:
    assert old in text
    return text.replace(old, new)


def test_the_grid_is_the_product_of_its_lists_and_the_first_is_the_reference() -> None:
    points = study().points()
    assert len({point.policy_id for point in points}) == len(points) == 27
    assert points[0].policy_id == "absolute_band=0.01,look=monthly,trade_to=0"
    assert (points[-1].look, points[-1].absolute_band, points[-1].policy.trade_to) == ("quarterly", 0.1, 1.0)
    assert {point.policy.min_trade_usd for point in points} == {Policy().min_trade_usd}


def test_a_reference_is_named() -> None:
    named = study(TEXT + 'reference = { look = "annual", absolute_band = 0.05 }\n')
    assert named.points()[0].policy_id == "absolute_band=0.05,look=annual,trade_to=0"
    assert {point.policy_id for point in named.points()} == {point.policy_id for point in study().points()}


def test_a_parameter_need_not_be_a_list() -> None:
    one = study(TEXT.split("[grid]", maxsplit=1)[0] + '[grid]\nlook = "daily"\nrelative_band = 0.25\n')
    assert [(point.policy_id, point.look, point.absolute_band) for point in one.points()] == [("policy", "daily", None)]


def test_looks_are_those_of_the_engine() -> None:
    assert get_args(Look) == LOOKS


def test_every_parameter_that_may_be_tried_belongs_to_a_policy() -> None:
    assert set(OF_POLICY) <= set(Policy.model_fields)


# --- names


def written(value: Any, draw: Any) -> str:
    """A value of TOML; keys of tables in any order."""
    if isinstance(value, Mapping):
        parts = [f"{key} = {written(each, draw)}" for key, each in draw(st.permutations(sorted(value.items())))]
        return "{ " + ",  ".join(parts) + " }"
    if isinstance(value, list):
        first, *rest = value
        return "[" + ", ".join(written(each, draw) for each in [first, *draw(st.permutations(rest))]) + " ]"
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@given(st.data())
def test_spaces_and_order_do_not_change_the_name_of_a_study(data: st.DataObject) -> None:
    given = tomllib.loads(TEXT) | {"name": data.draw(st.sampled_from(["bands", "another name"]))}
    sections = data.draw(st.permutations([key for key in given if key != "name"]))
    lines = [f'name = "{given["name"]}"']
    for key in sections:
        lines.append(data.draw(st.sampled_from(["", "# a remark", "   "])))
        lines.append(f"[{key}]")
        lines += [
            f"{name} = {written(given[key][name], data.draw)}" for name in data.draw(st.permutations(list(given[key])))
        ]
    again = study("\n".join(lines))
    assert again.study_id == study().study_id
    assert [point.policy_id for point in again.points()] == [point.policy_id for point in study().points()]


CHANGES = [
    ("1927-01", "1928-01"),
    ("2009-12", "2009-11"),
    ("seed = 1", "seed = 2"),
    ("count = 10000", "count = 10001"),
    ("years = 30", "years = 31"),
    ("nav_usd = 1000000", "nav_usd = 1000001"),
    ("stocks = 0.6, bonds = 0.4", "stocks = 0.4, bonds = 0.6"),
    ("half_spread_bps = 10", "half_spread_bps = 11"),
    ("0.37", "0.36"),
    ('"monthly", "quarterly"', '"quarterly", "monthly"'),
    ("[0, 0.5, 1]", "[0, 0.5]"),
    ("[grid]", "[grid]\nimprovement = 0.5"),
    ("[grid]", "[flows]\nmonthly_usd = 1\n[grid]"),
    ("seed = 1", "seed = 1\n[market.dividend_yields]\nstocks = 0.02"),
    ('to = "2009-12"', 'to = "2009-12"\nblock_months = 6'),
]  # fmt: skip


def test_whatever_changes_the_answers_changes_the_name() -> None:
    names = [study().study_id, *(study(changed(*change)).study_id for change in CHANGES)]
    assert len(set(names)) == len(names)


def test_a_parameter_at_its_default_is_the_same_study() -> None:
    assert study(changed("[grid]", "[grid]\nimprovement = 0\nmin_trade_usd = 100.0")).study_id == study().study_id
    assert study(changed("seed = 1", "")).study_id == study().study_id


def test_a_study_is_read_back_as_it_was_stored() -> None:
    for text in (TEXT, changed(*CHANGES[3]), TEXT + 'reference = { look = "annual" }'):
        stored = Study.of_json(study(text).to_json())
        assert (stored, stored.study_id) == (study(text), study(text).study_id)
        assert stored.points() == study(text).points()


# --- what is refused

REFUSED = [
    ('kind = "account"', 'kind = "accounts"', r"half_spread_bps means nothing to kind"),
    ('kind = "account"', 'kind = "account"\nsample = 3', r"sample means nothing to kind"),
    ("[grid]", "[grid]\nis_harvesting = [false, true]", r"is_harvesting needs something to buy in place of what is sold: book.alternates"),
    ("[grid]", "[grid]\ncalendar = ['monthly']", r"grid: calendar plays no part in a study; those that do are look"),
    ("[grid]", "[grid]\nabsolut_band = [0.1]", r"grid: absolut_band is no parameter; did you mean absolute_band\?"),
    ("[paths]", "[path]", r"path: there is no such key; did you mean paths\?"),
    ("seed = 1", "sed = 1", r"paths.sed: there is no such key; did you mean seed\?"),
    ("source =", "sauce =", r"market.sauce|market.source: needed, and absent"),
    ('"us_1926_2018"', '"us_1900"', r"market.data: .*us_1926_2018"),
    ('"1927-01"', '"1927"', r"market.from: "),
    ('"1927-01"', '"2010-01"', r"market: from = 2010-01 is after to = 2009-12"),
    ("bonds = 0.4", "bonds = 0.3", r"book: the targets sum to 0.9; needed 1"),
    ("bonds = 0.4", "bonds = 0.4, bills = 0.0", r"book.targets.bills"),
    ("half_spread_bps = 10", "half_spread_bps = { stock = 1 }", r"book: half_spread_bps has stock; did you mean stocks\?"),
    ("look = [", 'look = ["weekly", ', r"grid: look is weekly; needed one of daily, monthly"),
    ("[0.01, 0.05, 0.10]", "[]", r"grid: absolute_band has no value"),
    ("[0.01, 0.05, 0.10]", "[0.05, 0.050]", r"grid: absolute_band has a value twice"),
    ("[0.01, 0.05, 0.10]", "[1.5]", r"grid: absolute_band is 1.5: "),
    ("[0, 0.5, 1]", "[2]", r"grid: trade_to is 2: "),
    ("[0, 0.5, 1]", "[0]\nreference = { trade_to = 1 }", r"grid: the reference has trade_to = 1, which is none of its values"),
    ("years = 30", "", r'paths.years is absent; source = "bootstrap" needs'),
    ('"bootstrap"', '"history"', r'source = "history" is one course'),
    ('"bootstrap"', '"lognormal"', r'market: source = "lognormal" needs means, volatilities'),
    ('to = "2009-12"', 'to = "2009-12"\npath = "x.csv"', r'market: path mean nothing to source = "bootstrap"'),
    ("name = ", "name : ", r"this is no TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), REFUSED)
def test_a_study_that_does_not_hold_together_is_refused_before_anything_runs(old: str, new: str, said: str) -> None:
    with pytest.raises(WrongUsage, match=f"^bands.toml: .*({said})") as refusal:
        study(changed(old, new))
    assert str(refusal.value).endswith("Hint: docs/how-to/lab.md says what each key means.")


def test_a_grid_has_its_limit() -> None:
    many = ", ".join(f"{number / 1000}" for number in range(1000))
    with pytest.raises(WrongUsage, match="the grid has 27,000 policies; needed 10,000 at most"):
        study(changed("[grid]", f"[grid]\nimprovement = [{many}]"))


LOGNORMAL = """
name = "drawn"
[market]
source = "lognormal"
means = { stocks = 0.08, bonds = 0.03 }
volatilities = { stocks = 0.16, bonds = 0.05 }
correlations = { stocks = { bonds = 0.1 } }
[paths]
count = 10
years = 2
[book]
targets = { stocks = 0.6, bonds = 0.4 }
[grid]
look = ["monthly"]
"""


def test_correlations_name_a_pair_from_either_side() -> None:
    turned = changed("{ stocks = { bonds = 0.1 } }", "{ bonds = { stocks = 0.1 } }", LOGNORMAL)
    assert study(turned).study_id == study(LOGNORMAL).study_id


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0.08, bonds = 0.03", "0.08", "market.means lacks bonds"),
        ("{ bonds = 0.1 }", "{ bonds = 0.1 }, bonds = { stocks = 0.2 }", "has a pair twice"),
        ("{ bonds = 0.1 }", "{ stocks = 0.1 }", "or a class with itself"),
        ("{ bonds = 0.1 }", "{ bond = 0.1 }", "market.correlations has bond; did you mean bonds"),
        ("{ bonds = 0.1 }", "{ bonds = 1.1 }", "market.correlations.stocks.bonds"),
    ],
)
def test_moments_that_are_not_whole_are_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(WrongUsage, match=said):
        study(changed(old, new, LOGNORMAL))


def test_every_parameter_stands_in_the_order_of_the_product() -> None:
    values = {"trade_to": [0.0, 1.0], "look": ["annual", "monthly"], "absolute_band": [0.1, 0.2]}
    text = (
        TEXT.split("[grid]", maxsplit=1)[0]
        + "[grid]\n"
        + "\n".join(f"{name} = {each}" for name, each in values.items())
    )
    named = [name for name in PARAMETERS if name in values]
    expected = list(itertools.product(*(values[name] for name in named)))
    found = [tuple(point.parameters()[name] for name in named) for point in study(text).points()]
    assert found == expected


ACCOUNTS = """
name = "own"
[market]
source = "history"
data = "us_1926_2018"
[book]
kind = "accounts"
[book.classes]
us_equity = "stocks"
[grid]
look = "monthly"
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('us_equity = "stocks"', "", r'book: kind = "accounts" needs classes'),
        ('us_equity = "stocks"', 'cash = "bills"', r"book: classes has cash"),
        ("[grid]", "[tax]\nshort_term_rate = 0.1\nlong_term_rate = 0.1\n[grid]", r"\[tax\] means nothing"),
        ("[grid]", "[flows]\nmonthly = 1\n[grid]", r"flows.monthly"),
    ],
)
def test_a_study_of_accounts_that_does_not_hold_together_is_refused(old: str, new: str, said: str) -> None:
    assert parse_study(ACCOUNTS.encode(), source="own.toml").book.market_classes == {"us_equity": "stocks"}
    with pytest.raises(WrongUsage, match=f"^own.toml: .*({said})"):
        parse_study(ACCOUNTS.replace(old, new).encode(), source="own.toml")

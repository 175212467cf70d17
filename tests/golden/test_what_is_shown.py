"""What the golden nights show, and what they do not and why: every member of every closed list, reason and rule is one or the other."""

import csv
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import chain
from typing import Final

import polars as pl
import pytest

from schemas import enums
from schemas.enums import (
    AccountStatus,
    ActionKind,
    BandRule,
    Break,
    Calendar,
    ChangeState,
    ChangeSubject,
    ExecutionKind,
    FlowSource,
    Guard,
    LandingTable,
    LookReason,
    OrderState,
    OrderUnit,
    Outcome,
    ProfileFinding,
    ProfileFormat,
    ProposalState,
    Reason,
    RestrictionRule,
    ReturnMethod,
    Role,
    Route,
    RunKind,
    RunState,
    Scope,
    SecurityType,
    ShortTermGains,
    Side,
    Step,
    TaxRegime,
    TaxStatus,
    Term,
    TradeMode,
    Trigger,
    Unmodelled,
)
from schemas.landing import CONTRACTS
from schemas.landing_columns import BLANK_IS_ZERO, PROFILE_TABLES, dtypes
from tasks.core.gate.contract import column_rules, readable, required_rule, unique_key
from tests.golden.night import HERE

LISTS: Final[Mapping[type[StrEnum], tuple[str, ...]]] = {
    LandingTable: ("quarantine.table_name",),
    TaxStatus: ("landing/accounts.tax_status",),
    AccountStatus: ("landing/accounts.status",),
    SecurityType: ("landing/securities.security_type",),
    RestrictionRule: ("landing/restrictions.rule",),
    ActionKind: ("landing/corporate_actions.action",),
    BandRule: ("landing/policies.band_rule",),
    Calendar: ("landing/policies.calendar",),
    Unmodelled: ("landing/policies.unmodelled",),
    ShortTermGains: ("landing/policies.short_term_gains",),
    TradeMode: ("landing/policies.trade_mode",),
    Side: ("orders.side",),
    Term: ("lot_relief.term",),
    TaxRegime: ("proposals.tax_regime",),
    Trigger: ("proposals.triggers",),
    Outcome: ("account_outcomes.outcome",),
    Reason: ("class_reasons.code", "account_outcomes.reason"),
    Route: ("proposals.route",),
    LookReason: ("proposals.look_reasons",),
    RunKind: ("ledger/runs.kind",),
    RunState: ("ledger/audit.to_state",),
    ProposalState: ("ledger/audit.to_state", "ledger/audit.from_state"),
    ExecutionKind: ("ledger/executions.kind",),
    OrderState: ("ledger/order_states.state",),
    ProfileFormat: ("folders",),
    ReturnMethod: ("performance.method",),
    FlowSource: ("performance.flow_source",),
}
"""By list: columns that hold its members, joined by a bar where there are several."""

OTHER_LISTS: Final[Mapping[type[StrEnum], str]] = {
    Step: "names the steps of every run, in the ledger's own records and nowhere else",
    Guard: "holds a run, and the nights must go on",
    Role: "says what users may do",
    Scope: "says what tokens may be used for",
    ProfileFinding: "no profile is delivered on these nights; tests/tasks/core/profiles/test_advice.py",
    ChangeSubject: "as profiles; tests/flows/test_profiles_night.py",
    ChangeState: "as profiles; tests/flows/test_profiles_night.py",
    OrderUnit: "no security of these nights is ordered in dollars; tests/flows/test_dollar_orders_night.py",
    Break: "compares what came back with what left, which reconciliation tests show",
}
"""Lists of which no golden night shows anything, and why."""

NO_PROFILES: Final = "no profile is delivered on these nights; tests/tasks/core/gate/test_profile_tables.py"
NO_TILTS: Final = (
    "these sources do not deliver tilts; tests/tasks/core/gate/test_tilts.py and tests/flows/test_tilts_night.py"
)
NO_INDEXES: Final = (
    "these sources do not deliver indexes; tests/tasks/core/gate/test_indexes.py and tests/flows/test_indexes_night.py"
)
NOT_SHOWN: Final[Mapping[type[StrEnum], Mapping[str, str]]] = {
    LandingTable: {
        **dict.fromkeys(PROFILE_TABLES, NO_PROFILES),
        LandingTable.FLOWS: "these sources do not deliver it; tests/tasks/performance/test_step.py",
        LandingTable.TILTS: NO_TILTS,
        LandingTable.INDEX_WEIGHTS: NO_INDEXES,
        LandingTable.DIRECT_INDEXES: NO_INDEXES,
    },
    ReturnMethod: {
        ReturnMethod.MODIFIED_DIETZ: "nobody is paid into between these nights; tests/tasks/core/performance/test_record.py",
        ReturnMethod.NO_VALUE: "no account is empty on the first night; tests/tasks/core/performance/test_record.py",
    },
    FlowSource: {
        FlowSource.REPORTED: "these sources do not deliver the table flows; tests/tasks/performance/test_step.py"
    },
    Outcome: {Outcome.ERROR: "nothing writes it: a step that fails fails the run"},
    Reason: {
        Reason.TRACKING_BUDGET: NO_INDEXES,
        Reason.NO_TARGET: "an account of a model without targets does not pass the gate",
        Reason.UNMODELLED_HELD: "a class without a target has no band, and is never out of it",
    },
    LookReason: {
        LookReason.ANOMALY: "there is no score before an account's sixth night",
        LookReason.TILT_CUT: NO_TILTS,
        LookReason.INDEX_NOT_HELD: NO_INDEXES,
    },
    RunKind: {
        RunKind.THRESHOLD: "a look of the monitor starts it",
        RunKind.REPLAY: "a replay",
    },
    RunState: {RunState.HELD: "a guard would have to hold a run"},
    ProposalState: {
        ProposalState.EXPIRED: "takes a day of the real clock",
        ProposalState.ACKNOWLEDGED: "the broker's file fills or ends every order that it names",
    },
    ExecutionKind: dict.fromkeys(
        [ExecutionKind.ACKNOWLEDGED, ExecutionKind.BUST, ExecutionKind.CORRECT],
        "the broker's file has only last words, and takes none of them back",
    ),
    OrderState: {
        OrderState.EXPORTED: "the ledger keeps no state of what nobody has said anything about",
        OrderState.ACKNOWLEDGED: "the broker's file fills or ends every order that it names",
    },
}
"""Members that no golden night shows, and why."""

ROUTE_REASONS: Final = (
    "turnover_above_limit",
    "tax_above_limit",
    "policy_asks_for_a_person",
    "four_eyes",
    "first_seen",
    LookReason.HOLD,
)
"""Why a proposal goes to a person; of the reasons to look, those of the setting ``always_review`` that one night can show."""

ORDER_REASONS: Final = (
    r"^\w+ at [-\d.]+% against a target of [-\d.]+%; after the trade [-\d.]+%$",
    r"^\w+ of the household at ",
    r"^raises the cash owed; it is held as cash$",
    r"^pays for purchases; it is held as cash$",
    r"^raises the cash owed; \w+ at ",
    r"^pays for purchases further from target; ",
    r"^more is held than may be; ",
    r"^harvests a loss of [\d.]+ USD; ",
    r"^in place of .+, harvested; ",
    r"^in place of .+, of which a unit at .+ USD is more than the class wants; ",
)
"""The sentences that an order may give as its reason: one of them fits every order."""

OUTCOME_REASONS: Final = (
    "no_trigger",
    "account_frozen",
    "account_closed",
    "cool_down",
    "exported_for_this_date",
    "fills_not_shown",
    "nothing_worth_trading",
)
"""Words of an account's outcome beside the reasons, the triggers and the gate's rules."""

ROW_RULES: Final = (
    "line_complete",
    "acquired_date_not_after_as_of",
    "price_date_not_after_as_of",
    "trade_date_not_after_as_of",
    "holding_adds_up",
    "security_known",
    "bond_has_price_factor",
    "bond_ordered_in_shares",
    "model_has_cash",
    "model_whole",
    "model_known",
    "model_weights_sum_to_one",
    "asset_class_in_model",
    "policy_known",
    "account_known",
    "security_has_price",
    "household_whole",
    "cash_present",
    "limit_given",
    "limit_of_hold_range",
    "quantities_in_order",
    "values_in_order",
    "quantity_explained",
    "split_suspected",
    "basis_unchanged",
    "cost_plausible",
    "cash_explained",
    "currency_usd",
    "asset_class_spelled_alike",
    "lot_count_as_delivered",
    "value_usd_as_delivered",
    "split_has_ratio",
    "split_keeps_identifier",
    "new_identifier_given",
    "merger_has_ratio",
    "identifier_current",
    "corporate_action_whole",
    "asset_class_known",
    "excluded_known",
    "tilt_kept",
    "index_whole",
    "index_known",
    "index_current",
    "index_of_one_day",
    "index_of_one_class",
    "index_of_class",
    "index_of_no_cash",
    "index_weights_sum_to_one",
    "direct_index_kept",
)
"""Rules of the gate beyond those of single cells and keys."""

RULES_NOT_SHOWN: Final[Mapping[str, str]] = {
    **{
        readable(table, column).name: "of a text only one with a NUL character, which these files shall not hold"
        for table in CONTRACTS
        if table not in PROFILE_TABLES
        for column, dtype in dtypes(table).items()
        if dtype == pl.String
    },
    **dict.fromkeys(
        ("order_in_known", "bond_ordered_in_shares"),
        "these nights' securities have no column order_in; tests/tasks/core/gate/test_order_in.py",
    ),
    **{
        name: "these sources do not deliver the table flows; tests/tasks/performance/test_step.py"
        for column in ("flow_date", "amount_usd")
        for name in (readable("flows", column).name, required_rule("flows", column).name)
    },
    "unique_account_id_flow_date_amount_usd": "as above; tests/tasks/core/gate/test_cash.py",
    **dict.fromkeys(
        (
            *("delta_weight_readable", "delta_weight_required", "delta_weight_between_-1_and_1", "exclude_identifiers"),
            *("unique_account_id_asset_class", "asset_class_known", "excluded_known", "tilt_kept"),
        ),
        NO_TILTS,
    ),
    **dict.fromkeys(
        (
            *(
                "index_whole",
                "index_known",
                "index_current",
                "index_of_one_day",
                "index_of_one_class",
                "index_of_class",
            ),
            *("index_of_no_cash", "index_weights_sum_to_one", "direct_index_kept", "unique_index_id_security_id"),
            *("weight_readable", "weight_required", "weight_date_readable", "weight_date_required"),
            *("weight_above_0_to_1", "index_id_identifier", "index_id_required"),
            *("tracking_budget_readable", "tracking_budget_between_0_and_1"),
            *("min_weight_readable", "min_weight_between_0_and_1"),
        ),
        NO_INDEXES,
    ),
    "holding_adds_up": "of Flex statements alone, which these sources do not deliver; tests/tasks/formats/test_flex.py",
    "trade_date_not_after_as_of": "as a lot's and a price's day, which are shown; tests/bad_inputs/test_cells.py",
}
"""Rules that no golden night shows, and why."""

ALL_LISTS: Final = [kind for kind in vars(enums).values() if isinstance(kind, type) and issubclass(kind, StrEnum)]


def test_every_closed_list_is_looked_at_or_left_out_for_a_reason() -> None:
    assert set(ALL_LISTS) - {StrEnum} == set(LISTS) | set(OTHER_LISTS)
    assert not set(LISTS) & set(OTHER_LISTS)


@pytest.mark.parametrize("members", LISTS, ids=lambda members: members.__name__)
def test_every_member_of_a_list_is_shown_or_left_out_for_a_reason(members: type[StrEnum]) -> None:
    shown = words(*LISTS[members])
    assert {str(member) for member in members if member not in shown} == set(NOT_SHOWN.get(members, ()))


def test_every_reason_for_a_person_is_shown() -> None:
    assert words("proposals.route_reasons") == set(ROUTE_REASONS)


def test_every_sentence_that_an_order_may_give_is_shown() -> None:
    given = list(cells("orders.reason"))
    for pattern in ORDER_REASONS:
        assert any(re.search(pattern, reason) for reason in given), pattern
    assert [reason for reason in given if not any(re.search(pattern, reason) for pattern in ORDER_REASONS)] == []


def test_every_word_of_an_outcome_is_shown_and_known() -> None:
    rules = {f"{table}:{rule}" for table in CONTRACTS for rule in all_rules()}
    known = {*OUTCOME_REASONS, *Reason, *Trigger}
    found = words("account_outcomes.reason")
    assert set(OUTCOME_REASONS) <= found
    assert found - known - rules == set()


def test_every_rule_of_the_gate_is_shown_or_left_out_for_a_reason() -> None:
    shown = words("quarantine.broken_rules")
    assert shown - all_rules() == set()
    assert all_rules() - shown == set(RULES_NOT_SHOWN)


def all_rules() -> set[str]:
    """Every rule that a row may break, by the name it has in ``broken_rules``."""
    rules = set(ROW_RULES)
    for table, contract in ((name, contract) for name, contract in CONTRACTS.items() if name not in PROFILE_TABLES):
        schema = contract.to_schema()
        key = schema.unique or (("model_id", "asset_class", "security_id", "tax_status") if table == "buy_list" else ())
        rules |= {unique_key(key).name} if key else set()
        rules |= {rule.name for rule in column_rules(table).values()}
        rules |= {readable(table, column).name for column in dtypes(table)}
        needed = {name for name, column in schema.columns.items() if not column.nullable}
        rules |= {required_rule(table, name).name for name in needed - {*BLANK_IS_ZERO.get(table, ())}}
    return rules


def words(*columns: str) -> set[str]:
    """What stands in the columns, over all runs, cut at the bars and before what explains it."""
    found = chain.from_iterable(cell.split("|") for cell in chain.from_iterable(map(cells, columns)))
    return {word.partition(": ")[0] for word in found} - {""}


def cells(column: str) -> Iterator[str]:
    """The cells of ``<table>.<column>``, of every run, of the ledger or of the landing files."""
    if column == "folders":
        yield from (path.name.removeprefix("as-") for path in (HERE / "expected").glob("*/export*/as-*"))
        return
    table, _, name = column.partition(".")
    place, _, bare = table.rpartition("/")
    pattern = {"landing": f"landing/*/*/{bare}.csv", "ledger": f"expected/ledger/{bare}.csv"}
    for path in sorted(HERE.glob(pattern.get(place, f"expected/*/tables/{bare}.csv"))):
        with path.open(newline="") as file:
            yield from (row[name] or "" for row in csv.DictReader(file) if name in row)

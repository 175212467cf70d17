"""The gate between what was delivered and what is traded on: every row is accepted or quarantined, none is dropped."""

from tasks.core.gate.accounts import GatedAccounts, gate_accounts, unattributed
from tasks.core.gate.history import RELEASABLE, History, HistoryLimits
from tasks.core.gate.places import FilePlace, Places, whole_files
from tasks.core.gate.reference_tables import Gated, gate_globals
from tasks.core.gate.rows import Checked, accepted, account_key, check_table

__all__ = [
    "RELEASABLE",
    "Checked",
    "FilePlace",
    "Gated",
    "GatedAccounts",
    "History",
    "HistoryLimits",
    "Places",
    "accepted",
    "account_key",
    "check_table",
    "gate_accounts",
    "gate_globals",
    "unattributed",
    "whole_files",
]

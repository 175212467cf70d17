"""The gate between what was delivered and what is traded on: every row is accepted or quarantined, none is dropped."""

from tasks.core.gate_accounts import GatedAccounts, gate_accounts, unattributed
from tasks.core.gate_globals import Gated, gate_globals
from tasks.core.gate_history import RELEASABLE, History, Limits
from tasks.core.gate_places import Place, Places, whole_files
from tasks.core.gate_rows import Checked, accepted, account_key, check_table

__all__ = [
    "RELEASABLE",
    "Checked",
    "Gated",
    "GatedAccounts",
    "History",
    "Limits",
    "Place",
    "Places",
    "accepted",
    "account_key",
    "check_table",
    "gate_accounts",
    "gate_globals",
    "unattributed",
    "whole_files",
]

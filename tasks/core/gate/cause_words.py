"""What stands behind quarantined accounts, in words. Names files, rows and rules, never an account: Prefect's database holds none."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from tasks.core.gate.causes import Traced

NAMED: Final = 3
"""How many causes, rules and rows of one cause a sentence names; `trimtab quarantine list` has all."""


def cause_text(cause: Mapping[str, Any]) -> str:
    """A row of ``Traced.causes``: which rows, or that none came, and the rules: ``prices.csv row 7 (price_usd_positive)``."""
    rules = ", ".join(cause["broken_rules"].split("|"))
    if cause["rows"]:
        return f"{_some(cause['places'])} ({rules})"
    return f"no good row of {cause['name']} in {cause['table_name']} ({rules}; {cause['places'][0]} needs it)"


def causes_in_words(causes: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of ``Traced.causes`` with ``text``, which rows each is, and ``found``, what the first of them was found to be."""
    return [
        {**one, "text": cause_text(one), "found": (one["message"] or "").removeprefix(f"{one['places'][0]}: ")}
        for one in causes.to_dicts()
    ]


def behind_sentence(traced: Traced) -> str:
    """What cost accounts the night, dearest first: causes, then rows of the accounts' own. Empty where nothing did."""
    causes = traced.causes.filter(pl.col("accounts") > 0)
    said = [f"{cause_text(cause)} cost {_accounts(cause['accounts'])}" for cause in causes.head(NAMED).to_dicts()]
    if causes.height > NAMED:
        said.append(f"{causes.height - NAMED:,} more causes")
    own = traced.own
    if own.height:
        rules = [f"{row['broken_rules'].replace('|', ' and ')} {row['accounts']:,}" for row in own.to_dicts()]
        rows = traced.rows.filter(pl.col("accounts") > 0, kind="own")["account_id"].n_unique()
        said.append(f"rows of their own cost {_accounts(rows)} ({_some(rules)})")
    return f"{'; '.join(said)}." if said else ""


def _accounts(count: int) -> str:
    return f"{count:,} account{'' if count == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    """A few, and how many more."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

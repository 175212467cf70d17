"""Model changes that profiles ask for, and what a person has to look at first, over the accounts of a shard.

1. Accounts belong to the investor whose household is theirs: shards are cut by households, so that all that belongs to somebody is looked at
   together, however the night is cut. A household with two investors is a person's to look at; so is a profile with ``findings``.
2. All accounts of the household must be known tonight: what it may lose, and what its savings add, are shares of all that it holds.
3. Every account that may be traded should be on the model of the rung; a household that is managed together as one. One whose model
   is on no rung is a person's to look at: somebody chose that model for a reason that the ladder does not know.
4. A change says which model the source has. One that was approved and that the source does not have yet is in force: the account is on it already.

Nothing here depends on other households.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

from schemas.enums import AccountStatus, ChangeSubject, ProfileFinding
from schemas.tables import PUBLIC
from tasks.core.gate import ProfileTables
from tasks.core.profiles.advice import GlidePath, InvestorProfile, advise, findings, reason
from tasks.core.profiles.aversion import GAMBLES
from tasks.core.profiles.ladder import Ladder

COSTS: Final = ("est_tax_usd", "est_cost_usd", "gross_value_usd", "turnover", "order_count", "approvals_needed")
"""Columns of ``model_changes`` that say what a change costs; the profile decides the others."""
WANTED: Final = tuple(name for name in PUBLIC["model_changes"] if name not in COSTS)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What profiles ask for. ``changes``: ``WANTED``, grain: account, or household that is managed together. ``findings``: the public table."""

    changes: pl.DataFrame
    findings: pl.DataFrame


def ladder_of(rows: pl.DataFrame) -> Ladder:
    """From rows of the landing table, by rung."""
    return Ladder(
        tuple(rows["model_id"]),
        rows["rung"].to_numpy(),
        rows["expected_return"].to_numpy(),
        rows["volatility"].to_numpy(),
    )


def paths_of(rows: pl.DataFrame) -> dict[str, GlidePath]:
    """From rows of the landing table, by name."""
    return {
        str(name): GlidePath(
            group["years_to_goal"].to_numpy(),
            group["risky_share"].drop_nulls().to_numpy(),
            group["rung"].drop_nulls().to_numpy(),
        )
        for (name,), group in rows.sort("glide_path_id", "years_to_goal").group_by("glide_path_id", maintain_order=True)
    }


def profile_of(row: Mapping[str, Any]) -> InvestorProfile:
    """From a row of the landing table ``investors``."""

    def amount(name: str) -> float | None:
        return None if row[name] is None else float(row[name])

    return InvestorProfile(
        answers=tuple(row[name] for name in GAMBLES),
        risk_score=row["risk_score"],
        horizon_years=row["horizon_years"],
        goal_date=row["goal_date"],
        yearly_flow_usd=amount("yearly_flow_usd") or 0.0,
        yearly_income_usd=amount("yearly_income_usd"),
        wealth_usd=amount("wealth_usd"),
        income_beta=1.0 if row["income_beta"] is None else row["income_beta"],
        glide_path_id=row["glide_path_id"],
        profiled_date=row["profiled_date"],
    )


def ask(accounts: pl.DataFrame, profiles: ProfileTables, in_force: pl.DataFrame, as_of: date) -> Asked:
    """Model changes that the profiles ask for, and findings.

    Parameters
    ----------
    accounts
        ``account_id, household_id, managed_household_id, status, model_id, nav_usd`` and ``is_complete``: whether all accounts of its
        household are among these.
    profiles
        What the gate let pass.
    in_force
        ``subject_kind, subject_id, from_model_id, to_model_id`` of changes that are in force.
    as_of
        The night.
    """
    own = accounts.filter(pl.col("household_id").is_not_null() & pl.col("is_complete")).sort("account_id")
    names = own["household_id"].unique().sort()
    theirs = profiles.investors.filter(pl.col("household_id").is_in(names.implode())).sort("investor_id")
    investors = theirs.partition_by("household_id", as_dict=True, include_key=True)
    broken = set(names.filter(profiles.is_broken(names)))
    night = _Night(
        ladder_of(profiles.ladder),
        paths_of(profiles.glide_paths),
        {(row["subject_kind"], row["subject_id"]): row for row in in_force.to_dicts()},
        as_of,
    )
    known = own.filter(
        pl.col("household_id").is_in([name for (name,) in investors]) | pl.col("household_id").is_in(broken)
    )
    changes: list[Row] = []
    found: list[Row] = []
    for (household,), members in known.group_by("household_id", maintain_order=True):
        if household in broken:
            found.append(_finding(household, ProfileFinding.PROFILE_BROKEN))
        elif len(rows := investors[household,]) > 1:
            found.append(_finding(household, ProfileFinding.TWO_INVESTORS))
        else:
            asked, said = night.look(rows.row(0, named=True), members.to_dicts())
            changes += asked
            found += said
    return Asked(
        pl.DataFrame(changes, {name: PUBLIC["model_changes"][name] for name in WANTED}).sort(
            "subject_kind", "subject_id"
        ),
        pl.DataFrame(found, PUBLIC["profile_findings"]).sort(pl.all()),
    )


@dataclass(frozen=True, slots=True)
class _Night:
    """What is the same for every household."""

    ladder: Ladder
    paths: Mapping[str, GlidePath]
    in_force: Mapping[tuple[str, str], Row]
    as_of: date

    def look(self, investor: Row, members: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """Changes and findings of one household; ``members``: its accounts."""
        value, household, name = (
            sum(row["nav_usd"] for row in members),
            investor["household_id"],
            investor["investor_id"],
        )
        profile = profile_of(investor)
        if value <= 0:
            return [], []
        if odd := findings(profile, float(value), self.paths, self.as_of):
            return [], [_finding(household, each, name) for each in odd]
        advice = advise(profile, float(value), self.ladder, self.paths, self.as_of)
        units = [
            (kind, subject, rows, self.ladder.place_of(rows[0]["model_id"])) for kind, subject, rows in _units(members)
        ]
        off = [
            _finding(household, ProfileFinding.MODEL_OFF_LADDER, name, rows[0]["account_id"])
            for _, _, rows, place in units
            if place < 0
        ]
        why, digest = reason(advice, self.ladder), _digest(investor)
        moved = [unit for unit in units if unit[3] not in {-1, advice.place}]
        return [self._change(unit, investor, advice.place, why, digest) for unit in moved], off

    def _change(
        self, unit: tuple[ChangeSubject, str, Sequence[Row], int], investor: Row, place: int, why: str, digest: str
    ) -> Row:
        kind, subject, rows, at = unit
        current, to = rows[0]["model_id"], self.ladder.model_ids[place]
        forced = self.in_force.get((kind, subject))
        source = forced["from_model_id"] if forced is not None and forced["to_model_id"] == current else current
        return {
            "content_hash": _digest([kind, subject, source, to, digest]),
            "subject_kind": kind,
            "subject_id": subject,
            "household_id": investor["household_id"],
            "investor_id": investor["investor_id"],
            "account_count": len(rows),
            "from_model_id": source,
            "current_model_id": current,
            "to_model_id": to,
            "current_rung": int(self.ladder.rung[at]),
            "to_rung": int(self.ladder.rung[place]),
            "reason": why,
            "nav_usd": sum(row["nav_usd"] for row in rows),
        }


def _units(members: Sequence[Row]) -> list[tuple[ChangeSubject, str, Sequence[Row]]]:
    """What changes its model as one: the household that is managed together, or each account; only what may be traded."""
    if not any(row["status"] == AccountStatus.ACTIVE for row in members):
        return []
    managed = members[0]["managed_household_id"]
    if managed is not None:
        return [(ChangeSubject.HOUSEHOLD, managed, members)]
    return [
        (ChangeSubject.ACCOUNT, row["account_id"], [row]) for row in members if row["status"] == AccountStatus.ACTIVE
    ]


def _finding(household: str, finding: ProfileFinding, investor: str | None = None, account: str | None = None) -> Row:
    return {"household_id": household, "investor_id": investor, "account_id": account, "finding": str(finding)}


def _digest(content: Any) -> str:
    """SHA-256 of what can be said as JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

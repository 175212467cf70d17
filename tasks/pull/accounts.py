"""Which accounts a run knows, which it lands, and which of those it looks at."""

from dataclasses import dataclass

import polars as pl

from schemas.errors import InputRefused, WrongUsage
from tasks.core.facts import in_scope
from tasks.pull.inputs import TakenFiles
from tasks.pull.landing import Landing
from tasks.pull.late_files import LateFiles
from tasks.pull.missing_files import carry_forward
from tasks.pull.request import NoAccountLeft, Request
from tasks.runtime import Stores, give_notice
from warehouse.ledger import OPEN_STATES, NewRun


@dataclass(frozen=True, slots=True)
class KnownAccounts:
    """Rows that are read before any other. ``accounts``: delivered or carried forward; ``carried``: rows of other tables carried forward."""

    accounts: pl.DataFrame
    households: pl.DataFrame
    carried: tuple[tuple[str, pl.DataFrame], ...]


@dataclass(frozen=True, slots=True)
class ChosenAccounts:
    """The accounts of a run.

    ``known``, with those ``accounts`` alone that are landed; ``scope``: ids of those to be looked at; ``elsewhere``: ids of
    accounts that are delivered and not of this run.
    """

    known: KnownAccounts
    scope: pl.Series
    elsewhere: pl.Series


def read_accounts(landing: Landing, run: NewRun, at: Stores) -> KnownAccounts:
    """Every account of the night.

    Raises
    ------
    InputRefused
        There is none.
    """
    delivered = landing.read_whole("accounts", at.lake)
    households = landing.read_whole("households", at.lake)
    carried = carry_forward(landing, delivered, run, at)
    accounts = pl.concat([delivered, *(rows for table, rows in carried if table == "accounts")])
    if accounts.is_empty():
        notes = "; ".join(each.note for each in landing.taken.absent)
        raise InputRefused(f"no account is known: {notes}\n\nHint: run the night again when a file has come.")
    return KnownAccounts(accounts, households, tuple(each for each in carried if each[0] != "accounts"))


def choose_accounts(
    request: Request, taken: TakenFiles, late: LateFiles | None, known: KnownAccounts, at: Stores
) -> ChosenAccounts:
    """The accounts that the request, or late files, are about.

    Raises
    ------
    WrongUsage
        An account that a person asked for is not in the sources; ``NoAccountLeft`` where none of those that a look found is.
    """
    asked = _accounts_asked(request, late, known.accounts, at)
    landed, scope = in_scope(known.accounts, asked, known.households["household_id"].drop_nulls())
    _refuse_missing(request, scope, taken)
    ids = known.accounts["account_id"].drop_nulls().unique()
    elsewhere = ids.filter(~ids.is_in(landed["account_id"].implode())) if asked is not None else ids.clear()
    chosen = KnownAccounts(landed, known.households, known.carried)
    return ChosenAccounts(chosen, scope, elsewhere)


def _accounts_asked(request: Request, late: LateFiles | None, accounts: pl.DataFrame, at: Stores) -> pl.Series | None:
    """The accounts to be looked at; None: all.

    Late files cover their custodians' accounts. What they tell may forbid what another account of the household was about to
    do (a loss sold there, bought here), so that members whose proposals have not left are looked at again too.
    """
    if late is None:
        return pl.Series(request.scope) if request.scope else None
    theirs = accounts.filter(pl.col("custodian").is_in(late.custodians))
    households = theirs.select("household_id").drop_nulls().unique()
    open_ = at.ledger.proposals.list_proposals(states=OPEN_STATES).select("account_id")
    members = accounts.join(households, on="household_id", how="semi").join(open_, on="account_id", how="semi")
    return pl.concat([theirs, members])["account_id"].drop_nulls().unique()


def _refuse_missing(request: Request, scope: pl.Series, taken: TakenFiles) -> None:
    """Refuse where an account asked for is in no source; those that a look found may have left, as long as one is there."""
    missing = sorted(set(request.scope) - set(scope))
    if not missing:
        return
    if request.scope_id is None:
        raise WrongUsage(
            f"the source has no account {', '.join(missing)}\n\n"
            f"Hint: look at {', '.join(each.file.name for each in taken.of('accounts'))}."
        )
    if len(missing) == len(request.scope):
        raise NoAccountLeft(request.scope_id)
    give_notice(
        f"{len(missing)} of the {len(request.scope)} accounts of {request.scope_id} are no longer in the sources; "
        "the others go on"
    )

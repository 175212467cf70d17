"""Whole nights on a sample book of 400 accounts: what they must hold whatever the numbers are."""

import csv
import hashlib
import io
import json
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from flows.nightly import NightResult
from schemas.enums import Outcome, ProposalState, RunKind, RunState, Step
from schemas.errors import WrongUsage
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from tasks.core.gate.rows import accepted_rows
from tasks.demo.book_types import TABLES
from tasks.demo.sample import BookSummary, make_book
from tasks.export.export import ExportResult
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.home_copy import copy_home
from tests.support.night_driver import export, files_of, public_tables, run_night
from warehouse.lake.lake import open_lake
from warehouse.ledger import Decision

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


@dataclass(frozen=True)
class Home:
    """A home after its night and export."""

    settings: Settings
    night: NightResult
    exports: list[ExportResult]

    @property
    def run_id(self) -> str:
        return self.night.run_id

    def read(self, table: str) -> pl.DataFrame:
        return open_lake(self.settings).read(table, self.run_id)

    def states(self) -> dict[str, str]:
        with closing(open_ledger(self.settings)) as ledger:
            found = ledger.proposals.list_proposals(run_id=self.run_id)
        return dict(zip(found["proposal_id"], found["state"], strict=True))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("source")


@pytest.fixture(scope="module")
def book(source: Path) -> BookSummary:
    return make_book(source, account_count=400)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, source: Path, book: BookSummary) -> Home:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    night = run_night(settings, source, book.as_of_date)
    return Home(settings, night, export(settings, night.run_id))


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory, source: Path, book: BookSummary) -> Home:
    """The same night somewhere else, in pieces of 50 accounts."""
    settings = Settings(home=tmp_path_factory.mktemp("sharded"), accounts_per_shard=50)
    night = run_night(settings, source, book.as_of_date)
    return Home(settings, night, export(settings, night.run_id))


def changed(source: Path, folder: Path) -> Path:
    """The same book a little later: ten dollars more of settled cash in every account."""
    shutil.copytree(source, folder)
    cash = pl.read_parquet(folder / "cash.parquet")
    cash.with_columns(pl.col("settled_usd") + pl.lit("10", pl.String).cast(cash["settled_usd"].dtype)).write_parquet(
        folder / "cash.parquet"
    )
    return folder


# --- nothing is lost on the way


def test_every_account_pulled_has_exactly_one_outcome(home: Home, source: Path) -> None:
    delivered = pl.read_parquet(source / "accounts.parquet")["account_id"].unique()
    outcomes = home.read("account_outcomes")
    assert outcomes["account_id"].is_duplicated().sum() == 0
    assert set(outcomes["account_id"]) >= set(delivered.drop_nulls())
    assert outcomes.height == home.night.counts["accounts"] == home.read("scope").height
    assert sum(home.night.counts[outcome] for outcome in Outcome) == outcomes.height
    with closing(open_ledger(home.settings)) as ledger:
        row = ledger.runs.get_run(home.run_id)
    assert row is not None
    assert (row.accounts_pulled, row.state, row.counts) == (outcomes.height, RunState.DONE, dict(home.night.counts))


def test_the_book_has_something_of_everything(home: Home) -> None:
    """The tests of this file would show little on a book where nothing happens."""
    counts = home.night.counts
    assert min(counts[name] for name in ("in_band", "proposed", "quarantined", "frozen", "no_trade")) > 0
    assert counts["route_auto"] > 0
    assert counts["route_review"] > 0


@pytest.mark.parametrize("table", TABLES)
def test_accepted_and_quarantined_rows_are_all_rows(home: Home, source: Path, table: str) -> None:
    landed, quarantine = home.read(f"landed_{table}"), home.read("quarantine")
    out = quarantine.filter(pl.col("table_name") == table)["row_number"].drop_nulls().unique()
    assert landed.height == pl.read_parquet(source / f"{table}.parquet").height
    assert landed["row_number"].sort().to_list() == list(range(1, landed.height + 1))
    kept = accepted_rows(table, landed, quarantine)
    assert kept.height + out.len() == landed.height
    assert set(kept["row_number"]).isdisjoint(out)


def test_a_quarantined_account_is_neither_measured_nor_traded(home: Home) -> None:
    out = set(home.read("account_outcomes").filter(pl.col("outcome") == Outcome.QUARANTINED)["account_id"])
    assert out == set(home.read("gate")["account_id"])
    for table in ("drift", "account_drift", "proposals", "orders"):
        assert out.isdisjoint(home.read(table)["account_id"])


def test_an_account_is_proposed_if_and_only_if_it_has_orders(home: Home) -> None:
    outcomes = home.read("account_outcomes")
    proposed = set(outcomes.filter(pl.col("outcome") == Outcome.PROPOSED)["account_id"])
    assert proposed == set(home.read("orders")["account_id"]) == set(home.read("proposals")["account_id"])
    assert set(home.states()) == set(home.read("proposals")["proposal_id"])


# --- what leaves


def test_every_approved_account_and_no_other_has_a_file(home: Home) -> None:
    (result,) = home.exports
    proposals = home.read("proposals")
    approved = set(proposals.filter(pl.col("route") == "auto")["account_id"])
    assert {path.stem for path in (result.folder / "accounts").iterdir()} == approved
    sent = {one for one, state in home.states().items() if state == ProposalState.EXPORTED}
    assert sent == set(proposals.filter(pl.col("route") == "auto")["proposal_id"])


def test_the_manifest_names_every_file_and_its_hash(home: Home) -> None:
    (result,) = home.exports
    files = files_of(result.folder)
    manifest = json.loads(files["manifest.json"])
    told = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    assert told == {
        path: hashlib.sha256(content).hexdigest()
        for path, content in files.items()
        if path not in {"manifest.json", "_SUCCESS"}
    }


def test_the_files_hold_exactly_the_orders_approved(home: Home) -> None:
    (result,) = home.exports
    approved = home.read("proposals").filter(pl.col("route") == "auto")["proposal_id"]
    orders = home.read("orders").filter(pl.col("proposal_id").is_in(approved.implode()))
    texts = [path.read_text(encoding="utf-8") for path in (result.folder / "accounts").iterdir()]
    rows = [row for text in texts for row in csv.DictReader(io.StringIO(text))]
    assert sorted(row["client_order_id"] for row in rows) == orders["order_id"].sort().to_list()


# --- the same again


def test_a_second_night_on_the_same_inputs_changes_nothing(home: Home, source: Path, book: BookSummary) -> None:
    tables, states = public_tables(home.settings, home.run_id), home.states()
    files = files_of(home.settings.export_folder)
    with closing(open_ledger(home.settings)) as ledger:
        steps, run = ledger.runs.step_rows(home.run_id), ledger.runs.get_run(home.run_id)

    again = run_night(home.settings, source, book.as_of_date)

    assert again == home.night
    assert export(home.settings) == []
    assert files_of(home.settings.export_folder) == files
    assert home.states() == states
    assert_same(public_tables(home.settings, home.run_id), tables)
    with closing(open_ledger(home.settings)) as ledger:
        assert len(ledger.runs.list_runs()) == 1
        assert ledger.runs.get_run(home.run_id) == run
        not_repeated = [row for row in ledger.runs.step_rows(home.run_id) if row.step != Step.PUBLISH]
        assert not_repeated == [row for row in steps if row.step != Step.PUBLISH]
        assert ledger.audit.verify_audit() > 0


def test_shards_change_nothing_but_the_shard(home: Home, sharded: Home) -> None:
    with closing(open_ledger(sharded.settings)) as ledger:
        shards = {row.shard for row in ledger.runs.step_rows(sharded.run_id)}
    assert shards == {GLOBAL_SHARD, *range(8)}
    assert sharded.night == home.night
    assert_same(public_tables(sharded.settings, sharded.run_id), public_tables(home.settings, home.run_id))


def test_another_home_exports_the_same_bytes(home: Home, sharded: Home) -> None:
    files = files_of(home.settings.export_folder)
    assert len(files) > 100
    assert files_of(sharded.settings.export_folder) == files


def test_rows_delivered_in_another_order_give_the_same_trades(
    home: Home, source: Path, book: BookSummary, tmp_path: Path
) -> None:
    shuffled = tmp_path / "shuffled"
    shuffled.mkdir()
    for table in ("accounts", "lots", "cash", "prices", "buy_list"):
        pl.read_parquet(source / f"{table}.parquet").sample(fraction=1, shuffle=True, seed=7).write_parquet(
            shuffled / f"{table}.parquet"
        )
    for path in source.glob("*.parquet"):
        if not (shuffled / path.name).exists():
            shutil.copy(path, shuffled)
    settings = Settings(home=tmp_path / "home")
    night = run_night(settings, shuffled, book.as_of_date)
    assert night.run_id != home.run_id
    kept = ["account_id", "security_id", "side", "quantity", "value_usd", "marginal_benefit_bps"]
    orders = open_lake(settings).read("orders", night.run_id)
    assert orders.select(kept).sort(kept).equals(home.read("orders").select(kept).sort(kept))
    assert dict(night.counts) == dict(home.night.counts)


def assert_same(left: dict[str, pl.DataFrame], right: dict[str, pl.DataFrame]) -> None:
    """Every row of every table, to the last bit of every number."""
    assert left.keys() == right.keys()
    assert [table for table in left if not left[table].equals(right[table])] == []
    assert [table for table in left if left[table].is_empty()] == [
        "tilted_targets",
        "index_baskets",
        "anomalies",
        "frontier",
        "released_rows",
        "vanished_rows",
    ], "asked for"


# --- a part of the book


@pytest.fixture(scope="module")
def relative(home: Home, source: Path) -> tuple[str, set[str]]:
    """An account with a proposal and the rest of its household."""
    accounts = pl.read_parquet(source / "accounts.parquet").filter(pl.col("household_id").is_not_null())
    large = accounts.filter(pl.len().over("household_id") > 1)
    asked = large.join(home.read("proposals"), on="account_id", how="semi").sort("account_id").row(0, named=True)
    rest = large.filter(pl.col("household_id") == asked["household_id"])["account_id"]
    return asked["account_id"], set(rest) - {asked["account_id"]}


@pytest.fixture(scope="module")
def scoped(
    tmp_path_factory: pytest.TempPathFactory, source: Path, book: BookSummary, relative: tuple[str, set[str]]
) -> Home:
    settings = Settings(home=tmp_path_factory.mktemp("scoped"))
    night = run_night(settings, source, book.as_of_date, kind=RunKind.MANUAL, scope=(relative[0],))
    return Home(settings, night, [])


def test_a_scoped_run_looks_at_the_account_alone_and_lands_its_household(
    scoped: Home, home: Home, relative: tuple[str, set[str]]
) -> None:
    account, others = relative
    assert others
    assert scoped.read("account_outcomes")["account_id"].to_list() == [account]
    assert scoped.read("account_drift")["account_id"].to_list() == [account]
    assert set(scoped.read("landed_accounts")["account_id"]) == {account, *others}
    assert set(scoped.read("proposals")["account_id"]) == {account}
    delivered = set(home.read("landed_accounts")["account_id"])
    assert set(scoped.read("landed_lots")["account_id"]) & delivered <= {account, *others}


def test_a_scoped_run_is_triggered_by_hand(scoped: Home, home: Home) -> None:
    assert "-manual-" in scoped.run_id
    assert scoped.run_id != home.run_id
    (triggers,) = scoped.read("account_drift")["triggers"]
    assert "manual" in triggers.split("|")


def test_a_scoped_run_proposes_the_trades_of_the_whole_night(
    scoped: Home, home: Home, relative: tuple[str, set[str]]
) -> None:
    columns = ["security_id", "side", "quantity", "value_usd"]
    mine = home.read("orders").filter(pl.col("account_id") == relative[0])
    assert scoped.read("orders").select(columns).sort(columns).equals(mine.select(columns).sort(columns))


def test_an_account_that_nobody_delivered_is_refused_by_name(source: Path, book: BookSummary, scoped: Home) -> None:
    with pytest.raises(WrongUsage, match="the source has no account nobody"):
        run_night(scoped.settings, source, book.as_of_date, kind=RunKind.MANUAL, scope=("nobody",))
    with closing(open_ledger(scoped.settings)) as ledger:
        assert [row.run_id for row in ledger.runs.list_runs()] == [scoped.run_id]


# --- other inputs for the same date


@pytest.fixture(scope="module")
def corrected(
    tmp_path_factory: pytest.TempPathFactory, home: Home, source: Path, book: BookSummary
) -> tuple[Home, Home, dict[str, str]]:
    """A night whose automatic part left and of which one proposal was approved; then one on corrected inputs; states between."""
    folder = tmp_path_factory.mktemp("corrected")
    settings = Settings(home=copy_home(home.settings.home, folder / "home"))
    first = Home(settings, home.night, home.exports)
    pending = sorted(one for one, state in first.states().items() if state == ProposalState.PENDING_REVIEW)
    with closing(open_ledger(settings)) as ledger:
        needs = ledger.proposals.list_proposals(run_id=first.run_id).filter(
            pl.col("approvals_needed") == 1, pl.col("household_id").is_null()
        )
        chosen = next(one for one in pending if one in set(needs["proposal_id"]))
        ledger.decisions.decide(
            [chosen], decision=Decision.APPROVE, actor=current_actor(), note="checked", now=utc_now()
        )
    run_night(settings, source, book.as_of_date)
    between = first.states()
    later = run_night(settings, changed(source, folder / "later"), book.as_of_date)
    return first, Home(settings, later, export(settings, later.run_id)), between


def test_repeating_the_night_lets_an_approval_stand(corrected: tuple[Home, Home, dict[str, str]]) -> None:
    _, _, between = corrected
    states = list(between.values())
    assert states.count(ProposalState.APPROVED) == 1
    assert states.count(ProposalState.PENDING_REVIEW) > 1
    assert states.count(ProposalState.EXPORTED) > 1


def test_corrected_inputs_make_a_run_that_supersedes_what_did_not_leave(
    corrected: tuple[Home, Home, dict[str, str]],
) -> None:
    first, second, between = corrected
    assert second.run_id != first.run_id
    for one, state in first.states().items():
        left = between[one] == ProposalState.EXPORTED
        assert state == (ProposalState.EXPORTED if left else ProposalState.SUPERSEDED)


def test_an_account_exported_for_the_date_is_not_traded_again_on_the_same_holdings(
    corrected: tuple[Home, Home, dict[str, str]],
) -> None:
    first, second, _ = corrected
    sent = {path.stem for path in (first.exports[0].folder / "accounts").iterdir()}
    outcomes = second.read("account_outcomes").filter(pl.col("account_id").is_in(sorted(sent)))
    assert set(outcomes["outcome"]) <= {Outcome.COOLING_DOWN, Outcome.IN_BAND}
    cooling = outcomes.filter(pl.col("outcome") == Outcome.COOLING_DOWN)
    assert set(cooling["reason"]) == {"exported_for_this_date"}
    assert sent.isdisjoint(second.read("proposals")["account_id"])
    assert second.exports == []


def test_only_households_that_are_managed_together_are_one_decision(home: Home) -> None:
    managed = set(home.read("landed_households")["household_id"])
    apart = home.read("landed_accounts").filter(~pl.col("household_id").is_in(managed))["account_id"]
    proposals = home.read("proposals")
    assert set(proposals["household_id"].drop_nulls()) <= managed
    assert proposals.filter(pl.col("account_id").is_in(apart.implode())).height > 0

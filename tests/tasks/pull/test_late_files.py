"""Custodians that are late or broken: their accounts wait, the others go on, and what comes later covers its own accounts."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from flows.nightly import NightResult
from schemas.enums import Guard, ProposalState, RunKind, RunState
from schemas.errors import InputRefused, RunHeld, SourceUnreachable
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.sources import Source
from tasks.pull.inputs import take
from tasks.pull.reading import raw_tables
from tasks.runtime.stores import open_ledger
from tests.support.home_copy import copy_home
from tests.support.landing_book import sound_book
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake
from warehouse.ledger import InputState, RunRow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

AS_OF = date(2026, 1, 5)
NEXT = date(2026, 1, 6)
THIRD = date(2026, 1, 7)
COMMON = ("accounts", "securities", "prices", "model_targets", "policies", "buy_list", "restrictions", "trades")
CUSTODIANS = {"acme": ("Acme", ["A1", "A2"]), "other": ("Other", ["A3"])}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


def settings_in(folder: Path) -> Settings:
    """A home and its sources; everything is delivered but what custodians send."""
    sources = [Source(name="book", url=f"{folder}/book")]
    for name, (custodian, _) in CUSTODIANS.items():
        url = f"{folder}/{name}/{{as_of}}"
        sources.append(Source(name=name, url=url, tables=("lots", "cash"), custodians=(custodian,)))
    deliver(folder / "book", {table: sound_book()[table] for table in COMMON})
    return Settings(home=folder / "home", sources=tuple(sources))


def deliver(folder: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in tables.items():
        rows.write_csv(folder / f"{table}.csv")


def holdings(name: str) -> dict[str, pl.DataFrame]:
    """Lots and cash of a custodian's accounts."""
    mine = pl.col("account_id").is_in(CUSTODIANS[name][1])
    return {table: sound_book()[table].filter(mine) for table in ("lots", "cash")}


Sends = Callable[..., None]


@pytest.fixture
def sends(tmp_path: Path) -> Sends:
    return sends_to(tmp_path)


def sends_to(folder: Path) -> Sends:
    """A custodian delivers its files of a night."""

    def send(name: str, day: date = AS_OF, **changed: pl.DataFrame) -> None:
        deliver(folder / name / day.isoformat(), {**holdings(name), **changed})

    return send


@dataclass(frozen=True)
class Evening:
    """A home as it stood when its nights, the last of which is ``night``, were over."""

    settings: Settings
    night: NightResult

    def again(self, settings: Settings) -> NightResult:
        """The same in the home of other settings."""
        copy_home(self.settings.home, settings.home)
        return self.night


def evening(folder: Path, *custodians: str) -> Evening:
    """After the first night, for which some custodians have delivered."""
    settings, send = settings_in(folder), sends_to(folder)
    for name in custodians:
        send(name)
    return Evening(settings, run_night(settings, None, AS_OF))


@pytest.fixture(scope="module")
def evening_without_other(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    return evening(tmp_path_factory.mktemp("without"), "acme")


@pytest.fixture(scope="module")
def evening_with_all(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    return evening(tmp_path_factory.mktemp("all"), "acme", "other")


@pytest.fixture(scope="module")
def late_evening(tmp_path_factory: pytest.TempPathFactory, evening_without_other: Evening) -> Evening:
    """The file that had not come has, and its run is done."""
    folder = tmp_path_factory.mktemp("late")
    settings, send = settings_in(folder), sends_to(folder)
    evening_without_other.again(settings)
    for name in CUSTODIANS:
        send(name)
    return Evening(settings, run_night(settings, None, AS_OF))


@pytest.fixture
def without_other(settings: Settings, sends: Sends, evening_without_other: Evening) -> NightResult:
    """The night on which one custodian's files did not come, in the home of this test."""
    sends("acme")
    return evening_without_other.again(settings)


@pytest.fixture
def with_all(settings: Settings, sends: Sends, evening_with_all: Evening) -> NightResult:
    """The night for which everything came, in the home of this test."""
    for name in CUSTODIANS:
        sends(name)
    return evening_with_all.again(settings)


def outcomes(settings: Settings, night: NightResult) -> dict[str, tuple[str, str]]:
    rows = open_lake(settings).read("account_outcomes", night.run_id)
    return {account: (outcome, reason) for account, outcome, reason in rows.sort("account_id").rows()}


def row_of(settings: Settings, night: NightResult) -> RunRow:
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.get_run(night.run_id)
    assert row is not None
    return row


def open_proposals(settings: Settings) -> set[str]:
    """Runs whose proposals wait for a person."""
    with closing(open_ledger(settings)) as ledger:
        return set(ledger.proposals.list_proposals(states=[ProposalState.PENDING_REVIEW])["run_id"])


def test_accounts_whose_file_has_not_come_are_blocked_and_the_others_go_on(evening_without_other: Evening) -> None:
    found = outcomes(evening_without_other.settings, evening_without_other.night)
    assert found["A3"] == ("blocked", "awaiting_file")
    assert {found[account][0] for account in ("A1", "A2")} <= {"proposed", "in_band", "no_trade"}
    assert found.keys() == {"A1", "A2", "A3"}


def test_an_account_that_waits_is_not_quarantined_for_what_is_in_its_file(evening_without_other: Evening) -> None:
    lake = open_lake(evening_without_other.settings)
    assert lake.read("quarantine", evening_without_other.night.run_id).is_empty()


def test_a_late_file_runs_its_own_accounts_only(late_evening: Evening, evening_without_other: Evening) -> None:
    row = row_of(late_evening.settings, late_evening.night)
    assert row.base_run_id == evening_without_other.night.run_id
    found = outcomes(late_evening.settings, late_evening.night)
    assert found.keys() == {"A3"}
    assert found["A3"][1] != "awaiting_file"


def test_the_night_once_more_is_the_run_that_stands(
    settings: Settings, sends: Sends, without_other: NightResult
) -> None:
    assert run_night(settings, None, AS_OF) == without_other
    sends("other")
    late = run_night(settings, None, AS_OF)
    assert run_night(settings, None, AS_OF) == late


def test_a_late_runs_answers_are_those_of_a_night_that_had_everything(
    late_evening: Evening, evening_with_all: Evening
) -> None:
    punctual, whole = evening_with_all.settings, evening_with_all.night
    for table in ("drift", "account_drift", "account_outcomes"):
        theirs = open_lake(punctual).read(table, whole.run_id).filter(pl.col("account_id") == "A3")
        mine = open_lake(late_evening.settings).read(table, late_evening.night.run_id)
        assert mine.sort(mine.columns).equals(theirs.sort(theirs.columns)), table


def test_a_file_that_is_mended_runs_its_accounts_again(settings: Settings, sends: Sends, with_all: NightResult) -> None:
    sends("other", cash=holdings("other")["cash"].with_columns(settled_usd=pl.lit("50")))
    again = run_night(settings, None, AS_OF)
    assert row_of(settings, again).base_run_id == with_all.run_id
    assert outcomes(settings, again).keys() == {"A3"}


@pytest.mark.usefixtures("with_all")
def test_a_change_that_touches_everybody_runs_all_accounts(settings: Settings, tmp_path: Path) -> None:
    prices = sound_book()["prices"].with_columns(price_usd=pl.col("price_usd").replace("101.25", "102"))
    deliver(tmp_path / "book", {"prices": prices})
    again = run_night(settings, None, AS_OF)
    assert row_of(settings, again).base_run_id is None
    assert outcomes(settings, again).keys() == {"A1", "A2", "A3"}


def test_files_that_the_custodian_takes_away_again_change_nothing(
    settings: Settings, with_all: NightResult, tmp_path: Path
) -> None:
    for path in (tmp_path / "other" / AS_OF.isoformat()).iterdir():
        path.unlink()
    assert run_night(settings, None, AS_OF) == with_all


def test_a_custodians_broken_file_costs_its_accounts_only(settings: Settings, sends: Sends, tmp_path: Path) -> None:
    sends("acme")
    sends("other")
    (tmp_path / "acme" / AS_OF.isoformat() / "lots.csv").write_text("<html>Service unavailable</html>\n")
    night = run_night(settings, None, AS_OF)
    found = outcomes(settings, night)
    assert {found[account] for account in ("A1", "A2")} == {("blocked", "file_refused")}
    assert found["A3"][0] != "blocked"
    with closing(open_ledger(settings)) as ledger:
        notes = {row.note for row in ledger.inputs.inputs_of(night.run_id) if row.state is InputState.REFUSED}
    assert any(note and note.startswith("lots.csv") for note in notes)


def test_a_file_that_breaks_after_it_was_used_costs_its_accounts_only(
    settings: Settings, sends: Sends, with_all: NightResult, tmp_path: Path
) -> None:
    (tmp_path / "other" / AS_OF.isoformat() / "lots.csv").write_text("<html>Service unavailable</html>\n")
    broken = run_night(settings, None, AS_OF)
    assert outcomes(settings, broken) == {"A3": ("blocked", "file_refused")}
    assert open_proposals(settings) == {with_all.run_id}
    assert run_night(settings, None, AS_OF) == broken
    sends("other")
    mended = run_night(settings, None, AS_OF)
    assert outcomes(settings, mended)["A3"][0] != "blocked"
    assert run_night(settings, None, AS_OF) == mended


def test_inputs_that_come_back_after_others_are_run_anew(
    settings: Settings, with_all: NightResult, tmp_path: Path
) -> None:
    wrong = sound_book()["prices"].with_columns(price_usd=pl.col("price_usd").replace("101.25", "140"))
    deliver(tmp_path / "book", {"prices": wrong})
    second = run_night(settings, None, AS_OF)
    deliver(tmp_path / "book", {"prices": sound_book()["prices"]})
    third = run_night(settings, None, AS_OF)
    assert third.run_id not in {with_all.run_id, second.run_id}
    assert open_proposals(settings) == {third.run_id}
    assert run_night(settings, None, AS_OF) == third


def test_late_files_are_judged_as_those_of_a_night_are(settings: Settings, sends: Sends) -> None:
    strict = settings.model_copy(update={"guard_min_accounts": 1, "max_run_turnover": 0.0})
    run_night(strict, None, AS_OF)
    for name in CUSTODIANS:
        sends(name)
    with pytest.raises(RunHeld, match="turn over"):
        run_night(strict, None, AS_OF)


@pytest.mark.usefixtures("with_all")
def test_lots_of_a_late_file_that_shrank_hold_its_run(settings: Settings, sends: Sends) -> None:
    strict = settings.model_copy(
        update={"guard_min_accounts": 1, "max_run_turnover": None, "max_quarantined_fraction": 1.0}
    )
    sends("other", NEXT)
    run_night(strict, None, NEXT)  # lots of accounts that wait are not missed
    sends("acme", NEXT, lots=holdings("acme")["lots"].head(1))
    with pytest.raises(RunHeld, match=r"1 lots came, 3 the last night"):
        run_night(strict, None, NEXT)
    with closing(open_ledger(strict)) as ledger:
        row = ledger.runs.newest_run()
    assert row is not None
    assert (row.state, row.held_guards) == (RunState.HELD, (Guard.SMALL_SNAPSHOT,))


def test_an_account_of_a_custodian_that_no_source_serves_waits_while_lots_are_late(
    settings: Settings, sends: Sends, tmp_path: Path
) -> None:
    accounts = sound_book()["accounts"].with_columns(custodian=pl.col("custodian").replace("Acme", "ACME Inc"))
    deliver(tmp_path / "book", {"accounts": accounts, "cash": sound_book()["cash"]})
    sources = [each.model_copy(update={"tables": ("lots",)}) for each in settings.sources[1:]]
    lots_only = settings.model_copy(update={"sources": (settings.sources[0], *sources)})
    sends("other")
    found = outcomes(lots_only, run_night(lots_only, None, AS_OF))
    assert {found[account] for account in ("A1", "A2")} == {("blocked", "awaiting_file")}
    assert found["A3"][0] != "blocked"


def test_rows_that_the_lake_no_longer_has_are_read_again(
    settings: Settings, sends: Sends, with_all: NightResult
) -> None:
    settings = settings.model_copy(update={"max_quarantined_fraction": 1.0})
    for name in CUSTODIANS:
        sends(name, NEXT)
    lake = open_lake(settings)
    lake.replace(RunRef(with_all.run_id, AS_OF, RunKind.NIGHTLY, 1), 0, {"landed_lots": pl.DataFrame()})
    night = run_night(settings, None, NEXT)
    assert lake.read("landed_lots", night.run_id).height == sound_book()["lots"].height
    with closing(open_ledger(settings)) as ledger:
        states = {(row.table_name, row.state) for row in ledger.inputs.inputs_of(night.run_id)}
    assert ("lots", InputState.READ) in states
    assert ("cash", InputState.COPIED) in states


def test_a_file_that_is_replaced_while_it_is_read_is_taken_again(settings: Settings, sends: Sends) -> None:
    sends("acme")
    sends("other")
    taken = take(settings.sources_of(AS_OF), settings.staging_folder)
    sends("acme", lots=holdings("acme")["lots"].head(1))
    (lots, _) = taken.of("lots")
    with pytest.raises(SourceUnreachable, match=r"lots.csv of acme was replaced while it was read"):
        list(raw_tables(lots, ["lots"]))


@pytest.mark.usefixtures("with_all")
def test_an_older_night_that_is_run_again_is_not_what_the_next_is_compared_with(
    settings: Settings, sends: Sends
) -> None:
    lenient = settings.model_copy(update={"max_quarantined_fraction": 1.0})
    for day in (NEXT, THIRD):
        sends("acme", day)
        sends("other", day)
    run_night(lenient, None, NEXT)
    other = holdings("other")["lots"].with_columns(quantity=pl.lit("300"))
    sends("other", AS_OF, lots=other)
    run_night(lenient, None, AS_OF)
    sends("other", THIRD, lots=other)
    stale = lenient.model_copy(update={"max_price_age_sessions": 5})
    assert outcomes(stale, run_night(stale, None, THIRD))["A3"] == ("quarantined", "lots:quantity_explained")


@pytest.mark.usefixtures("with_all")
def test_files_that_did_not_change_are_copied_and_not_read_again(settings: Settings, sends: Sends) -> None:
    sends("acme", NEXT)
    sends("other", NEXT, cash=holdings("other")["cash"].with_columns(settled_usd=pl.lit("1")))
    night = run_night(settings, None, NEXT)
    with closing(open_ledger(settings)) as ledger:
        states = {(row.source, row.table_name): row.state for row in ledger.inputs.inputs_of(night.run_id)}
    assert states["other", "cash"] is InputState.READ
    assert {state for key, state in states.items() if key != ("other", "cash")} == {InputState.COPIED}


@pytest.fixture
def own_accounts(settings: Settings, tmp_path: Path) -> Settings:
    """Custodians that deliver their accounts and trades too."""
    for table in ("accounts", "trades"):
        (tmp_path / "book" / f"{table}.csv").unlink()
    sources = [settings.sources[0]]
    for source in settings.sources[1:]:
        sources.append(source.model_copy(update={"tables": ("accounts", "lots", "cash", "trades")}))
        accounts = pl.col("account_id").is_in(CUSTODIANS[source.name][1])
        book = {table: sound_book()[table].filter(accounts) for table in ("accounts", "trades")}
        deliver(tmp_path / source.name / AS_OF.isoformat(), {**holdings(source.name), **book})
    return settings.model_copy(update={"sources": tuple(sources)})


def test_accounts_that_came_with_last_nights_file_wait_for_tonights(own_accounts: Settings, tmp_path: Path) -> None:
    run_night(own_accounts, None, AS_OF)
    (tmp_path / "other" / AS_OF.isoformat()).rename(tmp_path / "other" / NEXT.isoformat())
    night = run_night(own_accounts, None, NEXT)
    found = outcomes(own_accounts, night)
    assert {account for account, (_, reason) in found.items() if reason == "awaiting_file"} == {"A1", "A2"}
    trades = open_lake(own_accounts).read("landed_trades", night.run_id)
    assert set(trades["account_id"]) == {"A1", "A2"}


def test_what_a_late_file_told_of_accounts_is_known_when_the_next_is_late(
    own_accounts: Settings, tmp_path: Path
) -> None:
    (tmp_path / "other" / AS_OF.isoformat()).rename(tmp_path / "other-late")
    run_night(own_accounts, None, AS_OF)
    (tmp_path / "other-late").rename(tmp_path / "other" / AS_OF.isoformat())
    trade = pl.DataFrame({"account_id": ["A3"], "security_id": ["STK"], "trade_date": ["2026-01-02"], "side": ["sell"]})
    deliver(
        tmp_path / "other" / AS_OF.isoformat(),
        {"trades": trade.with_columns(quantity=pl.lit("1"), price_usd=pl.lit("99"), realized_gain_usd=pl.lit("-5"))},
    )
    assert outcomes(own_accounts, run_night(own_accounts, None, AS_OF)).keys() == {"A3"}
    night = run_night(own_accounts, None, NEXT)
    assert outcomes(own_accounts, night)["A3"] == ("blocked", "awaiting_file")
    assert "A3" in set(open_lake(own_accounts).read("landed_trades", night.run_id)["account_id"])


def test_nothing_at_all_from_anywhere_on_the_first_night_is_refused(own_accounts: Settings, tmp_path: Path) -> None:
    for name in CUSTODIANS:
        (tmp_path / name / AS_OF.isoformat()).rename(tmp_path / f"{name}-elsewhere")
    with pytest.raises(InputRefused, match=r"no account is known: .*acme/2026-01-05 has no file of the table accounts"):
        run_night(own_accounts, None, AS_OF)


def test_a_late_file_is_looked_at_with_the_open_proposals_of_its_households(
    settings: Settings, sends: Sends, tmp_path: Path
) -> None:
    accounts = sound_book()["accounts"].with_columns(
        household_id=pl.when(pl.col("account_id") == "A2").then(None).otherwise(pl.lit("H9")),
        status=pl.lit("active"),
    )
    deliver(tmp_path / "book", {"accounts": accounts})
    sends("acme", cash=holdings("acme")["cash"].with_columns(settled_usd=pl.lit("900")))
    first = run_night(settings, None, AS_OF)
    assert {account: outcome for account, (outcome, _) in outcomes(settings, first).items()} == {
        "A1": "proposed",
        "A2": "proposed",
        "A3": "blocked",
    }
    sends("other")
    assert outcomes(settings, run_night(settings, None, AS_OF)).keys() == {"A1", "A3"}


@pytest.mark.usefixtures("without_other")
def test_rows_of_a_late_file_that_are_nobodys_are_quarantined_and_not_lost(settings: Settings, sends: Sends) -> None:
    lots = holdings("other")["lots"]
    ghost, nobody = (lots.with_columns(account_id=pl.lit(name, pl.String)) for name in ("GHOST", "GHOST2"))
    sends("other", lots=pl.concat([lots, ghost, nobody]))
    late = run_night(settings, None, AS_OF)
    broken = open_lake(settings).read("quarantine", late.run_id).sort("row_number")
    assert broken.select("row_number", "account_id", "broken_rules").rows() == [
        (2, "GHOST", "account_known"),
        (3, "GHOST2", "account_known"),
    ]
    landed = open_lake(settings).read("landed_lots", late.run_id)
    assert set(landed["account_id"]) == {"A3", "GHOST", "GHOST2"}

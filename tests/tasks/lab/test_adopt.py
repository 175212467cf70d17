"""A study's policy becomes the firm's by two people, in the tables that the source delivers, and never by itself."""

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import Role
from schemas.errors import DecisionRefused, WrongUsage
from schemas.lab import parse_study
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from tasks.lab.adopt import Adoption, change_files, propose_adoption
from tasks.lab.compare import policies_of, verdict
from tasks.lab.simulate import shard_frames
from tasks.lab.study import enter_study
from tasks.lab.summary import summary_frames
from tasks.operate.maintain import maintain
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.home_copy import copy_home
from tests.support.landing_book import AS_OF, sound_book, write_book
from tests.support.night_driver import run_night
from tests.support.servers import Postgres
from warehouse.lake import open_lake
from warehouse.ledger import PolicyChange

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

TEXT = """
name = "small"
[market]
source = "lognormal"
means = { stocks = 0.08, bonds = 0.03 }
volatilities = { stocks = 0.2, bonds = 0.05 }
[paths]
count = 8
years = 2
[book]
targets = { stocks = 0.6, bonds = 0.4 }
half_spread_bps = 10
[grid]
look = ["monthly", "annual"]
absolute_band = [0.0, 0.06]
trade_to = [0.5, 0.0]
reference = { absolute_band = 0.0 }
"""
WIDE = "absolute_band=0.06,look=monthly,trade_to=0.5"
CALENDAR = "absolute_band=0,look=annual,trade_to=0"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """A home with a night and a finished study."""
    folder = tmp_path_factory.mktemp("adopt")
    settings = Settings(home=folder / "home", max_quarantined_fraction=1.0)
    source = folder / "source"
    source.mkdir()
    write_book(source, sound_book(), "csv")
    run_night(settings, source, AS_OF)
    study_id = finish(settings)
    with closing(open_ledger(settings)) as ledger:
        for name in ("quin", "ray"):
            ledger.users.add_user(name, [Role.REVIEWER], actor=current_actor(), now=utc_now())
    return settings, study_id


def finish(settings: Settings) -> str:
    """Run the small study in a home; its id."""
    plan = enter_study(settings, parse_study(TEXT.encode(), source="small.toml"))
    lake = open_lake(settings)
    for shard in plan.run.shards:
        lake.replace(plan.run, shard, shard_frames(plan, shard))
    lake.replace(plan.run, GLOBAL_SHARD, summary_frames(lake, plan))
    return plan.study.study_id


@pytest.fixture
def home(made: tuple[Settings, str], tmp_path: Path) -> Settings:
    return made[0].model_copy(update={"home": copy_home(made[0].home, tmp_path / "home")})


def names() -> tuple[str, str]:
    """A policy and a model of the night."""
    book = sound_book()
    return str(book["policies"]["policy_id"][0]), str(book["model_targets"]["model_id"][0])


def asked(study_id: str, **more: object) -> Adoption:
    policy, model = names()
    plain = Adoption(study_id, WIDE, policy, (model,), "turnover_per_year", "")
    return replace(plain, **more)  # type: ignore[arg-type]


def propose(settings: Settings, adoption: Adoption) -> PolicyChange:
    return propose_adoption(settings, adoption, actor=current_actor(), now=utc_now())


def approve(settings: Settings, change: PolicyChange, *actors: str) -> None:
    with closing(open_ledger(settings)) as ledger:
        for actor in actors:
            ledger.policy_changes.vote(change.change_id, is_approved=True, actor=actor, note="", now=utc_now())


def test_two_people_make_it_the_tables_that_the_next_night_trades_by(
    made: tuple[Settings, str], home: Settings, tmp_path: Path
) -> None:
    change = propose(home, asked(made[1]))
    assert change.content["parameters"] == {"trade_to": 0.5}
    assert change.content["bands"] == {"absolute_band": 0.06}
    assert change.content["verdict"] == "better"
    assert change.content["is_hypothetical"]
    for waiting in ((), ("quin",)):
        approve(home, change, *waiting)
        with pytest.raises(DecisionRefused, match="is pending; needed is one that two people have approved"):
            change_files(home, change.change_id, tmp_path / "early")
    assert not (tmp_path / "early").exists()
    approve(home, change, "ray")
    files = change_files(home, change.change_id, tmp_path / "adopted")
    assert [path.name for path in files] == ["policies.csv", "model_targets.csv"]
    source, book = tmp_path / "source", sound_book()
    source.mkdir()
    write_book(source, book, "csv")
    for path in files:
        (source / path.name).write_bytes(path.read_bytes())
    run = run_night(home, source, AS_OF + timedelta(days=1)).run_id
    lake, (policy, model) = open_lake(home), names()
    landed = {name: lake.read(f"landed_{name}", run, GLOBAL_SHARD) for name in ("policies", "model_targets")}
    assert landed["policies"].filter(policy_id=policy)["trade_to"].to_list() == [0.5]
    is_model = pl.col("model_id") == model
    assert landed["model_targets"].filter(is_model)["absolute_band"].unique().to_list() == [0.06]
    before = lake.read("landed_model_targets", _first_run(home), GLOBAL_SHARD)
    kept = ["model_id", "asset_class", "absolute_band"]
    assert (
        landed["model_targets"]
        .filter(~is_model)
        .select(kept)
        .sort(kept)
        .equals(before.filter(~is_model).select(kept).sort(kept))
    )
    assert landed["model_targets"]["target_weight"].sort().equals(before["target_weight"].sort())
    assert (
        lake.read("quarantine", run, GLOBAL_SHARD).height
        == lake.read("quarantine", _first_run(home), GLOBAL_SHARD).height
    )


def _first_run(settings: Settings) -> str:
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.latest_full_run(AS_OF + timedelta(days=1))
    assert row is not None
    return row.run_id


def test_what_trades_on_every_look_of_a_period_is_a_calendar_at_night(
    made: tuple[Settings, str], home: Settings
) -> None:
    change = propose(home, asked(made[1], study_policy=CALENDAR, models=()))
    assert change.content["parameters"] == {"trade_to": 0.0, "calendar": "annual", "is_threshold_triggered": False}
    assert change.content["bands"] == {}
    assert change.content["models"] == []


def test_noise_is_adopted_only_with_a_reason(made: tuple[Settings, str], home: Settings) -> None:
    row = policies_of(home, made[1]).row(by_predicate=pl.col("policy_id") == WIDE, named=True)
    assert verdict(row, "annual_return") == "not distinguishable"
    with pytest.raises(
        WrongUsage,
        match=f"{WIDE} is not distinguishable in annual_return, beside .*; needed is a policy that is better",
    ):
        propose(home, asked(made[1], measure="annual_return"))
    with pytest.raises(WrongUsage, match="is worse in rms_drift"):
        propose(home, asked(made[1], measure="rms_drift"))
    with closing(open_ledger(home)) as ledger:
        assert ledger.policy_changes.list_changes() == []
    change = propose(home, asked(made[1], measure="annual_return", note="clients ask for fewer trades"))
    assert (change.content["verdict"], change.note) == ("not distinguishable", "clients ask for fewer trades")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"study_policy": "another"}, "the study has no policy another"),
        ({"measure": "luck"}, "luck is no measure"),
        ({"policy_id": "nobody"}, "has no policy nobody"),
        ({"models": ("nothing",)}, "has no model nothing"),
        ({"models": ()}, "absolute_band stand in model_targets, by model; needed are the models"),
        ({"study_id": "0123"}, "there is no study 0123"),
    ],
)
def test_what_is_not_there_is_refused(
    made: tuple[Settings, str], home: Settings, more: dict[str, object], said: str
) -> None:
    with pytest.raises(WrongUsage, match=said):
        propose(home, asked(**{"study_id": made[1], **more}))  # type: ignore[arg-type]


def test_maintenance_removes_old_studies_but_none_that_a_change_refers_to(
    made: tuple[Settings, str], home: Settings
) -> None:
    other = enter_study(home, parse_study(TEXT.replace("count = 8", "count = 9").encode(), source="other.toml"))
    lake, study = open_lake(home), made[1]
    later = utc_now() + timedelta(days=366)
    assert removed(home, utc_now() + timedelta(days=363)) == 0
    assert removed(home.model_copy(update={"study_days": None}), later) == 0
    assert removed(home, later, is_dry_run=True) == 2
    change = propose(home, asked(study))
    with closing(open_ledger(home)) as ledger:
        ledger.policy_changes.vote(change.change_id, is_approved=False, actor="quin", note="not now", now=utc_now())
    assert removed(home, later) == 1, "what a change refers to stays, also where it was rejected"
    assert lake.read("lab_studies", other.study.study_id).is_empty()
    assert policies_of(home, study).height == 8
    assert removed(home, later) == 0


def removed(settings: Settings, now: datetime, *, is_dry_run: bool = False) -> int:
    """How many studies maintenance takes out."""
    chores = maintain(settings, now, is_dry_run=is_dry_run)
    return next(chore.count for chore in chores if chore.what == "old studies removed")


def test_a_ledger_on_postgresql_takes_a_change_as_any_other_does(
    made: tuple[Settings, str], postgres: Postgres, tmp_path: Path
) -> None:
    """A night, a study, a proposal and two approvals, with the ledger on a server."""
    address = postgres.url(postgres.new_database()).replace("postgresql://", "postgresql+psycopg://")
    settings = Settings(home=tmp_path / "home", max_quarantined_fraction=1.0, ledger_url=address)
    source = tmp_path / "source"
    source.mkdir()
    write_book(source, sound_book(), "csv")
    run_night(settings, source, AS_OF)
    finish(settings)
    with closing(open_ledger(settings)) as ledger:
        for name in ("quin", "ray"):
            ledger.users.add_user(name, [Role.REVIEWER], actor=current_actor(), now=utc_now())
    change = propose(settings, asked(made[1]))
    with pytest.raises(DecisionRefused):
        approve(settings, change, current_actor())
    approve(settings, change, "quin")
    with pytest.raises(DecisionRefused):
        approve(settings, change, "quin")
    approve(settings, change, "ray")
    with closing(open_ledger(settings)) as ledger:
        kept = ledger.policy_changes.get_change(change.change_id)
    assert (kept.state, kept.content) == ("adopted", change.content)
    written = {path.name for path in change_files(settings, change.change_id, tmp_path / "out")}
    assert written == {"policies.csv", "model_targets.csv"}
    bands = pl.read_csv(tmp_path / "out" / "model_targets.csv").filter(model_id=names()[1])["absolute_band"]
    assert set(bands) == {0.06}

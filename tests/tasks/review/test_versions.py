"""A version that a person made takes the place of what the run proposed: in review, in what leaves, in what is asked."""

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from flows.commands import review as review_cli
from flows.nightly import NightResult
from schemas.enums import ProposalState, Role, RunKind
from schemas.errors import ConservationBroken, DecisionRefused, WrongUsage
from schemas.run import RunRef
from schemas.settings import Settings
from tasks.core.explain.sentences import NOT_AS_ITS_NIGHT
from tasks.core.export.package import ProposedTables
from tasks.demo.sample import make_book
from tasks.export.packages import book_of, stored_tables
from tasks.review import review
from tasks.review.amend import amend_proposal
from tasks.review.explain import explain_account
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.night_driver import export, run_night
from warehouse.lake.lake import Lake, open_lake
from warehouse.lake.public_query import query
from warehouse.ledger import Decision, Ledger, ReviewedVersion

AS_OF = date(2022, 12, 28)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


@dataclass
class Scene:
    """A night of which everything waits, and its people: bob and cat review."""

    settings: Settings
    night: NightResult
    ledger: Ledger
    lake: Lake

    def waiting(self) -> pl.DataFrame:
        """First versions that wait, of accounts that are managed alone."""
        waiting = self.ledger.proposals.list_proposals(states=[ProposalState.PENDING_REVIEW], run_id=self.night.run_id)
        return waiting.filter(pl.col("version") == 1, pl.col("household_id").is_null()).sort("account_id")

    def proposal(self, number: int) -> dict[str, Any]:
        """One that waits and buys at least twice."""
        buys = self.lake.read("orders", self.night.run_id).filter(pl.col("side") == "buy")
        many = buys.group_by("proposal_id").len().filter(pl.col("len") > 1)["proposal_id"]
        return self.waiting().filter(pl.col("proposal_id").is_in(many.implode())).row(number, named=True)

    def sell_of_lots(self) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
        """A proposal that waits, one of its sells, and the sell's lots: gains of one term that are taxed, the greatest first."""
        lots, orders = (self.lake.read(table, self.night.run_id) for table in ("lot_relief", "orders"))
        taxed = self.lake.read("landed_accounts", self.night.run_id).filter(pl.col("tax_status") == "taxable")
        waiting = self.waiting().join(taxed, on="account_id", how="semi")
        for sell in orders.join(waiting, on="proposal_id", how="semi").sort("order_id").rows(named=True):
            mine = lots.filter(pl.col("order_id") == sell["order_id"]).sort("unit_cost_usd")
            is_gain = mine["gain_usd"].is_not_null().all() and (mine["gain_usd"] > 0).all()
            if mine.height > 1 and is_gain and mine["term"].n_unique() == 1:
                before = waiting.filter(pl.col("proposal_id") == sell["proposal_id"])
                return before.row(0, named=True), sell, mine.rows(named=True)
        raise AssertionError("no proposal that waits sells several lots at a gain")

    def buys(self, proposal: dict[str, Any]) -> list[dict[str, Any]]:
        is_it = (pl.col("proposal_id") == proposal["proposal_id"]) & (pl.col("side") == "buy")
        return self.lake.read("orders", self.night.run_id).filter(is_it).sort("symbol").rows(named=True)

    def amend(self, proposal: dict[str, Any], wish: dict[str, Decimal], actor: str = "bob", **how: Any) -> str:
        how.setdefault("note", "too much of it")
        return amend_proposal(
            self.ledger.amendments,
            self.ledger.proposals,
            self.ledger.runs,
            self.lake,
            proposal["proposal_id"],
            wish=list(wish.items()),
            actor=actor,
            now=utc_now(),
            **how,
        )

    def asset_class(self, security_id: str) -> str:
        """Of a security."""
        securities = self.lake.read("landed_securities", self.night.run_id)
        return str(securities.filter(pl.col("security_id") == security_id)["asset_class"][0])

    def page(self, account_id: str) -> dict[str, Any]:
        """What is explained of the account."""
        return explain_account(
            self.lake,
            self.ledger.runs,
            self.ledger.proposals,
            self.ledger.amendments,
            account_id,
            run_id=self.night.run_id,
        )

    def drop_one(self, number: int) -> tuple[dict[str, Any], dict[str, Any], str]:
        """A proposal, the order left out of it, and the version's name."""
        before = self.proposal(number)
        left_out = self.buys(before)[0]
        return before, left_out, self.amend(before, {left_out["order_id"]: Decimal(0)})


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    home = tmp_path_factory.mktemp("versions")
    settings = Settings(home=home / "home")
    make_book(home / "landing", account_count=160)
    policies = pl.read_parquet(home / "landing" / "policies.parquet")
    nobody_alone = dict.fromkeys(("auto_approve_max_turnover", "four_eyes_above_usd"), pl.lit(None, pl.Float64))
    small = pl.lit(50).cast(policies.schema["min_trade_usd"])
    policies.with_columns(**nobody_alone, min_trade_usd=small).write_parquet(home / "landing" / "policies.parquet")
    night = run_night(settings, home / "landing", AS_OF)
    with closing(open_ledger(settings)) as ledger:
        for name in ("bob", "cat"):
            ledger.users.add_user(name, [Role.REVIEWER], actor=current_actor(), now=utc_now())
        ledger.users.add_user("vic", [Role.VIEWER], actor=current_actor(), now=utc_now())
        yield Scene(settings, night, ledger, open_lake(settings))


def test_a_version_waits_for_another_person_with_its_own_name_and_hash(scene: Scene) -> None:
    before, left_out, name = scene.drop_one(0)
    old, new = scene.ledger.proposals.get_proposal(before["proposal_id"]), scene.ledger.proposals.get_proposal(name)
    assert old is not None
    assert new is not None
    assert (old["state"], new["state"]) == ("superseded", "pending_review")
    assert (new["version"], new["amender"], new["replaces"]) == (2, "bob", before["proposal_id"])
    assert new["content_hash"] != old["content_hash"]
    assert new["gross_value_usd"] == old["gross_value_usd"] - left_out["value_usd"]
    assert (new["expires_at"], new["custodian"], new["submitter"]) == (
        old["expires_at"],
        old["custodian"],
        old["submitter"],
    )
    with pytest.raises(DecisionRefused, match="was changed by bob; another person must approve it"):
        scene.ledger.decisions.decide([name], decision=Decision.APPROVE, actor="bob", now=utc_now())
    assert (
        scene.ledger.decisions.decide([name], decision=Decision.APPROVE, actor="cat", now=utc_now())[name] == "approved"
    )
    with pytest.raises(DecisionRefused, match="is superseded"):
        scene.ledger.decisions.decide([before["proposal_id"]], decision=Decision.APPROVE, actor="cat", now=utc_now())
    assert scene.ledger.audit.verify_audit() > 0


def test_only_the_versions_orders_leave_and_each_once(scene: Scene) -> None:
    before, left_out, name = scene.drop_one(0)
    scene.ledger.decisions.decide([name], decision=Decision.APPROVE, actor="cat", now=utc_now())
    results = export(scene.settings, scene.night.run_id)
    path = results[-1].folder / "accounts" / f"{before['account_id']}.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    expected = scene.ledger.amendments.version_rows(name)[0]
    assert [row["client_order_id"] for row in rows] == [
        one["order_id"] for one in expected.sort(pl.col("side") == "buy", "symbol").rows(named=True)
    ]
    assert left_out["order_id"] not in {row["client_order_id"] for row in rows}
    assert {row["client_order_id"]: Decimal(row["quantity"]) for row in rows} == {
        one["order_id"]: one["quantity"] for one in expected.rows(named=True)
    }
    assert export(scene.settings, scene.night.run_id) == []


def test_the_book_of_an_export_has_each_account_once(scene: Scene) -> None:
    before, left_out, name = scene.drop_one(0)
    book: ProposedTables = book_of(
        stored_tables(scene.lake, scene.night.run_id), scene.ledger.amendments, scene.night.run_id
    )
    assert book.proposals["account_id"].is_unique().all()
    assert book.orders["order_id"].is_unique().all()
    mine = book.orders.filter(pl.col("account_id") == before["account_id"])
    assert mine["proposal_id"].unique().to_list() == [name]
    assert left_out["order_id"] not in mine["order_id"].to_list()


def test_what_is_asked_of_the_public_tables_is_the_newest_version(scene: Scene) -> None:
    before, left_out, name = scene.drop_one(0)
    account = before["account_id"]
    orders = query(scene.settings, f"SELECT * FROM orders WHERE account_id = '{account}'")
    assert orders["proposal_id"].unique().to_list() == [name]
    assert left_out["order_id"] not in orders["order_id"].to_list()
    assert orders.select("order_id", "quantity", "value_usd").sort("order_id").rows() == (
        scene.ledger.amendments.version_rows(name)[0]
        .select("order_id", "quantity", "value_usd")
        .sort("order_id")
        .rows()
    )
    lots = query(
        scene.settings,
        f"SELECT order_id, lot_id, quantity, gain_usd, acquired_date FROM lot_relief WHERE account_id = '{account}'",
    )
    kept = scene.ledger.amendments.version_rows(name)[1].select(lots.columns)
    assert lots.sort("order_id", "lot_id").rows() == kept.sort("order_id", "lot_id").rows()
    told = query(
        scene.settings, f"SELECT proposal_id, gross_value_usd FROM latest.proposals WHERE account_id = '{account}'"
    )
    assert told["proposal_id"].to_list() == [name]


def test_review_and_explanation_show_the_version(scene: Scene) -> None:
    before, left_out, name = scene.drop_one(0)

    def read(table: str, run_id: str) -> pl.DataFrame:
        return scene.lake.read_account(table, run_id, before["account_id"])

    shown = review.show(scene.ledger.proposals, scene.ledger.amendments, name, read, now=utc_now())
    former = review.show(scene.ledger.proposals, scene.ledger.amendments, before["proposal_id"], read, now=utc_now())
    assert left_out["order_id"] not in shown.orders["order_id"].to_list()
    assert left_out["order_id"] in former.orders["order_id"].to_list()
    page = scene.page(before["account_id"])
    assert page["proposal"]["proposal_id"] == name
    assert {one["order_id"] for one in page["orders"]} == set(shown.orders["order_id"])
    certificate = page["certificate"]
    assert "could be better" in certificate["sentence"]
    parts = {one["part"]: one["usd"] for one in certificate["parts"]}
    first = scene.lake.read_account("proposals", scene.night.run_id, before["account_id"])["objective_usd"][0]
    assert parts["person"] == pytest.approx(certificate["objective_usd"] - first)
    assert sum(parts.values()) == pytest.approx(certificate["gap_usd"], abs=1e-4)
    (way,) = [row for row in page["ways"] if row["asset_class"] == scene.asset_class(left_out["security_id"])]
    assert way["bought_usd"] == 0
    assert page["limits"][-1]["used"] == len(page["orders"])


def test_versions_count_as_pending_orders_of_the_next_night(scene: Scene) -> None:
    before, left_out, name = scene.drop_one(0)
    found = scene.ledger.amendments.amended_orders_of([name, before["proposal_id"]])
    stored = scene.lake.orders_of(scene.night.run_id, pl.Series([before["proposal_id"]]))
    assert found.columns == stored.columns
    assert found.schema == stored.schema
    assert set(found["order_id"]) == set(stored["order_id"]) - {left_out["order_id"]}
    both = stored.join(found, on="order_id", suffix="_now")
    assert (both["is_loss"] == both["is_loss_now"]).all()


@pytest.mark.parametrize(
    ("actor", "note", "message"),
    [("vic", "why", "has the role viewer"), ("bob", " ", "without a note"), ("nobody", "why", "has no role")],
)
def test_who_may_not_and_what_has_no_reason_changes_nothing(scene: Scene, actor: str, note: str, message: str) -> None:
    before = scene.proposal(0)
    with pytest.raises(DecisionRefused, match=message):
        scene.amend(before, {scene.buys(before)[0]["symbol"]: Decimal(0)}, actor=actor, note=note)
    assert scene.ledger.proposals.get_proposal(before["proposal_id"]) == before


def test_a_proposal_that_changed_or_is_held_is_not_changed(scene: Scene) -> None:
    before = scene.proposal(0)
    wish = {scene.buys(before)[0]["order_id"]: Decimal(0)}
    with pytest.raises(DecisionRefused, match="has changed since it was looked at"):
        scene.amend(before, wish, seen=ReviewedVersion("another"))
    scene.ledger.decisions.decide([before["proposal_id"]], decision=Decision.HOLD, actor="cat", now=utc_now())
    with pytest.raises(DecisionRefused, match="is held by cat"):
        scene.amend(before, wish)
    name = scene.amend(before, wish, actor="cat")
    assert scene.ledger.proposals.get_proposal(name)["held_by"] == "cat"  # type: ignore[index]
    with pytest.raises(WrongUsage, match="is not the account's newest version"):
        scene.amend(before, wish, actor="cat")


@pytest.mark.parametrize("order", ["NONE", "", "'; DROP TABLE proposals; --"])
def test_an_order_that_is_none_is_named(scene: Scene, order: str) -> None:
    with pytest.raises(WrongUsage, match="the proposal has no order called"):
        scene.amend(scene.proposal(0), {order: Decimal(0)})


def test_a_smaller_sell_leaves_with_the_lots_that_are_left_of_it(scene: Scene) -> None:
    before, sell, lots = scene.sell_of_lots()
    dearest, others = lots[0], lots[1:]
    least = sell["quantity"] - dearest["quantity"]
    name = scene.amend(before, {sell["order_id"]: least})
    scene.ledger.decisions.decide([name], decision=Decision.APPROVE, actor="cat", now=utc_now())
    folder = export(scene.settings, scene.night.run_id)[-1].folder

    def cells(file: str, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
        with (folder / file / f"{before['account_id']}.csv").open() as text:
            return [tuple(row[one] for one in columns) for row in csv.DictReader(text)]

    left = {one: Decimal(quantity) for one, quantity in cells("accounts", ("client_order_id", "quantity"))}
    relieved = [row for row in cells("lots", ("client_order_id", "lot_id", "quantity")) if row[0] == sell["order_id"]]
    assert left[sell["order_id"]] == least < sell["quantity"]
    assert {lot: Decimal(quantity) for _, lot, quantity in relieved} == {
        one["lot_id"]: one["quantity"] for one in others
    }
    assert len(left) == before["order_count"]
    assert export(scene.settings, scene.night.run_id) == []


def test_a_version_of_a_version_takes_the_place_of_both(scene: Scene) -> None:
    before, left_out, second = scene.drop_one(0)
    kept = next(one for one in scene.buys(before) if one["order_id"] != left_out["order_id"])
    two = scene.ledger.proposals.get_proposal(second)
    assert two is not None
    third = scene.amend(two, {kept["symbol"]: Decimal(0)}, actor="cat")

    gone = {left_out["order_id"], kept["order_id"]}
    known = scene.ledger.amendments.amended(scene.night.run_id, before["account_id"])
    assert {before["proposal_id"], second} == known.replaced
    first = set(scene.lake.read_account("orders", scene.night.run_id, before["account_id"])["order_id"])
    assert set(known.orders["order_id"]) == first - gone
    told = query(scene.settings, f"SELECT order_id FROM orders WHERE account_id = '{before['account_id']}'")
    assert set(told["order_id"]) == first - gone
    page = scene.page(before["account_id"])
    assert page["proposal"]["proposal_id"] == third
    row = known.proposals.row(0, named=True)
    assert row["gap_bps"] > two["gap_bps"] > before["gap_bps"]


@pytest.mark.parametrize("table", ["orders", "lot_relief"])
def test_what_is_solved_otherwise_than_its_night_did_is_not_changed(scene: Scene, table: str) -> None:
    """As after a change of the program: what the lake holds is not what solving the account gives."""
    run_id = scene.night.run_id
    selling = scene.lake.read("orders", run_id).filter(pl.col("side") == "sell")
    sell = selling.join(scene.waiting(), on="proposal_id", how="semi").sort("order_id").row(0, named=True)
    before = scene.ledger.proposals.get_proposal(sell["proposal_id"])
    assert before is not None
    shard = scene.lake.runs_of(before["account_id"])[run_id]
    run = RunRef(run_id, AS_OF, RunKind.NIGHTLY, 1)
    stored = scene.lake.read(table, run_id, shard)
    is_it = pl.col("order_id") == sell["order_id"]
    other = stored.with_columns(quantity=pl.when(is_it).then(pl.col("quantity") + 1).otherwise("quantity"))
    scene.lake.replace(run, shard, {table: other.cast(stored.schema)})
    try:
        with pytest.raises(ConservationBroken, match="gives other orders than its night did"):
            scene.amend(before, {sell["order_id"]: Decimal(0)})
        page = scene.page(before["account_id"])
    finally:
        scene.lake.replace(run, shard, {table: stored})
    assert scene.ledger.proposals.get_proposal(before["proposal_id"]) == before
    assert page["not_solved_again"] == NOT_AS_ITS_NIGHT
    assert [page[section] for section in ("limits", "losses", "ways")] == [[], [], []]
    assert page["certificate"]["parts"] == []
    assert [term["after_usd"] for term in page["tax"]["terms"]] == [None, None]
    again = scene.page(before["account_id"])
    assert again["not_solved_again"] is None
    assert again["limits"]


def test_an_order_named_twice_is_no_wish(scene: Scene) -> None:
    before = scene.proposal(0)
    first = scene.buys(before)[0]
    with pytest.raises(WrongUsage, match="is named twice; say once"):
        scene.amend(before, {first["symbol"]: Decimal(0), first["order_id"]: first["quantity"] / 2})


def test_the_command_makes_a_version_and_shows_it_beside_the_one_before(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_HOME", str(scene.settings.home))
    before = scene.proposal(0)
    gone, less = scene.buys(before)[:2]
    step = Decimal(1) if less["quantity"] == less["quantity"].to_integral_value() else Decimal("0.001")
    wanted = less["quantity"] - step

    made = run_command(
        "amend",
        before["proposal_id"][:8],
        *("--drop", gone["symbol"], "--shrink", f"{less['order_id']}={wanted}", "--note", "none of it, and less"),
    )
    assert made.exit_code == 0
    name = made.stdout.strip()
    assert "waits for another person" in made.stderr

    shown = json.loads(run_command("show", name, "--json").stdout)
    assert (shown["proposal"]["version"], shown["proposal"]["amender"]) == (2, current_actor())
    assert shown["replaces"] == before["proposal_id"]
    assert [(one["symbol"], Decimal(one["before"]), Decimal(one["now"])) for one in shown["changes"]] == [
        (gone["symbol"], gone["quantity"], Decimal(0)),
        (less["symbol"], less["quantity"], wanted),
    ]
    assert [(one["decision"], one["note"]) for one in shown["decisions"]] == [("comment", "none of it, and less")]
    page = " ".join(run_command("show", name).stdout.split())
    assert f"Against {before['proposal_id']} (superseded)" in page
    assert "none of it, and less" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say which orders to drop or make smaller"),
        (("--shrink", "MSFT"), "--shrink takes an order and its quantity, as in AAPL=12"),
        (("--shrink", "MSFT=some"), "--shrink takes an order and its quantity, as in AAPL=12"),
        (("--shrink", "MSFT=nan"), "--shrink takes an order and its quantity, as in AAPL=12"),
        (("--drop", "MSFT", "--shrink", "MSFT=1"), "an order is named twice"),
        (("--drop", "MSFT", "--drop", "MSFT"), "an order is named twice"),
        (("--drop", "NONE"), "the proposal has no order called NONE"),
    ],
)
def test_the_command_refuses_in_a_sentence(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv("TRIMTAB_HOME", str(scene.settings.home))
    before = scene.proposal(0)
    refused = run_command("amend", before["proposal_id"], *words, "--note", "why")
    assert isinstance(refused.exception, WrongUsage)
    assert message in str(refused.exception)
    assert scene.ledger.proposals.get_proposal(before["proposal_id"]) == before


def run_command(*words: str) -> Result:
    return CliRunner().invoke(review_cli.app, words)

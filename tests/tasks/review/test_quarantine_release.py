"""Releasing all rows of one event at once, what is said before and after, and where a row's source is."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import Guard, RunState
from schemas.errors import DecisionRefused, WrongUsage
from tasks.review import quarantine
from tasks.review.quarantine import QuarantineFilter
from tasks.review.quarantine_release import ReleasePlan, plan_release, readmit_rows
from tasks.review.quarantine_words import again_with, named, next_sentence, source_sentence
from tests.support.history_book import book_then, judged
from tests.support.ledger_book import NOW, new_run, staffed
from tests.support.quarantine_scene import EVENT, event_accounts, read_event, released_before, stores
from warehouse.ledger import InputRow, InputState, Ledger, RunRow


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = staffed(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.runs.start_run(new_run("r1", day=2), NOW)
    yield ledger
    ledger.close()


def plan(ledger: Ledger, *names: str, **wanted: tuple[str, ...]) -> ReleasePlan:
    return plan_release(stores(ledger, read=read_event), names, QuarantineFilter(**wanted))


def places(rows: pl.DataFrame) -> list[str]:
    return [f"{table} {number}" for table, number in rows.select("table_name", "row_number").rows()]


def id_at(table: str, row: int) -> str:
    return str(EVENT["quarantine"].filter(table_name=table, row_number=row)["quarantine_id"].item())


def test_the_book_is_quarantined_as_the_tests_assume() -> None:
    assert event_accounts() == {
        "A1": "lots:cost_plausible",
        "A2": "lots:security_has_price",
        "A3": "lots:account_known|lots:cost_plausible",
    }


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"rule": ("cost_plausible",)}, ["lots 1", "lots 3"]),
        ({"rule": ("cost_plausible",), "security": ("BND",)}, ["lots 1", "lots 3"]),
        ({"security": ("BND",), "account": ("A3",)}, ["lots 3"]),
        ({"account": ("A1", "A3")}, ["lots 1", "lots 3"]),
        ({"table": ("lots",)}, ["lots 1", "lots 3"]),
    ],
)
def test_all_rows_of_an_event_are_meant_that_may_be_released(
    ledger: Ledger, wanted: dict[str, tuple[str, ...]], found: list[str]
) -> None:
    assert sorted(places(plan(ledger, **wanted).rows)) == found


def test_what_matches_and_cannot_be_released_is_left_and_said(ledger: Ledger) -> None:
    found = plan(ledger, table=("lots",))
    assert sorted(places(found.lasting)) == ["lots 2", "lots 4"]
    assert found.accounts == ["A1", "A3"]
    assert found.kept == ("A3",), "a row that could be its own is still missing"


def test_a_plan_changes_nothing_and_is_carried_out_in_one_go(ledger: Ledger) -> None:
    at = stores(ledger, read=read_event)
    found = plan(ledger, rule=("cost_plausible",))
    assert ledger.readmissions.released_rows(at.run.as_of_date).is_empty()
    assert len(readmit_rows(at, found, actor="bob", note="a gift", now=NOW)) == 2
    released = ledger.readmissions.released_rows(at.run.as_of_date)
    assert released.select("actor", "note").unique().rows() == [("bob", "a gift")]
    events = [one for one in ledger.audit.audit_rows(run_id="r1") if one.event == "row_released"]
    assert {json.loads(one.detail or "")["quarantine_id"] for one in events} == set(released["quarantine_id"])
    again = plan(ledger, rule=("cost_plausible",))
    assert again.rows.is_empty()


def test_without_a_note_or_a_role_nothing_of_an_event_is_released(ledger: Ledger) -> None:
    at, found = stores(ledger, read=read_event), plan(ledger, rule=("cost_plausible",))
    with pytest.raises(WrongUsage, match="needs a note"):
        readmit_rows(at, found, actor="bob", note="", now=NOW)
    with pytest.raises(DecisionRefused):
        readmit_rows(at, found, actor="vic", note="a gift", now=NOW)
    assert ledger.readmissions.released_rows(at.run.as_of_date).is_empty()


def test_nothing_found_is_said_with_what_there_is(ledger: Ledger) -> None:
    with pytest.raises(
        WrongUsage, match="set aside no row of rule split_suspected, security BND\n\nHint: rows that can be"
    ) as said:
        plan(ledger, rule=("split_suspected",), security=("BND",))
    assert "break cost_plausible." in str(said.value)


def test_nothing_releasable_is_said_with_what_stands_behind(ledger: Ledger) -> None:
    with pytest.raises(DecisionRefused) as said:
        plan(ledger, account=("A2",))
    assert str(said.value).startswith(
        "nothing was released: the one row of account A2 broke security_has_price, and a row that does cannot be traded "
        "on. What stands behind: prices.csv row 1 (price_usd_readable)."
    )


def test_rows_or_conditions_and_not_both(ledger: Ledger) -> None:
    with pytest.raises(WrongUsage, match="say what to release"):
        plan(ledger)
    with pytest.raises(WrongUsage, match="say what to release"):
        plan(ledger, id_at("lots", 1), account=("A1",))


def test_an_account_is_shown_with_what_caused_it(ledger: Ledger) -> None:
    aside = quarantine.set_aside(stores(ledger, read=read_event))
    of_a2 = aside.matching(QuarantineFilter(account=("A2",)))
    assert places(of_a2) == ["prices 1", "lots 2"]
    assert [one["text"] for one in aside.causes_of(of_a2)] == ["prices.csv row 1 (price_usd_readable)"]
    of_a3 = aside.matching(QuarantineFilter(account=("A3",)))
    assert places(of_a3) == ["lots 4", "lots 3"], "the row that could be its own comes with it"
    assert aside.accounts_of(of_a3) == ["A3"]


def test_one_event_of_several_rows_is_offered(ledger: Ledger) -> None:
    (said,) = quarantine.events(quarantine.set_aside(stores(ledger, read=read_event)).rows)
    assert said.startswith(
        "2 rows of 2 accounts broke cost_plausible on BND; `trimtab quarantine release --rule cost_plausible"
    )


def test_a_row_is_shown_with_its_source_and_whom_it_cost(ledger: Ledger) -> None:
    at = stores(ledger, read=read_event)
    price = quarantine.show(at, id_at("prices", 1))
    assert price.cost == "Account A2 is not traded in this run because of it."
    assert price.source.startswith("Look at price_usd in row 1 of prices.csv (table prices)")
    stray = quarantine.show(at, id_at("lots", 4))
    assert (stray.account_id, stray.cost) == ("a3", "Account A3 is not traded in this run because of it.")
    lot = quarantine.show(at, id_at("lots", 2))
    assert lot.behind == (f"prices.csv row 1 (price_usd_readable), {id_at('prices', 1)}",)
    assert lot.outlook.startswith("It cannot be released, for it is only a consequence.")
    assert lot.source.endswith("; ask Acme, who holds the account.")


def test_many_accounts_are_counted() -> None:
    assert named(["A1"]) == "A1"
    assert named([f"A{number}" for number in range(12)]).endswith("A8, A9 and 2 more")


def input_of(source: str, name: str = "prices.csv", table: str = "prices") -> InputRow:
    return InputRow(
        number=0,
        source=source,
        name=name,
        table_name=table,
        first_row=1,
        row_count=1,
        last_row=1,
        size_bytes=1,
        sha256="",
        state=InputState.READ,
        taken_at=NOW,
    )


@pytest.mark.parametrize(
    ("inputs", "of_run", "custodian", "said"),
    [
        ([input_of("vendor")], "a, b", None, ", which vendor delivers."),
        ([input_of("source")], "/data/landing", None, ", which /data/landing delivers."),
        ([input_of("source")], "/data/a, /data/b", None, "(table prices)."),
        (
            [input_of("vendor", "other.csv"), input_of("vendor", table="lots")],
            "a, b",
            "Acme",
            "; ask Acme, who holds the account.",
        ),
    ],
)
def test_the_source_is_named_as_far_as_it_is_known(
    ledger: Ledger, inputs: list[InputRow], of_run: str, custodian: str | None, said: str
) -> None:
    row = {
        "table_name": "prices",
        "file_name": "prices.csv",
        "row_number": 7,
        "message": "prices.csv row 7: price_usd is x; needed y. prices.csv row 7: price_date is z; needed w.",
    }
    run = replace(stores(ledger, read=read_event).run, source=of_run)
    found = source_sentence(row, inputs, run, custodian)
    assert found.startswith("Look at price_usd, price_date in row 7 of prices.csv (table prices)")
    assert found.endswith(said)


def run_of(ledger: Ledger) -> RunRow:
    return quarantine.find_run(ledger.runs, "r1")


def test_what_follows_a_release_is_what_the_run_does(ledger: Ledger) -> None:
    again = "Run the night again: `trimtab nightly --as-of 2026-07-02`."
    assert next_sentence(ledger.runs, run_of(ledger)).startswith(
        f"r1 is still at work: what it has judged stays set aside. {again}"
    )
    ledger.runs.hold_run("r1", "too many", NOW, guards=[Guard.QUARANTINE])
    assert run_of(ledger).state is RunState.HELD
    assert next_sentence(ledger.runs, run_of(ledger)).startswith(
        f"r1 is held: `trimtab resume r1` would carry it on without them. {again}"
    )


def test_a_run_of_some_accounts_is_run_again_for_these(ledger: Ledger) -> None:
    run = replace(run_of(ledger), scope='["A1", "A2"]')
    assert again_with(run) == "trimtab nightly --as-of 2026-07-02 --account A1 --account A2"


def gone(*securities: str) -> dict[str, pl.DataFrame]:
    """What the gate sets aside of A1, which holds nothing of some securities any more."""
    book = book_then()
    is_gone = (pl.col("account_id") == "A1") & pl.col("security_id").is_in(securities)
    own = judged(book | {"lots": book["lots"].filter(~is_gone)})
    gate = own.accounts.with_columns(outcome=pl.lit("quarantined")).select("account_id", "outcome", "reason")
    return {"quarantine": own.quarantine, "gate": gate, "released_rows": released_before().clear()}


@pytest.mark.parametrize(
    ("named_ones", "is_found"),
    [(("BND",), False), (("STK",), False), (("BND", "STK"), True), (("BND", "OLD", "STK"), True), (("OLD",), False)],
)
def test_holdings_that_left_are_found_by_their_securities_and_pass_only_all_together(
    ledger: Ledger, named_ones: tuple[str, ...], *, is_found: bool
) -> None:
    at = stores(ledger, read=lambda table, _run: gone("BND", "STK")[table])
    wanted = QuarantineFilter(rule=("quantity_explained",), security=named_ones)
    if not is_found:
        with pytest.raises(WrongUsage, match="set aside no row of rule quantity_explained"):
            plan_release(at, (), wanted)
        return
    assert places(plan_release(at, (), wanted).rows) == ["accounts 1"]


def test_a_holding_that_left_is_found_by_its_security(ledger: Ledger) -> None:
    at = stores(ledger, read=lambda table, _run: gone("BND")[table])
    assert places(plan_release(at, (), QuarantineFilter(security=("BND",))).rows) == ["accounts 1"]
    assert quarantine.set_aside(at).rows["security_id"].to_list() == ["BND"]


def test_a_row_that_broke_another_rule_too_passes_only_where_that_is_named_as_well(ledger: Ledger) -> None:
    at = stores(ledger)
    with pytest.raises(DecisionRefused) as refused:
        plan_release(at, (), QuarantineFilter(rule=("quantity_explained",), security=("STK",)))
    assert str(refused.value) == (
        "nothing was released: the one row of rule quantity_explained, security STK broke split_suspected too\n\n"
        "Hint: `trimtab quarantine show ID` says what was found; --rule split_suspected covers it as well."
    )
    both = QuarantineFilter(rule=("quantity_explained", "split_suspected"))
    assert places(plan_release(at, (), both).rows) == ["lots 3"]
    assert places(plan_release(at, (), QuarantineFilter(account=("A3",), table=("lots",))).rows) == ["lots 3"]


def test_rows_beside_them_that_broke_only_what_is_named_pass(ledger: Ledger) -> None:
    some = plan_release(stores(ledger), (), QuarantineFilter(rule=("cash_explained", "quantity_explained")))
    assert (places(some.rows), places(some.unnamed), some.other_rules) == (["cash 1"], ["lots 3"], ("split_suspected",))


def test_an_event_that_broke_two_rules_is_offered_with_both(ledger: Ledger) -> None:
    rows = quarantine.set_aside(stores(ledger)).rows.filter(account_id="A3", table_name="lots")
    (said,) = quarantine.events(pl.concat([rows, rows]))
    assert (
        "`trimtab quarantine release --rule quantity_explained --rule split_suspected --security STK --dry-run`" in said
    )

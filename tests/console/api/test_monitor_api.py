"""How looks between the nights stand, as ``/api/monitor`` and ``/metrics`` say it."""

from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from schemas.enums import Scope
from tests.support.console_scene import Api
from tests.support.follower_rows import follower_row


def test_what_follows_and_what_is_out_of_band(api: Api) -> None:
    headers = api.token("rex", Scope.RUNS_READ)
    assert api.client.get("/api/monitor", headers=headers).json() == {
        "followers": [],
        "breaches": [],
        "breach_count": 0,
        "scopes": [],
    }
    assert "trimtab_follower" not in api.client.get("/metrics").text
    ledger, now = api.backend.ledger, api.backend.now()
    ledger.followers.note_look(follower_row("host-a", now, state="held", reasons="a price jumped"))
    run = ledger.runs.newest_run()
    assert run is not None
    new = pl.DataFrame({"account_id": ["A1", "A2"], "causes": ["drift|cash", "drift"], "model_hash": "m"})
    scope = ledger.breaches.enter_look(run.run_id, new, pl.Series([], dtype=pl.Int64), date(2100, 1, 1), now)

    told = api.client.get("/api/monitor?limit=1", headers=headers).json()

    (follower,) = told["followers"]
    assert (follower["host"], follower["state"], follower["is_silent"]) == ("host-a", "held", False)
    assert (told["breach_count"], [row["account_id"] for row in told["breaches"]]) == (2, ["A2"])
    assert [(row["scope_id"], row["causes"], row["run_id"]) for row in told["scopes"]] == [
        (scope, ["cash", "drift"], None)
    ]


def test_metrics_are_of_the_follower_that_should_look(api: Api) -> None:
    ledger, now = api.backend.ledger, api.backend.now()
    ended = follower_row("host-b", now)
    ledger.followers.note_look(replace(ended, ended_at=now))
    assert "trimtab_follower" not in api.client.get("/metrics").text
    ledger.followers.note_look(follower_row("host-a", now - timedelta(hours=1), state="away"))
    text = api.client.get("/metrics").text
    for line in (
        "trimtab_follower_silent 1.0",
        'trimtab_follower_state{state="away"} 1.0',
        'trimtab_follower_state{state="looking"} 0.0',
        "trimtab_follower_look_seconds 0.25",
        'trimtab_follower_accounts{kind="out_of_band"} 17.0',
        'trimtab_follower_prices{kind="never_quoted"} 1.0',
        "trimtab_follower_refused_lines 6.0",
    ):
        assert line in text
    age = next(line for line in text.splitlines() if line.startswith("trimtab_follower_look_age_seconds"))
    assert 3600 <= float(age.split()[1]) < 3700
    assert "host-a" not in text

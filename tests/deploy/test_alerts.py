"""Alerts as people get them: a Prefect server, its automations, and sinks for webhooks and mail that they really arrive at."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock, MicrosoftTeamsWebhook, SlackWebhook
from prefect.events.actions import SendNotification
from pydantic import SecretStr

from deploy.alerts import ALERT, FILE, RUNBOOK, automations, block_of
from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.runtime import open_ledger, utc_now
from tests.support.alert_scene import ROOT, Sink, Site, mail_sink, prefect_site, web_sink
from tests.support.follower_rows import follower_row

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise imports it
SECRET: Final = "s3cr3t-token"  # noqa: S105 - of a sink
BLOCK: Final = "11111111-1111-1111-1111-111111111111"
HELD: Final = "import datetime; from flows.nightly import nightly; nightly(as_of=datetime.date(2022, 12, 28))"
WATCH: Final = "from flows.watch import watch; print(watch())"
REST: Final = """
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.states import Failed, Scheduled

def event(name, resource, **payload):
    emit_event(name, resource={"prefect.resource.id": resource, "prefect.resource.name": "trimtab"}, payload=payload)

with get_client(sync_client=True) as client:
    for name, state in {
        "nightly": Failed(name="Refused", message="account a12 of ann"),
        "release": Failed(name="NotDelivered", message="account a12 of ann"),
        "reconcile": Failed(name="Alarm", message="account a12 of ann"),
    }.items():
        run = client.create_flow_run(flow(lambda: None, name=name), name=name)
        client.set_flow_run_state(run.id, state, force=True)
    run = client.create_flow_run(flow(lambda: None, name="nightly"))
    client.set_flow_run_state(run.id, Scheduled(name="Late"), force=True)
for _ in range(2):
    event("trimtab.export-held-back", "trimtab.run.r1", proposals=7)
event("trimtab.orders-overdue", "trimtab.run.r1", accounts=5)
event("prefect.work-pool.not-ready", "prefect.work-pool.p1")
event(
    "trimtab.review-reminder",
    "trimtab.custodian.northbank",
    custodian="northbank",
    cut_off_at="2026-11-25T20:30:00+00:00",
    waiting=3,
    gross_value_usd="37037.01",
    link="https://trimtab.example.com/queue?filter=custodian%3Dnorthbank",
)
EventsWorker.drain_all()
"""
"""What runs, Prefect and the rest of the program say, each once and one thing twice."""
HALT: Final = "from flows.commands.cli import main; main(['halt', '--note', 'a12 of ann is odd'])"


@dataclass
class Scene:
    """A server that has been told of both sinks."""

    site: Site
    web: Sink
    mail: Sink
    folder: Path

    def set_up(self, *words: str, **environment: str) -> list[str]:
        done = self.site.run("-m", "deploy.alerts", *words, **environment)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
        return done.stdout.splitlines()

    def run(self, program: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return self.site.run("-c", program, **environment)

    def told(self, count: int = 1) -> list[tuple[str, str]]:
        """Subject and body of what came to the webhook; the mail is the same."""
        web, mail = self.web.wait(count), self.mail.wait(count)
        assert len(mail) == len(web)
        return [(one["subject"], one["body"]) for one in web]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("alerts")
    make_book(folder / "home" / "landing", account_count=60)
    with web_sink() as web, mail_sink() as mail, prefect_site(folder) as site:
        urls = [
            f"http://127.0.0.1:{web.port}/{SECRET}",
            f"mailto://127.0.0.1:{mail.port}?from=trimtab@example.com&to=ops@example.com&mode=insecure",
        ]
        site.environment["TRIMTAB_ALERT_URLS"] = str(urls).replace("'", '"')
        site.environment["TRIMTAB_PREFECT_UI_URL"] = "https://prefect.example.com"
        scene = Scene(site, web, mail, folder)
        first = scene.set_up()
        assert len(first) == len(yaml.safe_load(FILE.read_text()))
        assert all(line.startswith("created ") for line in first)
        yield scene


@pytest.mark.system
def test_a_night_that_is_held_posts_one_message_with_links_and_no_account(scene: Scene) -> None:
    done = scene.run(HELD, TRIMTAB_MAX_QUARANTINED_FRACTION="0", TRIMTAB_GUARD_MIN_ACCOUNTS="0")
    assert "is held" in done.stderr

    ((subject, body),) = scene.told()

    assert subject == "trimtab: the run 2022-12-28 nightly is held"
    assert "Run: 2022-12-28 nightly, https://prefect.example.com/runs/flow-run/" in body
    assert f"Runbook: {RUNBOOK}#a-held-run" in body
    assert "quarantined" not in body


@pytest.mark.system
def test_a_night_that_fails_posts_one_message_and_the_next_within_an_hour_none(scene: Scene) -> None:
    for _ in range(2):
        assert scene.run(HELD, TRIMTAB_LAKE_URL="nothing:of-the-kind").returncode != 0

    ((subject, body),) = scene.told()

    assert subject == "trimtab: 2022-12-28 nightly ended as Failed"
    assert f"{RUNBOOK}#after-a-crash" in body


@pytest.mark.system
def test_a_night_that_is_late_and_a_halt_post_one_message_each_however_often_one_looks(scene: Scene) -> None:
    assert scene.run(HALT).returncode == 0
    with closing(open_ledger(Settings(home=scene.folder / "home"))) as ledger:
        ledger.followers.note_look(follower_row("north", utc_now() - timedelta(hours=1)))

    looks = [scene.run(WATCH) for _ in range(2)]

    assert [look.stdout.strip() for look in looks] == ["3", "0"], looks[0].stderr + looks[1].stderr
    halted, silent, late = sorted(scene.told(3))
    assert silent[0] == "trimtab: nobody follows the price stream"
    assert "The follower on north looked last at " in silent[1]
    assert halted[0] == "trimtab: everything is halted"
    assert "odd" not in halted[1]
    assert late[0].startswith("trimtab: the night of ")
    assert "There is no deployment nightly/nightly, and nobody ran it." in late[1]
    assert "Run: " in late[1]


@pytest.mark.system
def test_everything_else_that_somebody_must_look_at_posts_one_message_each(scene: Scene) -> None:
    assert scene.run(REST).returncode == 0

    told = dict(scene.told(8))

    assert sorted(subject.partition(": ")[2] for subject in told) == [
        "3 proposals wait, and northbank closes soon",
        "5 accounts wait for orders that nobody answers",
        "7 approved proposals are held back",
        "an export was not delivered",
        "no worker answers",
        "the run nightly refused its input",
        "the scheduled night was not begun",
        "what came back from a broker is alarming",
    ]
    waiting = told["trimtab: 3 proposals wait, and northbank closes soon"]
    assert "left by 2026-11-25T20:30:00+00:00" in waiting
    assert "Queue: https://trimtab.example.com/queue?filter=custodian%3Dnorthbank" in waiting
    assert not [body for body in told.values() if "a12" in body or "37037" in body]


@pytest.mark.system
def test_saying_it_again_changes_nothing_and_an_address_less_takes_its_block_away(scene: Scene) -> None:
    again = scene.set_up()
    assert all(line.startswith("updated ") for line in again)
    one = f'["http://127.0.0.1:{scene.web.port}/{SECRET}"]'

    fewer = scene.set_up("--test", TRIMTAB_ALERT_URLS=one)

    assert fewer[-2:] == ["removed trimtab-alert-2", "sent through trimtab-alert-1"]
    assert [message["subject"] for message in scene.web.wait(1)] == ["trimtab: a test"]
    none = scene.set_up(TRIMTAB_ALERT_URLS="[]")
    assert all(line.startswith("removed ") for line in none)
    assert len(none) == len(again) + 1


@pytest.mark.system
def test_the_server_logs_no_address(scene: Scene) -> None:
    assert SECRET not in scene.site.log.read_text()


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("https://hooks.slack.com/services/T1AAAAAAA/B1BBBBBBB/" + "c" * 24, SlackWebhook),
        ("https://alerts.example.com/hook?token=1", CustomWebhookNotificationBlock),
        ("mailtos://user:word@smtp.example.com?to=ops@example.com", SlackWebhook),
        (
            (
                "https://prod-1.westus.logic.azure.com:443/workflows/abc/triggers/manual/paths/invoke"
                "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abc"
            ),
            MicrosoftTeamsWebhook,
        ),
    ],
)
def test_each_address_has_a_block_that_hides_it(address: str, kind: type[Any]) -> None:
    block = block_of(SecretStr(address), 1)
    assert type(block) is kind
    assert address not in repr(block)


@pytest.mark.parametrize("address", ["", "ops", f"nobody://{SECRET}", "https://"])
def test_what_is_no_address_is_refused_by_its_number(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(WrongUsage, match="number 3 of TRIMTAB_ALERT_URLS") as caught:
        block_of(SecretStr(address), 3)
    assert SECRET not in str(caught.value) + caplog.text


def test_every_alert_leads_to_a_heading_of_the_runbook() -> None:
    headings = {
        line[3:].lower().replace(",", "").replace(" ", "-")
        for line in (ROOT / RUNBOOK).read_text().splitlines()
        if line.startswith("## ")
    }
    assert {alert["runbook"] for alert in yaml.safe_load(FILE.read_text())} <= headings


def test_no_message_shows_what_a_run_failed_with_or_an_amount() -> None:
    for automation in automations([BLOCK]):
        (action,) = automation.actions
        assert isinstance(action, SendNotification)
        assert not any(word in action.subject + action.body for word in ("state.message", "_usd", "problem", "note"))
        assert automation.name.startswith(ALERT)


def test_every_deployed_flow_is_watched_for_failures() -> None:
    deployed = yaml.safe_load((ROOT / "deploy" / "prefect.yaml").read_text())["deployments"]
    (failed,) = [one for one in yaml.safe_load(FILE.read_text()) if one["name"] == f"{ALERT}failed"]
    watched = failed["trigger"]["match_related"]["prefect.resource.name"]
    assert set(watched) == {one["entrypoint"].split(":")[1] for one in deployed}

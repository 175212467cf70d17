"""Has alerts sent where ``TRIMTAB_ALERT_URLS`` says: ``python -m deploy.alerts [--runbook URL] [--test]``.

1. Each address becomes a notification block of Prefect's, ``trimtab-alert-1`` and so on, which Prefect keeps encrypted.
2. Each alert of ``alerts.yaml`` becomes an automation that sends its message to all of them.
3. What an earlier call made and nothing names any more is removed. Said again it changes nothing.

Prefect 3.8 has blocks for Slack, Teams and any webhook, and none for an e-mail server; its block for Slack hands whatever it
does not know as Slack's to Apprise, so that every address of Apprise's (https://github.com/caronc/apprise/wiki) goes through it.
"""  # noqa: INP001 - a script

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from apprise import Apprise
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.notifications import CustomWebhookNotificationBlock, MicrosoftTeamsWebhook, SlackWebhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore
from pydantic import SecretStr

from deploy.automations import put
from schemas.errors import TrimtabError, WrongUsage
from schemas.settings import Settings, load_settings

FILE: Final = Path(__file__).with_suffix(".yaml")
ALERT: Final = "trimtab alert - "
"""How the names of our automations begin."""
BLOCK: Final = "trimtab-alert-"
RUNBOOK: Final = "docs/how-to/runbook.md"
TEST: Final = "If you read this, alerts of trimtab reach you."
TEAMS: Final = ".logic.azure.com"


def main(arguments: Sequence[str] | None = None) -> None:
    """Say to the server that ``PREFECT_API_URL`` names what people are told of; may be said again."""
    parser = argparse.ArgumentParser(prog="python -m deploy.alerts", description=__doc__)
    parser.add_argument("--runbook", default=RUNBOOK, help="address of the runbook, as people reach it")
    parser.add_argument("--test", action="store_true", help="send a message to every address as well")
    given = parser.parse_args(arguments)
    try:
        with get_client(sync_client=True) as client:
            for line in set_up(client, load_settings(), runbook=given.runbook):
                print(line)  # noqa: T201 - a command
            if given.test:
                send_test(load_settings())
    except TrimtabError as error:
        sys.exit(f"alerts: {error}")


def set_up(client: SyncPrefectClient, settings: Settings, *, runbook: str = RUNBOOK) -> list[str]:
    """Blocks and automations as the settings and the file have them; what was done, a line each."""
    blocks = [block_of(address, number) for number, address in enumerate(settings.alert_urls, 1)]
    kept = [block.save(f"{BLOCK}{number}", overwrite=True) for number, block in enumerate(blocks, 1)]
    wanted = automations([str(one) for one in kept], settings.prefect_ui_url, runbook)
    lines = [f"{put(client, automation)} {automation.name}" for automation in wanted]
    return [*lines, *_remove_unwanted(client, {one.name for one in wanted}, len(blocks))]


def block_of(address: SecretStr, number: int) -> NotificationBlock:
    """The block that sends to an address.

    Raises
    ------
    WrongUsage
        It is none that Apprise knows; it is called by its number, for it may hold a secret.
    """
    text = address.get_secret_value()
    parts = urlsplit(text)
    host = parts.hostname or ""
    is_web = parts.scheme in {"http", "https"} and bool(host)
    if is_web and host.endswith(TEAMS):
        return MicrosoftTeamsWebhook(url=address)
    if is_web and not host.startswith("hooks.slack"):
        return CustomWebhookNotificationBlock(
            name="trimtab",
            url="{{address}}",
            json_data={"subject": "{{subject}}", "body": "{{body}}", "text": "{{subject}}\n\n{{body}}"},
            secrets={"address": text},
        )
    if not _is_known(text):
        raise WrongUsage(
            f"number {number} of TRIMTAB_ALERT_URLS is no address that alerts can go to\n\n"
            "Hint: https://..., or one of Apprise's, such as mailtos://user:password@host?to=...: docs/how-to/alerts.md."
        )
    return SlackWebhook(url=address)


def _is_known(address: str) -> bool:
    """Whether Apprise can send there. It would log an address that it cannot read."""
    logging.getLogger("apprise").disabled = True
    return bool(Apprise().add(address))


def automations(block_ids: Sequence[str], ui_url: str = "", runbook: str = RUNBOOK) -> list[AutomationCore]:
    """Those of the file, each with a message to every block; none without a block."""
    alerts = yaml.safe_load(FILE.read_text(encoding="utf-8")) if block_ids else []
    return [_automation(alert, block_ids, ui_url, runbook) for alert in alerts]


def _automation(alert: dict[str, Any], block_ids: Sequence[str], ui_url: str, runbook: str) -> AutomationCore:
    body = f"{alert['text']}\n\n{_link(ui_url)}Runbook: {runbook}#{alert['runbook']}"
    actions = [
        SendNotification.model_validate({"block_document_id": block, "subject": alert["subject"], "body": body})
        for block in block_ids
    ]
    trigger = {"type": "event", "posture": "Reactive", "threshold": 1, "within": 0, **alert["trigger"]}
    return AutomationCore.model_validate(
        {"name": alert["name"], "description": alert["text"], "trigger": trigger, "actions": actions}
    )


def _link(ui_url: str) -> str:
    """The run's page, where there is a run: at the address of the settings, else at the one that the server has of itself."""
    page = f"{ui_url.rstrip('/')}/runs/flow-run/{{{{ flow_run.id }}}}" if ui_url else "{{ flow_run | ui_url }}"
    return f"{{% if flow_run %}}Run: {{{{ flow_run.name }}}}, {page}\n{{% endif %}}"


def _remove_unwanted(client: SyncPrefectClient, wanted: set[str], count: int) -> list[str]:
    """Take away automations and blocks of ours that are not wanted; a line each."""
    lines = []
    for automation in client.read_automations():
        if automation.name.startswith(ALERT) and automation.name not in wanted:
            client.delete_automation(automation.id)
            lines.append(f"removed {automation.name}")
    kept = {f"{BLOCK}{number}" for number in range(1, count + 1)}
    for block in client.read_block_documents(include_secrets=False):
        if block.name and block.name.startswith(BLOCK) and block.name not in kept:
            client.delete_block_document(block.id)
            lines.append(f"removed {block.name}")
    return lines


def send_test(settings: Settings) -> None:
    """A message to every address, from here."""
    for number, address in enumerate(settings.alert_urls, 1):
        sent = block_of(address, number).notify(TEST, subject="trimtab: a test")
        assert sent is None, "a coroutine only where the caller is one"  # noqa: S101
        print(f"sent through {BLOCK}{number}")  # noqa: T201 - a command


if __name__ == "__main__":
    main()

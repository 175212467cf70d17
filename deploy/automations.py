"""Creates the automations of ``automations.yaml``, or brings them up to date: ``python -m deploy.automations [--silence SECONDS]``."""  # noqa: INP001 - a script

import argparse
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

FILE: Final = Path(__file__).with_suffix(".yaml")


def main(arguments: Sequence[str] | None = None) -> None:
    """Say to the server that ``PREFECT_API_URL`` names what it does by itself; may be said again."""
    parser = argparse.ArgumentParser(prog="python -m deploy.automations", description=__doc__)
    parser.add_argument("--silence", type=int, help="seconds after which a run or worker that is silent is lost")
    silence = parser.parse_args(arguments).silence
    with get_client(sync_client=True) as client:
        for automation in automations(timedelta(seconds=silence) if silence else None):
            print(f"{put(client, automation)} {automation.name}")  # noqa: T201 - a command


def automations(silence: timedelta | None = None) -> list[AutomationCore]:
    """Those of the file; ``silence`` replaces how long the first two wait."""
    found = [AutomationCore.model_validate(one) for one in yaml.safe_load(FILE.read_text(encoding="utf-8"))]
    if silence is None:
        return found
    return [_waiting(one, silence) for one in found]


def _waiting(automation: AutomationCore, silence: timedelta) -> AutomationCore:
    trigger = automation.trigger
    if not isinstance(trigger, EventTrigger) or trigger.posture != Posture.Proactive:
        return automation
    return automation.model_copy(update={"trigger": trigger.model_copy(update={"within": silence})})


def put(client: SyncPrefectClient, automation: AutomationCore) -> str:
    """Create it, or replace the one of its name; what was done."""
    there = client.read_automations_by_name(automation.name)
    if not there:
        client.create_automation(automation)
        return "created"
    client.update_automation(there[0].id, automation)
    return "updated"


if __name__ == "__main__":
    main()

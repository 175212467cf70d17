"""``trimtab lab adopt`` and what comes of it: changes of policy that a study stands behind, and two people."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.terminal import Json, notice, print_json, print_table
from tasks.lab import Adoption, change_files, find_study, propose_adoption
from tasks.runtime import current_actor, open_ledger, settings_of_a_home, utc_now
from warehouse.ledger import PolicyChange

NamedChange = Annotated[str, typer.Argument(metavar="CHANGE", help="Its name, as `trimtab lab changes` has it.")]


def adopt(  # noqa: PLR0917 - options, each by its name
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Its name, or the beginning of its id.")],
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="A policy of the study.")],
    policy_id: Annotated[str, typer.Option("--policy", help="The firm's policy that would change.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A model that gets the bands. Again for each.")
    ] = None,
    measure: Annotated[
        str, typer.Option("--for", help="The measure for whose sake it is wanted.")
    ] = "liquidated_wealth_usd",
    note: Annotated[str, typer.Option("--note", help="Why; needed where the study does not call it better.")] = "",
    *,
    is_json: Json = False,
) -> None:
    """Propose a study's policy as a change of the firm's. It waits for two other people, and changes nothing by itself."""
    settings = settings_of_a_home()
    found = find_study(settings, study)
    asked = Adoption(found["study_id"], policy, policy_id, tuple(model or ()), measure, note)
    change = propose_adoption(settings, asked, actor=current_actor(), now=utc_now())
    _print([change], is_json=is_json)
    notice("Two other people approve it by `trimtab lab approve`; the study is hypothetical.")


def changes(*, is_json: Json = False) -> None:
    """List changes of policy: what each would change, what its study found, who has approved."""
    with closing(open_ledger(settings_of_a_home())) as ledger:
        found = ledger.policy_changes.list_changes()
    _print(found, is_json=is_json)


def approve(
    change: NamedChange, note: Annotated[str, typer.Option("--note", help="Recorded.")] = "", *, is_json: Json = False
) -> None:
    """Approve a change of policy. With the second approval it is adopted."""
    _vote(change, note, is_approved=True, is_json=is_json)


def reject(
    change: NamedChange, note: Annotated[str, typer.Option("--note", help="Why.")], *, is_json: Json = False
) -> None:
    """Reject a change of policy; it is over then."""
    _vote(change, note, is_approved=False, is_json=is_json)


def write(
    change: NamedChange, folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to; made if missing.")]
) -> None:
    """Write an adopted change as landing tables, which the firm's source delivers; the next night trades by them."""
    for path in change_files(settings_of_a_home(), change, folder):
        typer.echo(path)


def _vote(change: str, note: str, *, is_approved: bool, is_json: bool) -> None:
    with closing(open_ledger(settings_of_a_home())) as ledger:
        found = ledger.policy_changes.vote(
            change, is_approved=is_approved, actor=current_actor(), note=note, now=utc_now()
        )
    _print([found], is_json=is_json)
    if found.state == "adopted":
        notice(f"`trimtab lab write {found.change_id} FOLDER` writes the tables that the firm's source delivers.")


def _print(found: list[PolicyChange], *, is_json: bool) -> None:
    if is_json:
        print_json([_plain(change) for change in found])
        return
    columns = ["change", "state", "policy", "would be", "study", "verdict", "proposed by", "approved by", "note"]
    rows = [
        [
            change.change_id,
            change.state,
            change.policy_id,
            _words(change.content),
            f"{change.content['study_name']}: {change.study_policy}",
            f"{change.content['verdict']} in {change.content['measure']}",
            change.proposer,
            ", ".join(vote.actor for vote in change.votes if vote.is_approved),
            change.note,
        ]
        for change in found
    ]
    print_table(f"{len(found):,} changes of policy", columns, rows, whole={"change"})


def _words(content: dict[str, Any]) -> str:
    said = [f"{name} {value}" for name, value in content["parameters"].items()]
    said += [f"{name} {value} of {', '.join(content['models'])}" for name, value in content["bands"].items()]
    return "; ".join(said) or "as it is"


def _plain(change: PolicyChange) -> dict[str, Any]:
    votes = [
        {"actor": vote.actor, "is_approved": vote.is_approved, "note": vote.note, "voted_at": vote.voted_at}
        for vote in change.votes
    ]
    names = (
        "change_id",
        "policy_id",
        "study_id",
        "study_policy",
        "content",
        "note",
        "proposer",
        "proposed_at",
        "state",
    )
    return {**{name: getattr(change, name) for name in names}, "votes": votes}

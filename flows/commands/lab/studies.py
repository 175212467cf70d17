"""``trimtab lab``: studies of what each policy costs and gives."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from prefect.client.schemas.objects import State

from flows.commands.lab import adoption
from flows.commands.terminal import Json, notice, print_frame, print_json, print_table
from flows.lab import lab
from schemas.errors import Terminal
from tasks.lab import (
    compared,
    enter_study,
    export_study,
    find_study,
    list_studies,
    policies_of,
    policy_table,
    read_study,
    short_measures,
    verify_study,
)
from tasks.runtime import current_settings, open_ledger, use_settings

HYPOTHETICAL = "Hypothetical: no account has had these results. Differences are to the reference on the same paths, ± a standard error."

app = typer.Typer(
    no_args_is_help=True,
    help="Try policies on courses of the market: what each costs and gives. Hypothetical; nothing of it is ever traded.",
)
for command in (adoption.adopt, adoption.changes, adoption.approve, adoption.reject, adoption.write):
    app.command()(command)
NamedStudy = Annotated[str, typer.Argument(metavar="STUDY", help="Its name, or the beginning of its id.")]


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study; docs/how-to/lab.md has its form.")],
    *,
    is_json: Json = False,
) -> None:
    """Try every policy of a study. What was broken off goes on; what is done is not done again."""
    settings, study = current_settings(), read_study(file)
    open_ledger(settings).close()  # a home has both stores, or `trimtab query` would not know it for one
    plan = enter_study(settings, study)
    study_id = plan.study.study_id
    if plan.firm is not None:
        left_out = plan.firm.left_out.height
        notice(
            f"{plan.account_count:,} accounts of run {plan.study.book.run_id}; {left_out:,} are left out, with their reasons in lab_left_out"
        )
    with use_settings(settings):
        told = lab(study_id)
    if isinstance(told, State):
        raise Terminal(told.message or "the study was not finished")
    if is_json:
        print_json({"study_id": study_id, "path_count": plan.path_count, "policy_count": len(plan.policies)})
    else:
        typer.echo(study_id)
        _print_policies(study_id)


@app.command("list")
def list_(*, is_json: Json = False) -> None:
    """List studies: how many policies and paths each has, and how many of its shards are done."""
    rows = list_studies(current_settings())
    if is_json:
        print_json(rows.to_dicts())
    else:
        print_frame(f"{rows.height:,} studies", rows)


@app.command()
def show(study: NamedStudy, *, is_json: Json = False) -> None:
    """Show what a study found: every policy, the wealth it leaves, drift, turnover and tax, beside the reference."""
    found = find_study(current_settings(), study)
    if is_json:
        print_json(policies_of(current_settings(), found["study_id"]).to_dicts())
    else:
        _print_policies(found["study_id"])


def _print_policies(study_id: str) -> None:
    policies = policies_of(current_settings(), study_id)
    print_table(
        f"{policies['study_name'][0]}, {policies['path_count'][0]:,} paths",
        ["policy", "group", *short_measures()],
        policy_table(policies),
        whole={"policy"},
    )
    notice(HYPOTHETICAL)


@app.command()
def compare(
    study: NamedStudy,
    policy: Annotated[
        list[str] | None, typer.Argument(metavar="[POLICY...]", help="Policies; all where absent.")
    ] = None,
    *,
    is_json: Json = False,
) -> None:
    """Compare policies with the reference, measure by measure, each difference with its standard error."""
    found = find_study(current_settings(), study)
    rows = compared(policies_of(current_settings(), found["study_id"]), policy or ())
    if is_json:
        print_json(rows.to_dicts())
    else:
        print_frame(f"{found['study_name']} against its reference", rows)
        notice(HYPOTHETICAL)


@app.command()
def export(
    study: NamedStudy, folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to; made if missing.")]
) -> None:
    """Write a study as an HTML page and Parquet tables, stamped as hypothetical with criteria, assumptions and risks."""
    found = find_study(current_settings(), study)
    for path in export_study(current_settings(), found["study_id"], folder):
        typer.echo(path)


@app.command()
def verify(
    study: NamedStudy,
    most_looks: Annotated[
        int,
        typer.Option("--looks", min=1, help="How many accounts on a date are put to the steps of a night, at most."),
    ] = 1_000,
    *,
    is_json: Json = False,
) -> None:
    """Compute some paths again and put looks at accounts to the night's own steps. Exit 1 where anything differs."""
    found = find_study(current_settings(), study)
    done = verify_study(current_settings(), found["study_id"], most_looks)
    if is_json:
        print_json({"study_id": found["study_id"], **asdict(done), "is_same": True})
    else:
        typer.echo(
            f"{done.account_count:,} accounts computed again, {done.look_count:,} looks put to a night: all the same"
        )

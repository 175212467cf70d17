"""The step of the flow ``maintain``, and what it shows in the Prefect UI: counts, no accounts."""

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.operate.maintain import Chore, maintain
from tasks.runtime import current_settings, retry_quietly, utc_now


@task(name="maintain_step", cache_policy=NO_CACHE, **retry_quietly)
def maintain_task(*, is_dry_run: bool) -> list[Chore]:
    """All chores, one line each."""
    chores = maintain(current_settings(), utc_now(), is_dry_run=is_dry_run)
    rows = [
        {"chore": one.what, "count": one.count, "problem": (one.problem or "").split("\n", maxsplit=1)[0]}
        for one in chores
        if one.count or one.problem
    ]
    create_table_artifact(rows, key="maintenance", description="Would be done" if is_dry_run else "Done")
    return chores

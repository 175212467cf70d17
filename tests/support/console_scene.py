"""What the console's tests work on: a night of which every proposal waits for a person, and browsers without a screen."""

import re
import shutil
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import pandas as pd
import polars as pl
from fastapi.testclient import TestClient

from console.app import make_api
from console.shared.backend import Backend
from schemas.enums import Role, Scope
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.review import access
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.home_copy import copy_databases
from tests.support.night_driver import run_night
from warehouse.ledger import Filter

ACCOUNTS: Final = 2_400
AS_OF: Final = date(2022, 12, 28)
PASSWORD: Final = "four green turtles walk"  # noqa: S105 - of users who live for one test
STAFF: Final = {
    "bob": [Role.REVIEWER],
    "cat": [Role.REVIEWER],
    "rex": [Role.RELEASER],
    "vic": [Role.VIEWER],
    "sam": [Role.REVIEWER],
}
"""Sam is also the one who submitted the night."""


def make_home(home: Path, accounts: int = ACCOUNTS) -> str:
    """A night in a home of its own, its users with passwords; the run's name. Large trades need four eyes."""
    settings = Settings(home=home)
    landing = home / "landing"
    make_book(landing, account_count=accounts)
    policies = pl.read_parquet(landing / "policies.parquet").with_columns(
        auto_approve_max_turnover=pl.lit(None, pl.Float64), four_eyes_above_usd=pl.lit(60_000.0)
    )
    policies.write_parquet(landing / "policies.parquet")
    with closing(open_ledger(settings)) as ledger:
        for name, roles in STAFF.items():
            ledger.users.add_user(name, roles, actor=current_actor(), now=utc_now())
            ledger.access.set_password_hash(name, access._hasher().hash(PASSWORD), actor=current_actor(), now=utc_now())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=pd.errors.Pandas4Warning)  # exchange_calendars, under pandas 3.1
        return run_night(settings, landing, AS_OF).run_id


def copied(home: Path, to: Path) -> Path:
    """A home of the same content; its lake still reads the files of the first one."""
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("landing", "data", "*.sqlite", "*.sqlite-*"))
    copy_databases(home, to)
    (to / "trimtab.toml").write_text(f"lake_data_url = '{home / 'lake' / 'data'}'\n")
    return to


@dataclass
class Api:
    """The application in this process, and tokens for it."""

    backend: Backend
    client: TestClient

    @property
    def waiting(self) -> pl.DataFrame:
        return self.backend.ledger.queue.page(Filter(), limit=100_000).rows

    def token(self, owner: str, *scopes: Scope, custodians: list[str] | None = None) -> dict[str, str]:
        """The header of a token of a user's."""
        secret = access.make_token(
            self.backend.ledger.access,
            label="test",
            owner=owner,
            scopes=scopes or list(Scope),
            custodians=custodians,
            actor=owner,
            now=self.backend.now(),
        )
        return {"authorization": f"Bearer {secret}"}

    def detail(self, proposal_id: str, headers: dict[str, str]) -> tuple[dict[str, Any], str]:
        answer = self.client.get(f"/api/proposals/{proposal_id}", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json(), answer.headers["etag"]

    def decide(
        self, proposal_id: str, decision: str, headers: dict[str, str], *, etag: str | None = None, note: str = ""
    ) -> Any:
        if etag is None:
            etag = self.detail(proposal_id, headers)[1]
        body = {"decision": decision, "note": note}
        return self.client.post(
            f"/api/proposals/{proposal_id}/decisions", json=body, headers={**headers, "if-match": etag}
        )


def api_on(home: Path, **settings: Any) -> Iterator[Api]:
    """The application on a home."""
    found = Settings(home=home, **tomllib.loads((home / "trimtab.toml").read_text()), **settings)
    with closing(open_ledger(found)) as ledger:
        backend = Backend(found, ledger)
        with TestClient(make_api(backend), base_url="http://testserver", follow_redirects=False) as client:
            yield Api(backend, client)


def sign_in(client: TestClient, name: str, *, origin: str = "http://testserver", **form: str) -> Any:
    return client.post("/sign-in", data={"name": name, "password": PASSWORD, **form}, headers={"origin": origin})


def cookie_in(answer: Any) -> str:
    """The whole Set-Cookie line."""
    return str(answer.headers["set-cookie"])


def value_of(cookie: str) -> str:
    found = re.match(r"[^=]+=([^;]+)", cookie)
    assert found is not None
    return found[1]

"""Who calls the API: the bearer of a token, what it may do, and whose accounts it may see."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from console.api.models import NO_NUL
from console.api.problems import ApiProblem
from console.shared import Backend
from schemas.enums import Scope
from tasks.review import token_of
from warehouse.ledger import Filter, RunRow, SentFilter, TokenRow

BEARER = HTTPBearer(auto_error=False, description="A token made with `trimtab users add-token`.")
UNAUTHORIZED = {"www-authenticate": "Bearer"}
MOST: Final = 500
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most.")]
Cursor = Annotated[
    str | None, Query(max_length=2_000, description="`next_cursor` of the page before, to go on from there.")
]
Named = Annotated[str, Path(min_length=1, max_length=128, pattern=NO_NUL)]


@dataclass(frozen=True, slots=True)
class Caller:
    """The token of a call, which has the scope that the route needs."""

    token: TokenRow

    @property
    def name(self) -> str:
        """The user on whose behalf it acts."""
        return self.token.owner

    def sees(self, wanted: Filter) -> Filter:
        """The filter, narrowed to what the caller may see."""
        return replace(wanted, custodians=self.token.custodians)

    def narrow(self, wanted: SentFilter) -> SentFilter:
        """As ``sees``, of orders that left."""
        return replace(wanted, custodians=self.token.custodians)

    def need_sight(self, proposal: dict[str, Any] | None, name: str) -> dict[str, Any]:
        """The proposal; one that the caller may not see is as one that is not there.

        Raises
        ------
        Problem
            404.
        """
        custodians = self.token.custodians
        if proposal is None or (custodians is not None and proposal["custodian"] not in custodians):
            raise ApiProblem(HTTPStatus.NOT_FOUND, f"There is no proposal {name}.")
        return proposal

    def need_household(self, rows: Iterable[Any]) -> None:
        """Refuse a decision that is one on proposals which the caller may not see.

        Raises
        ------
        Problem
            403.
        """
        custodians = self.token.custodians
        for row in rows:
            if custodians is not None and row.custodian not in custodians:
                raise ApiProblem(
                    HTTPStatus.FORBIDDEN,
                    f"The household {row.household_id} is decided as one, and has accounts that this token does not see.",
                )

    def need_everything(self, what: str) -> None:
        """Refuse a caller who may see some custodians only what holds those of all.

        Raises
        ------
        Problem
            403.
        """
        if self.token.custodians is not None:
            raise ApiProblem(
                HTTPStatus.FORBIDDEN, f"{what} holds every custodian's accounts; this token sees some only."
            )


def caller_with(backend: Backend, scope: Scope) -> Any:
    """The parameter of a route that gives its caller, who must have the scope."""

    def find(given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]) -> Caller:
        token = token_of(backend.ledger.access, given.credentials, now=backend.now()) if given is not None else None
        if token is None:
            raise ApiProblem(HTTPStatus.UNAUTHORIZED, "A token in force is needed.", UNAUTHORIZED)
        if scope not in token.scopes:
            raise ApiProblem(HTTPStatus.FORBIDDEN, f"This token lacks the scope {scope}.")
        return Caller(token)

    finder: Callable[..., Caller] = find
    return Depends(finder)


def need_run(backend: Backend, run_id: str) -> RunRow:
    """The run of that name.

    Raises
    ------
    Problem
        404.
    """
    found = backend.ledger.runs.get_run(run_id)
    if found is None:
        raise ApiProblem(HTTPStatus.NOT_FOUND, f"There is no run {run_id}.")
    return found

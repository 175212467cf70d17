"""What a pull is asked for."""

from dataclasses import dataclass
from datetime import date

from schemas.enums import RunKind
from schemas.errors import WrongUsage
from schemas.sources import DatedSource


@dataclass(frozen=True)
class Request:
    """What was asked for. ``scope`` empty: every account. ``scope_id``: the look that found these accounts; null: a person named them."""

    sources: tuple[DatedSource, ...]
    as_of_date: date
    kind: RunKind
    submitter: str
    scope: tuple[str, ...] = ()
    scope_id: str | None = None

    @property
    def is_full(self) -> bool:
        """Whether it is the night over all accounts."""
        return self.kind is RunKind.NIGHTLY and not self.scope


class NoAccountLeft(WrongUsage):
    """All accounts of the scope ``scope_id``, which a look found, have left the sources since."""

    def __init__(self, scope_id: str) -> None:
        super().__init__(scope_id)
        self.scope_id = scope_id

    def __str__(self) -> str:
        """One sentence."""
        return f"no account of {self.scope_id} is left in the sources"

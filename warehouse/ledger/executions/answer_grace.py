"""How long an order that left may be without an answer before that is a break."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import sqlalchemy as sa

from schemas.enums import Break
from schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class AnswerGrace:
    """An order that nobody has said anything of is a break ``hours`` after it left; ``by_custodian`` has those of custodians of their own."""

    now: datetime
    hours: float
    by_custodian: Mapping[str, float]

    @classmethod
    def of(cls, settings: Settings, now: datetime) -> Self:
        """What the settings say, as of now."""
        return cls(now, settings.answer_hours, settings.answer_hours_of)

    def is_not_due(self, columns: Mapping[str, Any]) -> sa.ColumnElement[bool]:
        """That a row with columns of ``FOUND`` is an order without an answer, which need not have one yet."""
        left = columns["since_at"]
        moments = {name: self._before(left, hours) for name, hours in self.by_custodian.items()}
        default = self._before(left, self.hours)
        since = sa.case(moments, value=columns["custodian"], else_=default) if moments else default
        return sa.and_(columns["code"] == str(Break.NOT_ACKNOWLEDGED), left > since)

    def _before(self, column: sa.ColumnElement[Any], hours: float) -> sa.ColumnElement[Any]:
        return sa.literal(self.now - timedelta(hours=hours), column.type)

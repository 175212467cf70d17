"""Some seconds before a decision counts, in which who took it may take it back; until they are over nothing is written.

What is said stays said when the page is closed, or its connection is lost: it counts when its seconds are over. It does not where its
person signs out meanwhile, or the console stops: then nothing was written, and the proposals wait as before. Whatever happens meanwhile,
the ledger decides on what was on the screen when the decision was taken.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from nicegui import Client, background_tasks, run, ui

from console.shared import PageContext
from schemas.errors import TrimtabError
from warehouse.ledger import Decision

Answer = TypeVar("Answer")
UNDOABLE: Final = frozenset({Decision.APPROVE, Decision.REJECT, Decision.WITHDRAW})
"""What cannot be taken back once it is written; a hold can, and a comment changes nothing."""


class Grace:
    """Decisions of one page that do not count yet."""

    def __init__(self, desk: PageContext) -> None:
        self._desk = desk
        self._open: list[PendingDecision] = []

    async def let(
        self,
        decision: Decision,
        what: str,
        work: Callable[[], Answer],
        done: Callable[[Answer | None], Awaitable[None]],
    ) -> None:
        """Do the work when the seconds are over, then tell; at once where there are none, or it can be taken back anyway.

        ``what``: as in "Approve 3 proposals". ``done``: given what the work gave, null where it was refused or taken back.
        """
        seconds = self._desk.backend.settings.console_undo_seconds
        if not seconds or decision not in UNDOABLE:
            await done(await self._desk.ask(work))
            return
        pending = PendingDecision(ui.context.client, what, seconds)
        self._open.append(pending)

        async def wait() -> None:
            is_wanted = await pending.wait()
            self._open.remove(pending)
            await self._end(pending, work if is_wanted else None, done)

        background_tasks.create(wait(), name=f"grace of {self._desk.name}")

    async def _end(
        self,
        pending: "PendingDecision",
        work: Callable[[], Answer] | None,
        done: Callable[[Answer | None], Awaitable[None]],
    ) -> None:
        if not pending.client.is_deleted:
            with pending.client.layout:
                await done(None if work is None else await self._desk.ask(work))
        elif work is not None and await run.io_bound(self._desk.is_here):
            with suppress(TrimtabError):  # nobody is there to be told; the proposal's page says how it stands
                await run.io_bound(work)

    def undo(self) -> None:
        """Take back what was said last."""
        if self._open:
            self._open[-1].take_back()


class PendingDecision:
    """One decision with its notice, which counts down and has the button that takes it back."""

    def __init__(self, client: Client, what: str, seconds: float) -> None:
        self.client = client
        self._what, self._seconds = what, seconds
        self._is_taken_back = asyncio.Event()
        self._is_over = False
        self._notice = ui.notification(
            self._text(seconds), type="ongoing", timeout=None, close_button="Undo", on_dismiss=self.take_back
        )  # a handler that is added later is never called: the framework's own removes the notice first

    def take_back(self) -> None:
        """It does not count."""
        if not self._is_over:
            self._is_taken_back.set()

    async def wait(self) -> bool:
        """Count down; whether it counts."""
        end = asyncio.get_running_loop().time() + self._seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_taken_back.wait(), min(left, 1.0))
            if self._is_taken_back.is_set():
                break
            self._tell(left - 1.0)
        self._is_over = True
        if not self.client.is_deleted:
            self._notice.dismiss()
        return not self._is_taken_back.is_set()

    def _tell(self, left: float) -> None:
        if not self.client.is_deleted and left > 0:
            self._notice.message = self._text(left)

    def _text(self, left: float) -> str:
        return f"{self._what} in {max(round(left), 1)} s"

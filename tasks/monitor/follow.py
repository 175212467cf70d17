"""Follow a price stream: look at the resident book every few seconds, and hand what is newly out of band on as any look does.

Each step
1. loads the book again where a night is done, fills or exports came, or a file of cash or models is another; else it asks the ledger
   what changed, which costs one small query while nothing does;
2. looks at files every ``stream_file_seconds``. While no price of the stream is fresh, that is a whole look at the files' prices, the one of
   ``trimtab monitor``; in between the step says that prices are old;
3. looks at the whole book. Where a guard holds it, the reason is told and nothing is entered or announced; the next look judges anew;
4. enters and announces what it found by ``enter_look`` and ``announce_batches``, so that a breach is entered once and announced until a run has
   claimed it, whatever was killed in between.

Known limits: while the book is loaded again no look is made.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import count
from typing import Final

from schemas.errors import TrimtabError, WrongUsage
from tasks.core.monitor import BookLook
from tasks.monitor.breach_batches import announce_batches, enter_look, monitor_book
from tasks.monitor.follow_look import FollowLook, FollowState
from tasks.monitor.intraday_inputs import FreshInputs, newest_night
from tasks.monitor.look import DriftLook
from tasks.monitor.price_stream import PriceBoard, PriceStream, StreamState
from tasks.monitor.resident_look import (
    Resident,
    StreamedPrices,
    check_files,
    keep_up,
    load_resident,
    look_at_resident,
    prices_now,
)
from tasks.monitor.standing import look_record
from tasks.monitor.stream_sources import need_stream
from tasks.monitor.streamed_prices import drop_streamed, write_streamed
from tasks.runtime import Stores, session_at, utc_now

MOVES_HOLDINGS: Final = frozenset(
    {"executions_taken", "allotted", "order_settled", "export_published", "export_abandoned"}
)
"""Events of the audit chain after which the book is loaded again: what is held, or what was exported, is something else."""
NIGHT_DONE: Final = "run_done"
FIRST_QUOTES_SECONDS: Final = 5.0
"""How long the first look waits for quotes of a stream that is only being connected."""
FORGETS: Final = timedelta(seconds=60)
"""Proposals expire without an event: what the ledger knows is read again after so long."""


@dataclass
class Follower:
    """Keeps the book between steps. ``day``: the day of the looks, at any hour; null: of the session."""

    at: Stores
    board: PriceBoard
    day: date | None = None
    is_dry: bool = False
    resident: Resident | None = None
    files_at: datetime | None = None
    read_at: datetime | None = None

    def step(self, stream: StreamState, now: datetime) -> FollowLook:
        """Look once. What stops it and may pass is told, and the next step tries again."""
        try:
            found = self._step(stream, now)
        except TrimtabError as error:
            found = FollowLook(FollowState.WAITING, now, self.day, reasons=(str(error).partition("\n")[0],))
        taken = (utc_now() - now).total_seconds()
        return replace(found, seconds=max(taken, 0.0), refused_lines=self.board.faults())

    def _step(self, stream: StreamState, now: datetime) -> FollowLook:
        exchange = self.at.settings.exchange
        day = self.day or session_at(now, exchange)
        if day is None:
            self.resident = None
            return FollowLook(FollowState.WAITING, now, reasons=(f"{exchange} does not trade now",))
        resident, files = self._keep_book(day, now)
        if resident is None:
            return FollowLook(FollowState.WAITING, now, day, reasons=(f"no night up to {day} is done yet",))
        settings = self.at.settings
        prices = prices_now(resident, self.board.quotes(), now, settings.stream_max_age_seconds)
        is_due = self.files_at is None or now - self.files_at >= timedelta(seconds=settings.stream_file_seconds)
        if is_due:
            self.files_at = now
        if not prices.fresh:
            return self._look_at_files(day, stream, prices, now, is_due=is_due)
        if is_due:
            self.resident = check_files(self.at, resident, now)
            if self.resident is None:
                return self._step(stream, now)
            resident, files = self.resident, self.resident.fresh
        return self._look(resident, files, prices, now)

    def _keep_book(self, day: date, now: datetime) -> tuple[Resident | None, FreshInputs]:
        """The book as of now; and what files it was loaded with, where it was just loaded."""
        nothing = FreshInputs({}, (), ())
        resident = self.resident
        if resident is not None and resident.day == day:
            seq, events = self.at.ledger.breaches.events_since(resident.seq)
            is_other = NIGHT_DONE in events and newest_night(self.at, day) != resident.night
            if not is_other and not events & MOVES_HOLDINGS:
                if seq != resident.seq or self.read_at is None or now - self.read_at > FORGETS:
                    resident = self.resident = keep_up(self.at, resident, now)
                    self.read_at = now
                return resident, nothing
        night = newest_night(self.at, day)
        if night is None:
            return None, nothing
        self.resident = load_resident(self.at, night, day, now)
        self.read_at, self.files_at = now, self.files_at or now
        return self.resident, self.resident.fresh

    def _look_at_files(
        self, day: date, stream: StreamState, prices: StreamedPrices, now: datetime, *, is_due: bool
    ) -> FollowLook:
        why = stream.trouble or "the stream gives no prices of what is held"
        reasons = (f"prices are old: {why}; {prices.old:,} securities have an old quote, {prices.never:,} none",)
        told = FollowLook(FollowState.AWAY, now, day, reasons=reasons, old=prices.old, never_quoted=prices.never)
        if not is_due:
            return told
        if not self.is_dry:
            drop_streamed(self.at.settings, day)
        done = monitor_book(self.at, day, now, is_dry=self.is_dry)
        return replace(
            told,
            night_run_id=done.night_run_id,
            looked_at=done.looked_at,
            skipped=done.skipped,
            out_of_band=done.out_of_band,
            newly=done.newly,
            armed_again=done.armed_again,
            breach_batch_ids=done.breach_batch_ids,
            announced=done.announced,
            notices=done.notices,
        )

    def _look(self, resident: Resident, files: FreshInputs, prices: StreamedPrices, now: datetime) -> FollowLook:
        found, held = look_at_resident(self.at, resident, prices.now)
        told = FollowLook(
            FollowState.HELD if held else FollowState.LOOKING,
            now,
            resident.day,
            resident.night.base.run_id,
            reasons=held,
            looked_at=found.looked_at,
            skipped=found.skipped,
            out_of_band=found.out_of_band,
            newly=found.verdict.new.height,
            armed_again=found.verdict.cleared.len(),
            fresh=prices.fresh,
            old=prices.old,
            never_quoted=prices.never,
            notices=files.notices,
        )
        if held or self.is_dry:
            return told
        if found.verdict.new.height:
            frame = prices.now.frame(resident.book.securities)
            write_streamed(self.at.settings, resident.day, frame)
        made: tuple[str, ...] = ()
        if found.verdict.new.height or found.verdict.cleared.len() or files.late:
            made = enter_look(self.at, drift_look(resident, found, files), now)
            self.resident = keep_up(self.at, resident, now)
        return replace(told, breach_batch_ids=made, announced=announce_batches(self.at, now))


def drift_look(resident: Resident, found: BookLook, files: FreshInputs) -> DriftLook:
    """A look at the resident book as any look: what is entered and announced is the same."""
    return DriftLook(
        resident.night, resident.day, found.looked_at, found.skipped, found.out_of_band, found.verdict, files
    )


def follow_stream(
    at: Stores,
    day: date | None,
    tell: Callable[[FollowLook], None],
    pause: Callable[[float], bool],
    *,
    is_dry: bool = False,
    looks: int | None = None,
) -> None:
    """Follow the stream of the settings until told to stop, or for so many looks.

    Parameters
    ----------
    at
        The stores.
    day
        The day of the looks, at any hour; null: only in the exchange's sessions, of the session.
    tell
        Is told what each step came to.
    pause
        Waits so many seconds, or until all is to stop: then true.
    is_dry
        Only look: enter nothing, announce nothing.
    looks
        Ends after so many; null: never.

    Raises
    ------
    WrongUsage
        The settings name no stream, or one that cannot be read here.
    """
    settings = at.settings
    url = settings.stream_url.get_secret_value()
    if not url:
        raise WrongUsage("no price stream is set\n\nHint: TRIMTAB_STREAM_URL=wss://host/path names one.")
    need_stream(url)
    follower = Follower(at, PriceBoard(), day, is_dry)
    with ExitStack() as open_parts:
        stream = open_parts.enter_context(PriceStream(url, settings.stream_greeting.get_secret_value(), follower.board))
        record = (
            None if is_dry else open_parts.enter_context(look_record(at.ledger.followers, settings.stream_look_seconds))
        )
        follower.board.wait_for_quotes(FIRST_QUOTES_SECONDS)
        for number in count(1):
            found = follower.step(stream.state, utc_now())
            if record is not None:
                record.note(found)
            tell(found)
            if number == looks or pause(max(settings.stream_look_seconds - found.seconds, 0.0)):
                return

"""A projector: reads its share of the log, folds it, and commits rows and positions together.

Exactly-once effect rests on three things: the position of every partition is committed with the rows it
stands for, under a fencing epoch; what admission has not passed is not read; and merging is order-free.

While catching up, one reading is folded beside the next, and the store takes in one commit beside both (docs/decisions/0016, 0021).
"""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import polars as pl

from tillroll.contract.registry import Contract
from tillroll.errors import PositionOutOfRange, Replaced
from tillroll.log import extent
from tillroll.log.decode import Decoded, decode_records
from tillroll.log.group import POLL_BYTES
from tillroll.log.port import Batch, EventLog, Positions, Subscription, TopicPartition
from tillroll.log.records import read_records
from tillroll.projection.declare import Projection
from tillroll.projection.failures import Failure, FailureBudget
from tillroll.projection.fold import Folded, Folder, combine
from tillroll.store.admission import Skipped, Verdicts
from tillroll.store.postgres import Claim, PostgresStore, Unstorable

__all__ = ["Progress", "Projector"]

# A commit costs one write per key it touches, so catching up pays off with big ones: as big as memory allows, where
# contributions are held and the batches they stem from. When there is little to read they come as soon as there is
# nothing more to wait for.
COMMIT_BYTES = 192 << 20
COPIES = 14  # of contributions on their way to the store (put together, reduced, made storable, sorted), two commits at a time
COMMIT_EVENTS = 1_000_000  # answer.SUMMABLE counts on it
COMMIT_SECONDS = 2.0
# Of the bytes of events: contributions that are more keep the store busier than us, and to fold beside would only fill memory. A
# reading of such ones is a commit by itself. While it is not known, readings are small; a few events do not tell.
BULKY, TELLING_BYTES = 0.5, 1 << 20
READ_BYTES = {None: 4 << 20, False: POLL_BYTES, True: 12 << 20}
FEW = 5_000  # records of one reading, below which whoever publishes is waiting to see them
LEAST_BYTES, BYTES_AN_EVENT = 1 << 16, 256  # of a poll, where a step is not to take many events
ADMISSION_SECONDS = 0.005  # between two looks at how far admission is
BESIDE_SECONDS = 0.02  # between two looks at what is being folded or committed beside us
PARKED_BYTES = 1 << 20  # of batches that wait for admission in memory instead of being fetched again


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step did."""

    events: int = 0
    dead: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(self.events + other.events, self.dead + other.dead)


@dataclass
class _Pending:
    """Read and folded, not yet committed. read: events per partition; taken: ids of those that its voids take back.

    size: bytes that `parts` and `batches` take.
    """

    parts: list[Folded] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    read: Counter[TopicPartition] = field(default_factory=Counter)
    taken: set[str] = field(default_factory=set)
    events: int = 0
    size: int = 0
    since: float = 0.0


@dataclass(frozen=True)
class _Folding:
    """Read, and being folded beside us."""

    records: pl.DataFrame
    batches: list[Batch]
    folded: Future[Folded]


@dataclass(frozen=True)
class _Written:
    """A commit on its way to the store, beside us."""

    pending: _Pending
    folded: Future[Folded]


class Projector:
    """One member of the consumer group of one projection. Not to be shared between threads.

    commit_bytes: of what is held, contributions with their copies and the events they stem from, with which it is time to commit.
    limit: per partition an offset that is not passed; partitions without one are not read. None = no limit.
    most: events that a step takes; None = whatever a poll brings. budget: of failures, if not the usual one.
    """

    def __init__(
        self,
        projection: type[Projection],
        log: EventLog,
        store: PostgresStore,
        contract: Contract,
        commit_bytes: int = COMMIT_BYTES,
        limit: Positions | None = None,
        most: int | None = None,
        budget: FailureBudget | None = None,
    ):
        self.projection = projection
        self._log, self._store, self._contract = log, store, contract
        self._folder = Folder(projection(), contract, self._taken_back)
        self._budget = budget or FailureBudget()
        self._verdicts = None if log.settles_duplicates else Verdicts(store)
        self._claims: dict[TopicPartition, Claim] = {}
        self._held_back: dict[TopicPartition, int] = {}
        self._parked: list[Batch] = []  # read, and not admitted yet
        self._skipped: Skipped = {}  # in what was read last
        self._folding: _Folding | None = None
        self._bulky: bool | None = None  # what came of any reading so far; None = of none that tells
        self._pending = _Pending()
        self._written: _Written | None = None
        self._stood = Progress()  # and was not told of so far
        self._beside = ThreadPoolExecutor(2, "tillroll-beside")  # one folds, one commits
        self._commit_bytes, self._limit, self._most = commit_bytes, limit, most
        store.install(projection)
        self._writer = store.writer(projection)
        self._subscription: Subscription = log.subscribe(
            projection.topics(), store.group(projection.schema()), self._assigned, self._revoked
        )

    def step(self, timeout: float = 1.0) -> Progress:
        """Read for at most about `timeout` seconds, fold, and commit when it is worth it; what stands and was not told of before.

        Raises what the log and the store raise; after Unavailable a step may simply be tried again.
        """
        with self._starting_over():
            batches = self._at_most(self._within_limit(self._cut(self._poll(timeout))))
            if batches:
                self._take(batches)
            if not batches and self._is_folding():
                pass  # more may have come by the time it is folded
            elif self._are_few(batches):
                self._commit()
            elif self._is_due():
                self._commit_beside()
        return self._tell()

    def flush(self) -> Progress:
        """Commit what is folded, due or not. Raises as `step` does."""
        with self._starting_over():
            self._commit()
        return self._tell()

    @contextmanager
    def _starting_over(self) -> Iterator[None]:
        """After an error, go on from what is committed; with what is ours by now where another member was faster."""
        try:
            yield
        except Replaced:
            self._settle_quietly()
            self._start_over(self._claim(self._subscription.assignment()))
        except BaseException:  # whatever it was: what was read lies behind us, and is not folded
            self._settle_quietly()
            self._start_over(self._claims)
            raise

    def _tell(self) -> Progress:
        told, self._stood = self._stood, Progress()
        return told

    def lag(self, ends: Mapping[TopicPartition, int]) -> int:
        """How many offsets all members of the group together are short of `ends`."""
        return extent.between(self._store.positions(self.projection), ends)

    def close(self) -> None:
        """Commit what is folded and leave the group."""
        try:
            self._subscription.close()
        finally:
            self._beside.shutdown()
            self._writer.close()

    # --- assignment ---------------------------------------------------------------------------------

    def _assigned(self, origins: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        return {origin: claim.next_offset for origin, claim in self._claim(origins).items()}

    def _claim(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, Claim]:
        """Become the owner of `origins`, which the log still has to hold from our positions on."""
        claims = self._store.claim(self.projection, origins)
        starts = self._log.start_offsets(claims)
        for origin, claim in claims.items():
            if claim.next_offset < (start := starts[origin]):
                raise PositionOutOfRange(
                    f"{self.projection.name} stands at offset {claim.next_offset} of {origin.topic}/{origin.partition}, "
                    f"but the log holds only {start} and later: {start - claim.next_offset} events are missing; "
                    f"restore them from the archive, or `tillroll replay rebuild {self.projection.name} --from earliest`"
                )
        self._claims |= claims
        return claims

    def _revoked(self, origins: frozenset[TopicPartition]) -> None:
        """Commit while the partitions are still ours; whoever claimed them first fences us."""
        try:
            self._commit()
        except Replaced:
            kept = {origin: claim for origin, claim in self._claims.items() if origin not in origins}
            self._start_over(kept)
        for origin in origins:
            self._claims.pop(origin, None)
            self._held_back.pop(origin, None)
        self._parked = [batch for batch in self._parked if batch.origin not in origins]

    def _start_over(self, claims: Mapping[TopicPartition, Claim]) -> None:
        """Drop what is not committed and read it again from the committed positions.

        After Replaced these are claimed anew: either we were, and the log will soon take the partition from
        us, or it was a claim of a moment (or a commit of our own whose answer was lost), and ours goes on.
        """
        self._drop()
        self._pending = _Pending()
        held = self._subscription.assignment()
        self._subscription.resume(held)  # what is beyond the limit, or not admitted, is paused once more
        self._held_back.clear()
        self._parked.clear()
        for origin in held & claims.keys():
            self._subscription.seek(origin, claims[origin].next_offset)

    def _taken_back(self, event_ids: Collection[str]) -> set[str]:
        """What a commit on its way takes back is not among them: whoever does so again is Replaced, and reads again."""
        return self._store.taken_back(self.projection, event_ids) | self._pending.taken.intersection(
            event_ids
        )

    # --- reading ------------------------------------------------------------------------------------

    def _patience(self, timeout: float) -> float:
        """How long to wait for events: not at all with work at hand, a moment where admission or something beside us is."""
        if self._pending.batches and self._folding is None:
            return 0.0
        if self._verdicts is not None and self._held_back:
            admitted = self._verdicts.admitted(self._held_back)
            ready = {origin for origin, at in self._held_back.items() if admitted[origin] > at}
            self._subscription.resume(ready)
            for origin in ready:
                del self._held_back[origin]
        if self._held_back or self._parked:
            return min(timeout, ADMISSION_SECONDS)
        return min(timeout, BESIDE_SECONDS) if self._folding or self._written else timeout

    def _poll(self, timeout: float) -> Sequence[Batch]:
        patience = self._patience(timeout)
        if self._most is None:
            return self._subscription.poll(patience, READ_BYTES[self._bulky])
        return self._subscription.poll(patience, max(LEAST_BYTES, self._most * BYTES_AN_EVENT))

    def _cut(self, batches: Sequence[Batch]) -> list[Batch]:
        """What admission has passed. The rest is parked where it is little, as at the end of the log.

        Where it is much, because admission is far behind, its partitions are held back and read again from there.
        """
        if self._verdicts is None:
            return list(batches)
        passed, again, self._skipped = self._verdicts.cut([*self._parked, *batches])
        rest = [
            _from(batch, again[batch.origin])
            for batch in (*self._parked, *batches)
            if _is_beyond(batch, again)
        ]
        self._parked.clear()
        if self._most is None and sum(len(batch.body) for batch in rest) <= PARKED_BYTES:
            self._parked = rest
            return passed
        for origin, offset in again.items():
            self._subscription.seek(origin, offset)
        self._subscription.pause(again)
        self._held_back |= again
        return passed

    def _within_limit(self, batches: list[Batch]) -> list[Batch]:
        """What lies below the limit; a partition that has reached it is read no further."""
        if self._limit is None:
            return batches
        ends = [self._limit.get(batch.origin, 0) for batch in batches]
        pairs = list(zip(batches, ends, strict=True))
        self._subscription.pause({batch.origin for batch, end in pairs if batch.next_offset >= end})
        return [batch.until(end) for batch, end in pairs if end > _start(batch)]

    def _at_most(self, batches: list[Batch]) -> list[Batch]:
        """The first `most` events; a partition with more is read again from there, held back or not."""
        if self._most is None:
            return batches
        left, taken, again = self._most, list[Batch](), dict[TopicPartition, int]()
        for batch in batches:
            start = _start(batch)
            if batch.origin in again or left <= 0:
                again.setdefault(batch.origin, start)
                continue
            part = batch.until(start + left)
            left -= part.next_offset - start
            taken.append(part)
            if part.next_offset < batch.next_offset:
                again[batch.origin] = part.next_offset
        for origin, offset in again.items():
            self._held_back.pop(origin, None)
            self._subscription.seek(origin, offset)
        self._subscription.resume(again)
        return taken

    def _are_few(self, batches: Sequence[Batch]) -> bool:
        return sum(batch.count for batch in batches) < FEW or self._most is not None

    def _take(self, batches: list[Batch]) -> None:
        """Fold these: few at once, many beside the next reading, unless what comes of them is as bulky as they are."""
        records = self._records(batches, self._skipped)  # while those before are being folded
        self._gather()
        if self._bulky or self._are_few(batches):
            self._keep(records, batches, self._fold(records, batches))
        else:
            folded = self._beside.submit(self._fold, records, batches)
            self._folding = _Folding(records, batches, folded)

    def _fold(self, records: pl.DataFrame, batches: list[Batch]) -> Folded:
        return self._folder.fold(self._decoded(records, batches), batches)

    def _is_folding(self) -> bool:
        return self._folding is not None and not self._folding.folded.done()

    def _gather(self) -> None:
        """Wait for what is being folded, if anything is; then it is pending."""
        if self._folding is not None:
            wait([self._folding.folded])  # interrupted here, it is still known of
            folding, self._folding = self._folding, None
            self._keep(folding.records, folding.batches, folding.folded.result())

    def _drop(self) -> None:
        """Wait for what is being folded, and forget it."""
        if self._folding is not None:
            wait([self._folding.folded])
            self._folding = None

    def _keep(self, records: pl.DataFrame, batches: list[Batch], folded: Folded) -> None:
        """Add it to what is pending, whose ends move with it."""
        pending, read = self._pending, _counted(records, batches)
        bodies, contributions = sum(len(batch.body) for batch in batches), folded.size
        if bodies >= TELLING_BYTES:
            self._bulky = bool(self._bulky) or contributions > BULKY * bodies
        pending.since = pending.since or time.monotonic()
        pending.parts.append(folded)
        pending.read.update(read)
        pending.taken |= folded.taken_back
        pending.batches += batches
        pending.events += sum(_count(batch) for batch in batches)
        pending.size += COPIES * contributions + bodies
        for batch in batches:
            pending.ends[batch.origin] = batch.next_offset

    def _records(self, batches: Sequence[Batch], skipped: Skipped | None = None) -> pl.DataFrame:
        records = read_records(batches)
        if self._verdicts is None:
            return records
        return self._verdicts.without_skipped(records, batches, skipped)

    def _decoded(self, records: pl.DataFrame, batches: Sequence[Batch]) -> Decoded:
        return decode_records(records, batches, self._contract, self._folder.wanted)

    # --- committing ---------------------------------------------------------------------------------

    def _is_due(self) -> bool:
        """Whether to commit although there is more to read."""
        pending = self._pending
        if not pending.ends:
            return False
        much = pending.size >= self._commit_bytes or pending.events >= COMMIT_EVENTS
        return much or time.monotonic() - pending.since > COMMIT_SECONDS

    def _commit(self) -> None:
        """Commit what is folded and wait until it stands."""
        self._gather()
        self._settle()
        pending = self._pending
        if not pending.ends:
            return
        try:
            folded = self._write(pending, self._claims)
        except Unstorable:
            folded = self._write_storable(pending)
        self._pending = _Pending()
        self._stands(pending, folded)

    def _commit_beside(self) -> None:
        """Have what is folded committed while more is read and folded; one commit at a time is on its way."""
        self._settle()
        if self._pending.ends:
            pending, self._pending = self._pending, _Pending()
            self._written = _Written(pending, self._beside.submit(self._write, pending, dict(self._claims)))

    def _settle(self) -> None:
        """Wait for the commit that is on its way, if one is.

        Where it fails, what was folded since is dropped too and read again: it comes after what does not stand. Also
        where it met a value that cannot be stored, since it may build on what is a dead letter now.
        """
        if self._written is None:
            return
        wait([self._written.folded])  # interrupted here, it is still known of
        written, self._written = self._written, None
        try:
            self._stands(written.pending, written.folded.result())
        except Unstorable:
            self._drop()
            try:
                self._stands(written.pending, self._write_storable(written.pending))
            finally:
                self._start_over(self._claims)
        except BaseException:
            self._start_over(self._claims)
            raise

    def _settle_quietly(self) -> None:
        """The same where something failed already: all that counts is where we stand."""
        with suppress(Exception):
            self._settle()

    def _write(self, pending: _Pending, claims: Mapping[TopicPartition, Claim]) -> Folded:
        folded = combine(self.projection, pending.parts)
        pending.parts = [folded]
        self._budget.spend(pending.events, folded.failures, self.projection.name)
        self._writer.commit(folded, claims, pending.ends, pending.read)
        return folded

    def _write_storable(self, pending: _Pending) -> Folded:
        self._pending = _Pending()
        folded = self._without_unstorable(pending)
        self._writer.commit(folded, self._claims, pending.ends, pending.read)
        return folded

    def _stands(self, pending: _Pending, folded: Folded) -> None:
        """It is committed: go on from there."""
        for origin, end in pending.ends.items():
            self._claims[origin] = Claim(end, self._claims[origin].epoch)
        self._stood += Progress(pending.events, len(folded.failures))

    def _without_unstorable(self, pending: _Pending) -> Folded:
        """Fold again, leaving out the events whose values the store cannot hold, found by halving."""
        decoded = self._decoded(self._records(pending.batches), pending.batches)
        kept: list[Folded] = []
        failures: list[Failure] = []
        for record, frame in decoded.frames.items():
            self._sift(record, frame, pending.batches, kept, failures)
        rejected = self._folder.fold(Decoded({}, decoded.rejects), pending.batches)
        folded = combine(self.projection, [*kept, rejected])
        folded.failures += failures
        self._budget.spend(0, failures, self.projection.name)
        return folded

    def _sift(
        self,
        record: str,
        events: pl.DataFrame,
        batches: list[Batch],
        kept: list[Folded],
        failures: list[Failure],
    ) -> None:
        folded = self._folder.fold(Decoded({record: events}), batches)
        if self._writer.probe(folded):
            kept.append(folded)
            self._pending.taken |= folded.taken_back
        elif len(events) == 1:
            failures.append(self._folder.unstorable(record, events, batches))
        else:
            half = len(events) // 2
            self._sift(record, events[:half], batches, kept, failures)
            self._sift(record, events[half:], batches, kept, failures)


def _counted(records: pl.DataFrame, batches: Sequence[Batch]) -> Counter[TopicPartition]:
    """How many of `records` each partition has."""
    found = Counter[TopicPartition]()
    for index, events in records["_batch"].value_counts().iter_rows():
        found[batches[index].origin] += events
    return found


def _is_beyond(batch: Batch, offsets: Positions) -> bool:
    """Whether any of it lies at or behind the offset of its partition."""
    return batch.next_offset > offsets.get(batch.origin, batch.next_offset)


def _from(batch: Batch, offset: int) -> Batch:
    return replace(batch, start=max(_start(batch), offset))


def _start(batch: Batch) -> int:
    """The first offset that is meant."""
    return batch.base_offset if batch.start is None else batch.start


def _count(batch: Batch) -> int:
    """How many events are meant, at most; a part of a batch does not know its own number."""
    return min(batch.count, batch.next_offset - _start(batch))

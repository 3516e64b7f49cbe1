"""Admission: finds duplicates by event_id at any distance, once per log, before any projector reads on.

Of equal ids the lowest offset wins. The same id with other bytes is a conflict, a dead letter of admission.
Bytes without an id are let through: each projector that wants them makes them a dead letter of its own.
Logs that settle duplicates inside append need none of this.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import polars as pl

from tillroll.contract.registry import Contract
from tillroll.errors import PositionOutOfRange
from tillroll.log import extent
from tillroll.log.ids import event_ids
from tillroll.log.port import Batch, EventLog, Position, Subscription, TopicPartition
from tillroll.log.records import read_records
from tillroll.projection.failures import Failure
from tillroll.store.admission import CANDIDATES, AdmissionTable
from tillroll.store.postgres import PostgresStore

__all__ = ["Admitter"]

FEW = 5_000  # records of one reading, below which somebody is waiting to see them
MOMENT = 0.02  # seconds to wait for records while others are being settled

# Made once: few events are judged as often as they come.
_EVENT_ID = event_ids(pl.col("value")).alias("event_id")


class Admitter:
    """Runs admission over all topics of the contract, if no other process does. For one thread.

    While catching up, one reading is settled beside the next one (docs/decisions/0021).
    """

    def __init__(self, log: EventLog, store: PostgresStore, contract: Contract):
        self._log, self._store = log, store
        self._topics = sorted(contract.topics)
        self._table = AdmissionTable(store)
        self._subscription: Subscription | None = None
        self._beside = ThreadPoolExecutor(1, "tillroll-admission")
        self._settling: Future[int] | None = None

    def step(self, timeout: float = 1.0) -> int | None:
        """Admit what is there; how many records were judged by now that were not told of before.

        None where another process holds the office. Many are judged beside the next step, which tells of them.
        """
        try:
            if self._subscription is None and not self._lead():
                return None
            assert self._subscription is not None
            batches = self._subscription.poll(timeout if self._settling is None else min(timeout, MOMENT))
            candidates = self._candidates(batches) if batches else CANDIDATES.to_frame()
            before = self._settled()
            if sum(batch.count for batch in batches) < FEW:
                return before + self._settle(candidates, batches)
            self._settling = self._beside.submit(self._settle, candidates, batches)
        except BaseException:  # whatever it was, what was read since is to be read again
            self.close()
            raise
        return before

    def close(self) -> None:
        """Give up the office, once what is being settled is settled."""
        self._wait()
        self._settling = None
        subscription, self._subscription = self._subscription, None
        try:
            if subscription is not None:
                subscription.close()
        finally:
            self._table.close()

    def _lead(self) -> bool:
        if not self._table.lead(extent.origins(self._log, self._topics), self._log.start_offsets):
            return False
        self._subscription = self._log.subscribe(
            self._topics, self._store.group("tillroll_admission"), self._positions, lambda lost: None
        )
        return True

    def _positions(self, origins: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._wait()
        return self._table.positions(origins)

    def _wait(self) -> None:
        if self._settling is not None:
            wait([self._settling])

    def _settled(self) -> int:
        """How many records were judged beside us. Raises what that raised."""
        self._wait()  # interrupted here, it is still known of
        settling, self._settling = self._settling, None
        return settling.result() if settling is not None else 0

    def _candidates(self, batches: Sequence[Batch]) -> pl.DataFrame:
        """CANDIDATES and their `value`."""
        records = read_records(batches)
        ids = pl.Series([self._table.id_of(batch.origin) for batch in batches], dtype=pl.Int64)
        placed = records.select(
            _EVENT_ID, pl.lit(ids).gather("_batch").alias("partition_id"), log_offset="_offset", value="value"
        )
        return placed.drop_nulls("event_id") if placed["event_id"].null_count() else placed

    def _settle(self, candidates: pl.DataFrame, batches: Sequence[Batch]) -> int:
        if batches:
            ends = {batch.origin: batch.next_offset for batch in batches}
            self._table.settle(candidates, ends, lambda repeats: self._judge(repeats, candidates))
        return sum(batch.count for batch in batches)

    def _judge(self, repeats: pl.DataFrame, known: pl.DataFrame) -> list[Failure]:
        """Conflicts among `repeats`: the bytes differ from those of the first event of that id.

        Where the log has let go of the first event there is nothing left to compare with, and the repeat is a
        duplicate: it is passed over either way, and old events must not keep new ones from being admitted.
        """
        values = known.select("partition_id", "log_offset", "value")
        here = repeats.join(values, on=("partition_id", "log_offset"))
        firsts = self._firsts(repeats)
        both = here.join(firsts, on=("first_partition_id", "first_offset"), how="left")
        return [
            self._conflict(row)
            for row in both.filter(pl.col("value") != pl.col("first_value")).iter_rows(named=True)
        ]

    def _firsts(self, repeats: pl.DataFrame) -> pl.DataFrame:
        """The bytes of the first events that the log still holds, read from it run by run."""
        parts = [_FIRSTS.to_frame()]
        for (id_,), rows in repeats.partition_by("first_partition_id", as_dict=True).items():
            origin = self._table.origin_of(int(id_))
            found = self._values(origin, rows["first_offset"].unique().sort())
            parts += [part.with_columns(first_partition_id=pl.lit(id_, pl.Int64)) for part in found]
        return pl.concat(parts)

    def _values(self, origin: TopicPartition, offsets: pl.Series) -> list[pl.DataFrame]:
        """The values at `offsets`, which are sorted; without those the log has let go of, also while it is read."""
        out: list[pl.DataFrame] = []
        while len(offsets):
            try:
                batches = self._log.read(origin, offsets[0])
            except PositionOutOfRange:
                start = self._log.start_offset(origin)
                if offsets[0] >= start:
                    raise
                offsets = offsets.filter(offsets >= start)
                continue
            if not batches:
                raise _lost_its_end(origin, offsets[0])
            rows = read_records(batches).filter(pl.col("_offset").is_in(offsets.implode()))
            out.append(rows.select(first_offset="_offset", first_value="value"))
            offsets = offsets.filter(offsets >= batches[-1].next_offset)
        return out

    def _conflict(self, row: dict[str, object]) -> Failure:
        origin = self._table.origin_of(int(str(row["partition_id"])))
        first = self._table.origin_of(int(str(row["first_partition_id"])))
        message = (
            f"event_id {row['event_id']} was used before, for other bytes, at {first.topic}/{first.partition} "
            f"offset {row['first_offset']}; the first one counts: give the later event an id of its own"
        )
        position = Position(*origin, int(str(row["log_offset"])))
        value = row["value"]
        return Failure(
            position,
            None,
            str(row["event_id"]),
            "Conflict",
            message,
            "",
            value if isinstance(value, bytes) else None,
        )


def _lost_its_end(origin: TopicPartition, end: int) -> PositionOutOfRange:
    return PositionOutOfRange(
        f"{origin.topic}/{origin.partition} ends at offset {end}, where an event was admitted before: the log has lost "
        "events, or the topic was made anew; restore it, or project it into an empty store"
    )


_FIRSTS = pl.Schema(
    {"first_offset": pl.Int64(), "first_value": pl.Binary(), "first_partition_id": pl.Int64()}
)

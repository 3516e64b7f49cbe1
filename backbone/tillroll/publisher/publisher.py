"""Publishing: events of any channel into the log, each durable or refused with the reason."""

import threading
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

import polars as pl

from tillroll.contract.envelope import UUID_TEXT
from tillroll.contract.registry import ANY_TOPIC, Contract, EventSchema
from tillroll.errors import MalformedEvent, UsageError
from tillroll.events import Event, to_wire
from tillroll.heap import uncollected
from tillroll.identity import identity_key
from tillroll.log.port import Appended, EventLog, Record, TopicPartition
from tillroll.publisher.encode import encode_frame, key_text
from tillroll.publisher.references import hashed

__all__ = ["Published", "Publisher", "partition_of"]

APPEND_RECORDS = 5_000  # a batch: large enough to be cheap, small enough to be read in parts
APPENDING = 4  # partitions at once: while the log takes in a batch of one, that of another is encoded


@dataclass(frozen=True, slots=True)
class Published:
    """How many events are in the log now that were not (`new`), and how many it had already.

    conflicts: events refused because the log holds other bytes under their event_id.
    """

    new: int = 0
    duplicates: int = 0
    conflicts: tuple[Appended, ...] = ()

    def __add__(self, other: "Published") -> "Published":
        return Published(
            self.new + other.new, self.duplicates + other.duplicates, self.conflicts + other.conflicts
        )


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: CRC-32 modulo the number of partitions, as librdkafka's `consistent` partitioner.

    Any publisher may use another rule: projections are order-free, and duplicates are found in any partition.
    """
    return zlib.crc32(key) % partitions


class Publisher:
    """Appends events of the contract to a log; makes the contract's topics where they are missing."""

    def __init__(self, log: EventLog, contract: Contract):
        self._log, self._contract, self._key = log, contract, identity_key()
        log.create_topics(contract.topics.values())
        self._partitions = {topic: log.partitions(topic) for topic in contract.topics}

    def publish(self, events: Iterable[Event]) -> list[Appended]:
        """Append these events; one answer each, in the order given. Durable on return.

        E-mail addresses and phone numbers of customers go as keyed hashes. Raises MalformedEvent, then nothing
        was appended; and what the log raises.
        """
        routed: dict[TopicPartition, list[Record]] = {}
        order: list[TopicPartition] = []
        for event in events:
            topic, key, value = to_wire(hashed(event, self._key, self._contract), self._contract)
            origin = TopicPartition(topic, partition_of(key, self._partitions[topic]))
            routed.setdefault(origin, []).append(Record(key, value, event.event_id))
            order.append(origin)
        answers = {origin: iter(got) for origin, got in self._log.append_all(routed).items()}
        return [next(answers[origin]) for origin in order]

    def publish_frame(self, record: str, events: pl.DataFrame) -> Published:
        """Append every row of `events`, a frame with the columns of the newest version of `record`.

        In each partition in the order of the frame, several partitions at once: of rows of one event_id that go to two of them
        either may come first. An interrupt is heard when the appends under way have ended. Raises UsageError for corrections,
        ContractError for a record that is not there, and MalformedEvent, naming the first row, for an event_id that is
        no UUID in canonical form; then nothing was appended. Raises what EventLog.append does; then some of it may be.
        """
        schema = self._contract.latest(record)
        if schema.topic == ANY_TOPIC:  # the topic is that of the event quoted in each row
            raise UsageError(f"{record} has no topic of its own; give each of them to publish() as an event")
        _require_ids(record, events)
        spec = self._contract.topics[schema.topic]
        keys = events.select(key=key_text(spec, events.columns))["key"]
        rows = events.with_columns(
            _partition=_partitions_of(keys, self._partitions[spec.name]), _key=keys.cast(pl.Binary)
        )
        stopped = threading.Event()
        with uncollected(), ThreadPoolExecutor(APPENDING, "publish") as pool:
            try:
                parts = [
                    pool.submit(self._append, schema, part, stopped)
                    for part in rows.partition_by("_partition")
                ]
                wait(parts, return_when=FIRST_EXCEPTION)
            finally:  # after an error or an interrupt the others need not come to their end
                stopped.set()
        return sum((part.result() for part in parts), Published())

    def _append(self, schema: EventSchema, rows: pl.DataFrame, stopped: threading.Event) -> Published:
        """Rows of one partition, batch by batch, until `stopped`."""
        out = Published()
        for chunk in rows.iter_slices(APPEND_RECORDS):
            if stopped.is_set():
                break
            records = _records(chunk, encode_frame(schema, chunk))
            out += _counted(self._log.append(schema.topic, chunk["_partition"][0], records))
        return out


def _require_ids(record: str, events: pl.DataFrame) -> None:
    """Raise MalformedEvent unless every event_id is a UUID as logs compare it: text, lower case, with hyphens."""
    ids = events.get_column("event_id", default=pl.Series("event_id", [None] * events.height, pl.String))
    if ids.dtype != pl.String:
        raise _no_id(f"{record}: event_id is a column of {ids.dtype}; make it text")
    canonical = (ids.str.contains(UUID_TEXT) & (ids == ids.str.to_lowercase())).fill_null(False)
    if not canonical.all():
        row = int(canonical.not_().arg_max() or 0)
        raise _no_id(
            f"{record} row {row} (the first is 0): event_id {ids[row]!r} is no UUID in lower case; "
            "event_id_for() makes one of a natural key"
        )


def _no_id(message: str) -> MalformedEvent:
    return MalformedEvent(message, field="event_id")


def _partitions_of(keys: pl.Series, partitions: int) -> pl.Series:
    """`partition_of` for a column of keys (String)."""
    different = keys.unique()
    checksums = pl.Series(list(map(zlib.crc32, different.cast(pl.Binary).to_list())), dtype=pl.Int64)
    return keys.replace_strict(different, checksums % partitions, return_dtype=pl.Int32)


def _records(rows: pl.DataFrame, values: pl.Series) -> list[Record]:
    return list(map(Record, rows["_key"].to_list(), values.to_list(), rows["event_id"].to_list()))


def _counted(answers: Sequence[Appended]) -> Published:
    conflicts = tuple(answer for answer in answers if answer.conflict)
    duplicates = sum(answer.duplicate for answer in answers)
    return Published(len(answers) - duplicates - len(conflicts), duplicates, conflicts)

"""A log in memory that takes everything, as Kafka does: duplicates are admission's business."""

from collections.abc import Sequence

from tillroll.log.memory import MemoryLog
from tillroll.log.port import Appended, Position, Record

__all__ = ["UnsettledLog"]


class UnsettledLog(MemoryLog):
    """A MemoryLog whose append does not settle duplicates."""

    settles_duplicates = False

    def _settle(
        self, topic: str, partition: int, records: Sequence[Record], end: int
    ) -> tuple[list[Appended], list[Record]]:
        return [Appended(Position(topic, partition, end + n)) for n in range(len(records))], list(records)

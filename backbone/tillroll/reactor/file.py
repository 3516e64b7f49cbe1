"""A reactor that appends events to a file, one JSON object a line, each exactly once."""

import json
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from tillroll.errors import ConfigurationError
from tillroll.reactor.port import Reaction

__all__ = ["FileReactor"]

TAIL_BYTES = 16 << 20  # where the lines of an interrupted act are looked for; an act writes less


class FileReactor:
    """Appends to `path`, which may be moved away at any time (a new one is begun); `name` as in Reactor.

    A line holds the event's fields as JSON, with ``event`` (its type), topic, partition, offset and recorded_at.
    A line that was cut off by a crash is taken away before the next is written.
    """

    def __init__(self, name: str, path: Path, records: Iterable[str]):
        self.name, self._path, self._records = name, path, frozenset(records)

    def records(self) -> Collection[str]:
        """See Reactor."""
        return self._records

    def act(self, reactions: Sequence[Reaction]) -> None:
        """See Reactor. Raises ConfigurationError when the file cannot be written."""
        try:
            with self._path.open("ab+") as file:
                tail = _tail(file.fileno())
                _cut_torn_line(file.fileno(), tail)
                written = _ids(tail) if any(each.again for each in reactions) else frozenset[str]()
                new = [each for each in reactions if not (each.again and each.event.event_id in written)]
                file.write(b"".join(_line(each) for each in new))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigurationError(
                f"the reactor {self.name} cannot write {self._path}: {error.strerror}; mend that, then start it again"
            ) from error

    def pass_over(self, reactions: Sequence[Reaction]) -> None:
        """See Reactor."""


def _line(reaction: Reaction) -> bytes:
    topic, partition, offset = reaction.position
    place = {"event": reaction.event.record, "topic": topic, "partition": partition, "offset": offset}
    place["recorded_at"] = reaction.recorded_at.isoformat()
    return (json.dumps(place | reaction.event.model_dump(mode="json"), ensure_ascii=False) + "\n").encode()


def _tail(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))


def _cut_torn_line(descriptor: int, tail: bytes) -> None:
    torn = len(tail) - (tail.rfind(b"\n") + 1)
    if torn:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn)


def _ids(tail: bytes) -> frozenset[str]:
    """The events of the whole lines in `tail`, whose first line may have lost its beginning."""
    found = set()
    for line in tail[: tail.rfind(b"\n") + 1].splitlines():
        try:
            found.add(json.loads(line)["event_id"])
        except (ValueError, KeyError):
            continue
    return frozenset(found)

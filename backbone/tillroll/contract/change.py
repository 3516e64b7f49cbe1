"""What changed between two states of the contract, such as the last release and now, and what it breaks."""

from collections.abc import Iterator
from dataclasses import dataclass

from tillroll.contract.check import Readers
from tillroll.contract.compatibility import incompatibilities
from tillroll.contract.registry import Contract, EventSchema

__all__ = ["Change", "check_change"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change. subject: the record or topic; breaking: what was written or built before may not work any more;
    breaks: the projections that read the record, where it is breaking.
    """

    subject: str
    what: str
    breaking: bool
    breaks: tuple[str, ...] = ()

    def __str__(self) -> str:
        kind = "BREAKING " if self.breaking else ""
        breaks = f"; breaks {', '.join(self.breaks)}" if self.breaks else ""
        return f"{kind}{self.subject}: {self.what}{breaks}"


def check_change(old: Contract, new: Contract, readers: Readers) -> list[Change]:
    """Changes from `old` to `new`, by subject; empty when nothing changed. Raises ContractError for types not allowed."""
    changes = [*_topics(old, new), *_records(old, new)]
    return [_with_readers(change, readers) for change in sorted(changes, key=lambda c: (c.subject, c.what))]


def _with_readers(change: Change, readers: Readers) -> Change:
    if not change.breaking:
        return change
    return Change(change.subject, change.what, True, tuple(sorted(readers.get(change.subject, ()))))


def _topics(old: Contract, new: Contract) -> Iterator[Change]:
    for name in sorted(old.topics.keys() | new.topics.keys()):
        before, after = old.topics.get(name), new.topics.get(name)
        subject = f"topic {name}"
        if after is None:
            yield Change(subject, "is gone", True)
        elif before is None:
            yield Change(subject, "is new", False)
        elif (before.key, before.separator) != (after.key, after.separator):
            yield Change(subject, "makes its keys in another way: one event_id may get two keys", True)
        elif before.partitions > after.partitions:
            yield Change(subject, f"has {after.partitions} partitions and had {before.partitions}", True)
        elif before != after:
            yield Change(subject, "has other settings", False)


def _records(old: Contract, new: Contract) -> Iterator[Change]:
    for record in old.records:
        if record not in new.records:
            yield Change(record, "is gone, but events of it may be in a log", True)
        else:
            yield from _versions(old.versions(record), new.versions(record))
    for record in new.records:
        if record not in old.records:
            yield Change(record, "is new", False)


def _versions(old: tuple[EventSchema, ...], new: tuple[EventSchema, ...]) -> Iterator[Change]:
    before, after = ({schema.version: schema for schema in schemas} for schemas in (old, new))
    for version, schema in before.items():
        now = after.get(version)
        if now is None:
            yield Change(schema.record, f"version {version} is gone, but events of it may be in a log", True)
        else:
            yield from _edits(schema, now)
    for version in after.keys() - before.keys():
        yield from _added(after[version], old)


def _edits(old: EventSchema, new: EventSchema) -> Iterator[Change]:
    if old.id != new.id:
        yield Change(old.record, f"version {old.version} has id {new.id} and had {old.id}", True)
    if old.topic != new.topic:
        yield Change(old.record, f"stands on topic {new.topic} and stood on {old.topic}", True)
    if old.digest != new.digest:
        yield Change(old.record, f"version {old.version} was edited; a change is a new version", True)
    elif old.avro != new.avro:
        yield Change(old.record, f"version {old.version} is described in other words", False)


def _added(new: EventSchema, older: tuple[EventSchema, ...]) -> Iterator[Change]:
    problems = [f"against version {old.version}: {p}" for old in older for p in incompatibilities(old, new)]
    for problem in problems:
        yield Change(new.record, f"version {new.version}, {problem}", True)
    if not problems:
        yield Change(new.record, f"version {new.version} is new, and compatible with all before", False)

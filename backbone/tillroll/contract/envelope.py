"""The envelope: the first fields of every record, same names, types and order everywhere (domain.md 1)."""

from tillroll.contract.avro_types import NO_DEFAULT, Field, Nullable, Primitive, RecordType

__all__ = ["ENVELOPE", "UUID_LENGTH", "UUID_TEXT", "envelope_fault", "own_fields"]

UUID_TEXT = "^(?i:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
"""A UUID as text (RFC 9562, section 4), for Python's and for Polars' regular expressions. What is counted once is
counted once by its event_id, so an event whose id is anything else, or is written in another way, is none."""

UUID_LENGTH = b"\x48"
"""Avro's length of a text of 36 characters."""

ENVELOPE = (
    Field("event_id", Primitive.UUID, "", NO_DEFAULT),
    Field("source", Primitive.STRING, "", NO_DEFAULT),
    Field("source_epoch", Nullable(Primitive.STRING), "", None),
    Field("source_seq", Nullable(Primitive.LONG), "", None),
    Field("channel", Primitive.STRING, "", NO_DEFAULT),
    Field("occurred_at", Primitive.TIMESTAMP, "", NO_DEFAULT),
    Field("business_date", Nullable(Primitive.DATE), "", None),
    Field("correlation_id", Nullable(Primitive.UUID), "", None),
    Field("causation_id", Nullable(Primitive.UUID), "", None),
    Field("training", Primitive.BOOLEAN, "", False),
)
"""Without docs: what the fields mean is said by the schemas, in the same words each time."""


def own_fields(record: RecordType) -> tuple[Field, ...]:
    """The fields behind the envelope."""
    return record.fields[len(ENVELOPE) :]


def envelope_fault(record: RecordType) -> str | None:
    """What is wrong with the envelope of a record; None if nothing is."""
    for at, wanted in enumerate(ENVELOPE):
        if at == len(record.fields) or record.fields[at].name != wanted.name:
            found = record.fields[at].name if at < len(record.fields) else "nothing"
            return f"field {at + 1} of the envelope is {wanted.name}, found {found}"
        if (record.fields[at].type, record.fields[at].default) != (wanted.type, wanted.default):
            return f"{wanted.name} has another type or default than the envelope gives it"
    return None

"""The contract: schemas, their ids, the wire format, and how versions meet."""

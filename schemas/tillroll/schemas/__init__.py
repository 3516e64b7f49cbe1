"""The contract as data: one Avro record per event type, and topics.toml."""

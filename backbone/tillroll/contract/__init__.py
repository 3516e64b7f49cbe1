"""The contract: which events there are, how they stand in bytes and in frames, and what may change."""

"""Publishing events into the log."""

from tillroll.publisher.publisher import Published, Publisher, partition_of

__all__ = ["Published", "Publisher", "partition_of"]

"""What tillroll ships for tests: of projections, of adapters of the log and the store, of handlers.

| module | for |
|---|---|
| kit | given / when / then for a projection, without a database |
| order_free | whether a projection gives the same rows in whatever order events arrive |
| generate | random events of the contract, the same for the same seed |
| log_contract, merge_contract | suites that every log and every store subclasses |
| postgres, kafka | pytest plugins: a fresh database, a broker |
| unsettled | a log in memory that, as Kafka, takes duplicates |
"""

from tillroll.testing.kit import Given, Outcome, event, given

__all__ = ["Given", "Outcome", "event", "given"]

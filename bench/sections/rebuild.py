"""Rebuilding a read model from a log: one history, everybody who can fold it, rows checked."""

from bench.ground import Ground
from bench.histories import History
from bench.histories.flat import FEW, HOT, MANY
from bench.histories.mixed import MIXED
from bench.histories.orders import ORDERS
from bench.loading import BATCH
from bench.measuring import Scenario
from bench.sections import Section
from bench.sizes import Sizes
from bench.stage import Stage

__all__ = ["AS_MANY", "SINGLE", "contenders", "rebuild", "sides"]

SINGLE = "tillroll, PostgresLog of single-event appends"
AS_MANY = "tillroll, PostgresLog, as many events in big batches"


def rebuild(stage: Stage, sizes: Sizes) -> list[Section]:
    """The first history, with every contender."""
    with stage.kafka() as kafka:
        ground = Ground(stage, MANY, sizes.flat, kafka)
        admission = ground.admit()
        everything = ground.loaded.events
        scenarios = contenders(ground, sizes)
        ground.play(scenarios, sizes.runs)
        ground.leave()
    section = Section("flat", MANY.title, MANY.unit, everything).take([*scenarios, admission])
    return [section]


def contenders(ground: Ground, sizes: Sizes) -> list[Scenario]:
    """Everybody who folds flat events, the loop first."""
    slow, more, rows = sizes.slow, sizes.batched, str(ground.expected_file())
    spark = ground.peer(
        "Spark, batch from Kafka to JDBC", "spark", ground.loaded.events, environment="pyspark"
    )
    spark.most = sizes.spark_runs
    return [
        ground.peer("kafka-python loop, commit per event", "loop", slow, commit=1),
        ground.peer(
            "kafka-python loop, commit per event, not waiting for the disk",
            "loop",
            slow,
            commit=1,
            waits=False,
        ),
        ground.peer("kafka-python loop, commit per 500", "loop", sizes.committed, commit=500),
        ground.peer("confluent-kafka batches, fastavro, executemany", "batches", more),
        ground.peer("quixstreams, PostgreSQL sink", "quix", more, environment="quixstreams"),
        ground.eventsourced("eventsourcing on PostgreSQL, tracked projection", slow),
        spark,
        ground.consume("ceiling: librdkafka into nothing"),
        ground.peer("ceiling: COPY of the final rows", "copy_rows", ground.loaded.events, rows=rows),
        ground.tillroll("tillroll, Kafka", "stock_levels"),
        ground.tillroll("tillroll, Kafka, two processes", "stock_levels", processes=2),
        ground.tillroll("tillroll, PostgresLog", "stock_levels", kafka=False),
        ground.appended(SINGLE, "stock_levels", sizes.single, 1),
        ground.appended(AS_MANY, "stock_levels", sizes.single, BATCH),
        ground.tillroll("tillroll store_availability, Kafka", "store_availability"),
        ground.tillroll("tillroll store_availability, PostgresLog", "store_availability", kafka=False),
    ]


def sides(stage: Stage, sizes: Sizes) -> list[Section]:
    """The other histories, with the loop as the measure."""
    sizes_of = ((FEW, sizes.side), (HOT, sizes.side), (ORDERS, sizes.orders), (MIXED, sizes.side))
    return [_side(stage, history, events, sizes) for history, events in sizes_of]


def _side(stage: Stage, history: History, events: int, sizes: Sizes) -> Section:
    with stage.kafka() as kafka:
        ground = Ground(stage, history, events, kafka)
        admission = ground.admit()
        slow = sizes.slow if history.unit == "events" else sizes.slow // 3
        scenarios = [
            ground.peer("kafka-python loop, commit per event", "loop", slow, commit=1),
            ground.tillroll("tillroll, Kafka", ground.model),
            ground.tillroll("tillroll, PostgresLog", ground.model, kafka=False),
        ]
        ground.play(scenarios, sizes.side_runs)
        ground.leave()
    return Section(history.name, history.title, history.unit, ground.loaded.events).take(
        [*scenarios, admission]
    )

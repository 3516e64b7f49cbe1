"""How much of everything a run measures."""

from dataclasses import dataclass, field

__all__ = ["FULL", "QUICK", "SMOKE", "Sizes"]


@dataclass(frozen=True)
class Sizes:
    """One run. Events unless said otherwise.

    slow: what contenders fold that commit event by event; their rate does not depend on how many there are. committed, batched: those
    that commit every 500 events, and those that take batches, so that each runs for some seconds.
    latency: events a second to the seconds that such a load lasts, on each log.
    """

    name: str
    runs: int
    side_runs: int  # of the histories beside the first, of the write side and of growth
    spark_runs: int
    flat: int
    side: int
    orders: int
    single: int
    slow: int
    committed: int
    batched: int
    written: int
    pipelined: int
    imported: int
    fanned: int  # what one, ten and a hundred projections fold
    replayed: int
    compared: int  # rows
    growth: tuple[int, ...]
    projections: tuple[int, ...]
    latency: dict[int, float] = field(default_factory=dict)
    tpcds_scale: float = 0.0  # 0: not at all


QUICK = Sizes(
    name="quick", runs=5, side_runs=3, spark_runs=2, flat=1_000_000, side=200_000, orders=200_000, single=300_000, slow=5_000, committed=30_000,
    batched=100_000, written=1_000, pipelined=20_000, imported=200_000, fanned=20_000, replayed=1_000_000, compared=1_000_000, growth=(100_000, 1_000_000, 3_000_000), projections=(1, 10, 100),
    latency={10: 5.0, 1_000: 6.0, 10_000: 6.0},
)  # fmt: skip
FULL = Sizes(
    name="full", runs=7, side_runs=5, spark_runs=5, flat=1_000_000, side=1_000_000, orders=400_000, single=1_000_000, slow=20_000,
    committed=100_000, batched=500_000, written=20_000, pipelined=100_000, imported=1_000_000, fanned=200_000, replayed=10_000_000, compared=1_000_000, growth=(100_000, 1_000_000, 10_000_000, 50_000_000),
    projections=(1, 10, 100), latency={10: 40.0, 1_000: 60.0, 10_000: 50.0}, tpcds_scale=1.0,
)  # fmt: skip
SMOKE = Sizes(
    name="smoke", runs=1, side_runs=1, spark_runs=1, flat=4_000, side=2_000, orders=400, single=200, slow=200, committed=600, batched=600, written=50, pipelined=600,
    imported=2_000, fanned=500, replayed=2_000, compared=2_000, growth=(1_000, 2_000), projections=(1, 3), latency={10: 1.0, 200: 1.0}, tpcds_scale=0.0,
)  # fmt: skip

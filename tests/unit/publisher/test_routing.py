"""A frame of events goes to the same partitions as each of its events by itself."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tillroll.publisher import partition_of
from tillroll.publisher.publisher import _partitions_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.lists(TEXT, max_size=50), st.integers(1, 64))
def test_a_column_of_keys_is_routed_as_each_key_is(keys: list[str], partitions: int) -> None:
    routed = _partitions_of(pl.Series(keys, dtype=pl.String), partitions)
    assert routed.to_list() == [partition_of(key.encode(), partitions) for key in keys]

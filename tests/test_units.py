"""Units end where the rows say, however these come in; shards share them out, each to one."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.shard import Shard
from labelf_cli.units import UNIT_BYTES, UNIT_ROWS, ShardRows


def batches(rows: int, sizes: list[int], long: set[int]) -> list[pa.RecordBatch]:
    """Numbered rows in batches of some sizes, over and over; some texts fill half a unit."""
    texts = [("x" * (UNIT_BYTES // 2) if at in long else "") + str(at) for at in range(rows)]
    table = pa.table({"text": pa.array(texts, pa.string())})
    found: list[pa.RecordBatch] = []
    start = 0
    while start < rows:
        size = sizes[len(found) % len(sizes)]
        found += table.slice(start, size).to_batches()
        start += size
    return found


def owned(shard: Shard, came: list[pa.RecordBatch]) -> list[int]:
    """Positions of a shard's rows."""
    share, start = ShardRows(shard), 0
    found: list[int] = []
    for batch in came:
        for begin, piece in share.own(batch):
            found += range(start + begin, start + begin + piece.num_rows)
        start += batch.num_rows
    return found


@given(
    st.integers(0, 3 * UNIT_ROWS + 5),
    st.lists(st.integers(1, 5000), min_size=1, max_size=4),
    st.sets(st.integers(0, 3 * UNIT_ROWS), max_size=4),
    st.integers(1, 5),
)
def test_each_row_is_one_shards_however_it_comes(
    rows: int, sizes: list[int], long: set[int], count: int
) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    found = [owned(shard, batches(rows, sizes, long)) for shard in shards]
    assert sorted(at for its in found for at in its) == list(range(rows))
    assert found == [owned(shard, batches(rows, [rows or 1], long)) for shard in shards]
    if not long:
        assert found[0] == [at for at in range(rows) if at // UNIT_ROWS % count == 0]

"""How much faster two nodes of one core each are than one, with ``--engine ray``.

    pip install -e '.[ray]'
    python -m benchmarks.ray --model MODEL_FOLDER --rows 60000

Counted is from when every actor has labelled its first item, so that starting and loading
are left out, to the last item. Both runs have the same items and have to give the same rows, which
should be so many that each run takes a minute. It needs two quiet cores, since the nodes are
processes of one machine.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.dataset

from benchmarks.job import WORK
from benchmarks.texts import Table, write_table
from labelf_cli.config import Config
from labelf_cli.engines.ray import RayEngine
from labelf_cli.run_settings import RunSettings

SHORTEST, LONGEST = 4, 48
"""Words of a text, as of the table short."""


def main() -> None:
    """Run on one node, then on two."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=WORK / "minilm" / "fp32" / "sentiment")
    parser.add_argument("--rows", type=int, default=20_000)
    asked = parser.parse_args()
    config = Config.model_validate({"models": [{"name": "m", "path": asked.model.resolve()}]})
    with TemporaryDirectory() as folder:
        source = Path(folder) / "texts.csv"
        write_table(Table(asked.rows, SHORTEST, LONGEST), source)
        rates, tables = [], []
        for nodes in (1, 2):
            output = Path(folder) / f"out{nodes}"
            rate, seconds = run(RunSettings(config, (str(source),), 1, output), nodes)
            print(f"{nodes} node(s): {rate:,.1f} rows/s over {seconds:.0f} s")
            rates.append(rate)
            tables.append(pa.dataset.dataset(output).to_table().sort_by("labelf.row").to_pylist())
    print(f"ratio {rates[1] / rates[0]:.2f}; the same rows: {tables[0] == tables[1]}")


@contextmanager
def cluster(nodes: int) -> Iterator[str]:
    """A cluster of nodes with one core each; its address."""
    from ray.cluster_utils import Cluster

    its = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(nodes):
        its.add_node(num_cpus=1)
    its.wait_for_nodes()
    try:
        yield its.address
    finally:
        its.shutdown()


def run(settings: RunSettings, nodes: int) -> tuple[float, float]:
    """Rows a second once the actors are ready, and the seconds over which that was counted."""
    seen: list[tuple[float, int]] = []
    with cluster(nodes) as address:
        RayEngine(address).run(settings, lambda at: seen.append((time.monotonic(), at.rows)))
    # The first call tells that nothing is done yet; then each item is told once.
    ready, done = seen[nodes], seen[-1]
    seconds = done[0] - ready[0]
    return (done[1] - ready[1]) / seconds, seconds


if __name__ == "__main__":
    main()

"""Whole models on one thread and two, in turn with the peers in the same run."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from quaver import bench
from tables import record
from zoo import bert
from zoo import cache as zoo

# Those with a fixed size of input; the others: compare.
FIXED = [network for network in zoo.ALL if network not in bert.NETWORKS]
MODELS = [name for network in FIXED for name in (network, f"{network}-int8")]
ROUNDS = 9


def _installed(peer: str) -> bool:
    try:
        __import__(peer)
    except ImportError:
        return False
    return True


PEERS = [peer for peer in bench.PEERS if _installed(peer)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("model", MODELS)
def test_model(benchmark: BenchmarkFixture, model: str, threads: int) -> None:
    path = str(zoo.path(model))
    results = bench.bench(path, against=PEERS, threads=[threads], rounds=ROUNDS)
    for one in results:
        ratio = "" if one.runtime == "quaver" else f"{one.ratio:.2f}"
        record(
            "models",
            model,
            str(threads),
            one.runtime,
            f"{one.median_ms:.2f}",
            f"{one.p10_ms:.2f}",
            ratio,
        )
        benchmark.extra_info[one.runtime] = one._asdict()
    ours = bench.ours(path, bench.made_inputs(path, {}), threads)
    benchmark.pedantic(ours.run, rounds=ROUNDS, warmup_rounds=2)
    assert results[0].median_ms > 0

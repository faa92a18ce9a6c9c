import importlib.util

import numpy as np
import pytest

from dsmodel.pools import bitmap, compiled
from dsmodel.pools.offsets import OffsetPool

needs_numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None,
    reason="NUMBA IS NOT INSTALLED: the compiled way of the exact random sequence stays untested; pip install numba",
)


def pool_of(usable, band, used):
    pool = OffsetPool(usable, first=3, band_offset=band, strategy="scan")
    pool.occupy(used.astype(np.uint64) + np.uint64(3))
    return pool


def draws(monkeypatch, prober, pool, counts):
    """Return what batches grant when ``prober`` is at hand, and the state they leave."""
    monkeypatch.setattr(compiled, "prober", lambda: prober)
    monkeypatch.setattr(bitmap, "_WORTH_COMPILING", 1)
    pool, rng = pool.copy(), np.random.default_rng(4)
    taken = [pool.allocate_next(n, rng=rng).tolist() for n in counts]
    return taken, pool.snapshot(), pool.used


@pytest.mark.parametrize("seed", range(25))
def test_probing_words_gives_what_vectors_give(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    usable = int(rng.integers(1, 400))
    band = int(rng.integers(0, usable))
    pool = pool_of(usable, band, np.flatnonzero(rng.random(usable) < rng.choice([0.0, 0.5, 0.98])))
    counts = [usable // 3, 2, usable]
    with np.errstate(over="ignore"):
        assert draws(monkeypatch, compiled.probe, pool, counts) == draws(monkeypatch, None, pool, counts)


@needs_numba
@pytest.mark.parametrize("share", [0.3, 0.9, 1.0])
def test_compiled_probing_gives_what_vectors_give(monkeypatch, share):
    usable = 200_011
    pool = pool_of(usable, 256, np.random.default_rng(1).permutation(usable)[: usable // 4])
    counts = [int(pool.free * share), 1000]
    prober = compiled.prober()
    assert prober is not None
    assert draws(monkeypatch, prober, pool, counts) == draws(monkeypatch, None, pool, counts)


@needs_numba
def test_without_a_patch_large_batches_are_compiled_and_small_ones_are_not(monkeypatch):
    asked = []
    prober = compiled.prober()
    monkeypatch.setattr(compiled, "prober", lambda: asked.append(1) or prober)
    pool = OffsetPool(1 << 18, strategy="scan", rng=np.random.default_rng(1))
    pool.allocate_next(100)
    assert not asked
    assert len(np.unique(pool.allocate_next(1 << 17))) == 1 << 17
    assert asked == [1]


def test_where_starts_crowd_the_rest_is_left_to_vectors(monkeypatch):
    class Same:
        def integers(self, _low, _high, size, *, dtype, **_):
            return np.full(size, 70, dtype=dtype)

    monkeypatch.setattr(compiled, "prober", lambda: compiled.probe)
    monkeypatch.setattr(compiled, "_PATIENCE", 4)
    monkeypatch.setattr(bitmap, "_WORTH_COMPILING", 1)
    pool = OffsetPool(4000, strategy="scan")
    with np.errstate(over="ignore"):
        taken = pool.allocate_next(3500, rng=Same())
    np.testing.assert_array_equal(taken, (np.arange(3500) + 70) % 4000)
    assert pool.used == 3500


def test_without_numba_there_is_no_prober(monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr(compiled.importlib, "import_module", refuse)
    assert compiled.prober.__wrapped__() is None

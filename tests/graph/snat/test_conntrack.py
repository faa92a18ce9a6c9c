"""The conntrack table by cores and version, and the one place where families meet."""

import numpy as np
import pytest

from dsmodel.errors import InvalidInput
from dsmodel.graph.snat import conntrack_max, conntrack_pressure


@pytest.mark.parametrize(
    ("cores", "old", "new"),
    [
        (2, 131_072, 131_072),
        (4, 131_072, 131_072),
        (8, 262_144, 262_144),
        (16, 524_288, 524_288),
        (32, 1_048_576, 1_048_576),
        (64, 2_097_152, 1_048_576),
    ],
)
def test_entries_by_cores(cores, old, new) -> None:
    assert conntrack_max(cores, kube_version="1.20") == old
    assert conntrack_max(cores, kube_version="1.36") == new


@pytest.mark.parametrize(
    ("settings", "version", "expected", "why"),
    [
        ({"max_per_core": 0}, "1.36", 0, "left as it is"),
        (
            {"minimum": 2_000_000},
            "1.36",
            2_000_000,
            "the minimum itself is not capped",
        ),
        ({"minimum": 0}, "1.20", 131_072, "4 x 32,768"),
        ({"max_per_core": 524_288, "minimum": 3_000_000}, "1.36", 1_048_576, "a capped value does not look at it"),
        ({"max_per_core": 524_288, "minimum": 3_000_000}, "1.20", 3_000_000, "before, the larger of the two"),
    ],
)
def test_settings(settings, version, expected, why) -> None:
    assert conntrack_max(4, kube_version=version, **settings) == expected, why


def test_two_saturated_destinations_fill_a_small_node() -> None:
    found = conntrack_pressure(2 * 64_512, 0, usable=conntrack_max(4, kube_version="1.36"))
    assert found.used_ratio[0] == pytest.approx(0.984, abs=0.001)
    assert found.is_alarm[0]
    assert found.refused_ratio[0] == 0


def test_load_of_one_family_refuses_the_other() -> None:
    found = conntrack_pressure([131_072 * 2, 100], [0, 100], usable=131_072)
    assert found.refused_ratio.tolist() == [0.5, 0]
    assert "refuses new connections of both families" in found.why(0)
    assert "0 by IPv6" in found.why(0)


def test_a_table_that_nobody_knows() -> None:
    found = conntrack_pressure(10, 20, usable=0)
    assert np.isnan(found.used_ratio[0])
    assert np.isnan(found.refused_ratio[0])
    assert not found.is_alarm[0]
    assert "unknown how many there are (nf_conntrack_max)" in found.why(0)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(InvalidInput, match="a count is negative"):
        conntrack_pressure(-1, 0, usable=1)

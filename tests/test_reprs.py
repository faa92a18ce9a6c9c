"""Whatever has a repr in a notebook says there what it says as text, safely, and the same every time."""

import html
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from egress_clusters import cluster_of
from IPython.lib.pretty import pretty

import dsmodel as ds
from dsmodel.planning.layout import ClusterDemand

HOSTILE = "<script>alert('&')"


def cluster(name: str = "a") -> ds.Cluster:
    made = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.244.0.0/22", "fd00:10:244::/62"]))
    made.add_nodes([name, f"{name}-2"], zone=name, node_pool=name)
    made.add_pods(np.zeros(3, np.int32), names=[f"{name}-{row}" for row in range(3)], namespace=[name] * 3)
    return made


def forecast(name: str = "a") -> Any:
    growth = ds.Growth(per_day=1)
    from dsmodel.planning.scenario.demands import Demand

    demand = ds.Scenario.of("2026-01-01", Demand("nodes", growth, node_pool=name), law="expected")
    return ds.forecast(cluster(name), demand, horizon="90d", trajectories=1)


def replayed(_name: str) -> Any:
    demand = ds.Scenario.of("2026-01-01", nodes_per_week=7)
    return ds.forecast(cluster(), demand, horizon="30d", trajectories=2, mode="replay", rng=np.random.default_rng(1))


def migration(_name: str) -> Any:
    ranges = {"pods": "fd00:10:244::/56", "services": "fd00:10:96::/112"}
    return ds.plan_migration(ds.examples.single_stack_ipv4(), ranges=ranges)


def layout(name: str) -> Any:
    demand = ClusterDemand(nodes=20, services=50, name=name)
    return ds.plan_layout(demand, ["10.0.0.0/16", "fd00:1::/48"])


def trace(name: str) -> Any:
    made = cluster_of(nodes=(name, "b"), pods=((name, "cart", name), ("shop", "web", "b")))
    return ds.trace(made, f"{name}/cart", {name: ["192.0.2.1", "2001:db8::1"]})


def pool(_name: str) -> Any:
    made = ds.AddressRange(ds.Cidr("10.96.0.0/24"), reserve_first=1, band_offset=16)
    made.allocate_next(3, rng=np.random.default_rng(1))
    return made


def findings(name: str) -> Any:
    return ds.check(cluster(name), peers={name: "10.244.0.0/23"})


SHOWN: dict[str, Callable[[str], Any]] = {
    "AddressRange": pool,
    "Cidr": lambda _name: ds.Cidr("10.0.0.0/8"),
    "CidrSet": lambda _name: ds.CidrSet(ds.Cidr("10.0.0.0/16"), 24),
    "Cluster": cluster,
    "Cluster without anything": lambda _name: ds.Cluster(ds.ClusterConfig.of()),
    "ClusterConfig": lambda _name: ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"], max_pods=200),
    "Forecast": forecast,
    "Forecast, replayed": replayed,
    "Layout": layout,
    "Migration": migration,
    "PortRange": lambda _name: ds.PortRange(30000, 32767),
    "Scenario": lambda name: forecast(name).demand,
    "Trace": trace,
    "check_config": lambda _name: ds.check_config(ds.ClusterConfig.of(max_pods=9999)),
    "findings": findings,
}


def test_a_pool_counts_each_of_its_bands() -> None:
    made = ds.AddressRange(ds.Cidr("10.96.0.0/24"), reserve_first=1, band_offset=16, strategy="lowest")
    made.allocate_next(241)  # the dynamic band is full, two of the static one are taken
    rows = {name: cells for name, *cells in made._card().sections[0].rows}
    assert rows == {"all": ["255", "241", "14"], "static band": ["16", "2", "14"], "dynamic band": ["239", "239", "0"]}
    assert "never handed out" in pretty(made)
    wide = ds.AddressRange(ds.Cidr("fd00::/64"))
    assert "about 2^64" in pretty(wide)


def words(text: str) -> list[str]:
    """Words in order; the colon behind a title is the layout's."""
    return [word.removesuffix(":") for word in text.split() if word != ":"]


def read(fragment: str) -> list[str]:
    """The words that a reader of the HTML sees."""
    return words(" ".join(html.unescape(part) for part in re.findall(r">([^<>]+)<", fragment)))


@pytest.fixture(params=SHOWN)
def make(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    return SHOWN[request.param]


def test_text_and_html_say_the_same(make: Callable[[str], Any]) -> None:
    thing = make("a")
    assert words(pretty(thing)) == read(thing._repr_html_())


def test_it_says_the_same_every_time(make: Callable[[str], Any]) -> None:
    one, other = make("a"), make("a")
    assert pretty(one) == pretty(other)
    assert one._repr_html_() == other._repr_html_()
    assert not re.search(r"0x[0-9a-f]{6,}", pretty(one) + repr(one))


def test_it_loads_nothing_runs_nothing_and_reads_in_light_and_dark(make: Callable[[str], Any]) -> None:
    shown = make("a")._repr_html_()
    assert not re.search(r"\sid=|<script|<link|<img|src=|url\(|@import|[^-]color:|on\w+=", shown)
    assert all(url.startswith("https://") for url in re.findall(r'href="([^"]*)"', shown))
    assert shown.count("<a ") == len(re.findall("href=", shown))


def test_hostile_names_stay_text(make: Callable[[str], Any]) -> None:
    thing = make(HOSTILE)
    shown = thing._repr_html_()
    assert "<script" not in shown
    assert set(re.findall(r"</?(\w+)", shown)) <= {
        "a",
        "details",
        "div",
        "strong",
        "summary",
        "table",
        "td",
        "th",
        "tr",
    }
    assert words(pretty(thing)) == read(shown)


def test_a_notebook_takes_both(make: Callable[[str], Any]) -> None:
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(make("a"))
    assert data["text/html"] == make("a")._repr_html_()
    assert data["text/plain"] == pretty(make("a"))

"""Move one control of each explorer, and draw the map of ten million pods.

A control should answer within 100 ms on the example clusters. The map runs against the obvious way: every address of
every pod through `ipaddress`, counted by the block it lies in.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from measure import Row, race

import dsmodel as ds
from dsmodel.widgets import (
    AddressMapExplorer,
    CapacityExplorer,
    EgressExplorer,
    ExhaustionExplorer,
    PlanExplorer,
    PolicyExplorer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_NS = 100e6
CELLS = 4096


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield a row an explorer, and the map."""
    explorers = {
        "capacity": (CapacityExplorer(ds.examples.kubeadm_dual_stack()), "nodes", (7, 8)),
        "policy": (PolicyExplorer(), "ip_family_policy", ("PreferDualStack", "RequireDualStack")),
        "exhaustion": (ExhaustionExplorer(ds.examples.nearly_full()), "step", (1, 2)),
        "address map": (AddressMapExplorer(ds.examples.nearly_full()), "zoom", (1, 2)),
        "egress": (EgressExplorer(ds.examples.kubeadm_dual_stack()), "port", (80, 443)),
        "plan": (PlanExplorer(ds.examples.kubeadm_dual_stack()), "nodes", (7, 8)),
    }
    for name, (explorer, control, values) in explorers.items():
        turn = iter(values * 100)

        def move(explorer=explorer, control=control, turn=turn) -> None:
            explorer.controls[control].value = next(turn)

        own = race(move, {}, items=1, rounds=4 if quick else 10).own_ns
        yield Row(f"move a control: {name}", "example", own, limits={"own ns": MOST_NS})
    yield _map(100_000 if quick else 10_000_000, 10_000 if quick else 100_000)


def _map(pods: int, peer_pods: int) -> Row:
    """Race the map of a cluster."""
    cluster = ds.examples.synthetic(nodes=pods // 100, pods=pods, services=10, rng=np.random.default_rng(1))
    whole = str(cluster.config.cluster_cidrs[0])
    texts = [str(text) for text in cluster.pods.take(np.arange(peer_pods)).to_frame()["pod_ipv4"]]
    first, shift = int(ipaddress.ip_network(whole).network_address), 32 - ipaddress.ip_network(whole).prefixlen - 12

    def one_by_one() -> None:
        Counter((int(ipaddress.ip_address(text)) - first) >> shift for text in texts)

    def ours() -> None:
        ds.reports.address_map(cluster, whole, cells=CELLS)

    found = race(
        ours,
        {"ipaddress + Counter": one_by_one},
        items=pods,
        peer_items={"ipaddress + Counter": peer_pods},
        rounds=3,
    )
    return Row("map of a range", f"{pods:,} pods", found.own_ns, found.peers, goals={"ipaddress + Counter": 50})

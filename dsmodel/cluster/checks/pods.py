"""Rules about pods: whose addresses they have, in which families, and what host-local's files say of them.

What it does not know: network plugins other than host-local; where one is known, `dsmodel.cluster.checks.plugins` has
the rule about addresses outside its ranges. An address is never called leaked because a pod shows one family only: a
container keeps all its files as long as a pod has one.

Sources: ``pkg/kubelet/kubelet_pods.go`` of v1.36.2; ``plugins/ipam/host-local/backend/disk/backend.go`` of
containernetworking/plugins; containernetworking/plugins#252, k3s-io/k3s#4682, projectcalico/calico#5044.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import family_of
from dsmodel.addresses.cidr import format_address, parse_address
from dsmodel.cluster.checks.repeats import repeated
from dsmodel.cluster.checks.rules import ENDS, Rule, address_text, cidr_text, each, pod_name, shared
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from dsmodel.cluster.checks.rules import Breach, Subject

__all__ = ["POD_RULES"]

_SHOWN = 3  # addresses of one node that are written out


def _same_address(subject: Subject) -> list[Breach]:
    """Find addresses that two pods hold."""
    pods, found = subject.cluster.pods, []
    for end in ENDS.values():
        rows = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"])
        column = pods[f"pod_{end}"]
        later, earlier = repeated(column[rows])
        found += shared(
            (rows[later], rows[earlier]), named=partial(pod_name, pods), value=partial(address_text, column)
        )
    return found


def _outside_block(subject: Subject) -> list[Breach]:
    """Find addresses that host-local on the pod's node cannot have given."""
    if subject.places is None and subject.cluster.network_plugin is not None:
        return []  # the plugin has a rule of its own
    pods, found = subject.cluster.pods, []
    for family, end in ENDS.items():
        holds = pods[f"has_pod_{end}"] & pods["holds_address"]
        outside = np.flatnonzero(holds & ~subject.inside[family])
        found += each(outside, _outside(subject, pods[f"pod_{end}"]))
    return found


def _outside(subject: Subject, column: NDArray[Any]) -> Callable[[int], Breach]:
    """Say where an address should lie."""
    pods, nodes = subject.cluster.pods, subject.cluster.nodes
    family = family_of(column)
    end = ENDS[family]
    bases, lengths, names = nodes[f"pod_cidr_{end}"], nodes[f"pod_cidr_{end}_mask"], nodes["name"]

    def breach(row: int) -> Breach:
        node = int(pods["node"][row])
        if node < 0:
            where = "and its node is not among the nodes"
        elif not lengths[node]:
            where = f"and Node/{names[node]} has no {family} podCIDR"
        else:
            where = f"outside {cidr_text(bases, lengths, node)} of Node/{names[node]}"
        return pod_name(pods, row), f"has {address_text(column, row)}, {where}"

    return breach


def _one_family(subject: Subject) -> list[Breach]:
    """Find pods that show one address on a node with two blocks."""
    pods, nodes = subject.cluster.pods, subject.cluster.nodes
    dual = nodes["has_pod_cidr_ipv4"] & nodes["has_pod_cidr_ipv6"]
    if not dual.any():
        return []
    one = pods["holds_address"] & (pods["has_pod_ipv4"] ^ pods["has_pod_ipv6"]) & (pods["node"] >= 0)
    rows = np.flatnonzero(one)
    rows = rows[dual[pods["node"][rows]]]
    return each(
        rows,
        lambda row: (
            pod_name(pods, row),
            f"shows an {'IPv4' if pods['has_pod_ipv4'][row] else 'IPv6'} address only, on a node with both blocks",
        ),
    )


def _addresses_by_node(subject: Subject) -> dict[str, set[str]]:
    """List the addresses of the pods on each node that a host-local state is given for."""
    pods = subject.cluster.pods
    rows = {str(name): row for row, name in enumerate(subject.cluster.nodes["name"].tolist())}
    result: dict[str, set[str]] = {}
    for name in subject.host_local:
        on_node = pods["holds_address"] & (pods["node"] == rows[name])
        places = {end: np.flatnonzero(on_node & pods[f"has_pod_{end}"]) for end in ENDS.values()}
        result[name] = {
            address_text(pods[f"pod_{end}"], row) for end, found in places.items() for row in found.tolist()
        }
    return result


def _canonical(state: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the owners of a state's addresses, addresses in canonical form."""
    return {format_address(*parse_address(text)): owner for text, owner in state.get("reserved", {}).items()}


def _files_left_behind(subject: Subject) -> list[Breach]:
    """Find files of containers of which no address is on a pod any more."""
    found = []
    for name, live in sorted(_addresses_by_node(subject).items()):
        held = _canonical(subject.host_local[name])
        owners = {owner for address, owner in held.items() if address in live}
        lost = [f"{address} of {owner}" for address, owner in held.items() if owner not in owners]
        if lost:
            text = ", ".join(lost[:_SHOWN]) + (f" and {len(lost) - _SHOWN:,} more" if len(lost) > _SHOWN else "")
            pods = len(owners)
            found.append(
                (
                    f"Node/{name}",
                    (
                        f"host-local holds {counted(len(held), 'address')} for {counted(pods, 'pod')}: "
                        f"{len(lost):,} belong to "
                        f"containers that are gone: {text}"
                    ),
                )
            )
    return found


def _files_missing(subject: Subject) -> list[Breach]:
    """Find pods whose address no file reserves."""
    found = []
    for name, live in sorted(_addresses_by_node(subject).items()):
        missing = sorted(live - set(_canonical(subject.host_local[name])))
        if missing:
            text = ", ".join(missing[:_SHOWN]) + (
                f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
            )
            found.append((f"Node/{name}", f"pods use {text}, and host-local has no file that reserves it"))
    return found


POD_RULES = (
    Rule(
        "pod-address-duplicate",
        "error",
        "two pods have the same address",
        "recreate one of them",
        "host-local reserves an address once: plugins/ipam/host-local/backend/disk/backend.go, Reserve",
        _same_address,
        at_reading=True,
    ),
    Rule(
        "pod-outside-node-block",
        "warning",
        "a pod's address lies outside its node's block",
        "it is not counted against a node's block; name the network plugin if it keeps pools of its own",
        "plugins/ipam/host-local/backend/allocator/range.go",
        _outside_block,
        at_reading=True,
        by_plugin=True,
    ),
    Rule(
        "pod-one-family",
        "info",
        "a pod on a dual-stack node shows an address of one family",
        "pods keep the addresses they started with; recreate the pod once its node and plugin have both families",
        "pkg/kubelet/kubelet_pods.go, sortPodIPs",
        _one_family,
    ),
    Rule(
        "host-local-leak",
        "warning",
        "host-local keeps files of containers that are gone",
        "drain the node, stop the runtime, and delete these files (the runtime should clear the directory at boot)",
        "containernetworking/plugins#252; k3s-io/k3s#4682, #5885",
        _files_left_behind,
    ),
    Rule(
        "host-local-missing",
        "warning",
        "a pod's address has no file in host-local's directory, so it may be given out twice",
        "recreate the pods before others get their addresses",
        "plugins/ipam/host-local/backend/disk/backend.go, Reserve",
        _files_missing,
    ),
)

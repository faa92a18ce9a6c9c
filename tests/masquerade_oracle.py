"""A small cluster with node addresses, and masquerading decided the slow way: one flow, one rule at a time."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsmodel import ClusterConfig
from dsmodel.addresses.arrays import empty
from dsmodel.addresses.cidr import Cidr, IPFamily, format_address, parse_address
from dsmodel.addresses.text import parse_addresses
from dsmodel.cluster.schema import NODES, PODS
from dsmodel.cluster.state import Cluster
from dsmodel.cluster.table import Table
from dsmodel.graph.flows import Flows, Translation
from dsmodel.graph.masquerade.evaluation import DELIVERED
from dsmodel.graph.rules import LOCAL, LOOPBACK, OWN_POD_CIDR, Action, AddressSet, Backend, Chain, Match, Rule, Special

NODE = {IPFamily.IPV4: ("10.0.0.1", "10.0.0.2"), IPFamily.IPV6: ("fd00:a::1", "fd00:a::2")}
POD_CIDR = {
    IPFamily.IPV4: ("10.244.0.0/24", "10.244.1.0/24"),
    IPFamily.IPV6: ("fd00:10:244::/64", "fd00:10:244:1::/64"),
}
CLUSTER_CIDR = {IPFamily.IPV4: "10.244.0.0/16", IPFamily.IPV6: "fd00:10:244::/56"}
POD = {IPFamily.IPV4: "10.244.0.5", IPFamily.IPV6: "fd00:10:244::5"}
NEIGHBOUR = {IPFamily.IPV4: "10.244.0.9", IPFamily.IPV6: "fd00:10:244::9"}  # a pod of the same node
REMOTE = {IPFamily.IPV4: "10.244.1.7", IPFamily.IPV6: "fd00:10:244:1::7"}  # a pod of the other node
INTERNET = {IPFamily.IPV4: "8.8.8.8", IPFamily.IPV6: "2600:1f00::8"}
FAMILIES = tuple(IPFamily)


def cluster(*, internal: bool = True) -> Cluster:
    """Two nodes with pod CIDRs and addresses of both families."""
    columns: dict[str, Any] = {"name": ["worker-1", "worker-2"]}
    for family, end in ((IPFamily.IPV4, "ipv4"), (IPFamily.IPV6, "ipv6")):
        cidrs = [Cidr(text) for text in POD_CIDR[family]]
        columns[f"pod_cidr_{end}"] = parse_addresses([str(c).split("/")[0] for c in cidrs], family=family)
        columns[f"pod_cidr_{end}_mask"] = [c.prefix_length for c in cidrs]
        if internal:
            columns[f"internal_{end}"] = parse_addresses(list(NODE[family]), family=family)
    config = ClusterConfig.of(
        cluster_cidrs=list(CLUSTER_CIDR.values()), service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"]
    )
    pods = {
        "node": np.zeros(1, np.int32),
        "name": ["cart"],
        "pod_ipv4": parse_addresses([POD[IPFamily.IPV4]], family="IPv4"),
        "pod_ipv6": parse_addresses([POD[IPFamily.IPV6]], family="IPv6"),
    }
    return Cluster.from_tables(config, nodes=Table(NODES, columns), pods=Table(PODS, pods))


def flows(
    family: IPFamily, pairs: Sequence[tuple[str, str]], *, node: int = 0, host: Sequence[bool] | None = None
) -> Flows:
    """Flows of one node, given as (source, destination)."""
    n = len(pairs)
    starts = np.array(host if host is not None else [source in NODE[family] for source, _ in pairs], np.bool_)
    return Flows(
        parse_addresses([source for source, _ in pairs], family=family) if n else empty(0, family),
        parse_addresses([destination for _, destination in pairs], family=family) if n else empty(0, family),
        node=np.full(n, node, np.int32),
        pod=np.where(starts, -1, 0).astype(np.int32),
        host=starts,
    )


def seen(translation: Translation, family: IPFamily) -> list[str]:
    """Sources after the node, "?" where not known."""
    numbers = translation.source.tolist()
    values = numbers if family is IPFamily.IPV4 else [(high << 64) | low for high, low in numbers]
    return [
        format_address(family, value) if has else "?"
        for value, has in zip(values, translation.has_source.tolist(), strict=True)
    ]


def deciding(translation: Translation) -> list[str]:
    """Names of the deciding rules."""
    return [translation.rules[row] if row >= 0 else "" for row in translation.rule.tolist()]


# the slow way ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packet:
    """One flow as text."""

    source: str
    destination: str
    node: int
    host: bool
    marked: bool


def holds(cidr: Cidr | str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(str(cidr))


def is_in(addresses: AddressSet, address: str, packet: Packet, *, is_source: bool) -> bool:
    family = parse_address(address)[0]
    if any(cidr.family is family and holds(cidr, address) for cidr in addresses.cidrs):
        return True
    answers = {
        Special.LOCAL: address == NODE[family][packet.node] or holds(LOOPBACK[family], address),
        Special.NODE_ADDRESSES: address in NODE[family],
        Special.OWN_POD_CIDR: holds(POD_CIDR[family][packet.node], address),
        Special.POD_CIDRS: any(holds(cidr, address) for cidr in POD_CIDR[family]),
        Special.OWN_PODS: is_source and not packet.host,
    }
    return any(answers[special] for special in addresses.special)


def fits(matches: tuple[Match, ...], address: str, packet: Packet, *, is_source: bool) -> bool:
    return all(is_in(match.addresses, address, packet, is_source=is_source) != match.negated for match in matches)


def rule_fits(rule: Rule, packet: Packet, *, marked: bool) -> bool:
    if rule.marked not in {None, marked} or rule.host not in {None, packet.host}:
        return False
    if not fits(rule.source, packet.source, packet, is_source=True):
        return False
    if not fits(rule.destination, packet.destination, packet, is_source=False):
        return False
    if rule.device is None:
        return True
    return is_in(rule.device.destinations, packet.destination, packet, is_source=False) != rule.device.negated


def enter(chain: Chain, packet: Packet, *, marked: bool) -> tuple[Rule | None, bool]:
    """Return the rule that ends a chain, and whether the packet is still marked."""
    if not fits(chain.entry, packet.destination, packet, is_source=False):
        return None, marked
    for rule in chain.rules:
        if not rule_fits(rule, packet, marked=marked):
            continue
        if rule.action is not Action.CLEAR_MARK:
            return rule, marked
        marked = False
    return None, marked


def walk(chains: Sequence[Chain], packet: Packet) -> tuple[str, str]:
    """Return the source seen ("?" for unknown), and the title of the rule that decided."""
    if not packet.host and is_in(LOCAL, packet.destination, packet, is_source=False):
        return packet.source, DELIVERED
    decided, accepted, marked = "", False, packet.marked
    for chain in chains:
        is_iptables = chain.backend is Backend.IPTABLES
        rule, marked = (None, marked) if is_iptables and accepted else enter(chain, packet, marked=marked)
        if rule is None:
            continue
        decided = f"{chain.component}: {rule.name}" if rule.name else decided
        stays = any(is_in(each, packet.destination, packet, is_source=False) for each in (LOCAL, OWN_POD_CIDR))
        if rule.action is Action.MASQUERADE and stays:
            return "?", decided  # the address of the interface towards the pod
        if rule.action.translates:
            return rule.to or NODE[chain.family][packet.node], decided
        if rule.action is Action.UNKNOWN:
            return "?", decided
        accepted |= is_iptables and rule.action is Action.ACCEPT
    return packet.source, decided

"""What OVN-Kubernetes' annotations say of nodes that may host egress addresses: networks, addresses, capacity.

Promises: an egress address fits a node that has a network holding it; where any node of the dump shows
``k8s.ovn.org/host-cidrs``, a node without it hosts nothing; where none does, a node can host any address of a family
that it has. A cloud's capacity counts per family, or for both together.

What it does not know: links that are down, VRFs, which of several networks is OVN's own.

Sources: ovn-org/ovn-kubernetes ``docs/features/cluster-egress-controls/egress-ip.md``,
``go-controller/pkg/util/node_annotations.go`` (host-cidrs, egress-ipconfig).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.errors import InvalidAddress, InvalidCidr
from dsmodel.graph.gateways.manifests import Manifest, family_of_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.graph.gateways.situation import Situation

__all__ = ["EgressHost", "egress_hosts"]

_HOST_CIDRS: Final = "k8s.ovn.org/host-cidrs"
_CAPACITY: Final = "cloud.network.openshift.io/egress-ipconfig"


@dataclass(frozen=True)
class EgressHost:
    """A node, as far as egress addresses are concerned.

    Parameters
    ----------
    families : frozenset of IPFamily
        It has an InternalIP of these.
    networks : tuple of Cidr or None
        Of its interfaces; None where no node of the dump shows any.
    addresses : frozenset of str
        Of its interfaces, in canonical text.
    capacity : mapping of str to int
        Most egress addresses: by family, or under "both"; what is not there is not limited.
    """

    families: frozenset[IPFamily]
    networks: tuple[Cidr, ...] | None = None
    addresses: frozenset[str] = frozenset()
    capacity: Mapping[str, int] = field(default_factory=dict)

    def fits(self, address: str, hosted: Sequence[str]) -> bool:
        """Say whether it can host one more address.

        Parameters
        ----------
        address : str
            In canonical text.
        hosted : sequence of str
            What it hosts already.

        Returns
        -------
        bool
            By network and capacity.

        Raises
        ------
        None
            Every address has an answer.

        Examples
        --------
        >>> host = EgressHost(frozenset({IPFamily.IPV4}), (Cidr("192.0.2.0/24"),), capacity={"IPv4": 1})
        >>> host.fits("192.0.2.9", []), host.fits("198.51.100.9", []), host.fits("192.0.2.9", ["192.0.2.8"])
        (True, False, False)
        """
        family = family_of_text(address)
        if not (family in self.families if self.networks is None else any(address in each for each in self.networks)):
            return False
        same = sum(family_of_text(each) is family for each in hosted)
        return same < self.capacity.get(family, same + 1) and len(hosted) < self.capacity.get("both", len(hosted) + 1)


def egress_hosts(situation: Situation) -> tuple[dict[int, EgressHost], list[Finding]]:
    """Read the annotations of all nodes.

    Parameters
    ----------
    situation : Situation
        The nodes.

    Returns
    -------
    dict of int to EgressHost
        By row.
    list of (severity, rule, object, message)
        Annotations that cannot be read.

    Raises
    ------
    None
        Everything is a finding.
    """
    shown: dict[int, tuple[list[str] | None, dict[str, int]]] = {}
    findings: list[Finding] = []
    for each in situation.cluster.objects.of("Node", ""):
        node = Manifest(each)
        notes = node.mapping("metadata.annotations")
        row = situation.rows.get(node.name, -1)
        listed = _decoded(node, notes, _HOST_CIDRS)
        cidrs = [str(part) for part in listed] if isinstance(listed, list) else None
        if row >= 0:
            shown[row] = (cidrs, _capacity(_decoded(node, notes, _CAPACITY)))
        findings += node.findings
    is_shown = any(cidrs is not None for cidrs, _ in shown.values())
    hosts = {}
    for row in range(len(situation.names)):
        cidrs, capacity = shown.get(row, (None, {}))
        networks = tuple(_networks(cidrs or [])) if is_shown else None
        families = frozenset(family for family in IPFamily if situation.address(row, family))
        hosts[row] = EgressHost(families, networks, frozenset(_addresses(cidrs or [])), capacity)
    return hosts, findings


def _decoded(node: Manifest, notes: Mapping[str, Any], key: str) -> Any:
    """Decode an annotation that holds JSON; None where it is not there or none."""
    text = notes.get(key)
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        node.find("error", "egress-invalid-field", f"metadata.annotations[{key}]: {error}; it counts as not set")
        return None


def _networks(cidrs: Sequence[str]) -> Iterator[Cidr]:
    """Yield the networks of a node's addresses."""
    for text in cidrs:
        try:
            yield Cidr(text, host_bits="mask")
        except InvalidCidr:
            continue


def _addresses(cidrs: Sequence[str]) -> Iterator[str]:
    """Yield a node's addresses in canonical text."""
    for text in cidrs:
        try:
            yield format_address(*parse_address(text.partition("/")[0]))
        except InvalidAddress:
            continue


def _capacity(config: Any) -> dict[str, int]:
    """Read a cloud's capacity, of the first interface as the cluster manager does."""
    first = config[0] if isinstance(config, list) and config else None
    given = first.get("capacity") if isinstance(first, Mapping) else None
    names = {"ipv4": "IPv4", "ipv6": "IPv6", "ip": "both"}
    if not isinstance(given, Mapping):
        return {}
    return {names[key]: number for key, number in given.items() if key in names and isinstance(number, int)}

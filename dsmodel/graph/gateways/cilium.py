"""CiliumEgressGatewayPolicy: longest prefix a pod over all policies, gateways by name, drop where there is none.

Promises: selectors of pods and of nodes of all items are joined separately and then combined; each gateway entry is the
first matching node by name that has an IPv4 address; of several gateways a hash of the CiliumEndpoint's UID takes one;
excluded CIDRs are keys of the same table, so they cut holes into other policies too. An `egressIP` stands whatever the
other family lacks; without one, a policy with destinations of both families has both addresses or drops both.

What it does not know: interfaces. The InternalIP counts as the address of the device with the default route; the
address of an `interface`, and the other family's address beside an `egressIP` that is no InternalIP, stay unknown.
What selectors mean is the business of `dsmodel.graph.gateways.cilium_labels`.
A node that is down is still chosen, as there is no health check in the open-source product.

Sources: cilium/cilium ``pkg/egressgateway/policy.go``, ``manager.go``, ``bpf/lib/egress_gateway.h``,
``Documentation/network/egress-gateway``; cilium/cilium#38995, #39245, #39246, #40209, #44524, #48660.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import parse_address
from dsmodel.graph.flows import Exit, Verdict
from dsmodel.graph.gateways.behaviours import behaviour
from dsmodel.graph.gateways.cilium_labels import read_labels, read_subject
from dsmodel.graph.gateways.cilium_map import full_maps
from dsmodel.graph.gateways.contract import Claim, GatewayPolicy, Product, Selection, Way
from dsmodel.graph.gateways.manifests import Manifest, family_of_text
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.contract import Route
    from dsmodel.graph.gateways.situation import Situation
    from dsmodel.kube.label_selectors import LabelSelector

__all__ = ["CILIUM", "CiliumGateway", "CiliumPolicy", "claim_cilium", "read_cilium"]

MAX_GATEWAYS = 64
_GATEWAY_FIELDS = ("nodeSelector", "interface", "egressIP")
_FIELDS = {
    "": ("selectors", "destinationCIDRs", "excludedCIDRs", "egressGateway", "egressGateways"),
    "selectors.*": ("podSelector", "namespaceSelector", "nodeSelector"),
    "egressGateway": _GATEWAY_FIELDS,
    "egressGateways.*": _GATEWAY_FIELDS,
}
_PRODUCT = "Cilium"
_NAMESPACES = ("kube-system", "cilium")  # where its settings may be
_SWITCHES = ("enable-egress-gateway", "enable-ipv4-egress-gateway")  # the second is the older name


@dataclass(frozen=True)
class CiliumGateway:
    """One entry of ``egressGateways``.

    Parameters
    ----------
    nodes : LabelSelector
        The first matching node by name that has an IPv4 address serves.
    interface : str
        Whose first address of each family is used; empty for none.
    egress_ip : str
        Canonical text; empty for none.
    """

    nodes: LabelSelector
    interface: str = ""
    egress_ip: str = ""


@dataclass(frozen=True, kw_only=True)
class CiliumPolicy(GatewayPolicy):
    """One CiliumEgressGatewayPolicy.

    Parameters
    ----------
    selection : Selection
        Pods.
    destinations, exclusions : tuple of Cidr
        As in the spec, host bits cleared.
    gateways : tuple of CiliumGateway
        In order.
    ignored : str
        Why the agent takes no notice of the policy; empty where it does.
    """

    kind: str = "CiliumEgressGatewayPolicy"
    selection: Selection = field(default_factory=Selection)
    destinations: tuple[Cidr, ...] = ()
    exclusions: tuple[Cidr, ...] = ()
    gateways: tuple[CiliumGateway, ...] = ()
    ignored: str = ""


def read_cilium(cluster: Cluster, version: str) -> tuple[list[CiliumPolicy], list[Finding]]:
    """Read the policies of a cluster.

    Parameters
    ----------
    cluster : Cluster
        With its objects.
    version : str
        Of Cilium; empty where not known.

    Returns
    -------
    list of CiliumPolicy
        By name; those that the agent rejects say so.
    list of (severity, rule, object, message)
        What is wrong with them.

    Raises
    ------
    None
        Everything is a finding.
    """
    places = (cluster.objects.config_map(namespace, "cilium-config") for namespace in _NAMESPACES)
    settings = next((each for each in places if each is not None), None)
    policies, findings = [], []
    for manifest in cluster.objects.of("CiliumEgressGatewayPolicy", "cilium.io"):
        policy, wrong = _read(Manifest(manifest, fields=_fields(version)), settings, version)
        policies.append(policy)
        findings += wrong
    keys = [(each.selection, (*each.destinations, *each.exclusions)) for each in policies if not each.ignored]
    return policies, [*findings, *full_maps(keys, cluster, settings)]


def claim_cilium(policies: Sequence[GatewayPolicy], situation: Situation) -> Iterator[Claim]:
    """Say what policies do with these nodes.

    Parameters
    ----------
    policies : sequence of CiliumPolicy
        All of them.
    situation : Situation
        The nodes.

    Yields
    ------
    Claim
        One a policy and family with destinations or exclusions.

    Raises
    ------
    None
        A policy that cannot serve drops, and says so.
    """
    for policy in policies:
        if not isinstance(policy, CiliumPolicy) or policy.ignored:
            continue
        ways = {family: _way(policy, family, situation) for family in IPFamily}
        for family in IPFamily:
            way = ways[family]
            if family is IPFamily.IPV6 and _value("IPv6 policies", policy.version) == "ignored":
                row = behaviour(_PRODUCT, "IPv6 policies", version=policy.version)
                way = Way(Verdict.LEAK_FALLTHROUGH, f"Cilium before {row.before} steers no IPv6 ({row.source})")
                held = [block for block in policy.destinations if block.family is family]
                routes: list[Route] = [(block, way) for block in held]
            else:
                routes = [(block, way) for block in policy.destinations if block.family is family]
                routes += [(block, None) for block in policy.exclusions if block.family is family]
            if routes:
                yield Claim(policy, family, tuple(routes), policy.selection)


def _value(name: str, version: str) -> str:
    """Return what a version does; fields that it does not have the API server drops."""
    return behaviour(_PRODUCT, name, version=version).value


def _needs(policy: CiliumPolicy, family: IPFamily) -> bool:
    """Whether the agent derives an address of the family: from destinations only, not from exclusions (#39246)."""
    return any(block.family is family for block in policy.destinations)


def _way(policy: CiliumPolicy, family: IPFamily, situation: Situation) -> Way:
    """Return what a policy does to the family's destinations."""
    found: list[tuple[str, Way]] = []  # by gateway IP, which is always the node's IPv4 address
    is_open = False
    for gateway in policy.gateways:
        rows, unsure = situation.chosen(gateway.nodes)
        # gateways are reached over IPv4 for both families, and a node without it is passed over (#40209)
        row = next((each for each in rows if situation.address(each, IPFamily.IPV4)), -1)
        before = [each for each in situation.unlabelled if row < 0 or situation.names[each] < situation.names[row]]
        is_open |= unsure and any(situation.address(each, IPFamily.IPV4) for each in before)
        if row >= 0:
            found.append(_at(policy, gateway, family, (row, situation)))
    if is_open:
        exits = tuple(dict.fromkeys(each for _, way in found for each in way.exits))
        return Way(Verdict.UNKNOWN, f"{policy.title}: labels of nodes are not known, so its gateway is open", exits)
    if not found:
        reason = f"{policy.title}: no node with an IPv4 address matches, and Cilium drops (no egress gateway)"
        return Way(Verdict.DROPPED_NO_GATEWAY, reason)
    if len(found) == 1:
        return found[0][1]
    ordered = [way for _, way in sorted(found, key=lambda each: parse_address(each[0]))]
    exits = tuple(dict.fromkeys(each for way in ordered for each in way.exits))
    all_serve = all(way.verdict is Verdict.VIA_GATEWAY for way in ordered)
    verdict = Verdict.VIA_GATEWAY if all_serve else Verdict.UNKNOWN
    reason = (
        f"{policy.title}: a hash of the CiliumEndpoint's UID, which is not known, takes one of "
        f"{counted(len(ordered), 'gateway')}"
    )
    reason += "" if all_serve else ", and not all of them serve"
    return Way(verdict, reason, exits, by_pod=tuple(ordered))


def _at(
    policy: CiliumPolicy, gateway: CiliumGateway, family: IPFamily, place: tuple[int, Situation]
) -> tuple[str, Way]:
    """Return the gateway IP of an entry, and what it does on its node."""
    row, situation = place
    node, underlay = situation.name(row), situation.address(row, IPFamily.IPV4)
    if situation.names[row] in situation.failed:
        reason = f"{policy.title}: {node} is down, and Cilium keeps a gateway until its node is gone: nothing arrives"
        return underlay, Way(Verdict.DROPPED_NO_GATEWAY, reason)
    address, known = _egress_address(policy, gateway, family, place)
    if address in situation.failed:
        return underlay, Way(Verdict.DROPPED_NO_EGRESS_IP, f"{policy.title}: {address} is down")
    if known and not address:
        reason = f"{policy.title}: {node} has no {family} egress address, and Cilium drops {family} (no egress IP)"
        return underlay, Way(Verdict.DROPPED_NO_EGRESS_IP, reason)
    (other,) = set(IPFamily) - {family}
    both, why = _needs_both(policy, gateway)
    if both and _needs(policy, other):
        lacking, sure = _egress_address(policy, gateway, other, place)
        if sure and not lacking:
            reason = f"{policy.title}: {node} has no {other} egress address, without which {family} gets none either"
            return underlay, Way(Verdict.DROPPED_NO_EGRESS_IP, f"{reason} ({why})")
    reason = f"{policy.title}: first matching node by name"
    reason += ", reached over IPv4" if family is IPFamily.IPV6 else ""
    if not address:
        reason += f"; the {family} address of its interface is not known"
    return underlay, Way(Verdict.VIA_GATEWAY, reason, (Exit(row, address, node),))


def _needs_both(policy: CiliumPolicy, gateway: CiliumGateway) -> tuple[bool, str]:
    """Tell whether one family without an address leaves the other without one, and where that was read."""
    if gateway.egress_ip:
        row = behaviour(_PRODUCT, "egressIP without other family", version=policy.version)
        return row.value == "both families", row.source
    # addresses are set at the end, after both families have been asked
    return _value("IPv6 policies", policy.version) == "served", "cilium/cilium#38995"


def _egress_address(
    policy: CiliumPolicy, gateway: CiliumGateway, family: IPFamily, place: tuple[int, Situation]
) -> tuple[str, bool]:
    """Return the egress address of a family on a node, and whether that is known; known and empty is none."""
    row, situation = place
    own = situation.address(row, family)
    if gateway.interface:
        return "", not own  # a node without any address of the family has none on the interface either
    if not gateway.egress_ip:
        return own, True
    owner = situation.owners.get(gateway.egress_ip)
    if owner not in {None, row}:  # no device of this node has it
        return "", True
    if family_of_text(gateway.egress_ip) is family:
        return gateway.egress_ip, True
    if _value("other family beside egressIP", policy.version) == "none":
        return "", True
    return (own, True) if owner == row else ("", not own)  # the device that owns it is the one of the InternalIP


def _fields(version: str) -> dict[str, tuple[str, ...]]:
    """Return the fields that a version has."""
    absent = {
        "": () if _value("egressGateways", version) == "read" else ("egressGateways",),
        "selectors.*": () if _value("nodeSelector of selectors", version) == "read" else ("nodeSelector",),
    }
    return {path: tuple(name for name in names if name not in absent.get(path, ())) for path, names in _FIELDS.items()}


def _read(manifest: Manifest, settings: Mapping[str, str] | None, version: str) -> tuple[CiliumPolicy, list[Finding]]:
    """Read one policy, and reject it where the agent does."""
    ignored: list[str] = []
    destinations, fine = manifest.cidrs("spec.destinationCIDRs")
    exclusions, also_fine = manifest.cidrs("spec.excludedCIDRs")
    if not (fine and also_fine):
        ignored.append("a CIDR cannot be parsed")
    if manifest.value("spec.destinationCIDRs") is None:
        ignored.append("there are no destinationCIDRs")
    selection = _selection(manifest, ignored, settings, version)
    listed = manifest.items("spec.egressGateways") if _value("egressGateways", version) == "read" else []
    if not listed and manifest.value("spec.egressGateway") is None:
        ignored.append("there is neither egressGateway nor egressGateways")
    paths = [f"spec.egressGateways.{place}" for place in range(len(listed))] or ["spec.egressGateway"]
    gateways = tuple(_read_gateway(manifest, path, ignored, version) for path in paths)
    if len(gateways) > MAX_GATEWAYS:
        ignored.append(f"{len(gateways)} egressGateways, at most {MAX_GATEWAYS}")
    if listed and manifest.value("spec.egressGateway"):
        words = "egressGateways is not empty, so egressGateway is ignored; drop one of them"
        manifest.find("warning", "egress-gateway-ignored", words)
    if not selection.subjects:
        manifest.find("warning", "egress-selects-nothing", "no selector selects a pod; write spec.selectors")
    if not destinations:
        manifest.find("warning", "egress-selects-nothing", "no destinationCIDRs: no destination is steered")
    policy = CiliumPolicy(
        name=manifest.name,
        version=version,
        selection=selection,
        destinations=tuple(dict.fromkeys(destinations)),
        exclusions=tuple(dict.fromkeys(exclusions)),
        gateways=gateways,
    )
    _judge(policy, manifest, (settings, ignored))
    if ignored:
        policy = dataclasses.replace(policy, ignored="; ".join(ignored))
        words = f"the agent rejects the whole policy: {policy.ignored}; its pods leave by their own nodes"
        manifest.find("error", "egress-policy-rejected", words)
    return policy, manifest.findings


def _selection(manifest: Manifest, ignored: list[str], settings: Mapping[str, str] | None, version: str) -> Selection:
    """Read whom a policy selects: pods of any item, on nodes of any item."""
    subjects, nodes = [], []
    for place in range(len(manifest.items("spec.selectors"))):
        path = f"spec.selectors.{place}"
        has_pods = manifest.value(f"{path}.podSelector") is not None
        has_namespaces = manifest.value(f"{path}.namespaceSelector") is not None
        if (
            _value("nodeSelector of selectors", version) == "read"
            and manifest.value(f"{path}.nodeSelector") is not None
        ):
            nodes.append(read_labels(manifest, f"{path}.nodeSelector", version=version))
        if not has_pods and not has_namespaces:
            ignored.append(f"{path} has neither podSelector nor namespaceSelector")
            continue
        subjects.append(read_subject(manifest, path, version=version, settings=settings))
    return Selection(tuple(subjects), tuple(nodes))


def _read_gateway(manifest: Manifest, path: str, ignored: list[str], version: str) -> CiliumGateway:
    """Read one entry."""
    interface, address = manifest.text(f"{path}.interface"), manifest.address(f"{path}.egressIP")
    if interface and address:
        ignored.append(f"{path} has both interface and egressIP")
    if manifest.value(f"{path}.egressIP") and not address:
        ignored.append(f"{path}.egressIP is no address")
    row = behaviour(_PRODUCT, "IPv6 egressIP", version=version)
    if address and family_of_text(address) is IPFamily.IPV6 and row.value == "refused":
        ignored.append(f"{path}.egressIP is IPv6, which Cilium takes from {row.before} on ({row.source})")
    nodes = read_labels(manifest, f"{path}.nodeSelector", version=version)
    return CiliumGateway(nodes, interface, address)


def _judge(policy: CiliumPolicy, manifest: Manifest, known: tuple[Mapping[str, str] | None, list[str]]) -> None:
    """Find what the agent's settings reject, and what depends on a version that is not known."""
    settings, ignored = known
    if settings is not None:
        ignored += _rejected(policy, settings)
        if settings.get("enable-cilium-endpoint-slice", "").lower() == "true":
            words = "CiliumEndpointSlice is on; agents that do not support both refuse to start (cilium/cilium#24833)"
            manifest.find("warning", "egress-agent-may-refuse", words)
    families = {block.family for block in policy.destinations}
    for family in {block.family for block in policy.exclusions} - families:
        words = f"excludedCIDRs are {family} and no destination is; they still cut holes into other policies"
        manifest.find("warning", "egress-exclusion-alone", words)
    if IPFamily.IPV6 in families and not policy.version:
        row = behaviour(_PRODUCT, "IPv6 policies")
        words = (
            f"the version of Cilium is not known; assumed is {row.since} or newer, not 1.20.0 or 1.20.1 (an egressIP"
        )
        words += " without the other family drops both there); give the version, or the agent's DaemonSet"
        manifest.find("info", "egress-version-assumed", words)
    if len(families) == 1:
        missing = "IPv6" if IPFamily.IPV4 in families else "IPv4"
        words = f"destinations are {next(iter(families))} only: {missing} of the same pods leaves by their own nodes"
        manifest.find("info", "egress-one-family", words)


def _rejected(policy: CiliumPolicy, settings: Mapping[str, str]) -> Iterator[str]:
    """Say why the agent takes no notice of a policy with these settings."""
    if not any(settings.get(key, "").lower() == "true" for key in _SWITCHES):
        yield f"the agent's settings turn egress gateways off (none of {', '.join(_SWITCHES)} is true)"
    for family, switch in ((IPFamily.IPV4, "enable-ipv4-masquerade"), (IPFamily.IPV6, "enable-ipv6-masquerade")):
        served = family is IPFamily.IPV4 or _value("IPv6 policies", policy.version) == "served"
        for key in (switch, "enable-bpf-masquerade") if served and _needs(policy, family) else ():
            if settings.get(key, "true").lower() == "false":
                yield f"it has {family} destinations and {key} is false"


CILIUM = Product(
    _PRODUCT,
    CiliumPolicy,
    read_cilium,
    claim_cilium,
    network="Cilium",
    source="cilium/cilium pkg/egressgateway/policy.go, manager.go",
)
"""Policies of Cilium."""

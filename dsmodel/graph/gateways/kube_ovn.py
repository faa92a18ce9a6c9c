"""VpcEgressGateway of Kube-OVN: gateway pods as next hops by internal family, whatever the external family.

Promises: next hops of a family are the gateway pods with an internal address of it; the family of the external subnet
is not looked at, so a gateway without an external IPv6 address is Ready, serves IPv4, and swallows IPv6; without next
hops traffic is dropped where BFD is on, and falls through where it is not; `trafficPolicy: Local` prefers gateways on
the pod's own node (priority 29150 before 29100, drop 29090).

What it does not know: how equal priorities of two gateways are settled; nothing settles them. Without BFD a gateway
that is gone keeps its share of flows until its pod is evicted; here it is gone at once.

Sources: kubeovn/kube-ovn ``pkg/controller/vpc_egress_gateway.go``, ``pkg/apis/kubeovn/v1/vpc-egress-gateway.go``; that
IPv6 is swallowed is read from the code, and was not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.errors import InvalidAddress, InvalidCidr
from dsmodel.graph.flows import Exit, Verdict
from dsmodel.graph.gateways.contract import EVERYWHERE, Claim, GatewayPolicy, Product, Selection, Subject, Way
from dsmodel.graph.gateways.manifests import Manifest, family_of_text
from dsmodel.kube.label_selectors import LabelSelector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.situation import Situation

__all__ = ["KUBE_OVN", "GatewayPod", "VpcEgressGateway", "claim_kube_ovn", "read_kube_ovn"]

LOCAL_PRIORITY, CLUSTER_PRIORITY, DROP_PRIORITY = 29150, 29100, 29090
_ALL = LabelSelector(())
_TOP = (
    *("vpc", "bgpConf", "evpnConf", "replicas", "prefix", "image", "internalSubnet", "externalSubnet", "internalIPs"),
    *("externalIPs", "selectors", "trafficPolicy", "bfd", "policies", "nodeSelector", "tolerations", "resources"),
    "bandwidth",
)
_FIELDS = {
    "": _TOP,
    "selectors.*": ("podSelector", "namespaceSelector"),
    "policies.*": ("snat", "ipBlocks", "subnets"),
    "bfd": ("enabled", "minRX", "minTX", "multiplier"),
}


@dataclass(frozen=True)
class GatewayPod:
    """One gateway pod, as the status shows it.

    Parameters
    ----------
    node : str
        Its node.
    internal, external : tuple of str
        Addresses, in canonical text.
    """

    node: str
    internal: tuple[str, ...] = ()
    external: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VpcEgressGateway(GatewayPolicy):
    """One VpcEgressGateway.

    Parameters
    ----------
    selections : tuple of (Selection, bool)
        Pods, and whether their source is translated.
    pods : tuple of GatewayPod
        From the status.
    is_local : bool
        ``trafficPolicy: Local``.
    bfd : bool
        Whether dead next hops are noticed, and traffic without any is dropped.
    has_status : bool
        Whether the object shows its workload.
    """

    kind: str = "VpcEgressGateway"
    selections: tuple[tuple[Selection, bool], ...] = ()
    pods: tuple[GatewayPod, ...] = ()
    is_local: bool = False
    bfd: bool = False
    has_status: bool = False


def read_kube_ovn(cluster: Cluster, version: str) -> tuple[list[VpcEgressGateway], list[Finding]]:
    """Read the VpcEgressGateways of a cluster.

    Parameters
    ----------
    cluster : Cluster
        With its objects.
    version : str
        Of Kube-OVN; empty where not known.

    Returns
    -------
    list of VpcEgressGateway
        By namespace and name.
    list of (severity, rule, object, message)
        What is wrong with them.

    Raises
    ------
    None
        Everything is a finding.
    """
    subnets: dict[str, tuple[Cidr, ...]] = {}
    for each in cluster.objects.of("Subnet", "kubeovn.io"):
        subnet = Manifest(each)
        subnets[subnet.name] = tuple(_blocks(subnet))
    policies, findings = [], []
    for each in cluster.objects.of("VpcEgressGateway", "kubeovn.io"):
        manifest = Manifest(each, fields=_FIELDS)
        policy = VpcEgressGateway(
            namespace=manifest.namespace,
            name=manifest.name,
            version=version,
            selections=tuple(_selections(manifest, subnets)),
            pods=tuple(_pods(manifest)),
            is_local=manifest.text("spec.trafficPolicy") == "Local",
            bfd=manifest.flag("spec.bfd.enabled"),
            has_status=manifest.value("status.workload") is not None,
        )
        policies.append(policy)
        findings += [*manifest.findings, *_gaps(policy)]
    return policies, findings


def claim_kube_ovn(policies: Sequence[GatewayPolicy], situation: Situation) -> Iterator[Claim]:
    """Say what gateways do with these nodes.

    Parameters
    ----------
    policies : sequence of VpcEgressGateway
        All of them.
    situation : Situation
        The nodes.

    Yields
    ------
    Claim
        By gateway, family, selection; one more for pods beside a local gateway.

    Raises
    ------
    None
        A gateway that cannot serve says so.
    """
    for policy in policies:
        if not isinstance(policy, VpcEgressGateway):
            continue
        for family in IPFamily:
            for selection, translates in policy.selections:
                yield from _claims(policy, family, (selection, translates), situation)


def _claims(
    policy: VpcEgressGateway, family: IPFamily, chosen: tuple[Selection, bool], situation: Situation
) -> Iterator[Claim]:
    """Yield what a gateway does for one selection of pods in one family."""
    selection, translates = chosen
    alive = [pod for pod in _alive(policy, situation) if any(family_of_text(each) is family for each in pod.internal)]
    way, priority = _way(policy, family, (alive, translates), situation), CLUSTER_PRIORITY
    if not alive and policy.bfd and policy.has_status:
        priority = DROP_PRIORITY
    yield Claim(policy, family, ((EVERYWHERE[family], way),), selection, priority)
    if policy.is_local and alive:
        here: dict[int, list[GatewayPod]] = {}
        for pod in alive:
            here.setdefault(situation.rows.get(pod.node, -1), []).append(pod)
        by_node = {row: _way(policy, family, (pods, translates), situation) for row, pods in here.items() if row >= 0}
        reason = f"Kube-OVN {policy.title}: trafficPolicy Local, and no gateway is on the pod's node"
        local = Way(Verdict.LEAK_FALLTHROUGH, reason, by_node=by_node)
        yield Claim(policy, family, ((EVERYWHERE[family], local),), selection, LOCAL_PRIORITY)


def _alive(policy: VpcEgressGateway, situation: Situation) -> list[GatewayPod]:
    """Return the gateway pods that are up."""
    if policy.title in situation.failed:
        return []
    found = []
    for pod in policy.pods:
        row = situation.rows.get(pod.node, -1)
        if situation.ready[row] if row >= 0 else pod.node not in situation.failed:
            found.append(pod)
    return found


def _way(policy: VpcEgressGateway, family: IPFamily, hops: tuple[list[GatewayPod], bool], situation: Situation) -> Way:
    """Return what some gateway pods do in one family."""
    pods, translates = hops
    title = f"Kube-OVN {policy.title}"
    if not policy.has_status:
        return Way(Verdict.UNKNOWN, f"{title}: its status is not in the dump, so its gateway pods are not known")
    if not pods and policy.bfd:
        return Way(Verdict.DROPPED_NO_GATEWAY, f"{title}: no {family} next hop, and BFD is on: dropped")
    if not pods:
        reason = f"{title}: no {family} next hop, and BFD is off: the policy goes, and the subnet's own egress holds"
        return Way(Verdict.LEAK_FALLTHROUGH, reason)
    exits, lost = [], 0
    for pod in pods:
        outside = next((each for each in pod.external if family_of_text(each) is family), "")
        lost += not outside
        if outside and outside not in situation.failed:
            address = outside if translates else ""
            exits.append(Exit(situation.rows.get(pod.node, -1), address, f"Node/{pod.node}"))
    if not exits:
        reason = f"{title}: next hops are {family} and their external addresses are not: a black hole"
        return Way(Verdict.NO_ROUTE, reason)
    reason = f"{title}: {family} leaves by its gateway pods"
    if not translates:
        reason += ", with the pod's own address: the policy does not translate"
    if lost:
        return Way(Verdict.NONDETERMINISTIC, f"{reason}, and {lost} of them have no {family} exit", tuple(exits))
    reason += ", by a hash of the flow" if len(exits) > 1 else ""
    return Way(Verdict.VIA_GATEWAY, reason, tuple(exits))


def _selections(manifest: Manifest, subnets: Mapping[str, tuple[Cidr, ...]]) -> Iterator[tuple[Selection, bool]]:
    """Yield whom it selects, and whether it translates: by labels always, by blocks as each policy says."""
    subjects = []
    for place in range(len(manifest.items("spec.selectors"))):
        path = f"spec.selectors.{place}"
        if not isinstance(manifest.value(path), Mapping):
            manifest.mapping(path)  # which finds it
            continue
        spaces = manifest.selector(f"{path}.namespaceSelector", absent=_ALL)
        subjects.append(Subject(spaces, manifest.selector(f"{path}.podSelector", absent=_ALL)))
    if subjects:
        yield Selection(tuple(subjects)), True
    for place in range(len(manifest.items("spec.policies"))):
        path = f"spec.policies.{place}"
        blocks = manifest.cidrs(f"{path}.ipBlocks", bare=True)[0]
        for each in range(len(manifest.items(f"{path}.subnets"))):
            name = manifest.text(f"{path}.subnets.{each}")
            if name not in subnets:
                words = f"{path}: Subnet/{name} is not there; its pods are not steered"
                manifest.find("warning", "egress-subnet-missing", words)
            blocks += subnets.get(name, ())
        if blocks:
            yield Selection(sources=tuple(dict.fromkeys(blocks))), manifest.flag(f"{path}.snat")
        else:
            words = f"{path} has neither ipBlocks nor subnets: no pod is meant by it; write one of them"
            manifest.find("warning", "egress-selects-nothing", words)
    if not subjects and not manifest.items("spec.policies"):
        words = "neither selectors nor policies: no pod is meant; write one of them"
        manifest.find("warning", "egress-selects-nothing", words)


def _pods(manifest: Manifest) -> Iterator[GatewayPod]:
    """Yield the gateway pods of the status, whose lists go side by side."""
    nodes = manifest.items("status.workload.nodes")
    internal, external = (manifest.items(f"status.{name}") for name in ("internalIPs", "externalIPs"))
    for place, node in enumerate(nodes):
        inside, outside = (_addresses(each[place]) if place < len(each) else () for each in (internal, external))
        yield GatewayPod(str(node), inside, outside)


def _addresses(text: object) -> tuple[str, ...]:
    """Read addresses with commas between them; what is none, as ``<unknown>``, is left out."""
    found = []
    for part in str(text).split(","):
        try:
            found.append(format_address(*parse_address(part.strip())))
        except InvalidAddress:
            continue
    return tuple(found)


def _blocks(manifest: Manifest) -> Iterator[Cidr]:
    """Yield the blocks of a Subnet; what is no CIDR is its own check's business."""
    for part in manifest.text("spec.cidrBlock").split(","):
        try:
            yield Cidr(part.strip(), host_bits="mask")
        except InvalidCidr:
            continue


def _gaps(policy: VpcEgressGateway) -> Iterator[Finding]:
    """Find families that gateway pods take in and cannot let out."""
    for family in IPFamily:
        for pod in policy.pods:
            inside, outside = (
                any(family_of_text(each) is family for each in addresses) for addresses in (pod.internal, pod.external)
            )
            if inside and not outside:
                words = f"a gateway pod on {pod.node} takes {family} in and has no external {family} address: "
                words += f"{family} of its pods is lost while it is Ready; give the external subnet {family}"
                yield "error", "egress-black-hole", policy.title, words


KUBE_OVN = Product(
    "Kube-OVN",
    VpcEgressGateway,
    read_kube_ovn,
    claim_kube_ovn,
    network="Kube-OVN",
    source="kubeovn/kube-ovn pkg/controller/vpc_egress_gateway.go",
)
"""Egress gateways of Kube-OVN."""

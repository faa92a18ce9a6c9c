"""Egress of Antrea: one effective Egress a pod, of one family; the other family keeps the node's own masquerading.

Promises: an address from an ExternalIPPool moves to another node of the pool when its node is down, one without a pool
does not; an address that no node has is a black hole, an address that is not yet allocated changes nothing; two
Egresses on a pod do not add up, even where they are of different families; `exceptCIDRs` of the agents are left alone.

What it does not know: which node of a pool the consistent hash takes next, so all are named; limits of addresses a
node; clusters in noEncap mode, where Egress is not supported.

Sources: antrea-io/antrea ``docs/egress.md``, ``pkg/agent/controller/egress/egress_controller.go``,
``pkg/controller/egress/validate.go``, ``pkg/agent/openflow/egress.go``; antrea-io/antrea#4532.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidCidr
from dsmodel.graph.flows import Exit, Verdict
from dsmodel.graph.gateways.contract import EVERYWHERE, Claim, GatewayPolicy, Product, Selection, Subject, Way
from dsmodel.graph.gateways.manifests import Manifest, family_of_text
from dsmodel.kube.label_selectors import LabelSelector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.situation import Situation

__all__ = ["ANTREA", "AntreaEgress", "claim_antrea", "read_antrea"]

_ALL = LabelSelector(())
_OTHER_SUBJECTS = ("externalEntitySelector", "group", "nodeSelector", "service", "serviceAccount")
_FIELDS = {
    "": ("appliedTo", "egressIP", "egressIPs", "externalIPPool", "externalIPPools", "bandwidth"),
    "appliedTo": ("podSelector", "namespaceSelector", *_OTHER_SUBJECTS),
}
_EXCEPT = re.compile(
    r"^\s*exceptCIDRs:[ \t]*(?P<inline>\[[^\]]*\])?[^\n]*\n(?P<block>(?:[ \t]*-[^\n]*\n)*)", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class AntreaEgress(GatewayPolicy):
    """One Egress.

    Parameters
    ----------
    selection : Selection
        Pods.
    address : str
        ``egressIP``; empty where none is allocated.
    pool : str
        ``externalIPPool``; empty for an address that is put on a node by hand.
    pool_nodes : LabelSelector or None
        Nodes of the pool; None where the pool is not there.
    node : str
        ``status.egressNode``; empty where there is none.
    has_status : bool
        Whether the object shows a status at all.
    exceptions : tuple of Cidr
        ``egress.exceptCIDRs`` of the agents.
    ignored : str
        Why it has no effect; empty where it has.
    """

    kind: str = "Egress"
    selection: Selection = field(default_factory=Selection)
    address: str = ""
    pool: str = ""
    pool_nodes: LabelSelector | None = None
    node: str = ""
    has_status: bool = False
    exceptions: tuple[Cidr, ...] = ()
    ignored: str = ""


def read_antrea(cluster: Cluster, version: str) -> tuple[list[AntreaEgress], list[Finding]]:
    """Read the Egresses of a cluster.

    Parameters
    ----------
    cluster : Cluster
        With its objects.
    version : str
        Of Antrea; empty where not known.

    Returns
    -------
    list of AntreaEgress
        By name.
    list of (severity, rule, object, message)
        What is wrong with them.

    Raises
    ------
    None
        Everything is a finding.
    """
    exceptions, findings = _exceptions(cluster)
    pools: dict[str, Manifest] = {}
    for each in cluster.objects.of("ExternalIPPool", "crd.antrea.io"):
        pool = Manifest(each)
        pools[pool.name] = pool
    policies = []
    for each in cluster.objects.of("Egress", "crd.antrea.io"):
        manifest = Manifest(each, fields=_FIELDS)
        policies.append(_read(manifest, pools, exceptions, version))
        findings += manifest.findings
    return policies, findings


def claim_antrea(policies: Sequence[GatewayPolicy], situation: Situation) -> Iterator[Claim]:
    """Say what Egresses do with these nodes.

    Parameters
    ----------
    policies : sequence of AntreaEgress
        All of them.
    situation : Situation
        The nodes.

    Yields
    ------
    Claim
        One an Egress and family.

    Raises
    ------
    None
        The family that an Egress does not have falls through, and says so.
    """
    for policy in policies:
        if not isinstance(policy, AntreaEgress) or policy.ignored:
            continue
        for family in IPFamily:
            routes = ((EVERYWHERE[family], _way(policy, family, situation)),)
            holes = tuple((block, None) for block in policy.exceptions if block.family is family)
            yield Claim(policy, family, (*routes, *holes), policy.selection)


def _way(policy: AntreaEgress, family: IPFamily, situation: Situation) -> Way:
    """Return what an Egress does in one family."""
    title = f"Antrea {policy.title}"
    if not policy.address:
        reason = f"{title}: no address is allocated yet, and nothing is installed; traffic leaves by the pod's own node"
        return Way(Verdict.LEAK_FALLTHROUGH, reason)
    if family_of_text(policy.address) is not family:
        reason = f"{title}: its address is {family_of_text(policy.address)}; {family} leaves by the pod's own node"
        return Way(Verdict.LEAK_FALLTHROUGH, reason)
    if policy.address in situation.failed:
        return Way(Verdict.DROPPED_NO_EGRESS_IP, f"{title}: {policy.address} is down")
    row = situation.rows.get(policy.node, -1)
    if policy.node and (situation.ready[row] if row >= 0 else policy.node not in situation.failed):
        exits = (Exit(row, policy.address, f"Node/{policy.node}"),)
        return Way(Verdict.VIA_GATEWAY, f"{title}: {policy.node} has {policy.address}", exits)
    if policy.pool:
        return _moved(policy, f"{title}: {policy.address} of {policy.pool}", situation)
    return _fixed(policy, title, situation)


def _fixed(policy: AntreaEgress, title: str, situation: Situation) -> Way:
    """Return what happens to an address without a pool whose node is not known, or down: it moves nowhere."""
    owner = situation.owners.get(policy.address, -1)
    if owner >= 0 and situation.ready[owner]:
        exits = (Exit(owner, policy.address, situation.name(owner)),)
        return Way(Verdict.VIA_GATEWAY, f"{title}: {policy.address} is an address of the node", exits)
    if policy.has_status or policy.node or owner >= 0:
        reason = f"{title}: no node has {policy.address}, and without a pool it moves to none: a black hole"
        return Way(Verdict.DROPPED_NO_GATEWAY, reason)
    return Way(Verdict.UNKNOWN, f"{title}: which node has {policy.address} is not in the dump")


def _moved(policy: AntreaEgress, title: str, situation: Situation) -> Way:
    """Return what happens where an address of a pool has no node that is up: another node of the pool takes it."""
    rows, unsure = situation.chosen(policy.pool_nodes) if policy.pool_nodes is not None else ((), False)
    exits = tuple(Exit(row, policy.address, situation.name(row)) for row in rows if situation.ready[row])
    if unsure:
        return Way(Verdict.UNKNOWN, f"{title}: labels of nodes are not known, so who takes it is open", exits)
    if exits:
        reason = "goes to a node of its pool" if len(exits) == 1 else "goes to a node of its pool; a hash decides which"
        return Way(Verdict.VIA_GATEWAY, f"{title} {reason}", exits)
    return Way(Verdict.DROPPED_NO_GATEWAY, f"{title} has no node that is up: a black hole")


def _read(
    manifest: Manifest, pools: Mapping[str, Manifest], exceptions: tuple[Cidr, ...], version: str
) -> AntreaEgress:
    """Read one Egress."""
    ignored = ""
    for plural in ("egressIPs", "externalIPPools"):
        if manifest.items(f"spec.{plural}"):
            ignored = f"{plural} is in the API and not supported: the webhook refuses it"
            manifest.find("error", "egress-policy-rejected", f"{ignored}; write one Egress a family of other pods")
    spaces, pods = manifest.value("spec.appliedTo.namespaceSelector"), manifest.value("spec.appliedTo.podSelector")
    others = [name for name in _OTHER_SUBJECTS if manifest.value(f"spec.appliedTo.{name}") is not None]
    if others:
        words = f"appliedTo.{others[0]}: whom it means is not in the dump; whether a pod is meant is open"
        manifest.find("info", "egress-unknown", words)
    elif spaces is None and pods is None:
        manifest.find("warning", "egress-selects-nothing", "appliedTo is empty: no pod is meant; write spec.appliedTo")
    subject = Subject(
        manifest.selector("spec.appliedTo.namespaceSelector", absent=_ALL),
        manifest.selector("spec.appliedTo.podSelector", absent=_ALL),
        certain=not others,
    )
    pool = manifest.text("spec.externalIPPool")
    address = manifest.address("spec.egressIP") or (manifest.address("status.egressIP") if pool else "")
    if pool and pool not in pools:
        words = f"ExternalIPPool/{pool} is not there; its address goes to no other node when its node is down"
        manifest.find("warning", "egress-pool-missing", words)
    if not pool and not address:
        manifest.find("error", "egress-policy-rejected", "neither egressIP nor externalIPPool: it changes nothing")
    return AntreaEgress(
        name=manifest.name,
        version=version,
        selection=Selection((subject,) if others or spaces is not None or pods is not None else ()),
        address=address,
        pool=pool,
        pool_nodes=pools[pool].selector("spec.nodeSelector", absent=_ALL) if pool in pools else None,
        node=manifest.text("status.egressNode"),
        has_status=manifest.value("status") is not None,
        exceptions=exceptions,
        ignored=ignored,
    )


def _exceptions(cluster: Cluster) -> tuple[tuple[Cidr, ...], list[Finding]]:
    """Read ``egress.exceptCIDRs`` from the agents' settings, a list on one line or one item a line."""
    blocks, findings = [], []
    for each in cluster.objects.of("ConfigMap", ""):
        manifest = Manifest(each)
        if not manifest.name.startswith("antrea-config"):
            continue
        data = manifest.mapping("data")
        text = data.get("antrea-agent.conf")
        found = _EXCEPT.search(text + "\n") if isinstance(text, str) else None
        for item in re.findall(
            r"[\"']?([0-9A-Fa-f:.]+/\d+)[\"']?", (found["inline"] or found["block"]) if found else ""
        ):
            try:
                blocks.append(Cidr(item, host_bits="mask"))
            except InvalidCidr as error:
                words = f"egress.exceptCIDRs: {error}; the agent does not start with it"
                findings.append(("error", "egress-invalid-cidr", manifest.title, words))
    return tuple(dict.fromkeys(blocks)), findings


ANTREA = Product(
    "Antrea",
    AntreaEgress,
    read_antrea,
    claim_antrea,
    meeting="one policy",
    network="Antrea",
    source="antrea-io/antrea docs/egress.md, pkg/agent/controller/egress/egress_controller.go",
)
"""Egresses of Antrea."""

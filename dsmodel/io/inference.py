"""The configuration of a cluster from what its dump shows, every field with its evidence.

Of several clues the most direct is believed: what the API server itself keeps, then the flags of running components,
then what an installer wrote down. Where they contradict each other, a finding says so. Where there is no clue, ranges
are inferred from the addresses in use and called a guess: the smallest aligned block that covers them is a lower
bound of the real range. What the caller gives overrides everything.

What it does not know: flags of components that are out of sight, as in managed control planes.

Sources: version skew policy (a kubelet is never newer than its API server); ``pkg/controlplane`` (the first address
of the service range belongs to ``default/kubernetes``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.arrays import equal, mask_prefix, sort, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import UnsupportedVersion
from dsmodel.io.config_clues import FROM_OTHER, Clue
from dsmodel.kube.config import DEFAULT_MAX_PODS, ClusterConfig
from dsmodel.kube.versions import NEWEST, KubeVersion
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.table import Table
    from dsmodel.io.config_clues import Clues

__all__ = ["InferredConfig", "infer_config"]

# a guessed cluster CIDR of more blocks than this would be no guess but a mistake
_MOST_BLOCK_BITS: Final = 16
# of the IPv6 range of a cloud's subnet; source: cloud.google.com, subnets of dual-stack networks
_SUBNET_LENGTH: Final = 64
# kube-apiserver refuses a primary range of less than 8 addresses
_LEAST_SERVICE_BITS: Final = 3
# host bits of the widest service range that is believed; wider ones are legal and nobody has them
_MOST_SERVICE_BITS: Final = {IPFamily.IPV4: 20, IPFamily.IPV6: 64}
_FAMILIES: Final = (IPFamily.IPV4, IPFamily.IPV6)


@dataclass
class InferredConfig:
    """Fields settled so far, by name, and how each is known."""

    values: dict[str, Any]
    evidence: dict[str, str]

    def settle(self, name: str, value: Any, why: str) -> None:
        """Set one field.

        Parameters
        ----------
        name : str
            Field of the configuration.
        value : object
            Its value.
        why : str
            How it is known.

        Raises
        ------
        None
            A later call overrides.
        """
        self.values[name], self.evidence[name] = value, why


def infer_config(
    clues: Clues,
    *,
    nodes: Table,
    services: Table,
    kubelet_versions: Sequence[str],
    override: ClusterConfig | None = None,
) -> ClusterConfig:
    """Settle the configuration of a cluster.

    Parameters
    ----------
    clues : Clues
        What the objects say; contradictions become findings there.
    nodes, services : Table
        What is in use.
    kubelet_versions : sequence of str
        ``status.nodeInfo.kubeletVersion`` of every node.
    override : ClusterConfig, optional
        Fields whose evidence there is not ``"default"`` win over everything.

    Returns
    -------
    ClusterConfig
        With evidence for every field.

    Raises
    ------
    InvalidConfig
        If the override and the dump together mean nothing, as ranges and masks of different families.
    """
    inferred = InferredConfig({}, {})
    given = _overridden(override)
    _settle_clues(inferred, clues)
    _settle_version(inferred, clues, kubelet_versions)
    if "service_cidrs" not in inferred.values:
        _guess_service_cidrs(inferred, clues, services)
    _settle_extra(inferred, clues)
    _settle_masks(inferred, clues, nodes)
    if "cluster_cidrs" not in inferred.values:
        _guess_cluster_cidrs(inferred, clues, nodes)
    _settle_interfaces(inferred, nodes)
    if "max_pods" not in inferred.values:
        _infer_max_pods(inferred, nodes)
    for name, value in given.items():
        merged = name == "node_cidr_mask_sizes"
        inferred.settle(name, {**inferred.values.get(name, {}), **value} if merged else value, "given by the caller")
    return ClusterConfig.of(**inferred.values, evidence=inferred.evidence)


def _overridden(override: ClusterConfig | None) -> dict[str, Any]:
    """List the fields the caller has set."""
    if override is None:
        return {}
    plain = ClusterConfig(override.kube_version)
    given = {}
    for name in [entry.name for entry in fields(override) if entry.name != "evidence"]:
        value = getattr(override, name)
        # without evidence a value that is not the default was given
        differs = name == "kube_version" or value != getattr(plain, name)
        if override.evidence.get(name, "given" if differs else "default") != "default":
            given[name] = value
    if not given.get("node_cidr_mask_sizes", True):
        del given["node_cidr_mask_sizes"]
    return given


def _settle_clues(inferred: InferredConfig, clues: Clues) -> None:
    """Believe the most direct clue of each field and name those that contradict it."""
    by_field: dict[str, list[Clue]] = {}
    for clue in clues.found:
        by_field.setdefault(clue.field, []).append(clue)
    masks: dict[IPFamily, int] = {}
    for name, listed in by_field.items():
        # a default is silence: what an installer wrote down about the same component says more
        chosen = min(listed, key=lambda clue: (clue.rank, clue.is_default))
        for other in listed:
            if other.value != chosen.value and not other.is_default and name != "kube_version":
                _contradict(clues, chosen, other)
        field, _, family = name.partition(".")
        if family:
            masks[IPFamily(family)] = chosen.value
            whys = [part for part in inferred.evidence.get(field, "").split("; ") if part]
            inferred.settle(field, masks, "; ".join(dict.fromkeys([*whys, chosen.source])))
        else:
            value = dict(chosen.value) if name == "feature_gates" else chosen.value
            inferred.settle(name, value, chosen.source)


def _contradict(clues: Clues, chosen: Clue, other: Clue) -> None:
    """Name two sources that differ."""
    severity = "info" if other.rank == FROM_OTHER else "warning"
    message = (
        f"{chosen.field}: {other.source} says {_shown(other.value)}, {chosen.source} says {_shown(chosen.value)}; "
        "the latter is used"
    )
    clues.findings.add(severity, "config-contradiction", message, about="ClusterConfig")


def _shown(value: object) -> str:
    """Write a clue's value as a flag would."""
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


def _settle_version(inferred: InferredConfig, clues: Clues, kubelet_versions: Sequence[str]) -> None:
    """Take the control plane's version, or that of the newest kubelet; stay inside the modelled window."""
    text = inferred.values.pop("kube_version", "")
    control = KubeVersion.nearest(text)
    kubelets = {known: KubeVersion.nearest(known) for known in dict.fromkeys(kubelet_versions)}
    seen = [version for version in map(kubelets.__getitem__, kubelet_versions) if version is not None]
    if control is not None:
        why = inferred.evidence["kube_version"]
        newest = max([control, *seen])
        if newest is not control:
            message = f"kube_version: {why} says {control}, and a kubelet has {newest}; a kubelet is never newer"
            clues.findings.add("warning", "config-contradiction", message, about="ClusterConfig")
    elif seen:
        control = max(seen)
        text = next(known for known in kubelets if kubelets[known] is not None and kubelets[known] == control)
        why = f"kubeletVersion of {seen.count(control)} of {counted(len(kubelet_versions), 'node')}, the newest"
    else:
        why = f"default, the newest modelled: none of {counted(len(kubelet_versions), 'node')} tells its version"
        inferred.settle("kube_version", KubeVersion(f"1.{NEWEST}"), why)
        return
    try:
        KubeVersion(text)
    except UnsupportedVersion as error:
        clues.findings.add("warning", "version-unsupported", f"{error}; read as {control}", about="ClusterConfig")
        why = f"the modelled version nearest to {text} ({why})"
    inferred.settle("kube_version", control, why)


def _settle_extra(inferred: InferredConfig, clues: Clues) -> None:
    """Take the ServiceCIDR objects beside the default one."""
    main = inferred.values.get("service_cidrs", ())
    listed = {cidr: name for name, cidrs in sorted(clues.service_cidrs.items()) for cidr in cidrs if cidr not in main}
    extra = {cidr: name for cidr, name in listed.items() if name != "kubernetes"}
    if extra:
        names = ", ".join(dict.fromkeys(extra.values()))
        inferred.settle("extra_service_cidrs", tuple(extra), f"objects ServiceCIDR/{names}")


def _settle_masks(inferred: InferredConfig, clues: Clues, nodes: Table) -> None:
    """Complete the mask sizes from the nodes' blocks, and compare."""
    known: dict[IPFamily, int] = dict(inferred.values.get("node_cidr_mask_sizes", {}))
    whys = [inferred.evidence[name] for name in ("node_cidr_mask_sizes",) if name in inferred.evidence]
    defaults = {clue.field: clue.is_default for clue in clues.found if clue.is_default}
    for family in _FAMILIES:
        masks = nodes[f"pod_cidr_{family.value.lower()}_mask"]
        sizes, counts = np.unique(masks[masks > 0], return_counts=True)
        if not len(sizes):
            continue
        usual, count = int(sizes[counts.argmax()]), int(counts.max())
        seen = f"podCIDRs of {count:,} of {counted(int(counts.sum()), 'node')} are /{usual}"
        if family not in known:
            known[family] = usual
            whys.append(f"inferred: {seen}")
        elif known[family] != usual:
            name = f"node_cidr_mask_sizes.{family.value}"
            what = "the default is" if name in defaults else "the configuration says"
            message = (
                f"{name}: {what} /{known[family]}, but {seen}; blocks of nodes that joined earlier stay as they are"
            )
            clues.findings.add("warning", "config-contradiction", message, about="ClusterConfig")
    if known:
        inferred.settle("node_cidr_mask_sizes", known, "; ".join(whys))


def _guess_cluster_cidrs(inferred: InferredConfig, clues: Clues, nodes: Table) -> None:
    """Cover the nodes' blocks with the smallest aligned block of each family."""
    found: list[tuple[int, Cidr, str]] = []
    for family in _FAMILIES:
        name = f"pod_cidr_{family.value.lower()}"
        has = nodes[f"has_{name}"]
        if not has.any():
            continue
        mask = int(inferred.values["node_cidr_mask_sizes"][family])
        cover = _cover(nodes[name][has], family, mask)
        count = int(has.sum())
        if family is IPFamily.IPV6 and _are_of_interfaces(nodes):
            continue  # no block of a cluster CIDR
        if mask - cover.prefix_length > _MOST_BLOCK_BITS:
            message = (
                f"podCIDRs of {counted(count, 'node')} lie too far apart for one {family.value} cluster CIDR ({cover})"
            )
            clues.findings.add("warning", "cluster-cidr-unknown", f"{message}; give config=", about="ClusterConfig")
            continue
        first = int((nodes["primary_ip_family"] == (4 if family is IPFamily.IPV4 else 6)).sum())
        why = f"{cover} is the smallest block that covers the podCIDRs of {counted(count, 'node')}"
        found.append((-first, cover, why))
    found.sort(key=lambda entry: entry[0])
    if not found:
        inferred.settle("cluster_cidrs", (), f"unknown: none of {counted(len(nodes), 'node')} has a usable podCIDR")
        return
    why = "guess: " + "; ".join(entry[2] for entry in found) + "; the real one may be larger"
    inferred.settle("cluster_cidrs", tuple(entry[1] for entry in found), why)


def _are_of_interfaces(nodes: Table) -> bool:
    """Tell whether every IPv6 podCIDR holds its node's own address, as where a cloud gives interfaces ranges."""
    has = nodes["has_pod_cidr_ipv6"]
    own = mask_prefix(nodes["internal_ipv6"][has], nodes["pod_cidr_ipv6_mask"][has])
    inside = nodes["has_internal_ipv6"][has] & equal(own, nodes["pod_cidr_ipv6"][has])
    return bool(has.any() and inside.all())


def _settle_interfaces(inferred: InferredConfig, nodes: Table) -> None:
    """Take the subnet of nodes whose IPv6 podCIDRs are of their interfaces; no flag names it."""
    known = inferred.values.get("cluster_cidrs", ())
    if any(cidr.family is IPFamily.IPV6 for cidr in known) or not _are_of_interfaces(nodes):
        return
    has = nodes["has_pod_cidr_ipv6"]
    subnet = _cover(nodes["pod_cidr_ipv6"][has], IPFamily.IPV6, _SUBNET_LENGTH)
    is_first = np.count_nonzero(nodes["primary_ip_family"] == 6) > np.count_nonzero(nodes["primary_ip_family"] == 4)
    count = counted(int(has.sum()), "node")
    why = f"{subnet} is the subnet of {count} whose IPv6 podCIDRs are of their interfaces"
    why = f"{inferred.evidence['cluster_cidrs']}; {why}" if known else why
    inferred.settle("cluster_cidrs", (subnet, *known) if is_first else (*known, subnet), why)


def _guess_service_cidrs(inferred: InferredConfig, clues: Clues, services: Table) -> None:
    """Cover the cluster IPs with the smallest aligned block of each family, from the API server's own address on."""
    own = (services["namespace"] == "default") & (services["name"] == "kubernetes")
    found: list[tuple[int, Cidr, str]] = []
    for family in _FAMILIES:
        name = f"cluster_{family.value.lower()}"
        has = services[f"has_{name}"]
        if not has.any():
            continue
        addresses, count = services[name][has], int(has.sum())
        anchored = own & has
        firsts = [value - 1 for value in to_integers(services[name][anchored])]
        cover = _cover(addresses, family, family.bits - _LEAST_SERVICE_BITS, also=firsts)
        if family.bits - cover.prefix_length > _MOST_SERVICE_BITS[family]:
            message = f"{counted(count, 'cluster IP')} lie too far apart for one {family.value} service range ({cover})"
            clues.findings.add("warning", "service-cidr-unknown", f"{message}; give config=", about="ClusterConfig")
            continue
        why = f"{cover} is the smallest block that covers {counted(count, 'cluster IP')}"
        if firsts and cover.first == firsts[0]:
            why += f" and has {cover.address(1)} of default/kubernetes as its first address"
        found.append((-int(bool(firsts)), cover, why))
    found.sort(key=lambda entry: entry[0])
    if not found:
        inferred.settle("service_cidrs", (), f"unknown: none of {counted(len(services), 'service')} has a cluster IP")
        return
    why = "guess: " + "; ".join(entry[2] for entry in found) + "; the real one may be larger"
    inferred.settle("service_cidrs", tuple(entry[1] for entry in found), why)


def _cover(addresses: NDArray[Any], family: IPFamily, longest: int, *, also: Sequence[int] = ()) -> Cidr:
    """Return the smallest aligned block around addresses, no longer a prefix than asked."""
    ordered = sort(addresses)
    ends = [*to_integers(ordered[:1]), *to_integers(ordered[-1:]), *also]
    length = min(longest, family.bits - (min(ends) ^ max(ends)).bit_length())
    host_bits = family.bits - length
    return Cidr.from_parts(family, min(ends) >> host_bits << host_bits, length)


def _infer_max_pods(inferred: InferredConfig, nodes: Table) -> None:
    """Take what most nodes admit."""
    admitted = nodes["allocatable_pods"]
    sizes, counts = np.unique(admitted[admitted > 0], return_counts=True)
    if len(sizes):
        usual = int(sizes[counts.argmax()])
        why = f"inferred: status.allocatable.pods of {int(counts.max()):,} of {counted(len(nodes), 'node')}"
        inferred.settle("max_pods", usual, why)
    else:
        inferred.settle(
            "max_pods", DEFAULT_MAX_PODS, f"default: none of {counted(len(nodes), 'node')} says what it admits"
        )

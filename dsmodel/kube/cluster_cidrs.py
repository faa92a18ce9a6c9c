"""What kube-controller-manager accepts as cluster CIDRs, service ranges and node masks when it starts node IPAM.

Promises the refusals of one version, in their order and words. Does not know the nodes, nor the flags that switch node
IPAM off: those are `dsmodel.kube.flags`.

Sources: ``startNodeIpamController`` and ``setNodeCIDRMaskSizes`` of ``cmd/kube-controller-manager/app/core.go``,
``pkg/controller/nodeipam/node_ipam_controller.go`` and ``cidrset/cidr_set.go`` of v1.20.2 and v1.36.2; recordings of
both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidCidr, InvalidConfig
from dsmodel.kube.config import DEFAULT_NODE_MASKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dsmodel.addresses.cidr import Syntax
    from dsmodel.kube.versions import KubeVersion

__all__ = [
    "MaskFlags",
    "effective_masks",
    "judge_cidrs",
    "judge_masks",
    "judge_services",
    "masks_by_family",
    "read_cidr",
]


@dataclass(frozen=True)
class MaskFlags:
    """The three mask flags as given; 0 is unset."""

    size: int = 0
    ipv4: int = 0
    ipv6: int = 0


def judge_cidrs(
    cluster_cidrs: Iterable[str | Cidr], kube_version: KubeVersion, feature_gates: Mapping[str, bool] | None = None
) -> tuple[Cidr, ...]:
    """Read ``--cluster-cidr`` as the controller does at start.

    Parameters
    ----------
    cluster_cidrs : iterable of str or Cidr
        The entries of the flag, not trimmed.
    kube_version : KubeVersion
        Version of kube-controller-manager.
    feature_gates : mapping of str to bool, optional
        Overrides.

    Returns
    -------
    tuple of Cidr
        One, or one of each family.

    Raises
    ------
    InvalidConfig
        The controller would not start; its own words.

    Notes
    -----
    Source: ``startNodeIpamController`` of ``cmd/kube-controller-manager/app/core.go``.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> judge_cidrs(["10.244.5.7/16"], KubeVersion("1.36"))
    (Cidr('10.244.0.0/16'),)
    """
    texts = list(cluster_cidrs) or [""]
    words = kube_version.rule("node_ipam_words")
    blocks = []
    for place, text in enumerate(texts):
        cidr = read_cidr(text, kube_version)
        if cidr is None:
            raise InvalidConfig(words["cidr"].format(place=place, text=text))
        blocks.append(cidr)
    if len(blocks) == 1:
        return tuple(blocks)
    gates = (kube_version.gate("IPv6DualStack", feature_gates), kube_version.gate("EndpointSlice", feature_gates))
    if not all(gates):
        raise InvalidConfig(f"len of ClusterCIDRs=={len(blocks)} and dualstack or EndpointSlice feature is not enabled")
    if len({block.family for block in blocks}) == 1:
        raise InvalidConfig(
            f"len of ClusterCIDRs=={len(blocks)} and they are not configured as dual stack (at least one from each "
            "IPFamily"
        )
    if len(blocks) > len(IPFamily):
        raise InvalidConfig(words["count"].format(count=len(blocks)))
    return tuple(blocks)


def effective_masks(families: Sequence[IPFamily], flags: MaskFlags, kube_version: KubeVersion) -> dict[IPFamily, int]:
    """Read the three mask flags as the controller does at start.

    Parameters
    ----------
    families : sequence of IPFamily
        Of the cluster CIDRs.
    flags : MaskFlags
        As given.
    kube_version : KubeVersion
        Version of kube-controller-manager.

    Returns
    -------
    dict of IPFamily to int
        Prefix length of a node's block, for each of `families`.

    Raises
    ------
    InvalidConfig
        Flags that may not go together; the controller's own words.

    Notes
    -----
    Source: ``setNodeCIDRMaskSizes`` of ``cmd/kube-controller-manager/app/core.go``, recorded for 1.20 and 1.36.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> effective_masks([IPFamily.IPV4], MaskFlags(ipv4=26), KubeVersion("1.36"))
    {<IPFamily.IPV4: 'IPv4'>: 26}
    >>> effective_masks([IPFamily.IPV4], MaskFlags(ipv4=26), KubeVersion("1.20"))
    Traceback (most recent call last):
    dsmodel.errors.InvalidConfig: usage of --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 are not allowed \
with non dual-stack clusters
    """
    named = {IPFamily.IPV4: flags.ipv4, IPFamily.IPV6: flags.ipv6}
    if len(families) > 1:
        if flags.size:
            raise InvalidConfig("usage of --node-cidr-mask-size is not allowed with dual-stack clusters")
        return {family: named[family] or DEFAULT_NODE_MASKS[family] for family in families}
    _refuse_family_flags(families[0], flags, kube_version)
    return {family: flags.size or named[family] or DEFAULT_NODE_MASKS[family] for family in families}


def _refuse_family_flags(family: IPFamily, flags: MaskFlags, kube_version: KubeVersion) -> None:
    """Refuse the per-family mask flags a single-stack cluster may not use."""
    if not (flags.ipv4 or flags.ipv6):
        return
    if not kube_version.rule("node_ipam_family_mask_flags_on_single_stack"):
        raise InvalidConfig(
            "usage of --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 are not allowed with non dual-stack "
            "clusters"
        )
    if flags.size:
        raise InvalidConfig(
            "usage of --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 is not allowed if "
            "--node-cidr-mask-size is set. For dual-stack clusters please unset it and use IPFamily specific flags"
        )
    other = IPFamily.IPV6 if family is IPFamily.IPV4 else IPFamily.IPV4
    if flags.ipv4 if other is IPFamily.IPV4 else flags.ipv6:
        raise InvalidConfig(
            f"usage of --node-cidr-mask-size-{other.lower()} is not allowed for a single-stack {family} cluster"
        )


def judge_masks(blocks: Sequence[Cidr], masks: Sequence[int], kube_version: KubeVersion) -> None:
    """Refuse node masks that no set of blocks can be made with.

    Parameters
    ----------
    blocks : sequence of Cidr
        The cluster CIDRs.
    masks : sequence of int
        Prefix length of a node's block in each.
    kube_version : KubeVersion
        Version of kube-controller-manager.

    Raises
    ------
    InvalidConfig
        The controller would not start; its own words.

    Notes
    -----
    Source: ``NewNodeIpamController`` of ``node_ipam_controller.go``, ``NewCIDRSet`` of ``cidrset/cidr_set.go``.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> judge_masks([Cidr("fd00::/47")], [64], KubeVersion("1.36"))
    Traceback (most recent call last):
    dsmodel.errors.InvalidConfig: New CIDR set failed; the node CIDR size is too big
    """
    for block, mask in zip(blocks, masks, strict=True):
        if block.prefix_length > mask:
            raise InvalidConfig(
                "Controller: Invalid --cluster-cidr, mask size of cluster CIDR must be less than or equal to "
                "--node-cidr-mask-size configured for CIDR family"
            )
    limit = kube_version.rule("node_ipam_ipv6_block_bits")
    for block, mask in zip(blocks, masks, strict=True):
        if block.family is IPFamily.IPV6 and mask - block.prefix_length > limit:
            raise InvalidConfig("New CIDR set failed; the node CIDR size is too big")


def judge_services(
    service_cidrs: Iterable[str | Cidr], kube_version: KubeVersion, feature_gates: Mapping[str, bool] | None = None
) -> tuple[Cidr, ...]:
    """Read ``--service-cluster-ip-range`` of kube-controller-manager: what does not parse is left out.

    Parameters
    ----------
    service_cidrs : iterable of str or Cidr
        The entries of the flag.
    kube_version : KubeVersion
        Version of kube-controller-manager.
    feature_gates : mapping of str to bool, optional
        Overrides.

    Returns
    -------
    tuple of Cidr
        At most one of each family.

    Raises
    ------
    InvalidConfig
        The controller would not start; its own words.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> judge_services(["10.96.0.0/16", "foo"], KubeVersion("1.36"))
    (Cidr('10.96.0.0/16'),)
    """
    texts = list(service_cidrs)
    if len(texts) > len(IPFamily):
        raise InvalidConfig("--service-cluster-ip-range can not contain more than two entries")
    found = [cidr for cidr in (read_cidr(text, kube_version) for text in texts) if cidr is not None]
    if len(found) < len(IPFamily):
        return tuple(found)
    if not kube_version.gate("IPv6DualStack", feature_gates):
        raise InvalidConfig("secondary service cidr is provided and IPv6DualStack feature is not enabled")
    if found[0].family is found[1].family:
        raise InvalidConfig("serviceCIDR and secondaryServiceCIDR are not dualstack (from different IPfamiles)")
    return tuple(found)


def masks_by_family(blocks: Sequence[Cidr], sizes: Mapping[str, int]) -> list[int]:
    """Give each cluster CIDR its mask, refusing a family that a single-stack cluster has not.

    Parameters
    ----------
    blocks : sequence of Cidr
        The cluster CIDRs.
    sizes : mapping of str to int
        By family; 0 or missing is 24 and 64.

    Returns
    -------
    list of int
        One a cluster CIDR.

    Raises
    ------
    InvalidConfig
        A size for a family without a cluster CIDR, or a key that is no family.

    Examples
    --------
    >>> masks_by_family([Cidr("fd00::/56"), Cidr("10.244.0.0/16")], {"IPv4": 26})
    [64, 26]
    """
    unknown = [key for key in sizes if key not in set(IPFamily)]
    if unknown:
        raise InvalidConfig(f"node_cidr_mask_sizes has the key {unknown[0]!r}; use 'IPv4' or 'IPv6'")
    named = {IPFamily(family): size for family, size in sizes.items() if size}
    families = {block.family for block in blocks}
    for family in named:
        if family not in families:
            raise InvalidConfig(
                f"usage of --node-cidr-mask-size-{family.lower()} is not allowed for a single-stack "
                f"{blocks[0].family} cluster"
            )
    return [named.get(block.family, DEFAULT_NODE_MASKS[block.family]) for block in blocks]


def read_cidr(text: str | Cidr, kube_version: KubeVersion | None = None) -> Cidr | None:
    """Read a CIDR as the controllers do, or answer None.

    Parameters
    ----------
    text : str or Cidr
        Host bits are masked.
    kube_version : KubeVersion, optional
        Whose parser; without one, leading zeros pass as they do in newer versions.

    Returns
    -------
    Cidr or None
        None where the text is no CIDR.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> read_cidr("10.244.5.7/16"), read_cidr("foo")
    (Cidr('10.244.0.0/16'), None)
    """
    if isinstance(text, Cidr):
        return text
    try:
        syntax: Syntax = kube_version.rule("flag_address_syntax") if kube_version else "sloppy"
        return Cidr(text, host_bits="mask", syntax=syntax)
    except InvalidCidr:
        return None

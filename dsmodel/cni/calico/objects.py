"""IPPool, IPAMConfiguration and IPReservation: what a user sets, read and judged by field.

Promises the defaults and the rules of Calico's own validation, with the field's path; `read_pool` refuses what the API
would refuse. Objects written past that validation exist in live clusters: `check_config` reports them instead.

Sources: projectcalico/calico ``libcalico-go/lib/clientv3/ippool.go``, ``libcalico-go/lib/ipam/ipam.go``
(SetIPAMConfig), ``api/pkg/apis/projectcalico/v3/{ippool,ipamconfig,ipreservation}.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.calico.selectors import parse_selector
from dsmodel.errors import InvalidField, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.cni.contract import Finding

__all__ = ["IPAMConfig", "IPPool", "check_config", "read_config", "read_pool", "read_reservation"]

BLOCK_SIZES = {IPFamily.IPV4: (20, 26, 32), IPFamily.IPV6: (116, 122, 128)}
"""Shortest, default and longest prefix of a block. Source: ``libcalico-go/lib/clientv3/ippool.go``."""

_LINK_LOCAL = (Cidr("169.254.0.0/16"), Cidr("fe80::/10"))
_USES = ("Workload", "Tunnel", "LoadBalancer")
_LONGEST_COOLDOWN_SECONDS = 1200
_MOST_BLOCKS = 1_000_000
_DEFAULT_BLOCKS = 20  # what 0 stands for


@dataclass(frozen=True)
class IPPool:
    """One IPPool, as far as it decides about addresses.

    Parameters
    ----------
    name : str
        Pools are used up in the order of their names.
    cidr : Cidr
        What is cut into blocks.
    block_size : int
        Prefix length of a block.
    node_selector, namespace_selector : str
        Whom it serves; an empty one serves all.
    disabled : bool
        No new addresses.
    allowed_uses : tuple of str
        "Workload", "Tunnel", "LoadBalancer".
    assignment_mode : str
        "Automatic", or "Manual": only where it is named.
    allocatable : bool
        False where the pool controller found it overlapping another.
    """

    name: str
    cidr: Cidr
    block_size: int
    node_selector: str = "all()"
    namespace_selector: str = ""
    disabled: bool = False
    allowed_uses: tuple[str, ...] = ("Workload", "Tunnel")
    assignment_mode: str = "Automatic"
    allocatable: bool = True

    @property
    def blocks(self) -> int:
        """Number of blocks in the pool."""
        return 1 << (self.block_size - self.cidr.prefix_length)

    @property
    def block_width(self) -> int:
        """Addresses of a block."""
        return 1 << (self.cidr.family.bits - self.block_size)

    @property
    def enabled(self) -> bool:
        """Whether new addresses may come from it at all."""
        return self.allocatable and not self.disabled


@dataclass(frozen=True)
class IPAMConfig:
    """Cluster-wide settings of Calico IPAM.

    Parameters
    ----------
    strict_affinity : bool
        A node takes from its own blocks only.
    auto_allocate_blocks : bool
        A node may claim blocks by itself.
    max_blocks_per_host : int
        Per family; 0 means 20.
    ip_cooldown_seconds : float
        How long a released address rests.

    Examples
    --------
    >>> IPAMConfig().block_limit
    20
    """

    strict_affinity: bool = False
    auto_allocate_blocks: bool = True
    max_blocks_per_host: int = 0
    ip_cooldown_seconds: float = 0

    @property
    def block_limit(self) -> int:
        """Blocks a node may own, per family."""
        return self.max_blocks_per_host or _DEFAULT_BLOCKS


def read_pool(manifest: Mapping[str, Any]) -> IPPool:
    """Read an IPPool.

    Parameters
    ----------
    manifest : mapping
        The object as kubectl prints it.

    Returns
    -------
    IPPool
        With the API's defaults filled in.

    Raises
    ------
    InvalidField
        A field breaks a rule; names its path.

    Notes
    -----
    Source: ``validateAndSetDefaults`` of ``libcalico-go/lib/clientv3/ippool.go``.

    Examples
    --------
    >>> read_pool({"metadata": {"name": "v4"}, "spec": {"cidr": "10.0.0.0/16"}}).block_size
    26
    """
    spec = manifest.get("spec") or {}
    try:
        cidr = Cidr(str(spec.get("cidr", "")))
    except InvalidInput as error:
        raise InvalidField("spec.cidr", spec.get("cidr"), str(error)) from None
    if any(cidr.overlaps(each) for each in _LINK_LOCAL if each.family is cidr.family):
        raise InvalidField("spec.cidr", str(cidr), "overlaps link-local addresses; choose another range")
    pool = IPPool(
        name=str((manifest.get("metadata") or {}).get("name", "")),
        cidr=cidr,
        block_size=spec.get("blockSize") or BLOCK_SIZES[cidr.family][1],
        node_selector=spec.get("nodeSelector") or "all()",
        namespace_selector=spec.get("namespaceSelector") or "",
        disabled=bool(spec.get("disabled")) or bool((manifest.get("metadata") or {}).get("deletionTimestamp")),
        allowed_uses=tuple(spec.get("allowedUses") or ("Workload", "Tunnel")),
        assignment_mode=spec.get("assignmentMode") or "Automatic",
        allocatable=_is_allocatable(manifest),
    )
    _check_size(pool)
    _check_selectors(pool)
    _check_uses(pool, spec)
    return pool


def _is_allocatable(manifest: Mapping[str, Any]) -> bool:
    """Tell what the pool controller found."""
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return not any(each.get("type") == "Allocatable" and each.get("status") == "False" for each in conditions)


def _check_size(pool: IPPool) -> None:
    """Refuse blocks of a size Calico has not, or larger than their pool."""
    low, _, high = BLOCK_SIZES[pool.cidr.family]
    if not isinstance(pool.block_size, int) or not low <= pool.block_size <= high:
        raise InvalidField("spec.blockSize", pool.block_size, f"blocks of {pool.cidr.family} are /{low} to /{high}")
    if pool.block_size < pool.cidr.prefix_length:
        raise InvalidField("spec.blockSize", pool.block_size, f"a block does not fit into {pool.cidr}")


def _check_selectors(pool: IPPool) -> None:
    """Refuse selectors that cannot be read or that pools may not have."""
    for path, text in (("nodeSelector", pool.node_selector), ("namespaceSelector", pool.namespace_selector)):
        if not text:
            continue
        try:
            parse_selector(text)
        except InvalidInput as error:
            raise InvalidField(f"spec.{path}", text, str(error)) from None
    if "global(" in pool.node_selector:
        raise InvalidField("spec.nodeSelector", pool.node_selector, "global() is not supported here; use all()")
    if pool.namespace_selector and "Tunnel" in pool.allowed_uses:
        raise InvalidField("spec.namespaceSelector", pool.namespace_selector, "not together with allowedUses Tunnel")


def _check_uses(pool: IPPool, spec: Mapping[str, Any]) -> None:
    """Refuse uses that do not exist or do not go together."""
    for place, use in enumerate(pool.allowed_uses):
        if use not in _USES:
            raise InvalidField(f"spec.allowedUses[{place}]", use, f"use one of {', '.join(_USES)}")
    if pool.assignment_mode not in {"Automatic", "Manual"}:
        raise InvalidField("spec.assignmentMode", pool.assignment_mode, "use Automatic or Manual")
    encapsulates = _check_modes(pool, spec)
    if "LoadBalancer" not in pool.allowed_uses:
        return
    if len(pool.allowed_uses) > 1:
        raise InvalidField("spec.allowedUses", list(pool.allowed_uses), "LoadBalancer goes with no other use")
    if pool.node_selector != "all()":
        raise InvalidField("spec.nodeSelector", pool.node_selector, "a LoadBalancer pool selects all()")
    if encapsulates or spec.get("disableBGPExport"):
        raise InvalidField("spec.allowedUses", list(pool.allowed_uses), "no encapsulation and no disableBGPExport here")


def _check_modes(pool: IPPool, spec: Mapping[str, Any]) -> bool:
    """Refuse encapsulation that cannot be, and tell whether there is any."""
    modes = {path: spec.get(path) or "Never" for path in ("ipipMode", "vxlanMode")}
    for path, mode in modes.items():
        if mode not in {"Never", "Always", "CrossSubnet"}:
            raise InvalidField(f"spec.{path}", mode, "use Never, Always or CrossSubnet")
    if modes["ipipMode"] != "Never" and modes["vxlanMode"] != "Never":
        raise InvalidField("spec.vxlanMode", modes["vxlanMode"], "ipipMode and vxlanMode exclude each other")
    if modes["ipipMode"] != "Never" and pool.cidr.family is IPFamily.IPV6:
        raise InvalidField("spec.ipipMode", modes["ipipMode"], "there is no IPIP for IPv6; use vxlanMode")
    return set(modes.values()) != {"Never"}


def read_config(manifest: Mapping[str, Any]) -> IPAMConfig:
    """Read an IPAMConfiguration or IPAMConfig, also one that Calico would not have written.

    Parameters
    ----------
    manifest : mapping
        The object as kubectl prints it.

    Returns
    -------
    IPAMConfig
        With defaults filled in.

    Raises
    ------
    InvalidField
        A number is outside what the field may hold.

    Notes
    -----
    Source: ``api/pkg/apis/projectcalico/v3/ipamconfig.go``.

    Examples
    --------
    >>> read_config({"spec": {"strictAffinity": True, "maxBlocksPerHost": 4}}).block_limit
    4
    """
    spec = manifest.get("spec") or {}
    blocks, cooldown = spec.get("maxBlocksPerHost") or 0, spec.get("ipCooldownSeconds") or 0
    if not 0 <= blocks <= _MOST_BLOCKS:
        raise InvalidField("spec.maxBlocksPerHost", blocks, f"use 0 (meaning 20) to {_MOST_BLOCKS}")
    if not 0 <= cooldown <= _LONGEST_COOLDOWN_SECONDS:
        raise InvalidField("spec.ipCooldownSeconds", cooldown, f"use 0 to {_LONGEST_COOLDOWN_SECONDS}")
    auto = spec.get("autoAllocateBlocks")
    return IPAMConfig(bool(spec.get("strictAffinity")), auto is None or bool(auto), blocks, cooldown)


def check_config(config: IPAMConfig, *, name: str = "IPAMConfiguration/default") -> list[Finding]:
    """Report settings that Calico's own tools refuse, and that objects written directly can still hold.

    Parameters
    ----------
    config : IPAMConfig
        The settings.
    name : str
        What the findings call the object.

    Returns
    -------
    list of Finding
        Empty when all is well.

    Raises
    ------
    None
        Every configuration has an answer.

    Notes
    -----
    Source: ``SetIPAMConfig`` of ``libcalico-go/lib/ipam/ipam.go``.

    Examples
    --------
    >>> [finding[1] for finding in check_config(IPAMConfig(max_blocks_per_host=5))]
    ['calico-max-blocks-without-strict-affinity']
    """
    findings: list[Finding] = []
    if not config.strict_affinity and not config.auto_allocate_blocks:
        text = "strictAffinity false and autoAllocateBlocks false together: no node can get a block; set one to true"
        findings.append(("error", "calico-no-blocks-at-all", name, text))
    if config.max_blocks_per_host and not config.strict_affinity:
        text = f"maxBlocksPerHost {config.max_blocks_per_host} needs strictAffinity true; calicoctl refuses the pair"
        findings.append(("warning", "calico-max-blocks-without-strict-affinity", name, text))
    return findings


def read_reservation(manifest: Mapping[str, Any]) -> list[Cidr]:
    """Read the ranges of an IPReservation.

    Parameters
    ----------
    manifest : mapping
        The object as kubectl prints it.

    Returns
    -------
    list of Cidr
        Entries that are no CIDR and no address are left out, as Calico does.

    Raises
    ------
    None
        Every object has an answer.

    Notes
    -----
    Source: ``libcalico-go/lib/ipam/reserved.go``.

    Examples
    --------
    >>> read_reservation({"spec": {"reservedCIDRs": ["10.0.0.0/30", "10.0.0.9", "what"]}})
    [Cidr('10.0.0.0/30'), Cidr('10.0.0.9/32')]
    """
    found = []
    for text in (manifest.get("spec") or {}).get("reservedCIDRs") or ():
        try:
            found.append(Cidr.of(text, host_bits="mask"))
        except InvalidInput:
            continue
    return found

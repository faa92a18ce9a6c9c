"""What kube-controller-manager makes of its address flags: node IPAM's refusals, and what it accepts to one's regret.

Promises whether it starts, per version, in its words. Does not know the nodes it will find: a podCIDR outside the
cluster CIDRs stops it too, see `dsmodel.kube.node_ipam`.

Sources: ``cmd/kube-controller-manager/app/core.go`` and ``options/nodeipamcontroller.go``,
``pkg/controller/nodeipam`` of v1.20.2 and v1.36.2; recordings of both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import InvalidConfig
from dsmodel.kube.cluster_cidrs import (
    MaskFlags,
    effective_masks,
    judge_cidrs,
    judge_masks,
    judge_services,
    read_cidr,
)
from dsmodel.pools.blocks import CidrSet
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.kube.command_lines import CommandLine
    from dsmodel.kube.versions import KubeVersion

__all__ = ["CONTROLLER_FLAGS", "judge_controller_manager"]

CONTROLLER_FLAGS = {
    "allocate-node-cidrs": "bool",
    "cidr-allocator-type": "text",
    "cloud-provider": "text",
    "cluster-cidr": "text",
    "configure-cloud-routes": "bool",
    "feature-gates": "map",
    "node-cidr-mask-size": "int",
    "node-cidr-mask-size-ipv4": "int",
    "node-cidr-mask-size-ipv6": "int",
    "service-cluster-ip-range": "text",
}

_CORE = "cmd/kube-controller-manager/app/core.go"
_RANGES = "service-cluster-ip-range"
_CLOUD_ALLOCATORS = {"CloudAllocator", "IPAMFromCloud", "IPAMFromCluster"}
_FIXES = {
    "cluster-cidr": "give one CIDR, or one of each family, with one comma and no spaces between them",
    "service-range": "give one range, or one of each family",
    "mask-flags": "single-stack: --node-cidr-mask-size; dual-stack: -ipv4 and -ipv6",
}


def judge_controller_manager(line: CommandLine) -> None:
    """Add the findings for kube-controller-manager.

    Parameters
    ----------
    line : CommandLine
        Its flags.

    Raises
    ------
    None
        Everything is a finding. As in the component, the first stage that refuses hides the later ones.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> from dsmodel.kube.command_lines import parse_command_line
    >>> flags = ["--allocate-node-cidrs=true", "--cluster-cidr=fd00::/32"]
    >>> line = parse_command_line("kube-controller-manager", flags, KubeVersion("1.36"))
    >>> judge_controller_manager(line)
    >>> line.findings[0].message
    'New CIDR set failed; the node CIDR size is too big'
    """
    gates = line.feature_gates()
    masks = MaskFlags(
        line.number("node-cidr-mask-size"),
        line.number("node-cidr-mask-size-ipv4"),
        line.number("node-cidr-mask-size-ipv6"),
    )
    allocates = line.is_on("allocate-node-cidrs")
    if len(line.parts(_RANGES)) > len(IPFamily):
        words = f"--{_RANGES} can not contain more than two entries"
        source = "cmd/kube-controller-manager/app/options/nodeipamcontroller.go"
        line.find("fatal", "service-range", words, flag=_RANGES, fix=_FIXES["service-range"], source=source)
    if line.is_refused():
        return
    if not allocates:
        _note_unused(line)
        return
    _judge_allocator(line)
    if line.is_refused():
        return
    _judge_ranges(line, gates, masks)


def _note_unused(line: CommandLine) -> None:
    """Note flags that nothing reads while node IPAM is off."""
    for name in ("cluster-cidr", "node-cidr-mask-size", "node-cidr-mask-size-ipv4", "node-cidr-mask-size-ipv6"):
        if line.text(name):
            words = f"--{name} is not read: --allocate-node-cidrs is not set, nodes get no podCIDRs from here"
            fix = "set --allocate-node-cidrs=true, unless a network plugin brings its own pools"
            line.find("note", "node-ipam-off", words, flag=name, fix=fix, source=_CORE)


def _judge_allocator(line: CommandLine) -> None:
    """Refuse an allocator type that this build has not."""
    kind = line.text("cidr-allocator-type", "RangeAllocator")
    if kind == "RangeAllocator":
        return
    fix = "drop the flag, or take RangeAllocator"
    source = "pkg/controller/nodeipam/ipam/cidr_allocator.go"
    in_tree = line.kube_version.rule("node_ipam_cloud_allocators")
    if in_tree and kind in _CLOUD_ALLOCATORS and line.text("cloud-provider"):
        words = f"{kind} asks the cloud for podCIDRs; what it answers is not modelled"
        line.find("note", "cidr-allocator-type", words, flag="cidr-allocator-type", fix=fix, source=source)
        return
    words = f"invalid CIDR allocator type: {kind}"
    if in_tree and kind in _CLOUD_ALLOCATORS:
        words = "panic: runtime error: invalid memory address or nil pointer dereference"
        fix += "; this type needs --cloud-provider=gce"
    elif not in_tree and kind:
        words = f"built-in cloud providers are disabled. The ipam {kind} is not available"
    line.find("fatal", "cidr-allocator-type", words, flag="cidr-allocator-type", fix=fix, source=source)


def _judge_ranges(line: CommandLine, gates: Mapping[str, bool], flags: MaskFlags) -> None:
    """Take node IPAM through its start, stage by stage."""
    blocks: tuple[Cidr, ...] = ()
    masks: list[int] = []
    stage = ("cluster-cidr", "cluster-cidr")
    try:
        blocks = judge_cidrs(line.text("cluster-cidr").split(","), line.kube_version, gates)
        stage = ("service-range", _RANGES)
        services = judge_services(line.parts(_RANGES), line.kube_version, gates)
        stage = ("mask-flags", "node-cidr-mask-size")
        sizes = effective_masks([block.family for block in blocks], flags, line.kube_version)
        stage = ("node-mask", "cluster-cidr")
        masks = [sizes[block.family] for block in blocks]
        judge_masks(blocks, masks, line.kube_version)
    except InvalidConfig as error:
        fix = _mask_fix(blocks, masks, line.kube_version) if stage[0] == "node-mask" else _FIXES[stage[0]]
        line.find("fatal", stage[0], str(error), flag=stage[1], fix=fix, source=_CORE)
        return
    _advise_services(line, blocks, services)
    _advise_masks(line, blocks, masks=masks, services=services)


def _mask_fix(blocks: Sequence[Cidr], masks: Sequence[int], version: KubeVersion) -> str:
    """Name the masks that would go with the cluster CIDR that was refused, and the other way round."""
    limit = version.rule("node_ipam_ipv6_block_bits")
    for block, mask in zip(blocks, masks, strict=True):
        length, flag = block.prefix_length, "--node-cidr-mask-size"
        flag += f"-{block.family.lower()}" if len(blocks) > 1 else ""
        most = min(length + limit, block.family.bits) if block.family is IPFamily.IPV6 else block.family.bits
        if not length <= mask <= most:
            shortest = mask - limit if mask > most else 1
            bounds = f"/{shortest} to /{mask}" if shortest > 1 else f"/{mask} or shorter"
            return f"for {block} take {flag} from {length} to {most}; for nodes of /{mask} a cluster CIDR of {bounds}"
    return "take a node mask that is longer than the cluster CIDR's"


def _advise_services(line: CommandLine, blocks: Sequence[Cidr], services: Sequence[Cidr]) -> None:
    """Warn of service ranges that are not read, and of families that do not pair."""
    for text in line.parts(_RANGES):
        if read_cidr(text, line.kube_version) is None:
            words = f"Unsuccessful parsing of service CIDR {text}: invalid CIDR address: {text}"
            line.find("warning", "service-range", words, flag=_RANGES, fix="write a CIDR", source=_CORE)
    families = [block.family for block in blocks]
    others = [cidr.family for cidr in services]
    if others and set(others) - set(families):
        words = f"Services have {' and '.join(others)}, Pods only {' and '.join(families)}"
        fix = "give --cluster-cidr the same families"
        line.find("warning", "family-pairing", words, flag="cluster-cidr", fix=fix, source="KEP-563")
    elif len(others) == len(families) and others != families:
        words = f"cluster CIDRs are {','.join(families)}, service ranges {','.join(others)}"
        fix = "keep one order: the first service range decides the default family of Services"
        line.find("note", "family-order", words, flag="cluster-cidr", fix=fix, source="KEP-563")


def _advise_masks(line: CommandLine, blocks: Sequence[Cidr], *, masks: Sequence[int], services: Sequence[Cidr]) -> None:
    """Count the nodes each family holds, and warn where one runs out first or none has room."""
    counts = []
    for block, mask in zip(blocks, masks, strict=True):
        flag = f"node-cidr-mask-size-{block.family.lower()}" if len(blocks) > 1 else "node-cidr-mask-size"
        if mask > block.family.bits:
            words = f"a node mask of {mask} is longer than an address: every node fails with CIDRAssignmentFailed"
            fix = f"take at most {block.family.bits}"
            line.find("error", "node-mask", words, flag=flag, fix=fix, source="recording of 1.20")
            return
        blocks_of = CidrSet(block, mask)
        for cidr in services:
            if cidr.overlaps(block):
                blocks_of.occupy_cidr(cidr)
        if blocks_of.used:
            severity = "error" if not blocks_of.free else "note"
            words = f"service ranges take {blocks_of.used} of {blocks_of.max_blocks} node blocks out of {block}"
            fix = "move the service range out of the cluster CIDR"
            line.find(severity, "service-range-inside", words, flag=_RANGES, fix=fix, source="range_allocator.go")
        counts.append(blocks_of.free)
    if len(set(counts)) > 1 and min(counts) < line.kube_version.rule("max_nodes"):
        scarce, ample = (blocks[counts.index(pick(counts))] for pick in (min, max))
        nodes = "one node" if min(counts) == 1 else f"{min(counts)} nodes"
        words = f"{scarce} holds {nodes}, {ample} {max(counts)}: node {min(counts) + 1} gets no podCIDR"
        if counts.index(min(counts)) > 0:
            words += f", and every further try loses a block of {blocks[0]} until the controller restarts"
        wanted = min(max(counts), line.kube_version.rule("max_nodes"))
        length = max(1, masks[blocks.index(scarce)] - (wanted - 1).bit_length())
        fix = (
            f"take a /{length} or shorter for {scarce.family}, which holds {counted(wanted, 'node')}, or plan "
            f"for {min(counts)}"
        )
        line.find("warning", "family-capacity", words, flag="cluster-cidr", fix=fix, source="range_allocator.go")

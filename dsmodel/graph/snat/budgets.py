"""What each translator has: ports, addresses, how it searches, how long ports linger.

Promises: one `PortBudget` for each kind of translator of the field, its numbers from `dsmodel.graph.snat.constants`.

- Products that translate with netfilter (Antrea, OVN-Kubernetes, Kube-OVN, Calico, flannel, kube-router, the AWS VPC
  CNI, kube-proxy, ip-masq-agent) share the budget of `linux`.
- NAT64 is stateful: its connections take ports of the translator's IPv4 budget, beside those of IPv4 clients.
- Cloud NAT of AWS and GCP translates no IPv6. A family without translation has its pods' own ports (`untranslated`).

What it does not know: what else uses the same addresses.

Sources: those of `dsmodel.graph.snat.constants`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from dsmodel.errors import InvalidInput
from dsmodel.graph.snat.constants import AZURE_DEFAULT_PORTS, alarm_ratio, constant

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "PortBudget",
    "aws_nat_gateway",
    "azure_load_balancer",
    "azure_nat_gateway",
    "cilium",
    "gcp_cloud_nat",
    "linux",
    "nptv6",
    "untranslated",
]

_FIRST_HIGH: Final = 1_024  # Linux keeps the class of the source port
_FIRST_MIDDLE: Final = 512


@dataclass(frozen=True, kw_only=True)
class PortBudget:
    """What one translator holds for one family.

    Parameters
    ----------
    translator : str
        What it is, for reports.
    ports : int or None
        Connections at once per address, protocol and destination (address and port); with `per_instance`, per VM or pod
        instead of per address. None where nothing limits.
    addresses : int, default 1
        Translated addresses.
    spread : {"pooled", "hashed"}
        Whether a connection takes any address with a free port, or the one its hash names.
    per_instance : bool, default False
        Whether each VM or pod has ports of its own; idle ones keep theirs.
    inventory : int or None
        Ports of an address that instances share.
    tries : int, default 0
        Ports the allocator looks at; 0 for one that searches to the end.
    hold_s : float, default 0
        Seconds for which a port stays taken after its connection ended.
    most_new_per_s : int or None
        New connections a second per address and destination.
    total : int or None
        Connections at once over all destinations.
    evicts : bool, default False
        Whether the total, once full, ends old connections; else it refuses new ones.
    alarm_ratio : float, default 0.95
        Fill from which on it is worth an alarm.

    Raises
    ------
    InvalidInput
        A count below 1, or a ratio outside 0 to 1.

    Examples
    --------
    >>> aws_nat_gateway(addresses=8).usable
    440000
    """

    translator: str
    ports: int | None
    addresses: int = 1
    spread: Literal["pooled", "hashed"] = "pooled"
    per_instance: bool = False
    inventory: int | None = None
    tries: int = 0
    hold_s: float = 0.0
    most_new_per_s: int | None = None
    total: int | None = None
    evicts: bool = False
    alarm_ratio: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what is no budget."""
        for name in ("ports", "addresses", "total"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInput(f"{self.translator}: {name}={value}; a budget has 1 or more")
        if not 0 < self.alarm_ratio <= 1:
            raise InvalidInput(f"{self.translator}: alarm_ratio={self.alarm_ratio}; write a ratio of 0 to 1")

    @property
    def usable(self) -> int | None:
        """Connections at once to one destination, by one protocol: of all addresses, or of one instance."""
        return self.ports if self.ports is None or self.per_instance else self.ports * self.addresses

    @property
    def instances_per_address(self) -> int | None:
        """How many instances one address has whole blocks for; None where they have none of their own."""
        shared = self.per_instance and self.inventory and self.ports
        return (self.inventory or 0) // (self.ports or 1) if shared else None

    def addresses_for(self, instances: int) -> int:
        """Count the addresses that give so many instances their ports.

        Parameters
        ----------
        instances : int
            VMs of the pool.

        Returns
        -------
        int
            With whole blocks on each address.

        Raises
        ------
        InvalidInput
            A budget without blocks, or blocks larger than an address.

        Examples
        --------
        >>> gcp_cloud_nat(ports_per_vm=1_024).addresses_for(200)
        4
        """
        if not self.instances_per_address:
            raise InvalidInput(f"{self.translator}: no address is cut into blocks of {self.ports} ports")
        return -(-instances // self.instances_per_address)


def linux(
    *,
    addresses: int = 1,
    to_ports: Iterable[tuple[int, int]] = (),
    source_port: int = _FIRST_HIGH,
    spread: Literal["pooled", "hashed"] = "hashed",
) -> PortBudget:
    """Return the budget of netfilter: MASQUERADE and SNAT of a Linux node.

    Parameters
    ----------
    addresses : int
        To which a rule translates; a node's MASQUERADE has one a family.
    to_ports : iterable of (int, int)
        Intervals with both ends, of ``--to-ports`` of ip-masq-agent or ``natPortRange`` of Calico.
    source_port : int
        A port of the clients: their class is kept where no interval is given.
    spread : {"pooled", "hashed"}
        How connections find an address where there are several: netfilter hashes them.

    Returns
    -------
    PortBudget
        128 ports are tried, then windows of half the size: 248 in all, or every one of 128 or fewer.

    Raises
    ------
    InvalidInput
        An interval that is none, or no port.

    Notes
    -----
    Source: ``nf_nat_l4proto_unique_tuple`` of ``net/netfilter/nf_nat_core.c``.

    Examples
    --------
    >>> linux().usable, linux().tries, linux(to_ports=[(1024, 29_999), (32_768, 65_535)]).usable
    (64512, 248, 61744)
    """
    chosen: set[int] = set()
    for first, last in to_ports:
        if not 0 < first <= last <= 65_535:
            raise InvalidInput(f"ports {first} to {last}: expected 0 < first <= last <= 65535")
        chosen.update(range(first, last + 1))
    if not 0 < source_port <= 65_535:
        raise InvalidInput(f"source_port={source_port}: a port is 1 to 65535")
    kept = "ports below 512" if source_port < _FIRST_MIDDLE else "ports from 512 to 1023"
    ports = len(chosen) or constant("linux", kept if source_port < _FIRST_HIGH else "ports from 1024")
    tries = window = constant("linux", "candidates in the first window")
    while window >= constant("linux", "smallest window that is halved"):
        window //= 2
        tries += window
    return PortBudget(
        translator="Linux netfilter",
        ports=ports,
        addresses=addresses,
        spread=spread,
        tries=tries if ports > constant("linux", "candidates in the first window") else 0,
        hold_s=constant("linux", "time wait of conntrack"),
        alarm_ratio=alarm_ratio("linux"),
    )


def cilium(
    *, highest_node_port: int | None = None, addresses: int = 1, nat_map_entries: int | None = None
) -> PortBudget:
    """Return the budget of Cilium's masquerading in BPF.

    Parameters
    ----------
    highest_node_port : int, optional
        Ports begin behind it; 32767 if left out.
    addresses : int
        Egress addresses.
    nat_map_entries : int, optional
        ``--bpf-nat-global-max``; 524,288 if left out. A connection takes two, and a full map ends old connections.

    Returns
    -------
    PortBudget
        32 random ports are tried.

    Raises
    ------
    InvalidInput
        No port is left behind the node ports.

    Notes
    -----
    Source: ``bpf/lib/nat.h`` of cilium/cilium.

    Examples
    --------
    >>> cilium().usable, cilium().total
    (32768, 262144)
    """
    highest = constant("cilium", "highest node port") if highest_node_port is None else highest_node_port
    entries = constant("cilium", "entries of the NAT map") if nat_map_entries is None else nat_map_entries
    if not 0 < highest < constant("cilium", "highest port"):
        raise InvalidInput(f"highest_node_port={highest}: no port is left behind it; use 1 to 65534")
    return PortBudget(
        translator="Cilium BPF",
        ports=constant("cilium", "highest port") - highest,
        addresses=addresses,
        spread="hashed",
        tries=constant("cilium", "tries"),
        total=entries // constant("cilium", "NAT map entries a connection"),
        evicts=True,
        alarm_ratio=alarm_ratio("cilium"),
    )


def aws_nat_gateway(*, addresses: int = 1, regional: bool = False) -> PortBudget:
    """Return the budget of an AWS NAT gateway, of IPv4 and of its NAT64.

    Parameters
    ----------
    addresses : int
        1 to 8, or up to 32 a zone of a regional one.
    regional : bool
        Whether it is a regional NAT gateway.

    Returns
    -------
    PortBudget
        55,000 connections an address and destination.

    Raises
    ------
    InvalidInput
        More addresses than it takes.

    Notes
    -----
    Source: Amazon VPC user guide, NAT gateway basics.

    Examples
    --------
    >>> aws_nat_gateway(addresses=2).usable
    110000
    """
    name = "addresses of a regional NAT gateway per zone" if regional else "addresses of a NAT gateway"
    most = constant("aws", name)
    if not 1 <= addresses <= most:
        raise InvalidInput(f"addresses={addresses}: an AWS NAT gateway takes 1 to {most}")
    return PortBudget(
        translator="AWS NAT gateway",
        ports=constant("aws", "connections per address and destination"),
        addresses=addresses,
        most_new_per_s=constant("aws", "new connections per address and destination"),
    )


def gcp_cloud_nat(
    *, addresses: int = 1, ports_per_vm: int | None = None, has_alias_range: bool = False, dynamic: bool = False
) -> PortBudget:
    """Return the budget of Google Cloud NAT: a block of ports a VM, which its pods share.

    Parameters
    ----------
    addresses : int
        NAT addresses.
    ports_per_vm : int, optional
        Minimum of static allocation, 64 if left out; with `dynamic`, the maximum, 65,536 if left out.
    has_alias_range : bool
        Whether VMs have an alias range of more than one address, as GKE nodes do: then 1,024 at least.
    dynamic : bool
        Whether blocks double on demand; connections may fail while they do.

    Returns
    -------
    PortBudget
        Ports of one VM; `PortBudget.addresses_for` counts addresses.

    Raises
    ------
    InvalidInput
        A dynamic maximum that is no power of two from 64 to 65,536.

    Notes
    -----
    Source: Google Cloud, Cloud NAT: IP addresses and ports.

    Examples
    --------
    >>> gcp_cloud_nat().instances_per_address, gcp_cloud_nat(has_alias_range=True).instances_per_address
    (1008, 63)
    """
    if dynamic:
        ports = ports_per_vm or constant("gcp", "ports per VM, dynamic maximum")
        smallest, largest = (constant("gcp", f"ports per VM, dynamic {end}imum") for end in ("min", "max"))
        if ports & (ports - 1) or not 2 * smallest <= ports <= largest:
            raise InvalidInput(f"ports_per_vm={ports}: a dynamic maximum is a power of two from 64 to 65536")
    else:
        ports = ports_per_vm or constant("gcp", "ports per VM, static")
        if has_alias_range:
            ports = max(ports, constant("gcp", "ports per VM with an alias range, at least"))
    return PortBudget(
        translator="Google Cloud NAT",
        ports=ports,
        addresses=addresses,
        per_instance=True,
        inventory=constant("gcp", "ports of an address"),
        hold_s=constant("gcp", "TCP time wait"),
    )


def azure_nat_gateway(*, addresses: int = 1) -> PortBudget:
    """Return the budget of an Azure NAT Gateway.

    Parameters
    ----------
    addresses : int
        1 to 16; of IPv6 with StandardV2 only.

    Returns
    -------
    PortBudget
        50,000 connections an address and destination of its 64,512 ports, 2,000,000 in total.

    Raises
    ------
    InvalidInput
        More addresses than it takes.

    Notes
    -----
    Source: Microsoft Learn, Azure NAT Gateway resource.

    Examples
    --------
    >>> budget = azure_nat_gateway(addresses=16)
    >>> budget.usable, budget.inventory * budget.addresses
    (800000, 1032192)
    """
    most = constant("azure", "addresses")
    if not 1 <= addresses <= most:
        raise InvalidInput(f"addresses={addresses}: an Azure NAT Gateway takes 1 to {most}")
    return PortBudget(
        translator="Azure NAT Gateway",
        ports=constant("azure", "connections per address and destination"),
        addresses=addresses,
        inventory=constant("azure", "ports of an address"),
        hold_s=constant("azure", "reuse after FIN"),
        total=constant("azure", "connections in total"),
    )


def azure_load_balancer(
    *, instances: int, frontends: int = 1, ports_per_instance: int | None = None, rule_ports: int = 0
) -> PortBudget:
    """Return the budget of Azure Load Balancer's outbound rules: fixed ports an instance.

    Parameters
    ----------
    instances : int
        VMs of the backend pool, up to 1,000.
    frontends : int
        Frontend addresses of the outbound rule.
    ports_per_instance : int, optional
        As configured, a multiple of 8; 0 for as many as fit; the default of the pool size if left out.
    rule_ports : int
        Ports of load-balancing and inbound NAT rules on the frontends: each takes a block of 8.

    Returns
    -------
    PortBudget
        Ports of one instance.

    Raises
    ------
    InvalidInput
        No multiple of 8, more than the frontends have, or a pool that is none.

    Notes
    -----
    Source: Microsoft Learn, Azure Load Balancer outbound connections.

    Examples
    --------
    >>> azure_load_balancer(instances=200).usable, azure_load_balancer(instances=200, ports_per_instance=0).usable
    (256, 320)
    """
    most, block = constant("azure-lb", "instances of a pool"), constant("azure-lb", "ports are given in multiples of")
    if not 1 <= instances <= most:
        raise InvalidInput(f"instances={instances}: a backend pool has 1 to {most}")
    inventory = constant("azure-lb", "ports of a frontend address")
    fits = (frontends * inventory - rule_ports * block) // instances // block * block
    ports = ports_per_instance
    if ports is None:
        ports = min(next(count for size, count in AZURE_DEFAULT_PORTS if instances <= size), fits)
    elif ports == 0:
        ports = fits
    if ports % block or not 0 < ports <= fits:
        raise InvalidInput(
            f"ports_per_instance={ports}: {frontends} frontend(s) have multiples of {block} up to {fits} for "
            f"{instances} instances; add frontends"
        )
    return PortBudget(
        translator="Azure Load Balancer",
        ports=ports,
        addresses=frontends,
        per_instance=True,
        inventory=inventory,
    )


def nptv6() -> PortBudget:
    """Return the budget of NPTv6: a prefix for a prefix, without ports or state.

    Returns
    -------
    PortBudget
        Without a limit.

    Raises
    ------
    None
        It has none.

    Notes
    -----
    Source: RFC 6296.

    Examples
    --------
    >>> nptv6().usable is None
    True
    """
    return PortBudget(translator="NPTv6", ports=None)


def untranslated(*, ephemeral_ports: int | None = None) -> PortBudget:
    """Return the budget of pods that leave with their own address.

    Parameters
    ----------
    ephemeral_ports : int, optional
        Size of ``net.ipv4.ip_local_port_range``, which holds for IPv6 too and is of each network namespace; 28,232 if
        left out.

    Returns
    -------
    PortBudget
        Ports of one pod, or of a node for all pods of its host network.

    Raises
    ------
    InvalidInput
        A count below 1.

    Notes
    -----
    Source: ``Documentation/networking/ip-sysctl.rst`` of Linux.

    Examples
    --------
    >>> untranslated().usable
    28232
    """
    ports = constant("linux", "ephemeral ports") if ephemeral_ports is None else ephemeral_ports
    return PortBudget(
        translator="the pod's own sockets",
        ports=ports,
        per_instance=True,
        hold_s=constant("linux", "time wait of sockets"),
    )

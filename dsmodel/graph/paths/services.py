"""The Services of a cluster, as destinations find them: by name, by address, by node port, with their endpoints.

Promises what kube-proxy would have in its tables: cluster IPs; ``spec.externalIPs``, and addresses of load balancers
that it serves itself, both only in families that the Service has a cluster IP of; node ports by number and protocol;
endpoints that are ready, or where there are none those that terminate and still serve, for the whole cluster and for
each node on its own.

What it does not know: topology hints and session affinity; ports of Services that no object of the cluster shows.

Sources: ``pkg/proxy/topology.go``, ``serviceport.go`` and ``util/utils.go`` of the v1.36 line; kubernetes/api
discovery/v1 EndpointSlice, core/v1 Endpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.cluster.schema import TRAFFIC_POLICIES
from dsmodel.errors import InvalidInput
from dsmodel.graph.masquerade.services import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dsmodel.cluster.state import Cluster
    from dsmodel.cluster.table import Table

__all__ = ["Backends", "OfferedPort", "Services", "held"]

_READY: Final = {None, True}
_SERVICE_NAME: Final = "kubernetes.io/service-name"
_SERVICE_PORT: Final = 1  # code of schema.NODE_PORT_USES; the other is for health checks

Endpoint = tuple[str, str]
"""Address, and name of the node; empty for outside the cluster."""


class OfferedPort(NamedTuple):
    """One port of a Service, as far as it is known."""

    name: str
    port: int
    protocol: str
    node_port: int


@dataclass(frozen=True)
class Backends:
    """Endpoints that traffic to a Service may go to.

    Parameters
    ----------
    anywhere : tuple of (str, str)
        For traffic that any endpoint will do: address and node.
    on_node : tuple of (str, str)
        Further ones, that only traffic takes which has to stay on their node: they terminate, and no other there is
        ready.
    """

    anywhere: tuple[Endpoint, ...]
    on_node: tuple[Endpoint, ...] = ()


class Services:
    """Services of a cluster; each lookup is built when it is first asked for.

    Parameters
    ----------
    cluster : Cluster
        Whose.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._table = cluster, cluster.services

    def __len__(self) -> int:
        """Count the Services."""
        return len(self._table)

    @cached_property
    def by_name(self) -> dict[str, int]:
        """Rows of the table, by "namespace/name"."""
        names = zip(self._table["namespace"].tolist(), self._table["name"].tolist(), strict=True)
        return {f"{namespace}/{name}": row for row, (namespace, name) in enumerate(names) if name}

    @cached_property
    def by_address(self) -> dict[str, tuple[int, Target]]:
        """Rows, and what of the Service it is, by address; where two Services claim one, the first in this order."""
        found: dict[str, tuple[int, Target]] = {}
        table = self._table
        for family, end in ENDS.items():
            rows = np.flatnonzero(table[f"has_cluster_{end}"])
            for row, number in zip(rows.tolist(), to_integers(table[f"cluster_{end}"][rows]), strict=True):
                found.setdefault(format_address(family, number), (row, Target.CLUSTER_IP))
        for target, rows_and_texts in ((Target.EXTERNAL_IP, self._external), (Target.LOAD_BALANCER, self._balanced)):
            for row, text in rows_and_texts():
                family, number = parse_address(text)
                if table[f"has_cluster_{ENDS[family]}"][row]:
                    found.setdefault(format_address(family, number), (row, target))
        return found

    @cached_property
    def by_node_port(self) -> dict[int, list[tuple[int, str]]]:
        """Rows with the protocol of each (empty where not known), by node port."""
        ports, found = self._cluster.node_ports, dict[int, list[tuple[int, str]]]()
        for row, number in zip(ports["service"].tolist(), ports["node_port"].tolist(), strict=True):
            known = [each.protocol for each in self.ports(row) if each.node_port == number]
            held = found.setdefault(number, [])
            held += [(row, protocol) for protocol in known or [""] if (row, protocol) not in held]
        if (ports["use"] != _SERVICE_PORT).any():
            health = set(ports["node_port"][ports["use"] != _SERVICE_PORT].tolist())
            health -= set(ports["node_port"][ports["use"] == _SERVICE_PORT].tolist())
            for number in health:
                del found[number]  # kube-proxy itself answers there, on every node
        return found

    def title(self, row: int) -> str:
        """Return namespace and name of a Service.

        Parameters
        ----------
        row : int
            Of the table.

        Returns
        -------
        str
            Joined by a slash.

        Raises
        ------
        None
            Every row has both.
        """
        return f"{self._table['namespace'][row]}/{self._table['name'][row]}"

    def ports(self, row: int) -> tuple[OfferedPort, ...]:
        """Return the ports of a Service; empty where no object shows them.

        Parameters
        ----------
        row : int
            Of the table.

        Returns
        -------
        tuple of OfferedPort
            In the order of ``spec.ports``.

        Raises
        ------
        None
            There may be none.
        """
        item = self._objects.get(self.title(row), {})
        return tuple(
            OfferedPort(
                str(each.get("name") or ""),
                int(each.get("port") or 0),
                str(each.get("protocol") or "TCP"),
                int(each.get("nodePort") or 0),
            )
            for each in (item.get("spec") or {}).get("ports") or ()
        )

    def addresses(self, row: int) -> tuple[str, ...]:
        """Return the cluster IPs of a Service.

        Parameters
        ----------
        row : int
            Of the table.

        Returns
        -------
        tuple of str
            One a family, IPv4 first.

        Raises
        ------
        None
            There may be none.
        """
        return held(self._table, row, "cluster")

    def is_headless(self, row: int) -> bool:
        """Tell whether clients reach its endpoints without kube-proxy.

        Parameters
        ----------
        row : int
            Of the table.

        Returns
        -------
        bool
            Whether it is headless.

        Raises
        ------
        None
            Every row has an answer.
        """
        return bool(self._table["headless"][row])

    def is_internal_local(self, row: int) -> bool:
        """Tell whether ``internalTrafficPolicy`` is Local.

        Parameters
        ----------
        row : int
            Of the table.

        Returns
        -------
        bool
            False where no object says so.

        Raises
        ------
        None
            Every row has an answer.
        """
        spec = self._objects.get(self.title(row), {}).get("spec") or {}
        return bool(spec.get("internalTrafficPolicy") == "Local")

    def is_external_local(self, row: int) -> bool:
        """Tell whether ``externalTrafficPolicy`` is Local.

        Parameters
        ----------
        row : int
            Of the table.

        Returns
        -------
        bool
            False where it is not set.

        Raises
        ------
        None
            Every row has an answer.
        """
        return TRAFFIC_POLICIES[int(self._table["external_traffic_policy"][row])] == "Local"

    def source_ranges(self, row: int) -> tuple[str, ...]:
        """Return what its load balancer addresses let in; empty for everything.

        Parameters
        ----------
        row : int
            Of the table.

        Returns
        -------
        tuple of str
            CIDRs of both families, sorted.

        Raises
        ------
        None
            There may be none.
        """
        ranges = self._cluster.allowed_sources
        mine = np.flatnonzero(ranges["service"] == row)
        found = []
        for family, end in ENDS.items():
            rows = mine[ranges[f"has_source_{end}"][mine]]
            bases, lengths = to_integers(ranges[f"source_{end}"][rows]), ranges[f"source_{end}_mask"][rows].tolist()
            found += [Cidr.from_parts(family, base, int(bits)) for base, bits in zip(bases, lengths, strict=True)]
        return tuple(map(str, sorted(found)))

    def backends(self, row: int, port_name: str | None = None) -> Backends | None:
        """Choose the endpoints of a Service.

        Parameters
        ----------
        row : int
            Of the table.
        port_name : str, optional
            Name of the Service's port that is asked for; endpoints of all if left out.

        Returns
        -------
        Backends or None
            None where no object tells of any, and of no endpoint of another Service either.

        Raises
        ------
        None
            What is no address is passed over.
        """
        name = self.title(row)
        if name in self._slices:
            found = [each for item in self._slices[name] for each in _of_slice(item, port_name)]
        elif name in self._older:
            found = list(_of_endpoints(self._older[name], port_name))
        else:
            return None
        return _chosen(found, terminating=self._takes_terminating)

    @cached_property
    def _takes_terminating(self) -> bool:
        config = self._cluster.config
        return config.kube_version.gate("ProxyTerminatingEndpoints", config.feature_gates)

    @cached_property
    def _objects(self) -> dict[str, Mapping[str, Any]]:
        """Services as objects, by name."""
        return {_name(each): each for each in self._cluster.objects.of("Service", "")}

    @cached_property
    def _slices(self) -> dict[str, list[Mapping[str, Any]]]:
        """EndpointSlices by the Service they belong to."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for each in self._cluster.objects.of("EndpointSlice", "discovery.k8s.io"):
            metadata = each.get("metadata") or {}
            owner = (metadata.get("labels") or {}).get(_SERVICE_NAME)
            if owner:
                found.setdefault(f"{metadata.get('namespace') or 'default'}/{owner}", []).append(each)
        return found

    @cached_property
    def _older(self) -> dict[str, Mapping[str, Any]]:
        """Endpoints, by the Service of their name."""
        return {_name(each): each for each in self._cluster.objects.of("Endpoints", "")}

    def _external(self) -> Iterator[tuple[int, str]]:
        """Yield rows and ``spec.externalIPs``, unless the cluster's version has switched them off."""
        config = self._cluster.config
        gate = "AllowServiceExternalIPs"
        if config.kube_version.gate_row(gate) and not config.kube_version.gate(gate, config.feature_gates):
            return
        for name, item in self._objects.items():
            for text in (item.get("spec") or {}).get("externalIPs") or ():
                if name in self.by_name and _is_address(str(text)):
                    yield self.by_name[name], str(text)

    def _balanced(self) -> Iterator[tuple[int, str]]:
        """Yield rows and addresses of load balancers that nodes serve themselves."""
        config, shown = self._cluster.config, set()
        has_mode = config.kube_version.gate("LoadBalancerIPMode", config.feature_gates)
        for name, item in self._objects.items():
            ingress = ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
            if name not in self.by_name or not ingress:
                continue
            row = self.by_name[name]
            shown.add(row)
            for each in ingress:
                text = str(each.get("ip") or "")
                if _is_address(text) and not (has_mode and each.get("ipMode") == "Proxy"):
                    yield row, text
        for family, end in ENDS.items():
            rows = np.flatnonzero(self._table[f"has_external_{end}"])
            for row, number in zip(rows.tolist(), to_integers(self._table[f"external_{end}"][rows]), strict=True):
                if row not in shown:
                    yield row, format_address(family, number)


def held(table: Table, row: int, column: str) -> tuple[str, ...]:
    """Return the addresses that a row has.

    Parameters
    ----------
    table : Table
        With an address column of each family.
    row : int
        Which.
    column : str
        Name of the column without its family: "cluster", "pod", "internal".

    Returns
    -------
    tuple of str
        One a family, IPv4 first.

    Raises
    ------
    None
        There may be none.
    """
    return tuple(
        format_address(family, to_integers(table[f"{column}_{end}"][row : row + 1])[0])
        for family, end in ENDS.items()
        if table[f"has_{column}_{end}"][row]
    )


class _Candidate(NamedTuple):
    """An endpoint with what decides whether it is taken."""

    address: str
    node: str
    is_ready: bool
    is_serving: bool  # although it terminates


def _chosen(found: Iterable[_Candidate], *, terminating: bool) -> Backends:
    """Take ready endpoints; terminating ones that serve where there are none, in the cluster and on each node."""
    found = tuple(dict.fromkeys(found))
    ready = tuple((each.address, each.node) for each in found if each.is_ready)
    serving = tuple((each.address, each.node) for each in found if each.is_serving and terminating)
    by_family = {family: [one for one in ready if parse_address(one[0])[0] is family] for family in IPFamily}
    anywhere, on_node = ready, tuple[Endpoint, ...]()
    for family, held_ready in by_family.items():
        mine = tuple(one for one in serving if parse_address(one[0])[0] is family)
        if held_ready:
            nodes = {node for _, node in held_ready}
            on_node += tuple(one for one in mine if one[1] not in nodes)
        else:
            anywhere += mine
    return Backends(anywhere, on_node)


def _of_slice(item: Mapping[str, Any], port_name: str | None) -> Iterator[_Candidate]:
    """Yield the endpoints of an EndpointSlice that has the port."""
    names = [str(each.get("name") or "") for each in item.get("ports") or ()]
    if port_name is not None and names and port_name not in names:
        return
    for endpoint in item.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        is_ready = conditions.get("ready") in _READY
        serves = is_ready if conditions.get("serving") is None else bool(conditions["serving"])
        for text in (endpoint.get("addresses") or ())[:1]:
            if _is_address(str(text)):
                goes = serves and conditions.get("terminating") is True and not is_ready
                yield _Candidate(_canonical(str(text)), str(endpoint.get("nodeName") or ""), is_ready, goes)


def _of_endpoints(item: Mapping[str, Any], port_name: str | None) -> Iterator[_Candidate]:
    """Yield the endpoints of the older object: what is not ready may have any cause, and is not taken."""
    for subset in item.get("subsets") or ():
        names = [str(each.get("name") or "") for each in subset.get("ports") or ()]
        if port_name is not None and names and port_name not in names:
            continue
        for each in subset.get("addresses") or ():
            if _is_address(str(each.get("ip"))):
                yield _Candidate(_canonical(str(each["ip"])), str(each.get("nodeName") or ""), True, False)


def _name(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata") or {}
    return f"{metadata.get('namespace') or 'default'}/{metadata.get('name') or ''}"


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except InvalidInput:
        return False
    return True


def _canonical(text: str) -> str:
    family, number = parse_address(text)
    return format_address(family, number)

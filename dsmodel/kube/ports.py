"""Node ports: one pool of numbers for all protocols and both families, and who gets one.

Promises: which ports a create or an update reserves, allocates and gives up, in the server's order; its words when one
is taken, out of range or when none is left.

Not known here: kube-proxy's use of the ports, the repair loop.

Sources: ``initNodePorts``, ``updateNodePorts``, ``allocHealthCheckNodePort`` and ``updateHealthCheckNodePort`` of
``pkg/registry/core/service/storage``; ``pkg/registry/core/service/portallocator/allocator.go``; KEP-3668.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.errors import AlreadyAllocated, NotInRange, PoolFull, Rejected
from dsmodel.kube.fields import internal_error, invalid, rejected
from dsmodel.pools.ranges import PortRange

if TYPE_CHECKING:
    import numpy as np

    from dsmodel.kube.behaviour import Behaviour
    from dsmodel.kube.services.grants import Grants
    from dsmodel.kube.services.spec import ServiceSpec

__all__ = ["NodePorts", "grant_node_ports", "port_band_offset", "regrant_node_ports"]


def port_band_offset(size: int) -> int:
    """Return how many of the first node ports dynamic allocation leaves alone while it can.

    Parameters
    ----------
    size : int
        Ports of the range.

    Returns
    -------
    int
        ``min(max(16, size // 32), 128)``, 0 up to 16 ports.

    Raises
    ------
    None
        Every size has an answer.

    Notes
    -----
    Source: ``calculateRangeOffset`` of ``portallocator/allocator.go``; recordings of 1.36.

    Examples
    --------
    >>> port_band_offset(2768), port_band_offset(16)
    (86, 0)
    """
    return 0 if size <= 16 else min(max(16, size // 32), 128)


class NodePorts:
    """The node port range of one API server.

    Parameters
    ----------
    first, last : int
        The range, both ends included.
    band : bool
        Dynamic allocation avoids the static band.
    rng : numpy.random.Generator, optional
        Where searches start; None starts them at the first port of the band.

    Raises
    ------
    InvalidInput
        Not a range of ports.

    Examples
    --------
    >>> ports = NodePorts(30000, 32767, band=True)
    >>> ports.allocate_next()
    30086
    """

    def __init__(self, first: int, last: int, *, band: bool, rng: np.random.Generator | None = None) -> None:
        self.first = first
        self.last = last
        offset = port_band_offset(last - first + 1) if band else 0
        self.pool = PortRange(first, last, band_offset=offset, strategy="scan" if rng else "lowest", rng=rng)

    def copy(self) -> NodePorts:
        """Return an independent range in the same state.

        Returns
        -------
        NodePorts
            The pool is copied on write.

        Raises
        ------
        None
            Every state can be copied.
        """
        twin = object.__new__(NodePorts)
        twin.first = self.first
        twin.last = self.last
        twin.pool = self.pool.copy()
        return twin

    def allocate(self, port: int) -> None:
        """Reserve one port.

        Parameters
        ----------
        port : int
            The port.

        Raises
        ------
        AlreadyAllocated
            It is in use; in the server's words.
        NotInRange
            It is outside the range; in the server's words.
        """
        if not self.first <= port <= self.last:
            words = "provided port is not in the valid range. The range of valid ports is"
            raise NotInRange(f"{words} {self.first}-{self.last}")
        try:
            self.pool.allocate(port - self.first)
        except AlreadyAllocated:
            raise AlreadyAllocated("provided port is already allocated") from None

    def allocate_next(self) -> int:
        """Take any free port.

        Returns
        -------
        int
            The port.

        Raises
        ------
        PoolFull
            None is left; in the server's words.
        """
        try:
            return self.first + self.pool.allocate_next()
        except PoolFull:
            raise PoolFull("range is full") from None

    def release(self, port: int) -> None:
        """Give a port back; a free or foreign one is no error.

        Parameters
        ----------
        port : int
            The port.

        Raises
        ------
        None
            Every port has an answer.
        """
        if self.first <= port <= self.last:
            self.pool.release(port - self.first)


def grant_node_ports(spec: ServiceSpec, ports: NodePorts, *, grants: Grants, behaviour: Behaviour) -> None:
    """Reserve and allocate the ports of a new Service, in place.

    Parameters
    ----------
    spec : ServiceSpec
        Changed: node ports and health check port are filled in.
    ports : NodePorts
        The range.
    grants : Grants
        What has been taken, to give back on a refusal.
    behaviour : Behaviour
        Of the server.

    Raises
    ------
    Rejected
        422 for a node port that cannot be had, 500 when none is left or for the health check port.
    """
    if spec.needs_node_ports and not (switched_off(spec, behaviour) and behaviour.switched_off_node_ports == "ignored"):
        by_port: dict[int, int] = {}
        for index, port in enumerate(spec.ports):
            if port.node_port or not switched_off(spec, behaviour):
                _grant_one(spec, index, by_port, ports=ports, grants=grants)
    if spec.needs_health_check_port:
        _grant_health_check(spec, ports, grants)


def regrant_node_ports(
    spec: ServiceSpec, old: ServiceSpec, *, ports: NodePorts, grants: Grants, behaviour: Behaviour
) -> None:
    """Reserve, allocate and give up the ports of a changed Service, in place.

    Parameters
    ----------
    spec : ServiceSpec
        Changed: node ports and health check port are filled in.
    old : ServiceSpec
        As stored.
    ports : NodePorts
        The range.
    grants : Grants
        What has been taken, and what is to be given up once the update stands.
    behaviour : Behaviour
        Of the server.

    Raises
    ------
    Rejected
        422 for a node port that cannot be had, 500 when none is left, for a repeated one or for the health check port.
    """
    before = [port.node_port for port in old.ports if port.node_port]
    if old.needs_node_ports and spec.type in {"ExternalName", "ClusterIP"}:
        grants.give_up_ports += before
    if spec.needs_node_ports and not (switched_off(spec, behaviour) and behaviour.switched_off_node_ports == "ignored"):
        _regrant(spec, before, ports=ports, grants=grants, behaviour=behaviour)
    if old.needs_health_check_port and not spec.needs_health_check_port:
        grants.give_up_ports.append(old.health_check_node_port)
        if behaviour.families.generation == "rest":
            spec.health_check_node_port = 0
    elif spec.needs_health_check_port and not old.needs_health_check_port:
        _grant_health_check(spec, ports, grants)


def switched_off(spec: ServiceSpec, behaviour: Behaviour) -> bool:
    """Say whether a Service does without node ports.

    Parameters
    ----------
    spec : ServiceSpec
        The spec.
    behaviour : Behaviour
        Of the server.

    Returns
    -------
    bool
        A LoadBalancer with ``allocateLoadBalancerNodePorts: false``.

    Raises
    ------
    None
        Every spec has an answer.
    """
    return behaviour.node_port_control and spec.type == "LoadBalancer" and spec.allocate_node_ports is False


def _grant_one(spec: ServiceSpec, index: int, by_port: dict[int, int], *, ports: NodePorts, grants: Grants) -> None:
    """Serve one entry of a new Service: entries of one port number share a node port."""
    port = spec.ports[index]
    shared = by_port.get(port.port, 0)
    if not shared:
        asked = next((p.node_port for p in spec.ports if p.port == port.port and p.node_port), 0)
        port.node_port = _take(asked, index, ports, grants) if asked else _take_next(ports, grants)
        by_port[port.port] = port.node_port
    elif not port.node_port:
        port.node_port = shared
    elif port.node_port != shared:
        _take(port.node_port, index, ports, grants)


def _regrant(spec: ServiceSpec, before: list[int], *, ports: NodePorts, grants: Grants, behaviour: Behaviour) -> None:
    """Serve the entries of a changed Service."""
    seen: list[tuple[str, int]] = []
    taken: set[int] = set()
    for index, port in enumerate(spec.ports):
        if not port.node_port and switched_off(spec, behaviour):
            continue
        if not port.node_port:
            port.node_port = _take_next(ports, grants)
        elif port.node_port not in before and port.node_port not in taken:
            _take(port.node_port, index, ports, grants)
            taken.add(port.node_port)
        if (port.protocol, port.node_port) in seen:
            words = f"duplicate nodePort: {{{port.protocol} {port.node_port}}}"
            raise Rejected(words, code=500, reason="")
        seen.append((port.protocol, port.node_port))
    kept = {port.node_port for port in spec.ports}
    grants.give_up_ports += [number for number in before if number not in kept]


def _grant_health_check(spec: ServiceSpec, ports: NodePorts, grants: Grants) -> None:
    """Reserve or allocate the health check port; every failure is a 500."""
    asked = spec.health_check_node_port
    try:
        if asked:
            ports.allocate(asked)
        else:
            spec.health_check_node_port = ports.allocate_next()
    except (AlreadyAllocated, NotInRange) as error:
        raise internal_error(f"failed to allocate requested HealthCheck NodePort {asked}: {error}") from None
    except PoolFull as error:
        raise internal_error(f"failed to allocate a HealthCheck NodePort 0: {error}") from None
    grants.ports.append(spec.health_check_node_port)


def _take(number: int, index: int, ports: NodePorts, grants: Grants) -> int:
    """Reserve a node port asked for."""
    try:
        ports.allocate(number)
    except (AlreadyAllocated, NotInRange) as error:
        complaint = invalid(f"spec.ports[{index}].nodePort", number, str(error))
        raise rejected("Service", grants.name, [complaint], style=grants.style) from None
    grants.ports.append(number)
    return number


def _take_next(ports: NodePorts, grants: Grants) -> int:
    """Take any node port."""
    try:
        number = ports.allocate_next()
    except PoolFull as error:
        raise internal_error(f"failed to allocate a nodePort: {error}") from None
    grants.ports.append(number)
    return number

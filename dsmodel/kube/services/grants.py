"""What one request has taken and will give up: all or nothing.

Promises: `revert` gives back everything the request took and gives up nothing; `commit` gives up what the request no
longer needs. A real server since 1.23 may leave one address of a refused dual-stack request held for a minute, by
chance; this model always gives it back.

Sources: ``transaction.go`` of ``pkg/registry/core/service/storage``; recordings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.kube.ports import NodePorts
    from dsmodel.kube.service_cidrs import ServiceAddresses

__all__ = ["Grants"]


@dataclass(slots=True)
class Grants:
    """One request's takings.

    Parameters
    ----------
    name : str
        Name of the Service, for messages.
    owner : str
        Namespace and name, for IPAddress objects.
    style : str
        How messages print values.
    """

    name: str
    owner: str
    style: str
    ips: list[tuple[IPFamily, int]] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    give_up_ips: list[tuple[IPFamily, int]] = field(default_factory=list)
    give_up_ports: list[int] = field(default_factory=list)

    def revert(self, addresses: ServiceAddresses, ports: NodePorts) -> None:
        """Give back what was taken.

        Parameters
        ----------
        addresses : ServiceAddresses
            Of the server.
        ports : NodePorts
            Of the server.

        Raises
        ------
        None
            Every state has an answer.
        """
        for family, value in self.ips:
            addresses.release(family, value)
        for port in self.ports:
            ports.release(port)

    def commit(self, addresses: ServiceAddresses, ports: NodePorts) -> None:
        """Give up what is no longer needed.

        Parameters
        ----------
        addresses : ServiceAddresses
            Of the server.
        ports : NodePorts
            Of the server.

        Raises
        ------
        None
            Every state has an answer.
        """
        for family, value in self.give_up_ips:
            addresses.release(family, value)
        for port in self.give_up_ports:
            ports.release(port)

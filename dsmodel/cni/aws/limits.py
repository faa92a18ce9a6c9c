"""What AWS instances can run, and what ipamd keeps ready: arithmetic for arrays of nodes.

Promises maximum pods, the warm pool's targets for single addresses and for /28 prefixes, and the chance that a subnet
still has a prefix. The documented tables of both targets are its tests.

Sources: aws/amazon-vpc-cni-k8s ``pkg/ipamd/ipamd.go``, ``misc/eni-max-pods.txt``, ``docs/eni-and-ip-target.md``,
``docs/prefix-and-ip-target.md``; awslabs/amazon-eks-ami ``files/max-pods-calculator.sh``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.errors import InvalidField

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dsmodel.addresses.cidr import Cidr

__all__ = ["PREFIX_SIZE", "Interfaces", "WarmTargets", "max_pods", "prefix_chance"]

PREFIX_SIZE = 16
"""Addresses of a /28, all of which pods get. Source: ``pkg/ipamd/datastore/data_store.go``."""

_HOST_NETWORK_PODS = 2
_SMALL_INSTANCE_VCPUS = 30


@dataclass(frozen=True)
class Interfaces:
    """What an instance type can attach.

    Parameters
    ----------
    count : int
        Network interfaces.
    addresses : int
        IPv4 addresses of each, the primary one included.

    Examples
    --------
    >>> Interfaces(3, 4).slots
    9
    """

    count: int
    addresses: int

    @property
    def slots(self) -> int:
        """Secondary addresses, or prefixes, of all interfaces together."""
        return self.count * (self.addresses - 1)


def max_pods(
    interfaces: ArrayLike,
    addresses: ArrayLike,
    *,
    prefixes: bool = False,
    custom_networking: bool = False,
    vcpus: int | None = None,
) -> NDArray[np.int64]:
    """Return how many pods instances can run.

    Parameters
    ----------
    interfaces, addresses : array of integers
        Interfaces of each instance type, and IPv4 addresses of each interface, the primary one included.
    prefixes : bool
        Prefix delegation.
    custom_networking : bool
        The first interface serves no pods.
    vcpus : int, optional
        When given, the recommended maximum: 110 up to 30 vCPUs, 250 above.

    Returns
    -------
    ndarray of int64
        Two pods of the host network included.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Notes
    -----
    Source: awslabs/amazon-eks-ami ``files/max-pods-calculator.sh``.

    Examples
    --------
    >>> max_pods([3, 3], [10, 4]), max_pods(3, 10, prefixes=True), max_pods(3, 10, prefixes=True, vcpus=2)
    (array([29, 11]), array(434), array(110))
    """
    usable = np.asarray(interfaces, np.int64) - (1 if custom_networking else 0)
    pods = usable * (np.asarray(addresses, np.int64) - 1) * (PREFIX_SIZE if prefixes else 1) + _HOST_NETWORK_PODS
    if vcpus is None:
        return np.asarray(pods)
    return np.asarray(np.minimum(pods, 110 if vcpus <= _SMALL_INSTANCE_VCPUS else 250))


@dataclass(frozen=True)
class WarmTargets:
    """What ipamd keeps ready on a node.

    Parameters
    ----------
    warm_eni : int
        WARM_ENI_TARGET; counts while neither address target is set.
    warm_prefix : int
        WARM_PREFIX_TARGET; takes its place with prefix delegation.
    warm_ip, minimum_ip : int or None
        WARM_IP_TARGET and MINIMUM_IP_TARGET; either one overrides the two above.
    prefixes : bool
        ENABLE_PREFIX_DELEGATION.

    Raises
    ------
    InvalidField
        A negative target, or none above 0 with prefix delegation.

    Examples
    --------
    >>> WarmTargets().units([0, 5, 9], interfaces=Interfaces(3, 4))
    array([3, 9, 9])
    >>> WarmTargets(warm_ip=2, minimum_ip=5).units([0, 5, 9], interfaces=Interfaces(3, 4))
    array([5, 7, 9])
    """

    warm_eni: int = 1
    warm_prefix: int = 1
    warm_ip: int | None = None
    minimum_ip: int | None = None
    prefixes: bool = False

    def __post_init__(self) -> None:
        """Refuse what ipamd refuses."""
        for name in ("warm_eni", "warm_prefix", "warm_ip", "minimum_ip"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InvalidField(f"{name.upper()}_TARGET", value, "use 0 or more")
        if self.prefixes and not (self.warm_prefix or self.warm_ip or self.minimum_ip):
            raise InvalidField("WARM_PREFIX_TARGET", self.warm_prefix, "with prefix delegation one target is above 0")

    @property
    def by_address(self) -> bool:
        """Whether address targets are set."""
        return self.warm_ip is not None or self.minimum_ip is not None

    def units(self, assigned: ArrayLike, *, interfaces: Interfaces) -> NDArray[np.int64]:
        """Return how many addresses, or prefixes, nodes have once the pool has grown.

        Parameters
        ----------
        assigned : array of integers
            Addresses in use on each node.
        interfaces : Interfaces
            What the instances can attach.

        Returns
        -------
        ndarray of int64
            Secondary addresses; with prefix delegation, /28 prefixes.

        Raises
        ------
        None
            Every input of the declared types has an answer.

        Notes
        -----
        Source: ``datastoreTargetState`` and ``isDatastorePoolTooLow`` of ``pkg/ipamd/ipamd.go``.
        """
        busy = np.asarray(assigned, np.int64)
        each = interfaces.addresses - 1
        if self.by_address:
            total = np.maximum(busy + (self.warm_ip or 0), self.minimum_ip or 0)
            wanted = -(-total // PREFIX_SIZE) if self.prefixes else total
        elif self.prefixes:
            wanted = -(-busy // PREFIX_SIZE) + self.warm_prefix
        else:
            # whole interfaces: the first always, the next while less than the target is left
            wanted = np.maximum(-(-(busy + each * self.warm_eni) // each), 1) * each
        return np.asarray(np.clip(wanted, 0, interfaces.slots), np.int64)

    def short_and_over(
        self, assigned: ArrayLike, units: ArrayLike, *, free_prefixes: ArrayLike = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return what address targets lack and have too much of.

        Parameters
        ----------
        assigned : array of integers
            Addresses in use on each node.
        units : array of integers
            Addresses, or prefixes, attached.
        free_prefixes : array of integers
            Prefixes none of whose addresses is in use.

        Returns
        -------
        tuple of ndarray of int64
            Short and over, in addresses or prefixes; 0 and 0 while no address target is set.

        Raises
        ------
        None
            Every input of the declared types has an answer.

        Notes
        -----
        Addresses that rest count as available, so a target can look met while a pod finds nothing.
        Source: ``datastoreTargetState`` of ``pkg/ipamd/ipamd.go``.

        Examples
        --------
        >>> WarmTargets(warm_ip=5, minimum_ip=10).short_and_over([7, 7], [10, 20])
        (array([2, 0]), array([0, 8]))
        """
        busy, has = np.asarray(assigned, np.int64), np.asarray(units, np.int64)
        if not self.by_address:
            return np.zeros_like(busy), np.zeros_like(busy)
        warm, least = self.warm_ip or 0, self.minimum_ip or 0
        total = has * PREFIX_SIZE if self.prefixes else has
        left = total - busy
        short = np.maximum(np.maximum(warm - left, least - total), 0)
        if not self.prefixes:
            return short, np.maximum(np.minimum(left - warm, total - least), 0)
        spare = np.minimum(has - -(-(busy + warm) // PREFIX_SIZE), has - -(-least // PREFIX_SIZE))
        return -(-short // PREFIX_SIZE), np.maximum(np.minimum(np.asarray(free_prefixes, np.int64), spare), 0)


def prefix_chance(load: ArrayLike, *, subnet: Cidr) -> NDArray[np.float64]:
    """Return how likely a subnet of scattered single addresses still has a free aligned /28.

    Parameters
    ----------
    load : array of float
        Share of the subnet in use, 0 to 1.
    subnet : Cidr
        The subnet.

    Returns
    -------
    ndarray of float64
        Under independent uniform use, a simplification.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> prefix_chance([0.3], subnet=Cidr("10.0.0.0/24")).round(2)
    array([0.05])
    """
    one = (1 - np.asarray(load, np.float64)) ** PREFIX_SIZE
    return np.asarray(1 - (1 - one) ** max(1, subnet.size // PREFIX_SIZE), np.float64)

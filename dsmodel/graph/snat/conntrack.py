"""The conntrack table of a node: how large kube-proxy makes it, and how full connections of both families make it.

A connection takes one entry, whatever its family and whether it is translated or not. A full table refuses new
connections of both families: the only place where IPv4 load breaks IPv6 egress.

What it does not know: a node whose table something else sets; entries of connections that neither kube-proxy nor
masquerading sees.

Sources: ``getConntrackMax`` of ``cmd/kube-proxy/app/server_others.go`` of v1.20.2 and of
``pkg/proxy/conntrack/sysctls.go`` of v1.36.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.errors import InvalidInput
from dsmodel.graph.snat.constants import constant
from dsmodel.kube.versions import KubeVersion

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.int64]
    Ratios = NDArray[np.float64]

__all__ = ["ConntrackPressure", "conntrack_max", "conntrack_pressure"]

_ALARM_RATIO = 0.95


@dataclass(frozen=True, eq=False)
class ConntrackPressure:
    """How full the table of each node is.

    Parameters
    ----------
    ipv4, ipv6 : ndarray of int64, shape (nodes,)
        Entries of each family.
    usable : ndarray of int64, shape (nodes,)
        ``nf_conntrack_max``; 0 where it is not known.
    used_ratio : ndarray of float64, shape (nodes,)
        Both families over it; NaN where it is not known.
    refused_ratio : ndarray of float64, shape (nodes,)
        Share of connections, of each family alike, that finds no entry; NaN where it is not known.

    Raises
    ------
    None
        `conntrack_pressure` makes it.
    """

    ipv4: Numbers
    ipv6: Numbers
    usable: Numbers
    used_ratio: Ratios
    refused_ratio: Ratios

    @property
    def is_alarm(self) -> NDArray[np.bool_]:
        """Whether a table is nearly full."""
        return self.used_ratio >= _ALARM_RATIO

    def why(self, node: int) -> str:
        """Say in one sentence how full one table is, and who fills it.

        Parameters
        ----------
        node : int
            Row.

        Returns
        -------
        str
            With both families' parts.

        Raises
        ------
        IndexError
            No such row.

        Examples
        --------
        >>> print(conntrack_pressure(129_024, 0, usable=131_072).why(0))
        129,024 of 131,072 conntrack entries (98 %) are taken, 129,024 by IPv4 and 0 by IPv6; a full table refuses new
        connections of both families.
        """
        parts = f"{self.ipv4[node]:,} by IPv4 and {self.ipv6[node]:,} by IPv6"
        used = self.ipv4[node] + self.ipv6[node]
        if not self.usable[node]:
            return f"{used:,} conntrack entries are taken, {parts}; unknown how many there are (nf_conntrack_max)."
        share = f"{used:,} of {self.usable[node]:,} conntrack entries ({self.used_ratio[node]:.0%})"
        return f"{share.replace('%', ' %')} are taken, {parts}; a full table refuses new connections of both families."


def conntrack_max(
    cores: ArrayLike, *, kube_version: str | KubeVersion, max_per_core: int | None = None, minimum: int | None = None
) -> Numbers:
    """Return what kube-proxy sets ``nf_conntrack_max`` to.

    Parameters
    ----------
    cores : array_like of int
        CPUs of each node.
    kube_version : str or KubeVersion
        Of kube-proxy.
    max_per_core : int, optional
        ``conntrack.maxPerCore``, 32,768 if left out; 0 leaves the kernel's value as it is.
    minimum : int, optional
        ``conntrack.min``, 131,072 if left out.

    Returns
    -------
    ndarray of int64
        Entries; 0 where kube-proxy leaves it as it is.

    Raises
    ------
    UnsupportedVersion
        A version outside the modelled window.

    Examples
    --------
    >>> conntrack_max([4, 8, 64], kube_version="1.20"), conntrack_max(64, kube_version="1.36")
    (array([ 131072,  262144, 2097152]), array(1048576))
    """
    per_core = constant("kube-proxy", "conntrack entries per core") if max_per_core is None else max_per_core
    least = constant("kube-proxy", "conntrack entries at least") if minimum is None else minimum
    count = np.asarray(cores, np.int64)
    if per_core <= 0:
        return np.zeros_like(count)
    scaled = count * per_core
    found = np.maximum(scaled, least)
    most = KubeVersion(kube_version).rule("conntrack_max_scaled")
    return np.where(scaled > most, most, found) if most else found


def conntrack_pressure(ipv4: ArrayLike, ipv6: ArrayLike, *, usable: ArrayLike) -> ConntrackPressure:
    """Say how full the table of each node is.

    Parameters
    ----------
    ipv4, ipv6 : array_like of int
        Connections through each node, those that linger included.
    usable : array_like of int
        ``nf_conntrack_max`` of each, as `conntrack_max` gives it; 0 where it is not known.

    Returns
    -------
    ConntrackPressure
        A row a node.

    Raises
    ------
    InvalidInput
        A negative count.

    Examples
    --------
    >>> conntrack_pressure([60_000, 129_024], [6_000, 64_512], usable=131_072).used_ratio.round(2)
    array([0.5 , 1.48])
    """
    first, second, most = np.atleast_1d(*np.broadcast_arrays(*(np.asarray(x, np.int64) for x in (ipv4, ipv6, usable))))
    if min(each.min(initial=0) for each in (first, second, most)) < 0:
        raise InvalidInput("conntrack: a count is negative; connections and entries are 0 or more")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(most > 0, (first + second) / most, np.nan)
        refused = np.where(ratio > 1, 1 - 1 / ratio, np.where(np.isnan(ratio), np.nan, 0.0))
    return ConntrackPressure(first, second, most, ratio, refused)

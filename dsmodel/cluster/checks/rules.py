"""What a rule of the audit is, what it looks at, and how it names what it finds.

A `Rule` is data: name, severity, meaning, way out, source, and the function that finds what breaks it. The function
gets a `Subject` and returns breaches: object and message. Where very many objects break one rule, the first are named
and the rest counted.

What it does not know: the rules. Those are in `dsmodel.cluster.checks.nodes` and its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import addresses_in, equal, family_of, mask_prefix, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily, format_address
from dsmodel.cluster.schema import FINDINGS
from dsmodel.cluster.table import Table
from dsmodel.wording import agreeing, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster

__all__ = [
    "ENDS",
    "Breach",
    "Finding",
    "NamedRange",
    "Rule",
    "Subject",
    "address_text",
    "cidr_text",
    "each",
    "findings_table",
    "pod_name",
    "service_name",
    "shared",
]

ENDS = {IPFamily.IPV4: "ipv4", IPFamily.IPV6: "ipv6"}
_NAMED = 100  # objects named for one rule before the rest is only counted

Finding = tuple[str, str, str, str]  # severity, rule, object, message
Breach = tuple[str, str]  # object, message


@dataclass(frozen=True)
class NamedRange:
    """A range that the cluster must keep clear of, and whose it is.

    Parameters
    ----------
    kind : str
        "Peer" or "Reserved".
    name : str
        The owner's word; the CIDR where there is none.
    cidr : Cidr
        The addresses.
    """

    kind: str
    name: str
    cidr: Cidr

    def __str__(self) -> str:
        """Name it as findings do: kind and name."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Subject:
    """What is judged: a cluster, and what is known beside it.

    Parameters
    ----------
    cluster : Cluster
        Tables and pools.
    peers, reserved : tuple of NamedRange
        Ranges of networks that are reached, and ranges kept for something else.
    host_local : mapping of str to mapping
        Node name to the state of its host-local plugin, as `dsmodel.cni.host_local.read_state` gives it.
    places : mapping of IPFamily to ndarray of bool, optional
        `inside`, where it is known already.
    """

    cluster: Cluster
    peers: tuple[NamedRange, ...] = ()
    reserved: tuple[NamedRange, ...] = ()
    host_local: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    places: Mapping[IPFamily, NDArray[np.bool_]] | None = None

    @cached_property
    def inside(self) -> Mapping[IPFamily, NDArray[np.bool_]]:
        """Whether each pod's address lies in its node's block, or in the ranges of a network plugin without such.

        False for pods that hold none of their own.
        """
        if self.places is not None:
            return self.places
        pods, plugin, result = self.cluster.pods, self.cluster.network_plugin, {}
        for family, end in ENDS.items():
            result[family] = np.zeros(len(pods), np.bool_)
            rows = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"] & (pods["node"] >= 0))
            if not len(rows):
                continue
            nodes, column = pods["node"][rows], pods[f"pod_{end}"][rows]
            if plugin is None:
                inside = self.cluster.pod_blocks[family].ordinals(nodes, column)[1]
            elif family in plugin.node_ranges:
                bases, lengths = (part[nodes] for part in plugin.node_ranges[family])
                inside = (lengths > 0) & equal(mask_prefix(column, lengths), mask_prefix(bases, lengths))
            else:
                inside = addresses_in(column, [cidr for cidr in plugin.cidrs if cidr.family is family])
            result[family][rows] = inside
        return result

    def knows(self, name: str) -> bool:
        """Tell whether a field of the configuration was read or given, not guessed from the addresses in use.

        Parameters
        ----------
        name : str
            Field of `ClusterConfig`.

        Returns
        -------
        bool
            False for a guess.

        Raises
        ------
        None
            A field without evidence counts as given.
        """
        return not self.cluster.config.evidence.get(name, "").startswith("guess")


@dataclass(frozen=True)
class Rule:
    """One rule of the audit.

    Parameters
    ----------
    name : str
        Short name, as findings give it.
    severity : str
        "fatal" (a component does not start), "error", "warning" or "info".
    meaning : str
        What a breach is, in one line.
    fix : str
        The way out.
    source : str
        Where the rule was read.
    find : callable
        From a `Subject` to its breaches.
    at_reading : bool, default False
        Whether it is judged when tables become a cluster; the others only when asked.
    by_plugin : bool, default False
        Whether its answer hangs on the network plugin, and is given again once that was read from its objects.
    """

    name: str
    severity: str
    meaning: str
    fix: str
    source: str
    find: Callable[[Subject], list[Breach]]
    at_reading: bool = False
    by_plugin: bool = False

    def findings(self, subject: Subject) -> list[Finding]:
        """Judge and put the way out behind each message.

        Parameters
        ----------
        subject : Subject
            What is judged.

        Returns
        -------
        list of (severity, rule, object, message)
            Empty where nothing breaks the rule.

        Raises
        ------
        None
            Every cluster has an answer.
        """
        more = "more objects break this rule"
        return [
            (self.severity, self.name, thing, text if text.endswith(more) else f"{text}; {self.fix}")
            for thing, text in self.find(subject)
        ]


def findings_table(findings: Iterable[Finding]) -> Table:
    """Put findings into a table.

    Parameters
    ----------
    findings : iterable of (severity, rule, object, message)
        In the order they are shown.

    Returns
    -------
    Table
        Of schema `FINDINGS`.

    Raises
    ------
    InvalidInput
        If a severity is no word of the schema.

    Examples
    --------
    >>> findings_table([("error", "some-rule", "Node/a", "what is wrong")])["rule"].tolist()
    ['some-rule']
    """
    rows = list(findings)
    names = ("severity", "rule", "object", "message")
    columns = {name: np.array([row[i] for row in rows], np.dtypes.StringDType()) for i, name in enumerate(names)}
    return Table(FINDINGS, columns, length=len(rows))


def each(rows: NDArray[np.integer], breach: Callable[[int], Breach]) -> list[Breach]:
    """Write a breach for each row, for very many only the first ones and the count of the rest.

    Parameters
    ----------
    rows : ndarray of integers
        Rows that break a rule.
    breach : callable
        From a row to its object and message.

    Returns
    -------
    list of (object, message)
        At most 101.

    Raises
    ------
    None
        No rows give no breaches.

    Examples
    --------
    >>> each(np.arange(102), lambda row: (f"Node/{row}", "is wrong"))[-1]
    ('Node', '2 more objects break this rule')
    """
    found = [breach(int(row)) for row in rows[:_NAMED]]
    if len(rows) > _NAMED:
        rest = len(rows) - _NAMED
        words = f"{counted(rest, 'more object')} {agreeing(rest, 'breaks', 'break')} this rule"
        found.append((found[-1][0].partition("/")[0], words))
    return found


def shared(
    rows: tuple[NDArray[np.integer], NDArray[np.integer]],
    *,
    named: Callable[[int], str],
    value: Callable[[int], str],
) -> list[Breach]:
    """Name pairs of rows that hold the same value.

    Parameters
    ----------
    rows : tuple of ndarray of integers
        One row of each pair, and the other.
    named : callable
        From a row to its object.
    value : callable
        From a row to what it holds.

    Returns
    -------
    list of (object, message)
        The later row is the object, the earlier one stands in the message.

    Raises
    ------
    None
        No pairs give no breaches.
    """

    def breach(place: int) -> Breach:
        one, other = sorted((int(rows[0][place]), int(rows[1][place])))
        return named(other), f"{value(other)} is also held by {named(one)}"

    return each(np.arange(len(rows[0])), breach)


def pod_name(pods: Table, row: int) -> str:
    """Return a pod as findings name it.

    Parameters
    ----------
    pods : Table
        The pods.
    row : int
        Its row.

    Returns
    -------
    str
        Kind, namespace and name; the row for a pod without a name.

    Raises
    ------
    IndexError
        There is no such row.
    """
    return f"Pod/{pods['namespace'][row]}/{pods['name'][row] or f'row {row}'}"


def service_name(services: Table, row: int) -> str:
    """Return a Service as findings name it.

    Parameters
    ----------
    services : Table
        The services.
    row : int
        Its row; -1 for a Service that is not known.

    Returns
    -------
    str
        Kind, namespace and name; the row for a Service without a name.

    Raises
    ------
    None
        A row that is not there is unknown.
    """
    if row < 0 or row >= len(services):
        return "Service/unknown"
    return f"Service/{services['namespace'][row]}/{services['name'][row] or f'row {row}'}"


def address_text(column: NDArray[Any], row: int) -> str:
    """Return one address of a column as text.

    Parameters
    ----------
    column : address column
        Any addresses.
    row : int
        Which.

    Returns
    -------
    str
        In canonical form.

    Raises
    ------
    IndexError
        There is no such row.

    Examples
    --------
    >>> address_text(np.array([0x0A000001], np.uint32), 0)
    '10.0.0.1'
    """
    return format_address(family_of(column), to_integers(column[row : row + 1])[0])


def cidr_text(bases: NDArray[Any], lengths: NDArray[np.uint8], row: int) -> str:
    """Return one CIDR of two columns as text.

    Parameters
    ----------
    bases : address column
        First addresses.
    lengths : ndarray of uint8
        Prefix lengths.
    row : int
        Which.

    Returns
    -------
    str
        In canonical form.

    Raises
    ------
    IndexError
        There is no such row.

    Examples
    --------
    >>> cidr_text(np.array([0x0A000000], np.uint32), np.array([24], np.uint8), 0)
    '10.0.0.0/24'
    """
    first = to_integers(bases[row : row + 1])[0]
    return str(Cidr.from_parts(family_of(bases), first, int(lengths[row]), host_bits="mask"))

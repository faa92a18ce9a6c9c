"""What every masquerading component comes down to: settings that compile to chains of one family.

What it does not know: any component.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dsmodel.graph.rules import Action, AddressSet, Backend, Chain, Rule, blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["Masquerade", "Unmasqueraded", "UnreadMasquerade", "cluster_range", "undecided"]


class Masquerade(Protocol):
    """A component that may rewrite sources on their way out of a node.

    Its settings are those of the component; `chains` compiles them, `findings` says what is wrong with them. A chain
    whose settings the component refuses decides `Action.UNKNOWN`, since what it ran before is not known.
    """

    @property
    def component(self) -> str:
        """Name of the component, as rules and findings give it."""
        ...

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:
        """Compile the settings for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Where the component takes ranges from that its settings leave out.

        Returns
        -------
        tuple of Chain
            In the order in which they run; empty where the component writes nothing for the family.

        Raises
        ------
        None
            What is wrong is a finding.
        """
        ...

    def findings(self, cluster: Cluster) -> list[Finding]:
        """Say what is wrong with the settings.

        Parameters
        ----------
        cluster : Cluster
            What they are to fit.

        Returns
        -------
        list of Finding
            Severity, rule, object, message.

        Raises
        ------
        None
            Everything is a finding.
        """
        ...


@dataclass(frozen=True)
class UnreadMasquerade:
    """A component that runs, with settings that are not known: every flow it would see is unknown.

    Parameters
    ----------
    component : str
        Its name.
    why : str
        What is missing, and where it is found.
    families : tuple of IPFamily, optional
        Families this holds for; all where left out.
    """

    component: str
    why: str
    families: tuple[IPFamily, ...] = ()

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:  # noqa: ARG002 - the contract's
        """Compile to one rule that cannot say.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Not looked at.

        Returns
        -------
        tuple of Chain
            One, or none for a family that this is not about.

        Raises
        ------
        None
            There is always an answer.
        """
        if self.families and family not in self.families:
            return ()
        return (undecided(self.component, family, self.why),)

    def findings(self, cluster: Cluster) -> list[Finding]:  # noqa: ARG002 - the contract's
        """Say what is missing.

        Parameters
        ----------
        cluster : Cluster
            Not looked at.

        Returns
        -------
        list of Finding
            One.

        Raises
        ------
        None
            There is always an answer.
        """
        return [("warning", "masquerade-unknown", self.component, self.why)]


@dataclass(frozen=True)
class Unmasqueraded:
    """A platform that sends one family out as it is: pods have globally routable addresses there, and no NAT exists.

    Parameters
    ----------
    component : str
        The platform.
    families : tuple of IPFamily
        Those it never translates.
    source : str
        Where that was read.
    """

    component: str
    families: tuple[IPFamily, ...]
    source: str = ""

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:  # noqa: ARG002 - the contract's
        """Compile to one rule that leaves every source alone.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Not looked at.

        Returns
        -------
        tuple of Chain
            One, or none for a family that it says nothing about.

        Raises
        ------
        None
            There is always an answer.
        """
        if family not in self.families:
            return ()
        rule = Rule(name=f"{family} leaves as it is", action=Action.RETURN)
        return (Chain(component=self.component, name="none", family=family, rules=(rule,), backend=Backend.BPF),)

    def findings(self, cluster: Cluster) -> list[Finding]:  # noqa: ARG002 - the contract's
        """Find nothing.

        Parameters
        ----------
        cluster : Cluster
            Not looked at.

        Returns
        -------
        list of Finding
            Empty.

        Raises
        ------
        None
            There is always an answer.
        """
        return []


def undecided(component: str, family: IPFamily, why: str) -> Chain:
    """Make a chain that cannot say.

    Parameters
    ----------
    component : str
        Whose.
    family : IPFamily
        Of the packets.
    why : str
        What is missing.

    Returns
    -------
    Chain
        Of one rule, for every packet.

    Raises
    ------
    None
        Any text is taken.
    """
    rule = Rule(name=f"unknown: {why}", action=Action.UNKNOWN)
    return Chain(component=component, name="unknown", family=family, rules=(rule,), backend=Backend.BPF)


def cluster_range(name: str, given: Sequence[str], cluster: Cluster) -> AddressSet:
    """Return the ranges a component was given, or else the cluster CIDRs.

    Parameters
    ----------
    name : str
        Of the set.
    given : sequence of str
        CIDRs of any family; empty for the cluster's.
    cluster : Cluster
        With its configuration.

    Returns
    -------
    AddressSet
        Of fixed blocks.

    Raises
    ------
    InvalidCidr
        A text is no CIDR.

    Examples
    --------
    >>> from dsmodel.cluster import examples
    >>> cluster_range("pods", (), examples.ipv6_first()).cidrs[1]
    Cidr('10.244.0.0/18')
    """
    return blocks(name, given or cluster.config.cluster_cidrs)

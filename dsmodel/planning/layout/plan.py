"""What a plan looks like: a frame of ranges, a frame of alternatives, and what to paste.

Promises that every configuration a plan shows has passed `dsmodel.check_config` and the installer's own judge. Knows
what the search found; computes no size and no place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.space import largest_free_block
from dsmodel.cards import Card, Section
from dsmodel.errors import InconsistentState, InvalidInput
from dsmodel.kube.config_checks import flags_from_config
from dsmodel.planning.layout.installing import configuration, k3s_document, kubeadm_documents, refusals
from dsmodel.planning.layout.sizes import range_size, uses_of
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.kube.config import ClusterConfig
    from dsmodel.planning.layout.demand import ClusterDemand
    from dsmodel.planning.layout.packing import Space
    from dsmodel.planning.layout.search import Placed, Placement

__all__ = ["ALTERNATIVES", "RANGES", "Layout"]

RANGES = {
    "cluster": "str",
    "use": "str",
    "ip_family": "str",
    "range": "str",
    "node_cidr_mask_size": "Int64",
    "wanted": "int64",
    "usable": "Int64",
    "headroom_ratio": "float64",
    "block": "str",
    "why": "str",
}
"""Columns of `Layout.ranges` with their types."""

ALTERNATIVES = {
    "plan": "int64",
    "headroom_ratio": "float64",
    "binds": "str",
    "ipv4_addresses": "Int64",
    "ipv4_ranges": "str",
    "ipv4_waste_ratio": "float64",
    "ipv4_left": "str",
    "ipv6_ranges": "str",
    "ipv6_left": "str",
    "why": "str",
}
"""Columns of `Layout.alternatives` with their types."""

_COUNTED = 1 << 48  # beyond it a range cannot run out, and its size is no number to read


@dataclass(frozen=True, repr=False)
class Layout:
    """A plan of ranges, with the ones that have more headroom beside it.

    Parameters
    ----------
    demands : tuple of ClusterDemand
        What it holds.
    space : Space
        What it is made of.
    placements : tuple of Placement
        The smallest plan first, then plans with more headroom.
    chosen : int, default 0
        Which of them this is.

    Raises
    ------
    None
        Made by `plan_layout`.

    Examples
    --------
    >>> from dsmodel.planning.layout import plan_layout
    >>> layout = plan_layout({"nodes": 20, "services": 50, "ip_families": "IPv4"}, ["10.0.0.0/18"], kube_version="1.36")
    >>> layout.ranges[["use", "range", "node_cidr_mask_size"]].values.tolist()
    [['pods', '10.0.0.0/20', 25], ['services', '10.0.16.0/26', <NA>], ['nodes', '10.0.16.64/27', <NA>]]
    """

    demands: tuple[ClusterDemand, ...]
    space: Space
    placements: tuple[Placement, ...]
    chosen: int = 0

    @property
    def placement(self) -> Placement:
        """The ranges that were chosen."""
        return self.placements[self.chosen]

    @property
    def ranges(self) -> pd.DataFrame:
        """Every range: ``cluster``, ``use`` (pods, services, nodes), ``ip_family``, ``range``, ``node_cidr_mask_size``
        (pods only), ``wanted`` and ``usable`` nodes or Services (missing where it cannot run out), ``headroom_ratio``
        (usable of wanted), ``block`` (which owned one it lies in), ``why``; by cluster, use and family as given.
        """  # noqa: D205 - the columns are the promise
        wanted = {demand.name: demand for demand in self.demands}
        rows = [self._range(placed, wanted[placed.cluster]) for placed in self.placement.ranges]
        return pd.DataFrame(rows, columns=list(RANGES)).astype(RANGES)

    @property
    def alternatives(self) -> pd.DataFrame:
        """Plans on the front of space against headroom: ``plan`` (for `choose`), ``headroom_ratio`` (times the demand
        that fits), ``binds`` (what stops it then), ``ipv4_addresses`` taken, ``ipv4_ranges``, ``ipv4_waste_ratio``
        (taken without being wanted), ``ipv4_left`` and ``ipv6_left`` (largest block left), ``ipv6_ranges``, ``why``;
        smallest first. No plan takes less space for as much headroom.
        """  # noqa: D205 - the columns are the promise
        rows = [self._alternative(number) for number in range(len(self.placements))]
        return pd.DataFrame(rows, columns=list(ALTERNATIVES)).astype(ALTERNATIVES)

    @property
    def gap(self) -> dict[IPFamily, int]:
        """Addresses of each family that the smallest plan takes beyond the lower bound, the sum of the smallest legal
        sizes of all ranges at the IPv6 sizes it takes; 0 proves that no plan is smaller.
        """  # noqa: D205
        first = self.placements[0]
        bound = dict.fromkeys(IPFamily, 0)
        for demand in self.demands:
            for use, family in uses_of(demand):
                bound[family] += 1 << range_size(demand, use, family, terms=first.terms).host_bits
        return {family: first.taken(family) - bound[family] for family in IPFamily}

    @property
    def configs(self) -> dict[str, ClusterConfig]:
        """Configuration of each cluster by its name."""
        found = {}
        for demand in self.demands:
            own = [placed for placed in self.placement.ranges if placed.cluster == demand.name]
            pods, services = ([placed.cidr for placed in own if placed.size.use == use] for use in ("pods", "services"))
            config = configuration(
                self.placement.terms.kube_version,
                pods=pods,
                services=services,
                masks={placed.size.family: placed.size.mask for placed in own if placed.size.mask},
                max_pods=demand.pods_on_node,
            )
            refused = refusals(config, self.placement.terms.installer)
            if refused:
                raise InconsistentState(f"a plan for {demand.name} is refused, which is a bug of this model: {refused}")
            found[demand.name] = config
        return found

    def choose(self, plan: int) -> Layout:
        """Take another plan of the alternatives.

        Parameters
        ----------
        plan : int
            As `alternatives` numbers them.

        Returns
        -------
        Layout
            The same question with that answer.

        Raises
        ------
        InvalidInput
            There is no such plan.
        InconsistentState
            A configuration of the plan is refused, which is a bug of this model.

        Examples
        --------
        >>> from dsmodel.planning.layout import plan_layout
        >>> demand = {"nodes": 20, "services": 50, "ip_families": "IPv4"}
        >>> layout = plan_layout(demand, ["10.0.0.0/18"], kube_version="1.36")
        >>> layout.choose(2).placement.binding.size.headroom > layout.placement.binding.size.headroom
        True
        """
        if not 0 <= plan < len(self.placements):
            raise InvalidInput(f"there is no plan {plan!r}; the alternatives are 0 to {len(self.placements) - 1}")
        layout = Layout(self.demands, self.space, self.placements, plan)
        _ = layout.configs  # judged before anyone sees it
        return layout

    def kubeadm(self, cluster: str | None = None) -> list[dict[str, Any]]:
        """Write what ``kubeadm init --config`` reads, as plain values.

        Parameters
        ----------
        cluster : str, optional
            Which one; may be left out where there is one.

        Returns
        -------
        list of dict
            For `dsmodel.write_manifests`.

        Raises
        ------
        InvalidInput
            No such cluster.

        Examples
        --------
        >>> from dsmodel.planning.layout import plan_layout
        >>> layout = plan_layout({"nodes": 20, "services": 50, "ip_families": "IPv4"}, ["10.0.0.0/18"])
        >>> layout.kubeadm()[0]["controllerManager"]
        {'extraArgs': [{'name': 'node-cidr-mask-size-ipv4', 'value': '25'}]}
        """
        config = self._config(cluster)
        return kubeadm_documents(config, name=cluster or "")

    def k3s(self, cluster: str | None = None) -> dict[str, Any]:
        """Write what k3s and RKE2 read as ``config.yaml``, as plain values.

        Parameters
        ----------
        cluster : str, optional
            Which one; may be left out where there is one.

        Returns
        -------
        dict
            For `dsmodel.write_manifests`.

        Raises
        ------
        InvalidInput
            No such cluster.

        Examples
        --------
        >>> from dsmodel.planning.layout import plan_layout
        >>> layout = plan_layout({"nodes": 20, "services": 50, "ip_families": "IPv4"}, ["10.0.0.0/18"])
        >>> layout.k3s()["cluster-cidr"]
        '10.0.0.0/20'
        """
        return k3s_document(self._config(cluster))

    def flags(self, cluster: str | None = None) -> dict[str, list[str]]:
        """Write the flags of the components.

        Parameters
        ----------
        cluster : str, optional
            Which one; may be left out where there is one.

        Returns
        -------
        dict of str to list of str
            Component to its flags.

        Raises
        ------
        InvalidInput
            No such cluster.

        Examples
        --------
        >>> from dsmodel.planning.layout import plan_layout
        >>> layout = plan_layout({"nodes": 20, "services": 50, "ip_families": "IPv4"}, ["10.0.0.0/18"])
        >>> layout.flags()["kube-proxy"]
        ['--cluster-cidr=10.0.0.0/20']
        """
        return flags_from_config(self._config(cluster))

    def _config(self, cluster: str | None) -> ClusterConfig:
        """Return the configuration of one cluster."""
        names = [demand.name for demand in self.demands]
        if cluster is None and len(names) > 1:
            raise InvalidInput(f"there are {len(names)} clusters; name one of {', '.join(names[:8])}")
        if cluster is not None and cluster not in names:
            raise InvalidInput(f"there is no cluster {cluster!r}; the plan has {', '.join(names[:8])}")
        return self.configs[cluster or names[0]]

    def card(self) -> Card:
        """Show the ranges and the alternatives.

        Returns
        -------
        Card
            As plain text and as HTML.

        Raises
        ------
        None
            Every plan has one.
        """
        ranges, others = self.ranges, self.alternatives
        shown = ["cluster", "use", "ip_family", "range", "node_cidr_mask_size", "wanted", "usable"]
        cells = [
            tuple("" if pd.isna(value) else f"{value:,}" if isinstance(value, int) else str(value) for value in row)
            for row in ranges[shown].astype(object).itertuples(index=False)
        ]
        rows = [
            (
                "*" * (number == self.chosen),
                str(number),
                f"{ratio:.2f}",
                binds,
                ipv4 or ipv6,
            )
            for number, ratio, binds, ipv4, ipv6 in others[
                ["plan", "headroom_ratio", "binds", "ipv4_ranges", "ipv6_ranges"]
            ].itertuples(index=False)
        ]
        terms = self.placement.terms
        count = f"{len(self.demands)} cluster{'' if len(self.demands) == 1 else 's'}"
        title = f"Layout of {count} for Kubernetes {terms.kube_version}, {terms.installer}"
        header = ("", "plan", "headroom_ratio", "binds", "takes")
        parts = (
            Section("Ranges", cells, shown),
            Section("Alternatives, the smallest first (* is shown above)", rows, header),
        )
        return Card(title, parts, str(others["why"].iloc[self.chosen]))

    def __repr__(self) -> str:
        """Return the card as plain text."""
        return self.card().text()

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        return self.card().html()

    def _range(self, placed: Placed, demand: ClusterDemand) -> tuple[Any, ...]:
        """Write one range."""
        size, cidr = placed.size, placed.cidr
        owned = ", ".join(str(block) for block in self.space.blocks if block.overlaps(cidr))
        usable = size.usable if size.usable < _COUNTED else None
        mask = size.mask or None
        why = _why(placed, demand, usual=self.placement.terms.usual)
        headroom = float(size.headroom) if usable is not None else float("inf")
        return (
            placed.cluster,
            size.use,
            str(cidr.family),
            str(cidr),
            mask,
            size.wanted,
            usable,
            headroom,
            owned,
            why,
        )

    def _alternative(self, number: int) -> tuple[Any, ...]:
        """Write one plan."""
        placement = self.placements[number]
        binding = placement.binding
        cells: dict[IPFamily, tuple[int | None, str, str]] = {}
        for family in IPFamily:
            own = [placed.cidr for placed in placement.ranges if placed.cidr.family is family]
            left = self.space.free()[family]
            largest = largest_free_block(left, own) if left else None
            cells[family] = (placement.taken(family) or None, _lengths(own), str(largest or "") if own else "")
        taken, ranges, left_over = cells[IPFamily.IPV4]
        wanted = sum(
            demand.nodes_wanted * (demand.pods_on_node + demand.node_range)
            + demand.services_wanted
            + demand.own_services(IPFamily.IPV4)
            for demand in self.demands
            if IPFamily.IPV4 in demand.ip_families
        )
        size = binding.size
        what = "nodes" if size.use != "services" else "Services"
        fleet = f" of {binding.cluster}" if len(self.demands) > 1 else ""
        why = (
            f"{'The smallest plan' if number == 0 else f'Plan {number}'} holds {float(size.headroom):.2f} times the "
            f"demand; then the {size.family} range for {size.use}{fleet} is full at {size.usable:,} {what}"
        )
        if number == 0:
            why += "; every range has its smallest legal size" + (
                " (IPv6 at its usual sizes)" if placement.terms.usual and cells[IPFamily.IPV6][1] else ""
            )
        binds = f"{size.use}, {size.family}" + (f", {binding.cluster}" if fleet else "")
        waste = 1 - wanted / taken if taken else float("nan")
        return (
            number,
            float(size.headroom),
            binds,
            taken,
            ranges,
            waste,
            left_over,
            *cells[IPFamily.IPV6][1:],
            why + ".",
        )


def _lengths(cidrs: Sequence[Cidr]) -> str:
    """Write how many ranges of which length there are, the largest first."""
    counts: dict[int, int] = {}
    for length in sorted(cidr.prefix_length for cidr in cidrs):
        counts[length] = counts.get(length, 0) + 1
    return " + ".join(f"{count} x /{length}" if count > 1 else f"/{length}" for length, count in counts.items())


def _why(placed: Placed, demand: ClusterDemand, *, usual: bool) -> str:
    """Say in a sentence why a range is as large as it is."""
    size, family = placed.size, placed.size.family
    wide = " (the usual IPv6 size)" if usual and family is IPFamily.IPV6 else ""
    if size.use == "pods":
        settled = family in demand.node_cidr_mask_sizes
        how = " (settled)" if settled else wide
        flag = f"--node-cidr-mask-size-{family.lower()}" if len(demand.ip_families) > 1 else "--node-cidr-mask-size"
        return (
            f"{flag} {size.mask} holds {counted(demand.pods_on_node, 'Pod')} a node with {demand.plugin}{how}; 2^"
            f"{size.mask - placed.cidr.prefix_length} = {counted(size.usable, 'node block')} for "
            f"{counted(size.wanted, 'node')}."
        )
    if size.use == "services":
        own = demand.own_services(family)
        also = "default/kubernetes and DNS" if own > 1 else "DNS"
        return (
            f"{counted(size.wanted, 'Service')}, {also} need {size.wanted + own:,} cluster IPs of the "
            f"{size.usable + own:,} "
            f"that a /{placed.cidr.prefix_length} has{wide}."
        )
    kept = demand.reserved_node_addresses if family is IPFamily.IPV4 else 1
    return (
        f"{counted(size.wanted, 'node')} and {counted(kept, 'reserved address')}{wide}; no component reads this "
        "range, it must only not overlap the others."
    )

"""The pipeline: what becomes of each flow, decided step by step over columns, up to the first final verdict.

The order is that of the components: an address of the family; a proxy in the pod; destinations that nobody has; what
the cluster delivers itself; egress policies; masquerading on the node; the node's route; the translator at the border;
the way back. What is certain to fail fails even where something else is not known; what would need something that
nobody said is unknown, with the field that would say it.

What it does not know: flows that began before a rule changed, ports and protocols of rules, firewalls outside.

Sources: those of `dsmodel.graph.masquerade` and `dsmodel.graph.gateways`; RFC 6146 section 3.5 for NAT64; the order
follows Linux ``net/netfilter`` (PREROUTING, routing, POSTROUTING).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.arrays import addresses_in, from_integers, to_integers
from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.addresses.registries import is_globally_routable
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.graph.flows import UNDECIDED, VERDICTS, Steering, Translation, Verdict
from dsmodel.graph.gateways.steering import steer
from dsmodel.graph.masquerade import Cilium, KubeProxy, ReferencePlugin, translate
from dsmodel.graph.masquerade.services import ENDPOINTS, TARGETS, Endpoints, Target, service_proxy
from dsmodel.graph.paths.blocks import codes_of
from dsmodel.graph.paths.decisions import Cause, Decision, Seen
from dsmodel.graph.paths.groups import down_names
from dsmodel.graph.paths.members import Place
from dsmodel.graph.paths.serving import Shapes, denied, served_elsewhere, served_here

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.masquerade.services import ServiceTraffic
    from dsmodel.graph.network import NAT64, BorderNAT, Network, TransparentProxy
    from dsmodel.graph.paths.cells import Cells

    Marks = NDArray[np.bool_]
    Codes = NDArray[np.int64]

__all__ = ["judge"]

_PASSES, _TAKES, _REJECTS = range(3)  # what a proxy in the pod does with a connection
_NODE, _POD, _EXIT = range(3)  # whose address a packet carries as it leaves the cluster


def judge(cells: Cells, cluster: Cluster, network: Network) -> tuple[NDArray[np.int32], tuple[Decision, ...]]:
    """Decide every cell.

    Parameters
    ----------
    cells : Cells
        Flows of one family.
    cluster : Cluster
        Whose nodes and pods they name.
    network : Network
        What decides beside the cluster.

    Returns
    -------
    ndarray of int32, shape (n,)
        Place of each cell's decision.
    tuple of Decision
        Each once.

    Raises
    ------
    None
        What is not known gives a verdict that says so.
    """
    return _Judgement(cells, cluster, network).run()


class _Judgement:
    """Cells on their way through the pipeline."""

    def __init__(self, cells: Cells, cluster: Cluster, network: Network) -> None:
        self.cells, self.cluster, self.network = cells, cluster, network
        self.family = cells.flows.family
        n = len(cells.flows)
        self.cause = np.full(n, -1, np.int16)
        self.verdict = np.full(n, UNDECIDED, np.uint8)
        self.leaves = np.full(n, _POD, np.int8)
        self.nat = np.full(n, -1, np.int32)
        self.captured = np.zeros(n, np.bool_)
        self.rule_of_service = np.full(n, -1, np.int16)
        self.at_node = np.zeros(n, np.bool_)  # the node that was asked for its port masquerades
        self.service_rules: tuple[str, ...] = ()
        lost = network.down_nodes(cluster) if network.failed else frozenset()
        down = [name in lost for name in cluster.nodes["name"].tolist()] if lost else []
        self.down = np.append(np.array(down or [False] * len(cluster.nodes), np.bool_), False)
        self.translators: list[BorderNAT | NAT64] = [*network.border.get(self.family, ()), *(network.nat64 or ())]

    proxy: KubeProxy | Cilium | None = None
    shapes: Shapes

    def settle(self, where: Marks, verdict: Verdict, cause: Cause) -> None:
        """Give a final verdict to what is still open."""
        mine = where & (self.cause < 0)
        self.cause[mine] = cause
        self.verdict[mine] = VERDICTS.index(verdict)

    @property
    def open(self) -> Marks:
        """What has no verdict yet."""
        return self.cause < 0

    def run(self) -> tuple[NDArray[np.int32], tuple[Decision, ...]]:
        """Take the steps in their order."""
        cells, flows = self.cells, self.cells.flows
        self.settle(self.down[flows.node], Verdict.NO_ROUTE, Cause.NODE_DOWN)
        if not self._some_node_has_an_address():
            self.settle(~cells.has_source & flows.host, Verdict.UNKNOWN, Cause.ADDRESSES_UNKNOWN)
        self.settle(~cells.has_source, Verdict.NO_FAMILY, Cause.NO_SOURCE)
        self._proxies()
        marked = self._services()
        for place, verdict, cause in _DEAD_ENDS:
            self.settle(cells.place == place, verdict, cause)
        inside = np.isin(cells.place, (Place.NODE, Place.POD))
        self.settle(inside & self.down[cells.host], Verdict.NO_ROUTE, Cause.DESTINATION_DOWN)
        self.steering = self._steer()
        self.translation = self._translate(marked)
        self._node_ports()
        self._deliver(inside)
        self._leave()
        self._doubt(inside)
        return self._decisions()

    # steps inside the cluster ------------------------------------------------------------------------------------

    def _proxies(self) -> None:
        """Let a proxy in the pod take or refuse it."""
        cells = self.cells
        does = np.array([*(self._does(proxy) for proxy in self.network.proxies), _PASSES], np.uint8)
        # what may become of each cell: what its certain proxy does, or one that it may have instead
        may = np.zeros((len(cells.proxy), 3), np.bool_)
        may[np.arange(len(may)), does[cells.proxy]] = True
        for place in range(len(self.network.proxies)):
            may[:, does[place]] |= cells.may_have[:, place]
        is_certain = may.sum(axis=1) == 1
        self.captured = is_certain & may[:, _TAKES]
        self.may_reject, self.may_take = (~is_certain & may[:, each] for each in (_REJECTS, _TAKES))
        self.settle(is_certain & may[:, _REJECTS], Verdict.POLICY_DENIED, Cause.PROXY_REJECTS)

    def _does(self, proxy: TransparentProxy) -> int:
        """Say what a proxy does with this family and port."""
        if proxy.ports and self.cells.port is not None and self.cells.port not in proxy.ports:
            return _PASSES
        if self.family in proxy.families:
            return _TAKES
        return _REJECTS if proxy.other_family == "reject" else _PASSES

    def _doubt(self, inside: Marks) -> None:
        """Leave open what works only if labels that are not known let it past a proxy, or straight out."""
        works = np.array([each.works for each in VERDICTS] + [False] * (256 - len(VERDICTS)), np.bool_)[self.verdict]
        plain = np.isin(self.verdict, _PLAIN) & ~inside
        open_ = works & (self.may_reject | (self.may_take & plain))
        self.cause[open_], self.verdict[open_] = Cause.PROXY_UNKNOWN, VERDICTS.index(Verdict.UNKNOWN)

    def _services(self) -> Marks:
        """Let the proxy of the pod's node choose endpoints and mark what it will masquerade."""
        cells = self.cells
        marked = np.zeros(len(cells.flows), np.bool_)
        asked = cells.service > 0
        if not asked.any():
            return marked
        shapes = self.shapes = Shapes.of(cells.asked, cells.service)
        proxy = self.proxy = service_proxy(self.network.masquerades)
        if proxy is None:  # another service proxy: internalTrafficPolicy is the API's, marks are kube-proxy's own
            inside = shapes.target == TARGETS.index(Target.CLUSTER_IP)
            stays = asked & inside & np.where(shapes.internal_local, ~cells.is_same, cells.stays)
            self.settle(stays, Verdict.NO_ROUTE, Cause.NO_LOCAL_ENDPOINT)
            if self.network.masquerades is not None:
                self.settle(asked & ~inside, Verdict.UNKNOWN, Cause.SERVICE_PROXY_UNKNOWN)
            return marked
        self.settle(asked & denied(cells, proxy), Verdict.POLICY_DENIED, Cause.SOURCE_RANGES)
        rows = np.flatnonzero(asked & ~shapes.elsewhere)
        traffic = served_here(cells, shapes, rows, proxy)
        marked[rows] = traffic.marked
        self._choose(rows, traffic)
        # what any endpoint will do for does not take those that terminate while others are ready
        spare = np.zeros(len(marked), np.bool_)
        spare[rows] = cells.stays[rows] & (traffic.endpoints == ENDPOINTS.index(Endpoints.ALL))
        self.settle(spare, Verdict.NO_ROUTE, Cause.NO_LOCAL_ENDPOINT)
        self._hairpin(cells.is_own & marked)
        return marked

    def _choose(self, rows: NDArray[np.integer], traffic: ServiceTraffic) -> None:
        """Settle what gets no endpoint, and keep the rule."""
        self.rule_of_service[rows], self.service_rules = traffic.rule, traffic.rules
        for answer, verdict, cause in (
            (Endpoints.NONE, Verdict.NO_ROUTE, Cause.NO_LOCAL_ENDPOINT),
            (Endpoints.UNKNOWN, Verdict.UNKNOWN, Cause.ENDPOINTS_UNKNOWN),
        ):
            found = np.zeros(len(self.cause), np.bool_)
            found[rows] = traffic.endpoints == ENDPOINTS.index(answer)
            self.settle(found, verdict, cause)

    def _hairpin(self, own: Marks) -> None:
        """Send back into a pod what it sent to itself: a bridge does so only if its port may."""
        modes = [each.hairpin_mode for each in self.network.masquerades or () if isinstance(each, ReferencePlugin)]
        if not modes or not own.any():
            return
        if False in modes:
            self.settle(own, Verdict.NO_ROUTE, Cause.HAIRPIN_OFF)
        if None in modes:
            self.settle(own, Verdict.UNKNOWN, Cause.HAIRPIN_UNKNOWN)

    def _node_ports(self) -> None:
        """Let the proxy of another node decide, whose port was asked for."""
        if not (self.cells.service > 0).any() or not isinstance(self.proxy, KubeProxy):
            return
        mine = self.shapes.elsewhere & self.open & ~self.gateway
        if not mine.any():
            return
        self.settle(mine & self.shapes.leaves, Verdict.UNKNOWN, Cause.LEAVES_ELSEWHERE)
        rows = np.flatnonzero(mine & self.open)
        source, _ = self._source()
        traffic = served_elsewhere(self.shapes, rows, source[rows], proxy=self.proxy, family=self.family)
        self._choose(rows, traffic)
        self.at_node[rows] = traffic.marked

    def _steer(self) -> Steering:
        """Let egress policies decide."""
        names = down_names(self.network, self.cluster)
        steering = steer(self.network.gateways, self.cells.flows, self.cluster, failed=names)
        decided = steering.verdict != UNDECIDED
        goes_on = np.isin(steering.verdict, _GOES_ON)
        for code in np.unique(steering.verdict[decided & ~goes_on]).tolist():
            self.settle(steering.verdict == code, VERDICTS[code], Cause.POLICY)
        gateway = steering.verdict == _VIA_GATEWAY
        self.leaves[gateway] = _EXIT
        self.leaks = steering.verdict == _LEAK
        self.gateway = gateway
        return steering

    def _translate(self, marked: Marks) -> Translation | None:
        """Let the node rewrite sources."""
        flows = self.cells.flows
        if self.network.masquerades is None:
            self.settle(self.open & ~self.gateway & ~flows.host, Verdict.UNKNOWN, Cause.MASQUERADE_UNKNOWN)
            self.leaves[flows.host & ~self.gateway] = _NODE
            return None
        found = translate(self.network.masquerades, flows, self.cluster, marked=marked)
        mine = self.open & ~self.gateway
        inside = np.isin(self.cells.place, (Place.NODE, Place.POD))
        self.settle(mine & ~found.translated & ~found.has_source, Verdict.UNKNOWN, Cause.MASQUERADE_UNKNOWN)
        # what stays on the node leaves by another device, whose address is not in the model
        nearby = self.cells.is_same & (self.cells.place == Place.POD)
        unaddressed = mine & found.translated & ~found.has_source & ~nearby
        if self._some_node_has_an_address():
            self.settle(unaddressed & (flows.node >= 0), Verdict.NO_ROUTE, Cause.NODE_WITHOUT_ADDRESS)
        self.settle(unaddressed & ~inside, Verdict.UNKNOWN, Cause.ADDRESSES_UNKNOWN)
        self.leaves[mine & (found.translated | flows.host)] = _NODE
        return found

    def _some_node_has_an_address(self) -> bool:
        """Whether the model knows addresses of nodes at all."""
        return any(bool(np.any(self.cluster.nodes[f"has_internal_{end}"])) for end in ENDS.values())

    def _deliver(self, inside: Marks) -> None:
        """Deliver what stays in the cluster."""
        rewritten = np.zeros(len(inside), np.bool_) if self.translation is None else self.translation.translated
        self.settle(inside & self.gateway, Verdict.VIA_GATEWAY, Cause.DELIVERED)
        self.settle(inside & (rewritten | self.at_node), Verdict.OK_SNAT, Cause.DELIVERED)
        self.settle(inside, Verdict.OK_DIRECT, Cause.DELIVERED)

    # steps outside -----------------------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Take the route, the translator at the border, and the way back."""
        cells, flows, family = self.cells, self.cells.flows, self.family
        source, known = self._source()
        self.settle(self.gateway & ~known, Verdict.UNKNOWN, Cause.EXIT_UNKNOWN)
        node = np.where(self.gateway, self.steering.gateway, flows.node)
        addressed = np.append(self.cluster.nodes[f"has_internal_{ENDS[family]}"], True)[node] | self.gateway
        if self._some_node_has_an_address():
            self.settle(~addressed, Verdict.NO_ROUTE, Cause.NODE_WITHOUT_ADDRESS)
        if self.network.default_route.get(family) is False:
            self.settle(self.open, Verdict.NO_ROUTE, Cause.NO_DEFAULT_ROUTE)
        self._nat64()
        returns, unsure = self._returns(source)
        self._border(source, node)
        is_internet = cells.place == Place.INTERNET
        if family in self.network.border:
            bare = is_internet & (self.nat < 0) & ~is_globally_routable(source)
            self.settle(bare, Verdict.BLACKHOLE_RETURN, Cause.NOT_GLOBAL)
        self.settle(~returns & ~unsure, Verdict.BLACKHOLE_RETURN, Cause.NO_RETURN)
        if family not in self.network.default_route:
            self.settle(self.open, Verdict.UNKNOWN, Cause.ROUTE_UNKNOWN)
        self.settle(unsure, Verdict.UNKNOWN, Cause.RETURN_UNKNOWN)
        if family not in self.network.border:
            self.settle(is_internet, Verdict.UNKNOWN, Cause.BORDER_UNKNOWN)
        translated = (self.nat >= 0) | ((self.leaves == _NODE) & ~flows.host)
        for where, verdict in (
            (self.gateway, Verdict.VIA_GATEWAY),
            (self.leaks, Verdict.LEAK_FALLTHROUGH),
            (cells.place == Place.NAT64, Verdict.VIA_NAT64),
            (self.captured, Verdict.VIA_PROXY),
            (translated, Verdict.OK_SNAT),
            (self.open, Verdict.OK_DIRECT),
        ):
            self.settle(where, verdict, Cause.DELIVERED)

    def _source(self) -> tuple[NDArray[Any], Marks]:
        """Return the source each packet carries as it leaves the cluster, and whether it is known."""
        flows = self.cells.flows
        source, known = flows.source.copy(), np.ones(len(flows), np.bool_)
        if self.translation is not None:
            mine = self.translation.translated & self.translation.has_source
            source[mine] = self.translation.source[mine]
        texts = [next((each.address for each in exits if each.address), "") for exits in self.steering.choices]
        numbers = (parse_address(text)[1] if text else 0 for text in (*texts, ""))
        choice = self.steering.choice[self.gateway]  # of several exits any one; they are the gateway's own addresses
        source[self.gateway] = from_integers(numbers, family=self.family)[choice]
        known[self.gateway] = np.array([bool(text) for text in (*texts, "")], np.bool_)[choice]
        return source, known

    def _returns(self, source: NDArray[Any]) -> tuple[Marks, Marks]:
        """Say for which sources answers find back into the cluster, and for which nobody said."""
        own = self.leaves != _POD
        blocks = self.network.routed.get(self.family)
        if blocks is None:
            return own, ~own
        return own | addresses_in(source, list(blocks)), np.zeros(len(own), np.bool_)

    def _nat64(self) -> None:
        """Find the translator of destinations that stand for IPv4 servers."""
        mine = self.cells.place == Place.NAT64
        first = len(self.network.border.get(self.family, ()))
        for place, each in reversed(list(enumerate(self.network.nat64 or ()))):
            held = mine & addresses_in(self.cells.flows.destination, [Cidr(each.prefix)])
            self.nat[held] = first + place
            if self.network.is_down(each):
                self.settle(held, Verdict.NO_ROUTE, Cause.NAT_DOWN)
        missing = mine & (self.nat < 0)
        if self.network.nat64 is None:
            self.settle(missing, Verdict.UNKNOWN, Cause.NAT64_UNKNOWN)
        self.settle(missing, Verdict.NO_ROUTE, Cause.NO_NAT64)

    def _border(self, source: NDArray[Any], node: NDArray[np.integer]) -> None:
        """Find the translator at the border that each packet meets: of several that are up, the first."""
        mine = self.open & (self.cells.place == Place.INTERNET)
        zones = np.append(self.cluster.nodes["zone"].astype(object), "")[node]
        met = np.zeros(len(mine), np.bool_)
        open_zone = np.zeros(len(mine), np.bool_)
        for place, each in enumerate(self.network.border.get(self.family, ())):
            fits = mine & (self.nat < 0)
            if each.sources:
                fits &= addresses_in(source, list(each.sources))
            if each.serves:
                open_zone |= fits & (node < 0)
                fits &= np.isin(zones, list(each.serves)) & (node >= 0)
            met |= fits
            if not self.network.is_down(each):
                self.nat[fits] = place
        self.settle(met & (self.nat < 0), Verdict.NO_ROUTE, Cause.NAT_DOWN)
        self.settle(open_zone & (self.nat < 0), Verdict.UNKNOWN, Cause.NODE_UNKNOWN)

    # words -------------------------------------------------------------------------------------------------------

    def _decisions(self) -> tuple[NDArray[np.int32], tuple[Decision, ...]]:
        """Write each distinct outcome once."""
        steering, translation = self.steering, self.translation
        n = len(self.cause)
        untouched = self.gateway | np.isin(self.cause, _BEFORE_MASQUERADING)
        self.rule, rewritten = np.full(n, -1, np.int16), np.zeros(n, np.bool_)
        if translation is not None:
            self.rule[~untouched] = translation.rule[~untouched]
            rewritten = translation.translated & ~untouched
        self.rewritten = rewritten
        fixed = self._fixed_sources(rewritten)
        columns: list[NDArray[Any]] = [
            self.cause,
            self.verdict,
            self.cells.place,
            self.cells.is_same,
            self.cells.flows.host,
            self.leaves,
            self.nat,
            steering.policy,
            steering.choice,
            steering.reason,
            self.rule,
            rewritten,
            rewritten if translation is None else rewritten & translation.has_source,
            fixed,
            np.where(self.captured | (self.cause == Cause.PROXY_REJECTS), self.cells.proxy, -1),
            self.may_take,
            self.rule_of_service,
            self.at_node,
            np.where(self._is_elsewhere, self.cells.service, -1),
        ]
        of_cell, first = codes_of(columns)
        return of_cell.astype(np.int32), tuple(self._decision(cell, int(fixed[cell])) for cell in first.tolist())

    @property
    def _is_elsewhere(self) -> Marks:
        """Whether another node's proxy has its say."""
        found = np.array([each is not None and bool(each.node_address) for each in self.cells.asked], np.bool_)
        return np.asarray(found[self.cells.service])

    def _fixed_sources(self, rewritten: Marks) -> Codes:
        """Give numbers to the addresses that rules rewrite to where these are not the node's own."""
        n = len(rewritten)
        self.fixed: list[str] = []
        found = np.full(n, -1, np.int64)
        if self.translation is None or not rewritten.any():
            return found
        end = ENDS[self.family]
        rows = np.flatnonzero(rewritten & self.translation.has_source)
        node = self.cells.flows.node[rows]
        own = np.append(self.cluster.nodes[f"internal_{end}"], from_integers([0], family=self.family))[node]
        given = self.translation.source[rows]
        rows = rows[(given != own) | (node < 0)]
        if len(rows):
            numbers = to_integers(self.translation.source[rows])
            names = {number: place for place, number in enumerate(dict.fromkeys(numbers))}
            self.fixed = [format_address(self.family, number) for number in names]
            found[rows] = [names[number] for number in numbers]
        return found

    def _decision(self, cell: int, fixed: int) -> Decision:
        """Write one outcome."""
        steering, translation, cells = self.steering, self.translation, self.cells
        cause, verdict = Cause(int(self.cause[cell])), VERDICTS[int(self.verdict[cell])]
        policy = steering.policies[steering.policy[cell]] if steering.policy[cell] >= 0 else ""
        exits = steering.choices[steering.choice[cell]] if steering.choice[cell] >= 0 else ()
        words = steering.reasons[steering.reason[cell]] if steering.reason[cell] >= 0 else ""
        mask = translation.rules[self.rule[cell]] if translation is not None and self.rule[cell] >= 0 else ""
        nat = self.translators[self.nat[cell]] if self.nat[cell] >= 0 else None
        place = Place(int(cells.place[cell]))
        translated = bool(self.rewritten[cell])
        nearby = translated and translation is not None and not translation.has_source[cell] and not self.at_node[cell]
        arrives = verdict.works or cause in {Cause.NOT_GLOBAL, Cause.NO_RETURN}
        seen: Seen = Seen.NOBODY
        sources: tuple[str, ...] = ()
        if verdict in {Verdict.UNKNOWN, Verdict.NONDETERMINISTIC} or cause is Cause.EXIT_UNKNOWN:
            seen = Seen.SEVERAL if len(exits) > 1 else Seen.UNKNOWN
            sources = tuple(dict.fromkeys(each.address for each in exits if each.address))
        elif arrives and nearby and place is Place.POD:
            seen = Seen.UNKNOWN
        elif arrives:
            seen, sources = self._seen(cell, nat, exits, self.fixed[fixed] if fixed >= 0 else "")
        proxy_place = int(cells.proxy[cell])
        held = self.captured[cell] or cause is Cause.PROXY_REJECTS
        proxy = self.network.proxies[proxy_place].title if held and proxy_place >= 0 else ""
        said = "" if self.leaks[cell] else words  # of what falls through it is said before
        reason = self._reason(cause, place=place, words=said, rule=mask, nat=nat)
        served = self.service_rules[self.rule_of_service[cell]] if self.rule_of_service[cell] >= 0 else ""
        asked = cells.asked[cells.service[cell]]
        served_at = self._node_title(cell) if asked is not None and asked.node_address else ""
        if served_at and cause is Cause.DELIVERED:
            reason = f"the node that was asked sends it on to an endpoint{f'; {mask}' if mask else ''}"
        told = place.in_cluster and cause is Cause.DELIVERED
        if served and (told or cause in {Cause.NO_LOCAL_ENDPOINT, Cause.ENDPOINTS_UNKNOWN}):
            who = "Cilium" if isinstance(self.proxy, Cilium) else "kube-proxy"
            served = f"{who}{f' on {served_at}' if served_at else ''}: {served}"
            reason += f" ({served})"
        if self.may_take[cell] and verdict.works:
            reason += "; whether a transparent proxy takes it first is not known (labels)"
        if self.leaks[cell]:
            reason = f"{words}; {reason}"
        rule = {
            Cause.POLICY: policy,
            Cause.EXIT_UNKNOWN: policy,
            Cause.PROXY_REJECTS: proxy,
            Cause.NAT_DOWN: nat.title if nat else "",
            Cause.NO_LOCAL_ENDPOINT: served,
            Cause.SOURCE_RANGES: "kube-proxy: loadBalancerSourceRanges",
        }.get(cause, policy if self.gateway[cell] else mask)
        return Decision(
            verdict,
            cause,
            reason,
            rule,
            seen,
            sources,
            policy,
            exits,
            mask,
            translated,
            nat.title if nat else "",
            proxy,
            place.name.lower(),
            bool(cells.is_same[cell]),
            served,
            served_at,
        )

    def _node_title(self, cell: int) -> str:
        """Name the node that the destination is on."""
        row = int(self.cells.host[cell])
        return f"Node/{self.cluster.nodes['name'][row]}" if row >= 0 else "another node"

    def _seen(
        self, cell: int, nat: BorderNAT | NAT64 | None, exits: tuple[Any, ...], fixed: str
    ) -> tuple[Seen, tuple[str, ...]]:
        """Whose address arrives."""
        if nat is not None:
            return Seen.NAT, nat.addresses
        asked = self.cells.asked[self.cells.service[cell]]
        if self.at_node[cell] and asked is not None:  # to a pod of its own it sends from a device that is not modelled
            own = (asked.node_address,) if asked.has_remote else ()
            return (Seen.SEVERAL if own else Seen.UNKNOWN) if asked.has_local else Seen.NODE, own
        if self.leaves[cell] == _EXIT:
            return Seen.GATEWAY, tuple(dict.fromkeys(each.address for each in exits if each.address))
        if self.leaves[cell] == _NODE or (self.translation is not None and self.translation.translated[cell]):
            return Seen.NODE, (fixed,) if fixed else ()
        return Seen.POD, ()

    def _reason(self, cause: Cause, *, place: Place, words: str, rule: str, nat: BorderNAT | NAT64 | None) -> str:
        """Say why, in words."""
        family = self.family
        if cause in {Cause.POLICY, Cause.EXIT_UNKNOWN}:
            return words
        if cause is Cause.MASQUERADE_UNKNOWN and rule:
            return rule
        if cause is Cause.NAT_DOWN and nat:
            return f"{nat.title} is down"
        if cause is not Cause.DELIVERED:
            return _WORDS[cause].format(family=family)
        if place in {Place.NODE, Place.POD}:
            return f"delivered to the {place.name.lower()}{f'; {rule}' if rule else ''}"
        first = words if words and self.network.gateways else rule or f"no rule rewrites the source in {family}"
        return f"{first}, then {nat.title}" if nat else first


_VIA_GATEWAY: Final = VERDICTS.index(Verdict.VIA_GATEWAY)
_LEAK: Final = VERDICTS.index(Verdict.LEAK_FALLTHROUGH)
_BEFORE_MASQUERADING: Final = (
    Cause.NO_SOURCE,
    Cause.NODE_DOWN,
    Cause.PROXY_REJECTS,
    Cause.SERVICE_GAP,
    Cause.POD_GAP,
    Cause.DESTINATION_DOWN,
    Cause.ON_LINK,
    Cause.POLICY,
    Cause.NO_LOCAL_ENDPOINT,
    Cause.ENDPOINTS_UNKNOWN,
    Cause.SERVICE_PROXY_UNKNOWN,
    Cause.SOURCE_RANGES,
    Cause.HAIRPIN_OFF,
    Cause.HAIRPIN_UNKNOWN,
)
_PLAIN: Final = tuple(VERDICTS.index(each) for each in (Verdict.OK_DIRECT, Verdict.OK_SNAT))
_GOES_ON: Final = (_VIA_GATEWAY, _LEAK)
_DEAD_ENDS: Final = (
    (Place.SERVICE_RANGE, Verdict.NO_ROUTE, Cause.SERVICE_GAP),
    (Place.POD_RANGE, Verdict.NO_ROUTE, Cause.POD_GAP),
    (Place.ON_LINK, Verdict.UNKNOWN, Cause.ON_LINK),
)
_WORDS: Final = {
    Cause.NO_SOURCE: "the pod has no {family} address",
    Cause.NODE_DOWN: "the pod's own node is down, and the pod with it",
    Cause.PROXY_REJECTS: "the proxy in the pod captures the other family only, and rejects {family}",
    Cause.SERVICE_GAP: "a service range holds the address and no Service has it",
    Cause.POD_GAP: "a pod range holds the address and no pod has it",
    Cause.DESTINATION_DOWN: "the destination's node is down",
    Cause.MASQUERADE_UNKNOWN: "unknown because nothing tells which sources nodes masquerade in {family} (masquerades)",
    Cause.NAT_DOWN: "every border NAT that serves the node in {family} is down",
    Cause.ON_LINK: "unknown because link-local, loopback and multicast addresses are answered on the node's link",
    Cause.NODE_WITHOUT_ADDRESS: "the node has no {family} address to send from",
    Cause.ADDRESSES_UNKNOWN: "unknown because no node's addresses are known (status.addresses)",
    Cause.NO_DEFAULT_ROUTE: "nodes have no {family} default route",
    Cause.ROUTE_UNKNOWN: "unknown because nobody said whether nodes have an {family} default route (default_route)",
    Cause.BORDER_UNKNOWN: "unknown because nobody said which border NATs translate {family} (border)",
    Cause.NOT_GLOBAL: "the source is not globally reachable, no border NAT translates {family}: no answer comes back",
    Cause.NO_RETURN: "routers outside do not send answers back to the source: it is in no routed {family} block",
    Cause.RETURN_UNKNOWN: "unknown because nobody said which {family} blocks are routed back to pods (routed)",
    Cause.NAT64_UNKNOWN: "unknown because nobody said which NAT64 translators there are (nat64)",
    Cause.NO_NAT64: "no NAT64 translator takes the prefix of the destination",
    Cause.NO_LOCAL_ENDPOINT: "the Service's traffic stays on the node (policy Local), and its node has no endpoint",
    Cause.ENDPOINTS_UNKNOWN: "unknown because the sources of the Service's proxy do not say which endpoints it takes",
    Cause.SERVICE_PROXY_UNKNOWN: "unknown because nothing tells what serves Services on the nodes (masquerades)",
    Cause.SOURCE_RANGES: "kube-proxy lets in no source outside loadBalancerSourceRanges, and the pod's is",
    Cause.HAIRPIN_OFF: "the bridge does not send back into a pod what came from it (hairpinMode is off)",
    Cause.HAIRPIN_UNKNOWN: "unknown because the bridge may not send back into a pod what came from it (hairpinMode)",
    Cause.LEAVES_ELSEWHERE: "unknown because the node that was asked may send it on to an endpoint outside the cluster",
    Cause.PROXY_UNKNOWN: "unknown because labels that are not known decide whether the pod has a transparent proxy",
    Cause.NODE_UNKNOWN: "unknown because the zone of the node it leaves from decides which border NAT it meets",
}

"""Services of a dump as the columns of the services table, and the node ports they hold.

``clusterIPs`` is read, or ``clusterIP`` where a server without dual-stack has no list; the word ``None`` means
headless. Every different number in ``ports[*].nodePort`` is one held node port, the health-check port another. The
ranges that a load balancer lets in are those of ``loadBalancerSourceRanges``, or where there are none those of the
older annotation, host bits masked.

What it does not know: whether the cluster IPs lie in a service range (`dsmodel.io.dump_checks`).

Sources: kubernetes/api core/v1 ServiceSpec, ServiceStatus, v1.20 to v1.36; ``ipFamily`` is the field of v1.16-v1.19
that v1.20 servers still read; ``GetSourceRanges`` of ``pkg/api/v1/service/util.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from msgspec import Struct, field

from dsmodel.addresses.arrays import empty
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.text import parse_cidrs
from dsmodel.cluster.schema import (
    ALLOWED_SOURCES,
    IP_FAMILIES,
    IP_FAMILY_POLICIES,
    NODE_PORTS,
    SERVICE_TYPES,
    SERVICES,
    SOURCE_FIELDS,
    TRAFFIC_POLICIES,
)
from dsmodel.cluster.table import Table
from dsmodel.io.dump_addresses import AddressPairs, read_pairs
from dsmodel.io.dump_findings import Findings, ObjectName
from dsmodel.io.dump_objects import Ingress, ServicePort

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Raw

    from dsmodel.io.dump_objects import DumpObject

__all__ = ["ServiceRows"]

_LAST_PORT: Final = 65535
_HEALTH_CHECK: Final = 2
_TEXTS: Final = ("namespace", "name", "load_balancer_class")


class _LoadBalancer(Struct, gc=False):
    """``status.loadBalancer``."""

    ingress: list[Ingress] | None = None


class _Annotations(Struct, gc=False):
    """The one annotation that counts here."""

    sources: str | None = field(default=None, name="service.beta.kubernetes.io/load-balancer-source-ranges")


class _SourceRange(NamedTuple):
    """One range a load balancer lets in, as written: row of the Service, code of the field, place in it, text."""

    service: int
    code: int
    place: int
    text: str


class ServiceRows:
    """Services read so far.

    Parameters
    ----------
    findings : Findings
        Where wrong ones are named.
    """

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.origins: list[ObjectName] = []
        self._row: dict[tuple[str, str], int] = {}
        self._columns: dict[str, list[Any]] = {}
        self._cluster: tuple[list[str], list[str]] = ([], [])
        self._external: tuple[list[str], list[str]] = ([], [])
        self._ports: list[tuple[int, int, int]] = []
        self._sources: list[_SourceRange] = []
        self._kept: list[dict[str, Any]] = []

    def add(self, services: list[DumpObject], file: str) -> None:
        """Add the Services of one batch.

        Parameters
        ----------
        services : list of DumpObject
            Named objects of kind Service.
        file : str
            Where they came from.

        Raises
        ------
        None
            What is wrong in a Service is a finding.
        """
        for service in services:
            metadata = service.metadata
            about = ObjectName("Service", metadata.namespace, metadata.name, file)
            earlier = self._row.setdefault((about.namespace, about.name), len(self.origins))
            if earlier < len(self.origins):
                origin = self.origins[earlier].file
                self.findings.duplicate(about, origin)
                continue
            self.origins.append(about)
            ports = self.findings.decode(service.spec.ports, list[ServicePort], "spec.ports", default=[], about=about)
            ingress = self._ingress(service, about)
            self._add_one(service, about, ports=ports, ingress=ingress)
            self._keep(service, about, ports=ports, ingress=ingress)

    def tables(self) -> tuple[Table, Table]:
        """Return the Services and their node ports.

        Returns
        -------
        services : Table
            Of schema `dsmodel.cluster.schema.SERVICES`, in the order of reading.
        node_ports : Table
            Of schema `dsmodel.cluster.schema.NODE_PORTS`.

        Raises
        ------
        None
            What is no address is a finding.
        """
        if not self.origins:
            return Table(SERVICES, length=0), Table(NODE_PORTS, length=0)
        cluster, external = read_pairs(*self._cluster), read_pairs(*self._external)
        self._report("spec.clusterIPs", cluster, self._cluster)
        self._report("status.loadBalancer.ingress", external, self._external)
        text = np.dtypes.StringDType()
        columns: dict[str, Any] = {
            name: np.array(values, dtype=text if name in _TEXTS else SERVICES.column(name).dtype)
            for name, values in self._columns.items()
        }
        for name, pairs in (("cluster", cluster), ("external", external)):
            columns |= {
                f"{name}_ipv4": pairs.ipv4,
                f"has_{name}_ipv4": pairs.has_ipv4,
                f"{name}_ipv6": pairs.ipv6,
                f"has_{name}_ipv6": pairs.has_ipv6,
            }
        columns["primary_ip_family"] = cluster.primary
        ports = np.array(self._ports, dtype=np.int64).reshape(-1, 3)
        node_ports: dict[str, Any] = {
            "service": ports[:, 0].astype(np.int32),
            "node_port": ports[:, 1].astype(np.uint16),
            "use": ports[:, 2].astype(np.uint8),
        }
        return Table(SERVICES, columns), Table(NODE_PORTS, node_ports)

    def objects(self) -> list[dict[str, Any]]:
        """Return the Services as far as the graph of traffic needs what no column holds.

        Returns
        -------
        list of dict
            Name; of ``spec`` ``selector``, ``internalTrafficPolicy``, ``externalIPs`` and ``ports``; of ``status``
            ``loadBalancer``. Services with none of these are left out.

        Raises
        ------
        None
            Every reading has an answer.
        """
        return self._kept

    def allowed_sources(self) -> Table:
        """Return the ranges that load balancers let in.

        Returns
        -------
        Table
            Of schema `dsmodel.cluster.schema.ALLOWED_SOURCES`, by Service, in the order of the field.

        Raises
        ------
        None
            What is no CIDR is a finding.
        """
        sources = self._sources
        if not sources:
            return Table(ALLOWED_SOURCES, length=0)
        n = len(sources)
        columns: dict[str, Any] = {
            "service": np.array([each.service for each in sources], np.int32),
            "field": np.array([each.code for each in sources], np.uint8),
        }
        good = np.zeros(n, np.bool_)
        is_ipv6 = np.array([":" in each.text for each in sources])
        for family, rows in ((IPFamily.IPV4, np.flatnonzero(~is_ipv6)), (IPFamily.IPV6, np.flatnonzero(is_ipv6))):
            base, mask, has = empty(n, family), np.zeros(n, np.uint8), np.zeros(n, np.bool_)
            if len(rows):
                texts = [sources[row].text for row in rows.tolist()]
                base[rows], mask[rows], has[rows] = parse_cidrs(
                    texts, family=family, host_bits="mask", syntax="sloppy", on_invalid="mask"
                )
            name = f"source_{family.value.lower()}"
            columns |= {name: base, f"{name}_mask": mask, f"has_{name}": has}
            good |= has
        for row in np.flatnonzero(~good).tolist():
            each = sources[row]
            path = f"{SOURCE_FIELDS[each.code]}[{each.place}]"
            message = f"{path}: {each.text!r} is no CIDR; the range is left out"
            self.findings.add("error", "address-invalid", message, about=self.origins[each.service])
        return Table(ALLOWED_SOURCES, columns).where(good)

    def _add_one(
        self, service: DumpObject, about: ObjectName, *, ports: list[ServicePort], ingress: list[Ingress]
    ) -> None:
        """Take one Service's fields."""
        spec, decode = service.spec, self.findings.decode
        addresses = self._cluster_ips(service, about)
        families = decode(spec.ip_families, list[str], "spec.ipFamilies", default=[], about=about)
        families = families or [decode(spec.ip_family, str, "spec.ipFamily", default="", about=about)]
        health = decode(spec.health_check_node_port, int, "spec.healthCheckNodePort", default=0, about=about)
        health = self._port(health, "spec.healthCheckNodePort", about)
        held = self._node_ports(ports, about)
        row = {
            "namespace": about.namespace,
            "name": about.name,
            "type": self._code(spec.type, "spec.type", SERVICE_TYPES, about=about) or 1,
            "ip_family_policy": self._code(
                spec.ip_family_policy, "spec.ipFamilyPolicy", IP_FAMILY_POLICIES, about=about
            ),
            "ip_families": self._known(",".join(families), "spec.ipFamilies", IP_FAMILIES, about=about),
            "headless": bool(addresses) and addresses[0] == "None",
            "node_ports": len(held),
            "health_check_node_port": health,
            "external_traffic_policy": self._code(
                spec.external_traffic_policy, "spec.externalTrafficPolicy", TRAFFIC_POLICIES, about=about
            ),
            "load_balancer_class": decode(
                spec.load_balancer_class, str, "spec.loadBalancerClass", default="", about=about
            ),
        }
        for name, value in row.items():
            self._columns.setdefault(name, []).append(value)
        number = len(self.origins) - 1
        self._ports += [(number, port, 1) for port in held]
        if health:
            self._ports.append((number, health, _HEALTH_CHECK))
        self._add_texts(addresses if not row["headless"] else [], self._cluster)
        self._add_texts(_firsts(ingress), self._external)
        self._add_sources(service, about)

    def _cluster_ips(self, service: DumpObject, about: ObjectName) -> list[str]:
        """Read clusterIPs, or clusterIP."""
        decode, spec = self.findings.decode, service.spec
        first: str = decode(spec.cluster_ip, str, "spec.clusterIP", default="", about=about)
        listed: list[str] = decode(spec.cluster_ips, list[str], "spec.clusterIPs", default=[], about=about)
        if first and listed and first != listed[0]:
            message = f"spec.clusterIP is {first!r} and spec.clusterIPs begins with {listed[0]!r}; clusterIP is used"
            self.findings.add("warning", "field-invalid", message, about=about)
            return [first]
        if len(listed) > 2:
            message = f"spec.clusterIPs has {len(listed)} addresses, at most one of each family is legal; two are used"
            self.findings.add("error", "field-invalid", message, about=about)
        return listed[:2] or ([first] if first else [])

    def _ingress(self, service: DumpObject, about: ObjectName) -> list[Ingress]:
        """Read the load balancer's addresses."""
        entry = self.findings.decode(
            service.status.load_balancer, _LoadBalancer, "status.loadBalancer", default=_LoadBalancer(), about=about
        )
        return [each for each in entry.ingress or [] if each.get("ip")]

    def _keep(
        self, service: DumpObject, about: ObjectName, *, ports: list[ServicePort], ingress: list[Ingress]
    ) -> None:
        """Keep the selector, ports, external addresses, and whether inside traffic stays on the node."""
        decode, spec = self.findings.decode, dict[str, Any]()
        selector = decode(service.spec.selector, dict[str, str], "spec.selector", default={}, about=about)
        policy = decode(
            service.spec.internal_traffic_policy, str, "spec.internalTrafficPolicy", default="", about=about
        )
        external = decode(service.spec.external_ips, list[str], "spec.externalIPs", default=[], about=about)
        spec |= {"selector": selector} if selector else {}
        spec |= {"internalTrafficPolicy": policy} if policy else {}
        spec |= {"externalIPs": external} if external else {}
        spec |= {"ports": ports} if ports else {}
        status = {"status": {"loadBalancer": {"ingress": ingress}}} if ingress else {}
        if spec or status:
            metadata = {"name": about.name, "namespace": about.namespace}
            self._kept.append({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, **status})

    def _add_sources(self, service: DumpObject, about: ObjectName) -> None:
        """Take the ranges that the load balancer lets in; the annotation counts where spec has none."""
        decode = self.findings.decode
        raw = service.spec.load_balancer_source_ranges
        texts: list[str] = decode(raw, list[str], "spec.loadBalancerSourceRanges", default=[], about=about)
        code = 1
        if not texts:
            raw = service.metadata.annotations
            given = decode(raw, _Annotations, "metadata.annotations", default=_Annotations(), about=about)
            texts, code = [text for text in (given.sources or "").split(",") if text.strip()], 2
        row = len(self.origins) - 1
        self._sources += [_SourceRange(row, code, place, text.strip()) for place, text in enumerate(texts)]

    def _node_ports(self, ports: list[ServicePort], about: ObjectName) -> list[int]:
        """Read the different node ports."""
        held = [
            self._port(number, f"spec.ports[{place}].nodePort", about)
            for place, port in enumerate(ports)
            if (number := port.get("nodePort"))
        ]
        return [port for port in dict.fromkeys(held) if port]

    def _port(self, port: int, path: str, about: ObjectName) -> int:
        """Refuse numbers that are no ports; 0 means none."""
        if 0 <= port <= _LAST_PORT:
            return port
        self.findings.add("error", "field-invalid", f"{path}: {port} is no port; it is left out", about=about)
        return 0

    def _code(self, raw: Raw, path: str, words: Mapping[int, str], *, about: ObjectName) -> int:
        """Read a word of a small vocabulary."""
        return self._known(self.findings.decode(raw, str, path, default="", about=about), path, words, about=about)

    def _known(self, word: str, path: str, words: Mapping[int, str], *, about: ObjectName) -> int:
        """Turn a word into its code."""
        for code, known in words.items():
            if known == word:
                return code
        listed = ", ".join(known for known in words.values() if known)
        self.findings.add("error", "field-invalid", f"{path}: {word!r} is none of {listed}", about=about)
        return 0

    @staticmethod
    def _add_texts(texts: list[str], pair: tuple[list[str], list[str]]) -> None:
        """Append at most two texts to a pair of columns."""
        pair[0].append(texts[0] if texts else "")
        pair[1].append(texts[1] if len(texts) > 1 else "")

    def _report(self, path: str, pairs: AddressPairs, texts: tuple[list[str], list[str]]) -> None:
        """Name what is no address."""
        for place, wrong in enumerate((pairs.invalid_first, pairs.invalid_second)):
            for row in np.flatnonzero(wrong).tolist():
                message = f"{path}[{place}]: {texts[place][row]!r} is no IP address; the service is read without it"
                self.findings.add("error", "address-invalid", message, about=self.origins[row])
        for row in np.flatnonzero(pairs.same_family).tolist():
            message = f"{path}: {texts[0][row]} and {texts[1][row]} are of one family; the first is used"
            self.findings.add("error", "address-invalid", message, about=self.origins[row])


def _firsts(ingress: list[Ingress]) -> list[str]:
    """Return the first address of each family, in their order."""
    texts = [str(each["ip"]) for each in ingress]
    firsts = {":" in text: text for text in reversed(texts)}
    return [text for text in dict.fromkeys(texts) if text in firsts.values()]

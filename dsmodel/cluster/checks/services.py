"""Rules about Services: cluster IPs, node ports, families, addresses of load balancers, IPAddress objects.

What it does not know: who may use a load balancer (`dsmodel.cluster.checks.allow_lists`).

Sources: ``pkg/registry/core/service/ipallocator/controller/{repair,repairip}.go``,
``pkg/registry/core/service/portallocator/controller/repair.go`` and ``pkg/registry/core/service/storage/alloc.go`` of
v1.36.2.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import addresses_in
from dsmodel.cluster.checks.repeats import repeated
from dsmodel.cluster.checks.rules import ENDS, Rule, address_text, each, service_name, shared

if TYPE_CHECKING:
    from dsmodel.cluster.checks.rules import Breach, Subject

__all__ = ["SERVICE_RULES"]

_REPAIR = "pkg/registry/core/service/ipallocator/controller/repairip.go"
_PORT_REPAIR = "pkg/registry/core/service/portallocator/controller/repair.go"
_SINGLE, _PREFER, _REQUIRE = 1, 2, 3  # codes of schema.IP_FAMILY_POLICIES
_LOAD_BALANCER, _EXTERNAL_NAME = 3, 4  # codes of schema.SERVICE_TYPES


def _same_cluster_ip(subject: Subject) -> list[Breach]:
    """Find cluster IPs that two Services have."""
    services, found = subject.cluster.services, []
    for end in ENDS.values():
        rows = np.flatnonzero(services[f"has_cluster_{end}"])
        column = services[f"cluster_{end}"]
        later, earlier = repeated(column[rows])
        found += shared(
            (rows[later], rows[earlier]),
            named=partial(service_name, services),
            value=lambda row, column=column: f"cluster IP {address_text(column, row)}",  # type: ignore[misc]
        )
    return found


def _cluster_ips_outside(subject: Subject) -> list[Breach]:
    """Find cluster IPs that lie in no service range."""
    services, found = subject.cluster.services, []
    for family, end in ENDS.items():
        cidrs = [pool.cidr for pool in subject.cluster.service_ranges.ranges.get(family, [])]
        rows = np.flatnonzero(services[f"has_cluster_{end}"])
        column = services[f"cluster_{end}"]
        inside = addresses_in(column[rows], cidrs) if cidrs else np.zeros(len(rows), np.bool_)
        text = ", ".join(map(str, cidrs)) or "there is none of this family"
        found += each(
            rows[~inside],
            lambda row, column=column, text=text: (  # type: ignore[misc]
                service_name(services, row),
                f"cluster IP {address_text(column, row)} is outside the service ranges ({text})",
            ),
        )
    return found


def _same_node_port(subject: Subject) -> list[Breach]:
    """Find node ports that two Services have."""
    services, table = subject.cluster.services, subject.cluster.node_ports
    ports, owners = table["node_port"], table["service"]
    later, earlier = repeated(ports.astype(np.uint32))
    other = owners[later] != owners[earlier]
    return shared(
        (later[other], earlier[other]),
        named=lambda row: service_name(services, int(owners[row])),
        value=lambda row: f"node port {ports[row]}",
    )


def _node_ports_outside(subject: Subject) -> list[Breach]:
    """Find node ports outside the range of the flag."""
    services, table = subject.cluster.services, subject.cluster.node_ports
    ports, owners = table["node_port"], table["service"]
    first, last = subject.cluster.config.service_node_port_range
    return each(
        np.flatnonzero((ports < first) | (ports > last)),
        lambda row: (
            service_name(services, int(owners[row])),
            f"node port {ports[row]} is outside {first}-{last}, the range of --service-node-port-range",
        ),
    )


def _one_family(subject: Subject) -> list[Breach]:
    """Find Services that keep to one family where there are two."""
    services = subject.cluster.services
    if len(subject.cluster.service_ranges.families) < 2:
        return []
    has_one = services["has_cluster_ipv4"] ^ services["has_cluster_ipv6"]
    own = (services["namespace"] == "default") & (services["name"] == "kubernetes")  # kube-apiserver keeps it so
    single = has_one & (services["ip_family_policy"] == _SINGLE) & ~own
    return each(
        np.flatnonzero(single),
        lambda row: (service_name(services, row), f"is SingleStack: reached by {_family(services, row)} only"),
    )


def _policy_unmet(subject: Subject) -> list[Breach]:
    """Find Services that have fewer cluster IPs than their policy asks for."""
    services = subject.cluster.services
    if len(subject.cluster.service_ranges.families) < 2:
        return []
    has_one = services["has_cluster_ipv4"] ^ services["has_cluster_ipv6"]
    policy = services["ip_family_policy"]
    unmet = has_one & ((policy == _PREFER) | (policy == _REQUIRE)) & (services["type"] != _EXTERNAL_NAME)
    return each(
        np.flatnonzero(unmet),
        lambda row: (
            service_name(services, row),
            (
                f"is {'PreferDualStack' if policy[row] == _PREFER else 'RequireDualStack'} and has an "
                f"{_family(services, row)} cluster IP only"
            ),
        ),
    )


def _load_balancer_of_one_family(subject: Subject) -> list[Breach]:
    """Find load balancers that answer in one family of two."""
    services = subject.cluster.services
    both = services["has_cluster_ipv4"] & services["has_cluster_ipv6"] & (services["type"] == _LOAD_BALANCER)
    one = services["has_external_ipv4"] ^ services["has_external_ipv6"]
    return each(
        np.flatnonzero(both & one),
        lambda row: (
            service_name(services, row),
            (
                f"has cluster IPs of both families and a load balancer of "
                f"{'IPv4' if services['has_external_ipv4'][row] else 'IPv6'} only"
            ),
        ),
    )


def _leaked_objects(subject: Subject) -> list[Breach]:
    """Return the IPAddress objects that the reader of the dump found without their Service."""
    findings = subject.cluster.findings
    rows = np.flatnonzero(findings["rule"] == "ip-address-leaked")
    return [(str(findings["object"][row]), str(findings["message"][row])) for row in rows.tolist()]


def _family(services: Any, row: int) -> str:
    """Name the one family of a Service."""
    return "IPv4" if services["has_cluster_ipv4"][row] else "IPv6"


SERVICE_RULES = (
    Rule(
        "cluster-ip-duplicate",
        "error",
        "two Services have the same cluster IP",
        "recreate one of them",
        f"{_REPAIR}, event ClusterIPAlreadyAllocated",
        _same_cluster_ip,
        at_reading=True,
    ),
    Rule(
        "cluster-ip-out-of-range",
        "error",
        "a cluster IP lies outside the service ranges",
        "recreate the Service, or add a ServiceCIDR that contains it",
        f"{_REPAIR}, event ClusterIPOutOfRange",
        _cluster_ips_outside,
        at_reading=True,
    ),
    Rule(
        "node-port-duplicate",
        "error",
        "two Services have the same node port",
        "recreate one of them",
        f"{_PORT_REPAIR}, event PortAlreadyAllocated",
        _same_node_port,
        at_reading=True,
    ),
    Rule(
        "node-port-out-of-range",
        "warning",
        "a node port lies outside the range of the flag",
        "give the Service a port of the range, or widen the range",
        f"{_PORT_REPAIR}, event PortOutOfRange",
        _node_ports_outside,
        at_reading=True,
    ),
    Rule(
        "service-one-family",
        "info",
        "a Service of a dual-stack cluster is SingleStack",
        "set ipFamilyPolicy to PreferDualStack where clients of the other family should reach it",
        "pkg/registry/core/service/storage/alloc.go, initIPFamilyFields",
        _one_family,
    ),
    Rule(
        "service-family-missing",
        "warning",
        "a Service has fewer cluster IPs than its ipFamilyPolicy asks for",
        "update the Service once both ranges have room; it is given the second cluster IP then",
        "pkg/registry/core/service/storage/alloc.go, initIPFamilyFields",
        _policy_unmet,
    ),
    Rule(
        "load-balancer-one-family",
        "warning",
        "a dual-stack Service has a load balancer of one family",
        "look at what the load balancer's controller and its address pools support",
        "staging/src/k8s.io/cloud-provider/controllers/service/controller.go",
        _load_balancer_of_one_family,
    ),
    Rule(
        "ip-address-leaked",
        "warning",
        "an IPAddress object holds an address for a Service that is gone",
        "delete the object if the repair loop has not done so after some minutes",
        f"{_REPAIR}, event IPAddressNotAllocated",
        _leaked_objects,
    ),
)

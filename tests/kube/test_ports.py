"""Node ports: band, repeats, protocols that share a number, exhaustion."""

from __future__ import annotations

from typing import Any

import pytest

from dsmodel.errors import AlreadyAllocated, NotInRange, PoolFull, Rejected
from dsmodel.kube import ControlPlane
from dsmodel.kube.ports import NodePorts, port_band_offset


@pytest.mark.parametrize(
    ("size", "offset"),
    [(1, 0), (16, 0), (17, 16), (64, 16), (512, 16), (544, 17), (2768, 86), (4096, 128), (9999, 128)],
)
def test_the_static_band(size: int, offset: int) -> None:
    assert port_band_offset(size) == offset


def test_dynamic_ports_fill_the_upper_band_first_and_then_the_lower() -> None:
    ports = NodePorts(30000, 30031, band=True)
    taken = [ports.allocate_next() for _ in range(32)]
    assert taken[:16] == list(range(30016, 30032))
    assert sorted(taken[16:]) == list(range(30000, 30016))
    with pytest.raises(PoolFull, match="range is full"):
        ports.allocate_next()
    ports.release(30003)
    assert ports.allocate_next() == 30003


def test_static_ports() -> None:
    ports = NodePorts(30000, 30031, band=True)
    ports.allocate(30000)
    with pytest.raises(AlreadyAllocated, match="provided port is already allocated"):
        ports.allocate(30000)
    with pytest.raises(NotInRange, match="The range of valid ports is 30000-30031"):
        ports.allocate(29999)
    twin = ports.copy()
    twin.release(30000)
    with pytest.raises(AlreadyAllocated, match="already"):
        ports.allocate(30000)


def server(ports: str = "30000-30003") -> ControlPlane:
    return ControlPlane(service_cidrs=["10.96.0.0/16"], service_node_port_range=ports)


def service(name: str, *ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": name}, "spec": {"type": "NodePort", "ports": list(ports), **spec}}


def test_two_protocols_of_one_port_share_a_node_port() -> None:
    udp, tcp = {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53, "protocol": "TCP"}
    spec = server().create(service("dns", tcp, udp))["spec"]
    assert spec["ports"][0]["nodePort"] == spec["ports"][1]["nodePort"]


def test_ports_run_out_whole_services_at_a_time() -> None:
    plane = server()
    three = [{"name": f"p{n}", "port": n} for n in (1, 2, 3)]
    plane.create(service("a", *three))
    with pytest.raises(Rejected, match="failed to allocate a nodePort: range is full"):
        plane.create(service("b", *three))
    plane.create(service("c", {"port": 1}))
    with pytest.raises(Rejected, match="range is full"):
        plane.create(service("d", {"port": 1}))
    assert plane.create(service("e", {"port": 1}, type="ClusterIP"))["spec"]["ports"][0].get("nodePort") is None


def test_a_local_load_balancer_takes_a_health_check_port_and_gives_it_back() -> None:
    plane = server("30000-30001")
    spec = plane.create(service("a", {"port": 80}, type="LoadBalancer", externalTrafficPolicy="Local"))["spec"]
    assert {spec["healthCheckNodePort"], spec["ports"][0]["nodePort"]} == {30000, 30001}
    change = {"spec": {"externalTrafficPolicy": "Cluster"}}
    assert "healthCheckNodePort" not in plane.patch("Service", "a", change, patch_type="merge")["spec"]
    assert plane.create(service("b", {"port": 80}))["spec"]["ports"][0]["nodePort"] == spec["healthCheckNodePort"]


def test_a_load_balancer_without_node_ports() -> None:
    plane = server("30000-30000")
    off = service("a", {"port": 80}, type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    assert "nodePort" not in plane.create(off)["spec"]["ports"][0]
    assert plane.create(service("b", {"port": 80}))["spec"]["ports"][0]["nodePort"] == 30000

"""What proxies know of Services: endpoints by condition and version, addresses and node ports by what claims them."""

import pandas as pd
import pytest
from egress_clusters import SERVICE_CIDRS, cluster_of

import dsmodel as ds
from dsmodel.graph.masquerade.services import Target
from dsmodel.graph.paths.services import Backends, Services

READY, NOT_READY = {"ready": True}, {"ready": False}
GOES = {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}
STARTS = {"ready": False, "serving": False, "terminating": False}


def cluster(*objects, version="1.36", gates=None, policy="PreferDualStack", **columns):
    held = cluster_of()
    config = ds.ClusterConfig.of(
        cluster_cidrs=["10.244.0.0/16", "fd00:10:244::/56"],
        service_cidrs=list(SERVICE_CIDRS),
        kube_version=version,
        feature_gates=gates or {},
    )
    held.config = config
    row = {"namespace": ["shop"], "name": ["db"], "ip_family_policy": [policy]}
    held.add_services(pd.DataFrame(row | {name: [value] for name, value in columns.items()}))
    held.objects = held.objects.adding(objects)
    return held


def slice_of(*endpoints, family="IPv4", name="s", ports=None):
    metadata = {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": "db"}}
    made = [
        {"addresses": [address], "nodeName": node, **({} if conditions is None else {"conditions": conditions})}
        for address, node, conditions in endpoints
    ]
    item = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": family}
    return {**item, "endpoints": made, **({} if ports is None else {"ports": ports})}


def service_of(ports=(), external=(), ingress=(), name="db"):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"ports": list(ports), "externalIPs": list(external)},
        "status": {"loadBalancer": {"ingress": list(ingress)}},
    }


def backends(*endpoints, port_name=None, **more):
    services = Services(cluster(slice_of(*endpoints), **more))
    return services.backends(services.by_name["shop/db"], port_name)


A, B, C = ("10.244.0.5", "a"), ("10.244.0.6", "a"), ("10.244.1.5", "b")
CHOICES = [
    ("ready ones", [(*A, READY), (*C, NOT_READY)], "1.36", Backends((A,))),
    ("no word on conditions is ready", [(*A, None)], "1.36", Backends((A,))),
    ("null is ready", [(*A, {"ready": None})], "1.36", Backends((A,))),
    ("starting is not ready", [(*A, STARTS)], "1.36", Backends(())),
    ("terminating ones where none is ready", [(*A, GOES), (*C, NOT_READY)], "1.36", Backends((A,))),
    ("not those that serve no more", [(*A, GONE)], "1.36", Backends(())),
    ("beside ready ones on their node not at all", [(*A, READY), (*B, GOES)], "1.36", Backends((A,))),
    ("on a node without ready ones for that node", [(*A, READY), (*C, GOES)], "1.36", Backends((A,), (C,))),
    ("the gate is on since 1.26", [(*A, GOES)], "1.26", Backends((A,))),
    ("and off before", [(*A, GOES)], "1.25", Backends(())),
    ("for nodes as well", [(*A, READY), (*C, GOES)], "1.25", Backends((A,))),
]


@pytest.mark.parametrize(("why", "endpoints", "version", "expected"), CHOICES, ids=[row[0] for row in CHOICES])
def test_endpoints_by_condition(why, endpoints, version, expected):
    assert backends(*endpoints, version=version) == expected, why


def test_each_family_falls_back_on_its_own():
    six = slice_of(("fd00:10:244::5", "a", GOES), family="IPv6", name="s6")
    services = Services(cluster(slice_of((*A, READY), (*C, GOES)), six))
    assert services.backends(services.by_name["shop/db"]) == Backends((A, ("fd00:10:244::5", "a")), (C,))


def test_an_alpha_gate_may_be_on():
    assert backends((*A, GOES), version="1.22", gates={"ProxyTerminatingEndpoints": True}) == Backends((A,))


def test_slices_of_other_ports_are_left_out():
    http = slice_of((*A, READY), name="http", ports=[{"name": "http", "port": 8080}])
    dns = slice_of((*C, READY), name="dns", ports=[{"name": "dns", "port": 53}])
    services = Services(cluster(http, dns))
    row = services.by_name["shop/db"]
    assert services.backends(row, "http") == Backends((A,))
    assert services.backends(row, "dns") == Backends((C,))
    assert services.backends(row) == Backends((C, A)), "in the order of the slices' names"


def test_older_endpoints_are_read_where_there_are_no_slices():
    subset = {"addresses": [{"ip": A[0], "nodeName": "a"}], "notReadyAddresses": [{"ip": C[0]}]}
    item = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "db", "namespace": "shop"},
        "subsets": [subset],
    }
    services = Services(cluster(item))
    assert services.backends(services.by_name["shop/db"]) == Backends((A,))
    assert services.backends(services.by_name["default/kubernetes"]) is None


def claims(*objects, **more):
    services = Services(cluster(*objects, **more))
    row = services.by_name["shop/db"]
    return {text: str(target) for text, (found, target) in services.by_address.items() if found == row}


def test_addresses_and_what_claims_them():
    item = service_of(external=["198.51.100.7", "2001:db8::7"], ingress=[{"ip": "203.0.113.5"}, {"hostname": "lb"}])
    found = claims(item)
    assert found == {
        "10.96.1.1": "ClusterIP",
        "fd00:10:96::101": "ClusterIP",
        "198.51.100.7": "externalIP",
        "2001:db8::7": "externalIP",
        "203.0.113.5": "LoadBalancer",
    }
    assert Target("externalIP").is_external


def test_families_without_a_cluster_ip_are_not_served():
    found = claims(service_of(external=["2001:db8::7", "198.51.100.7"]), policy="SingleStack")
    assert set(found.values()) == {"ClusterIP", "externalIP"}
    assert "2001:db8::7" not in found


@pytest.mark.parametrize(
    ("version", "mode", "serves", "why"),
    [
        ("1.36", "Proxy", False, "traffic goes to the load balancer, which sends it back"),
        ("1.36", "VIP", True, "nodes serve it"),
        ("1.36", None, True, "VIP is the default"),
        ("1.30", "Proxy", False, "beta and on"),
        ("1.29", "Proxy", True, "alpha and off: kube-proxy does not look at it"),
    ],
)
def test_the_mode_of_a_load_balancer_address(version, mode, serves, why):
    ingress = {"ip": "203.0.113.5"} | ({} if mode is None else {"ipMode": mode})
    assert ("203.0.113.5" in claims(service_of(ingress=[ingress]), version=version)) is serves, why


def test_external_ips_may_be_switched_off():
    item = service_of(external=["198.51.100.7"])
    assert "198.51.100.7" not in claims(item, gates={"AllowServiceExternalIPs": False})
    assert "198.51.100.7" in claims(item, version="1.30")


def test_node_ports_have_a_protocol_where_an_object_says_so():
    held = cluster(type="NodePort", node_ports=1)
    (number,) = held.node_ports["node_port"].tolist()
    assert Services(held).by_node_port == {number: [(1, "")]}
    ports = [
        {"name": "tcp", "port": 53, "protocol": "TCP", "nodePort": number},
        {"name": "udp", "port": 53, "protocol": "UDP", "nodePort": number},
    ]
    held.objects = held.objects.adding([service_of(ports=ports)])
    assert Services(held).by_node_port == {number: [(1, "TCP"), (1, "UDP")]}

"""The API server of a cluster holds what the cluster's Services and pools hold."""

import pytest

import dsmodel as ds
from dsmodel.cluster.api_server import control_plane_of
from dsmodel.errors import InvalidConfig, Rejected
from dsmodel.io.samples import sample_path


def test_the_server_of_a_dump_holds_what_its_services_hold() -> None:
    cluster = ds.read_cluster(sample_path("dual-stack-shop"))
    server = control_plane_of(cluster)
    frame = cluster.services.to_frame(addresses="text")
    for row in frame[~frame["headless"]].itertuples():
        spec = server.get("Service", row.name, namespace=row.namespace)["spec"]
        texts = {text for text in (row.cluster_ipv4, row.cluster_ipv6) if isinstance(text, str)}
        assert set(spec.get("clusterIPs", ())) == texts
    for family, pools in cluster.service_ranges.ranges.items():
        assert server._backend.addresses.ranges(family)[0].pool.used == pools[0].used
    assert server._backend.ports.pool.used == cluster.port_range.used


def test_every_range_is_there_and_so_is_the_version() -> None:
    config = ds.ClusterConfig.of(
        kube_version="1.36", service_cidrs=["10.96.0.0/28"], extra_service_cidrs=["10.97.0.0/28"]
    )
    server = control_plane_of(config)
    assert server.get("ServiceCIDR", "extra-1")["spec"]["cidrs"] == ["10.97.0.0/28"]
    old = control_plane_of(ds.ClusterConfig.of(kube_version="1.20", service_cidrs=["10.96.0.0/28"]))
    with pytest.raises(Rejected, match=r"not found|could not find"):
        old.get("ServiceCIDR", "kubernetes")


def test_services_without_a_name_are_in_the_way() -> None:
    cluster = ds.Cluster(ds.ClusterConfig.of(service_cidrs=["10.96.0.0/29"]))
    assert cluster.add_services(9).granted == 5
    web = {"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    with pytest.raises(Rejected, match="range is full"):
        control_plane_of(cluster).create(web)


def test_a_cluster_without_service_range_has_no_server() -> None:
    with pytest.raises(InvalidConfig, match="name one in service_cidrs"):
        control_plane_of(ds.ClusterConfig.of())

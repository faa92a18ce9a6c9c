"""Steps between one family and two: sound at every step, in an order the components accept, honest about peaks."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

import dsmodel as ds
from dsmodel.cluster.api_server import control_plane_of
from dsmodel.kube.versions import NEWEST, OLDEST
from dsmodel.planning.migration import PEAKS, STEPS, plan_migration
from dsmodel.planning.migration.states import in_use, serious_findings, under

V4, V6 = ds.IPFamily.IPV4, ds.IPFamily.IPV6
RANGES = {"pods": "fd00:10:244::/56", "services": "fd00:10:96::/112", "nodes": "fd00:1::/64"}
VERSIONS = [f"1.{minor}" for minor in range(OLDEST, NEWEST + 1)]


def single(version="1.36", **more):
    """A small IPv4 cluster with every kind of Service, a full node and a finished pod."""
    config = ds.ClusterConfig.of(
        **{"kube_version": version, "cluster_cidrs": ["10.244.0.0/20"], "service_cidrs": ["10.96.0.0/24"], **more}
    )
    cluster = ds.Cluster(config)
    cluster.add_nodes([f"n{number}" for number in range(5)], zone=["a", "b", "a", "b", "a"], labels={"os": "linux"})
    cluster.add_pods([0, 0, 0, 1, 2, 2, 4, 4, 4, 4], labels={"app": "web"}, host_network=[False] * 9 + [True])
    rng = np.random.default_rng(1)
    cluster.add_services(4, rng=rng)
    cluster.add_services(2, type="LoadBalancer", rng=rng)
    cluster.add_services(1, type="ExternalName", rng=rng)
    return cluster


def addresses(cluster):
    frame = cluster.services.to_frame()
    return frame[["namespace", "name", "cluster_ipv4"]].to_numpy().tolist()


def manifests(cluster):
    """The Services of a state as they are stored, with the ports that tables do not keep, to be applied again."""
    server = control_plane_of(cluster)
    keys = zip(cluster.services["namespace"].tolist(), cluster.services["name"].tolist(), strict=True)
    stored = [server.get("Service", name, namespace=space) for space, name in keys if name and name != "kubernetes"]
    for number, service in enumerate(stored):
        held = [port["nodePort"] for port in service["spec"].get("ports", []) if port.get("nodePort")]
        service["spec"]["ports"] = [
            {"name": f"p{place}", "port": 80 + place, "nodePort": port} for place, port in enumerate(held)
        ] or [{"port": 80 + number}]
    return stored


# to dual-stack -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "installer"),
    [*((version, "kubeadm") for version in VERSIONS)]
    + [(version, other) for other in ("flags", "managed", "k3s") for version in ("1.20", "1.23", "1.36")],
)
def test_every_state_is_sound_on_every_version(version, installer):
    migration = plan_migration(single(version), ranges=RANGES, installer=installer)
    frame = migration.steps
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == STEPS
    assert frame[["findings", "refused"]].to_numpy().sum() == 0
    for state in migration.states:
        assert serious_findings(state) == set()
        assert not ds.check_config(state.config)["severity"].isin(["fatal", "error"]).any()
    assert migration.after.config.is_dual_stack
    assert frame["why"].str.endswith(".").all()
    assert (frame[["title", "component", "change", "verify", "back", "source"]] != "").all(axis=None)


@pytest.mark.parametrize("version", ["1.20", "1.22", "1.29", "1.36"])
def test_what_is_stored_is_admitted_again_after_every_step(version):
    cluster = ds.examples.single_stack_ipv4()
    cluster = under(cluster, replace(cluster.config, kube_version=ds.KubeVersion(version)))
    migration = plan_migration(cluster, ranges=RANGES)
    for number, state in enumerate(migration.states, 1):
        verdicts = ds.reports.admission(state, manifests(state))
        assert "refused" not in set(verdicts["verdict"]), (number, verdicts["message"].tolist())


def test_the_end_has_both_families_everywhere():
    migration = plan_migration(single(), ranges=RANGES)
    after = migration.after
    assert after.nodes["has_pod_cidr_ipv4"].all()
    assert after.nodes["has_pod_cidr_ipv6"].all()
    holding = after.pods["holds_address"]
    assert (after.pods["has_pod_ipv4"] & after.pods["has_pod_ipv6"])[holding].all()
    assert after.services.to_frame()["ip_families"].astype(object).fillna("").tolist() == [
        "IPv4",
        *["IPv4,IPv6"] * 6,
        "",
    ]
    assert ds.check(after)["severity"].isin(["fatal", "error", "warning"]).sum() == 0


def test_first_cluster_ips_and_objects_stay():
    before = single()
    migration = plan_migration(before, ranges=RANGES)
    after = migration.after
    assert addresses(after) == addresses(before)
    assert after.nodes["name"].tolist() == before.nodes["name"].tolist()
    assert after.nodes["zone"].tolist() == before.nodes["zone"].tolist()
    assert after.node_labels.sets[int(after.nodes["labels"][0])] == {"os": "linux"}
    assert after.pod_labels.sets[int(after.pods["labels"][0])] == {"app": "web"}
    assert len(after.pods) == len(before.pods)
    assert after.pods["host_network"].tolist() == before.pods["host_network"].tolist()


def test_the_given_cluster_stays_as_it_is():
    before = single()
    shown = repr(before), addresses(before), before.config
    plan_migration(before, ranges=RANGES)
    assert (repr(before), addresses(before), before.config) == shown


def test_same_input_same_steps():
    one, two = (plan_migration(single(), ranges=RANGES, surge_nodes=2) for _ in range(2))
    assert one.steps.equals(two.steps)
    assert repr(one) == repr(two)
    assert addresses(one.after) == addresses(two.after)
    assert "<table" in one._repr_html_()


def test_peaks_hold_at_every_step():
    migration = plan_migration(single(), ranges=RANGES, surge_nodes=2)
    frame = migration.steps
    for row, state in zip(frame.to_dict("records"), migration.states, strict=True):
        now = in_use(state)
        assert all(row[name] >= getattr(now, name) for name in PEAKS)
    nodes = frame[frame["component"] == "nodes"].iloc[0]
    assert (nodes["ipv4_node_blocks"], nodes["ipv6_node_blocks"]) == (5 + 2, 5 + 2)
    assert nodes["ipv4_pod_addresses"] == 9 + 2 * 4  # two of the fullest node's four Pods twice
    services = frame[frame["component"] == "Services"].iloc[0]
    assert (services["services"], services["ipv6_service_addresses"]) == (6, 6)


def test_a_finished_pod_goes_with_its_node():
    cluster = single()
    phases = np.full(len(cluster.pods), 2, np.uint8)
    phases[0] = 3
    cluster = under(cluster, cluster.config, pods=cluster.pods.replace({"phase": phases}))
    assert len(plan_migration(cluster, ranges=RANGES).after.pods) == len(cluster.pods) - 1


def test_a_full_ipv4_cluster_cidr_has_no_room_for_a_surge_but_for_one_by_one():
    cluster = single(cluster_cidrs=["10.244.0.0/21"], node_cidr_mask_sizes={"IPv4": 24})
    cluster.add_nodes(3)
    assert plan_migration(cluster, ranges=RANGES).steps["findings"].sum() == 0
    with pytest.raises(ds.errors.PoolFull, match=r"10.244.0.0/21 holds 8 node blocks of /24, and 8 nodes and 1 of a"):
        plan_migration(cluster, ranges=RANGES, surge_nodes=1)


def test_services_that_prefer_both_families_already_get_the_second_one():
    cluster = single()
    assert cluster.add_services(2, ip_family_policy="PreferDualStack").granted == 2
    after = plan_migration(cluster, ranges=RANGES).after
    assert after.services.to_frame()["ip_families"].tolist()[-2:] == ["IPv4,IPv6"] * 2


def test_an_ipv6_cluster_gains_ipv4():
    config = ds.ClusterConfig.of(cluster_cidrs=["fd00:10:244::/56"], service_cidrs=["fd00:10:96::/112"])
    cluster = ds.Cluster(config)
    cluster.add_nodes(3)
    cluster.add_services(5)
    migration = plan_migration(cluster, ranges={"pods": "10.0.0.0/20", "services": "10.1.0.0/24"})
    assert [cidr.family for cidr in migration.after.config.cluster_cidrs] == [V6, V4]
    assert migration.steps["findings"].sum() == 0


# versions and installers ---------------------------------------------------------------------------------------------


def test_the_gate_is_a_step_only_where_it_is_off():
    for version in ("1.20", "1.21", "1.23", "1.36"):
        titles = plan_migration(single(version), ranges=RANGES).steps["title"].tolist()
        assert ("Switch IPv6DualStack on" in titles) == (version == "1.20")


def test_a_service_cidr_object_that_never_shrinks_is_named_where_there_is_one():
    for version, named in (("1.30", False), ("1.33", True), ("1.36", True)):
        frame = plan_migration(single(version), ranges=RANGES).steps.set_index("component")
        assert (
            "never shrinks" in frame.loc["kube-apiserver", "why"]
            or "ever shrinks" in frame.loc["kube-apiserver", "why"]
        ) == named
        back = plan_migration(plan_migration(single(version), ranges=RANGES).after, to="single-stack").steps
        assert ("ServiceCIDR" in back["component"].tolist()) == named


@pytest.mark.parametrize(
    ("installer", "component", "words"),
    [
        (
            "kubeadm",
            "kube-apiserver",
            "ConfigMap kube-system/kubeadm-config: networking.serviceSubnet=10.96.0.0/24,fd00",
        ),
        ("flags", "kube-apiserver", "--service-cluster-ip-range=10.96.0.0/24,fd00:10:96::/112"),
        ("flags", "kube-controller-manager", "--node-cidr-mask-size-ipv6=64"),
        ("kubeadm", "kubelet", "/var/lib/kubelet/kubeadm-flags.env"),
        ("managed", "node pools", "a surge of 1"),
        ("k3s", "k3s", "cluster-cidr: 10.244.0.0/20,fd00:10:244::/56"),
        ("rke2", "k3s", "service-cidr: 10.96.0.0/24,fd00:10:96::/112"),
    ],
)
def test_the_installers_own_words(installer, component, words):
    frame = plan_migration(single(), ranges=RANGES, installer=installer).steps
    assert words in frame.loc[frame["component"] == component, "change"].iloc[0]


def test_k3s_is_built_anew_and_counts_both_clusters():
    migration = plan_migration(single(), ranges=RANGES, installer="k3s")
    frame = migration.steps
    assert frame["title"].tolist()[0] == "Start a second cluster"
    assert frame["ipv4_node_blocks"].tolist() == [5, 10, 5]
    assert frame["point_of_no_return"].tolist() == [False, False, True]
    assert migration.after.nodes.to_frame()["pod_cidr_ipv4"].tolist()[0].startswith("10.244.0.0")


def test_points_of_no_return_are_where_undoing_stops_the_controller():
    migration = plan_migration(single(), ranges=RANGES)
    frame = migration.steps
    [place] = np.flatnonzero(frame["point_of_no_return"])
    old = migration.before.config
    for number, state in enumerate(migration.states):
        undone = under(state, replace(old, feature_gates=state.config.feature_gates))
        found = {rule for rule, _ in serious_findings(undone)}
        assert ("node-pod-cidr-extra" in found) == (number >= place)


# to single-stack -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("installer", ["kubeadm", "flags", "k3s"])
@pytest.mark.parametrize("version", ["1.20", "1.21", "1.23", "1.26", "1.33", "1.36"])
def test_there_and_back_again(version, installer):
    before = single(version)
    there = plan_migration(before, ranges=RANGES)
    back = plan_migration(there.after, to="single-stack", installer=installer)
    frame = back.steps
    assert frame[["findings", "refused"]].to_numpy().sum() == 0
    for state in back.states:
        assert serious_findings(state) == set()
    after = back.after
    assert (after.config.cluster_cidrs, after.config.service_cidrs) == (
        before.config.cluster_cidrs,
        before.config.service_cidrs,
    )
    assert not after.nodes["has_pod_cidr_ipv6"].any()
    assert not after.services["has_cluster_ipv6"].any()
    if installer != "k3s":
        assert addresses(after) == addresses(before)


def test_nodes_keep_their_block_on_the_way_back():
    dual = ds.examples.kubeadm_dual_stack()
    after = plan_migration(dual, to="single-stack").after
    assert after.nodes["pod_cidr_ipv4"].tolist() == dual.nodes["pod_cidr_ipv4"].tolist()
    assert after.add_nodes(1).granted == 1
    assert ds.check(after)["severity"].isin(["fatal", "error"]).sum() == 0


def test_services_of_the_other_family_first_are_made_anew():
    dual = ds.examples.kubeadm_dual_stack()
    dual.add_services(3, ip_families=["IPv6"], rng=np.random.default_rng(0))
    dual.add_services(2, ip_families=["IPv6", "IPv4"], ip_family_policy="PreferDualStack", rng=np.random.default_rng(0))
    already = plan_migration(ds.examples.kubeadm_dual_stack(), to="single-stack").steps
    frame = plan_migration(dual, to="single-stack").steps
    made = int(already.loc[already["title"].str.startswith("Create"), "services"].sum())
    assert frame["title"][0] == "Create Services anew whose first family is not IPv4"
    assert (frame["services"][0], bool(frame["point_of_no_return"][0])) == (made + 5, True)
    assert frame[["findings", "refused"]].to_numpy().sum() == 0


# bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"to": "triple"}, "to='triple'"),
        ({"installer": "kops"}, "installer='kops'"),
        ({"surge_nodes": -1}, "surge_nodes=-1"),
        ({"surge_nodes": True}, "surge_nodes=True"),
        ({"kube_version": "1.9"}, "outside the modelled window"),
        ({"ranges": None}, "lacks 'pods': a CIDR of IPv6; plan_layout"),
        ({"ranges": {"pods": "fd00::/56"}}, "lacks 'services'"),
        ({"ranges": 7}, "give a mapping"),
        ({"ranges": {**RANGES, "pod": "fd00::/56"}}, "has 'pod'; it may have"),
        ({"ranges": {**RANGES, "pods": "10.0.0.0/16"}}, "second one has to be IPv6"),
        ({"ranges": {**RANGES, "pods": "fd00::/129"}}, "not a CIDR"),
        ({"ranges": {**RANGES, "services": "fd00:10:244:1::/112"}}, "overlap; move one"),
        ({"ranges": {**RANGES, "pods": "fd00::/32"}}, "difference is greater than 16|node CIDR size is too big"),
        ({"ranges": {**RANGES, "pods": "fd00::/63"}}, "holds 2 node blocks of /64, and 5 nodes need one; give a /61"),
        ({"ranges": {**RANGES, "services": "fd00:10:96::/127"}}, "minimum is 10|at least 8"),
        ({"ranges": {**RANGES, "node_cidr_mask_size": 300}}, "prefix length of IPv6"),
        ({"to": "single-stack", "ranges": None}, "single-stack already"),
    ],
)
def test_bad_input_is_named(more, words):
    with pytest.raises(ds.errors.DsmodelError, match=words):
        plan_migration(single(), **{"ranges": RANGES, **more})


def test_a_dual_stack_cluster_has_no_way_to_dual_stack():
    dual = ds.examples.kubeadm_dual_stack()
    with pytest.raises(ds.errors.InvalidInput, match="dual-stack already"):
        plan_migration(dual, ranges=RANGES)
    with pytest.raises(ds.errors.InvalidInput, match="needs none"):
        plan_migration(dual, to="single-stack", ranges=RANGES)
    with pytest.raises(ds.errors.InvalidInput, match="no provider"):
        plan_migration(dual, to="single-stack", installer="managed")


def test_a_cluster_without_ranges_cannot_be_planned():
    with pytest.raises(ds.errors.InvalidInput, match="must both be known"):
        plan_migration(ds.Cluster(ds.ClusterConfig.of(service_cidrs=["10.96.0.0/24"])), ranges=RANGES)


def test_too_few_cluster_ips_are_named_with_what_would_do():
    cluster = single(service_cidrs=["10.96.0.0/20"])
    cluster.add_services(60)
    small = {**RANGES, "services": "fd00:10:96::/123"}
    with pytest.raises(ds.errors.PoolFull, match=r"has 31 cluster IPs, and 66 Services will ask for one; give a /121"):
        plan_migration(cluster, ranges=small)
    assert plan_migration(cluster, ranges={**RANGES, "services": "fd00:10:96::/121"}).steps["refused"].sum() == 0


def test_half_done_is_finished():
    config = ds.ClusterConfig.of(cluster_cidrs=["10.244.0.0/20"], service_cidrs=["10.96.0.0/24", "fd00:10:96::/112"])
    cluster = ds.Cluster(config)
    cluster.add_nodes(2)
    frame = plan_migration(cluster, ranges={"pods": "fd00:10:244::/56"}).steps
    assert "kube-apiserver" not in frame["component"].tolist()
    with pytest.raises(ds.errors.InvalidInput, match="has fd00:10:96::/112 already"):
        plan_migration(cluster, ranges={"pods": "fd00:10:244::/56", "services": "fd00::/112"})


def test_steps_never_go_back_and_forth():
    for to, cluster in itertools.product(["dual-stack"], [single()]):
        sizes = [len(state.config.cluster_cidrs) for state in plan_migration(cluster, to=to, ranges=RANGES).states]
        assert sizes == sorted(sizes)


# what forces the steps -----------------------------------------------------------------------------------------------


def test_the_api_server_refuses_what_the_steps_go_around():
    server = ds.ControlPlane(kube_version="1.36", service_cidrs=["10.96.0.0/24", "fd00:10:96::/112"])
    node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}, "spec": {}}
    server.create(node)
    one = {**server.get("Node", "n"), "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]}}
    stored = server.replace(one)  # from none to one, as by hand on the way back
    for changed in (["10.244.0.0/24", "fd00::/64"], ["10.244.1.0/24"], []):
        spec = {"podCIDR": changed[0], "podCIDRs": changed} if changed else {}
        with pytest.raises(ds.errors.Rejected, match="podCIDRs"):
            server.replace({**stored, "spec": spec})
    default = server.get("ServiceCIDR", "kubernetes")
    with pytest.raises(ds.errors.Rejected, match=r"spec.cidrs"):
        server.replace({**default, "spec": {"cidrs": ["10.96.0.0/24"]}})


@pytest.mark.parametrize("plugin", ["calico", "cilium"])
def test_a_cluster_with_a_network_plugin_is_planned_by_its_node_blocks(plugin):
    config = ds.ClusterConfig.of(cluster_cidrs=["10.244.0.0/20"], service_cidrs=["10.96.0.0/24"])
    cluster = ds.Cluster(config, network_plugin=plugin)
    cluster.add_nodes(4)
    cluster.add_pods([0, 1, 2, 3, 3])
    migration = plan_migration(cluster, ranges=RANGES)
    assert migration.steps["findings"].sum() == 0
    assert migration.after.nodes["has_pod_cidr_ipv6"].all()

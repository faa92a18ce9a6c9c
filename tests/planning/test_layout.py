"""Plans of ranges: never beaten by brute force, never refused, and honest where nothing fits."""

import io
import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import dsmodel as ds
from dsmodel.addresses.space import gaps, largest_free_block, overlaps
from dsmodel.cni.capacity import usable_addresses
from dsmodel.kube.installers import KubeadmNetworking, judge_kubeadm
from dsmodel.planning.layout import ALTERNATIVES, RANGES, ClusterDemand, LayoutDoesNotFit, plan_layout
from dsmodel.planning.layout.packing import pack

V4, V6 = ds.IPFamily.IPV4, ds.IPFamily.IPV6


# brute force ---------------------------------------------------------------------------------------------------------


def subsets_of(space, length):
    """Every aligned block of a length inside some blocks."""
    for block in space:
        if block.prefix_length <= length:
            yield from block.subnets(length)


def fits_anywhere(lengths, space):
    """Whether blocks of these lengths can be placed side by side, by trying every place."""
    if not lengths:
        return True
    return any(fits_anywhere(lengths[1:], gaps(space, [candidate])) for candidate in subsets_of(space, lengths[0]))


def largest_left(lengths, space):
    """Host bits of the largest free block that any placement leaves; -1 for none, None where there is no placement."""
    if not lengths:
        largest = largest_free_block(space, []) if space else None
        return largest.host_bits_count if largest else -1
    found = [
        left
        for candidate in subsets_of(space, lengths[0])
        if (left := largest_left(lengths[1:], gaps(space, [candidate]))) is not None
    ]
    return max(found, default=None)


def is_accepted(version, installer, config):
    found = ds.check_config(config)
    if found["severity"].isin(["fatal", "error"]).any():
        return False
    if installer == "flags":
        return True
    family = config.cluster_cidrs[0].family
    flag = f"node-cidr-mask-size-{family.lower()}"
    networking = KubeadmNetworking(
        service_subnet=str(config.service_cidrs[0]),
        pod_subnet=str(config.cluster_cidrs[0]),
        controller_args={flag: str(config.node_cidr_mask_sizes[family])},
    )
    return not [finding for finding in judge_kubeadm(networking, version) if finding.severity == "fatal"]


def brute_force(demand, family, space, *, version, installer):
    """The fewest addresses of any accepted plan of one family, or None; tries all lengths, masks and places."""
    bits, span = family.bits, max(block.host_bits_count for block in space)
    lengths = range(bits - span, bits + 1)
    base = space[0].supernet(bits - span - 2)
    spare = {"pods": base.subnet(0, base.prefix_length + 1), "services": base.subnet(1, base.prefix_length + 1)}
    pods = []
    for length, mask in itertools.product(lengths, range(bits - span, bits + 1)):
        config = ds.ClusterConfig.of(
            kube_version=version,
            cluster_cidrs=[spare["pods"].subnet(0, length)],
            service_cidrs=[spare["services"]],
            node_cidr_mask_sizes={family: mask},
            max_pods=demand.pods_on_node,
        )
        holds = usable_addresses([mask], plugin=demand.plugin, family=family)[0]
        if mask >= length and 2 ** (mask - length) >= demand.nodes_wanted and holds >= demand.pods_on_node:
            pods += [length] if is_accepted(version, installer, config) else []
    services = []
    for length in lengths:
        config = ds.ClusterConfig.of(
            kube_version=version, cluster_cidrs=[spare["pods"]], service_cidrs=[spare["services"].subnet(0, length)]
        )
        config = ds.ClusterConfig.of(
            kube_version=version,
            cluster_cidrs=[spare["pods"]],
            service_cidrs=[spare["services"].subnet(0, length)],
            node_cidr_mask_sizes={family: spare["pods"].prefix_length},
        )
        if is_accepted(version, installer, config):
            room = ds.Cluster(config).service_ranges.usable(family)
            services += [length] if room >= demand.services_wanted + 2 else []
    kept = 3 if family is V4 else 1
    nodes = [length for length in lengths if 2 ** (bits - length) - kept >= demand.nodes_wanted]
    best = None
    for chosen in itertools.product(pods, services, nodes):
        total = sum(2 ** (bits - length) for length in chosen)
        if (best is None or total < best) and fits_anywhere(sorted(chosen), space):
            best = total
    return best


def small_instance(rng, family):
    """A demand, blocks and ranges to avoid that can be searched exhaustively."""
    top = "10.0.0.0/25" if family is V4 else "fd00::/121"
    halves = list(ds.Cidr(top).subnets(ds.Cidr(top).prefix_length + int(rng.integers(0, 3))))
    blocks = [
        halves[row] for row in sorted(rng.choice(len(halves), size=rng.integers(1, len(halves) + 1), replace=False))
    ]
    length = ds.Cidr(top).prefix_length + int(rng.integers(2, 6))
    units = list(ds.Cidr(top).subnets(length))
    avoid = [units[row] for row in rng.choice(len(units), size=int(rng.integers(0, 3)), replace=False)]
    demand = ClusterDemand(
        nodes=int(rng.integers(1, 6)),
        pods_per_node=int(rng.integers(1, 14)),
        services=int(rng.integers(1, 15)),
        ip_families=(family,),
    )
    return demand, blocks, avoid


@pytest.mark.parametrize("start", range(0, 500, 50))
def test_brute_force_never_finds_a_smaller_plan(start):
    fitted = 0
    for number in range(start, start + 50):
        rng = np.random.default_rng(number)
        family = (V4, V6)[number % 2]
        version, installer = ("1.20", "1.29", "1.36")[number % 3], ("flags", "kubeadm")[number // 2 % 2]
        if version == "1.20":
            installer = "flags"  # its kubeadm reads another mask flag, which the oracle does not write
        demand, blocks, avoid = small_instance(rng, family)
        best = (
            brute_force(demand, family, gaps(blocks, avoid), version=ds.KubeVersion(version), installer=installer)
            if gaps(blocks, avoid)
            else None
        )
        try:
            layout = plan_layout(demand, blocks, avoid=avoid, kube_version=version, installer=installer)
        except LayoutDoesNotFit:
            assert best is None, (number, demand, blocks, avoid)
            continue
        fitted += 1
        assert layout.placement.taken(family) == best, (number, demand, blocks, avoid)
        assert set(layout.gap.values()) == {0}
        for plan in layout.alternatives["plan"]:
            assert_sound(layout.choose(plan), avoid)
    assert fitted > 5


@pytest.mark.parametrize("version", ["1.20", "1.28", "1.29", "1.36"])
@pytest.mark.parametrize("order", [(V4, V6), (V6, V4)], ids=["IPv4 first", "IPv6 first"])
def test_both_families_are_smallest_at_once(version, order):
    """Every smaller size of any range is refused by the components, or too small; sizes are all that packing needs."""
    for number in range(12):
        rng = np.random.default_rng(number)
        demand = {
            "nodes": int(rng.integers(1, 9)),
            "pods_per_node": int(rng.integers(1, 14)),
            "services": int(rng.integers(1, 15)),
            "ip_families": order,
        }
        layout = plan_layout(demand, ["10.0.0.0/22", "fd00::/118"], kube_version=version, installer="flags")
        config = layout.configs["cluster"]
        for place in range(2):
            for name in ("service_cidrs", "cluster_cidrs"):
                ranges = list(getattr(config, name))
                ranges[place] = ranges[place].subnet(0, ranges[place].prefix_length + 1)
                smaller = replace(config, **{name: tuple(ranges)})
                refused = ds.check_config(smaller)["severity"].isin(["fatal", "error"]).any()
                assert refused or not holds(smaller, layout.demands[0]), (number, name, ranges)


def holds(config, demand):
    """Whether a cluster of a configuration takes the demand, by letting it try."""
    cluster = ds.Cluster(config)
    nodes = cluster.add_nodes(demand.nodes_wanted).granted == demand.nodes_wanted
    pods = cluster.add_pods(np.repeat(np.arange(demand.nodes_wanted), demand.pods_on_node)) if nodes else None
    services = cluster.add_services(demand.services_wanted + 1, ip_family_policy="RequireDualStack")
    return nodes and pods.granted == len(pods) and services.granted == len(services)


@pytest.mark.parametrize("number", range(60))
def test_no_placement_leaves_a_larger_free_block(number):
    rng = np.random.default_rng(number)
    units = list(ds.Cidr("10.0.0.0/26").subnets(30))
    space = gaps(
        [ds.Cidr("10.0.0.0/26")], [units[row] for row in rng.choice(16, size=rng.integers(0, 8), replace=False)]
    )
    bits = [int(each) for each in rng.integers(1, 5, size=rng.integers(1, 4))]
    packed = pack(V4, bits, space)
    best = largest_left(sorted(32 - each for each in bits), space)
    assert (packed is None) == (best is None)
    if packed:
        left = gaps(space, packed)
        largest = largest_free_block(left, []) if left else None
        assert (largest.host_bits_count if largest else -1) == best
        assert [cidr.host_bits_count for cidr in packed] == bits


# soundness -----------------------------------------------------------------------------------------------------------


def assert_sound(layout, avoid=()):
    """Nothing overlaps, everything lies in the blocks, every configuration starts, and the demand really fits."""
    cidrs = [placed.cidr for placed in layout.placement.ranges]
    assert overlaps(cidrs) == []
    assert overlaps(cidrs, [ds.Cidr(str(each)) for each in avoid]) == []
    assert gaps(cidrs, layout.space.blocks) == []
    for config in layout.configs.values():
        assert not ds.check_config(config)["severity"].isin(["fatal", "error"]).any()


DEMANDS = [
    ({"nodes": 5, "services": 12, "pods_per_node": 20}, "a small dual-stack cluster"),
    ({"nodes": 5, "services": 12, "pods_per_node": 20, "ip_families": "IPv6,IPv4"}, "IPv6 first"),
    ({"nodes": 9, "services": 300, "pods": 500, "ip_families": "IPv4"}, "pods in all, one family"),
    ({"nodes": 4, "services": 30, "ip_families": "IPv6"}, "IPv6 only"),
    ({"nodes": 6, "services": 20, "growth_ratio": 0.5, "years": 2, "surge_nodes": 3}, "growth and surge"),
    ({"nodes": 5, "services": 12, "node_cidr_mask_sizes": {"IPv4": 24, "IPv6": 80}}, "masks that are settled"),
    ({"nodes": 5, "services": 12, "plugin": "cilium", "pods_per_node": 62}, "62 Pods do not fit Cilium's /26"),
]


@pytest.mark.parametrize("version", ["1.20", "1.21", "1.22", "1.23", "1.29", "1.33", "1.36"])
@pytest.mark.parametrize("installer", ["flags", "kubeadm", "k3s"])
@pytest.mark.parametrize("demand", [demand for demand, _ in DEMANDS], ids=[why for _, why in DEMANDS])
def test_plans_start_on_every_version(demand, installer, version):
    layout = plan_layout(demand, ["10.0.0.0/14", "fd00::/48"], kube_version=version, installer=installer)
    for plan in layout.alternatives["plan"]:
        assert_sound(layout.choose(plan))


@pytest.mark.parametrize("demand", [demand for demand, _ in DEMANDS], ids=[why for _, why in DEMANDS])
def test_a_cluster_with_the_plan_really_holds_the_demand(demand):
    layout = plan_layout(demand, ["10.0.0.0/14", "fd00::/48"], kube_version="1.36")
    wanted = layout.demands[0]
    cluster = ds.Cluster(layout.configs["cluster"])
    assert cluster.add_nodes(wanted.nodes_wanted).granted == wanted.nodes_wanted
    policy = "RequireDualStack" if len(wanted.ip_families) > 1 else "SingleStack"
    rows = cluster.add_services(wanted.services_wanted + 1, ip_family_policy=policy, type="ClusterIP")
    assert rows.granted == wanted.services_wanted + 1  # with DNS; default/kubernetes is there already
    if wanted.plugin == "host-local":
        pods = np.repeat(np.arange(wanted.nodes_wanted), wanted.pods_on_node)
        assert cluster.add_pods(pods).granted == len(pods)


def test_the_alternatives_are_a_front():
    layout = plan_layout({"nodes": 30, "services": 100, "ip_families": "IPv4"}, "10.0.0.0/12", alternatives=20)
    frame = layout.alternatives
    assert list(frame.columns) == list(ALTERNATIVES)
    assert frame["headroom_ratio"].is_monotonic_increasing
    assert frame["ipv4_addresses"].is_monotonic_increasing
    assert frame["ipv4_addresses"].is_unique
    for plan, ratio, taken in frame[["plan", "headroom_ratio", "ipv4_addresses"]].itertuples(index=False):
        times = Fraction(ratio).limit_denominator(10_000)
        grown = {"nodes": -(-30 * times // 1), "services": -(-100 * times // 1), "ip_families": "IPv4"}
        again = plan_layout({**grown, "nodes": int(grown["nodes"]), "services": int(grown["services"])}, "10.0.0.0/12")
        assert again.placement.taken(V4) == taken, plan


def test_the_last_alternative_is_the_most_that_fits():
    layout = plan_layout({"nodes": 30, "services": 100, "ip_families": "IPv4"}, "10.0.0.0/18")
    most = layout.alternatives["headroom_ratio"].iloc[-1]
    with pytest.raises(LayoutDoesNotFit):
        plan_layout(
            {"nodes": int(30 * most) + 1, "services": int(100 * most) + 1, "ip_families": "IPv4"}, "10.0.0.0/18"
        )


def test_ranges_frame_declares_its_columns():
    frame = plan_layout({"nodes": 30, "services": 100}, ["10.0.0.0/12", "fd00::/48"]).ranges
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == RANGES
    assert frame["use"].tolist() == ["pods", "pods", "services", "services", "nodes", "nodes"]
    assert frame["why"].str.endswith(".").all()


def test_usual_ipv6_sizes_give_way_where_they_do_not_fit():
    demand = {"nodes": 30, "services": 100}
    usual = plan_layout(demand, ["10.0.0.0/16", "fd00::/56"])
    assert usual.configs["cluster"].node_cidr_mask_sizes[V6] == 64
    smallest = plan_layout(demand, ["10.0.0.0/16", "fd00::/112"])
    assert smallest.configs["cluster"].node_cidr_mask_sizes[V6] == 121
    assert "usual" in usual.alternatives["why"][0]
    assert "usual" not in smallest.alternatives["why"][0]


def test_families_keep_step_so_that_no_family_runs_out_first():
    layout = plan_layout({"nodes": 100, "services": 100}, ["10.0.0.0/12", "fd00::/44"])
    for plan in layout.alternatives["plan"]:
        config = layout.choose(plan).configs["cluster"]
        assert "family-capacity" not in ds.check_config(config)["rule"].tolist()


# fleets --------------------------------------------------------------------------------------------------------------


def test_a_fleet_is_planned_without_gap_and_without_overlap():
    rng = np.random.default_rng(7)
    fleet = pd.DataFrame(
        {
            "name": [f"c{number}" for number in range(40)],
            "nodes": rng.integers(3, 300, 40),
            "services": rng.integers(5, 3000, 40),
            "ip_families": ["IPv4+IPv6", "IPv6"] * 20,
        }
    )
    layout = plan_layout(fleet, ["10.0.0.0/9", "fd00::/40"], avoid=["10.1.0.0/16", "fd00:0:1::/48"])
    assert layout.gap == {V4: 0, V6: 0}
    assert_sound(layout, ["10.1.0.0/16", "fd00:0:1::/48"])
    assert len(layout.ranges) == 20 * 6 + 20 * 3
    assert len(layout.configs) == 40
    with pytest.raises(ds.errors.InvalidInput, match="40 clusters; name one"):
        layout.flags()
    assert layout.flags("c3")["kubelet"] == ["--max-pods=110"]


# what does not fit ---------------------------------------------------------------------------------------------------


def test_relaxing_one_constraint_as_told_is_enough_and_one_step_less_is_not():
    demand = {"nodes": 1000, "services": 500, "growth_ratio": 0.2, "years": 3}
    blocks, avoid = ["10.0.0.0/14", "fd00::/48"], ["10.2.3.0/24"]
    with pytest.raises(LayoutDoesNotFit, match=r"IPv4: the plan needs .* one block at most 10.0.0.0/15") as caught:
        plan_layout(demand, blocks, avoid=avoid)
    relax = caught.value.relax.set_index("constraint")["enough"]
    assert relax["blocks"] == "/14 more"
    plan_layout(demand, [*blocks, "10.64.0.0/14"], avoid=avoid)
    with pytest.raises(LayoutDoesNotFit):
        plan_layout(demand, [*blocks, "10.64.0.0/15"], avoid=avoid)
    plan_layout({"nodes": int(relax["nodes"].replace(",", "")), "services": 864}, blocks, avoid=avoid)
    with pytest.raises(LayoutDoesNotFit):
        plan_layout({"nodes": int(relax["nodes"].replace(",", "")) + 1, "services": 864}, blocks, avoid=avoid)
    pods = int(relax["pods_per_node"])
    plan_layout({**demand, "pods_per_node": pods}, blocks, avoid=avoid)
    with pytest.raises(LayoutDoesNotFit):
        plan_layout({**demand, "pods_per_node": pods + 1}, blocks, avoid=avoid)
    plan_layout({**demand, "years": float(relax["years"])}, blocks, avoid=avoid)
    assert set(relax.index) == {"blocks", "nodes", "pods_per_node", "years"}


def test_a_range_that_is_avoided_may_be_all_that_is_in_the_way():
    with pytest.raises(LayoutDoesNotFit) as caught:
        plan_layout(
            {"nodes": 200, "services": 90, "ip_families": "IPv4"},
            "10.0.0.0/16",
            avoid=["10.0.3.0/24", "10.0.128.0/24", "10.99.0.0/16"],
        )
    assert "clear 10.0.3.0/24, which is avoided now; or clear 10.0.128.0/24" in str(caught.value)
    assert "10.99" not in str(caught.value)


def test_the_nodes_own_range_may_be_too_much():
    with pytest.raises(LayoutDoesNotFit) as caught:
        plan_layout(
            {"nodes": 4, "services": 124, "pods_per_node": 29, "ip_families": "IPv4"},
            "10.0.0.0/24",
            installer="flags",
        )
    assert "node_range" in caught.value.relax["constraint"].tolist()


@pytest.mark.parametrize(
    ("demand", "version", "words", "way"),
    [
        ({"nodes": 70_000, "services": 9}, "1.36", "at most 65,536 IPv4 blocks", "at most 65,536 nodes"),
        ({"nodes": 9, "services": 70_000}, "1.20", "no IPv6 service range", "take Kubernetes 1.33"),
        ({"nodes": 9, "services": 9, "node_cidr_mask_sizes": {"IPv4": 26}}, "1.36", "/26 holds 61", "at most 61 Pods"),
    ],
)
def test_limits_of_one_cluster_are_named(demand, version, words, way):
    with pytest.raises(LayoutDoesNotFit, match=words) as caught:
        plan_layout(demand, ["10.0.0.0/8", "fd00::/24"], kube_version=version)
    assert way in str(caught.value)


@pytest.mark.parametrize(
    ("demand", "blocks", "more", "words"),
    [
        ({"nodes": 0, "services": 5}, "10.0.0.0/8", {}, "nodes is 0"),
        ({"nodes": -3, "services": 5}, "10.0.0.0/8", {}, "nodes is -3"),
        ({"nodes": 3, "services": 0}, "10.0.0.0/8", {}, "services is 0"),
        ({"nodes": 3, "services": 5, "pods": 0}, "10.0.0.0/8", {}, "pods is 0"),
        ({"nodes": 3, "services": 5, "pods_per_node": 0}, "10.0.0.0/8", {}, "pods_per_node is 0"),
        ({"nodes": 3, "services": 5, "pods_per_node": 9, "pods": 9}, "10.0.0.0/8", {}, "both given"),
        ({"nodes": 2.5, "services": 5}, "10.0.0.0/8", {}, "nodes is 2.5"),
        ({"nodes": True, "services": 5}, "10.0.0.0/8", {}, "nodes is True"),
        ({"nodes": 3, "services": 5, "growth_ratio": -0.1}, "10.0.0.0/8", {}, "growth_ratio is -0.1"),
        ({"nodes": 3, "services": 5, "years": float("inf")}, "10.0.0.0/8", {}, "years is inf"),
        ({"nodes": 3}, "10.0.0.0/8", {}, "services is missing"),
        ({"nodes": 3, "services": 5, "nods": 3}, "10.0.0.0/8", {}, "no 'nods'"),
        ({"nodes": 3, "services": 5, "ip_families": "IPv5"}, "10.0.0.0/8", {}, "'IPv5' is no family"),
        ({"nodes": 3, "services": 5, "ip_families": "IPv4,IPv4"}, "10.0.0.0/8", {}, "give one family, or both"),
        ({"nodes": 3, "services": 5, "plugin": "weave"}, "10.0.0.0/8", {}, "plugin is 'weave'"),
        ({"nodes": 3, "services": 5, "node_cidr_mask_sizes": {"IPv4": 33}}, "10.0.0.0/8", {}, "is 33"),
        ([], "10.0.0.0/8", {}, "names no cluster"),
        ([{"nodes": 3, "services": 5}] * 2, "10.0.0.0/8", {}, "two demands are named"),
        (7, "10.0.0.0/8", {}, "is no demand"),
        ([7], "10.0.0.0/8", {}, "is no demand"),
        ({"nodes": 3, "services": 5}, "10.0.0.0/8", {}, "no block is IPv6"),
        ({"nodes": 3, "services": 5}, ["10.0.0.0/8", "10.1.0.0/16", "fd00::/48"], {}, "overlap"),
        ({"nodes": 3, "services": 5}, ["127.0.0.0/16", "fd00::/48"], {}, "no cluster can use"),
        ({"nodes": 3, "services": 5}, ["10.0.0.0/33"], {}, "not a CIDR"),
        ({"nodes": 3, "services": 5}, 7, {}, "no list of CIDRs"),
        ({"nodes": 3, "services": 5}, ["10.0.0.0/8", "fd00::/48"], {"installer": "kops"}, "installer='kops'"),
        ({"nodes": 3, "services": 5}, ["10.0.0.0/8", "fd00::/48"], {"kube_version": "1.9"}, "outside the modelled"),
        ({"nodes": 3, "services": 5}, ["10.0.0.0/8", "fd00::/48"], {"kube_version": "new"}, "no Kubernetes version"),
        ({"nodes": 3, "services": 5}, ["10.0.0.0/8", "fd00::/48"], {"alternatives": 0}, "alternatives=0"),
    ],
)
def test_bad_input_is_named(demand, blocks, more, words):
    with pytest.raises(ds.errors.DsmodelError, match=words):
        plan_layout(demand, blocks, **more)


# forms ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.20", "1.21", "1.24", "1.30", "1.36"])
@pytest.mark.parametrize("families", ["IPv4", "IPv6,IPv4"])
def test_what_is_pasted_is_read_back_as_the_same_configuration(version, families):
    demand = {"nodes": 20, "services": 60, "ip_families": families}
    layout = plan_layout(demand, ["10.0.0.0/14", "fd00::/48"], kube_version=version)
    config = layout.configs["cluster"]
    for text in (ds.write_manifests(layout.kubeadm()), ds.write_manifests([layout.k3s()])):
        read = ds.read_config(io.StringIO(text), kube_version=version)
        for field in ("cluster_cidrs", "service_cidrs", "node_cidr_mask_sizes", "max_pods", "feature_gates"):
            assert getattr(read, field) == getattr(config, field), (field, text)
    read = ds.config_from_flags(layout.flags(), kube_version=version)
    assert read.cluster_cidrs == config.cluster_cidrs
    assert not ds.check_config(layout.flags(), kube_version=version)["severity"].isin(["fatal", "error"]).any()


def test_a_plan_shows_itself_the_same_every_time():
    def text():
        return repr(plan_layout({"nodes": 20, "services": 60}, ["10.0.0.0/14", "fd00::/48"]))

    assert text() == text()
    assert text().startswith("Layout of 1 cluster for Kubernetes 1.36, kubeadm\nThe smallest plan holds ")
    assert "<table" in plan_layout({"nodes": 20, "services": 60}, ["10.0.0.0/14", "fd00::/48"])._repr_html_()


def test_there_is_no_other_plan_and_no_other_cluster():
    layout = plan_layout({"nodes": 20, "services": 60}, ["10.0.0.0/14", "fd00::/48"])
    with pytest.raises(ds.errors.InvalidInput, match="there is no plan 99"):
        layout.choose(99)
    with pytest.raises(ds.errors.InvalidInput, match="there is no cluster 'b'"):
        layout.kubeadm("b")

"""Label sets and network objects, and that a cluster carries them through its verbs."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dsmodel as ds
from dsmodel.cluster.objects import NAME_LABEL, LabelSets, NetworkObjects, named_namespaces
from dsmodel.errors import InvalidField, InvalidInput
from dsmodel.kube.label_selectors import read_selector


def manifest(kind, name, *, group="", namespace="", **fields):
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": metadata, **fields}


def container(name, *args, image="x", **fields):
    return {"name": name, "image": image, "args": list(args), **fields}


def daemon_set(name, *containers, namespace="kube-system"):
    template = {"spec": {"containers": list(containers)}}
    return manifest("DaemonSet", name, group="apps", namespace=namespace, spec={"template": template})


words = st.sampled_from(["a", "b", "c"])
label_maps = st.none() | st.dictionaries(words, words, max_size=2)


@given(st.lists(label_maps, max_size=8), st.lists(label_maps, max_size=8), st.dictionaries(words, words, max_size=1))
def test_codes_stand_for_labels_and_selecting_asks_each_set(first, more, wanted) -> None:
    labels, codes = LabelSets.of(first)
    longer, further = labels.adding_each(more)
    selector, rows = read_selector({"matchLabels": wanted}), np.append(codes, further)
    assert longer.sets[: len(labels)] == labels.sets
    assert [None if code < 0 else dict(longer.sets[code]) for code in rows.tolist()] == [*first, *more]
    assert len({frozenset(each.items()) for each in longer.sets}) == len(longer)
    expected = [each is not None and selector.matches(each) for each in [*first, *more]]
    assert longer.select_rows(selector, rows).tolist() == expected
    assert rows.dtype == np.int32


def test_selecting_asks_once_for_each_set() -> None:
    labels, codes = LabelSets.of([{"app": f"a{i % 3}"} for i in range(100)])
    asked = []
    labels.select_rows(lambda each: asked.append(each) or True, codes)
    assert len(asked) == 3


def test_labels_given_to_a_verb_may_be_used_again() -> None:
    mine = {"app": "web"}
    one, first = LabelSets().adding(mine)
    mine["app"] = "api"
    two, second = one.adding([mine, {"app": "web"}])
    assert (two.sets, first.tolist(), second.tolist()) == (({"app": "web"}, {"app": "api"}), 0, [1, 0])


def test_the_order_of_keys_and_what_separates_them_do_not_matter() -> None:
    labels, codes = LabelSets.of(
        [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {"a": "1b", "2": ""}, {"a": "b", "1": ""}]
    )
    assert (codes.tolist(), len(labels)) == ([0, 0, 1, 2], 3)


def test_the_repr_is_short() -> None:
    assert repr(LabelSets()) == "LabelSets(0 sets)"
    assert repr(LabelSets.of([{c: "1"} for c in "fedcba"])[0]) == "LabelSets(6 sets; keys a, b, c, d, …)"


def test_a_namespace_has_its_name_as_label_unless_it_says_otherwise() -> None:
    found = named_namespaces({"b": {}, "a": {NAME_LABEL: "z"}})
    assert {name: dict(labels) for name, labels in found.items()} == {"a": {NAME_LABEL: "z"}, "b": {NAME_LABEL: "b"}}
    assert list(found) == ["a", "b"]


def test_objects_are_kept_by_kind_and_group_and_sorted() -> None:
    objects = NetworkObjects().adding(
        [
            manifest("IPPool", "b", group="crd.projectcalico.org"),
            manifest("IPPool", "a", group="whereabouts.cni.cncf.io", namespace="z"),
            {"kind": "IPPoolList", "items": [manifest("IPPool", "a", group="crd.projectcalico.org")]},
        ]
    )
    assert [each["metadata"]["name"] for each in objects.of("IPPool", "crd.projectcalico.org")] == ["a", "b"]
    assert [each["metadata"]["name"] for each in objects.of("IPPool")] == ["a", "b", "a"]
    assert objects.of("IPPool", "x.y") == objects.of("Egress") == ()
    assert objects.kinds == (("IPPool", "crd.projectcalico.org"), ("IPPool", "whereabouts.cni.cncf.io"))
    assert repr(objects) == "NetworkObjects(2 IPPool.crd.projectcalico.org, 1 IPPool.whereabouts.cni.cncf.io)"
    assert len(objects) == 3


def test_a_later_object_takes_the_place_of_an_earlier_one() -> None:
    one = NetworkObjects().adding([manifest("Egress", "e", spec={"egressIP": "192.0.2.1"})])
    two = one.adding([manifest("Egress", "e", spec={"egressIP": "192.0.2.2"})])
    assert [each["spec"]["egressIP"] for each in (*one.of("Egress"), *two.of("Egress"))] == ["192.0.2.1", "192.0.2.2"]
    assert one != two
    assert one == NetworkObjects().adding(one.of("Egress"))


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"metadata": {"name": "a"}}, "kind"),
        ({"kind": "Egress"}, "metadata.name"),
        ({"kind": "Egress", "metadata": {"name": ""}}, "metadata.name"),
        ({"kind": "Egress", "metadata": "e"}, "metadata.name"),
        (7, "object"),
    ],
)
def test_what_is_no_object_is_refused(wrong, path) -> None:
    with pytest.raises(InvalidField) as caught:
        NetworkObjects().adding([wrong])
    assert caught.value.path == path


def test_agents_come_from_daemon_sets_first_and_show_literal_values_only() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "C"},
    ]
    pods = [
        manifest("Pod", "aws-node-x", namespace="kube-system", spec={"containers": [container("aws-node", "--pod")]}),
        manifest("Pod", "kube-proxy-x", namespace="kube-system", spec={"containers": [container("kube-proxy")]}),
    ]
    objects = NetworkObjects().adding(
        [
            *pods,
            daemon_set("aws-node", container("other"), container("aws-node", "--set", env=env, command=["/run"])),
            daemon_set("cilium", container("cilium-agent", image="cilium:v1.18.0")),
        ]
    )
    assert [agent.name for agent in objects.agents] == ["aws-node", "cilium-agent", "kube-proxy"]
    agent = objects.agent("aws-node")
    assert (agent.args, dict(agent.env), agent.namespace) == (("/run", "--set"), {"A": "1"}, "kube-system")
    assert objects.agent("cilium-agent").image == "cilium:v1.18.0"
    assert objects.agent("antrea-agent") is None


def test_a_config_map_without_data_is_not_a_missing_one() -> None:
    objects = NetworkObjects().adding([manifest("ConfigMap", "a", namespace="b")])
    assert objects.config_map("b", "a") == {}
    assert objects.config_map("a", "b") is None


def cluster_with_labels():
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], service_cidrs=["10.96.0.0/24"]))
    cluster.add_nodes(2, labels={"zone": "a"})
    cluster.add_nodes(["x", "y"], labels=[{"zone": "b"}, None])
    cluster.add_nodes(1)
    cluster.add_pods([0, 2, 3], labels={"app": "web"})
    cluster.add_pods([0, 1], labels=[{"app": "api"}, {"app": "web"}])
    cluster.add_pods([4])
    return cluster


def test_nodes_and_pods_bring_their_labels() -> None:
    cluster = cluster_with_labels()
    assert [dict(each) for each in cluster.node_labels.sets] == [{"zone": "a"}, {"zone": "b"}]
    assert cluster.nodes["labels"].tolist() == [0, 0, 1, -1, -1]
    assert [dict(each) for each in cluster.pod_labels.sets] == [{"app": "web"}, {"app": "api"}]
    assert cluster.pods["labels"].tolist() == [0, 0, 0, 1, 0, -1]


def test_labels_stay_with_their_rows_when_others_go() -> None:
    cluster = cluster_with_labels()
    cluster.remove_nodes([0])
    assert cluster.nodes["labels"].tolist() == [0, 1, -1, -1]
    assert cluster.pods["labels"].tolist() == [0, 0, 0, -1]
    cluster.remove_pods([0])
    assert cluster.pods["labels"].tolist() == [0, 0, -1]


def test_refused_rows_bring_no_labels() -> None:
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.244.0.0/24"], max_pods=1))
    cluster.add_nodes(["a", "a"], labels=[{"n": "1"}, {"n": "2"}])
    assert [dict(cluster.node_labels.sets[code]) for code in cluster.nodes["labels"]] == [{"n": "1"}]
    cluster.add_pods([0, 0], labels=[{"n": "1"}, {"n": "2"}])
    assert [dict(cluster.pod_labels.sets[code]) for code in cluster.pods["labels"]] == [{"n": "1"}]


def test_a_wrong_number_of_labels_changes_nothing() -> None:
    cluster = cluster_with_labels()
    before = copy.copy(cluster.pod_labels), cluster.pods
    with pytest.raises(InvalidInput, match="labels"):
        cluster.add_pods([0, 0], labels=[{"new": "1"}])
    with pytest.raises(InvalidInput, match="labels"):
        cluster.add_nodes(2, labels=[{"new": "1"}])
    assert (cluster.pod_labels, cluster.pods) == before
    assert len(cluster.nodes) == 5


def test_a_copy_carries_everything_and_goes_its_own_way() -> None:
    cluster = cluster_with_labels()
    cluster.objects = NetworkObjects().adding([manifest("Egress", "e")])
    cluster.namespaces = named_namespaces({"default": {}})
    cluster.namespace_annotations = {"default": {"a": "b"}}
    twin = cluster.copy()
    assert twin.objects is cluster.objects
    assert (twin.namespaces, twin.namespace_annotations) == (cluster.namespaces, cluster.namespace_annotations)
    twin.objects = twin.objects.adding([manifest("Egress", "f")])
    twin.add_pods([0], labels={"app": "new"})
    assert (len(cluster.objects), len(cluster.pod_labels)) == (1, 2)
    assert (len(twin.objects), len(twin.pod_labels)) == (2, 3)


def test_a_new_cluster_knows_nothing() -> None:
    cluster = ds.Cluster(ds.ClusterConfig.of())
    assert (len(cluster.objects), len(cluster.pod_labels), len(cluster.node_labels)) == (0, 0, 0)
    assert cluster.namespaces == cluster.namespace_annotations == {}
    assert len(cluster.allowed_sources) == 0


def test_source_ranges_follow_their_service() -> None:
    cluster = ds.Cluster(ds.ClusterConfig.of(service_cidrs=["10.96.0.0/24"]))
    cluster.add_services(2)
    ranges = np.array([0x0A000000, 0x0B000000], np.uint32)
    cluster.allowed_sources = cluster.allowed_sources.append(
        type(cluster.allowed_sources)(
            cluster.allowed_sources.schema,
            {"service": [1, 2], "source_ipv4": ranges, "source_ipv4_mask": [8, 8], "field": [1, 2]},
        )
    )
    cluster.remove_services([1])
    assert cluster.allowed_sources["service"].tolist() == [1]
    assert cluster.allowed_sources["source_ipv4"].tolist() == [0x0B000000]

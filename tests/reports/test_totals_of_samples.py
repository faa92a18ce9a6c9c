"""The reports of the packaged dumps show what plain Python counts in the same files."""

import gzip
import ipaddress
import json
from collections import Counter

import pytest

import dsmodel as ds
from dsmodel.io.samples import sample_path

NAMES = ("dual-stack-shop", "nearly-full", "single-stack-legacy")
FAMILIES = {4: "IPv4", 6: "IPv6"}
FINISHED = {"Succeeded", "Failed"}


@pytest.fixture(scope="module", params=NAMES)
def dump(request):
    path = sample_path(request.param)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        items = json.load(file)["items"]
    return items, ds.read_cluster(path)


def of_kind(items, kind):
    return [item for item in items if item["kind"] == kind]


def family(text):
    return FAMILIES[ipaddress.ip_network(text, strict=False).version]


def flags(items, component):
    pod = next(p for p in of_kind(items, "Pod") if p["metadata"]["name"].startswith(component))
    return dict(word.lstrip("-").split("=", 1) for word in pod["spec"]["containers"][0]["command"][1:])


def holds_addresses(pod):
    return not pod["spec"].get("hostNetwork") and pod["status"].get("phase") not in FINISHED


def counted(items):
    """(pool, family) -> in use, by reading every object."""
    used = Counter()
    for node in of_kind(items, "Node"):
        used.update(("node blocks", family(cidr)) for cidr in node["spec"].get("podCIDRs", ()))
    for pod in of_kind(items, "Pod"):
        if holds_addresses(pod):
            used.update(("pod addresses", family(ip["ip"])) for ip in pod["status"].get("podIPs", ()))
        used["pods per node", ""] += pod["status"].get("phase") not in FINISHED and bool(pod["spec"].get("nodeName"))
    ports = set()
    for service in of_kind(items, "Service"):
        spec = service["spec"]
        used.update(("service addresses", family(ip)) for ip in spec.get("clusterIPs", ()) if ip != "None")
        ports |= {port["nodePort"] for port in spec.get("ports", ()) if port.get("nodePort")}
        ports |= {spec["healthCheckNodePort"]} if spec.get("healthCheckNodePort") else set()
    used["node ports", ""] = len(ports)
    return used


def usable(items):
    """(pool, family) -> may be handed out, from the flags."""
    manager, server = flags(items, "kube-controller-manager"), flags(items, "kube-apiserver")
    found = {("node ports", ""): 2768}
    for text in manager["cluster-cidr"].split(","):
        cidr = ipaddress.ip_network(text)
        mask = manager.get(f"node-cidr-mask-size-{family(text).lower()}") or manager["node-cidr-mask-size"]
        found["node blocks", family(text)] = 2 ** (int(mask) - cidr.prefixlen)
    for text in server["service-cluster-ip-range"].split(","):
        cidr = ipaddress.ip_network(text)
        found["service addresses", family(text)] = cidr.num_addresses - (2 if cidr.version == 4 else 1)
    pods = [int(node["status"]["allocatable"]["pods"]) for node in of_kind(items, "Node")]
    found["pods per node", ""] = sum(pods)
    blocks = [ipaddress.ip_network(c) for n in of_kind(items, "Node") for c in n["spec"].get("podCIDRs", ())]
    found["pod addresses", "IPv4"] = sum(block.num_addresses - 3 for block in blocks if block.version == 4)
    return found


def test_limits_show_what_is_in_use(dump):
    items, cluster = dump
    frame = ds.reports.limits(cluster)
    shown = {(row.pool, row.ip_family): row.used for row in frame.itertuples() if row.enforced}
    assert shown == {key: counted(items)[key] for key in shown}
    assert {key for key, used in counted(items).items() if used} <= set(shown)


def test_limits_show_what_the_flags_allow(dump):
    items, cluster = dump
    frame = ds.reports.limits(cluster).set_index(["pool", "ip_family"])
    for key, most in usable(items).items():
        assert frame.loc[key, "usable"] == most, key
        assert frame.loc[key, "free"] == most - counted(items)[key], key


def test_utilization_agrees_with_limits(dump):
    _, cluster = dump
    limits = ds.reports.limits(cluster).set_index(["pool", "ip_family"])
    for row in ds.reports.utilization(cluster).itertuples():
        assert row.used == limits.loc[(row.pool, row.ip_family), "used"]
        assert (
            row.free is limits.loc[(row.pool, row.ip_family), "free"]
            or row.free == limits.loc[(row.pool, row.ip_family), "free"]
        )


def test_utilization_by_node_adds_up(dump):
    items, cluster = dump
    frame = ds.reports.utilization(cluster, by="node")
    added = frame.groupby(["pool", "ip_family"])["used"].sum()
    for key, used in added.items():
        assert used == counted(items)[key], key
    per_node = Counter(
        pod["spec"]["nodeName"]
        for pod in of_kind(items, "Pod")
        if pod["spec"].get("nodeName") and pod["status"].get("phase") not in FINISHED
    )
    pods = frame[frame["pool"] == "pods per node"].set_index("node")["used"].to_dict()
    assert pods == {node["metadata"]["name"]: per_node[node["metadata"]["name"]] for node in of_kind(items, "Node")}


def test_usage_by_namespace_is_a_plain_count(dump):
    items, cluster = dump
    frame = ds.reports.usage(cluster, by=["namespace"]).set_index("namespace")
    pods = Counter(pod["metadata"]["namespace"] for pod in of_kind(items, "Pod"))
    services = Counter(service["metadata"]["namespace"] for service in of_kind(items, "Service"))
    assert frame["pods"].to_dict() == {name: pods[name] for name in {*pods, *services}}
    assert frame["services"].to_dict() == {name: services[name] for name in {*pods, *services}}
    for version, word in FAMILIES.items():
        held = Counter(
            pod["metadata"]["namespace"]
            for pod in of_kind(items, "Pod")
            for ip in pod["status"].get("podIPs", ())
            if holds_addresses(pod) and ipaddress.ip_address(ip["ip"]).version == version
        )
        assert frame[f"pod_{word.lower()}"].to_dict() == {name: held[name] for name in frame.index}


def test_configuration_names_where_each_flag_was_read(dump):
    items, cluster = dump
    frame = ds.reports.configuration(cluster).set_index("field")
    manager = flags(items, "kube-controller-manager")
    assert frame.loc["cluster_cidrs", "value"] == manager["cluster-cidr"]
    assert frame.loc["cluster_cidrs", "why"].startswith(
        "flag --cluster-cidr of pod kube-system/kube-controller-manager"
    )
    assert (frame["why"] != "").all()


def test_findings_name_every_node_without_block(dump):
    items, cluster = dump
    lacking = {f"Node/{n['metadata']['name']}" for n in of_kind(items, "Node") if not n["spec"].get("podCIDRs")}
    frame = ds.reports.findings(cluster)
    assert set(frame.loc[frame["rule"] == "node-without-pod-cidr", "object"]) == lacking

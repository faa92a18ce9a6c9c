"""A small dual-stack cluster with labels, written down, and flows of its pods by name."""

from __future__ import annotations

import numpy as np

import dsmodel as ds
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import format_address
from dsmodel.addresses.text import parse_addresses
from dsmodel.cluster.objects import LabelSets, NetworkObjects, named_namespaces
from dsmodel.cluster.schema import NODES, PODS
from dsmodel.cluster.table import Table
from dsmodel.graph.flows import UNDECIDED, VERDICTS, Flows
from dsmodel.graph.gateways import read_gateways, steer

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
WEB4, WEB6 = "198.51.100.10", "2001:db8:9::10"
ENDS = {V4: "ipv4", V6: "ipv6"}

# name -> (IPv4, IPv6, labels); an empty address is none
NODES_GIVEN = {
    "edge-a": ("192.0.2.11", "2001:db8::11", {"egress": "yes", "k8s.ovn.org/egress-assignable": ""}),
    "edge-b": ("192.0.2.12", "2001:db8::12", {"egress": "yes", "k8s.ovn.org/egress-assignable": ""}),
    "edge-v4": ("192.0.2.13", "", {"egress": "v4"}),
    "edge-v6": ("", "2001:db8::14", {"egress": "v6"}),
    "worker": ("192.0.2.15", "2001:db8::15", {"role": "worker"}),
}
# namespace/name -> (node, IPv4, IPv6, labels)
PODS_GIVEN = {
    "shop/cart": ("worker", "10.244.5.2", "fd00:10:244:5::2", {"app": "cart"}),
    "shop/front": ("worker", "10.244.5.3", "fd00:10:244:5::3", {"app": "front"}),
    "shop/on-edge": ("edge-a", "10.244.1.4", "fd00:10:244:1::4", {"app": "cart"}),
    "bank/ledger": ("worker", "10.244.5.5", "fd00:10:244:5::5", {"app": "ledger"}),
    "bank/old": ("worker", "10.244.5.6", "", {"app": "old"}),
    "egress/gw-0": ("edge-a", "10.244.1.7", "fd00:10:244:1::7", {"app": "gw"}),
    "egress/gw-1": ("edge-b", "10.244.2.7", "fd00:10:244:2::7", {"app": "gw"}),
}
NAMESPACES = {"shop": {"team": "shop"}, "bank": {"team": "bank"}, "egress": {"team": "net"}}


def addresses(texts, family):
    has = np.array([bool(text) for text in texts])
    nothing = "0.0.0.0" if family is V4 else "::"  # noqa: S104 - a placeholder
    return parse_addresses([text or nothing for text in texts], family=str(family)), has


def table(schema, columns, prefix, given):
    for place, family in enumerate((V4, V6)):
        column, has = addresses([row[place] for row in given], family)
        columns |= {f"{prefix}_{ENDS[family]}": column, f"has_{prefix}_{ENDS[family]}": has}
    return Table(schema, columns)


def fleet(*objects, nodes=NODES_GIVEN, pods=PODS_GIVEN, namespaces=NAMESPACES, host=(), not_ready=(), annotations=None):
    config = ds.ClusterConfig.of(
        cluster_cidrs=["10.244.0.0/16", "fd00:10:244::/56"], service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"]
    )
    node_labels, node_codes = LabelSets.of(row[2] for row in nodes.values())
    pod_labels, pod_codes = LabelSets.of(row[3] for row in pods.values())
    names = list(nodes)
    cluster = ds.Cluster.from_tables(
        config,
        nodes=table(
            NODES,
            {"name": names, "labels": node_codes, "ready": [name not in not_ready for name in names]},
            "internal",
            list(nodes.values()),
        ),
        pods=table(
            PODS,
            {
                "namespace": [key.split("/")[0] for key in pods],
                "name": [key.split("/")[1] for key in pods],
                "node": np.array([names.index(row[0]) for row in pods.values()], np.int32),
                "host_network": [key in host for key in pods],
                "labels": pod_codes,
            },
            "pod",
            [row[1:3] for row in pods.values()],
        ),
    )
    cluster.node_labels, cluster.pod_labels = node_labels, pod_labels
    cluster.namespaces = named_namespaces(namespaces)
    cluster.namespace_annotations = annotations or {}
    cluster.objects = NetworkObjects().adding(objects)
    return cluster


def unlabelled(cluster, *nodes):
    """The same cluster, with labels of some nodes not known."""
    codes = cluster.nodes["labels"].copy()
    codes[[name in nodes for name in cluster.nodes["name"].tolist()]] = -1
    cluster.nodes = cluster.nodes.replace({"labels": codes})
    return cluster


def flows_of(cluster, pairs, family):
    """Flows from (pod, destination) pairs; a pod is namespace/name, None a process of the first node."""
    keys = [f"{a}/{b}" for a, b in zip(cluster.pods["namespace"].tolist(), cluster.pods["name"].tolist(), strict=True)]
    pod = np.array([-1 if name is None else keys.index(name) for name, _ in pairs], np.int32)
    end = ENDS[family]
    source = np.where(pod >= 0, pod, 0)
    return Flows(
        cluster.pods[f"pod_{end}"][source],
        parse_addresses([to for _, to in pairs], family=str(family)),
        node=np.where(pod >= 0, cluster.pods["node"][source], 0).astype(np.int32),
        pod=pod,
        host=pod < 0,
    )


def row_of(steering, row, cluster):
    """One flow: verdict, names of the exits' nodes, source; words and None rather than codes."""
    code = int(steering.verdict[row])
    verdict = None if code == UNDECIDED else str(VERDICTS[code])
    exits = steering.choices[steering.choice[row]] if steering.choice[row] >= 0 else ()
    nodes = [str(cluster.nodes["name"][each.node]) if each.node >= 0 else "" for each in exits]
    column = steering.source
    value = column[row]
    number = int(value) if column.dtype.names is None else int(value["hi"]) << 64 | int(value["lo"])
    family = V4 if column.dtype.names is None else V6
    return verdict, nodes, format_address(family, number) if steering.has_source[row] else ""


def outcome(cluster, pod, destination, *, failed=(), extra=(), versions=None):
    """What becomes of one flow: verdict, exits' nodes, source."""
    family = V6 if ":" in destination else V4
    policies, _ = read_gateways(cluster, failed=failed, versions=versions)
    flows = flows_of(cluster, [(pod, destination)], family)
    return row_of(steer((*policies, *extra), flows, cluster, failed=failed), 0, cluster)


def reason(cluster, pod, destination, **options):
    family = V6 if ":" in destination else V4
    policies, _ = read_gateways(cluster, versions=options.pop("versions", None))
    steering = steer(policies, flows_of(cluster, [(pod, destination)], family), cluster, **options)
    return steering.reasons[steering.reason[0]] if steering.reason[0] >= 0 else ""


def rules(cluster, **options):
    return {(rule, title) for _, rule, title, _ in read_gateways(cluster, **options)[1]}


def named(kind, name, spec, *, api="", namespace="", **rest):
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec} | rest

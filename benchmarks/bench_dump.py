"""Reading a cluster's dump: whole and in pieces, beside the JSON libraries as a user meets them, and its peak memory.

``python benchmarks/bench_dump.py write PODS FILE`` makes the dump alone.
"""

from __future__ import annotations

import gc
import itertools
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Row, race

if TYPE_CHECKING:
    from collections.abc import Callable

    from dsmodel.io.kubectl import Dump

PODS_PER_NODE = 30
PODS_PER_SERVICE = 20
NAMESPACES = 40


def _pod(number: int) -> dict[str, Any]:
    """One pod as a kubelet leaves it: about 5.4 kB compact, as in a lived-in cluster."""
    node, place = divmod(number, PODS_PER_NODE)
    app, uid = f"app-{number % 300:03d}", f"869fa969-26ee-4619-be4a-{number:012d}"
    name = f"{app}-5d4f8c7b9-{number:06d}"
    ipv4, ipv6 = f"10.{node >> 8}.{node & 255}.{place + 2}", f"fd00:10:{node + 1:x}::{place + 2:x}"
    probe = {
        "failureThreshold": 3,
        "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
        "periodSeconds": 10,
    }
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
    ]
    moments = "2026-11-18T08:00:05Z"
    container = {
        "env": [{"name": f"SETTING_{k}", "value": "value-" + "x" * 30} for k in range(8)],
        "image": f"registry.example.org/team/{app}:1.42.0",
        "imagePullPolicy": "IfNotPresent",
        "livenessProbe": probe,
        "name": "app",
        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
        "readinessProbe": probe,
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [{"mountPath": "/etc/app", "name": "config", "readOnly": True}],
    }
    status = {
        "allocatedResources": {"cpu": "100m", "memory": "128Mi"},
        "containerID": "containerd://" + "5f" * 32,
        "image": container["image"],
        "imageID": f"registry.example.org/team/{app}@sha256:" + "0d" * 32,
        "lastState": {},
        "name": "app",
        "ready": True,
        "resources": container["resources"],
        "restartCount": 0,
        "started": True,
        "state": {"running": {"startedAt": moments}},
    }
    conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "annotations": {"example.org/config-hash": "ab" * 500, "example.org/notes": "deployed by pipeline " * 40},
            "creationTimestamp": moments,
            "generateName": f"{app}-5d4f8c7b9-",
            "labels": {"app": app, "pod-template-hash": "5d4f8c7b9", "team": f"team-{number % NAMESPACES}"},
            "name": name,
            "namespace": f"team-{number % NAMESPACES}",
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "blockOwnerDeletion": True,
                    "controller": True,
                    "kind": "ReplicaSet",
                    "name": f"{app}-5d4f8c7b9",
                    "uid": uid,
                }
            ],
            "resourceVersion": str(10_000 + number),
            "uid": uid,
        },
        "spec": {
            "containers": [container],
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": True,
            "nodeName": f"node-{node:05d}",
            "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "serviceAccount": "default",
            "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 30,
            "tolerations": [
                {
                    "effect": "NoExecute",
                    "key": f"node.kubernetes.io/{key}",
                    "operator": "Exists",
                    "tolerationSeconds": 300,
                }
                for key in ("not-ready", "unreachable")
            ],
            "volumes": [{"name": "config", "projected": {"defaultMode": 420, "sources": sources}}],
        },
        "status": {
            "conditions": [
                {"lastProbeTime": None, "lastTransitionTime": moments, "status": "True", "type": kind}
                for kind in conditions
            ],
            "containerStatuses": [status],
            "hostIP": f"192.168.{node >> 8}.{node & 255}",
            "hostIPs": [{"ip": f"192.168.{node >> 8}.{node & 255}"}],
            "phase": "Running",
            "podIP": ipv4,
            "podIPs": [{"ip": ipv4}, {"ip": ipv6}],
            "qosClass": "Burstable",
            "startTime": moments,
        },
    }


def _node(number: int) -> dict[str, Any]:
    cidrs = [f"10.{number >> 8}.{number & 255}.0/24", f"fd00:10:{number + 1:x}::/64"]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"labels": {"topology.kubernetes.io/zone": f"zone-{number % 3}"}, "name": f"node-{number:05d}"},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        "status": {
            "addresses": [{"address": f"192.168.{number >> 8}.{number & 255}", "type": "InternalIP"}],
            "allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"},
            "conditions": [{"status": "True", "type": "Ready"}],
            "nodeInfo": {"kubeletVersion": "v1.36.2"},
        },
    }


def _service(number: int) -> dict[str, Any]:
    """One dual-stack Service of type NodePort."""
    ips = [f"10.96.{number >> 8}.{number & 255}", f"fd00:10:96::{number + 1:x}"]
    port = {"name": "http", "nodePort": 30_000 + number % 2_768, "port": 80, "protocol": "TCP", "targetPort": 8080}
    spec = {
        "clusterIP": ips[0],
        "clusterIPs": ips,
        "externalTrafficPolicy": "Cluster",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4", "IPv6"],
        "ipFamilyPolicy": "PreferDualStack",
        "ports": [port],
        "selector": {"app": f"app-{number:05d}"},
        "sessionAffinity": "None",
        "type": "NodePort",
    }
    metadata = {"name": f"app-{number:05d}", "namespace": f"team-{number % NAMESPACES}", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}}


def _slice(number: int, family: str) -> dict[str, Any]:
    """The endpoints of one Service in one family, as the controller writes them: about 6 kB."""
    name, namespace = f"app-{number:05d}", f"team-{number % NAMESPACES}"
    endpoints = []
    for pod in range(number * PODS_PER_SERVICE, (number + 1) * PODS_PER_SERVICE):
        node, place = divmod(pod, PODS_PER_NODE)
        address = (
            f"10.{node >> 8}.{node & 255}.{place + 2}" if family == "IPv4" else f"fd00:10:{node + 1:x}::{place + 2:x}"
        )
        target = {"kind": "Pod", "name": f"{name}-{pod:06d}", "namespace": namespace, "uid": f"869fa969-{pod:012d}"}
        endpoints.append(
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": f"node-{node:05d}",
                "targetRef": target,
                "zone": f"zone-{node % 3}",
            }
        )
    labels = {
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": name,
    }
    return {
        "addressType": family,
        "apiVersion": "discovery.k8s.io/v1",
        "endpoints": endpoints,
        "kind": "EndpointSlice",
        "metadata": {"generateName": f"{name}-", "labels": labels, "name": f"{name}-{family}", "namespace": namespace},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def write_dump(path: Path, pods: int, *, services: int = 0) -> Path:
    """Write a ``List`` of nodes, pods, and Services with their EndpointSlices, compact as the API sends it."""
    nodes = -(-pods // PODS_PER_NODE)
    parts = (
        map(_node, range(nodes)),
        map(_pod, range(pods)),
        map(_service, range(services)),
        (_slice(number, family) for number in range(services) for family in ("IPv4", "IPv6")),
    )
    with path.open("w") as stream:
        stream.write('{"apiVersion":"v1","items":[')
        for number, item in enumerate(itertools.chain(*parts)):
            stream.write(("," if number else "") + json.dumps(item, separators=(",", ":")))
        stream.write('],"kind":"List","metadata":{"resourceVersion":""}}')
    return path


def _plain(load: Callable[[bytes], Any], path: Path) -> list[tuple[Any, ...]]:
    """The fields a user would pick, with a Python loop."""
    return _picked(load(path.read_bytes())["items"])


def _picked(items: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    rows = []
    for item in items:
        if item["kind"] == "Pod":
            metadata, spec, status = item["metadata"], item["spec"], item["status"]
            ips = [entry["ip"] for entry in status.get("podIPs", ())]
            host_network = spec.get("hostNetwork", False)
            names = metadata["namespace"], metadata["name"], metadata["labels"]
            rows.append((*names, spec["nodeName"], host_network, status["phase"], *ips))
    return rows


def _block(number: int) -> dict[str, Any]:
    """One block of Calico's with 20 of its addresses in use: about 3 kB."""
    held = [{"handle_id": f"k8s-pod-network.{number:032x}{k:02}", "secondary": _owner(number, k)} for k in range(20)]
    base = f"10.{number >> 10}.{number >> 2 & 255}.{64 * (number & 3)}"
    spec = {
        "affinity": f"host:node-{number:05d}",
        "allocations": [*range(20), *[None] * 44],
        "attributes": held,
        "cidr": f"{base}/26",
        "deleted": False,
        "strictAffinity": False,
        "unallocated": list(range(20, 64)),
    }
    metadata = {"name": f"{base.replace('.', '-')}-26", "resourceVersion": str(number)}
    return {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMBlock", "metadata": metadata, "spec": spec}


def _owner(number: int, place: int) -> dict[str, str]:
    return {"namespace": "shop", "node": f"node-{number:05d}", "pod": f"app-{number:05d}-{place:02d}"}


def _objects_row(path: Path, objects: int) -> Row:
    """Objects that are kept whole, beside the same libraries and a sort."""
    import orjson

    from dsmodel.io.kubectl import read_dump

    items = map(_block, range(objects))
    path.write_text(json.dumps({"apiVersion": "v1", "items": list(items), "kind": "List"}, separators=(",", ":")))

    def plain(load: Callable[[bytes], Any]) -> tuple[Any, ...]:
        return tuple(sorted(load(path.read_bytes())["items"], key=lambda item: item["metadata"]["name"]))

    peers = {"json": lambda: plain(json.loads), "orjson": lambda: plain(orjson.loads)}
    timed = race(lambda: read_dump(path, progress=False).objects.of("IPAMBlock"), peers, items=objects, rounds=5)
    size = f"{objects:,} Calico blocks, {path.stat().st_size / 1e6:,.0f} MB"
    return Row("keep network objects", size, timed.own_ns, timed.peers, {"json": 0.5})


def _services_row(path: Path, pods: int, *, rounds: int) -> Row:
    """Pods, Services and where these lead, beside the same libraries and the loop that finds it."""
    import orjson

    from dsmodel.io.kubectl import read_dump

    write_dump(path, pods, services=pods // PODS_PER_SERVICE)

    def plain(load: Callable[[bytes], Any]) -> tuple[list[tuple[Any, ...]], dict[tuple[str, str, str], list[str]]]:
        data = load(path.read_bytes())["items"]
        slices = {}
        for item in data:
            if item["kind"] == "EndpointSlice":
                labels, space = item["metadata"]["labels"], item["metadata"]["namespace"]
                key = (space, labels["kubernetes.io/service-name"], item["addressType"])
                slices[key] = [text for each in item["endpoints"] for text in each["addresses"]]
        return _picked(data), slices

    def equal(dump: Dump, told: tuple[list[tuple[Any, ...]], dict[tuple[str, str, str], list[str]]]) -> bool:
        found = {
            (
                each["metadata"]["namespace"],
                each["metadata"]["labels"]["kubernetes.io/service-name"],
                each["addressType"],
            ): [text for endpoint in each["endpoints"] for text in endpoint["addresses"]]
            for each in dump.objects.of("EndpointSlice")
        }
        return _equal(dump, told[0]) and found == told[1]

    peers = {"json": lambda: plain(json.loads), "orjson": lambda: plain(orjson.loads)}
    timed = race(lambda: read_dump(path, progress=False), peers, items=pods, rounds=rounds, equal=equal)
    size = f"{pods:,} pods, {pods // PODS_PER_SERVICE:,} Services, {path.stat().st_size / 1e6:,.0f} MB"
    return Row("read a dump with EndpointSlices", size, timed.own_ns, timed.peers, {"json": 8.0, "orjson": 8.0})


def _without_collector(load: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def paused(data: bytes) -> Any:
        gc.disable()
        try:
            return load(data)
        finally:
            gc.enable()

    return paused


def _equal(dump: Dump, rows: list[tuple[Any, ...]]) -> bool:
    """Compare every pod, field by field, as text."""
    from dsmodel.addresses.text import format_addresses

    pods, names = dump.pods, dump.nodes["name"].tolist()
    return rows == list(
        zip(
            pods["namespace"].tolist(),
            pods["name"].tolist(),
            [dump.pod_labels.sets[code] for code in pods["labels"].tolist()],
            [names[node] for node in pods["node"].tolist()],
            pods["host_network"].tolist(),
            ["Running" if code == 2 else "" for code in pods["phase"].tolist()],
            format_addresses(pods["pod_ipv4"]).to_pylist(),
            format_addresses(pods["pod_ipv6"]).to_pylist(),
            strict=True,
        )
    )


def _peak(path: Path, *, streaming: bool) -> float:
    """Growth of the high-water mark over one read in a fresh interpreter, as a multiple of the file's size."""
    command = [sys.executable, __file__, "peak", str(path), str(int(streaming))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout) / path.stat().st_size


def _report_peak(path: str, *, streaming: bool) -> None:
    from dsmodel.io.kubectl import read_cluster
    from dsmodel.io.samples import sample_path

    read_cluster(sample_path(), progress=False)
    before = _high_water()
    read_cluster(path, streaming=streaming, progress=False)
    print(_high_water() - before)


def _high_water() -> int:
    """Most bytes resident so far; Linux hands a parent's mark on in ``ru_maxrss``, so its own count is read there."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) << 10 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _row(path: Path, pods: int, *, streaming: bool, rounds: int) -> Row:
    import orjson

    from dsmodel.io.kubectl import read_dump

    loaders = {
        "json": json.loads,
        "orjson": orjson.loads,
        "json, GC off": _without_collector(json.loads),
        "orjson, GC off": _without_collector(orjson.loads),
    }
    goals = {"json": 15.0, "orjson": 15.0, "json, GC off": 4.0, "orjson, GC off": 4.0}
    peers = {name: lambda load=load: _plain(load, path) for name, load in loaders.items()}
    if pods > 50_000:
        # the peers take most of a minute each and equal results are asserted at the smaller size
        peers, goals = ({}, {}) if streaming else ({"json": peers["json"]}, {"json": 15.0})
    timed = race(
        lambda: read_dump(path, streaming=streaming, progress=False), peers, items=pods, rounds=rounds, equal=_equal
    )
    most = 0.5 if streaming else 1.3 if pods <= 50_000 else 1.5
    form = "in pieces" if streaming else "whole"
    size = f"{pods:,} pods, {path.stat().st_size / 1e6:,.0f} MB"
    peak = {"peak x file": _peak(path, streaming=streaming)}
    return Row(f"read a dump {form}", size, timed.own_ns, timed.peers, goals, peak, {"peak x file": most})


def rows(*, quick: bool = False) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for pods, rounds in ((6_000, 3),) if quick else ((30_000, 5), (150_000, 1)):
            path = write_dump(Path(folder) / f"{pods}.json", pods)
            found += [_row(path, pods, streaming=streaming, rounds=rounds) for streaming in (False, True)]
            path.unlink()
        found.append(_services_row(Path(folder) / "services.json", 6_000 if quick else 30_000, rounds=3))
        return [*found, _objects_row(Path(folder) / "objects.json", 1_000 if quick else 10_000)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        _report_peak(sys.argv[2], streaming=sys.argv[3] == "1")
    else:
        write_dump(Path(sys.argv[3]), int(sys.argv[2]))

"""Questions people asked in public about configurations: their input in, an answer they would accept out.

Each test names the thread it comes from.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import dsmodel as ds
from dsmodel.cli import main
from dsmodel.errors import InvalidConfig
from dsmodel.io.configs import read_written
from dsmodel.kube.flags import findings_frame

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

MANAGER = "kube-controller-manager"


def judged(text: str, version: str = "1.36") -> pd.DataFrame:
    """Everything that `dsmodel check` would tell about one file."""
    written = read_written(io.StringIO(text), kube_version=version)
    own = findings_frame(written.findings, kube_version=version)
    found = ds.check_config(written.flags, kube_version=version)
    return (
        found if own.empty else own if found.empty else type(own)([*own.to_dict("records"), *found.to_dict("records")])
    )


def told(frame: pd.DataFrame, rule: str) -> dict[str, str]:
    """The one finding of a rule; it must name a flag and a way out."""
    (row,) = frame.loc[frame["rule"] == rule].to_dict("records")
    assert row["flag"], row
    assert row["fix"], row
    return {str(key): str(value) for key, value in row.items()}


def test_one_node_fits_a_24_in_blocks_of_24() -> None:
    # kubernetes/kubernetes#85866: CIDRNotAvailable with --cluster-cidr=10.244.0.0/24
    row = told(judged(f"{MANAGER} --allocate-node-cidrs=true --cluster-cidr=10.244.0.0/24"), "one-node-block")
    assert (
        "10.244.0.0/24 is one block of /24: one node, and the next one gets the event CIDRNotAvailable"
        in row["message"]
    )
    assert row["flag"] == "--cluster-cidr"
    assert "/16 for 256 nodes" in row["fix"]


def test_one_ipv6_block_stops_the_second_worker() -> None:
    # rancher/rancher#38115: IPv4 allows 256 nodes, so why do workers fail?
    row = told(
        judged("cluster-cidr: 10.42.0.0/16,fd01::/64\nservice-cidr: 10.43.0.0/16,fd02::/112\n"), "family-capacity"
    )
    assert row["message"].startswith("fd01::/64 holds one node, 10.42.0.0/16 256: node 2 gets no podCIDR")
    assert row["fix"].startswith("take a /56 or shorter for IPv6, which holds 256 nodes")


def test_a_build_fails_before_the_cluster_does(tmp_path: Path) -> None:
    # aws/eks-anywhere#5215, #6184: tell me before, in CI
    file = tmp_path / "cluster.yaml"
    file.write_text(
        f"{MANAGER} --allocate-node-cidrs --cluster-cidr=10.96.0.0/16 --service-cluster-ip-range=10.96.0.0/12"
    )
    result = CliRunner().invoke(main, ["check", str(file), "--format", "json"])
    answer = json.loads(result.output)
    assert result.exit_code == 1
    (row,) = answer["check"]
    assert row["severity"] == "error"
    assert row["message"] == "service ranges take 256 of 256 node blocks out of 10.96.0.0/16"
    assert row["fix"] == "move the service range out of the cluster CIDR"


@pytest.mark.parametrize(("pods", "mask", "room"), [(225, 26, 61), (110, 25, 125), (300, 24, 253), (110, 26, 61)])
def test_max_pods_against_the_addresses_of_a_block(pods: int, mask: int, room: int) -> None:
    # cloudpilot-ai/karpenter-provider-gcp#120 dies at about 62 pods; kubernetes/kubernetes#21656, #20177
    text = (
        f"{MANAGER}:\n--allocate-node-cidrs\n--cluster-cidr=10.4.0.0/14\n--node-cidr-mask-size={mask}\n"
        f"kubelet:\n--max-pods={pods}\n"
    )
    frame = judged(text)
    if pods <= room:
        assert frame.empty
        return
    row = told(frame, "max-pods-above-block")
    assert row["message"] == (
        f"kubelet takes up to {pods} Pods, a /{mask} block of 10.4.0.0/14 has addresses for {room}"
    )
    assert row["fix"] == f"take a shorter node mask, or --max-pods={room}"


@pytest.mark.parametrize(
    ("cidr", "mask", "fix"),
    [
        ("fd00::/48", 80, "take --node-cidr-mask-size from 48 to 64; for nodes of /80 a cluster CIDR of /64 to /80"),
        ("fd00::/40", 64, "take --node-cidr-mask-size from 40 to 56; for nodes of /64 a cluster CIDR of /48 to /64"),
        ("fd00::/48", 64, ""),
        ("fd00::/64", 80, ""),
        (
            "fd00::/112",
            64,
            "take --node-cidr-mask-size from 112 to 128; for nodes of /64 a cluster CIDR of /64 or shorter",
        ),
    ],
)
def test_which_ipv6_masks_are_legal(cidr: str, mask: int, fix: str) -> None:
    # siderolabs/talos-cloud-controller-manager#277; kubernetes/kubernetes#58766
    frame = judged(f"{MANAGER} --allocate-node-cidrs --cluster-cidr={cidr} --node-cidr-mask-size={mask}")
    if not fix:
        assert "fatal" not in set(frame["severity"])
        return
    row = told(frame, "node-mask")
    assert row["severity"] == "fatal"
    assert fix in row["fix"]
    assert "too big" in row["message"] or "mask size" in row["message"]


def test_two_families_and_one_mask_flag() -> None:
    # kubernetes/kubernetes#85491, #85492: a mask flag for one family, and controller-manager dies
    text = (
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n"
        "networking: {podSubnet: '10.244.0.0/16,fd00:1::/56', serviceSubnet: '10.96.0.0/16,fd00:2::/112'}\n"
        "controllerManager: {extraArgs: {node-cidr-mask-size: '25'}}\n"
    )
    row = told(judged(text), "mask-flags")
    assert row["message"] == "usage of --node-cidr-mask-size is not allowed with dual-stack clusters"
    assert row["fix"] == "single-stack: --node-cidr-mask-size; dual-stack: -ipv4 and -ipv6"
    with pytest.raises(InvalidConfig, match="kube-controller-manager would not start: usage of --node-cidr-mask-size"):
        ds.read_config(io.StringIO(text))


def test_what_changes_with_unchanged_flags() -> None:
    # Azure/aks-engine#4144: controller-manager crashes after an upgrade, flags unchanged
    flags = {
        MANAGER: [
            "--allocate-node-cidrs=true",
            "--cluster-cidr=10.244.0.0/16,fd00::/56",
            "--feature-gates=IPv6DualStack=true",
        ]
    }
    config = ds.config_from_flags(flags, kube_version="1.22")
    frame = ds.reports.version_changes(config, "1.25", flags=flags)
    row = frame.loc[frame["severity"].isin(["fatal", "error"])].to_dict("records")[0]
    assert (row["since"], row["what"]) == ("1.25", f"flag --feature-gates of {MANAGER}")
    assert row["meaning"] == "unrecognized feature gate: IPv6DualStack"
    assert "drop it" in row["why"]


@pytest.mark.parametrize(
    ("version", "cidr", "starts"),
    [
        ("1.20", "fd00::/64", False),
        ("1.32", "fd00::/64", False),
        ("1.34", "fd00::/64", True),
        ("1.36", "fd00::/48", False),
    ],
)
def test_largest_service_range_of_a_version(version: str, cidr: str, starts: bool) -> None:  # noqa: FBT001 - a table
    # kubernetes/kubernetes#12820, canonical/k8s-snap#706, kubernetes/enhancements#1881
    frame = judged(f"kube-apiserver --service-cluster-ip-range={cidr}", version)
    assert ("fatal" not in set(frame["severity"])) == starts
    assert (frame["fix"] != "").all()


def test_families_in_another_order_do_not_take_the_old_nodes() -> None:
    # k0sproject/k0s#5116: node block out the range of cluster cidr
    flags = {MANAGER: ["--allocate-node-cidrs=true", "--cluster-cidr=fd00::/108,10.244.0.0/16",
                       "--node-cidr-mask-size-ipv6=117"]}  # fmt: skip
    nodes = {"worker-1": ("10.244.0.0/24", "fd00::/117"), "worker-2": ("10.244.1.0/24", "fd00::800/117")}
    row = told(ds.check_config(flags, nodes=nodes), "nodes-do-not-fit")
    assert row["severity"] == "fatal"
    assert "cidr 10.244.0.0/24 is out the range of cluster cidr fd00::/108" in row["message"]
    assert "2 of 2 nodes do not fit" in row["message"]
    assert "in the order the nodes were given theirs" in row["fix"]
    flags[MANAGER][1] = "--cluster-cidr=10.244.0.0/16,fd00::/108"
    assert "nodes-do-not-fit" not in set(ds.check_config(flags, nodes=nodes)["rule"])


@pytest.mark.parametrize(
    ("text", "flag", "fix"),
    [
        ("cluster-cidr: 10.42.0.0/16,fd00:42::/56", "service-cidr", "give service-cidr IPv4 and IPv6 too"),
        (
            "cluster-cidr: 10.42.0.0/16,fd00:42::/56\nservice-cidr: 10.43.0.0/16,fd00:43::/112\nnode-ip: 192.0.2.7",
            "node-ip",
            "name an address of IPv4 and of IPv6 on every node",
        ),
    ],
)
def test_pod_service_and_node_families_must_match(text: str, flag: str, fix: str) -> None:
    # k3s-io/k3s#5781, #5918, #5491, #11735
    row = told(judged(text), "family-pairing")
    assert (row["severity"], row["flag"]) == ("fatal", flag)
    assert fix in row["fix"]
    assert "must share the same IP version (IPv4, IPv6 or dual-stack)" in row["message"]


def test_one_table_says_how_much_is_left() -> None:
    # projectcalico/calico#4202, cilium/cilium#30258: a metric for remaining addresses, please, for every allocator
    config = ds.read_config(
        io.StringIO("cluster-cidr: 10.42.0.0/16,fd01::/60\nservice-cidr: 10.43.0.0/16,fd02::/112\n")
    )
    cluster = ds.Cluster(config)
    cluster.add_nodes(5)
    frame = ds.reports.utilization(cluster)
    blocks = frame.loc[frame["pool"] == "node blocks"].set_index("ip_family")
    assert blocks["used"].to_dict() == {"IPv4": 5, "IPv6": 5}
    assert blocks["free"].to_dict() == {"IPv4": 251, "IPv6": 11}

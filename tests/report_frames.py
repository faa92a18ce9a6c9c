"""Report frames made by hand, for the tests of what draws, prints and serves them."""

import pandas as pd

NA = pd.NA
INF = float("inf")
INTEGERS = (
    "usable", "used", "free", "node_cost", "pod_cost", "service_cost", "more_nodes", "more_pods", "more_services",
)  # fmt: skip
COLUMNS = ("pool", "ip_family", "range", "usable", "used", *INTEGERS[3:], "growth_ratio", "binds", "why")
WHY = (
    "--cluster-cidr fd00:10:64::/60 holds 2^(64-60) = 16 blocks of --node-cidr-mask-size-ipv6 64 and 16 nodes have one"
    " (kube-controller-manager flags of pod kube-system/kube-controller-manager-control-0)."
)
ROWS = [
    ("node blocks", "IPv4", "10.244.0.0/19 in /24 blocks", 32, 20, 1, 0, 0, 12, NA, NA, 1.6, False,
     "--cluster-cidr 10.244.0.0/19 holds 2^(24-19) = 32 blocks and 20 are given out."),
    ("node blocks", "IPv6", "fd00:10:64::/60 in /64 blocks", 16, 16, 1, 0, 0, 0, NA, NA, 1.0, True, WHY),
    ("pod addresses", "IPv4", "20 x /24", 5060, 1201, 0, 1, 0, NA, 3859, NA, 4.2, False, "254 - 1 addresses a block."),
    ("pod addresses", "IPv6", "16 x /64", NA, 961, 0, 1, 0, NA, NA, NA, INF, False, "A /64 cannot be filled."),
    ("pods per node", "", "110 x 20 nodes", 2200, 1230, 0, 1, 0, NA, 970, NA, 1.8, False, "max-pods is 110."),
    ("service addresses", "IPv4", "10.96.0.0/25", 126, 119, 0, 0, 1, NA, NA, 7, 1.06, False, "Two are reserved."),
    ("service addresses", "IPv6", "fd00:10:96::1000:0/121", 127, 3, 0, 0, 1, NA, NA, 124, 42.0, False, "One too few."),
    ("node ports", "", "30000-32767", 2768, 41, 0, 0, 1, NA, NA, 2727, 67.0, False, "--service-node-port-range."),
    ("published: services", "", "", 10000, 120, 0, 0, 1, NA, NA, 9880, 83.0, False, "Scale of v1.36."),
]  # fmt: skip


def limits(rows=ROWS):
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame.insert(5, "free", [NA if pd.isna(u) else u - n for u, n in zip(frame["usable"], frame["used"], strict=True)])
    frame[list(INTEGERS)] = frame[list(INTEGERS)].astype("Int64")
    ratio = [
        float("nan") if pd.isna(u) or not u else n / u for u, n in zip(frame["usable"], frame["used"], strict=True)
    ]
    frame.insert(6, "used_ratio", ratio)
    return frame


def utilization(rows=ROWS):
    return limits(rows)[["pool", "ip_family", "range", "usable", "used", "free", "used_ratio", "why"]]


def utilization_by_node(n=42):
    """One row a node and family: IPv4 blocks that fill, IPv6 blocks that cannot."""
    rows = [
        ("pod addresses", family, where.format(i), usable, 3 * i % 254, 0, 1, 0, NA, NA, NA, INF, False, "Its block.")
        for i in range(n)
        for family, where, usable in (("IPv4", "10.244.{}.0/24", 253), ("IPv6", "fd00:10:64:{}::/64", NA))
    ]
    frame = utilization(rows)
    for name, prefix in (("zone", "zone-"), ("node_pool", "pool-"), ("node", "worker-")):
        frame.insert(0, name, [f"{prefix}{i // 2:02}" for i in range(2 * n)])
    return frame


def many_limits(n=34):
    """More rows than fit on a screen, with long names and ranges."""
    rows = [
        (f"service addresses {i}", "IPv6" if i % 2 else "IPv4",
         f"fd00:1234:5678:9abc:def0::{i:x}000:0/108 and 2001:db8:aaaa:bbbb:cccc:dddd:{i:x}:0/108", 1048575 + i,
         30000 * i % 1048575, 0, 0, 1, NA, NA, 1048575 - 30000 * i % 1048575, 2.0, i == 5, WHY)
        for i in range(n)
    ]  # fmt: skip
    return limits(rows)


def usage():
    return pd.DataFrame(
        [("kube-system", 60, 20, 16, 1, 1, 1, 0), ("shop", 1170, 1161, 945, 118, 118, 2, 41)],
        columns=[
            "namespace", "pods", "pod_ipv4", "pod_ipv6", "services", "cluster_ipv4", "cluster_ipv6", "node_ports",
        ],
    )  # fmt: skip


def findings():
    return pd.DataFrame(
        [
            ("error", "node-without-block", "Node worker-16", "CIDRNotAvailable: no IPv6 block is left.", "dump.json"),
            ("info", "kind-ignored", "Lease", "20 objects of this kind are not read.", "dump.json"),
        ],
        columns=["severity", "rule", "object", "message", "file"],
    )


def configuration():
    return pd.DataFrame(
        [
            ("kube_version", "1.36", "kubelet version of the control plane's node"),
            ("cluster_cidrs", "10.244.0.0/19, fd00:10:64::/60", "flag --cluster-cidr of pod kube-system/kcm"),
        ],
        columns=["field", "value", "why"],
    )

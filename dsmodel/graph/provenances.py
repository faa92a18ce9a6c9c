"""Where the rules of egress come from, in one table.

The masquerading of components whose rules a Linux kernel can load is asked of one by ``tests/graph/kernel``; what no
kernel or recording has answered says so.

Sources: each row names its own.
"""

from __future__ import annotations

from dsmodel.cni.contract import Certainty, Provenance

__all__ = ["PROVENANCES"]

_KERNEL = "where a packet goes is checked against a Linux kernel; the chains are read, not recorded"
_NO_KERNEL = "not rendered for a kernel, so checked against the sources only"


def _row(name: str, version: str, *files: str, docs: bool = False, approximate: str = "") -> Provenance:
    """Make one row."""
    certainty = Certainty.FROM_DOCS if docs else Certainty.FROM_SOURCE
    return Provenance(name, certainty, version, files, approximate)


PROVENANCES: tuple[Provenance, ...] = (
    _row(
        "address selection",
        "RFC 6724, draft-ietf-6man-rfc6724-update; glibc, musl, Go, Linux",
        "RFC 6724 sections 2.1, 5 and 6",
        docs=True,
        approximate="deprecated and temporary addresses, and next hops' prefixes, are not in the model",
    ),
    _row(
        "conntrack and netfilter ports",
        "Linux; kubernetes v1.20.2 and v1.36.2",
        "net/netfilter/nf_nat_core.c",
        "pkg/proxy/conntrack/sysctls.go",
        approximate="failures follow from ports taken at random",
    ),
    _row(
        "masquerade: antrea", "antrea fc70f2b", "pkg/agent/route/route_linux.go", approximate=_KERNEL
    ),
    _row(
        "masquerade: aws-vpc-cni", "amazon-vpc-cni-k8s b52188387", "pkg/networkutils/network.go",
        "cmd/egress-cni-plugin/snat/snat.go", approximate=f"{_KERNEL}; CIDRs of the VPC are not in a dump",
    ),
    _row(
        "masquerade: calico", "calico 87c1590", "felix/rules/nat.go", "felix/dataplane/linux/masq_mgr.go",
        approximate=_KERNEL,
    ),
    _row(
        "masquerade: cilium", "cilium 1.19 to 1.21", "bpf/lib/nat.h", "pkg/datapath/iptables", "pkg/ipmasq",
        approximate=f"the BPF order is {_NO_KERNEL}",
    ),
    _row(
        "masquerade: cni plugins", "containernetworking/plugins 3d27709f", "pkg/ip/ipmasq_iptables_linux.go",
        "pkg/ip/ipmasq_nftables_linux.go", approximate=_KERNEL,
    ),
    _row(
        "masquerade: flannel", "flannel cdf76059; k3s", "pkg/trafficmngr/iptables/iptables.go",
        "pkg/trafficmngr/nftables/nftables.go", approximate=_KERNEL,
    ),
    _row(
        "masquerade: ip-masq-agent", "ip-masq-agent e300086", "cmd/ip-masq-agent/ip-masq-agent.go",
        approximate=_KERNEL,
    ),
    _row(
        "masquerade: kube-ovn", "kube-ovn 1533681", "pkg/daemon/gateway_linux.go", approximate=_KERNEL
    ),
    _row(
        "masquerade: kube-proxy", "kubernetes v1.20.2 and v1.36", "pkg/proxy/iptables/proxier.go",
        "pkg/proxy/nftables/proxier.go", "pkg/proxy/ipvs/proxier.go", "pkg/proxy/util/localdetector.go",
        approximate=_KERNEL,
    ),
    _row(
        "masquerade: kube-router", "kube-router 7c2c2779", "pkg/controllers/routing/pod_egress.go",
        approximate=_KERNEL,
    ),
    _row(
        "masquerade: kubenet", "kubernetes v1.20.2", "pkg/kubelet/dockershim/network/kubenet/kubenet_linux.go",
        approximate=_KERNEL,
    ),
    _row(
        "masquerade: ovn-kubernetes", "ovn-kubernetes 6c366bb (December 2024)", "go-controller/pkg/ovn",
        approximate=_NO_KERNEL,
    ),
    _row(
        "gateway: antrea Egress", "antrea fc70f2b", "pkg/agent/controller/egress/egress_controller.go",
        "pkg/controller/egress/validate.go", "pkg/agent/openflow/egress.go",
    ),
    _row(
        "gateway: calico", "calico-enterprise documentation f2a2762", "networking/egress",
        "reference/resources/egressgatewaypolicy", docs=True,
        approximate="IPv6 passes it by, as the documentation never names it; annotations of single pods are not read",
    ),
    _row(
        "gateway: cilium", "cilium fe7e87b (1.20 and 1.21)", "pkg/egressgateway/policy.go", "bpf/lib/egress_gateway.h",
        approximate="versions before and after follow from their pull requests",
    ),
    _row(
        "gateway: kube-ovn", "kube-ovn 1533681", "pkg/controller/vpc_egress_gateway.go",
        approximate="an IPv4-only external subnet swallows IPv6: read in code, never run",
    ),
    _row(
        "gateway: ovn-kubernetes", "ovn-kubernetes 6c366bb (December 2024)",
        "go-controller/pkg/clustermanager/egressip_controller.go", "go-controller/pkg/ovn/egressip.go",
        approximate="which of two EgressIPs serves a pod is undefined there, and told as such",
    ),
    _row(
        "cloud NAT limits", "documentation of AWS, Azure and Google Cloud, 2026-08", "dsmodel.graph.snat.CONSTANTS",
        docs=True, approximate="published limits, which change; each has its date and page",
    ),
    _row(
        "NAT64, DNS64, NPTv6", "RFC 6052, RFC 6147, RFC 6296", "RFC 6052 section 2", docs=True
    ),
)  # fmt: skip
"""One row a component."""

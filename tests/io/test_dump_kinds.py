"""Which objects are read, kept or counted: a table with a reason a row."""

import pytest

from dsmodel.io.dump_kinds import HANDLED, KEPT, agents_among, is_handled, is_kept, opened_name
from dsmodel.io.dump_objects import PodMetadata

# kind, version, read, kept, why
ROWS = [
    ("Pod", "v1", True, False, "rows"),
    ("Pod", "", True, False, "an object without version is of its kind's own group"),
    ("Namespace", "v1", True, False, "labels for selectors"),
    ("Secret", "v1", False, False, "never decoded"),
    ("Service", "serving.knative.dev/v1", False, False, "somebody's custom resource"),
    ("IPPool", "crd.projectcalico.org/v1", False, True, "Calico's own"),
    ("IPPool", "projectcalico.org/v3", False, True, "Calico's API server"),
    ("IPPool", "crd.antrea.io/v1beta1", False, True, "Antrea's"),
    ("IPPool", "whereabouts.cni.cncf.io/v1alpha1", False, True, "Whereabouts'"),
    ("IPPool", "metal.example.org/v1", False, False, "somebody's custom resource"),
    ("IPPool", "", False, False, "whose it is cannot be known"),
    ("IP", "kubeovn.io/v1", False, True, "Kube-OVN's"),
    ("Subnet", "ec2.aws.crossplane.io/v1beta1", False, False, "a cloud's"),
    ("NetworkPolicy", "networking.k8s.io/v1", False, True, "the API's"),
    ("NetworkPolicy", "crd.projectcalico.org/v1", False, False, "another language of selectors"),
    ("EgressGateway", "operator.tigera.io/v1", False, True, "Calico Enterprise's"),
    ("Deployment", "apps/v1", False, False, "addressing does not depend on it"),
]


@pytest.mark.parametrize(("kind", "version", "read", "kept", "why"), ROWS)
def test_what_becomes_of_a_kind(kind: str, version: str, why: str, *, read: bool, kept: bool) -> None:
    assert (is_handled(kind, version), is_kept(kind, version)) == (read, kept), why


def test_no_kind_is_both_read_and_kept() -> None:
    assert not set(HANDLED) & set(KEPT)


@pytest.mark.parametrize(
    ("namespace", "name", "known"),
    [
        ("kube-system", "kube-proxy", "kube-proxy"),
        ("kube-system", "kubelet-config-1.22", "kubelet-config-"),
        ("kube-system", "antrea-config-9c7h568bgf", "antrea-config-"),
        ("kube-system", "azure-ip-masq-agent-config-reconciled", "azure-ip-masq-"),
        ("kube-system", "kube-flannel-cfg", "kube-flannel-cfg"),
        ("kube-flannel", "kube-flannel-cfg", "kube-flannel-cfg"),
        ("ovn-kubernetes", "ovn-config", "ovn-config"),
        ("kube-system", "coredns", ""),
        ("shop", "kube-proxy", ""),
    ],
)
def test_which_config_maps_are_opened(namespace: str, name: str, known: str) -> None:
    assert opened_name(PodMetadata(name, namespace)) == known


def test_of_each_daemon_set_the_first_running_pod_is_looked_into() -> None:
    names = ["kube-proxy-a", "kube-proxy-b", "cilium-a", "cilium-envoy-a", "coredns-a", "kube-proxy-c", "cilium-b"]
    pods = [PodMetadata(name, "kube-system") for name in names] + [PodMetadata("aws-node-a", "shop")]
    phases = ["Failed", *["Running"] * 7]
    met: set[tuple[str, str]] = set()
    assert [pods[place].name for place in agents_among(pods, phases, met)] == [
        "kube-proxy-b",
        "cilium-a",
        "cilium-envoy-a",
    ]
    assert agents_among(pods, phases, met) == []

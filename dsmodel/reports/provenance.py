"""How far each part of the model can be trusted: what its rules were taken from, and what stands in for chance.

Promises one row for every modelled component of Kubernetes, every network plugin and every part of egress. *verified by
recording* says that answers of the real component are replayed against the model by its tests (``tests/conformance``)
and agree; *from source* that rules were read in the component's source; *from docs* that only documentation was there
to read.

What it does not know: which rule of a component a recording exercised. Rows that are recorded in part are split, so
that the part beyond the recordings has a row of its own.

Sources: each row names its own.
"""

from __future__ import annotations

import pandas as pd

from dsmodel.cni import PROVENANCES
from dsmodel.cni.contract import Certainty, Provenance
from dsmodel.graph import provenances as egress

__all__ = ["provenance"]

_BOTH = "kubernetes v1.20.2 and v1.36.2"
_SERVICES = "kubernetes v1.20.2, v1.21.2, v1.23.1, v1.26.5 and v1.36.2"

_KUBE = (
    Provenance(
        "flags of kube-apiserver",
        Certainty.RECORDED,
        _BOTH,
        ("cmd/kube-apiserver/app/options/validation.go", "cmd/kube-apiserver/app/server.go"),
        "start-up in versions between the two recorded ones follows their sources",
    ),
    Provenance(
        "flags of kube-controller-manager",
        Certainty.RECORDED,
        _BOTH,
        ("cmd/kube-controller-manager/app/core.go", "pkg/controller/nodeipam/node_ipam_controller.go"),
        "start-up in versions between the two recorded ones follows their sources",
    ),
    Provenance(
        "flags of kube-proxy",
        Certainty.FROM_SOURCE,
        _BOTH,
        ("pkg/proxy/apis/config/validation/validation.go", "cmd/kube-proxy/app/server.go"),
    ),
    Provenance(
        "flags of kubelet",
        Certainty.FROM_SOURCE,
        _BOTH,
        ("cmd/kubelet/app/server.go", "pkg/kubelet/kubelet_node_status.go"),
    ),
    Provenance(
        "installers",
        Certainty.FROM_SOURCE,
        f"kubeadm of {_BOTH}; k3s main of 2026",
        ("cmd/kubeadm/app/phases/controlplane/manifests.go", "pkg/daemons/control/server.go"),
    ),
    Provenance(
        "kube-apiserver, Services",
        Certainty.RECORDED,
        _SERVICES,
        (
            "pkg/registry/core/service/strategy.go",
            "pkg/registry/core/service/storage/alloc.go",
            "pkg/apis/core/validation/validation.go",
        ),
        "which address is drawn: the allocator's law, with a seeded generator; addresses leaked by chance are left out",
    ),
    Provenance(
        "kube-apiserver, node ports",
        Certainty.RECORDED,
        _SERVICES,
        ("pkg/registry/core/service/portallocator/allocator.go", "pkg/registry/core/service/storage/alloc.go"),
        "which port is drawn: the allocator's law, with a seeded generator",
    ),
    Provenance(
        "kube-apiserver, exhausted service ranges and bands",
        Certainty.RECORDED,
        _BOTH,
        ("pkg/registry/core/service/ipallocator/bitmap.go", "pkg/registry/core/service/ipallocator/ipallocator.go"),
    ),
    Provenance(
        "kube-apiserver, ServiceCIDR and IPAddress",
        Certainty.RECORDED,
        "kubernetes v1.36.2",
        ("pkg/registry/core/service/ipallocator/cidrallocator.go", "pkg/apis/networking/validation/validation.go"),
        "the time a deleted ServiceCIDR waits is not modelled",
    ),
    Provenance(
        "kube-apiserver, Nodes",
        Certainty.RECORDED,
        _BOTH,
        ("pkg/apis/core/validation/validation.go", "pkg/registry/core/node/strategy.go"),
    ),
    Provenance(
        "kube-controller-manager, node IPAM",
        Certainty.RECORDED,
        _BOTH,
        ("pkg/controller/nodeipam/ipam/range_allocator.go", "pkg/controller/nodeipam/ipam/cidrset/cidr_set.go"),
        "the cursor after a restart of the controller, which no object shows",
    ),
    Provenance(
        "kube-controller-manager, EndpointSlices",
        Certainty.FROM_SOURCE,
        _BOTH,
        ("pkg/controller/endpoint/endpoints_controller.go", "staging/src/k8s.io/endpointslice/utils.go"),
    ),
    Provenance(
        "kube-proxy, load balancers by family",
        Certainty.FROM_SOURCE,
        "kubernetes v1.36.2; MetalLB v0.12 to v0.14",
        ("pkg/proxy/serviceport.go", "pkg/api/v1/service/util.go", "internal/allocator/allocator.go"),
        "what a cloud's load balancer supports: a table of documented cases",
    ),
    Provenance(
        "kubelet, pod limit and order of podIPs",
        Certainty.FROM_SOURCE,
        _BOTH,
        ("pkg/kubelet/kubelet_pods.go", "pkg/kubelet/apis/config/v1beta1/defaults.go"),
        "the node's primary family, where a dump does not show it, is that of its first podCIDR",
    ),
)

_COLUMNS = ("part", "component", "certainty", "version", "files", "approximate")


def provenance() -> pd.DataFrame:
    """Tell how every modelled component is known.

    Returns
    -------
    pandas.DataFrame
        ``part`` ("kubernetes", "network plugin" or "egress"), ``component``, ``certainty`` ("verified by recording",
        "from source", "from docs"), ``version`` read or recorded, ``files`` the rules were read in (in the
        component's own repository, separated by commas), ``approximate``: what cannot be known and is stood in for,
        empty where nothing is. Kubernetes first, then by component.

    Raises
    ------
    None
        Always an answer.

    Examples
    --------
    >>> frame = provenance()
    >>> frame.loc[frame["component"].isin(["calico", "host-local"]), ["component", "certainty"]].to_numpy().tolist()
    [['calico', 'from source'], ['host-local', 'verified by recording']]
    """
    parts = (("kubernetes", _KUBE), ("network plugin", PROVENANCES), ("egress", egress.PROVENANCES))
    rows = [
        (part, row.plugin, str(row.certainty), row.version, ", ".join(row.files), row.approximate)
        for part, entries in parts
        for row in sorted(entries, key=lambda entry: entry.plugin)
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS), dtype="str")

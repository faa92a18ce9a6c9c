"""Model IPv4/IPv6 dual-stack addressing on Kubernetes, for planning, audit and teaching."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# name -> module that owns it; "" where the name is itself a module
_DOORS = {
    "AddressRange": "pools.ranges",
    "Cidr": "addresses.cidr",
    "CidrSet": "pools.blocks",
    "Cluster": "cluster.state",
    "ClusterConfig": "kube.config",
    "ControlPlane": "kube.control_plane",
    "IPFamily": "addresses.cidr",
    "IPFamilyPolicy": "kube.families",
    "KubeVersion": "kube.versions",
    "Operation": "pools.contract",
    "PortRange": "pools.ranges",
    "Table": "cluster.table",
    "addresses_in": "addresses.arrays",
    "check_flags": "kube.flags",
    "cni": "",
    "config_from_flags": "kube.flags",
    "errors": "",
    "examples": "cluster",
    "format_addresses": "addresses.text",
    "kube": "",
    "parse_addresses": "addresses.text",
    "plots": "",
    "read_cluster": "io.kubectl",
    "reports": "",
}

__all__ = sorted([*_DOORS, "__version__"])


def __getattr__(name: str) -> Any:
    owner = _DOORS.get(name)
    if owner is None:
        raise AttributeError(f"module 'dsmodel' has no attribute {name!r}; public names are {', '.join(__all__)}")
    if not owner:
        return importlib.import_module(f"dsmodel.{name}")
    module = importlib.import_module(f"dsmodel.{owner}")
    try:
        return getattr(module, name)
    except AttributeError:
        return importlib.import_module(f"dsmodel.{owner}.{name}")


def __dir__() -> list[str]:
    return __all__

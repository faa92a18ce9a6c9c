"""Model IPv4/IPv6 dual-stack addressing on Kubernetes, for planning, audit and teaching.

A `Cluster` is a configuration, a Kubernetes version and a handful of columnar tables; its addresses come from pools.
Text becomes arrays when it enters (`read_cluster`, `parse_addresses`) and text again only when it leaves. What
Kubernetes would do is decided once a distinct shape and answered for a whole batch with a result and a reason column.
Every question about a cluster is one function of `reports` that returns one frame; `plots` draw frames and know
nothing else.

    errors <- addresses <- pools <- kube, cni <- cluster <- io, planning <- reports <- plots
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsmodel import cni, errors, kube, plots, reports, testing, widgets
    from dsmodel.addresses.arrays import addresses_in
    from dsmodel.addresses.cidr import Cidr, IPFamily
    from dsmodel.addresses.text import format_addresses, parse_addresses
    from dsmodel.cluster import examples
    from dsmodel.cluster.checks.audit import check
    from dsmodel.cluster.state import Cluster
    from dsmodel.cluster.table import Table
    from dsmodel.cluster.verification import verify
    from dsmodel.graph.topology import to_networkx
    from dsmodel.graph.traces import trace
    from dsmodel.io.configs import read_config
    from dsmodel.io.history import Prometheus, append_history, read_history
    from dsmodel.io.kubectl import read_cluster
    from dsmodel.io.manifests import read_manifests, write_manifests
    from dsmodel.kube.config import ClusterConfig
    from dsmodel.kube.config_checks import check_config
    from dsmodel.kube.control_plane import ControlPlane
    from dsmodel.kube.families import IPFamilyPolicy
    from dsmodel.kube.flags import check_flags, config_from_flags
    from dsmodel.kube.versions import KubeVersion
    from dsmodel.planning.forecasting import forecast
    from dsmodel.planning.layout import plan_layout
    from dsmodel.planning.migration import plan_migration
    from dsmodel.planning.scenario import Burst, Growth, Scenario, Step
    from dsmodel.planning.sweeps import sweep
    from dsmodel.planning.what_ifs import what_if
    from dsmodel.pools.blocks import CidrSet
    from dsmodel.pools.contract import Operation
    from dsmodel.pools.ranges import AddressRange, PortRange

__version__ = "0.1.0"

__all__ = [
    "AddressRange",
    "Burst",
    "Cidr",
    "CidrSet",
    "Cluster",
    "ClusterConfig",
    "ControlPlane",
    "Growth",
    "IPFamily",
    "IPFamilyPolicy",
    "KubeVersion",
    "Operation",
    "PortRange",
    "Prometheus",
    "Scenario",
    "Step",
    "Table",
    "__version__",
    "addresses_in",
    "append_history",
    "check",
    "check_config",
    "check_flags",
    "cni",
    "config_from_flags",
    "errors",
    "examples",
    "forecast",
    "format_addresses",
    "kube",
    "parse_addresses",
    "plan_layout",
    "plan_migration",
    "plots",
    "read_cluster",
    "read_config",
    "read_history",
    "read_manifests",
    "reports",
    "sweep",
    "testing",
    "to_networkx",
    "trace",
    "verify",
    "what_if",
    "widgets",
    "write_manifests",
]

# name -> module that owns it, opened when first used; "" where the name is itself a module
_DOORS = {
    "AddressRange": "pools.ranges",
    "Burst": "planning.scenario",
    "Cidr": "addresses.cidr",
    "CidrSet": "pools.blocks",
    "Cluster": "cluster.state",
    "ClusterConfig": "kube.config",
    "ControlPlane": "kube.control_plane",
    "Growth": "planning.scenario",
    "IPFamily": "addresses.cidr",
    "IPFamilyPolicy": "kube.families",
    "KubeVersion": "kube.versions",
    "Operation": "pools.contract",
    "PortRange": "pools.ranges",
    "Prometheus": "io.history",
    "Scenario": "planning.scenario",
    "Step": "planning.scenario",
    "Table": "cluster.table",
    "addresses_in": "addresses.arrays",
    "append_history": "io.history",
    "check": "cluster.checks.audit",
    "check_config": "kube.config_checks",
    "check_flags": "kube.flags",
    "cni": "",
    "config_from_flags": "kube.flags",
    "errors": "",
    "examples": "cluster",
    "forecast": "planning.forecasting",
    "format_addresses": "addresses.text",
    "kube": "",
    "parse_addresses": "addresses.text",
    "plan_layout": "planning.layout",
    "plan_migration": "planning.migration",
    "plots": "",
    "read_cluster": "io.kubectl",
    "read_config": "io.configs",
    "read_history": "io.history",
    "read_manifests": "io.manifests",
    "reports": "",
    "sweep": "planning.sweeps",
    "testing": "",
    "to_networkx": "graph.topology",
    "trace": "graph.traces",
    "verify": "cluster.verification",
    "what_if": "planning.what_ifs",
    "widgets": "",
    "write_manifests": "io.manifests",
}


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

"""Kubernetes' own rules: versions, configuration, node IPAM, Services and flags, each as its component applies them."""

from __future__ import annotations

import importlib
from typing import Any

_DOORS = {
    "ClusterConfig": "config",
    "ControlPlane": "control_plane",
    "KubeVersion": "versions",
    "NodeIPAM": "node_ipam",
    "check_config": "config_checks",
    "check_flags": "flags",
    "config_from_flags": "flags",
    "flags_from_config": "config_checks",
}

__all__ = [
    "ClusterConfig",
    "ControlPlane",
    "KubeVersion",
    "NodeIPAM",
    "check_config",
    "check_flags",
    "config_from_flags",
    "flags_from_config",
]


def __getattr__(name: str) -> Any:
    owner = _DOORS.get(name)
    if owner is None:
        raise AttributeError(f"module 'dsmodel.kube' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(f"dsmodel.kube.{owner}"), name)


def __dir__() -> list[str]:
    return __all__

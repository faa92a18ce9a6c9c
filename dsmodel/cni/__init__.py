"""How each network plugin hands a Pod its addresses: one file a plugin, built from the same pools."""

from __future__ import annotations

from dsmodel.cni.host_local import HostLocal

__all__ = ["HostLocal"]

"""What the reader of a dump finds: the way out of each, and where it can be read up.

Promises an entry for every rule of the reader that can stand in a cluster's findings, those for information included.
The rules themselves are judged where the files are read, which no cluster knows of; their findings are carried along.

Sources: named by each entry.
"""

from __future__ import annotations

from typing import Final

__all__ = ["READER_ADVICE"]

_VALIDATION: Final = "pkg/apis/core/validation/validation.go"
_API: Final = "k8s.io/api/core/v1/types.go"
_ALLOCATOR: Final = "pkg/controller/nodeipam/ipam/range_allocator.go"
_SERVER: Final = "cmd/kube-apiserver/app/options/options.go"
_CONTROLLERS: Final = "cmd/kube-controller-manager/app/options/nodeipamcontroller.go"
_SAY: Final = "give config= when the dump is read, or dump the Pods of kube-system too"

# rule: way out, source
READER_ADVICE: Final = {
    "address-invalid": ("correct it where it was written, and write the dump again", _VALIDATION),
    "cidr-assignment-failed": ("look at the log of kube-controller-manager", f"{_ALLOCATOR}, updateCIDRsAllocation"),
    "cidr-not-available": ("remove nodes that are gone, or take larger ranges", f"{_ALLOCATOR}, AllocateOrOccupyCIDR"),
    "cluster-cidr-unknown": (_SAY, _CONTROLLERS),
    "config-contradiction": ("let every component have the same value", f"{_SERVER}; {_CONTROLLERS}"),
    "config-invalid": ("correct it where it was written, and write the dump again", f"{_SERVER}; {_CONTROLLERS}"),
    "field-invalid": ("correct it where it was written, and write the dump again", _VALIDATION),
    "file-refused": ("write it again with -o json", "RFC 8259"),
    "node-missing": ("dump nodes and pods at the same time", "pkg/controller/podgc/gc_controller.go, gcOrphaned"),
    "object-duplicate": (
        "leave one of the files out: of two the first is kept",
        "k8s.io/apimachinery/pkg/apis/meta/v1/types.go, ObjectMeta",
    ),
    "object-refused": ("write the dump again", _API),
    "objects-ignored": ("nothing: no rule of addresses reads these kinds", _API),
    "pod-ipam": ("nothing: blocks are those of the network plugin", _API),
    "service-cidr-terminating": (
        "nothing: it goes once its cluster IPs are gone",
        "pkg/controller/servicecidrs/servicecidrs_controller.go",
    ),
    "service-cidr-unknown": (_SAY, _SERVER),
    "version-unsupported": (f"judged as the nearest version; {_SAY}", "the versions modelled are 1.20 to 1.36"),
}

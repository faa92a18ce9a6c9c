"""Reading the specs of small objects: the types of their fields, and what an empty field leaves behind.

Promises: a value of the wrong type is refused with code 400 before anything else is looked at, as the API server's
decoder does.

Not known here: Services (`dsmodel.kube.services.spec`), and what the values mean.

Sources: ``staging/src/k8s.io/api/core/v1/types.go`` (NodeSpec), ``api/networking/v1/types.go`` (ServiceCIDRSpec,
IPAddressSpec, ParentReference); Go's ``encoding/json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsmodel.kube.fields import bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.errors import Rejected

__all__ = ["decode_error", "typed_spec"]

# kind -> field -> Go type
_FIELDS = {
    "Node": {"podCIDR": "string", "podCIDRs": "[]string", "providerID": "string", "unschedulable": "bool"},
    "ServiceCIDR": {"cidrs": "[]string"},
    "IPAddress": {"parentRef": "v1.ParentReference"},
}
_TYPES = {"string": str, "bool": bool, "[]string": list, "v1.ParentReference": dict}
_PARENT = ("group", "resource", "namespace", "name")


def typed_spec(kind: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Read the spec of an object that is no Service.

    Parameters
    ----------
    kind : str
        Its kind.
    manifest : mapping
        The object.

    Returns
    -------
    dict
        The spec without null fields; not a copy of what is inside, but for a parent, which loses its empty fields.

    Raises
    ------
    Rejected
        400 for a value of the wrong type.

    Examples
    --------
    >>> typed_spec("ServiceCIDR", {"spec": {"cidrs": "10.0.0.0/8"}})
    Traceback (most recent call last):
    dsmodel.errors.Rejected: ServiceCIDR in version "v1" cannot be handled as a ServiceCIDR: json: cannot unmarshal \
string into Go struct field ServiceCIDRSpec.spec.cidrs of type []string
    """
    spec = manifest.get("spec")
    if spec is None:
        return {}
    if not isinstance(spec, dict):
        raise decode_error(kind, spec, path=f"{kind}.spec", go_type=f"v1.{kind}Spec")
    read = {key: value for key, value in spec.items() if value is not None}
    for name, go_type in _FIELDS[kind].items():
        value = read.get(name)
        path = f"{kind}Spec.spec.{name}"
        if value is not None and not isinstance(value, _TYPES[go_type]):
            raise decode_error(kind, value, path=path, go_type=go_type)
        if isinstance(value, list):
            for item in value:
                if item is not None and not isinstance(item, str):
                    raise decode_error(kind, item, path=path, go_type="string")
            read[name] = ["" if item is None else item for item in value]
    if "parentRef" in read:
        read["parentRef"] = _parent(kind, read["parentRef"])
    return read


def decode_error(kind: str, value: object, *, path: str, go_type: str) -> Rejected:
    """Word a value of the wrong type.

    Parameters
    ----------
    kind : str
        Kind of the object.
    value : object
        The value.
    path : str
        Go struct and field.
    go_type : str
        The type wanted.

    Returns
    -------
    Rejected
        400 BadRequest.

    Raises
    ------
    None
        Every value has a word.

    Examples
    --------
    >>> decode_error("Node", 5, path="NodeSpec.spec.podCIDR", go_type="string").code
    400
    """
    names = {bool: "bool", str: "string", int: "number", float: "number", list: "array", dict: "object"}
    found = names.get(type(value), type(value).__name__)
    words = f"json: cannot unmarshal {found} into Go struct field {path} of type {go_type}"
    return bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {words}')


def _parent(kind: str, reference: Mapping[str, Any]) -> dict[str, str]:
    """Read a reference; empty fields are not stored."""
    kept = {name: reference[name] for name in _PARENT if reference.get(name)}
    for name, value in kept.items():
        if not isinstance(value, str):
            raise decode_error(kind, value, path=f"ParentReference.spec.parentRef.{name}", go_type="string")
    return kept

"""ServiceCIDR and IPAddress objects: validation, finalizer, and when a ServiceCIDR may go.

Promises: the server's verdicts and words as recorded of 1.36, with the controller's effect at once: a new ServiceCIDR
is Ready and protected by the finalizer, a deleted one goes when its addresses are free or covered by another.

Not known here: the ten seconds a deleted ServiceCIDR is held before it goes, and servers without the controller.

Sources: ``pkg/apis/networking/validation/validation.go``, ``pkg/controller/servicecidrs/servicecidrs_controller.go``,
``pkg/registry/core/service/ipallocator/ipallocator.go`` (createIPAddress); KEP-1880; recordings of 1.36.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr, IPFamily, format_address
from dsmodel.kube.fields import FieldError, invalid, required
from dsmodel.kube.names import dns_1123_subdomain
from dsmodel.kube.service_cidrs import service_cidr_errors
from dsmodel.kube.syntax import ip_complaints, read_ip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "FINALIZER",
    "cidr_may_go",
    "cidr_status",
    "ip_address_errors",
    "managed_ip_address",
    "new_service_cidr_errors",
    "read_ip_name",
]

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
_FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
_MANAGED_LABEL = "ipaddress.kubernetes.io/managed-by"
_ALLOCATOR = "ipallocator.k8s.io"


def new_service_cidr_errors(name: str, spec: Mapping[str, Any]) -> list[FieldError]:
    """Validate a new ServiceCIDR.

    Parameters
    ----------
    name : str
        Its name.
    spec : mapping
        Its spec.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every object has an answer.

    Examples
    --------
    >>> new_service_cidr_errors("extra", {"cidrs": ["10.97.0.0/28"]})
    []
    """
    found = [invalid("metadata.name", name, words) for words in dns_1123_subdomain(name)]
    return found + service_cidr_errors(spec.get("cidrs"))


def cidr_status(*, terminating: bool) -> dict[str, Any]:
    """Return the status that the controller writes.

    Parameters
    ----------
    terminating : bool
        The object is being deleted and addresses would be left without a range.

    Returns
    -------
    dict
        The Ready condition.

    Raises
    ------
    None
        Both have an answer.

    Examples
    --------
    >>> cidr_status(terminating=False)["conditions"][0]["status"]
    'True'
    """
    if terminating:
        words = (
            "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
        )
        ready = {"type": "Ready", "status": "False", "reason": "Terminating", "message": words}
    else:
        ready = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}
    return {"conditions": [ready]}


def cidr_may_go(name: str, cidrs: Mapping[str, Iterable[Cidr]], addresses: Iterable[tuple[IPFamily, int]]) -> bool:
    """Say whether a deleted ServiceCIDR may go.

    Parameters
    ----------
    name : str
        The object.
    cidrs : mapping of str to iterable of Cidr
        Ranges of every ServiceCIDR, terminating ones included.
    addresses : iterable of tuple of (IPFamily, int)
        Addresses held by the allocator.

    Returns
    -------
    bool
        Every range lies inside another object's, or no address would be left without a range.

    Raises
    ------
    None
        Every state has an answer.

    Examples
    --------
    >>> cidr_may_go("a", {"a": [Cidr("10.0.0.0/28")], "b": [Cidr("10.0.0.0/24")]}, [(IPFamily.IPV4, 0x0A000001)])
    True
    """
    others = [cidr for other, ranges in cidrs.items() if other != name for cidr in ranges]
    mine = list(cidrs[name])
    if all(any(cidr in other for other in others) for cidr in mine):
        return True
    return not any(
        _inside(address, cidr) and not any(_inside(address, other) for other in others)
        for address in addresses
        for cidr in mine
    )


def _inside(address: tuple[IPFamily, int], cidr: Cidr) -> bool:
    """Say whether a range contains an address."""
    return address[0] is cidr.family and cidr.first <= address[1] <= cidr.last


def read_ip_name(name: str) -> tuple[IPFamily, int] | None:
    """Read the name of an IPAddress.

    Parameters
    ----------
    name : str
        Canonical text of the address.

    Returns
    -------
    tuple of (IPFamily, int) or None
        None when the name is no canonical address.

    Raises
    ------
    None
        Every name has an answer.

    Examples
    --------
    >>> read_ip_name("fd00::1") is not None, read_ip_name("FD00::1") is None
    (True, True)
    """
    address = None if ip_complaints(name, syntax="strict") else read_ip(name)
    return address if address is not None and format_address(*address) == name else None


def ip_address_errors(name: str, spec: Mapping[str, Any]) -> list[FieldError]:
    """Validate an IPAddress that a user made.

    Parameters
    ----------
    name : str
        Its name.
    spec : mapping
        Its spec.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every object has an answer.

    Examples
    --------
    >>> [error.path for error in ip_address_errors("10.0.0.1", {})]
    ['spec.parentRef']
    """
    found: list[FieldError] = []
    if read_ip_name(name) is None:
        complaints = ip_complaints(name, syntax="strict") or (_canonical_words(name),)
        found += [invalid("metadata.name", name, words) for words in complaints]
    reference = spec.get("parentRef")
    if reference is None:
        return [*found, required("spec.parentRef")]
    group = reference.get("group") or ""
    if group:
        found += [invalid("spec.parentRef.group", group, words) for words in dns_1123_subdomain(group)]
    for key, check in (("resource", _path_segment), ("name", _path_segment), ("namespace", _path_segment)):
        value = reference.get(key) or ""
        if value:
            found += [invalid(f"spec.parentRef.{key}", value, words) for words in check(value)]
        elif key != "namespace":
            found.append(required(f"spec.parentRef.{key}"))
    return found


def _canonical_words(name: str) -> str:
    """Word an address that is not in canonical form."""
    address = read_ip(name)
    return (
        f'must be in canonical form ("{format_address(*address)}")' if address is not None else "must be an IP address"
    )


def _path_segment(text: str) -> tuple[str, ...]:
    """Check a name that becomes a segment of a path."""
    if text in {".", ".."}:
        return (f"may not be '{text}'",)
    return tuple(f"may not contain '{sign}'" for sign in "/%" if sign in text)


def managed_ip_address(address: tuple[IPFamily, int], owner: str) -> dict[str, Any]:
    """Write the IPAddress object of a cluster IP.

    Parameters
    ----------
    address : tuple of (IPFamily, int)
        The address.
    owner : str
        Namespace and name of the Service.

    Returns
    -------
    dict
        As the allocator creates it.

    Raises
    ------
    None
        Every address has an answer.

    Examples
    --------
    >>> managed_ip_address((IPFamily.IPV4, 0x0A600001), "default/kubernetes")["metadata"]["name"]
    '10.96.0.1'
    """
    namespace, _, name = owner.partition("/")
    labels = {_FAMILY_LABEL: address[0].value, _MANAGED_LABEL: _ALLOCATOR}
    reference = {"group": "", "resource": "services", "namespace": namespace, "name": name}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": format_address(*address), "labels": labels},
        "spec": {"parentRef": reference},
    }

"""Creating, changing and deleting one Service: the order of steps of both generations of the server.

Promises: after a refusal nothing has changed; what is allocated, released and reported comes in the server's order.

Not known here: objects' metadata and revisions (`dsmodel.kube.control_plane`).

Sources: ``rest.go`` (Create, Update, Delete) of ``pkg/registry/core/service/storage`` until 1.22, ``storage.go``
(beginCreate, beginUpdate, afterDelete) and ``alloc.go`` since 1.23; recordings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import IPFamily, format_address
from dsmodel.errors import AlreadyAllocated, NotInRange, PoolFull, Rejected
from dsmodel.kube.families import FamilyBefore, FamilyOutcome, FamilyShape, Refusal, resolve
from dsmodel.kube.fields import FieldError, GoList, exists, internal_error, invalid, rejected
from dsmodel.kube.ports import grant_node_ports, regrant_node_ports
from dsmodel.kube.services.checks import (
    ip_family_of,
    ip_field_errors,
    metadata_map_errors,
    service_errors,
    traffic_combination_errors,
)
from dsmodel.kube.services.grants import Grants
from dsmodel.kube.services.spec import NONE, ServiceSpec
from dsmodel.kube.services.updates import (
    carry_values,
    change_errors,
    clear_for_type,
    drop_disabled,
    normalize_ips,
    trim_downgrade,
)
from dsmodel.kube.syntax import read_ip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.kube.behaviour import Behaviour
    from dsmodel.kube.ports import NodePorts
    from dsmodel.kube.service_cidrs import ServiceAddresses

__all__ = ["Backend", "Stored", "change_service", "create_service", "forget_service", "occupy_service"]


@dataclass(frozen=True, slots=True, eq=False)
class Backend:
    """What Services are decided with and served from.

    Parameters
    ----------
    behaviour : Behaviour
        Of the server.
    addresses : ServiceAddresses
        Cluster IPs.
    ports : NodePorts
        Node ports.
    """

    behaviour: Behaviour
    addresses: ServiceAddresses
    ports: NodePorts


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A Service as stored.

    Parameters
    ----------
    metadata : mapping
        Its metadata.
    spec : ServiceSpec
        Its spec; nobody changes it.
    """

    metadata: Mapping[str, Any]
    spec: ServiceSpec


def create_service(spec: ServiceSpec, metadata: Mapping[str, Any], backend: Backend, *, taken: bool) -> None:
    """Decide and serve a new Service, in place.

    Parameters
    ----------
    spec : ServiceSpec
        Defaulted; filled in.
    metadata : mapping
        Its metadata.
    backend : Backend
        The server.
    taken : bool
        The name exists already.

    Raises
    ------
    Rejected
        The refusal; nothing has changed.
    """
    grants = _grants(metadata, backend)
    try:
        normalize_ips(spec)
        if backend.behaviour.families.generation == "rest":
            drop_disabled(spec, None, backend.behaviour)
            _refuse(service_errors(spec, metadata, behaviour=backend.behaviour), grants)
            _serve_new(spec, backend, grants)
            _refuse(traffic_combination_errors(spec), grants)
        else:
            _refuse(ip_field_errors(spec, behaviour=backend.behaviour), grants)
            _serve_new(spec, backend, grants)
            drop_disabled(spec, None, backend.behaviour)
            _refuse(service_errors(spec, metadata, behaviour=backend.behaviour, ips_checked=True), grants)
        if taken:
            raise exists("services", grants.name)
    except Rejected:
        grants.revert(backend.addresses, backend.ports)
        raise
    _read_back(spec, backend.behaviour)


def change_service(spec: ServiceSpec, metadata: Mapping[str, Any], stored: Stored, backend: Backend) -> None:
    """Decide and serve a changed Service, in place.

    Parameters
    ----------
    spec : ServiceSpec
        Defaulted; filled in.
    metadata : mapping
        Its new metadata.
    stored : Stored
        What it replaces.
    backend : Backend
        The server.

    Raises
    ------
    Rejected
        The refusal; nothing has changed.
    """
    grants = _grants(metadata, backend)
    try:
        if backend.behaviour.families.generation == "rest":
            _change_validated_first(spec, metadata, stored, backend=backend, grants=grants)
        else:
            _change_allocated_first(spec, metadata, stored, backend=backend, grants=grants)
    except Rejected:
        grants.revert(backend.addresses, backend.ports)
        raise
    grants.commit(backend.addresses, backend.ports)
    _read_back(spec, backend.behaviour)


def forget_service(spec: ServiceSpec, backend: Backend) -> None:
    """Give back what a deleted Service held.

    Parameters
    ----------
    spec : ServiceSpec
        As stored.
    backend : Backend
        The server.

    Raises
    ------
    None
        Every Service has an answer.
    """
    if spec.type != "ExternalName" and not spec.is_headless:
        for text in spec.cluster_ips or ():
            _release(text, backend)
    for port in spec.ports:
        if port.node_port and spec.type != "ExternalName":
            backend.ports.release(port.node_port)
    if spec.needs_health_check_port and spec.health_check_node_port:
        backend.ports.release(spec.health_check_node_port)


def occupy_service(spec: ServiceSpec, metadata: Mapping[str, Any], backend: Backend) -> None:
    """Hold what a Service that exists already has.

    Parameters
    ----------
    spec : ServiceSpec
        As stored.
    metadata : mapping
        Its metadata.
    backend : Backend
        The server.

    Raises
    ------
    None
        What is held already, or lies in no range, is no error.
    """
    if spec.type == "ExternalName":
        return
    owner = f"{metadata.get('namespace') or 'default'}/{metadata.get('name') or ''}"
    for address in map(read_ip, spec.cluster_ips or [spec.cluster_ip]):
        if address is not None:
            backend.addresses.block(*address, owner=owner)
    ports = [port.node_port for port in spec.ports] + [spec.health_check_node_port]
    for port in ports:
        if backend.ports.first <= port <= backend.ports.last:
            backend.ports.pool.occupy(port - backend.ports.first)


def _read_back(spec: ServiceSpec, behaviour: Behaviour) -> None:
    """Drop what the server leaves out when it reads a Service."""
    if spec.type == "ExternalName" and not behaviour.internal_policy_everywhere:
        spec.internal_traffic_policy = None


def _release(text: str, backend: Backend) -> None:
    """Give one address back."""
    address = read_ip(text)
    if address is not None:
        backend.addresses.release(*address)


def _grants(metadata: Mapping[str, Any], backend: Backend) -> Grants:
    """Start a request."""
    name = metadata.get("name") or ""
    return Grants(name, f"{metadata.get('namespace') or 'default'}/{name}", backend.behaviour.error_values)


def _refuse(errors: list[FieldError], grants: Grants) -> None:
    """Refuse when there are errors."""
    if errors:
        raise rejected("Service", grants.name, errors, style=grants.style)


def _serve_new(spec: ServiceSpec, backend: Backend, grants: Grants) -> None:
    """Decide families, then allocate addresses and ports."""
    if spec.type != "ExternalName":
        _decide_families(spec, None, backend, grants)
        _allocate_ips(spec, backend, grants)
    grant_node_ports(spec, backend.ports, grants=grants, behaviour=backend.behaviour)


def _change_validated_first(
    spec: ServiceSpec, metadata: Mapping[str, Any], stored: Stored, *, backend: Backend, grants: Grants
) -> None:
    """Change a Service as the server did until 1.22; its second pass trims a late SingleStack."""
    behaviour, old = backend.behaviour, stored.spec
    _prepare(spec, metadata, stored, backend=backend, grants=grants)
    if spec.type != "ExternalName":
        _decide_families(spec, old, backend, grants)
    _reallocate_ips(spec, old, backend, grants)
    regrant_node_ports(spec, old, ports=backend.ports, grants=grants, behaviour=behaviour)
    kept = old.health_check_node_port
    if old.needs_health_check_port and spec.needs_health_check_port and spec.health_check_node_port != kept:
        words = "cannot change healthCheckNodePort on loadBalancer service with externalTraffic=Local during update"
        _refuse([invalid("spec.healthCheckNodePort", spec.health_check_node_port, words)], grants)
    if old.needs_node_ports and not spec.needs_node_ports:
        spec.external_traffic_policy = ""
    _refuse(traffic_combination_errors(spec), grants)
    _prepare(spec, metadata, stored, backend=backend, grants=grants)


def _prepare(
    spec: ServiceSpec, metadata: Mapping[str, Any], stored: Stored, *, backend: Backend, grants: Grants
) -> None:
    """Carry over, clear and validate a change."""
    behaviour, old = backend.behaviour, stored.spec
    carry_values(spec, old, behaviour)
    normalize_ips(spec, old)
    drop_disabled(spec, old, behaviour)
    clear_for_type(spec, old, behaviour)
    trim_downgrade(spec, old, behaviour)
    unconditional = behaviour.unconditional_update or metadata.get("resourceVersion")
    missing = invalid("metadata.resourceVersion", "", "must be specified for an update")
    errors = [] if unconditional else [missing, missing]  # the generic layer and the strategy each check it
    errors += _update_errors(spec, metadata, stored, behaviour)
    _refuse(errors, grants)


def _change_allocated_first(
    spec: ServiceSpec, metadata: Mapping[str, Any], stored: Stored, *, backend: Backend, grants: Grants
) -> None:
    """Change a Service as the server does since 1.23."""
    behaviour, old = backend.behaviour, stored.spec
    carry_values(spec, old, behaviour)
    normalize_ips(spec, old)
    untouched = False
    if spec.type != "ExternalName":
        _refuse(ip_field_errors(spec, behaviour=behaviour, old=old), grants)
        untouched = _decide_families(spec, old, backend, grants)
    if not untouched:
        _reallocate_ips(spec, old, backend, grants)
    regrant_node_ports(spec, old, ports=backend.ports, grants=grants, behaviour=behaviour)
    drop_disabled(spec, old, behaviour)
    clear_for_type(spec, old, behaviour)
    _refuse(_update_errors(spec, metadata, stored, behaviour), grants)


def _update_errors(
    spec: ServiceSpec, metadata: Mapping[str, Any], stored: Stored, behaviour: Behaviour
) -> list[FieldError]:
    """Validate a change."""
    pair = (stored.spec, stored.metadata)
    checked = behaviour.families.generation == "store"
    changed = metadata_map_errors(metadata) + change_errors(spec, stored.spec, behaviour)
    return changed + service_errors(spec, metadata, behaviour=behaviour, stored=pair, ips_checked=checked)


def family_shape(spec: ServiceSpec, old: ServiceSpec | None, cluster: tuple[str, ...]) -> FamilyShape:
    """Reduce a Service to what its families depend on.

    Parameters
    ----------
    spec : ServiceSpec
        Validated as far as `ip_field_errors` goes.
    old : ServiceSpec or None
        As stored.
    cluster : tuple of str
        Families of the server.

    Returns
    -------
    FamilyShape
        The shape.

    Raises
    ------
    None
        Every spec has an answer.
    """
    headless = spec.cluster_ip == NONE
    ips = () if headless else tuple(ip_family_of(text) for text in spec.cluster_ips or ())
    before = None
    if old is not None:
        before = FamilyBefore(
            policy=old.ip_family_policy,
            same_type=old.type == spec.type,
            same_ips=(old.cluster_ips or []) == (spec.cluster_ips or []),
            same_families=(old.ip_families or []) == (spec.ip_families or []),
            ip_count=len(old.cluster_ips or ()),
            family_count=len(old.ip_families or ()),
        )
    families = tuple(spec.ip_families or ())
    return FamilyShape(spec.ip_family_policy, families, ips, headless, bool(spec.selector), cluster, before)


def _decide_families(spec: ServiceSpec, old: ServiceSpec | None, backend: Backend, grants: Grants) -> bool:
    """Fill in policy and families by the table; say whether the update touches nothing."""
    if not backend.behaviour.dual_stack:
        return False
    outcome = resolve(family_shape(spec, old, backend.addresses.families), backend.behaviour.families)
    if outcome.untouched:
        return True
    spec.ip_family_policy = outcome.policy
    if outcome.refusals:
        _refuse([_complaint(refusal, outcome, spec) for refusal in outcome.refusals], grants)
    spec.ip_families = list(outcome.families)
    if spec.cluster_ips and spec.cluster_ip != NONE:
        spec.cluster_ips = spec.cluster_ips[: outcome.ip_count]
    return False


def _complaint(refusal: Refusal, outcome: FamilyOutcome, spec: ServiceSpec) -> FieldError:
    """Print a refusal of the table with this Service's values."""
    ips = spec.cluster_ips[: outcome.ip_count] if spec.cluster_ips and spec.cluster_ip != NONE else spec.cluster_ips
    values: dict[str, object] = {"policy": outcome.policy, "cluster_ips": GoList(ips), "family": refusal.family}
    return invalid(refusal.path, values[refusal.value], refusal.detail)


def _allocate_ips(spec: ServiceSpec, backend: Backend, grants: Grants) -> None:
    """Reserve or allocate an address of each family."""
    if spec.cluster_ips and spec.cluster_ips[0] == NONE:
        return
    if not backend.behaviour.dual_stack:
        primary = IPFamily(backend.addresses.families[0])
        spec.cluster_ip = _take_ip(primary, spec.cluster_ip, shown=spec.cluster_ips, backend=backend, grants=grants)
        spec.cluster_ips = [spec.cluster_ip]
        return
    families = spec.ip_families or []
    asked = list(spec.cluster_ips or ()) + [""] * (len(families) - len(spec.cluster_ips or ()))
    granted = [
        _take_ip(IPFamily(f), text, shown=asked, backend=backend, grants=grants)
        for f, text in zip(families, asked, strict=False)
    ]
    spec.cluster_ips = granted
    spec.cluster_ip = granted[0]


def _take_ip(family: IPFamily, text: str, *, shown: list[str] | None, backend: Backend, grants: Grants) -> str:
    """Reserve the address asked for, or take any."""
    if family.value not in backend.addresses.families:
        # the server looks up the family's allocator, finds none and calls it all the same (allocIPs of alloc.go)
        words = "runtime error: invalid memory address or nil pointer dereference"
        raise Rejected(words, code=0, reason="ServerPanic")
    if not text:
        try:
            value = backend.addresses.allocate_next(family, owner=grants.owner)
        except PoolFull as error:
            whose = f' for Service "{grants.name}"' if backend.behaviour.full_range_names_service else ""
            raise internal_error(f"failed to allocate a serviceIP{whose}: {error}") from None
        grants.ips.append((family, value))
        return format_address(family, value)
    address = read_ip(text)
    problem = "not an address"
    if address is not None:
        try:
            backend.addresses.allocate(family, address, owner=grants.owner)
        except (AlreadyAllocated, NotInRange) as error:
            problem = str(error)
        else:
            grants.ips.append(address)
            return text
    if backend.behaviour.families.generation == "rest":
        words = f"failed to allocated ip:{text} with error:{problem}"
    else:
        words = f"failed to allocate IP {text}: {problem}"
    _refuse([invalid("spec.clusterIPs", GoList(shown), words)], grants)
    return text


def _reallocate_ips(spec: ServiceSpec, old: ServiceSpec, backend: Backend, grants: Grants) -> None:
    """Allocate what an update adds, and note what it gives up."""
    if old.type == "ExternalName" and spec.type != "ExternalName":
        _allocate_ips(spec, backend, grants)
        return
    leaves = old.type != "ExternalName" and spec.type == "ExternalName"
    headless = bool(old.cluster_ips) and old.cluster_ips is not None and old.cluster_ips[0] == NONE
    if headless:
        panics = leaves and backend.behaviour.dual_stack and len(old.ip_families or ()) == 2
        if panics and backend.behaviour.families.generation == "rest":
            words = "runtime error: index out of range [1] with length 1"
            raise Rejected(words, code=0, reason="ServerPanic")
        return
    if leaves:
        grants.give_up_ips += [address for text in old.cluster_ips or () if (address := read_ip(text)) is not None]
        return
    if not backend.behaviour.dual_stack or spec.type == "ExternalName":
        return
    before, after = old.ip_families or [], spec.ip_families or []
    if len(before) == 1 and len(after) == 2:
        asked = list(spec.cluster_ips or ())[:2]
        asked += [""] * (2 - len(asked))
        spec.cluster_ips = [
            asked[0],
            _take_ip(IPFamily(after[1]), asked[1], shown=asked, backend=backend, grants=grants),
        ]
    elif len(before) == 2 and len(after) == 1:
        second = read_ip((old.cluster_ips or ["", ""])[1])
        if second is not None:
            grants.give_up_ips.append(second)

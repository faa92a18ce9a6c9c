"""A whole batch of Services: each distinct shape is put to the server once, and the answer is handed to all its rows.

What the API server says to a Service without addresses or ports of its own depends on few columns: type, policy,
families, headless or not, with selector or not, number of ports. A million rows have a handful of such shapes.

Promises: verdict, words, policy, families and needs of a row are those that `ControlPlane` gives to it alone while its
ranges have room; that includes version, gates and every check. A row may say that it names addresses or ports itself:
it is decided as one whose addresses and ports are free.

Not known here: which rows a range has room for (needs are counted, pools are the caller's), whether an address or port
that a Service names is free, equal names.

Sources: those of `dsmodel.kube.control_plane`, which answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import InvalidInput, Reason, Rejected
from dsmodel.kube.services.spec import NONE
from dsmodel.kube.syntax import read_ip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.kube.control_plane import ControlPlane

__all__ = ["COLUMNS", "BatchDecision", "ShapeDecision", "decide_batch"]

COLUMNS: dict[str, Any] = {
    "type": "ClusterIP",
    "ip_family_policy": "",
    "ip_families": "",
    "headless": False,
    "selector": True,
    "ports": 1,
    "external_traffic_policy": "",
    "allocate_load_balancer_node_ports": True,
    "cluster_ips": "",
    "node_port": False,
    "health_check_node_port": False,
}
"""The columns that make a shape, with what a missing one means. ``ip_families`` is text, ``"IPv6,IPv4"``; so is
``cluster_ips``, the families of the addresses that a new Service names. ``node_port`` and ``health_check_node_port``
say whether a new Service names the node port of its first port, and its health-check port."""

_HOLDS = {str: "text", bool: "true or false", int: "a count"}
_MOST_PORTS = 1000
_NAME = {"name": "row", "namespace": "default"}
_ELSEWHERE = {"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"}


@dataclass(frozen=True, slots=True)
class ShapeDecision:
    """What the server says to one shape.

    Parameters
    ----------
    code : int
        200, or the HTTP code of the refusal.
    message : str
        The server's words; empty when accepted.
    ip_family_policy, ip_families : str
        As stored; families with a comma between them. As before where a change is refused.
    needs : tuple of int
        IPv4 addresses, IPv6 addresses and node ports taken; negative where a change gives back.
    external_traffic_policy : str, default ""
        As stored.
    health_check : bool, default False
        Whether one of the node ports is for health checks.
    """

    code: int
    message: str
    ip_family_policy: str
    ip_families: str
    needs: tuple[int, int, int]
    external_traffic_policy: str = ""
    health_check: bool = False

    @property
    def reason(self) -> Reason:
        """Sort the answer.

        Returns
        -------
        Reason
            OK; FAMILY_NOT_CONFIGURED where the server lacks a family, POOL_FULL where even an empty range is too
            small, REJECTED for the rest.
        """
        if self.code == 200:
            return Reason.OK
        if "range is full" in self.message:
            return Reason.POOL_FULL
        return Reason.FAMILY_NOT_CONFIGURED if "not configured" in self.message else Reason.REJECTED


@dataclass(frozen=True, eq=False)
class BatchDecision:
    """What the server says to each row of a batch.

    Parameters
    ----------
    of_row : ndarray of intp, shape (n,)
        Which of `shapes` a row has.
    shapes : tuple of ShapeDecision
        One for each distinct shape.
    """

    of_row: NDArray[np.intp]
    shapes: tuple[ShapeDecision, ...]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.of_row)

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Say which rows are accepted.

        Returns
        -------
        ndarray of bool, shape (n,)
            True where the server accepts.
        """
        return self._column([shape.code == 200 for shape in self.shapes], np.bool_)

    @property
    def reason(self) -> NDArray[np.uint8]:
        """Give the reason codes.

        Returns
        -------
        ndarray of uint8, shape (n,)
            See `ShapeDecision.reason`.
        """
        return self._column([shape.reason for shape in self.shapes], np.uint8)

    @property
    def needs(self) -> NDArray[np.int64]:
        """Count what each row takes; nothing where it is refused.

        Returns
        -------
        ndarray of int64, shape (n, 3)
            IPv4 addresses, IPv6 addresses, node ports.
        """
        return self._column([shape.needs for shape in self.shapes], np.int64).reshape(-1, 3)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Lay the answers out, one entry for each row of the batch.

        Returns
        -------
        dict of str to ndarray, shape (n,)
            ``ok``, ``code``, ``message``, ``ip_family_policy``, ``ip_families``; the last three are texts.

        Raises
        ------
        None
            Every decision can be shown.
        """
        names = ("message", "ip_family_policy", "ip_families")
        texts = {name: self._column([getattr(shape, name) for shape in self.shapes], object) for name in names}
        return {"ok": self.ok, "code": self._column([shape.code for shape in self.shapes], np.int16), **texts}

    def _column(self, values: list[Any], dtype: Any) -> NDArray[Any]:
        return np.asarray(values, dtype)[self.of_row] if values else np.empty(0, dtype)


def decide_batch(
    rows: Mapping[str, ArrayLike], *, server: ControlPlane, stored: Mapping[str, ArrayLike] | None = None
) -> BatchDecision:
    """Decide many new Services, or many changes of stored ones.

    Parameters
    ----------
    rows : mapping of str to array-like
        Columns of `COLUMNS`, a DataFrame for example; one value stands for all rows, a missing column for its default.
    server : ControlPlane
        Whose rules apply; it is not changed. Use one with room, such as a new one with the flags of the cluster.
    stored : mapping of str to array-like, optional
        The same columns as the Services are stored. Each row is then a read, the change of the columns in `rows`, and
        a write: what `rows` does not name stays. A row that the server would not have stored is refused with its words.

    Returns
    -------
    BatchDecision
        Arrays over rows, in order.

    Raises
    ------
    InvalidInput
        If a column has another name, lengths differ, or a row cannot be a Service at all.

    Examples
    --------
    >>> from dsmodel import ControlPlane
    >>> server = ControlPlane(service_cidrs=["10.96.0.0/16"])
    >>> batch = decide_batch({"ip_family_policy": ["PreferDualStack", "RequireDualStack"]}, server=server)
    >>> batch.ok.tolist(), batch.needs.tolist()
    ([True, False], [[1, 0, 0], [0, 0, 0]])
    >>> both = ControlPlane(service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"])
    >>> change = decide_batch({"ip_family_policy": "PreferDualStack"}, server=both, stored={"type": ["ClusterIP"] * 3})
    >>> change.needs.sum(axis=0).tolist()
    [0, 3, 0]
    """
    columns = {f"new {name}": values for name, values in rows.items()}
    columns |= {f"old {name}": values for name, values in ({} if stored is None else stored).items()}
    unknown = [name for name in columns if name[4:] not in COLUMNS]
    if unknown:
        raise InvalidInput(f"no column {unknown[0][4:]!r}; a shape consists of {', '.join(COLUMNS)}")
    of_row, distinct = _distinct(columns)
    decisions = []
    for values in distinct:
        found = dict(zip(columns, values, strict=True))
        new = {name[4:]: value for name, value in found.items() if name.startswith("new ")}
        old = {name[4:]: value for name, value in found.items() if name.startswith("old ")}
        twin = server.copy()
        decisions.append(_create(twin, new) if stored is None else _change(twin, new=new, old=old))
    return BatchDecision(of_row, tuple(decisions))


def _distinct(columns: Mapping[str, ArrayLike]) -> tuple[NDArray[np.intp], list[tuple[Any, ...]]]:
    """Find the distinct rows, in order of appearance."""
    lengths = {len(_array(values)) for values in columns.values() if np.ndim(values)} or {1}
    if len(lengths) > 1:
        raise InvalidInput(f"columns of {' and '.join(map(str, sorted(lengths)))} rows; give each as many")
    (n,) = lengths
    of_row = np.zeros(n, np.intp)
    values_of = {}
    for name, values in columns.items():
        codes, words = _factorised(_array(values))
        values_of[name] = codes if np.ndim(values) else np.zeros(n, np.intp), words
        if np.ndim(values):
            of_row, _ = _factorised(of_row * len(words) + codes)
    first = np.unique(of_row, return_index=True)[1]
    rows = [tuple(words[codes[row]] for codes, words in values_of.values()) for row in first.tolist()]
    return of_row, rows


def _array(values: ArrayLike) -> NDArray[Any]:
    """Keep each value of a list as it is, without numpy's common type."""
    if isinstance(values, (list, tuple)) or not np.ndim(values):
        listed = values if isinstance(values, (list, tuple)) else [values]
        held = np.empty(len(listed), object)
        held[:] = listed
        return held
    return np.asarray(values)


def _factorised(values: NDArray[Any]) -> tuple[NDArray[np.intp], list[Any]]:
    """Assign numbers to the distinct values; missing ones are None."""
    if values.dtype == np.bool_:
        return values.astype(np.intp), [False, True]
    listed = values.tolist()
    if values.dtype.kind in "Of":
        listed = [None if _missing(value) else value for value in listed]
    try:
        numbers = {value: number for number, value in enumerate(dict.fromkeys(listed))}
    except TypeError:
        raise InvalidInput(f"{listed[0]!r}: a column holds texts, truth values or counts") from None
    return np.fromiter(map(numbers.__getitem__, listed), np.intp, len(listed)), list(numbers)


def _spec(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write a shape as a Service's spec."""
    shape = COLUMNS | {name: COLUMNS[name] if _missing(value) else value for name, value in values.items()}
    for name, default in COLUMNS.items():
        if isinstance(default, str) != isinstance(shape[name], str):
            raise InvalidInput(f"{name}={shape[name]!r}: this column holds {_HOLDS[type(default)]}")
    count = int(shape["ports"])
    if not 0 <= count <= _MOST_PORTS:
        raise InvalidInput(f"ports={count}: a Service of this batch has 0 to {_MOST_PORTS}")
    spec = {
        "type": shape["type"],
        "ipFamilyPolicy": shape["ip_family_policy"] or None,
        "ipFamilies": shape["ip_families"].split(",") if shape["ip_families"] else None,
        "clusterIP": NONE if shape["headless"] else None,
        "selector": {"app": "row"} if shape["selector"] else None,
        "externalTrafficPolicy": shape["external_traffic_policy"] or None,
        "allocateLoadBalancerNodePorts": None if shape["allocate_load_balancer_node_ports"] else False,
        "externalName": "row.example" if shape["type"] == "ExternalName" else None,
        "ports": [{"name": f"p{n}", "port": n + 1} for n in range(count)],
    }
    return {name: value for name, value in spec.items() if value is not None}


def _missing(value: object) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN


def _create(server: ControlPlane, new: Mapping[str, Any]) -> ShapeDecision:
    """Put one shape to the server as a new Service."""
    spec = _spec(new)
    _name_free(spec, new, server)
    try:
        stored = server.create(_service(spec))
    except Rejected as refusal:
        return ShapeDecision(refusal.code, refusal.message, "", "", (0, 0, 0))
    return _accepted(stored["spec"], {})


def _service(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Write a Service."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": _NAME, "spec": spec}


def _name_free(spec: dict[str, Any], new: Mapping[str, Any], server: ControlPlane) -> None:
    """Name addresses and ports that are free, where the shape says that the Service names some."""
    families = new.get("cluster_ips")
    if families and not _missing(families):
        spec["clusterIPs"] = [_free_address(family, server.copy()) for family in families.split(",")]
        spec.setdefault("clusterIP", spec["clusterIPs"][0])
    named = [name for name in ("node_port", "health_check_node_port") if new.get(name) is True]
    if named:
        node_port, health_check = _free_ports(server.copy())
        if "node_port" in named and spec["ports"]:
            spec["ports"][0]["nodePort"] = node_port
        if "health_check_node_port" in named:
            spec["healthCheckNodePort"] = health_check


def _free_address(family: str, server: ControlPlane) -> str:
    """Find an address that a Service could name; one of no range where the family has none."""
    try:
        found = server.create(_service(_spec({"ip_families": family})))["spec"]["clusterIP"]
    except Rejected:
        found = ""
    address = read_ip(found)
    return found if address is not None and address[0] == family else _ELSEWHERE[family]


def _free_ports(server: ControlPlane) -> tuple[int, int]:
    """Find two node ports that a Service could name; ports of no range where there are none."""
    try:
        ports = server.create(_service(_spec({"type": "NodePort", "ports": 2})))["spec"]["ports"]
    except Rejected:
        return 1, 2
    return ports[0]["nodePort"], ports[1]["nodePort"]


def _change(server: ControlPlane, *, new: Mapping[str, Any], old: Mapping[str, Any]) -> ShapeDecision:
    """Put one shape to the server as a change."""
    stored = _create(server, old)
    if stored.code != 200:
        return stored
    before = server.get("Service", _NAME["name"])
    asked = _spec(dict(old) | dict(new))
    spec = dict(before["spec"])
    for name, field in _FIELDS.items():
        if name in new:
            spec.pop(field, None)
            spec |= {field: asked[field]} if field in asked else {}
    if "headless" in new:
        spec.pop("clusterIPs", None)
    if "externalName" in asked:
        spec["externalName"] = asked["externalName"]
    try:
        after = server.replace(before | {"spec": spec})
    except Rejected as refusal:
        policy, families = stored.ip_family_policy, stored.ip_families
        return ShapeDecision(refusal.code, refusal.message, policy, families, (0, 0, 0))
    return _accepted(after["spec"], before["spec"])


_FIELDS = {
    "type": "type",
    "ip_family_policy": "ipFamilyPolicy",
    "ip_families": "ipFamilies",
    "headless": "clusterIP",
    "selector": "selector",
    "ports": "ports",
    "external_traffic_policy": "externalTrafficPolicy",
    "allocate_load_balancer_node_ports": "allocateLoadBalancerNodePorts",
}


def _accepted(spec: Mapping[str, Any], before: Mapping[str, Any]) -> ShapeDecision:
    """Read the answer from the stored spec."""
    held, given_back = _holdings(spec), _holdings(before)
    needs = (held[0] - given_back[0], held[1] - given_back[1], held[2] - given_back[2])
    return ShapeDecision(
        200,
        "",
        spec.get("ipFamilyPolicy") or "",
        ",".join(spec.get("ipFamilies") or ()),
        needs,
        spec.get("externalTrafficPolicy") or "",
        bool(spec.get("healthCheckNodePort")),
    )


def _holdings(spec: Mapping[str, Any]) -> tuple[int, int, int]:
    """Count a Service's addresses by family and its node ports."""
    texts = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    families = [address[0] for address in map(read_ip, texts) if address is not None]
    ports = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    ports |= {spec["healthCheckNodePort"]} if spec.get("healthCheckNodePort") else set()
    return families.count(IPFamily.IPV4), families.count(IPFamily.IPV6), len(ports)

"""The configuration of one cluster as far as addressing goes: ranges, masks, ports, gates, and how each is known.

`ClusterConfig` holds what the components' flags say once defaults are filled in. It refuses values that mean nothing
(text that is no CIDR, two ranges of one family, ports out of order). It does not judge whether the components would
start with it: that is `dsmodel.kube.flags`, rule by rule and version by version.

Sources: ``cmd/kube-apiserver/app/options``, ``cmd/kube-controller-manager/app/core.go`` and
``pkg/kubelet/apis/config/v1beta1/defaults.go`` of v1.20.2 and v1.36.2; ``PortRange.Set`` of
``k8s.io/apimachinery/pkg/util/net/port_range.go``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cards import Card, Section
from dsmodel.errors import InvalidCidr, InvalidConfig
from dsmodel.kube.versions import NEWEST, KubeVersion

__all__ = ["DEFAULT_NODE_MASKS", "DEFAULT_NODE_PORTS", "ClusterConfig", "field_text", "parse_port_range"]

# kube-controller-manager: prefix length of a node's block when no flag names one
DEFAULT_NODE_MASKS = {IPFamily.IPV4: 24, IPFamily.IPV6: 64}
# kube-apiserver: first and last node port when no flag names a range
DEFAULT_NODE_PORTS = (30000, 32767)
# kubelet: maxPods when its configuration does not say
DEFAULT_MAX_PODS = 110

_LAST_PORT = 65535
_LONG = 20  # digits of a number that is none of these
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")


def parse_port_range(text: str) -> tuple[int, int]:
    """Read a port range as ``--service-node-port-range`` does.

    Parameters
    ----------
    text : str
        ``"a-b"``, ``"a+n"`` (a and the n ports after it), ``"a"``, or empty for the default range.

    Returns
    -------
    tuple of int
        First and last port.

    Raises
    ------
    InvalidConfig
        Not one of these forms, above 65535, or the wrong way round; in the component's words.

    Notes
    -----
    Source: ``PortRange.Set`` of ``k8s.io/apimachinery/pkg/util/net/port_range.go``.

    Examples
    --------
    >>> parse_port_range("30000-32767"), parse_port_range("30000+10"), parse_port_range("30000")
    ((30000, 32767), (30000, 30010), (30000, 30000))
    >>> parse_port_range("32767-30000")
    Traceback (most recent call last):
    dsmodel.errors.InvalidConfig: end port cannot be less than start port: 32767-30000
    """
    text = text.strip()
    if not text:
        return DEFAULT_NODE_PORTS
    if "-" in text and "+" in text:
        raise InvalidConfig(f"unable to parse port range: {text}")
    separator = next((sign for sign in "-+" if sign in text), "")
    left, _, right = text.partition(separator) if separator else (text, "", text)
    first, last = _atoi(left), _atoi(right)
    if separator == "+":
        last += first
    if max(first, last) > _LAST_PORT:
        raise InvalidConfig(f"the port range cannot be greater than {_LAST_PORT}: {text}")
    if last < first:
        raise InvalidConfig(f"end port cannot be less than start port: {text}")
    return first, last


def _atoi(text: str) -> int:
    """Read a whole number in the words of Go's strconv."""
    if not _WHOLE_NUMBER.fullmatch(text):
        raise InvalidConfig(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


@dataclass(frozen=True, repr=False)
class ClusterConfig:
    """What a cluster was told about addresses, with defaults filled in.

    Use `ClusterConfig.of` to make one from text.

    Parameters
    ----------
    kube_version : KubeVersion
        Version of the control plane.
    cluster_cidrs : tuple of Cidr
        ``--cluster-cidr`` of kube-controller-manager, in its order; empty where a plugin brings its own pools.
    service_cidrs : tuple of Cidr
        ``--service-cluster-ip-range`` of kube-apiserver; the first one's family is the default family of Services.
    node_cidr_mask_sizes : mapping of IPFamily to int
        Prefix length of a node's block, one entry a family of `cluster_cidrs`.
    service_node_port_range : tuple of int
        First and last node port.
    max_pods : int
        kubelet's ``maxPods``, Pods a node.
    feature_gates : mapping of str to bool
        Overrides only; ask `gate` for what holds.
    extra_service_cidrs : tuple of Cidr
        ServiceCIDR objects beside the flags' ranges.
    evidence : mapping of str to str
        Field name to how its value is known: a flag and the Pod it was read from, ``"default"``, or what it was
        inferred from.

    Raises
    ------
    InvalidConfig
        More than one range of a family in one list, a mask size that is no prefix length, ports out of order.

    Examples
    --------
    >>> config = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16", "fd00:10:244::/56"], service_cidrs=["10.96.0.0/16"])
    >>> [str(family) for family in config.ip_families], config.is_dual_stack
    (['IPv4', 'IPv6'], False)
    >>> config.node_cidr_mask_sizes[IPFamily.IPV6], config.evidence["service_cidrs"]
    (64, 'given')
    """

    kube_version: KubeVersion
    cluster_cidrs: tuple[Cidr, ...] = ()
    service_cidrs: tuple[Cidr, ...] = ()
    node_cidr_mask_sizes: Mapping[IPFamily, int] = field(default_factory=dict, hash=False)
    service_node_port_range: tuple[int, int] = DEFAULT_NODE_PORTS
    max_pods: int = DEFAULT_MAX_PODS
    feature_gates: Mapping[str, bool] = field(default_factory=dict, hash=False)
    extra_service_cidrs: tuple[Cidr, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        _check_families("cluster_cidrs", self.cluster_cidrs)
        _check_families("service_cidrs", self.service_cidrs)
        for family, mask in self.node_cidr_mask_sizes.items():
            if not 0 < mask <= IPFamily(family).bits:
                raise InvalidConfig(
                    f"node_cidr_mask_sizes[{family}] is {mask}, and a prefix length of {family} is 1 to "
                    f"{IPFamily(family).bits}"
                )
        first, last = self.service_node_port_range
        if not 0 <= first <= last <= _LAST_PORT:
            raise InvalidConfig(f"service_node_port_range {first}-{last} is not first <= last within 0-{_LAST_PORT}")
        if self.max_pods < 0:
            raise InvalidConfig(f"max_pods is {self.max_pods}; kubelet takes 0 or more")

    @classmethod
    def of(  # noqa: PLR0913 - one keyword a field of the configuration, all optional
        cls,
        *,
        kube_version: str | KubeVersion | None = None,
        cluster_cidrs: Iterable[str | Cidr] = (),
        service_cidrs: Iterable[str | Cidr] = (),
        node_cidr_mask_sizes: Mapping[Any, int] | None = None,
        service_node_port_range: str | tuple[int, int] = DEFAULT_NODE_PORTS,
        max_pods: int = DEFAULT_MAX_PODS,
        feature_gates: Mapping[str, bool] | None = None,
        extra_service_cidrs: Iterable[str | Cidr] = (),
        evidence: Mapping[str, str] | None = None,
    ) -> ClusterConfig:
        """Make a configuration from text and numbers.

        Parameters
        ----------
        kube_version : str or KubeVersion, optional
            Version of the control plane; the newest modelled one by default.
        cluster_cidrs, service_cidrs, extra_service_cidrs : iterable of str or Cidr
            Ranges in flag order; host bits are masked, as the components do. One text with commas is read as the flag.
        node_cidr_mask_sizes : mapping, optional
            Keyed by ``"IPv4"``/``"IPv6"``; missing families get 24 and 64.
        service_node_port_range : str or tuple of int
            ``"30000-32767"`` or first and last port.
        max_pods : int
            Pods a node.
        feature_gates : mapping of str to bool, optional
            Overrides.
        evidence : mapping of str to str, optional
            How fields are known; fields given here and not named say ``"given"``, others ``"default"``.

        Returns
        -------
        ClusterConfig
            With effective mask sizes and evidence for every field.

        Raises
        ------
        InvalidConfig
            A range, mask size or port range that means nothing; the message names it.
        UnsupportedVersion
            A version outside the window.

        Examples
        --------
        >>> ClusterConfig.of(cluster_cidrs="10.244.0.0/16,fd00:10:244::/48").is_dual_stack
        True
        """
        blocks = _cidrs("cluster_cidrs", cluster_cidrs)
        ports = service_node_port_range
        words = "give '30000-32767', or first and last port"
        if not isinstance(ports, str) and not (isinstance(ports, Sequence) and len(ports) == 2):
            raise _unfit("service_node_port_range", ports, words)
        config = cls(
            kube_version=KubeVersion(kube_version or f"1.{NEWEST}"),
            cluster_cidrs=blocks,
            service_cidrs=_cidrs("service_cidrs", service_cidrs),
            node_cidr_mask_sizes=_masks(blocks, _mapping("node_cidr_mask_sizes", node_cidr_mask_sizes)),
            service_node_port_range=parse_port_range(ports)
            if isinstance(ports, str)
            else (_whole("service_node_port_range", ports[0]), _whole("service_node_port_range", ports[1])),
            max_pods=_whole("max_pods", max_pods),
            feature_gates=_gates(_mapping("feature_gates", feature_gates)),
            extra_service_cidrs=_cidrs("extra_service_cidrs", extra_service_cidrs),
        )
        named = {"kube_version": kube_version, "node_cidr_mask_sizes": node_cidr_mask_sizes}
        given = {name for name, value in named.items() if value}
        known = {entry.name: _origin(config, entry.name, given) for entry in fields(cls) if entry.name != "evidence"}
        told = {str(name): str(why) for name, why in _mapping("evidence", evidence).items()}
        object.__setattr__(config, "evidence", {**known, **told})
        return config

    @property
    def ip_families(self) -> tuple[IPFamily, ...]:
        """Families in use, that of the first service range first.

        Raises
        ------
        None
            Empty when neither list names a range.

        Examples
        --------
        >>> ClusterConfig.of(service_cidrs=["fd00::/112"], cluster_cidrs=["10.0.0.0/16"]).ip_families[0].value
        'IPv6'
        """
        return tuple(dict.fromkeys(cidr.family for cidr in (*self.service_cidrs, *self.cluster_cidrs)))

    @property
    def is_dual_stack(self) -> bool:
        """Whether every list that names a range names one of each family.

        Raises
        ------
        None
            False when neither list names a range.

        Examples
        --------
        >>> ClusterConfig.of(service_cidrs=["10.96.0.0/16"]).is_dual_stack
        False
        """
        lists = [cidrs for cidrs in (self.cluster_cidrs, self.service_cidrs) if cidrs]
        return bool(lists) and all(len(cidrs) > 1 for cidrs in lists)

    def card(self) -> Card:
        """Show every field, those that differ from the default marked, and how each is known.

        Returns
        -------
        Card
            As plain text and as HTML.

        Raises
        ------
        None
            Every configuration has one.

        Examples
        --------
        >>> ClusterConfig.of(kube_version="1.36", service_cidrs=["10.96.0.0/16"], max_pods=250)
        Configuration of Kubernetes 1.36, IPv4
        Fields (* differs from the default):
          field                    value          known from
          kube_version             1.36           given
          cluster_cidrs            none           default
        * service_cidrs            10.96.0.0/16   given
          node_cidr_mask_sizes     none           default
          service_node_port_range  30000-32767    default
        * max_pods                 250            given
          feature_gates            none           default
          extra_service_cidrs      none           default
        """
        plain = ClusterConfig(self.kube_version)
        rows = []
        for name in (entry.name for entry in fields(self) if entry.name != "evidence"):
            value, known = getattr(self, name), self.evidence.get(name, "")
            differs = value != getattr(plain, name) and not known.startswith("default")
            rows.append(("*" * differs, name, field_text(value) or "none", known))
        title = f"Configuration of Kubernetes {self.kube_version}, {'+'.join(self.ip_families) or 'no family'}"
        header = ("", "field", "value", "known from")
        return Card(title, (Section("Fields (* differs from the default)", rows, header),))

    def __repr__(self) -> str:
        """Return the card as plain text."""
        return self.card().text()

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        return self.card().html()

    def gate(self, name: str) -> bool:
        """Tell whether a feature is on in this cluster.

        Parameters
        ----------
        name : str
            Feature gate, in Kubernetes' spelling.

        Returns
        -------
        bool
            The override in `feature_gates`, else the version's default.

        Raises
        ------
        InvalidConfig
            A gate this model does not know, or an override this version refuses.

        Examples
        --------
        >>> ClusterConfig.of(kube_version="1.20", feature_gates={"IPv6DualStack": True}).gate("IPv6DualStack")
        True
        """
        return self.kube_version.gate(name, self.feature_gates)


def field_text(value: object) -> str:
    """Write a field's value as the flags do.

    Parameters
    ----------
    value : object
        Value of a field of `ClusterConfig`.

    Returns
    -------
    str
        Lists with commas, port ranges with a dash, maps as ``key=value``; empty for nothing.

    Raises
    ------
    None
        Every value has a text.

    Examples
    --------
    >>> field_text((30000, 32767)), field_text({"IPv4": 24}), field_text((Cidr("10.96.0.0/16"),))
    ('30000-32767', 'IPv4=24', '10.96.0.0/16')
    """
    if isinstance(value, dict):
        return ",".join(f"{key}={field_text(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        ports = value and not isinstance(value[0], Cidr)
        return ("-" if ports else ",").join(str(item) for item in value)
    return str(value)


def _check_families(name: str, cidrs: tuple[Cidr, ...]) -> None:
    """Refuse two ranges of one family in one list."""
    families = [cidr.family for cidr in cidrs]
    if len(families) != len(set(families)):
        listed = ",".join(str(cidr) for cidr in cidrs)
        raise InvalidConfig(f"{name} {listed} has two ranges of one family; give one, or one of each family")


def _cidrs(name: str, texts: Iterable[str | Cidr]) -> tuple[Cidr, ...]:
    """Read a list of ranges, naming the one that is none."""
    if not isinstance(texts, str) and (isinstance(texts, bytes | Mapping) or not isinstance(texts, Iterable)):
        raise _unfit(name, texts, "give a list of CIDRs, or text with commas")
    parts = [part for part in texts.split(",") if part] if isinstance(texts, str) else list(texts)
    found = []
    for place, part in enumerate(parts):
        try:
            found.append(part if isinstance(part, Cidr) else Cidr(part, host_bits="mask", syntax="sloppy"))
        except InvalidCidr as error:
            raise InvalidConfig(f"{name}[{place}]: {error}") from error
    return tuple(found)


def _masks(blocks: tuple[Cidr, ...], given: Mapping[Any, int]) -> dict[IPFamily, int]:
    """Give each family of the cluster CIDRs its effective mask size; without cluster CIDRs keep what is given."""
    named = {_family(str(key)): _whole(f"node_cidr_mask_sizes[{key}]", mask) for key, mask in given.items()}
    if not blocks:
        return named
    return {block.family: named.get(block.family, DEFAULT_NODE_MASKS[block.family]) for block in blocks}


def _unfit(name: str, value: object, words: str) -> InvalidConfig:
    """Make the error about a value of a wrong type."""
    return InvalidConfig(f"{name} is {value!r:.60} of type {type(value).__name__}; {words}")


def _mapping(name: str, value: object) -> Mapping[Any, Any]:
    """Return a mapping; an empty one for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _unfit(name, value, "give a mapping")
    return value


def _whole(name: str, value: object) -> int:
    """Return a whole number, also one in digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < _LONG:
        return int(value)
    try:
        if not isinstance(value, bool):
            return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    raise _unfit(name, value, "give a whole number")


def _gates(given: Mapping[Any, Any]) -> dict[str, bool]:
    """Read overrides of gates."""
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, bool):
            raise _unfit(f"feature_gates[{name!r}]", value, "give True or False")
    return dict(given)


def _family(key: str) -> IPFamily:
    """Read a key of a mapping by family."""
    try:
        return IPFamily(key)
    except ValueError:
        raise InvalidConfig(f"node_cidr_mask_sizes has the key {key!r}; use 'IPv4' or 'IPv6'") from None


def _origin(config: ClusterConfig, name: str, given: set[str]) -> str:
    """Say whether a field still has its default."""
    defaults = ClusterConfig(config.kube_version)
    judged = name not in {"kube_version", "node_cidr_mask_sizes"}
    differs = judged and getattr(config, name) != getattr(defaults, name)
    return "given" if name in given or differs else "default"

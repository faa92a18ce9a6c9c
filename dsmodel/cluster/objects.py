"""What policies, plugins and gateways are written in: label sets, and the network objects of a cluster as they are.

Promises label sets kept once each, with a code a row; objects kept as decoded JSON by kind and API group, sorted by
namespace and name, replaced but never changed; the command lines of the agents that run on nodes.

What it does not know: what the objects mean (their plugin's module says), and what the cluster's verbs have changed
since they were read: nodes and pods that come or go leave no trace here.

Sources: kubernetes/api apps/v1 DaemonSet, core/v1 Container, ConfigMap; the manifests of the agents at `AGENTS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.errors import InvalidField

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.kube.label_selectors import LabelSelector

__all__ = ["AGENTS", "NAME_LABEL", "Agent", "LabelSets", "NetworkObjects", "named_namespaces"]

NAME_LABEL: Final = "kubernetes.io/metadata.name"

# container of a DaemonSet, or of one of its Pods -> what the agent is called
AGENTS: Final[Mapping[str, str]] = {
    "antrea-agent": "antrea-agent",
    "aws-node": "aws-node",
    "azure-ip-masq-agent": "azure-ip-masq-agent",
    "calico-node": "calico-node",
    "cilium-agent": "cilium-agent",
    "cni-server": "kube-ovn-cni",
    "ip-masq-agent": "ip-masq-agent",
    "kube-flannel": "kube-flannel-ds",
    "kube-proxy": "kube-proxy",
    "kube-router": "kube-router",
    "ovnkube-controller": "ovnkube-node",
    "ovnkube-node": "ovnkube-node",
}


# label sets --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class LabelSets:
    """The distinct label sets of many objects; a column of codes says which one a row has.

    Parameters
    ----------
    sets : tuple of mapping of str to str
        Each once, not to be changed. The code of a row is its place here; -1 where its labels are not known.
    """

    sets: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def of(cls, mappings: Iterable[Mapping[str, str] | None]) -> tuple[LabelSets, NDArray[np.int32]]:
        """Keep each label set once.

        Parameters
        ----------
        mappings : iterable of mapping of str to str, or None
            Labels of each object; ``{}`` for one without labels, None where they are not known. Kept as they are, so
            do not change them afterwards.

        Returns
        -------
        LabelSets
            In the order of first appearance.
        ndarray of int32, shape (n,)
            Code of each object.

        Raises
        ------
        None
            Every sequence has an answer.

        Examples
        --------
        >>> labels, codes = LabelSets.of([{"app": "web"}, None, {}, {"app": "web"}])
        >>> labels.sets, codes.tolist()
        (({'app': 'web'}, {}), [0, -1, 1, 0])
        """
        return cls().adding_each(mappings)

    def adding_each(self, mappings: Iterable[Mapping[str, str] | None]) -> tuple[LabelSets, NDArray[np.int32]]:
        """Return label sets with those of more objects behind them, codes of before unchanged.

        Parameters
        ----------
        mappings : iterable of mapping of str to str, or None
            Labels of each further object, kept as they are.

        Returns
        -------
        LabelSets
            These sets and the new ones.
        ndarray of int32, shape (n,)
            Code of each further object.

        Raises
        ------
        None
            Every sequence has an answer.

        Examples
        --------
        >>> labels, codes = LabelSets(({"app": "web"},)).adding_each([{"app": "api"}, {"app": "web"}])
        >>> len(labels.sets), codes.tolist()
        (2, [1, 0])
        """
        orders: dict[tuple[str, ...], tuple[int, tuple[str, ...]]] = {}
        sets = list(self.sets)
        codes = {_key(labels, orders): code for code, labels in enumerate(sets)}
        found = []
        for mapping in mappings:
            if mapping is None:
                found.append(-1)
                continue
            code = codes.setdefault(_key(mapping, orders), len(sets))
            if code == len(sets):
                sets.append(mapping)
            found.append(code)
        return LabelSets(tuple(sets)), np.array(found, dtype=np.int32)

    def adding(
        self, labels: Mapping[str, str] | Sequence[Mapping[str, str] | None] | None
    ) -> tuple[LabelSets, NDArray[np.int32]]:
        """Return label sets with those of more objects, as the verbs of a cluster take them.

        Parameters
        ----------
        labels : mapping of str to str, sequence of these, or None
            One for all, or one an object, which are copied; None where they are not known.

        Returns
        -------
        LabelSets
            These sets and the new ones.
        ndarray of int32
            One code for all, of no dimension, or a code each.

        Raises
        ------
        None
            Every one of these has an answer.

        Examples
        --------
        >>> LabelSets().adding({"app": "web"})[1], LabelSets().adding(None)[1]
        (array(0, dtype=int32), array(-1, dtype=int32))
        """
        if labels is None or isinstance(labels, Mapping):
            sets, codes = self.adding_each([None if labels is None else dict(labels)])
            return sets, codes.reshape(())
        return self.adding_each(None if each is None else dict(each) for each in labels)

    def select(self, selector: LabelSelector | Callable[[Mapping[str, str]], bool]) -> NDArray[np.bool_]:
        """Tell which label sets are selected, asking once for each.

        Parameters
        ----------
        selector : LabelSelector, or callable
            Takes labels, answers bool.

        Returns
        -------
        ndarray of bool, shape (len(sets),)
            By code.

        Raises
        ------
        None
            Beyond what the callable raises.

        Examples
        --------
        >>> from dsmodel.kube.label_selectors import read_selector
        >>> labels, _ = LabelSets.of([{"app": "web"}, {"app": "api"}])
        >>> labels.select(read_selector({"matchLabels": {"app": "api"}}))
        array([False,  True])
        """
        matches = selector if callable(selector) else selector.matches
        return np.fromiter(map(matches, self.sets), dtype=np.bool_, count=len(self.sets))

    def select_rows(
        self, selector: LabelSelector | Callable[[Mapping[str, str]], bool], codes: ArrayLike
    ) -> NDArray[np.bool_]:
        """Tell which rows of a table are selected.

        Parameters
        ----------
        selector : LabelSelector, or callable
            Takes labels, answers bool.
        codes : array of int32, shape (n,)
            Column ``labels`` of the table.

        Returns
        -------
        ndarray of bool, shape (n,)
            False where the labels are not known, whatever the selector.

        Raises
        ------
        None
            Beyond what the callable raises.

        Examples
        --------
        >>> labels, codes = LabelSets.of([{"app": "web"}, None, {}])
        >>> labels.select_rows(lambda each: True, codes)
        array([ True, False,  True])
        """
        selected: NDArray[np.bool_] = np.append(self.select(selector), np.False_)[np.asarray(codes)]
        return selected

    def __len__(self) -> int:
        """Return the number of distinct sets."""
        return len(self.sets)

    def __repr__(self) -> str:
        """Return how many there are, and the keys."""
        keys = sorted({key for labels in self.sets for key in labels})
        shown = ", ".join(keys[:4]) + (", …" if len(keys) > 4 else "")
        return f"LabelSets({len(self.sets):,} sets{f'; keys {shown}' if keys else ''})"


def _key(
    labels: Mapping[str, str], orders: dict[tuple[str, ...], tuple[int, tuple[str, ...]]]
) -> tuple[int | str, ...]:
    """Return what is equal for equal labels: a number for the keys, which few sets differ in, then the values."""
    names = tuple(labels)
    found = orders.get(names)
    if found is None:
        order = tuple(sorted(names))
        found = orders[names] = orders.setdefault(order, (len(orders), order))
    return found[0], *map(labels.__getitem__, found[1])


def named_namespaces(namespaces: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    """Give every namespace the label with its name, as the API server does since 1.21.

    Parameters
    ----------
    namespaces : mapping of str to mapping of str to str
        Labels by name.

    Returns
    -------
    dict of str to mapping of str to str
        Sorted by name. A label that is there stays, even a wrong one: it is what selectors see.

    Raises
    ------
    None
        Every mapping has an answer.

    Notes
    -----
    Source: ``SetDefaults_Namespace`` of ``pkg/apis/core/v1/defaults.go``, KEP-2161.

    Examples
    --------
    >>> named_namespaces({"shop": {"team": "a"}})
    {'shop': {'kubernetes.io/metadata.name': 'shop', 'team': 'a'}}
    """
    return {name: {NAME_LABEL: name} | dict(namespaces[name]) for name in sorted(namespaces)}


# network objects ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Agent:
    """Settings of an agent that runs on nodes.

    Parameters
    ----------
    name : str
        A value of `AGENTS`.
    namespace : str
        Where it runs.
    image : str
        Of its container.
    args : tuple of str
        The container's command, then its arguments, as written: a shell's line is one word, ``$(NAME)`` stands for a
        variable.
    env : mapping of str to str
        Variables with a literal value; those taken from Secrets, ConfigMaps or fields are left out.
    """

    name: str
    namespace: str
    image: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class NetworkObjects:
    """The objects that say how a cluster's network is set up, as decoded JSON.

    Parameters
    ----------
    groups : mapping of (str, str) to tuple of dict
        Objects by kind and API group, sorted by namespace and name. Build it with `adding`.

    Examples
    --------
    >>> pool = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": {"name": "v6"}, "spec": {}}
    >>> objects = NetworkObjects().adding([pool])
    >>> objects
    NetworkObjects(1 IPPool.crd.projectcalico.org)
    >>> [each["metadata"]["name"] for each in objects.of("IPPool", "crd.projectcalico.org")]
    ['v6']
    """

    groups: Mapping[tuple[str, str], tuple[dict[str, Any], ...]] = field(default_factory=dict)

    def of(self, kind: str, *groups: str) -> tuple[dict[str, Any], ...]:
        """Return the objects of a kind.

        Parameters
        ----------
        kind : str
            As in the objects.
        *groups : str
            API groups, ``""`` for the core one; any if none is given.

        Returns
        -------
        tuple of dict
            Sorted by namespace, name and group; not to be changed.

        Raises
        ------
        None
            A kind that is not there has no objects.

        Examples
        --------
        >>> NetworkObjects().of("CiliumNode")
        ()
        """
        keys = [key for key in self.groups if key[0] == kind and (not groups or key[1] in groups)]
        if len(keys) == 1:
            return self.groups[keys[0]]
        return tuple(sorted((each for key in sorted(keys) for each in self.groups[key]), key=_place))

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """Return ``data`` of a ConfigMap.

        Parameters
        ----------
        namespace, name : str
            Of the ConfigMap.

        Returns
        -------
        mapping of str to str, or None
            None where the ConfigMap is not known.

        Raises
        ------
        None
            Every name has an answer.

        Examples
        --------
        >>> agent = {"kind": "ConfigMap", "metadata": {"name": "ip-masq-agent", "namespace": "kube-system"}, "data": {}}
        >>> objects = NetworkObjects().adding([agent])
        >>> objects.config_map("kube-system", "ip-masq-agent"), objects.config_map("kube-system", "kube-proxy")
        ({}, None)
        """
        for each in self.of("ConfigMap", ""):
            if _place(each) == (namespace, name):
                return each.get("data") or {}
        return None

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Agents that run on nodes, sorted by name and namespace: from DaemonSets, else from one Pod of each."""
        found: dict[tuple[str, str], Agent] = {}
        for kind, group in (("DaemonSet", "apps"), ("Pod", "")):
            for each in self.of(kind, group):
                spec = _part(each, "spec")
                if kind == "DaemonSet":
                    spec = _part(_part(spec, "template"), "spec")
                for agent in _agents(spec, _place(each)[0]):
                    found.setdefault((agent.name, agent.namespace), agent)
        return tuple(found[key] for key in sorted(found))

    def agent(self, name: str) -> Agent | None:
        """Return the settings of one agent.

        Parameters
        ----------
        name : str
            A value of `AGENTS`.

        Returns
        -------
        Agent or None
            None where it is not known whether the agent runs; of several the one in the first namespace.

        Raises
        ------
        None
            Every name has an answer.

        Examples
        --------
        >>> pod = {"kind": "Pod", "metadata": {"name": "kube-proxy-x", "namespace": "kube-system"},
        ...     "spec": {"containers": [{"name": "kube-proxy", "image": "kube-proxy:v1.36.2",
        ...                              "command": ["kube-proxy"], "args": ["--masquerade-all"]}]}}
        >>> NetworkObjects().adding([pod]).agent("kube-proxy").args
        ('kube-proxy', '--masquerade-all')
        """
        return next((each for each in self.agents if each.name == name), None)

    def adding(self, objects: Iterable[Mapping[str, Any]]) -> NetworkObjects:
        """Return a collection with more objects.

        Parameters
        ----------
        objects : iterable of mapping
            Manifests, or what kubectl prints; lists are looked into. One with the kind, API group, namespace and name
            of another, here or before it, takes its place.

        Returns
        -------
        NetworkObjects
            This one stays as it is.

        Raises
        ------
        InvalidField
            An object without kind or name.

        Examples
        --------
        >>> egress = {"apiVersion": "crd.antrea.io/v1beta1", "kind": "Egress", "metadata": {"name": "a"}}
        >>> len(NetworkObjects().adding([egress, egress, {"kind": "List", "items": []}]))
        1
        """
        fresh: dict[tuple[str, str], dict[tuple[str, str], dict[str, Any]]] = {}
        for each in _flat(objects):
            kind, metadata = each.get("kind"), each.get("metadata")
            if not isinstance(kind, str) or not kind:
                raise InvalidField("kind", kind, "an object says what it is; write for instance kind: IPPool")
            if not isinstance(metadata, Mapping) or not metadata.get("name"):
                raise InvalidField("metadata.name", metadata, f"a {kind} needs a name")
            group = str(each.get("apiVersion") or "").rpartition("/")[0]
            fresh.setdefault((kind, group), {})[_place(each)] = dict(each)
        groups = dict(self.groups)
        for key, later in fresh.items():
            named = {_place(each): each for each in groups.get(key, ())} | later
            groups[key] = tuple(named[place] for place in sorted(named))
        return NetworkObjects({key: groups[key] for key in sorted(groups)})

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """Kind and API group of the objects that are there, sorted."""
        return tuple(sorted(self.groups))

    def __len__(self) -> int:
        """Return the number of objects."""
        return sum(map(len, self.groups.values()))

    def __repr__(self) -> str:
        """Return how many there are of each kind."""
        counts = (f"{len(self.groups[key]):,} {'.'.join(filter(None, key))}" for key in self.kinds)
        return f"NetworkObjects({', '.join(counts)})"


def _place(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return namespace and name of an object."""
    metadata = item.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _flat(objects: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield objects, those inside lists too."""
    for each in objects:
        if not isinstance(each, Mapping):
            raise InvalidField("object", each, "an object is a mapping with kind and metadata")
        if str(each.get("kind") or "List").endswith("List") and isinstance(each.get("items"), list):
            yield from _flat(each["items"])
        else:
            yield each


def _part(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a field that is a mapping; an empty one where it is none."""
    part = item.get(key)
    return part if isinstance(part, Mapping) else {}


def _entries(item: Mapping[str, Any], key: str) -> list[Any]:
    """Return a field that is a list; an empty one where it is none."""
    part = item.get(key)
    return part if isinstance(part, list) else []


def _agents(spec: Mapping[str, Any], namespace: str) -> Iterator[Agent]:
    """Read the agents among a Pod's containers."""
    for container in _entries(spec, "containers"):
        name = AGENTS.get(str(container.get("name"))) if isinstance(container, Mapping) else None
        if name is None:
            continue
        words = (*_entries(container, "command"), *_entries(container, "args"))
        env = {
            str(each.get("name")): each["value"]
            for each in _entries(container, "env")
            if isinstance(each, Mapping) and isinstance(each.get("value"), str)
        }
        image = str(container.get("image") or "")
        yield Agent(name, namespace, image, tuple(map(str, words)), env)

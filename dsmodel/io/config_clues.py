"""What a dump's objects say about the cluster's configuration: one clue a field and object, with its source.

Clues come from ServiceCIDR objects, from the command lines of the control plane's Pods in ``kube-system``, and from
the ConfigMaps that installers leave there. Only ConfigMaps of `dsmodel.io.dump_kinds.CONFIG_MAPS` are opened; their
text is kept for those who read more in it.

What it does not know: which clue to believe (`dsmodel.io.inference`).

Sources: flags of ``cmd/kube-apiserver/app/options`` and ``cmd/kube-controller-manager/app/options``; kubeadm
``ClusterConfiguration`` v1beta2 to v1beta4; KubeletConfiguration v1beta1; KubeProxyConfiguration v1alpha1; Cilium's
``cilium-config``; Calico's ``calico-config``.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidInput
from dsmodel.io.dump_findings import Findings, ObjectName
from dsmodel.io.dump_kinds import COMPONENTS, SYSTEM, opened_name, runs_component
from dsmodel.io.dump_objects import ABSENT, CONFIG_DATA, Container, ObjectReference
from dsmodel.kube.config import DEFAULT_NODE_MASKS, DEFAULT_NODE_PORTS, parse_port_range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dsmodel.io.dump_objects import DumpObject

__all__ = ["Clue", "Clues"]

# how much a source is believed: objects the API server itself keeps, flags, what installers wrote down
FROM_OBJECT, FROM_FLAG, FROM_INSTALLER, FROM_OTHER = range(4)

_IMAGE_TAG = re.compile(r":v?(1\.\d+\.\d+)(?:[-_+.][^:/]*)?(?:@.*)?$")


@dataclass(frozen=True)
class Clue:
    """One value of one configuration field, and where it stands.

    Parameters
    ----------
    field : str
        Field of `dsmodel.kube.config.ClusterConfig`; mask sizes with their family behind a dot.
    value : object
        Hashable, comparable with the other clues of the field.
    source : str
        For the evidence: ``flag --cluster-cidr of pod kube-system/kube-controller-manager-a``.
    rank : int
        The lower is believed.
    is_default : bool
        The component was found and does not set it.
    """

    field: str
    value: Any
    source: str
    rank: int
    is_default: bool = False


_KUBE_PROXY = "kube-proxy"


@dataclass
class Clues:
    """Clues found so far."""

    findings: Findings
    found: list[Clue] = field(default_factory=list)
    service_cidrs: dict[str, tuple[Cidr, ...]] = field(default_factory=dict)
    service_cidr_files: dict[str, str] = field(default_factory=dict)
    ip_addresses: dict[str, tuple[ObjectName, ObjectReference]] = field(default_factory=dict)
    config_maps: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    config_map_files: dict[tuple[str, str], str] = field(default_factory=dict)
    pod_ipam: str = ""
    _met_proxy: bool = False

    def add(self, name: str, value: Any, source: str, *, rank: int, is_default: bool = False) -> None:
        """Keep one clue.

        Parameters
        ----------
        name : str
            Field of the configuration.
        value : object
            What it should be.
        source : str
            Where that stands.
        rank : int
            The lower is believed.
        is_default : bool
            The component was found and does not set it.

        Raises
        ------
        None
            Contradictions are settled later.
        """
        clue = Clue(name, value, source, rank, is_default)
        if not any((known.field, known.value, known.rank) == (name, value, rank) for known in self.found):
            self.found.append(clue)

    def add_pods(self, pods: list[DumpObject], file: str) -> None:
        """Read the command lines of control plane Pods.

        Parameters
        ----------
        pods : list of DumpObject
            Any Pods.
        file : str
            Where they came from.

        Raises
        ------
        None
            A flag nobody understands is a finding.
        """
        for pod in pods:
            about = ObjectName("Pod", SYSTEM, pod.metadata.name, file)
            if runs_component(pod.metadata):
                self._add_component(pod, about)
            elif pod.metadata.namespace == SYSTEM and pod.metadata.name.startswith(_KUBE_PROXY):
                self._add_proxy(pod, about)

    def add_service_cidrs(self, objects: list[DumpObject], file: str) -> None:
        """Read ServiceCIDR objects.

        Parameters
        ----------
        objects : list of DumpObject
            Named objects of kind ServiceCIDR.
        file : str
            Where they came from.

        Raises
        ------
        None
            What is no CIDR is a finding.
        """
        for item in objects:
            about = ObjectName("ServiceCIDR", "", item.metadata.name, file)
            if about.name in self.service_cidrs:
                self.findings.duplicate(about, self.service_cidr_files[about.name])
                continue
            self.service_cidr_files[about.name] = file
            texts = self.findings.decode(item.spec.cidrs, list[str], "spec.cidrs", default=[], about=about)
            cidrs = self._cidrs(",".join(texts), "spec.cidrs", about)
            self.service_cidrs[about.name] = cidrs
            if item.metadata.deletion_timestamp is not ABSENT:
                message = "is being deleted; its range still counts, but hands out no more addresses"
                self.findings.add("info", "service-cidr-terminating", message, about=about)
            if about.name == "kubernetes" and cidrs:
                self.add("service_cidrs", cidrs, "object ServiceCIDR/kubernetes", rank=FROM_OBJECT)

    def add_ip_addresses(self, objects: list[DumpObject], file: str) -> None:
        """Read IPAddress objects.

        Parameters
        ----------
        objects : list of DumpObject
            Named objects of kind IPAddress.
        file : str
            Where they came from.

        Raises
        ------
        None
            A reference of a wrong type is a finding.
        """
        for item in objects:
            about = ObjectName("IPAddress", "", item.metadata.name, file)
            if about.name in self.ip_addresses:
                self.findings.duplicate(about, self.ip_addresses[about.name][0].file)
                continue
            parent = self.findings.decode(
                item.spec.parent_ref, ObjectReference, "spec.parentRef", default=ObjectReference(), about=about
            )
            self.ip_addresses[about.name] = (about, parent)

    def add_config_map(self, item: DumpObject, file: str) -> bool:
        """Open a ConfigMap if it is one of the known ones.

        Parameters
        ----------
        item : DumpObject
            Named object of kind ConfigMap.
        file : str
            Where it came from.

        Returns
        -------
        bool
            False for one that was not opened.

        Raises
        ------
        None
            What cannot be understood is a finding.
        """
        known = opened_name(item.metadata)
        if not known:
            return False
        about = ObjectName("ConfigMap", item.metadata.namespace, item.metadata.name, file)
        key = (about.namespace, about.name)
        if key in self.config_maps:
            self.findings.duplicate(about, self.config_map_files[key])
            return True
        data: dict[str, str] = self.findings.decode(item.data, CONFIG_DATA, "data", default={}, about=about)
        self.config_maps[key], self.config_map_files[key] = data, file
        readers: dict[str, Callable[[Mapping[str, str], ObjectName], None]] = {
            "kubeadm-config": self._add_kubeadm,
            "kube-proxy": self._add_kube_proxy,
            "kubelet-config": self._add_kubelet,
            "kubelet-config-": self._add_kubelet,
            "cilium-config": self._add_cilium,
            "calico-config": self._add_calico,
        }
        if known in readers:
            readers[known](data, about)
        return True

    def _add_component(self, pod: DumpObject, about: ObjectName) -> None:
        """Find the component among a Pod's containers."""
        containers: list[Container] = self.findings.decode(
            pod.spec.containers, list[Container], "spec.containers", default=[], about=about
        )
        for container in containers:
            words = _words([*(container.command or []), *(container.args or [])])
            for component in COMPONENTS:
                if container.name == component or any(_basename(word) == component for word in words[:4]):
                    self._add_flags(component, _flags(words), about, image=container.image)
                    break

    def _add_proxy(self, pod: DumpObject, about: ObjectName) -> None:
        """Read the cluster CIDR of a kube-proxy: one is enough, as all have the same."""
        if self._met_proxy:
            return
        containers: list[Container] = self.findings.decode(
            pod.spec.containers, list[Container], "spec.containers", default=[], about=about
        )
        for container in (each for each in containers if each.name == _KUBE_PROXY):
            self._met_proxy = True
            flags = _flags(_words([*(container.command or []), *(container.args or [])]))
            cidrs = self._cidrs(flags.get("cluster-cidr", ""), "--cluster-cidr", about)
            if cidrs:
                source = f"flag --cluster-cidr of pod {about.namespace}/{about.name}"
                self.add("cluster_cidrs", cidrs, source, rank=FROM_OTHER)

    def _add_flags(self, component: str, flags: Mapping[str, str], about: ObjectName, *, image: str) -> None:
        """Read one component's flags."""
        pod = f"pod {about.namespace}/{about.name}"
        tag = _IMAGE_TAG.search(image)
        if tag and component in image:
            self.add("kube_version", tag.group(1), f"image {image} of {pod}", rank=FROM_FLAG)
        if not any(name in flags for name in ("service-cluster-ip-range", "cluster-cidr", "secure-port")):
            # a wrapper that reads a file, or flags out of sight: silence proves nothing
            self._add_shared(flags, pod, about)
            return
        if component == "kube-apiserver":
            self._add_ports(flags, pod, about)
        elif flags.get("allocate-node-cidrs", "false").lower() in {"true", "1", "t"}:
            self._add_masks(flags, pod, about)
        self._add_shared(flags, pod, about)

    def _add_shared(self, flags: Mapping[str, str], pod: str, about: ObjectName) -> None:
        """Read the flags that are lists of ranges, and the gates."""
        for flag, name in (("service-cluster-ip-range", "service_cidrs"), ("cluster-cidr", "cluster_cidrs")):
            cidrs = self._cidrs(flags.get(flag, ""), f"--{flag}", about)
            if cidrs:
                self.add(name, cidrs, f"flag --{flag} of {pod}", rank=FROM_FLAG)
        gates = _gates(flags.get("feature-gates", ""))
        if gates:
            self.add("feature_gates", gates, f"flag --feature-gates of {pod}", rank=FROM_FLAG)

    def _add_ports(self, flags: Mapping[str, str], pod: str, about: ObjectName) -> None:
        """Read the node port range."""
        flag, name = "service-node-port-range", "service_node_port_range"
        if flag not in flags:
            source = f"default: {pod} does not set --{flag}"
            self.add(name, DEFAULT_NODE_PORTS, source, rank=FROM_FLAG, is_default=True)
            return
        try:
            self.add(name, parse_port_range(flags[flag]), f"flag --{flag} of {pod}", rank=FROM_FLAG)
        except InvalidInput as error:
            self.findings.add("error", "config-invalid", f"--{flag}: {error}", about=about)

    def _add_masks(self, flags: Mapping[str, str], pod: str, about: ObjectName) -> None:
        """Read the mask sizes."""
        for family in IPFamily:
            for flag in (f"node-cidr-mask-size-{family.value.lower()}", "node-cidr-mask-size"):
                text = flags.get(flag, "0")
                if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= family.bits):
                    message = f"--{flag}: {text!r} is no prefix length of {family.value}"
                    self.findings.add("error", "config-invalid", message, about=about)
                elif int(text):
                    # the general flag speaks of whatever single family the cluster has
                    source = f"flag --{flag} of {pod}"
                    self.add(f"node_cidr_mask_sizes.{family.value}", int(text), source, rank=FROM_FLAG)
                    break
            else:
                source = f"default: {pod} does not set --node-cidr-mask-size-{family.value.lower()}"
                value = DEFAULT_NODE_MASKS[family]
                name = f"node_cidr_mask_sizes.{family.value}"
                self.add(name, value, source, rank=FROM_FLAG, is_default=True)

    def _add_kubeadm(self, data: Mapping[str, str], about: ObjectName) -> None:
        """Read kubeadm's ClusterConfiguration."""
        document = self._yaml(data, "ClusterConfiguration", about)
        source = f"ConfigMap {about.namespace}/{about.name}"
        version = document.get("kubernetesVersion")
        if isinstance(version, str):
            version = version.removeprefix("v")[:64]
            self.add("kube_version", version, f"{source}, kubernetesVersion", rank=FROM_INSTALLER)
        networking = _mapping(document.get("networking"))
        for key, name in (("serviceSubnet", "service_cidrs"), ("podSubnet", "cluster_cidrs")):
            cidrs = self._cidrs(str(networking.get(key) or ""), f"networking.{key}", about)
            if cidrs:
                self.add(name, cidrs, f"{source}, networking.{key}", rank=FROM_INSTALLER)
        flags = _extra_args(_mapping(document.get("controllerManager")).get("extraArgs"))
        for family in IPFamily:
            flag = f"node-cidr-mask-size-{family.value.lower()}"
            text = flags.get(flag) or flags.get("node-cidr-mask-size") or ""
            if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= family.bits:
                source_of = f"{source}, controllerManager.extraArgs"
                self.add(f"node_cidr_mask_sizes.{family.value}", int(text), source_of, rank=FROM_INSTALLER)
        ports = _extra_args(_mapping(document.get("apiServer")).get("extraArgs")).get("service-node-port-range")
        if ports:
            try:
                value = parse_port_range(ports)
                self.add("service_node_port_range", value, f"{source}, apiServer.extraArgs", rank=FROM_INSTALLER)
            except InvalidInput as error:
                self.findings.add("error", "config-invalid", f"apiServer.extraArgs: {error}", about=about)

    def _add_kube_proxy(self, data: Mapping[str, str], about: ObjectName) -> None:
        """Read kube-proxy's clusterCIDR."""
        document = self._yaml(data, "config.conf", about)
        cidrs = self._cidrs(str(document.get("clusterCIDR") or ""), "clusterCIDR", about)
        if cidrs:
            self.add("cluster_cidrs", cidrs, f"ConfigMap {SYSTEM}/{about.name}, clusterCIDR", rank=FROM_OTHER)

    def _add_kubelet(self, data: Mapping[str, str], about: ObjectName) -> None:
        """Read the kubelets' maxPods."""
        value = self._yaml(data, "kubelet", about).get("maxPods")
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            self.add("max_pods", value, f"ConfigMap {SYSTEM}/{about.name}, maxPods", rank=FROM_INSTALLER)

    def _add_cilium(self, data: Mapping[str, str], about: ObjectName) -> None:
        """Note that Cilium hands out addresses from its own pools."""
        if data.get("ipam", "cluster-pool") in {"kubernetes", ""}:
            return
        self.pod_ipam = f"Cilium, ipam {data.get('ipam', 'cluster-pool')} (ConfigMap {about.namespace}/{about.name})"

    def _add_calico(self, data: Mapping[str, str], about: ObjectName) -> None:
        """Note that Calico hands out addresses from its own pools."""
        if "calico-ipam" in data.get("cni_network_config", ""):
            self.pod_ipam = f"Calico, calico-ipam (ConfigMap {SYSTEM}/{about.name})"

    def _yaml(self, data: Mapping[str, str], key: str, about: ObjectName) -> Mapping[str, Any]:
        """Read a YAML document out of a ConfigMap."""
        import yaml

        try:
            document = yaml.load(data.get(key, ""), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            text = " ".join(str(error).split())
            self.findings.add("error", "config-invalid", f"data.{key}: is no YAML: {text}", about=about)
            return {}
        return _mapping(document)

    def _cidrs(self, text: str, path: str, about: ObjectName) -> tuple[Cidr, ...]:
        """Read a list of ranges with commas; empty where it means nothing."""
        try:
            cidrs = tuple(Cidr(part.strip(), host_bits="mask") for part in text.split(",") if part.strip())
        except InvalidInput as error:
            self.findings.add("error", "config-invalid", f"{path}: {error}", about=about)
            return ()
        if len({cidr.family for cidr in cidrs}) < len(cidrs):
            message = f"{path}: {text} has two ranges of one family"
            self.findings.add("error", "config-invalid", message, about=about)
            return ()
        return cidrs


def _words(command: list[str]) -> list[str]:
    """Split a command line, also one that a shell gets as a single word."""
    words: list[str] = []
    for word in command:
        if " " in word.strip():
            try:
                words += shlex.split(word)
            except ValueError:
                words += word.split()
        else:
            words.append(word)
    return [word for word in words if word not in {"exec", "/bin/sh", "sh", "-c", "/bin/bash", "bash"}]


def _basename(word: str) -> str:
    """Return the last part of a path."""
    return word.rpartition("/")[2]


def _flags(words: list[str]) -> dict[str, str]:
    """Read ``--name=value`` and ``--name value``; the last one of a name counts."""
    flags: dict[str, str] = {}
    for place, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, sign, value = word[2:].partition("=")
        following = words[place + 1] if place + 1 < len(words) else ""
        if not sign:
            value = following if following and not following.startswith("-") else "true"
        flags[name.replace("_", "-")] = value
    return flags


def _gates(text: str) -> tuple[tuple[str, bool], ...]:
    """Read ``A=true,B=false``."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return tuple(
        sorted({name.strip(): value.strip().lower() in {"true", "t", "1"} for name, _, value in pairs}.items())
    )


def _extra_args(value: object) -> dict[str, str]:
    """Read kubeadm's extraArgs: a mapping, or since v1beta4 a list of name and value."""
    if isinstance(value, dict):
        return {str(key): str(entry) for key, entry in value.items()}
    if isinstance(value, list):
        entries = [_mapping(entry) for entry in value]
        return {str(entry.get("name", "")): str(entry.get("value", "")) for entry in entries}
    return {}


def _mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping, or an empty one."""
    return value if isinstance(value, dict) else {}

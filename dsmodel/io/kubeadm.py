"""kubeadm's configuration and the components' own configuration files as flags.

Promises the flags that ``kubeadm init`` would start the components with: what it derives from ``networking``, what
``extraArgs`` replace (a mapping up to v1beta3, since v1beta4 a list of name and value), and what the documents
``KubeletConfiguration`` and ``KubeProxyConfiguration`` say. Fields of a wrong type are refused as its strict decoder
does.

What it does not know: fields that do not touch addressing, and what ``kubeadm join`` adds on other nodes.

Sources: ``cmd/kubeadm/app/apis/kubeadm/v1beta2`` to ``v1beta4``; KubeletConfiguration v1beta1; KubeProxyConfiguration
v1alpha1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dsmodel.errors import UnsupportedVersion
from dsmodel.io.flag_sheets import CONFIG_FILE, DERIVED
from dsmodel.kube.installers import KubeadmNetworking, judge_kubeadm, kubeadm_flags
from dsmodel.kube.versions import KubeVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dsmodel.io.config_documents import Entry
    from dsmodel.io.flag_sheets import FlagSheet

__all__ = ["add_kubeadm", "add_kubelet_configuration", "add_proxy_configuration", "settle_kubeadm"]

_LISTS_ARGUMENTS: Final = "v1beta4"
_API_VERSIONS: Final = ("v1beta2", "v1beta3", _LISTS_ARGUMENTS)
_COMPONENTS: Final = {"apiServer": "kube-apiserver", "controllerManager": "kube-controller-manager"}
# key of the configuration file, path below the root -> flag
_KUBELET: Final[dict[tuple[str, ...], str]] = {
    ("maxPods",): "max-pods",
    ("podCIDR",): "pod-cidr",
}
_PROXY: Final[dict[tuple[str, ...], str]] = {
    ("bindAddress",): "bind-address",
    ("clusterCIDR",): "cluster-cidr",
    ("detectLocalMode",): "detect-local-mode",
    ("detectLocal", "bridgeInterface"): "pod-bridge-interface",
    ("detectLocal", "interfaceNamePrefix"): "pod-interface-name-prefix",
    ("iptables", "masqueradeAll"): "masquerade-all",
    ("mode",): "proxy-mode",
}


def add_kubeadm(sheet: FlagSheet, document: Entry) -> None:
    """Read a document of group ``kubeadm.k8s.io``.

    Parameters
    ----------
    sheet : FlagSheet
        Is added to.
    document : Entry
        Of any kind of the group.

    Raises
    ------
    InvalidConfig
        An API version that is not read here, or a field of a wrong type; names file, document and line.

    Examples
    --------
    >>> from dsmodel.io.config_documents import read_documents
    >>> from dsmodel.io.flag_sheets import FlagSheet
    >>> sheet = FlagSheet()
    >>> text = "{apiVersion: kubeadm.k8s.io/v1beta4, kind: ClusterConfiguration, kubernetesVersion: v1.31.2}"
    >>> add_kubeadm(sheet, read_documents(text, "kubeadm.yaml")[0])
    >>> sheet.versions
    {'1.31.2': 'kubeadm.yaml, line 1, kubernetesVersion'}
    """
    kind, api_version = document.get("kind"), document.get("apiVersion")
    version = api_version.string().rpartition("/")[2] if api_version else ""
    if api_version and version not in _API_VERSIONS:
        known = ", ".join(_API_VERSIONS)
        raise api_version.error(f"{version!r} is not read here, only {known}; use kubeadm config migrate")
    if kind is None:
        return
    if kind.string() == "ClusterConfiguration":
        _add_version(sheet, document)
        for section, component in _COMPONENTS.items():
            for name, entry in _extra_args(document.get(section, "extraArgs"), version):
                sheet.give(component, name, entry.argument(), where=entry.where)
    elif kind.string() in {"InitConfiguration", "JoinConfiguration"}:
        _add_node(sheet, document, version)


def settle_kubeadm(sheet: FlagSheet, document: Entry, kube_version: KubeVersion) -> None:
    """Add what kubeadm derives from a ``ClusterConfiguration``, and its findings.

    Parameters
    ----------
    sheet : FlagSheet
        Has been through `add_kubeadm` already.
    document : Entry
        Of kind ``ClusterConfiguration``.
    kube_version : KubeVersion
        Version of kubeadm and the components.

    Raises
    ------
    InvalidConfig
        A field of a wrong type; names file, document and line.

    Examples
    --------
    >>> from dsmodel.io.config_documents import read_documents
    >>> from dsmodel.io.flag_sheets import FlagSheet
    >>> sheet = FlagSheet()
    >>> settle_kubeadm(sheet, read_documents("networking: {}", "kubeadm.yaml")[0], KubeVersion("1.36"))
    >>> sheet.origins()["kube-apiserver", "service-cluster-ip-range"]
    'default of kubeadm for networking.serviceSubnet'
    """
    gates = document.get("featureGates")
    manager = dict(_extra_args(document.get("controllerManager", "extraArgs"), _version_of(document)))
    fields = {
        name: entry.string()
        for name, key in (("service_subnet", "serviceSubnet"), ("pod_subnet", "podSubnet"))
        if (entry := document.get("networking", key)) is not None and entry.value != ""
    }
    networking = KubeadmNetworking(
        **fields,
        feature_gates={name: gate.is_on() for name, gate in gates.mapping().items()} if gates else {},
        controller_args={name: entry.argument() for name, entry in manager.items()},
    )
    for component, flags in kubeadm_flags(networking, kube_version).items():
        for name, (value, path) in flags.items():
            entry = document.get(*path.split("."))
            where = entry.where if entry else f"default of kubeadm for {path}"
            sheet.give(component, name, value, where=where, rank=DERIVED)
    sheet.findings += judge_kubeadm(networking, kube_version)


def add_kubelet_configuration(sheet: FlagSheet, document: Entry) -> None:
    """Read a ``KubeletConfiguration``.

    Parameters
    ----------
    sheet : FlagSheet
        Is added to.
    document : Entry
        The document.

    Raises
    ------
    InvalidConfig
        A field of a wrong type; names file, document and line.

    Examples
    --------
    >>> from dsmodel.io.config_documents import read_documents
    >>> from dsmodel.io.flag_sheets import FlagSheet
    >>> sheet = FlagSheet()
    >>> add_kubelet_configuration(sheet, read_documents("maxPods: 250", "kubelet.yaml")[0])
    >>> sheet.flags()
    {'kubelet': ('--max-pods=250',)}
    """
    _add_fields(sheet, "kubelet", document, _KUBELET)
    _add_list(sheet, "kubelet", document.get("clusterDNS"), flag="cluster-dns")


def add_proxy_configuration(sheet: FlagSheet, document: Entry) -> None:
    """Read a ``KubeProxyConfiguration``.

    Parameters
    ----------
    sheet : FlagSheet
        Is added to.
    document : Entry
        The document.

    Raises
    ------
    InvalidConfig
        A field of a wrong type; names file, document and line.

    Examples
    --------
    >>> from dsmodel.io.config_documents import read_documents
    >>> from dsmodel.io.flag_sheets import FlagSheet
    >>> sheet = FlagSheet()
    >>> add_proxy_configuration(sheet, read_documents("{mode: ipvs, clusterCIDR: ''}", "kube-proxy.yaml")[0])
    >>> sheet.flags()
    {'kube-proxy': ('--proxy-mode=ipvs',)}
    """
    _add_fields(sheet, "kube-proxy", document, _PROXY)
    _add_list(sheet, "kube-proxy", document.get("nodePortAddresses"), flag="nodeport-addresses")


def _add_list(sheet: FlagSheet, component: str, listed: Entry | None, *, flag: str) -> None:
    """Read a field that is a list as the flag with commas."""
    if listed and listed.entries():
        texts = ",".join(entry.string() for entry in listed.entries())
        sheet.give(component, flag, texts, where=listed.where, rank=CONFIG_FILE)


def _add_fields(sheet: FlagSheet, component: str, document: Entry, keys: Mapping[tuple[str, ...], str]) -> None:
    """Read the fields of a configuration file that have a flag, and the feature gates."""
    sheet.components[component] = None
    for path, flag in keys.items():
        entry = document.get(*path)
        if entry is None or entry.value == "":
            continue
        if flag == "max-pods" and (isinstance(entry.value, bool) or not isinstance(entry.value, int)):
            raise entry.error(f"{entry.text[:40]!r} is no whole number, and one is needed")
        text = entry.argument() if flag in {"max-pods", "masquerade-all"} else entry.string()
        sheet.give(component, flag, text, where=entry.where, rank=CONFIG_FILE)
    gates = document.get("featureGates")
    if gates and gates.mapping():
        pairs = ",".join(f"{name}={str(gate.is_on()).lower()}" for name, gate in gates.mapping().items())
        sheet.give(component, "feature-gates", pairs, where=gates.where, rank=CONFIG_FILE)


def _add_node(sheet: FlagSheet, document: Entry, version: str) -> None:
    """Read what is said about the node itself."""
    for name, entry in _extra_args(document.get("nodeRegistration", "kubeletExtraArgs"), version):
        sheet.give("kubelet", name, entry.argument(), where=entry.where)
    address = document.get("localAPIEndpoint", "advertiseAddress")
    if address and address.string():
        sheet.give("kube-apiserver", "advertise-address", address.string(), where=address.where, rank=DERIVED)


def _add_version(sheet: FlagSheet, document: Entry) -> None:
    """Read the version to install; a label such as stable-1 names none."""
    entry = document.get("kubernetesVersion")
    if entry is None:
        return
    text = entry.string()
    digits = text.rpartition("-")[2] if text.startswith(("stable", "latest")) else text.removeprefix("v")
    if text.startswith(("stable", "latest")) and "." not in digits:
        return
    try:
        KubeVersion(digits)
    except UnsupportedVersion as error:
        raise entry.error(f"{error}, or give kube_version") from None
    sheet.versions.setdefault(digits, entry.where)


def _version_of(document: Entry) -> str:
    """Return the API version without its group."""
    entry = document.get("apiVersion")
    return entry.string().rpartition("/")[2] if entry else ""


def _extra_args(entry: Entry | None, version: str) -> Iterator[tuple[str, Entry]]:
    """List name and value of extra arguments, in the form of the API version."""
    if entry is None:
        return
    if version != _LISTS_ARGUMENTS and not isinstance(entry.value, list):
        for name, value in entry.mapping().items():
            value.string()
            yield name, value
        return
    if version in _API_VERSIONS and version != _LISTS_ARGUMENTS:
        raise entry.error(f"is a list, and {version} takes a mapping of flag to value; lists came with v1beta4")
    if not isinstance(entry.value, list):
        raise entry.error(f"is a mapping, and {version} takes a list of name and value; write - name: … value: …")
    for each in entry.entries():
        name_entry, value_entry = each.get("name"), each.get("value")
        if name_entry is None or not name_entry.string():
            raise each.error("argument has no name")
        if value_entry is not None:
            value_entry.string()
            yield name_entry.string(), value_entry

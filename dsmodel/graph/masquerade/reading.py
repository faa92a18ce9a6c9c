"""What masquerades in a cluster, read from the agents, ConfigMaps and objects that its dump holds.

Promises that nothing is guessed in silence: an agent that runs and whose settings the dump does not hold becomes an
`UnreadMasquerade`, for which every flow is unknown; a default that is assumed because an optional object is missing is
a finding; a dump that shows no network plugin at all says so.

What it does not know: kubenet and the reference plugins, whose settings stand in files of the nodes, and k3s' own
flannel: none of them is in a dump. Give them to `dsmodel.graph.masquerade.translate` by hand.

Sources: the manifests of each component; ``KubeProxyConfiguration`` of kubeproxy.config.k8s.io/v1alpha1; the sources
that each component's module names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidCidr, InvalidConfig
from dsmodel.graph.masquerade.antrea import Antrea
from dsmodel.graph.masquerade.aws import AwsVpcCni
from dsmodel.graph.masquerade.calico import Calico, CalicoPool
from dsmodel.graph.masquerade.cilium import Cilium, cilium_agent_config
from dsmodel.graph.masquerade.contract import UnreadMasquerade
from dsmodel.graph.masquerade.flannel import Flannel
from dsmodel.graph.masquerade.kube_ovn import KubeOvn, KubeOvnSubnet, NatPolicyRule
from dsmodel.graph.masquerade.kube_proxy import KubeProxy
from dsmodel.graph.masquerade.kube_router import KubeRouter
from dsmodel.graph.masquerade.masquerade_agent import (
    MasqueradeAgent,
    masquerade_agent_config,
    merge_azure_fragments,
    read_port_intervals,
)
from dsmodel.graph.masquerade.ovn import OvnKubernetes
from dsmodel.kube.command_lines import CommandLine, parse_command_line
from dsmodel.kube.embedded_configs import read_embedded_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.objects import Agent, NetworkObjects
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.masquerade.contract import Masquerade
    from dsmodel.kube.masquerade_agent import MasqueradeAgentConfig

__all__ = ["read_masquerades"]

_SYSTEM: Final = "kube-system"
_CALICO: Final = ("crd.projectcalico.org", "projectcalico.org")
_CLOUD_IPAM: Final = ("eni", "azure", "alibabacloud")  # Cilium finds the native-routing CIDR itself
_BOOLEANS: Final = ("true", "false")
_SHELLS: Final = ("sh", "bash", "ash")


def read_masquerades(cluster: Cluster) -> tuple[tuple[Masquerade, ...], list[Finding]]:
    """Say what masquerades in a cluster, in the order in which packets meet it.

    Parameters
    ----------
    cluster : Cluster
        With the network objects of its dump.

    Returns
    -------
    tuple of Masquerade
        kube-proxy, which comes first; Calico, which inserts its chain; those that append theirs; those outside
        netfilter. Empty where the dump holds nothing of the kind.
    list of Finding
        What is not known, what was assumed, and what each component's settings are wrong about.

    Raises
    ------
    None
        What cannot be read is a finding, and makes its flows unknown.

    Examples
    --------
    >>> from dsmodel.cluster import examples
    >>> cluster = examples.kubeadm_dual_stack()
    >>> read_masquerades(cluster)[0], read_masquerades(cluster)[1][-1][1]
    ((), 'masquerade-unknown')
    >>> pool = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": {"name": "v4"},
    ...         "spec": {"cidr": "10.244.0.0/16", "natOutgoing": True}}
    >>> cluster.objects = cluster.objects.adding([pool])
    >>> [each.component for each in read_masquerades(cluster)[0]]
    ['Calico']
    """
    reader = _Reader(cluster, cluster.objects)
    proxy = reader.read("kube-proxy", _kube_proxy)
    plugins = [each for name, read in _PLUGINS for each in reader.read(name, read)]
    agents = reader.read("ip-masq-agent", _masquerade_agent) + reader.read("ip-masq-agent", _azure_agent)
    found = [*proxy, *plugins, *agents]
    if not found:
        reader.find("warning", "masquerade-unknown", "Cluster", _NOTHING)
        return (), reader.findings
    if not plugins and agents:
        words = "the dump shows no network plugin; it is taken to leave masquerading to ip-masq-agent"
        reader.find("info", "masquerade-plugin-assumed", "Cluster", words)
    elif not plugins:
        found.append(UnreadMasquerade("network plugin", _NOTHING))
    found.sort(key=_order)
    appended = [each.component for each in found if _order(each) == _APPENDED]
    if len(appended) > 1:
        words = f"{' and '.join(appended)} append their chains; which is first is not in a dump, this order is assumed"
        reader.find("info", "masquerade-order-assumed", "Cluster", words)
    for each in found:
        reader.findings += each.findings(cluster)
    return tuple(found), reader.findings


_NOTHING = (
    "the dump shows no network plugin that is known here, so what masquerades is not known; add DaemonSets and "
    "ConfigMaps of kube-system to it, or give masquerades by hand"
)
_PREPENDED, _INSERTED, _APPENDED, _OUTSIDE = range(4)


def _order(masquerade: Masquerade) -> int:
    """Return where a component's chain stands."""
    if isinstance(masquerade, KubeProxy):
        return _PREPENDED
    if isinstance(masquerade, Calico):
        return _INSERTED
    outside = isinstance(masquerade, OvnKubernetes) or (isinstance(masquerade, Cilium) and masquerade.bpf)
    return _OUTSIDE if outside or isinstance(masquerade, UnreadMasquerade) else _APPENDED


@dataclass
class _Reader:
    """A cluster's objects, and what is found while reading them."""

    cluster: Cluster
    objects: NetworkObjects
    findings: list[Finding] = field(default_factory=list)

    def read(self, component: str, read: Callable[[_Reader], Masquerade | None]) -> list[Masquerade]:
        """Read one component; what cannot be read is unknown."""
        try:
            found = read(self)
        except (InvalidConfig, InvalidCidr) as error:
            found = UnreadMasquerade(component, str(error))
        return [] if found is None else [found]

    def find(self, severity: str, rule: str, where: str, words: str) -> None:
        """Add a finding."""
        self.findings.append((severity, rule, where, words))

    def assume(self, where: str, words: str) -> None:
        """Say what is assumed."""
        self.find("info", "masquerade-default-assumed", where, words)

    def text(self, names: Iterable[tuple[str, str]], key: str) -> tuple[str, str] | None:
        """Return the text of a ConfigMap's key and where it stands, of the first ConfigMap that has it."""
        for namespace, name in names:
            for found in self.named(namespace, name):
                data = self.objects.config_map(namespace, found) or {}
                if key in data:
                    return data[key], f"ConfigMap/{namespace}/{found}, {key}"
        return None

    def named(self, namespace: str, name: str) -> list[str]:
        """Return the ConfigMaps of a name, or of names that begin with one that ends in a dash."""
        there = [each["metadata"] for each in self.objects.of("ConfigMap", "")]
        names = [str(each["name"]) for each in there if each.get("namespace") == namespace]
        return [each for each in names if each == name or (name.endswith("-") and each.startswith(name))]

    def config(self, names: Iterable[tuple[str, str]], key: str) -> Mapping[str, Any] | None:
        """Return the decoded file of a ConfigMap's key."""
        found = self.text(names, key)
        return None if found is None else read_embedded_config(found[0], place=found[1])

    def flags(self, agent: Agent) -> CommandLine:
        """Return the flags of an agent; a shell's line, and a variable for a value, cannot be read."""
        if agent.args and agent.args[0].rsplit("/", 1)[-1] in _SHELLS:
            raise InvalidConfig(f"{agent.name} is started by a shell; its flags stand in a script and are not read")
        for word in agent.args:
            if word.startswith("-") and "$(" in word and not word.startswith(("--hostname", "--nodename")):
                raise InvalidConfig(f"{agent.name}: {word!r} takes its value from a variable that the dump lacks")
        words = agent.args if not agent.args or agent.args[0].startswith("-") else agent.args[1:]
        return parse_command_line(agent.name, words, self.cluster.config.kube_version, known=_BOOLEAN_FLAGS)

    def has_config_maps(self) -> bool:
        """Tell whether the dump holds ConfigMaps of the system at all."""
        return bool(self.objects.of("ConfigMap", ""))


_BOOLEAN_FLAGS = {
    "enable-ipv6": "bool",
    "enable-pod-egress": "bool",
    "ip-masq": "bool",
    "masquerade-all": "bool",
    "nomasq-all-reserved-ranges": "bool",
    "random-fully": "bool",
}


def _is_on(values: Mapping[str, Any], key: str, *, default: bool, place: str) -> bool:
    """Return a switch that is a boolean, or the word for one."""
    value = values.get(key, default)
    if isinstance(value, bool):
        return value
    if str(value).lower() in _BOOLEANS:
        return str(value).lower() == "true"
    raise InvalidConfig(f"{place}: {key} {value!r} is no boolean; write true or false")


def _has(line: CommandLine, flag: str, *, default: bool) -> bool:
    """Return a boolean flag."""
    answer = line.is_on(flag) if flag in line.values else default
    if line.is_refused():
        raise InvalidConfig(line.findings[-1].message)
    return answer


# components --------------------------------------------------------------------------------------------------------


def _kube_proxy(reader: _Reader) -> Masquerade | None:
    """Read kube-proxy: its file where there is one, since it then looks at few flags, else its flags."""
    agent = reader.objects.agent("kube-proxy")
    config = reader.config([(_SYSTEM, "kube-proxy")], "config.conf")
    if config is not None:
        return _proxy_of_config(config)
    if agent is None:
        words = "kube-proxy is not in the dump: which traffic to Services is masqueraded is not known"
        reader.find("info", "kube-proxy-not-in-dump", "Cluster", words)
        return None
    if any(word.split("=")[0] == "--config" for word in agent.args):
        why = "it reads a file, and ConfigMap kube-system/kube-proxy is not in the dump"
        return UnreadMasquerade("kube-proxy", why)
    line = reader.flags(agent)
    prefix, bridge = line.text("pod-interface-name-prefix"), line.text("pod-bridge-interface")
    return KubeProxy(
        mode=line.text("proxy-mode") or "iptables",
        cluster_cidrs=tuple(line.parts("cluster-cidr")),
        detect_local_mode=line.text("detect-local-mode") or "ClusterCIDR",
        interface=bridge or prefix,
        masquerade_all=_has(line, "masquerade-all", default=False),
        masquerade_bit=line.number("iptables-masquerade-bit", 14),
    )


def _proxy_of_config(config: Mapping[str, Any]) -> KubeProxy:
    """Read KubeProxyConfiguration."""
    place = "ConfigMap/kube-system/kube-proxy, config.conf"
    mode = str(config.get("mode") or "iptables")
    section = config.get("nftables" if mode == "nftables" else "iptables") or {}
    local = config.get("detectLocal") or {}
    if not isinstance(section, dict) or not isinstance(local, dict):
        raise InvalidConfig(f"{place}: iptables, nftables and detectLocal are mappings")
    bit = section.get("masqueradeBit")
    bit = 14 if bit is None else bit
    if isinstance(bit, bool) or not isinstance(bit, int) or not 0 <= bit <= 31:
        raise InvalidConfig(f"{place}: masqueradeBit {bit!r} is refused; write a number from 0 to 31")
    return KubeProxy(
        mode=mode,
        cluster_cidrs=tuple(part for part in str(config.get("clusterCIDR") or "").split(",") if part),
        detect_local_mode=str(config.get("detectLocalMode") or "ClusterCIDR"),
        interface=str(local.get("bridgeInterface") or local.get("interfaceNamePrefix") or ""),
        masquerade_all=_is_on(section, "masqueradeAll", default=False, place=place),
        masquerade_bit=bit,
    )


def _masquerade_agent(reader: _Reader) -> Masquerade | None:
    """Read the Kubernetes project's ip-masq-agent."""
    agent = reader.objects.agent("ip-masq-agent")
    names = [(_SYSTEM, "ip-masq-agent")]
    config = reader.config(names, "config")
    cilium = _cilium_config(reader.objects) or {}
    if agent is None:
        if config is None or cilium.get("enable-ip-masq-agent") == "true":
            return None
        why = "its ConfigMap is there and its DaemonSet is not in the dump: flags such as --enable-ipv6 are not known"
        return UnreadMasquerade("ip-masq-agent", why)
    line = reader.flags(agent)
    if config is None and not reader.has_config_maps():
        return UnreadMasquerade("ip-masq-agent", "ConfigMap kube-system/ip-masq-agent is not in the dump")
    if config is None:
        reader.assume("ConfigMap/kube-system/ip-masq-agent", "it is not there: the agent runs with its defaults")
    reserved = _has(line, "nomasq-all-reserved-ranges", default=False)
    return _agent_of(line, masquerade_agent_config(config, nomasq_all_reserved_ranges=reserved))


def _agent_of(line: CommandLine, config: MasqueradeAgentConfig) -> MasqueradeAgent:
    """Join flags and file of an ip-masq-agent."""
    ports = line.text("to-ports")
    return MasqueradeAgent(
        config,
        enable_ipv6=_has(line, "enable-ipv6", default=False),
        to_ports=read_port_intervals([ports]) if ports else (),
        random_fully=_has(line, "random-fully", default=True),
        masq_chain=line.text("masq-chain", "IP-MASQ-AGENT"),
    )


def _azure_agent(reader: _Reader) -> Masquerade | None:
    """Read the agent of AKS, whose file is merged from ConfigMaps."""
    agent = reader.objects.agent("azure-ip-masq-agent")
    if agent is None:
        return None
    fragments: dict[str, Mapping[str, object]] = {}
    for each in reader.objects.of("ConfigMap", ""):
        name = str(each["metadata"]["name"])
        for key, text in sorted((each.get("data") or {}).items()) if name.startswith("azure-ip-masq-agent") else ():
            fragments[f"{key}/{name}"] = read_embedded_config(text, place=f"ConfigMap/{name}, {key}")
    if not fragments:
        return UnreadMasquerade("ip-masq-agent", "ConfigMaps azure-ip-masq-agent-config* are not in the dump")
    merged = merge_azure_fragments(fragments)
    return _agent_of(reader.flags(agent), merged if merged is not None else masquerade_agent_config(None))


def _calico(reader: _Reader) -> Masquerade | None:
    """Read Calico's pools, and felix's settings, which variables of calico-node override."""
    agent = reader.objects.agent("calico-node")
    pools = reader.objects.of("IPPool", *_CALICO)
    if not pools and agent is None:
        return None
    if not pools:
        return UnreadMasquerade("Calico", "its IPPools are not in the dump; add ippools.crd.projectcalico.org")
    felix = next(
        (
            each.get("spec") or {}
            for each in reader.objects.of("FelixConfiguration", *_CALICO)
            if each["metadata"]["name"] == "default"
        ),
        None,
    )
    if felix is None:
        words = "it is not in the dump: felix's defaults for natOutgoing are assumed"
        reader.assume("FelixConfiguration/default", words)
    env = {name.lower(): value for name, value in (agent.env if agent else {}).items()}

    def setting(name: str) -> str:
        value = env.get(f"felix_{name.lower()}", (felix or {}).get(name))
        return "" if value is None else str(value)

    return Calico(
        pools=tuple(_calico_pool(each.get("spec") or {}, reader) for each in pools),
        exclusions=setting("natOutgoingExclusions") or "IPPoolsOnly",
        nat_port_range=setting("natPortRange"),
        nat_outgoing_address=setting("natOutgoingAddress"),
        bpf=setting("bpfEnabled").lower() == "true",
        interface_filter=setting("iptablesNATOutgoingInterfaceFilter"),
    )


def _calico_pool(spec: Mapping[str, Any], reader: _Reader) -> CalicoPool:
    """Read an IPPool; ``nat-outgoing`` is what a pool of the first API is called."""
    place = f"IPPool {spec.get('cidr')}"
    if "nat-outgoing" in spec:
        words = "nat-outgoing is no field of an IPPool, and nothing comes of it; write natOutgoing"
        reader.find("warning", "calico-unknown-field", place, words)
    return CalicoPool(
        str(spec.get("cidr") or ""),
        nat_outgoing=_is_on(spec, "natOutgoing", default=False, place=place),
        disabled=_is_on(spec, "disabled", default=False, place=place),
        allowed_uses=tuple(map(str, spec.get("allowedUses") or ("Workload", "Tunnel"))),
    )


def _cilium(reader: _Reader) -> Masquerade | None:
    """Read cilium-config."""
    place = "ConfigMap/kube-system/cilium-config"
    config = _cilium_config(reader.objects)
    if config is None:
        why = f"{place} is not in the dump"
        return UnreadMasquerade("Cilium", why) if reader.objects.agent("cilium-agent") else None
    routed = (config.get(f"{end}-native-routing-cidr", "") for end in ("ipv4", "ipv6"))
    cidrs = tuple(filter(None, routed))
    ipam = config.get("ipam", "")
    if ipam in _CLOUD_IPAM and not config.get("ipv4-native-routing-cidr"):
        why = f"ipam {ipam} finds the native-routing CIDR in the cloud; set ipv4-native-routing-cidr to know it here"
        return UnreadMasquerade("Cilium", why)
    routing = config.get("routing-mode") or ("native" if config.get("tunnel") == "disabled" else "tunnel")
    if routing not in {"tunnel", "native"}:
        raise InvalidConfig(f"{place}: routing-mode {routing!r} is refused; write tunnel or native")
    agent = None
    if _is_on(config, "enable-ip-masq-agent", default=False, place=place):
        agent = cilium_agent_config(reader.config([(_SYSTEM, "ip-masq-agent")], "config"))
    families = [
        family
        for family, end in ((IPFamily.IPV4, "ipv4"), (IPFamily.IPV6, "ipv6"))
        if _is_on(config, f"enable-{end}-masquerade", default=True, place=place)
    ]
    return Cilium(
        native_routing_cidrs=cidrs,
        tunnel=routing == "tunnel",
        bpf=_is_on(config, "enable-bpf-masquerade", default=False, place=place),
        masquerade=tuple(families),
        agent=agent,
        remote_nodes=_is_on(config, "enable-remote-node-masquerade", default=False, place=place),
        pod_cidrs=_cilium_pod_cidrs(reader.objects),
        kube_proxy_replacement=str(config.get("kube-proxy-replacement", "")).lower() in {"true", "strict"},
    )


def _cilium_config(objects: NetworkObjects) -> Mapping[str, str] | None:
    """Return cilium-config, from where Cilium may be installed."""
    found = objects.config_map(_SYSTEM, "cilium-config")
    return objects.config_map("cilium", "cilium-config") if found is None else found


def _cilium_pod_cidrs(objects: NetworkObjects) -> tuple[str, ...]:
    """Return what CiliumNodes allocate from."""
    found: dict[str, None] = {}
    for each in objects.of("CiliumNode", "cilium.io"):
        ipam = (each.get("spec") or {}).get("ipam") or {}
        found.update(dict.fromkeys(str(text) for text in ipam.get("podCIDRs") or ()))
    return tuple(found)


def _ovn(reader: _Reader) -> Masquerade | None:
    """Read OVN-Kubernetes, whose subnets are the cluster CIDRs."""
    return OvnKubernetes() if reader.objects.agent("ovnkube-node") else None


def _antrea(reader: _Reader) -> Masquerade | None:
    """Read antrea-agent.conf."""
    config = reader.config([(_SYSTEM, "antrea-config"), (_SYSTEM, "antrea-config-")], "antrea-agent.conf")
    if config is None and reader.objects.agent("antrea-agent") is None:
        return None
    place = "ConfigMap/kube-system/antrea-config"
    if config is None:
        return UnreadMasquerade("Antrea", f"{place} is not in the dump")
    return Antrea(
        traffic_encap_mode=str(config.get("trafficEncapMode") or "encap"),
        no_snat=_is_on(config, "noSNAT", default=False, place=place),
        fully_random_ports=_is_on(config, "snatFullyRandomPorts", default=False, place=place),
    )


def _kube_ovn(reader: _Reader) -> Masquerade | None:
    """Read the Subnets of Kube-OVN's default VPC."""
    objects = reader.objects.of("Subnet", "kubeovn.io")
    if not objects:
        why = "its Subnets are not in the dump; add subnets.kubeovn.io"
        return UnreadMasquerade("Kube-OVN", why) if reader.objects.agent("kube-ovn-cni") else None
    subnets = []
    for each in objects:
        spec, name = each.get("spec") or {}, str(each["metadata"]["name"])
        if spec.get("vpc") not in {None, "", "ovn-cluster"}:
            reader.assume(f"Subnet/{name}", f"it is of VPC {spec['vpc']}, whose gateway is not modelled; passed over")
            continue
        rules = tuple(
            NatPolicyRule(
                str(rule.get("action") or ""),
                tuple(filter(None, str((rule.get("match") or {}).get("srcIPs") or "").split(","))),
                tuple(filter(None, str((rule.get("match") or {}).get("dstIPs") or "").split(","))),
            )
            for rule in spec.get("natOutgoingPolicyRules") or ()
        )
        cidrs = tuple(part.strip() for part in str(spec.get("cidrBlock") or "").split(",") if part)
        wanted = _is_on(spec, "natOutgoing", default=False, place=f"Subnet {name}")
        subnets.append(KubeOvnSubnet(name, cidrs, nat_outgoing=wanted, rules=rules))
    return KubeOvn(tuple(subnets))


def _aws(reader: _Reader) -> Masquerade | None:
    """Read the variables of aws-node."""
    agent = reader.objects.agent("aws-node")
    if agent is None:
        return None
    env, place = agent.env, "DaemonSet/kube-system/aws-node"
    is_ipv6 = _is_on(env, "ENABLE_IPv6", default=False, place=place)
    other = env.get("ENABLE_V4_EGRESS" if is_ipv6 else "ENABLE_V6_EGRESS")
    excluded = env.get("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "")
    return AwsVpcCni(
        ip_family=IPFamily.IPV6 if is_ipv6 else IPFamily.IPV4,
        external_snat=_is_on(env, "AWS_VPC_K8S_CNI_EXTERNALSNAT", default=False, place=place),
        exclude_cidrs=tuple(part.strip() for part in excluded.split(",") if part.strip()),
        other_family_egress=None if other is None else other.lower() == "true",
        randomize=env.get("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "prng"),
    )


def _flannel(reader: _Reader) -> Masquerade | None:
    """Read flannel's flags and its network."""
    agent = reader.objects.agent("kube-flannel-ds")
    names = [("kube-flannel", "kube-flannel-cfg"), (_SYSTEM, "kube-flannel-cfg")]
    config = reader.config(names, "net-conf.json")
    if agent is None:
        why = "its ConfigMap is there and its DaemonSet is not in the dump: whether it has --ip-masq is not known"
        return UnreadMasquerade("flannel", why) if config is not None else None
    if config is None:
        words = "it is not in the dump: the cluster CIDRs are taken for its networks"
        reader.assume("ConfigMap/kube-flannel/kube-flannel-cfg", words)
        config = {}
    networks = [str(config[key]) for key in ("Network", "IPv6Network") if config.get(key)]
    for text in networks:
        Cidr(text)
    return Flannel(
        networks=tuple(networks),
        ip_masq=_has(reader.flags(agent), "ip-masq", default=False),
        backend="nftables" if _is_on(config, "EnableNFTables", default=False, place="net-conf.json") else "iptables",
    )


def _kube_router(reader: _Reader) -> Masquerade | None:
    """Read kube-router's flags."""
    agent = reader.objects.agent("kube-router")
    return None if agent is None else KubeRouter(_has(reader.flags(agent), "enable-pod-egress", default=True))


_PLUGINS: Final = (
    ("Calico", _calico),
    ("Antrea", _antrea),
    ("AWS VPC CNI", _aws),
    ("flannel", _flannel),
    ("Kube-OVN", _kube_ovn),
    ("kube-router", _kube_router),
    ("Cilium", _cilium),
    ("OVN-Kubernetes", _ovn),
)

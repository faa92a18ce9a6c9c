"""A pod, its neighbour, their node and the outside as network namespaces of this machine's kernel.

``pod ─┐``
``     node ── outside`` (which has every address beyond the node: the other node, its pod, servers)
``nbr ─┘``

Everything is made under names of its own and removed by these names. Packets to `MARKED_PORT` are marked before
routing as kube-proxy does it.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from masquerade_oracle import NEIGHBOUR, NODE, POD, POD_CIDR

from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.masquerade.rendering import NodeRules

PORT, MARKED_PORT, MARK = 9000, 9001, 0x4000
TOOLS = ("ip", "iptables-restore", "ip6tables-restore", "iptables", "ip6tables", "ipset", "nft")
# What a tool says where the kernel, or the rights to use it, are missing; anything else is a fault of ours.
LACKING = (
    "Operation not permitted",
    "Permission denied",
    "Protocol not supported",
    "Operation not supported",
    "No such file or directory",
    "No chain/target/match by that name",
    "Table does not exist",
    "can't initialize",
    "Kernel error received",
)
PEER = Path(__file__).with_name("kernel_peer.py")
V4, V6 = IPFamily.IPV4, IPFamily.IPV6
FIXED = "10.0.0.77"  # a further address of the node, for rules that give a fixed one; in IPv6 it might be chosen
GATEWAY = {V4: "169.254.1.254", V6: "fe80::1"}  # of the pods, on the node


class Unavailable(Exception):
    """This machine lets nobody build namespaces or load rules; the message says what is missing."""


def missing() -> str:
    """Say what is missing to build the lab; empty for nothing."""
    if sys.platform != "linux":
        return "no Linux kernel"
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def run(*words: str, text: str | None = None) -> str:
    """Run a program of `TOOLS` to its end."""
    program = shutil.which(words[0])
    assert program is not None, words[0]
    done = subprocess.run([program, *words[1:]], input=text, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode and any(sign in done.stderr for sign in LACKING):
        raise Unavailable(f"{' '.join(words)}: {done.stderr.strip()}")
    assert not done.returncode, f"{' '.join(words)}: {done.stderr.strip()}"
    return done.stdout


class Lab:
    """The namespaces, from `__enter__` to `__exit__`."""

    def __init__(self, outside: dict[IPFamily, list[str]]) -> None:
        """Take the addresses that the outside has beside the other node's."""
        self.outside = outside
        self.prefix = f"dsm{os.getpid()}"
        self.names = {name: f"{self.prefix}-{name}" for name in ("node", "pod", "nbr", "out")}
        self.servers: list[subprocess.Popen[str]] = []
        self.ports = itertools.count(10_000)

    def __enter__(self) -> Self:
        try:
            self._build()
            self._serve()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def inside(self, name: str, *words: str, text: str | None = None) -> str:
        """Run a program in a namespace."""
        return run("ip", "netns", "exec", self.names[name], *words, text=text)

    def _build(self) -> None:
        for name in self.names.values():
            run("ip", "netns", "add", name)
        for name in self.names:
            self.inside(name, "ip", "link", "set", "lo", "up")
            for key in ("default/accept_dad", "all/accept_dad"):
                self.inside(name, "sh", "-c", f"echo 0 > /proc/sys/net/ipv6/conf/{key}")
        self.inside("node", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self.inside("node", "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
        for name, addresses in (("pod", POD), ("nbr", NEIGHBOUR)):
            self._wire(name, f"veth-{name}")
            for family in IPFamily:
                self._pod(name, family, addresses[family])
        self._wire("out", "eth0")
        for family in IPFamily:
            self._uplink(family)
        self._probe()
        for restore in ("iptables", "ip6tables"):
            for protocol in ("udp", "tcp"):
                mark = ("-p", protocol, "--dport", str(MARKED_PORT), "-j", "MARK", "--set-xmark", f"{MARK}/{MARK}")
                self.inside("node", restore, "-t", "mangle", "-A", "PREROUTING", *mark)

    def _probe(self) -> None:
        """Load one rule with everything the rules need, so that a kernel without it is found before any test."""
        for word, restore, kind, net in (
            ("ip", "iptables-restore", "inet", "192.0.2.0/24"),
            ("ip6", "ip6tables-restore", "inet6", "2001:db8::/32"),
        ):
            sets = f"create probe-{kind} hash:net family {kind}\nadd probe-{kind} {net}\n"
            fits = f"-p tcp -m set ! --match-set probe-{kind} dst -m addrtype ! --dst-type LOCAL -m mark --mark 0x1/0x1"
            dice = "-m statistic --mode random --probability 0.5"
            rule = f"-A POSTROUTING {fits} {dice} -j MASQUERADE --to-ports 1024-2048 --random-fully"
            base = "type nat hook postrouting priority 99;"
            nft = f"table {word} probe {{\nchain c {{\n{base}\nfib daddr type local masquerade fully-random\n}}\n}}\n"
            self.inside("node", "ipset", "restore", text=sets)
            self.inside("node", restore, text=f"*nat\n{rule}\nCOMMIT\n")
            self.inside("node", "nft", "-f", "-", text=nft)
        self.load(NodeRules("", dict.fromkeys(IPFamily, ""), "", ()))

    def _wire(self, name: str, device: str) -> None:
        """Join a namespace's eth0 to a device of the node."""
        one, other = self.names[name], self.names["node"]
        run("ip", "link", "add", device, "netns", other, "type", "veth", "peer", "name", "eth0", "netns", one)
        self.inside(name, "ip", "link", "set", "eth0", "up")
        self.inside("node", "ip", "link", "set", device, "up")

    def _ip(self, name: str, family: IPFamily, *words: str) -> None:
        self.inside(name, "ip", "-4" if family is V4 else "-6", *words)

    def _pod(self, name: str, family: IPFamily, address: str) -> None:
        """Give a pod its address and a way to the node and back."""
        device, bits = f"veth-{name}", "32" if family is V4 else "128"
        nodad = ("nodad",) if family is V6 else ()
        self._ip(name, family, "addr", "add", f"{address}/{bits}", "dev", "eth0", *nodad)
        if family is V4:
            self._ip("node", family, "addr", "add", f"{GATEWAY[family]}/32", "dev", device)
            self._ip(name, family, "route", "add", GATEWAY[family], "dev", "eth0", "scope", "link")
        else:
            self._ip("node", family, "addr", "add", f"{GATEWAY[family]}/64", "dev", device, *nodad)
        self._ip(name, family, "route", "add", "default", "via", GATEWAY[family], "dev", "eth0")
        self._ip("node", family, "route", "add", f"{address}/{bits}", "dev", device)

    def _uplink(self, family: IPFamily) -> None:
        """Join the node to the outside, which knows the way back to every pod."""
        length = "24" if family is V4 else "64"
        bits = "32" if family is V4 else "128"
        nodad = ("nodad",) if family is V6 else ()
        here, there = NODE[family]
        self._ip("node", family, "addr", "add", f"{here}/{length}", "dev", "eth0", *nodad)
        if family is V4:
            self._ip("node", family, "addr", "add", f"{FIXED}/{bits}", "dev", "eth0")
        self._ip("out", family, "addr", "add", f"{there}/{length}", "dev", "eth0", *nodad)
        for address in self.outside[family]:
            self._ip("out", family, "addr", "add", f"{address}/{bits}", "dev", "lo", *nodad)
        self._ip("node", family, "route", "add", "default", "via", there)
        self._ip("out", family, "route", "add", POD_CIDR[family][0], "via", here)

    def _serve(self) -> None:
        own = {"node": [NODE[f][0] for f in IPFamily]}
        own |= {"pod": [POD[f] for f in IPFamily], "nbr": [NEIGHBOUR[f] for f in IPFamily]}
        own["out"] = [address for f in IPFamily for address in (NODE[f][1], *self.outside[f])]
        for name, addresses in own.items():
            words = [sys.executable, "-S", "-E", str(PEER), "serve", str(PORT), str(MARKED_PORT), "--", *addresses]
            program = shutil.which("ip")
            assert program is not None
            server = subprocess.Popen(
                [program, "netns", "exec", self.names[name], *words], stdout=subprocess.PIPE, text=True
            )
            self.servers.append(server)
            assert server.stdout is not None
            if server.stdout.readline().strip() != "listening":
                raise Unavailable(f"no server in {name}")

    def _remove(self) -> None:
        for server in self.servers:
            server.kill()
            server.communicate()
        for name in self.names.values():
            program = shutil.which("ip")
            assert program is not None
            subprocess.run([program, "netns", "del", name], capture_output=True, check=False)

    def load(self, rules: NodeRules) -> None:
        """Let the node's kernel have these rules and no others in its nat tables."""
        self.inside("node", "nft", "-f", "-", text=f"{self._tables_to_drop()}\n")
        empty = "*nat\nCOMMIT\n"
        for restore in ("iptables-restore", "ip6tables-restore"):
            self.inside("node", restore, text=empty)
        self.inside("node", "ipset", "destroy")
        if rules.ipsets:
            self.inside("node", "ipset", "restore", text=rules.ipsets)
        for family, restore in ((V4, "iptables-restore"), (V6, "ip6tables-restore")):
            if rules.iptables[family]:
                self.inside("node", restore, text=rules.iptables[family])
        if rules.nftables:
            self.inside("node", "nft", "-f", "-", text=rules.nftables)

    def serve_service(self, family: IPFamily, address: str, endpoint: str, *, port: int = 0, marked: bool) -> None:
        """Send what pods ask of a Service's address, or of a node port, to an endpoint, as kube-proxy's chains do.

        The mark is what the model says; `load` takes all of it away.
        """
        tool, literal = ("iptables", endpoint) if family is V4 else ("ip6tables", f"[{endpoint}]")
        for protocol in ("udp", "tcp"):
            match = ["-d", address, "-p", protocol, *(["--dport", str(port)] if port else [])]
            if marked:
                mark = ("-j", "MARK", "--set-xmark", f"{MARK}/{MARK}")
                self.inside("node", tool, "-t", "nat", "-A", "PREROUTING", *match, *mark)
            target = ("-j", "DNAT", "--to-destination", f"{literal}:{PORT}")
            self.inside("node", tool, "-t", "nat", "-A", "PREROUTING", *match, *target)

    def _tables_to_drop(self) -> str:
        """Name the tables that `load` made before, leaving those of iptables."""
        listed = self.inside("node", "nft", "list", "tables").split("\n")
        own = [line.split()[1:] for line in listed if line]
        mine = [words for words in own if words[1] not in {"nat", "mangle", "filter", "raw", "security"}]
        return "\n".join(f"delete table {family} {name}" for family, name in mine)

    def ask(self, name: str, questions: list[dict[str, str]]) -> list[str]:
        """Send from a namespace and return the sources that the other ends saw.

        Every packet has a source port of its own: one that was used before may belong to a connection that the kernel
        remembers, and is then translated as that was, by rules that are no longer loaded.
        """
        numbered = [{**question, "source_port": str(next(self.ports))} for question in questions]
        text = self.inside(name, sys.executable, "-S", "-E", str(PEER), "ask", text=json.dumps(numbered))
        answers: list[str] = json.loads(text)
        return answers

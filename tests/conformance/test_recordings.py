"""Put the questions of the recordings to the model and compare its answers with those of the real components."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conformance.service_replay import Disagreement as ServiceDisagreement
from conformance.service_replay import replay_exhaustion, replay_service_cidrs, replay_services

from dsmodel.addresses.cidr import Cidr
from dsmodel.cni import HostLocal
from dsmodel.errors import CIDRNotAvailable, CNIError, InvalidConfig, Rejected
from dsmodel.kube import ControlPlane, KubeVersion, NodeIPAM, check_flags
from dsmodel.kube.cluster_cidrs import MaskFlags, effective_masks
from dsmodel.kube.command_lines import parse_command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDINGS = Path(__file__).parent / "recordings"
SHOWN = 8  # disagreements listed for a file

Case = dict[str, Any]


class Disagreement(Exception):
    """The model answered otherwise than the component did."""


def expect(got: object, wanted: object, what: str) -> None:
    """Compare one answer."""
    if got != wanted:
        raise Disagreement(f"{what}: recorded {wanted!r}, the model says {got!r}")


def cases_of(path: Path) -> Iterator[Case]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def name_of(case: Case) -> str:
    return case.get("id") or " ".join([case["component"], case["version"], *case["flags"]])


# ---------------------------------------------------------------- flags


def without_prefix(error: str) -> str:
    """Drop what the components put around the error that counts."""
    logged = '"command failed" err="'
    if error.startswith(logged):
        return error.removeprefix(logged).removesuffix('"')
    return error.removeprefix("Error: ").removeprefix("error starting controllers: ").strip()


def replay_flags(case: Case, _path: Path) -> None:
    findings = check_flags(case["component"], case["flags"], kube_version=case["version"])
    fatal = findings.loc[findings["severity"] == "fatal", "message"].tolist()
    expect(not fatal, case["starts"], f"starts ({'; '.join(fatal) or case.get('error')})")
    if case["starts"]:
        return
    words = fatal[0].strip() if len(fatal) == 1 else f"[{', '.join(fatal)}]"
    if case["error"].startswith("did not become ready"):
        logged = " ".join(case["lastErrors"]).replace('\\"', '"')
        expect(words in logged, True, f"{words!r} in the log")
    else:
        expect(words, without_prefix(case["error"]), "words")


# ---------------------------------------------------------------- node IPAM


def start_node_ipam(step: Case, *, version: str, nodes: dict[str, tuple[str, ...]]) -> NodeIPAM:
    """Start the controller with the flags of a step, refusing what they refuse."""
    line = parse_command_line("kube-controller-manager", step["flags"], KubeVersion(version))
    findings = check_flags("kube-controller-manager", step["flags"], kube_version=version)
    fatal = findings.loc[findings["severity"] == "fatal", "message"].tolist()
    if fatal:
        raise InvalidConfig(fatal[0])
    families = [Cidr(text, host_bits="mask").family for text in line.parts("cluster-cidr")]
    names = ("node-cidr-mask-size", "node-cidr-mask-size-ipv4", "node-cidr-mask-size-ipv6")
    masks = effective_masks(families, MaskFlags(*(line.number(name) for name in names)), KubeVersion(version))
    return NodeIPAM(
        kube_version=version,
        cluster_cidrs=line.parts("cluster-cidr"),
        node_cidr_mask_sizes={str(family): mask for family, mask in masks.items()},
        service_cidrs=line.parts("service-cluster-ip-range"),
        feature_gates=line.feature_gates(),
        nodes={name: cidrs for name, cidrs in nodes.items() if cidrs},
    )


def pod_cidrs_of(spec: Case | None) -> tuple[str, ...]:
    spec = spec or {}
    return tuple(spec.get("podCIDRs") or filter(None, [spec.get("podCIDR")]))


class NodeRun:
    """One case of node IPAM, step by step; what follows a step that says so depends on time."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.nodes: dict[str, tuple[str, ...]] = {}
        self.ipam: NodeIPAM | None = None

    def start(self, step: Case, where: str) -> bool:
        try:
            self.ipam = start_node_ipam(step, version=self.version, nodes=self.nodes)
        except InvalidConfig as error:
            expect(False, step["starts"], f"{where}: starts")
            expect(str(error), without_prefix(step["error"]), f"{where}: words")
            return False
        expect(True, step["starts"], f"{where}: starts ({step.get('error')})")
        for name in [name for name, held in self.nodes.items() if not held]:
            self.nodes[name] = self.ask(self.ipam.sync, name)
        return True

    def stop(self, _step: Case, _where: str) -> bool:
        self.ipam = None
        return True

    def delete(self, step: Case, _where: str) -> bool:
        self.nodes.pop(step["node"], None)
        if self.ipam:
            self.ipam.remove(step["node"])
        return True

    def create(self, step: Case, where: str) -> bool:
        preset = pod_cidrs_of(step.get("preset"))
        if not step["outcome"]["accepted"]:
            return True
        if self.ipam is None:
            self.nodes[step["node"]] = preset
            return True
        seen = len(self.ipam.events)
        held = self.nodes[step["node"]] = self.ask(self.ipam.add, step["node"], preset)
        expect(held, pod_cidrs_of(step.get("result")), where)
        ours = [(event.reason, event.message) for event in self.ipam.events[seen:]]
        # a failed patch is tried three times first, and its event may come after the recording looked
        recorded = [(event["reason"], event["message"]) for event in step.get("events") or ()]
        if recorded or not ours or ours[0][0] != "CIDRAssignmentFailed":
            expect(ours[:1], recorded[:1], f"{where}: events")
        retries = KubeVersion(self.version).rule("node_ipam_retries_by_itself")
        return bool(held) or (len(self.ipam.sets) == 1 and not retries)

    def touch(self, step: Case, where: str) -> bool:
        if self.ipam:
            held = self.nodes[step["node"]] = self.ask(self.ipam.sync, step["node"])
            expect(held, pod_cidrs_of(step.get("result")), where)
        return True

    def ask(self, verb: Callable[..., tuple[str, ...]], *arguments: object) -> tuple[str, ...]:
        """Let the controller look at a node; none where it has no block."""
        try:
            return verb(*arguments)
        except CIDRNotAvailable:
            return ()


def replay_node_objects(case: Case, path: Path) -> None:
    """Replay the API server's judgement of Node objects, which needs no controller."""
    gates = {"IPv6DualStack": "gateon" in path.name} if "-gateo" in path.name else {}
    server = ControlPlane(kube_version=case["version"], service_cidrs=["10.96.0.0/16"], feature_gates=gates)
    for number, step in enumerate(case["steps"]):
        where = f"step {number} {step['op']} {step['node']}"
        try:
            if step["op"] == "create":
                manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": step["node"]}}
                stored = server.create({**manifest, "spec": dict(step.get("preset") or {})})
            else:
                stored = server.patch("Node", step["node"], {"spec": step["spec"]}, patch_type="merge")
        except Rejected as refusal:
            expect_refusal(refusal, step["outcome"], where)
            continue
        expect(True, step["outcome"]["accepted"], f"{where}: accepted")
        expect(pod_cidrs_of(stored.get("spec")), pod_cidrs_of(step["outcome"].get("spec")), where)


def expect_refusal(refusal: Rejected, outcome: Case, where: str) -> None:
    """Compare a refusal of the API server, words included."""
    expect(False, outcome["accepted"], f"{where}: accepted ({refusal})")
    expect((refusal.code, refusal.reason), (outcome["code"], outcome.get("reason")), f"{where}: code and reason")
    ours = [(cause.field, cause.reason, cause.message) for cause in refusal.causes]
    recorded = [(cause["field"], cause["reason"], cause["message"]) for cause in outcome.get("causes") or ()]
    expect(ours, recorded, f"{where}: causes")
    expect(refusal.message, outcome["message"], f"{where}: message")


def replay_nodes(case: Case, path: Path) -> None:
    if case["id"].startswith("node-validation/"):
        replay_node_objects(case, path)
        return
    run = NodeRun(case["version"])
    verbs = {
        "startController": run.start,
        "stopController": run.stop,
        "create": run.create,
        "delete": run.delete,
        "touch": run.touch,
    }
    for number, step in enumerate(case["steps"]):
        verb = verbs.get(step["op"])
        if verb and not verb(step, f"step {number} {step['op']} {step.get('node', '')}"):
            return


# ---------------------------------------------------------------- host-local


def command(plugin: HostLocal, step: Case) -> dict[str, Any] | None:
    """Run one CNI command."""
    runtime = {key: step[name] for key, name in (("ips", "runtimeConfigIPs"), ("ipRanges", "ipRanges")) if name in step}
    if step["command"] == "ADD":
        return plugin.add(
            step["containerID"],
            step["ifname"],
            args=step.get("args", ""),
            runtime_config=runtime,
            cni_args=step.get("cfgArgs"),
        )
    verb = plugin.delete if step["command"] == "DEL" else plugin.check
    verb(step["containerID"], step["ifname"], runtime_config=runtime)
    return None


def replay_host_local(case: Case, _path: Path) -> None:
    state: dict[str, dict[str, str]] = {"reserved": {}, "last": {}}
    for number, step in enumerate(case["steps"]):
        where = f"step {number} {step['command']} {step['containerID']}"
        config = dict(case["config"])
        if "ipam" in step:
            config["ipam"] = {"type": "host-local", **step["ipam"]}
        plugin = HostLocal(config, state=state)
        try:
            result, error = command(plugin, step), None
        except CNIError as refusal:
            result, error = None, {"code": refusal.code, "msg": refusal.msg}
        expect(error, {key: step["error"][key] for key in ("code", "msg")} if "error" in step else None, where)
        if step["command"] == "ADD":
            expect(result, step.get("result"), f"{where}: result")
        state = plugin.state
        if step.get("stateAfter"):
            expect(state, step["stateAfter"], f"{where}: state")


# ---------------------------------------------------------------- all kinds

# start of a file name -> replay of one of its cases, which gets the file's path as well
KINDS: dict[str, Callable[[Case, Path], None]] = {
    "exhaustion-": replay_exhaustion,
    "flags": replay_flags,
    "host-local": replay_host_local,
    "nodeipam-": replay_nodes,
    "servicecidr-": replay_service_cidrs,
    "services-": replay_services,
}


def kind_of(path: Path) -> Callable[[Case, Path], None]:
    return next(replay for prefix, replay in KINDS.items() if path.name.startswith(prefix))


def recorded_files() -> list[Path]:
    return sorted(RECORDINGS.glob("*.jsonl.gz"))


@pytest.mark.parametrize("path", recorded_files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_every_recorded_case_agrees(path: Path) -> None:
    replay = kind_of(path)
    total, differences = 0, []
    for case in cases_of(path):
        if case.get("chance") == "outcome":
            continue  # the component itself answers one way or the other
        total += 1
        try:
            replay(case, path)
        except (Disagreement, ServiceDisagreement) as difference:
            differences.append(f"{name_of(case)}\n    {difference}")
        except Exception as crash:  # noqa: BLE001 - a crash is one more disagreement, and the next case still counts
            differences.append(f"{name_of(case)}\n    crashed: {type(crash).__name__}: {crash}")
    listed = "\n".join(differences[:SHOWN])
    assert total, f"{path.name} holds no case"
    assert not differences, f"{len(differences)} of {total} cases of {path.name} differ; the first:\n{listed}"


def test_every_recording_has_a_replay() -> None:
    assert [path.name for path in recorded_files() if not any(path.name.startswith(prefix) for prefix in KINDS)] == []

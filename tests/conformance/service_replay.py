"""Put recorded requests about Services to `ControlPlane`, and compare every answer.

Exact is everything but what the server chose by chance: such an address or port must be of the same family and range,
and wherever the recording shows it again, in a spec, a request or a message, ours stands in its place.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from dsmodel.errors import InvalidConfig, Rejected
from dsmodel.kube.control_plane import ControlPlane

Case = dict[str, Any]
PROFILES = json.loads((Path(__file__).parent / "recordings" / "profiles.json").read_text(encoding="utf-8"))
CONDITION = ("type", "status", "reason", "message")
WORD = r"(?<![0-9A-Fa-f:.])%s(?![0-9A-Fa-f:.]*[0-9A-Fa-f])"


class Disagreement(Exception):
    """The model answered otherwise than the server did."""


@cache
def profile_server(profile: str) -> ControlPlane:
    entry = PROFILES[profile]
    return server(entry, entry["version"])


def server(profile: Case, version: str) -> ControlPlane:
    """Start a server with the flags of a profile."""
    ranges = profile["serviceClusterIPRange"]
    gates = profile.get("featureGates") or {}
    if isinstance(gates, str):
        pairs = (pair.split("=") for pair in gates.split(","))
        gates = {name: value == "true" for name, value in pairs}
    return ControlPlane(
        kube_version=version,
        service_cidrs=ranges.split(",") if isinstance(ranges, str) else ranges,
        feature_gates=gates,
        service_node_port_range=profile.get("serviceNodePortRange") or "30000-32767",
    )


def at(document: Any, pointer: str) -> Any:
    """Follow a JSON pointer; None where it leads nowhere."""
    for part in pointer.strip("/").split("/"):
        if isinstance(document, list):
            document = document[int(part)] if int(part) < len(document) else None
        else:
            document = (document or {}).get(part)
    return document


def put(document: Any, pointer: str, value: object) -> None:
    """Set what a JSON pointer leads to."""
    *path, last = pointer.strip("/").split("/")
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    document[int(last) if isinstance(document, list) else last] = value


class Run:
    """One case: the server, and ours for each value the recording server chose."""

    def __init__(self, plane: ControlPlane, ranges: list[str]) -> None:
        self.plane = plane
        self.networks = [ip_network(text, strict=False) for text in ranges]
        self.chosen: dict[object, object] = {}

    def answer(self, step: Case, manifest: Case) -> Case:
        verb, kind, name = step["op"], step.get("kind", "Service"), step.get("name", "")
        if verb == "create":
            return self.plane.create(manifest)
        if verb == "replace":
            return self.plane.replace(manifest)
        if verb == "patch":
            return self.plane.patch(kind, name, step.get("service"), patch_type=step.get("patchType", "merge"))
        if verb == "delete":
            return self.plane.delete(kind, name)
        return self.plane.get(kind, name)

    def service_step(self, step: Case, where: str) -> None:
        """Put one request about a Service."""
        body = json.loads(json.dumps(step.get("service") or {}))
        name = step["name"]
        for pointer, source in (step.get("refs") or {}).items():
            owner, rest = source.split("/", 1)
            put(body, pointer, at(self.plane.get("Service", owner), rest))
        if step["op"] in {"create", "replace"}:
            metadata = {"name": name, "namespace": "default", **(body.get("metadata") or {})}
            if step.get("withResourceVersion", step["op"] == "replace"):
                metadata["resourceVersion"] = self.plane.get("Service", name)["metadata"]["resourceVersion"]
            body = {"apiVersion": "v1", "kind": "Service", **body, "metadata": metadata}
        self.judge({**step, "service": body}, body, where)

    def judge(self, step: Case, manifest: Case, where: str) -> Case | None:
        """Compare the answer to one request; return the object, None when refused."""
        want = step["outcome"]
        try:
            got = self.answer(step, manifest)
        except Rejected as refusal:
            self.compare_refusal(want, refusal, where)
            return None
        if not want["accepted"]:
            raise Disagreement(f"{where}: recorded {want.get('message')!r}, accepted here")
        if "spec" in want:
            whole = "allocated" in want or isinstance(step.get("service"), list)  # a JSON patch asks for nothing
            self.learn(want if whole else {"allocated": unasked(want["spec"], step.get("service") or {})})
            self.same(want["spec"], got["spec"], where)
        return got

    def learn(self, outcome: Case) -> None:
        """Note what the recording server chose."""
        allocated = outcome.get("allocated") or {}
        values = [*(allocated.get("clusterIPs") or ()), *(allocated.get("nodePorts") or ())]
        for value in [*values, allocated.get("healthCheckNodePort")]:
            self.chosen.setdefault(value, None)

    def same(self, recorded: object, ours: object, where: str) -> None:
        """Compare documents, learning ours for each chosen value."""
        if isinstance(recorded, dict) and isinstance(ours, dict) and recorded.keys() == ours.keys():
            for key, value in recorded.items():
                self.same(value, ours[key], f"{where} {key}")
        elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
            for left, right in zip(recorded, ours, strict=True):
                self.same(left, right, where)
        elif isinstance(recorded, (str, int)) and recorded in self.chosen and recorded is not True:
            self.chosen[recorded] = self.chosen[recorded] or ours
            alike = self.alike(recorded, ours) and self.chosen[recorded] == ours
            if not alike:
                raise Disagreement(f"{where}: recorded {recorded!r} (chosen), the model says {ours!r}")
        elif recorded != ours or type(recorded) is not type(ours):
            raise Disagreement(f"{where}: recorded {recorded!r}, the model says {ours!r}")

    def alike(self, recorded: object, ours: object) -> bool:
        """Say whether a value could have been chosen as well."""
        if isinstance(recorded, int):
            return isinstance(ours, int) and 1 <= ours <= 65535
        address = ip_address(str(ours))
        same_family = address.version == ip_address(str(recorded)).version
        return same_family and any(address in network for network in self.networks)

    def compare_refusal(self, want: Case, refusal: Rejected, where: str) -> None:
        """Compare code, reason, causes and words."""
        if want["accepted"]:
            raise Disagreement(f"{where}: accepted in the recording, refused here: {refusal.message}")
        got = (refusal.code, refusal.reason, self.causes([vars_of(cause) for cause in refusal.causes]))
        wanted = (want["code"], want.get("reason") or "", self.causes(want.get("causes") or []))
        if got != wanted:
            raise Disagreement(f"{where}: recorded {wanted}, the model says {got}")
        words = self.translated(want.get("message") or "")
        if words != refusal.message and not self.quotes_a_refused_choice(words, refusal.message):
            raise Disagreement(f"{where}: recorded {words!r}, the model says {refusal.message!r}")

    def causes(self, causes: list[Case]) -> Counter[tuple[str, str]]:
        return Counter((cause.get("field") or "", cause.get("reason") or "") for cause in causes)

    def translated(self, text: str) -> str:
        """Put ours in the place of each chosen value."""
        for value in sorted(filter(None, self.chosen), key=lambda v: -len(str(v))):
            if self.chosen[value] is not None:
                text = re.sub(WORD % re.escape(str(value)), f"\0{self.chosen[value]}\0", text)
        return text.replace("\0", "")

    def quotes_a_refused_choice(self, recorded: str, ours: str) -> bool:
        """A refused request may quote a node port that the server chose for it."""
        blank = re.compile(r"(nodePort: Duplicate value: |NodePort:)\d{5}")
        return blank.sub(r"\1", recorded) == blank.sub(r"\1", ours)


def unasked(spec: Case, body: Case) -> Case:
    """Find what the server chose, where a recording does not say so."""
    asked = body.get("spec") or {}
    named = {*(asked.get("clusterIPs") or ()), asked.get("clusterIP")}
    named_ports = {port.get("nodePort") for port in asked.get("ports") or ()}
    held_ports = {port.get("nodePort") for port in spec.get("ports") or ()}
    return {
        "clusterIPs": [ip for ip in spec.get("clusterIPs") or () if ip not in named and ip != "None"],
        "nodePorts": [port for port in held_ports if port and port not in named_ports],
    }


def vars_of(cause: Any) -> Case:
    return {"field": cause.field, "reason": cause.reason}


def replay_services(case: Case, path: Path) -> None:
    profile = path.name.removeprefix("services-").removesuffix(".jsonl.gz")
    ranges = PROFILES[profile]["serviceClusterIPRange"]
    if not stands_alone(case["steps"][0]["outcome"]):
        return  # something outside the case held the address
    run = Run(profile_server(profile).copy(), ranges)
    for number, step in enumerate(case["steps"]):
        if case.get("chance") == "leak" and number:
            return  # what a real server leaked by chance may stand in the way of later requests
        run.service_step(step, f"step {number} ({step['op']} {step['name']})")


def replay_exhaustion(case: Case, _path: Path) -> None:
    try:
        plane = server(case["profile"], case["version"])
    except InvalidConfig as error:
        if case.get("starts") is not False:
            raise Disagreement(f"starts in the recording, refused here: {error}") from error
        return
    if case.get("starts") is False:
        raise Disagreement(f"does not start in the recording ({case.get('error')}), starts here")
    run = Run(plane, str(case["profile"]["serviceClusterIPRange"]).split(","))
    for number, step in enumerate(case["steps"]):
        where = f"step {number} ({step['op']} {step.get('name')})"
        if step["op"] == "fill":
            fill(run, step, where, exact=case["id"].startswith("fill") and len(run.networks) == 1)
        elif step["op"] == "create" and "refs" not in step:
            if not stands_alone(step["outcome"]):
                return
            run.service_step(step, where)
        else:
            return  # the steps after this lean on values that the server chose


def stands_alone(outcome: Case) -> bool:
    """Say whether a refusal names no address that only the recording server had chosen."""
    return "already allocated" not in (outcome.get("message") or "")


def fill(run: Run, step: Case, where: str, *, exact: bool) -> None:
    """Create Services until refused, as often as the recording did."""
    held: list[list[str]] = []
    refused = bool(step.get("refusal"))
    for n in range(step["created"] + refused):
        name = step["name"].replace("<n>", str(n))
        body = {"kind": "Service", **step["service"], "metadata": {"name": name, "namespace": "default"}}
        try:
            held.append(run.plane.create(body)["spec"].get("clusterIPs") or [])
        except Rejected as refusal:
            if n < step["created"]:
                raise Disagreement(f"{where}: {step['created']} created in the recording, {n} here") from refusal
            run.compare_refusal({**step["refusal"], "accepted": False}, refusal, where)
            break
    else:
        if refused:
            raise Disagreement(f"{where}: refused after {step['created']} in the recording, not here")
    if exact and refused and {ips[0] for ips in held} != set(step.get("clusterIPs") or ()):
        raise Disagreement(f"{where}: other addresses than recorded")


def replay_service_cidrs(case: Case, _path: Path) -> None:
    """Replay ServiceCIDR and IPAddress objects next to Services."""
    if not case["serviceCIDRController"] or "note" in case:
        return  # without its controller a ServiceCIDR never becomes ready; notes mark what depends on time
    ranges = case["profile"]["serviceClusterIPRange"].split(",")
    run = Run(server(case["profile"], case["version"]), ranges)
    for number, step in enumerate(case["steps"]):
        where = f"step {number} ({step['op']} {step.get('kind')} {step.get('name')})"
        if "note" in step:
            return  # from here on the recording depends on time
        if step["op"] == "fill":
            run.networks = [ip_network("0.0.0.0/0"), ip_network("::/0")]
            fill(run, step, where, exact=number == 0 and len(ranges) == 1)
        elif step.get("kind") == "Service" and "outcome" in step and step["op"] != "get":
            run.networks = [ip_network("0.0.0.0/0"), ip_network("::/0")]
            run.service_step(step, where)
        else:
            waited = any(earlier["op"] == "wait" for earlier in case["steps"][:number])
            network_object_step(run, step, where, waited=waited)


def network_object_step(run: Run, step: Case, where: str, *, waited: bool) -> None:
    """Put one request about a ServiceCIDR or an IPAddress, or look at one."""
    verb, kind, name = step["op"], step.get("kind", ""), step.get("name", "")
    if verb in {"create", "replace"}:
        body = {"kind": kind, "metadata": {"name": name}, "spec": step["spec"]}
        run.judge(step, body, where)
    elif verb == "delete":
        run.plane.delete(kind, name)
    found = None
    with contextlib.suppress(Rejected):
        found = run.plane.get(kind, name) if name else None
    held_back = step.get("exists") and not waited  # a deleted ServiceCIDR stays for about ten seconds
    if verb == "get" and "exists" in step and step["exists"] != (found is not None) and not held_back:
        raise Disagreement(f"{where}: exists {step['exists']} in the recording, {found is not None} here")
    seen = step.get("after") or step.get("object")
    if seen and found:
        conditions = (found.get("status") or {}).get("conditions") or []
        ours = {
            "spec": found.get("spec"),
            "finalizers": found["metadata"].get("finalizers"),
            "conditions": [
                {key: entry.get(key) for key in ("type", "status", "reason", "message")} for entry in conditions
            ],
        }
        recorded = {"finalizers": None, "conditions": [], **seen}
        for key, value in ours.items():
            if kind == "ServiceCIDR" and recorded[key] != value:
                raise Disagreement(f"{where} {key}: recorded {recorded[key]!r}, the model says {value!r}")

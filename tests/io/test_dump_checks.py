"""Events of the node IPAM controller and addresses nobody uses."""

import io
from typing import Any

import pytest
from dump_texts import listed, messages, node, rules, small_cluster

from dsmodel.io.kubectl import read_dump


def event(reason: Any, *, group: str = "v1", **fields: Any) -> dict[str, Any]:
    metadata = {"name": "b.1", "namespace": "default"}
    return {"apiVersion": group, "kind": "Event", "metadata": metadata, "reason": reason, **fields}


@pytest.mark.parametrize("reason", ["CIDRNotAvailable", "CIDRAssignmentFailed"])
def test_events_become_findings_about_the_node(reason: str) -> None:
    subject = {"kind": "Node", "name": "c"}
    core = event(reason, involvedObject=subject, message="Node c status is now")
    new = event(reason, group="events.k8s.io/v1", regarding=subject, note="Node c status is now")
    for item in (core, new):
        dump = read_dump(io.StringIO(listed(node("c"), item)))
        ((found, severity, message),) = zip(
            dump.findings["object"], dump.findings["severity"], dump.findings["message"], strict=True
        )
        assert found == "Node/c"
        assert severity >= 2
        assert "Node c status is now" in message


def test_a_node_that_was_served_since_is_only_mentioned() -> None:
    item = event("CIDRNotAvailable", involvedObject={"kind": "Node", "name": "a"}, message="m")
    dump = read_dump(io.StringIO(listed(*small_cluster(), item)))
    ((_, message),) = messages(dump, "cidr-not-available")
    assert "has given it one since" in message
    assert dump.findings["severity"].tolist() == [1]


def test_other_events_are_ignored_and_wrong_ones_named() -> None:
    dump = read_dump(io.StringIO(listed(node("a", "10.0.0.0/24"), event("Pulled"), event(7))))
    assert dump.counts["Event"].ignored == 2
    assert rules(dump) == {"field-invalid": 1}


def test_ip_addresses_with_names_that_are_none() -> None:
    item = {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "seven"}, "spec": {}}
    other = item | {"apiVersion": "ipam.cluster.x-k8s.io/v1beta1", "spec": {"address": "10.0.0.7"}}
    dump = read_dump(io.StringIO(listed(*small_cluster(), item, item, other)))
    assert rules(dump) == {"address-invalid": 1, "object-duplicate": 1}
    assert dump.counts["IPAddress.ipam.cluster.x-k8s.io"].ignored == 1

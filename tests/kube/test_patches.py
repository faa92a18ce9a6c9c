"""Patches: RFC 6902, RFC 7386 and the strategic merge, on documents and on a server."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.errors import Rejected
from dsmodel.kube import ControlPlane
from dsmodel.kube.patches import apply_patch, merge_patch, strategic_patch

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [  # the appendix of RFC 7386
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_its_rfc(document: Any, patch: Any, result: Any) -> None:
    assert merge_patch(document, patch) == result


@given(JSON, JSON)
def test_patching_never_changes_what_was_given(document: Any, patch: Any) -> None:
    before = copy.deepcopy((document, patch))
    for kind in ("merge", "json", "strategic"):
        try:
            apply_patch(document, patch, patch_type=kind)
        except Rejected:
            continue
    assert (document, patch) == before


@given(JSON.filter(lambda value: isinstance(value, dict)), JSON.filter(lambda value: isinstance(value, dict)))
def test_a_json_patch_leads_from_one_document_to_the_other(left: dict[str, Any], right: dict[str, Any]) -> None:
    patch = jsonpatch.make_patch(left, right).patch
    assert apply_patch(left, patch, patch_type="json") == right


@given(JSON.filter(lambda value: isinstance(value, dict)))
def test_merging_a_document_into_itself_adds_nothing(document: dict[str, Any]) -> None:
    without_nulls = merge_patch({}, document)
    assert merge_patch(without_nulls, document) == without_nulls


PORTS = [{"port": 80, "protocol": "TCP", "name": "http"}, {"port": 53, "protocol": "UDP", "name": "dns"}]


@pytest.mark.parametrize(
    ("patch", "ports"),
    [
        ([{"port": 80, "targetPort": 8080}], [{**PORTS[0], "targetPort": 8080}, PORTS[1]]),
        ([{"port": 443}], [{"port": 443}, *PORTS]),
        ([{"port": 80, "$patch": "delete"}], PORTS[1:]),
        ([{"$patch": "replace"}, {"port": 1}], [{"port": 1}]),
        ([], PORTS),
    ],
)
def test_strategic_merge_matches_ports_by_number(patch: list[Any], ports: list[Any]) -> None:
    merged = strategic_patch({"spec": {"ports": PORTS}}, {"spec": {"ports": patch}})["spec"]["ports"]
    assert sorted(merged, key=str) == sorted(ports, key=str)


def test_strategic_merge_replaces_other_lists_and_clears_by_null() -> None:
    document = {"spec": {"ipFamilies": ["IPv4"], "selector": {"a": "b", "c": "d"}, "clusterIPs": ["x"]}}
    patch = {"spec": {"ipFamilies": ["IPv4", "IPv6"], "selector": {"c": None}, "clusterIPs": None}}
    assert strategic_patch(document, patch) == {"spec": {"ipFamilies": ["IPv4", "IPv6"], "selector": {"a": "b"}}}


def test_an_unknown_directive_or_type_is_refused() -> None:
    with pytest.raises(Rejected, match=r".+"):
        strategic_patch({"spec": {"a": 1}}, {"spec": {"$patch": "burn"}})
    with pytest.raises(Rejected, match=r".+") as refusal:
        apply_patch({}, {}, patch_type="apply")
    assert refusal.value.code == 415


@pytest.mark.parametrize("kind", ["strategic", "merge", "json"])
def test_all_three_kinds_turn_a_service_dual_stack(kind: str) -> None:
    server = ControlPlane(service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"])
    server.create({"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})
    patch: Any = {"spec": {"ipFamilyPolicy": "PreferDualStack"}}
    if kind == "json":
        patch = [{"op": "replace", "path": "/spec/ipFamilyPolicy", "value": "PreferDualStack"}]
    spec = server.patch("Service", "a", patch, patch_type=kind)["spec"]  # type: ignore[arg-type]
    assert spec["ipFamilies"] == ["IPv4", "IPv6"]
    assert len(spec["clusterIPs"]) == 2


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "remove", "path": "/spec/nothing"}],
        [{"op": "test", "path": "/spec/type", "value": "NodePort"}],
        [{"op": "fly", "path": "/spec"}],
        [{"path": "/spec"}],
        {"op": "remove"},
        "text",
        [5],
    ],
)
def test_json_patches_that_do_not_apply_are_refused(patch: Any) -> None:
    server = ControlPlane(service_cidrs=["10.96.0.0/16"])
    before = server.get("Service", "kubernetes")
    with pytest.raises(Rejected, match=r".+") as refusal:
        server.patch("Service", "kubernetes", patch, patch_type="json")
    assert refusal.value.code in {400, 422}
    assert server.get("Service", "kubernetes") == before

"""The family table, cell by cell, against tables written down apart from it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from dsmodel.errors import Rejected
from dsmodel.kube import ControlPlane, KubeVersion
from dsmodel.kube.behaviour import behaviour_of
from dsmodel.kube.families import (
    STORAGE_ROWS,
    STORE_ROWS,
    FamilyBefore,
    FamilyRules,
    FamilyShape,
    resolve,
)

IP4, IP6 = "IPv4", "IPv6"
POLICY = {"S": "SingleStack", "P": "PreferDualStack", "R": "RequireDualStack", "unset": None}
COLUMNS = ["none", "p", "o", "po", "op", "selector", "no selector"]  # addresses named, then headless

# policy families: one cell a column; "." is a refusal; p the primary family, o the other one
DUAL = """
unset unset  S:p  S:p  S:o  .    .    S:p  R:po
unset p      S:p  S:p  .    .    .    S:p  R:po
unset o      S:o  .    S:o  .    .    S:o  R:op
unset po     .    .    .    .    .    .    R:po
unset op     .    .    .    .    .    .    R:op
S     unset  S:p  S:p  S:o  .    .    S:p  S:p
S     p      S:p  S:p  .    .    .    S:p  S:p
S     o      S:o  .    S:o  .    .    S:o  S:o
S     po     .    .    .    .    .    .    .
S     op     .    .    .    .    .    .    .
P     unset  P:po P:po P:op P:po P:op P:po P:po
P     p      P:po P:po .    P:po .    P:po P:po
P     o      P:op .    P:op .    P:op P:op P:op
P     po     P:po P:po .    P:po .    P:po P:po
P     op     P:op .    P:op .    P:op P:op P:op
R     unset  R:po R:po R:op R:po R:op R:po R:po
R     p      R:po R:po .    R:po .    R:po R:po
R     o      R:op .    R:op .    R:op R:op R:op
R     po     R:po R:po .    R:po .    R:po R:po
R     op     R:op .    R:op .    R:op R:op R:op
"""
SINGLE = """
unset unset  S:p  S:p  .    .    .    S:p  R:po
unset p      S:p  S:p  .    .    .    S:p  R:po
unset o      .    .    .    .    .    .    R:op
unset po     .    .    .    .    .    .    R:po
unset op     .    .    .    .    .    .    R:op
S     unset  S:p  S:p  .    .    .    S:p  S:p
S     p      S:p  S:p  .    .    .    S:p  S:p
S     o      .    .    .    .    .    .    S:o
S     po     .    .    .    .    .    .    .
S     op     .    .    .    .    .    .    .
P     unset  P:p  P:p  .    .    .    P:p  P:po
P     p      P:p  P:p  .    .    .    P:p  P:po
P     o      .    .    .    .    .    .    P:op
P     po     .    .    .    .    .    .    P:po
P     op     .    .    .    .    .    .    P:op
R     unset  .    .    .    .    .    .    R:po
R     p      .    .    .    .    .    .    R:po
R     o      .    .    .    .    .    .    R:op
R     po     .    .    .    .    .    .    R:po
R     op     .    .    .    .    .    .    R:op
"""
# what 1.20 to 1.22 say otherwise: cluster, policy, families, column -> cell
FIRST = {("single", "P", families, "no selector"): f"P:{families[-1:]}" for families in ("p", "o")}
FIRST["single", "P", "unset", "no selector"] = "P:p"  # of 1.20 only
EARLY = {
    **{
        ("dual", "unset", families, column): f"R:{families}"
        for families in ("po", "op")
        for column in ("none", families[0], families, "selector")
    },
    ("dual", "unset", "unset", "po"): "R:po",
    ("dual", "unset", "unset", "op"): "R:op",
    ("dual", "unset", "p", "po"): "R:po",
    ("dual", "unset", "o", "op"): "R:op",
}
RANGE = {IP4: "10.96.0.0/16", IP6: "fd00:10:96::/112"}
STATIC = {IP4: "10.96.7.7", IP6: "fd00:10:96::707"}
VERSIONS = ["1.20", "1.21", "1.23", "1.26", "1.31", "1.36"]


def rules_of(version: str) -> FamilyRules:
    return behaviour_of(KubeVersion(version), {"IPv6DualStack": True} if version == "1.20" else {}).families


def cells() -> list[tuple[str, str, str, str, str]]:
    tables = {"dual": DUAL, "single": SINGLE}
    return [
        (cluster, policy, families, column, cell)
        for cluster, table in tables.items()
        for policy, families, *row in map(str.split, table.strip().splitlines())
        for column, cell in zip(COLUMNS, row, strict=True)
    ]


def manifest(cell: tuple[str, str, str, str], primary: str) -> dict[str, Any]:
    _, policy, families, column = cell
    spelt = {"p": primary, "o": IP6 if primary == IP4 else IP4}
    spec: dict[str, Any] = {"ports": [{"port": 80}], "ipFamilyPolicy": POLICY[policy]}
    if families != "unset":
        spec["ipFamilies"] = [spelt[letter] for letter in families]
    if "selector" in column:
        spec["clusterIP"] = "None"
    elif column != "none":
        spec["clusterIPs"] = [STATIC[spelt[letter]] for letter in column]
        spec["clusterIP"] = spec["clusterIPs"][0]
    if column != "no selector":
        spec["selector"] = {"app": "x"}
    return {"kind": "Service", "metadata": {"name": "a"}, "spec": spec}


def found(server: ControlPlane, body: dict[str, Any], primary: str) -> str:
    """Write what a server makes of a request as a cell."""
    try:
        spec = server.copy().create(body)["spec"]
    except Rejected as refusal:
        return "." if refusal.code == 422 else refusal.message
    assert spec["clusterIP"] == "None" or len(spec["clusterIPs"]) == len(spec["ipFamilies"])
    return f"{spec['ipFamilyPolicy'][0]}:{''.join('p' if f == primary else 'o' for f in spec['ipFamilies'])}"


@pytest.mark.parametrize("primary", [IP4, IP6])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_cell_of_creation(version: str, primary: str) -> None:
    gates = {"IPv6DualStack": True} if version == "1.20" else {}
    ranges = [RANGE[primary], *(RANGE[family] for family in RANGE if family != primary)]
    servers = {
        cluster: ControlPlane(kube_version=version, service_cidrs=held, feature_gates=gates)
        for cluster, held in (("dual", ranges), ("single", ranges[:1]))
    }
    early = EARLY if rules_of(version).generation == "rest" else {}
    early = early | (FIRST if version == "1.20" else {})
    wrong = []
    for cell in cells():
        expected = early.get(cell[:4], cell[4])
        answer = found(servers[cell[0]], manifest(cell[:4], primary), primary)
        if answer != expected:
            wrong.append((*cell[:4], expected, answer))
    assert not wrong


def test_the_tables_have_a_cell_for_every_shape() -> None:
    keys = {key[:-1] for key in cells()}
    families = ["unset", "p", "o", "po", "op"]
    assert keys == set(itertools.product(["dual", "single"], POLICY, families, COLUMNS))
    assert set(EARLY | FIRST) <= keys


def shapes() -> list[FamilyShape]:
    """Every shape of a creation, and of a change that keeps or changes one thing."""
    lists = [(), (IP4,), (IP6,), (IP4, IP6), (IP6, IP4)]
    clusters = [(IP4,), (IP6,), (IP4, IP6), (IP6, IP4)]
    befores = [None] + [
        FamilyBefore(policy, same_type, same_ips, same_families, count, count)
        for policy, same_type, same_ips, same_families, count in itertools.product(
            [None, "SingleStack", "PreferDualStack"], [True, False], [True, False], [True, False], [1, 2]
        )
    ]
    return [
        FamilyShape(policy, families, () if headless else ips, headless, selector, cluster, before)
        for policy, families, ips, (headless, selector), cluster, before in itertools.product(
            POLICY.values(), lists, lists, [(True, True), (True, False), (False, True)], clusters, befores
        )
        if not (headless and ips)
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_holds_for_every_shape(version: str) -> None:
    rules = rules_of(version)
    for shape in shapes():
        outcome = resolve(shape, rules)
        if outcome.refusals or outcome.untouched or shape.ips:
            continue  # whether addresses fit the families is judged before and after
        assert outcome.policy in POLICY.values(), shape
        assert 1 <= len(set(outcome.families)) == len(outcome.families) <= 2, shape
        assert outcome.families[: len(shape.families[:1])] == shape.families[:1], shape
        inferred_before = rules.generation == "rest" and shape.policy is None
        assert outcome.policy != "SingleStack" or len(outcome.families) == 1 or inferred_before, shape
        assert outcome.policy != "RequireDualStack" or len(outcome.families) == 2, shape
        if not shape.headless:
            assert set(outcome.families) <= set(shape.cluster), shape


def test_refusals_name_a_field_and_only_known_values() -> None:
    for version in VERSIONS:
        for shape in shapes():
            for refusal in resolve(shape, rules_of(version)).refusals:
                assert refusal.path.startswith("spec."), shape
                assert refusal.value in {"policy", "cluster_ips", "family"}, shape
                assert (refusal.value == "family") == bool(refusal.family), shape


def test_rows_say_why_and_where_from() -> None:
    assert all(row.says and row.source for row in (*STORE_ROWS, *STORAGE_ROWS))


def test_an_untouched_prefer_service_stays_when_the_cluster_turns_dual() -> None:
    before = FamilyBefore("PreferDualStack", True, True, True, 1, 1)
    shape = FamilyShape(
        "PreferDualStack", (IP4,), (IP4,), headless=False, selector=True, cluster=(IP4, IP6), before=before
    )
    assert resolve(shape, rules_of("1.36")).untouched
    upgraded = resolve(shape, rules_of("1.20"))
    assert (upgraded.untouched, upgraded.families) == (False, (IP4, IP6))


@pytest.mark.parametrize(("policy", "families"), [("SingleStack", (IP4,)), ("PreferDualStack", (IP4, IP6))])
def test_single_stack_is_the_signal_to_release_the_second(policy: str, families: tuple[str, ...]) -> None:
    before = FamilyBefore("RequireDualStack", True, True, True, 2, 2)
    both = (IP4, IP6)
    shape = FamilyShape(policy, both, both, headless=False, selector=True, cluster=both, before=before)
    outcome = resolve(shape, rules_of("1.36"))
    assert (outcome.families, outcome.ip_count) == (families, len(families))


def test_shortening_without_the_signal_is_refused() -> None:
    before = FamilyBefore("RequireDualStack", True, False, False, 2, 2)
    shape = FamilyShape(
        "PreferDualStack", (IP4,), (IP4,), headless=False, selector=True, cluster=(IP4, IP6), before=before
    )
    outcome = resolve(shape, rules_of("1.36"))
    assert {refusal.path for refusal in outcome.refusals} == {"spec.ipFamilyPolicy"}
    assert all("must be 'SingleStack' to release" in refusal.detail for refusal in outcome.refusals)

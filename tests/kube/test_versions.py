import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.errors import InvalidConfig, UnsupportedVersion
from dsmodel.kube.versions import GATES, NEWEST, OLDEST, RULES, KubeVersion

MINORS = range(OLDEST, NEWEST + 1)


def every() -> list[KubeVersion]:
    return [KubeVersion(f"1.{minor}") for minor in MINORS]


@pytest.mark.parametrize("text", ["1.36", "v1.36", "v1.36.2", "1.36.2-rc.1", "v1.36.2+k3s1", " 1.36 "])
def test_patch_and_build_are_dropped(text: str) -> None:
    assert str(KubeVersion(text)) == "1.36"
    assert repr(KubeVersion(text)) == "KubeVersion('1.36')"


@pytest.mark.parametrize("text", ["1.19", "1.37", "v1.9.11", "1.100"])
def test_the_window_is_closed(text: str) -> None:
    with pytest.raises(UnsupportedVersion, match=r"outside the modelled window; use 1\.20 to 1\.36"):
        KubeVersion(text)


@pytest.mark.parametrize("text", ["", "36", "2.0", "latest", "1.x", "1.36.x.y"])
def test_text_that_is_no_version(text: str) -> None:
    with pytest.raises(UnsupportedVersion, match="is no Kubernetes version"):
        KubeVersion(text)


def test_a_version_is_a_value() -> None:
    version = KubeVersion("1.36")
    assert version == KubeVersion(version) == pickle.loads(pickle.dumps(version))  # noqa: S301 - own bytes
    assert {version, KubeVersion("v1.36.1")} == {version}
    assert every()[0] < every()[-1]
    assert sorted({*every()}) == every()
    with pytest.raises(AttributeError, match="minor"):
        version.minor = 20  # type: ignore[misc]


@pytest.mark.parametrize(
    ("gate", "on_since"),
    [
        ("IPv6DualStack", 21),
        ("ServiceIPStaticSubrange", 25),
        ("ServiceNodePortStaticSubrange", 28),
        ("MultiCIDRServiceAllocator", 33),
        ("DisableAllocatorDualWrite", 34),
        ("StrictIPCIDRValidation", 36),
        ("CloudDualStackNodeIPs", 29),
    ],
)
def test_a_gate_is_on_by_default_since(gate: str, on_since: int) -> None:
    assert [version.minor for version in every() if version.gate(gate)] == list(range(on_since, NEWEST + 1))


def test_a_withdrawn_gate_stays_off() -> None:
    assert not any(version.gate("MultiCIDRRangeAllocator") for version in every())


def test_overrides() -> None:
    assert KubeVersion("1.20").gate("IPv6DualStack", {"IPv6DualStack": True, "Other": False})
    assert not KubeVersion("1.22").gate("IPv6DualStack", {"IPv6DualStack": False})
    assert KubeVersion("1.34").gate("IPv6DualStack", {"EndpointSlice": True})
    with pytest.raises(
        InvalidConfig, match="cannot set feature gate IPv6DualStack to false, feature is locked to true"
    ):
        KubeVersion("1.24").gate("IPv6DualStack", {"IPv6DualStack": False})
    with pytest.raises(InvalidConfig, match="unrecognized feature gate: IPv6DualStack"):
        KubeVersion("1.25").gate("IPv6DualStack", {"IPv6DualStack": True})
    with pytest.raises(InvalidConfig, match="unrecognized feature gate: MultiCIDRServiceAllocator"):
        KubeVersion("1.26").gate("MultiCIDRServiceAllocator", {"MultiCIDRServiceAllocator": True})


def test_all_alpha_and_all_beta_move_what_is_alpha_and_beta() -> None:
    assert KubeVersion("1.20").gate("IPv6DualStack", {"AllAlpha": True})
    assert not KubeVersion("1.20").gate("IPv6DualStack", {"AllBeta": True})
    assert not KubeVersion("1.21").gate("IPv6DualStack", {"AllBeta": False})
    assert not KubeVersion("1.20").gate("IPv6DualStack", {"AllAlpha": True, "IPv6DualStack": False})
    assert KubeVersion("1.23").gate("IPv6DualStack", {"AllAlpha": False, "AllBeta": False})


def test_unknown_names_are_named() -> None:
    with pytest.raises(InvalidConfig, match="no feature gate 'Bogus' is modelled; the modelled ones are"):
        KubeVersion("1.36").gate("Bogus")
    with pytest.raises(InvalidConfig, match="no rule 'bogus' is modelled"):
        KubeVersion("1.36").rule("bogus")


def test_gates_of_a_version_are_those_it_knows() -> None:
    assert "IPv6DualStack" in KubeVersion("1.24").gates()
    assert "IPv6DualStack" not in KubeVersion("1.25").gates()
    for version in every():
        assert list(version.gates()) == sorted(version.gates())


@pytest.mark.parametrize("name", sorted(GATES))
def test_gate_rows_are_in_order_and_sourced(name: str) -> None:
    gate = GATES[name]
    assert [row.since for row in gate.rows] == sorted({row.since for row in gate.rows})
    assert {row.stage for row in gate.rows} <= {"alpha", "beta", "GA", "deprecated"}
    assert gate.source
    assert gate.removed is None or gate.removed > gate.rows[-1].since
    # what holds after removal is what held before it
    assert gate.removed is None or gate.rows[-1].default == gate.after_removal


@pytest.mark.parametrize("name", sorted(RULES))
def test_rules_have_a_value_in_every_version(name: str) -> None:
    rule = RULES[name]
    assert rule.meaning
    assert rule.source
    assert [since for since, _ in rule.rows] == sorted({since for since, _ in rule.rows})
    for version in every():
        version.rule(name)


@given(st.sampled_from(sorted(RULES)), st.sampled_from(list(MINORS)))
def test_a_rule_holds_from_its_row_on(name: str, minor: int) -> None:
    expected = [value for since, value in RULES[name].rows if since <= minor][-1]
    assert KubeVersion(f"1.{minor}").rule(name) == expected

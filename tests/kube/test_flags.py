from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidConfig, InvalidInput, UnsupportedVersion
from dsmodel.kube import check_config, check_flags, config_from_flags
from dsmodel.kube.flags import COMPONENTS

COLUMNS = ["component", "flag", "rule", "severity", "message", "fix", "source"]
SERVER, MANAGER = "kube-apiserver", "kube-controller-manager"


def found(component: str, *flags: str, version: str = "1.36") -> list[tuple[str, str]]:
    frame = check_flags(component, flags, kube_version=version)
    return list(zip(frame["severity"], frame["rule"], strict=True))


def fatal(component: str, *flags: str, version: str = "1.36") -> list[str]:
    frame = check_flags(component, flags, kube_version=version)
    return frame.loc[frame["severity"] == "fatal", "message"].tolist()


def test_nothing_to_say_is_an_empty_frame_with_its_columns() -> None:
    frame = check_flags(SERVER, ["--service-cluster-ip-range=10.96.0.0/16"])
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 0
    assert not (frame["severity"] == "fatal").any()


def test_every_finding_says_all_it_has_to() -> None:
    frame = check_flags(MANAGER, ["--allocate-node-cidrs", "--cluster-cidr=10.0.0.0/8,10.0.0.0/8"])
    assert isinstance(frame, pd.DataFrame)
    assert (frame != "").all(axis=None)


@pytest.mark.parametrize("component", list(COMPONENTS))
def test_odd_arguments_are_findings(component: str) -> None:
    flags = [component, "--no-such-flag=1", "stray", "--feature-gates=IPv6DualStack", "--feature-gates=Bogus=true"]
    rules = found(component, *flags)
    assert ("note", "flag-not-modelled") in rules
    assert ("note", "argument") in rules
    assert ("fatal", "flag-syntax") in rules
    assert ("note", "feature-gate-not-modelled") in rules


def test_a_flag_given_twice_keeps_its_last_value() -> None:
    flags = ["--service-cluster-ip-range=foo", "--service-cluster-ip-range", "10.96.0.0/16"]
    assert found(SERVER, *flags) == [("warning", "flag-repeated")]


def test_unknown_components_and_versions_are_errors() -> None:
    with pytest.raises(InvalidConfig, match="'kube-scheduler' is not judged here; use one of kube-apiserver"):
        check_flags("kube-scheduler", [])
    with pytest.raises(UnsupportedVersion, match="outside the modelled window"):
        check_flags(SERVER, [], kube_version="1.40")


@pytest.mark.parametrize(
    ("component", "flag", "meant"),
    [
        (MANAGER, "--cluster-cider=10.0.0.0/8", "--cluster-cidr"),
        (MANAGER, "--node-cidr-mask-size-ip4=24", "--node-cidr-mask-size-ipv4"),
        (SERVER, "--service-cluster-ip-ranges=10.0.0.0/16", "--service-cluster-ip-range"),
        ("kubelet", "--node-ips=10.0.0.1", "--node-ip"),
        ("kube-proxy", "--detect-localmode=NodeCIDR", "--detect-local-mode"),
    ],
)
def test_a_misspelled_flag_names_the_one_that_was_meant(component: str, flag: str, meant: str) -> None:
    frame = check_flags(component, [flag]).query("rule == 'flag-misspelled'")
    assert frame[["severity", "fix"]].to_numpy().tolist() == [["warning", f"write {meant}"]]


@pytest.mark.parametrize(
    ("component", "name"),
    [
        (SERVER, "secure-port"),
        (SERVER, "external-hostname"),
        (MANAGER, "cluster-name"),
        (MANAGER, "node-monitor-period"),
        ("kubelet", "cni-cache-dir"),
        ("kubelet", "pods-per-core"),
        ("kubelet", "cluster-domain"),
        ("kube-proxy", "bind-address-hard-fail"),
        ("kube-proxy", "iptables-masquerade-bit"),
    ],
)
def test_flags_that_exist_are_not_called_misspelled(component: str, name: str) -> None:
    assert ("note", "flag-not-modelled") in found(component, f"--{name}=1")


@pytest.mark.parametrize("flags", ["--max-pods=5", b"--max-pods=5", {"max-pods": 5}, None, 7])
def test_what_is_no_list_of_words_is_refused_with_the_way_out(flags: object) -> None:
    for call in (
        lambda: check_flags("kubelet", flags),  # type: ignore[arg-type]
        lambda: check_config({"kubelet": flags}),  # type: ignore[dict-item]
        lambda: config_from_flags({"kubelet": flags}),  # type: ignore[dict-item]
    ):
        with pytest.raises(InvalidInput, match=r"flags of kubelet: got a .*; give a list of words"):
            call()
    for wrong in ([], "kubelet", None, 3):
        with pytest.raises(InvalidInput, match="give a mapping such as"):
            check_config(wrong)  # type: ignore[arg-type]


@given(st.sampled_from(list(COMPONENTS)), st.data())
def test_no_text_is_a_traceback(component: str, data: st.DataObject) -> None:
    known, _ = COMPONENTS[component]
    pieces = st.sampled_from(
        [
            "10.0.0.0/8",
            "fd00::/48",
            "::ffff:10.0.0.0/104",
            "10.0.0.1",
            "::1",
            "0.0.0.0",  # noqa: S104 - a flag value to judge
            "-1",
            "70000",
            "a+b",
            " ",
            "=",
            "true",
        ]
    )
    value = st.one_of(st.text(max_size=8), st.lists(pieces, max_size=4).map(",".join))
    flags = st.lists(
        st.builds("--{}={}".format, st.sampled_from(sorted(known)), value) | st.text(max_size=6), max_size=5
    )
    version = data.draw(st.integers(20, 36))
    frame = check_flags(component, data.draw(flags), kube_version=f"1.{version}")
    assert set(frame["severity"]) <= {"fatal", "error", "warning", "note"}


# ---------------------------------------------------------------- kube-apiserver


@pytest.mark.parametrize(
    ("version", "cidr", "starts"),
    [
        ("1.20", "10.96.0.0/12", True),
        ("1.20", "10.96.0.0/11", False),
        ("1.32", "10.96.0.0/11", False),
        ("1.33", "10.96.0.0/11", False),  # the bitmap is still written beside the new objects
        ("1.34", "10.96.0.0/11", True),
        ("1.33", "fd00::/107", False),
        ("1.34", "fd00::/64", True),
        ("1.34", "fd00::/63", False),
        ("1.36", "0.0.0.0/1", False),
    ],
)
def test_size_of_the_first_service_range(version: str, cidr: str, starts: bool) -> None:  # noqa: FBT001 - a table
    assert (not fatal(SERVER, f"--service-cluster-ip-range={cidr}", version=version)) == starts


def test_gates_decide_whether_the_bitmap_limits_the_range() -> None:
    flags = ("--service-cluster-ip-range=10.0.0.0/8", "--feature-gates=MultiCIDRServiceAllocator=true")
    assert fatal(SERVER, *flags, "--feature-gates=DisableAllocatorDualWrite=true", version="1.31") == []
    assert fatal(SERVER, *flags, version="1.31")


def test_a_wide_second_range_starts_and_serves_nothing() -> None:
    assert found(SERVER, "--service-cluster-ip-range=10.96.0.0/16,fd00::/63") == [("error", "service-range-wide")]


def test_advertise_address() -> None:
    flags = ("--service-cluster-ip-range=10.96.0.0/16", "--advertise-address=fd00:a::10")
    assert fatal(SERVER, *flags) == ['service IP family "10.96.0.0/16" must match public address family "fd00:a::10"']
    assert fatal(SERVER, *flags, "--endpoint-reconciler-type=none") == []
    assert fatal(SERVER, *flags, version="1.23") == []
    assert fatal(SERVER, "--advertise-address=host", *flags[:1])


def test_leading_zeros_and_host_bits() -> None:
    assert found(SERVER, "--service-cluster-ip-range=010.096.0.0/16") == [("note", "service-range-masked")]
    assert fatal(SERVER, "--service-cluster-ip-range=010.096.0.0/16", version="1.20")


def test_gates_that_are_gone_or_locked() -> None:
    dual = "--service-cluster-ip-range=10.96.0.0/16,fd00::/112"
    assert fatal(SERVER, dual, version="1.20")
    assert fatal(SERVER, dual, "--feature-gates=IPv6DualStack=true", version="1.20") == []
    assert fatal(SERVER, dual, "--feature-gates=IPv6DualStack=false", version="1.22")
    assert fatal(SERVER, dual, "--feature-gates=IPv6DualStack=false", version="1.23") == [
        "cannot set feature gate IPv6DualStack to false, feature is locked to true"
    ]
    assert found(SERVER, dual, "--feature-gates=IPv6DualStack=true", version="1.25") == [("error", "feature-gate")]


def test_node_ports_users_regret() -> None:
    ranges = "--service-cluster-ip-range=10.96.0.0/16"
    assert found(SERVER, ranges, "--service-node-port-range=80-40000") == [("warning", "node-port-overlap")] * 2


# ---------------------------------------------------------------- kube-controller-manager


def test_without_node_ipam_its_flags_are_not_read() -> None:
    assert found(MANAGER, "--cluster-cidr=foo") == [("note", "node-ipam-off")]


def test_families_of_unequal_capacity_are_a_warning() -> None:
    frame = check_flags(MANAGER, ["--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16,fd00::/64"])
    assert frame["rule"].tolist() == ["family-capacity"]
    assert "node 2 gets no podCIDR" in frame["message"][0]
    assert "loses a block of 10.244.0.0/16" in frame["message"][0]


def test_service_ranges_inside_the_cluster_cidr() -> None:
    base = ("--allocate-node-cidrs=true", "--cluster-cidr=10.111.0.0/16")
    assert found(MANAGER, *base, "--service-cluster-ip-range=10.96.0.0/12") == [("error", "service-range-inside")]
    assert found(MANAGER, *base, "--service-cluster-ip-range=10.111.0.0/28") == [("note", "service-range-inside")]
    assert found(MANAGER, *base, "--service-cluster-ip-range=foo") == [("warning", "service-range")]
    assert found(MANAGER, *base, "--service-cluster-ip-range=fd00::/112") == [("warning", "family-pairing")]


def test_order_of_families_is_a_note() -> None:
    flags = ("--allocate-node-cidrs=true", "--cluster-cidr=10.244.0.0/16,fd00::/56")
    assert found(MANAGER, *flags, "--service-cluster-ip-range=fd01::/112,10.96.0.0/16") == [("note", "family-order")]


def test_a_mask_longer_than_an_address_is_an_error() -> None:
    flags = ("--allocate-node-cidrs=true", "--cluster-cidr=10.244.0.0/16", "--node-cidr-mask-size=33")
    assert found(MANAGER, *flags) == [("error", "node-mask")]


@pytest.mark.parametrize("version", ["1.20", "1.30", "1.36"])
@pytest.mark.parametrize("kind", ["CloudAllocator", "IPAMFromCluster", "Bogus"])
def test_allocator_types_without_a_cloud(version: str, kind: str) -> None:
    flags = ("--allocate-node-cidrs=true", "--cluster-cidr=10.244.0.0/16", f"--cidr-allocator-type={kind}")
    assert fatal(MANAGER, *flags, version=version)


# ---------------------------------------------------------------- kubelet and kube-proxy


@pytest.mark.parametrize(
    ("version", "flags", "starts"),
    [
        ("1.20", ["--node-ip=10.0.0.1,fd00::1"], False),
        ("1.20", ["--node-ip=10.0.0.1,fd00::1", "--feature-gates=IPv6DualStack=true"], True),
        ("1.36", ["--node-ip=fd00::1, 10.0.0.1"], True),
        ("1.36", ["--node-ip=10.0.0.1,10.0.0.2"], False),
        ("1.36", ["--node-ip=10.0.0.1,fd00::1,fd00::2"], False),
        ("1.36", ["--node-ip=0.0.0.0,fd00::1"], False),
        ("1.36", ["--node-ip=0.0.0.0"], True),
        ("1.36", ["--node-ip=foo"], True),
        ("1.28", ["--node-ip=10.0.0.1,fd00::1", "--cloud-provider=external"], False),
        ("1.29", ["--node-ip=10.0.0.1,fd00::1", "--cloud-provider=external"], True),
        ("1.36", ["--node-ip=10.0.0.1,fd00::1", "--cloud-provider=aws"], False),
        ("1.23", ["--network-plugin=kubenet"], True),
        ("1.24", ["--network-plugin=kubenet"], False),
        ("1.36", ["--max-pods=-1"], False),
    ],
)
def test_kubelet_starts(version: str, flags: list[str], starts: bool) -> None:  # noqa: FBT001 - a table
    assert (not fatal("kubelet", *flags, version=version)) == starts


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "224.0.0.1", "fe80::1", "169.254.1.1"])
def test_addresses_a_node_may_not_have(address: str) -> None:
    assert found("kubelet", f"--node-ip={address}") == [("error", "node-ip-unfit")]


@pytest.mark.parametrize(
    ("version", "flags", "starts"),
    [
        ("1.20", ["--cluster-cidr=10.0.0.0/8,fd00::/48"], False),
        ("1.20", ["--cluster-cidr=10.0.0.0/8,fd00::/48", "--feature-gates=IPv6DualStack=true"], True),
        ("1.36", ["--cluster-cidr=10.0.0.0/8,fd00::/48"], True),
        ("1.36", ["--cluster-cidr=10.0.0.0/8,11.0.0.0/8"], False),
        ("1.36", ["--cluster-cidr=foo"], False),
        ("1.36", ["--cluster-cidr=foo", "--detect-local-mode=NodeCIDR"], True),
        ("1.36", ["--detect-local-mode=BridgeInterface"], False),
        ("1.36", ["--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cbr0"], True),
        ("1.20", ["--detect-local-mode=BridgeInterface"], False),
        ("1.25", ["--proxy-mode=userspace"], True),
        ("1.26", ["--proxy-mode=userspace"], False),
        ("1.28", ["--proxy-mode=nftables"], False),
        ("1.28", ["--proxy-mode=nftables", "--feature-gates=NFTablesProxyMode=true"], False),
        ("1.29", ["--proxy-mode=nftables"], False),
        ("1.29", ["--proxy-mode=nftables", "--feature-gates=NFTablesProxyMode=true"], True),
        ("1.31", ["--proxy-mode=nftables"], True),
        ("1.32", ["--proxy-mode=nftables", "--feature-gates=NFTablesProxyMode=false"], False),
        ("1.33", ["--feature-gates=NFTablesProxyMode=false"], False),
        ("1.36", ["--proxy-mode=nftables"], True),
        ("1.36", ["--proxy-mode=ipvs"], True),
        ("1.36", ["--nodeport-addresses=primary"], True),
        ("1.36", ["--nodeport-addresses=primary,10.0.0.0/8"], False),
        ("1.20", ["--nodeport-addresses=primary"], False),
        ("1.36", ["--bind-address=host"], False),
    ],
)
def test_kube_proxy_starts(version: str, flags: list[str], starts: bool) -> None:  # noqa: FBT001 - a table
    assert (not fatal("kube-proxy", *flags, version=version)) == starts


@pytest.mark.parametrize(("version", "notes"), [("1.34", 0), ("1.35", 1), ("1.36", 1)])
def test_ipvs_is_deprecated(version: str, notes: int) -> None:
    frame = check_flags("kube-proxy", ["--proxy-mode=ipvs", "--cluster-cidr=10.0.0.0/16"], kube_version=version)
    assert frame["message"].str.startswith("The ipvs proxier is now deprecated").sum() == notes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250", 250),
        ("+250", 250),
        ("0xFA", 250),
        ("0o372", 250),
        ("0372", 250),  # octal, as in Go
        ("0b1111_1010", 250),
        ("2_5_0", 250),
        ("0", 0),
        ("-0", 0),
        ("250.0", "invalid syntax"),
        ("2__50", "invalid syntax"),
        ("_250", "invalid syntax"),
        ("0x", "invalid syntax"),
        ("08", "invalid syntax"),
        ("", "invalid syntax"),
        ("1e3", "invalid syntax"),
        ("\N{ARABIC-INDIC DIGIT TWO}50", "invalid syntax"),
        ("2147483648", "value out of range"),
        ("9" * 5000, "value out of range"),
    ],
)
def test_numbers_are_read_as_go_reads_them(text: str, value: int | str) -> None:
    """strconv.ParseInt with base 0, 32 bits, as pflag calls it for --max-pods."""
    flags = [f"--max-pods={text}"]
    if isinstance(value, int):
        assert config_from_flags({"kubelet": flags}).max_pods == value
    else:
        assert any(value in words for words in fatal("kubelet", *flags))


# ---------------------------------------------------------------- configuration from flags


def test_a_configuration_from_the_flags_of_four_components() -> None:
    config = config_from_flags(
        {
            SERVER: [
                SERVER,
                "--service-cluster-ip-range=fd01::/112,10.96.0.0/16",
                "--service-node-port-range=30000+99",
            ],
            MANAGER: [
                "--allocate-node-cidrs=true",
                "--cluster-cidr=fd00::/48,10.244.0.0/16",
                "--node-cidr-mask-size-ipv4=26",
            ],
            "kubelet": ["--max-pods=250"],
        },
        kube_version="1.30",
    )
    assert config.cluster_cidrs == (Cidr("fd00::/48"), Cidr("10.244.0.0/16"))
    assert config.service_cidrs == (Cidr("fd01::/112"), Cidr("10.96.0.0/16"))
    assert config.node_cidr_mask_sizes == {IPFamily.IPV6: 64, IPFamily.IPV4: 26}
    assert (config.service_node_port_range, config.max_pods) == ((30000, 30099), 250)
    assert config.evidence["max_pods"] == "flag --max-pods of kubelet"
    assert config.evidence["node_cidr_mask_sizes"] == "flag --node-cidr-mask-size-ipv4 of kube-controller-manager"


def test_components_left_out_leave_defaults_or_what_others_say() -> None:
    config = config_from_flags({"kube-proxy": ["--cluster-cidr=10.244.0.0/16"]})
    assert config.cluster_cidrs == (Cidr("10.244.0.0/16"),)
    assert config.evidence["cluster_cidrs"] == "flag --cluster-cidr of kube-proxy"
    assert config.evidence["service_cidrs"] == "default"
    assert config_from_flags({}).service_cidrs == ()
    silent = config_from_flags({SERVER: []})
    assert (silent.service_cidrs, silent.evidence["service_cidrs"]) == (
        (Cidr("10.0.0.0/24"),),
        "default of kube-apiserver",
    )


def test_a_configuration_that_would_not_start_is_none() -> None:
    with pytest.raises(InvalidConfig, match="kube-apiserver would not start: service-cluster-ip-range"):
        config_from_flags({SERVER: ["--service-cluster-ip-range=foo"]})
    with pytest.raises(InvalidConfig, match="'etcd' is not judged here"):
        config_from_flags({"etcd": []})

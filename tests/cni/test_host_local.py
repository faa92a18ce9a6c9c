from __future__ import annotations

import ipaddress
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.cni import HostLocal
from dsmodel.cni.host_local import read_state, write_state
from dsmodel.errors import CNIError, InconsistentState

if TYPE_CHECKING:
    from pathlib import Path


def network(*subnets: str, version: str = "1.0.0", **ipam: Any) -> dict[str, Any]:
    ranges = [[{"subnet": subnet}] for subnet in subnets]
    return {"cniVersion": version, "name": "cbr0", "ipam": {"type": "host-local", "ranges": ranges, **ipam}}


def addresses(result: dict[str, Any]) -> list[str]:
    return [each["address"].split("/")[0] for each in result["ips"]]


def added(plugin: HostLocal, container: str, **options: Any) -> list[str] | str:
    try:
        return addresses(plugin.add(container, **options))
    except CNIError as error:
        return error.msg


def usable(subnet: str) -> list[str]:
    """List what the plugin may hand out: no network, no first address, and for IPv4 no broadcast."""
    net = ipaddress.ip_network(subnet)
    return [str(address) for address in net][2 : -1 if net.version == 4 else None]


@given(
    st.sampled_from(["10.1.0.0/29", "10.1.0.0/28", "fd00::/125", "fd00::/126", "10.1.0.0/30"]),
    st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=50),
)
def test_any_sequence_equals_the_slow_way(subnet: str, steps: list[tuple[bool, int]]) -> None:
    plugin, pool = HostLocal(network(subnet)), usable(subnet)
    held: dict[str, str] = {}
    last = -1
    for number, (adds, which) in enumerate(steps):
        if adds:
            order = [pool[(last + 1 + step) % len(pool)] for step in range(len(pool))]
            expected = next((text for text in order if text not in held.values()), None)
            got = added(plugin, f"c{number}")
            if expected is None:
                assert isinstance(got, str)
                assert got.startswith("failed to allocate for range 0: no IP addresses available in range set:")
                continue
            assert got == [expected]
            held[f"c{number}"] = expected
            last = pool.index(expected)
        else:
            plugin.delete(f"c{which}")
            held.pop(f"c{which}", None)
        assert plugin.state["reserved"] == {text: f"{name} eth0" for name, text in sorted(held.items())}


def test_golden_1_a_29_and_a_126() -> None:
    plugin = HostLocal(network("10.0.0.0/29"))
    assert [added(plugin, name) for name in "abcde"] == [[f"10.0.0.{last}"] for last in (2, 3, 4, 5, 6)]
    assert added(plugin, "f") == (
        "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6"
    )
    plugin.delete("b")
    assert added(plugin, "g") == ["10.0.0.3"]
    lost = HostLocal(network("10.0.0.0/29"), state={"reserved": {}, "last": {"0": "10.9.9.9"}})
    assert added(lost, "a") == ["10.0.0.2"]  # a cursor outside all ranges starts at the first
    narrow = HostLocal(network("fd00::/126"))
    assert [added(narrow, name) for name in "ab"] == [["fd00::2"], ["fd00::3"]]
    assert isinstance(added(narrow, "c"), str)


@pytest.mark.parametrize(
    ("subnet", "count"), [("10.0.0.0/29", 5), ("10.0.0.0/24", 253), ("fd00::/126", 2), ("fd00::/120", 254)]
)
def test_usable_addresses(subnet: str, count: int) -> None:
    plugin = HostLocal(network(subnet))
    names = itertools.takewhile(
        lambda name: isinstance(added(plugin, name), list), map("c{}".format, itertools.count())
    )
    assert sum(1 for _ in names) == count


def test_a_nearly_full_64_is_answered_at_once() -> None:
    start, end = int(ipaddress.ip_address("fd00::2")), int(ipaddress.ip_address("fd00::ffff:ffff:ffff:ffff"))
    reserved = {str(ipaddress.ip_address(start + n)): f"c{n} eth0" for n in range(5000)}
    state = {"reserved": reserved, "last": {"0": str(ipaddress.ip_address(end))}}
    plugin = HostLocal(network("fd00::/64"), state=state)
    began = time.process_time()
    assert added(plugin, "next") == [str(ipaddress.ip_address(start + 5000))]
    assert time.process_time() - began < 1


def test_both_families_or_none_with_cursors_left_moved() -> None:
    plugin = HostLocal(network("10.1.0.0/24", "fd00:1::/126"))
    assert [added(plugin, name) for name in "ab"] == [["10.1.0.2", "fd00:1::2"], ["10.1.0.3", "fd00:1::3"]]
    for last in ("10.1.0.4", "10.1.0.5"):
        assert added(plugin, "c") == (
            "failed to allocate for range 1: no IP addresses available in range set: fd00:1::1-fd00:1::3"
        )
        assert plugin.state["last"] == {"0": last, "1": "fd00:1::3"}
        assert "c eth0" not in plugin.state["reserved"].values()


def test_a_failure_releases_what_the_interface_held_before() -> None:
    plugin = HostLocal(network("10.1.0.0/24", "fd00:1::/64"))
    plugin.add("a")
    assert added(plugin, "a", args="IP=10.1.0.9") == (
        "failed to allocate for range 1: fd00:1::2 has been allocated to a, duplicate allocation is not allowed"
    )
    assert plugin.state["reserved"] == {}


def test_all_addresses_asked_for_or_none() -> None:
    plugin = HostLocal(network("10.1.0.0/24", "fd00:1::/64"))
    assert added(plugin, "a", runtime_config={"ips": ["10.1.0.50", "fd00:1::50/64"]}) == ["10.1.0.50", "fd00:1::50"]
    assert added(plugin, "b", cni_args={"cni": {"ips": ["10.1.0.60", "10.1.0.61"]}}) == (
        "failed to allocate all requested IPs: 10.1.0.61"
    )
    assert added(plugin, "c", args="IP=::ffff:10.1.0.70") == ["10.1.0.70", "fd00:1::52"]
    assert added(plugin, "d", args="IP=10.1.0.1").endswith("requested ip 10.1.0.1 is subnet's gateway")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("IP=10.1.0.500", 'ARGS: error parsing value of pair "IP=10.1.0.500": invalid IP address 10.1.0.500'),
        ("IP", 'ARGS: invalid pair "IP"'),
        ("K8S_POD_NAME=web", 'ARGS: unknown args ["K8S_POD_NAME=web"]'),
        ("A=1;B=2;IgnoreUnknown=0", 'ARGS: unknown args ["A=1" "B=2"]'),
        (
            "IgnoreUnknown=yes",
            'ARGS: error parsing value of pair "IgnoreUnknown=yes": boolean unmarshal error: invalid input yes',
        ),
    ],
)
def test_arguments_that_do_not_parse(args: str, words: str) -> None:
    with pytest.raises(CNIError) as caught:
        HostLocal(network("10.1.0.0/24")).add("a", args=args)
    assert (caught.value.msg, caught.value.code) == (words, 999)


def test_kubelet_style_arguments_pass() -> None:
    plugin = HostLocal(network("10.1.0.0/24"))
    assert added(plugin, "a", args="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web") == ["10.1.0.2"]


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ([], "no IP ranges specified"),
        ([[]], "invalid range set 0: empty range set"),
        ([[{}]], "invalid range set 0: IP <nil> not v4 nor v6"),
        ([[{"subnet": "nonsense"}]], "invalid CIDR address: nonsense"),
        ([[{"subnet": "10.1.0.0/33"}]], "invalid CIDR address: 10.1.0.0/33"),
        ([[{"subnet": "10.1.0.0/24", "rangeStart": "x"}]], "invalid IP address: x"),
        ([[{"subnet": "10.1.0.0/31"}]], "invalid range set 0: Network 10.1.0.0/31 too small to allocate from"),
        ([[{"subnet": "::ffff:10.1.0.0/120"}]], "invalid range set 0: IPNet IP and Mask version mismatch"),
        (
            [[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.1.5"}]],
            "invalid range set 0: RangeEnd 10.1.1.5 not in network 10.1.0.0/24",
        ),
        (
            [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "fd00::1"}]],
            "invalid range set 0: RangeEnd fd00::1 not in network 10.1.0.0/24",
        ),
        (
            [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.0/25"}]],
            "range set 0 overlaps with 1",
        ),
        (
            [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/25"}]],
            "invalid range set 0: subnets 10.1.0.1-10.1.0.254 and 10.1.0.1-10.1.0.126 overlap",
        ),
        ([[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]], "invalid range set 0: mixed address families"),
    ],
)
def test_ranges_that_are_refused_at_every_command(ranges: list[Any], words: str) -> None:
    plugin = HostLocal({"cniVersion": "0.4.0", "name": "cbr0", "ipam": {"ranges": ranges}})
    for command in (plugin.add, plugin.delete, plugin.check):
        with pytest.raises(CNIError) as caught:
            command("a")
        assert (caught.value.msg, caught.value.code) == (words, 999)


def test_ranges_of_every_origin_keep_their_order() -> None:
    config = network("10.3.0.0/24", subnet="10.2.0.0/24")
    runtime = {"ipRanges": [[{"subnet": "10.1.0.0/24"}]]}
    plugin = HostLocal(config)
    assert added(plugin, "a", runtime_config=runtime) == ["10.1.0.2", "10.2.0.2", "10.3.0.2"]
    plugin.delete("a", runtime_config=runtime)
    assert plugin.state["reserved"] == {}


def test_ranges_of_the_runtime_are_repeated_at_check_and_delete() -> None:
    plugin = HostLocal({"cniVersion": "1.0.0", "name": "n", "ipam": {"type": "host-local"}})
    with pytest.raises(CNIError, match="no IP ranges specified"):
        plugin.delete("a")
    plugin.add("a", runtime_config={"ipRanges": [[{"subnet": "10.1.0.0/24"}]]})
    plugin.check("a")
    plugin.delete("a")
    assert plugin.state["reserved"] == {}
    with pytest.raises(CNIError, match="no IP ranges specified"):
        plugin.delete("a", runtime_config={})


def test_a_gateway_outside_and_a_range_of_its_gateway_alone() -> None:
    outside = [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.1", "rangeEnd": "10.1.0.2", "gateway": "192.168.0.1"}]]
    plugin = HostLocal({"cniVersion": "1.0.0", "name": "n", "ipam": {"ranges": outside}})
    assert plugin.add("a")["ips"] == [{"address": "10.1.0.1/24", "gateway": "192.168.0.1"}]
    alone = [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.1", "rangeEnd": "10.1.0.1"}]]
    plugin = HostLocal({"cniVersion": "1.0.0", "name": "n", "ipam": {"ranges": alone}})
    assert "no IP addresses available in range set: 10.1.0.1-10.1.0.1" in added(plugin, "a")


def test_shape_of_the_result_by_version() -> None:
    routes = [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00::1"}]
    four, six = {"address": "10.1.0.2/24", "gateway": "10.1.0.1"}, {"address": "fd00::2/64", "gateway": "fd00::1"}
    old = {
        "ip4": {"ip": "10.1.0.2/24", "gateway": "10.1.0.1", "routes": routes[:1]},
        "ip6": {"ip": "fd00::2/64", "gateway": "fd00::1", "routes": routes[1:]},
        "dns": {},
    }
    tagged = {"ips": [{"version": "4", **four}, {"version": "6", **six}], "routes": routes, "dns": {}}
    shapes = {
        "": {"cniVersion": "0.1.0", **old},
        "0.1.0": {"cniVersion": "0.1.0", **old},
        "0.2.0": {"cniVersion": "0.2.0", **old},
        "0.3.0": {"cniVersion": "0.3.0", **tagged},
        "0.4.0": {"cniVersion": "0.4.0", **tagged},
        "1.0.0": {"cniVersion": "1.0.0", "ips": [four, six], "routes": routes, "dns": {}},
    }
    for version, shape in shapes.items():
        assert HostLocal(network("10.1.0.0/24", "fd00::/64", version=version, routes=routes)).add("a") == shape


def test_versions_the_plugin_does_not_speak() -> None:
    with pytest.raises(CNIError, match="incompatible CNI versions") as caught:
        HostLocal(network("10.1.0.0/24", version="2.0.0")).add("a")
    assert caught.value.code == 1
    with pytest.raises(CNIError, match="config version does not allow CHECK") as caught:
        HostLocal(network("10.1.0.0/24", version="0.3.1")).check("a")
    assert caught.value.code == 1
    with pytest.raises(CNIError, match=r"CNI version 0\.2\.0 does not support more than 1 address per family"):
        HostLocal(network("10.1.0.0/24", "10.2.0.0/24", version="0.2.0")).add("a")


@pytest.mark.parametrize(
    ("config", "container", "ifname", "code"),
    [
        ({"ipam": {}}, "a", "eth0", 7),
        ({"name": "a/b", "ipam": {}}, "a", "eth0", 7),
        ({"name": "n"}, "", "eth0", 4),
        ({"name": "n"}, "a b", "eth0", 4),
        ({"name": "n"}, "a", "", 4),
        ({"name": "n"}, "a", "an-interface-too-long", 4),
        ({"name": "n"}, "a", "..", 4),
        ({"name": "n"}, "a", "eth 0", 4),
        ({"name": "n"}, "a", "eth0", 999),
    ],
)
def test_callers_the_plugin_refuses(config: dict[str, Any], container: str, ifname: str, code: int) -> None:
    with pytest.raises(CNIError, match=r"\w") as caught:
        HostLocal(config).add(container, ifname)
    assert caught.value.code == code


def test_interfaces_are_told_apart() -> None:
    plugin = HostLocal(network("10.1.0.0/24"))
    plugin.add("a", "eth0")
    plugin.add("a", "eth1")
    plugin.delete("a", "eth0")
    plugin.check("a", "eth1")
    with pytest.raises(CNIError, match="host-local: Failed to find address added by container a"):
        plugin.check("a", "eth0")
    plugin.delete("a", "eth0")  # once more is no error
    assert plugin.state["reserved"] == {"10.1.0.3": "a eth1"}


def test_files_of_old_versions_without_an_interface() -> None:
    state = {"reserved": {"10.1.0.9": "a", "10.1.0.8": "a eth0"}, "last": {}}
    plugin = HostLocal(network("10.1.0.0/24"), state=state)
    assert "10.1.0.8 has been allocated to a" in added(plugin, "a")
    plugin.check("a")
    plugin.delete("a")
    assert plugin.state["reserved"] == {"10.1.0.9": "a"}
    plugin.delete("a")
    assert plugin.state["reserved"] == {}


def test_the_state_is_a_value_another_instance_can_start_from() -> None:
    first = HostLocal(network("10.1.0.0/24"))
    first.add("a")
    handed = json.loads(json.dumps(first.state))
    second = HostLocal(network("10.1.0.0/24"), state=handed)
    assert added(second, "b") == added(first, "b") == ["10.1.0.3"]
    assert handed["last"] == {"0": "10.1.0.2"}
    narrowed = HostLocal(network(ranges=[[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.50"}]]), state=second.state)
    assert added(narrowed, "c") == ["10.1.0.50"]


def test_the_directory_of_a_node(tmp_path: Path) -> None:
    plugin = HostLocal(network("10.1.0.0/24", "fd00::/64"))
    plugin.add("a")
    write_state(plugin.state, tmp_path)
    assert (tmp_path / "fd00::2").read_bytes() == b"a\r\neth0"
    (tmp_path / "lock").write_bytes(b"")
    (tmp_path / "fd00__9").write_bytes(b"old")  # Windows cannot have a colon in a name
    state = read_state(tmp_path)
    assert state == {
        "reserved": {"10.1.0.2": "a eth0", "fd00::2": "a eth0", "fd00::9": "old"},
        "last": {"0": "10.1.0.2", "1": "fd00::2"},
    }
    (tmp_path / "last_reserved_ip.0").write_text("half")
    with pytest.raises(InconsistentState, match="names 'half', which is no address"):
        read_state(tmp_path)

"""Source and destination selection, by table and against the rules read one by one."""

import ipaddress
import time
from functools import cmp_to_key
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.registries import KNOWN_LOCAL, PolicyRow, PolicyTable
from dsmodel.errors import InvalidInput
from dsmodel.graph.selection import POLICIES, AddressPolicy, AddressSets, order_destinations

# --- The rules of RFC 6724, one pair at a time. The vectorised answer must agree with them. ---


def wide(text: str) -> ipaddress.IPv6Address:
    address = ipaddress.ip_address(text)
    return address if address.version == 6 else ipaddress.IPv6Address(f"::ffff:{text}")


def is_ipv4(text: str) -> bool:
    return ":" not in text


def scope_of(text: str, policy: AddressPolicy) -> int:
    address = ipaddress.ip_address(text)
    if address.version == 4:
        return 2 if not policy.ipv4_is_global and (address.is_link_local or address.is_loopback) else 14
    if address.is_multicast:
        return address.packed[1] & 15
    if address.is_link_local or address.is_loopback:
        return 2
    return 5 if address in ipaddress.ip_network("fec0::/10") else 14


def row_of(text: str, table: PolicyTable, own: list[str], policy: AddressPolicy) -> tuple[int, int]:
    """Precedence and label."""
    address = wide(text)
    if policy.knows_local and address in ipaddress.ip_network("fd00::/8"):
        sites = [ipaddress.ip_network(f"{each}/48", strict=False) for each in own if each.startswith("fd")]
        if any(address in site for site in sites):
            return KNOWN_LOCAL
    rows = [row for row in table.rows if address in ipaddress.ip_network(str(row.cidr))]
    best = max(rows, key=lambda row: row.cidr.prefix_length)
    return best.precedence or 0, best.label


def common(a: str, b: str) -> int:
    return 128 - (int(wide(a)) ^ int(wide(b))).bit_length()


def source_of(destination: str, own: list[str], policy: AddressPolicy) -> str | None:
    family = [each for each in own if is_ipv4(each) == is_ipv4(destination)]
    if is_ipv4(destination):
        return family[0] if family else None
    target = scope_of(destination, policy)
    label = row_of(destination, policy.source_table, own, policy)[1]

    def better(a: str, b: str) -> int:
        """Section 5: negative where a is preferred."""
        if wide(a) != wide(b) and wide(destination) in {wide(a), wide(b)}:  # rule 1
            return -1 if wide(a) == wide(destination) else 1
        scope_a, scope_b = scope_of(a, policy), scope_of(b, policy)
        if scope_a < scope_b:  # rule 2
            return 1 if scope_a < target else -1
        if scope_b < scope_a:
            return -1 if scope_b < target else 1
        match_a, match_b = (row_of(each, policy.source_table, own, policy)[1] == label for each in (a, b))
        if match_a != match_b:  # rule 6
            return -1 if match_a else 1
        return min(common(b, destination), 64) - min(common(a, destination), 64)  # rule 8

    return min(family, key=cmp_to_key(better)) if family else None


def rule_between(a: str, b: str, own: list[str], policy: AddressPolicy) -> tuple[int, int]:  # noqa: PLR0911
    """Section 6: the rule, and a negative number where a is preferred."""
    source_a, source_b = source_of(a, own, policy), source_of(b, own, policy)
    if (source_a is None) != (source_b is None):
        return 1, 1 if source_a is None else -1
    has = source_a is not None and source_b is not None
    if not has and not policy.orders_unusable:
        return 10, 0
    (precedence_a, label_a), (precedence_b, label_b) = (row_of(each, policy.table, own, policy) for each in (a, b))
    if has:
        fits = [scope_of(d, policy) == scope_of(s, policy) for d, s in ((a, source_a), (b, source_b))]
        if fits[0] != fits[1]:
            return 2, -1 if fits[0] else 1
        fits = [
            row_of(s, policy.table, own, policy)[1] == label for s, label in ((source_a, label_a), (source_b, label_b))
        ]
        if fits[0] != fits[1]:
            return 5, -1 if fits[0] else 1
    if precedence_a != precedence_b:
        return 6, precedence_b - precedence_a
    if scope_of(a, policy) != scope_of(b, policy):
        return 8, scope_of(a, policy) - scope_of(b, policy)
    if has and is_ipv4(a) == is_ipv4(b):
        bits = [counted(d, s, policy) for d, s in ((a, source_a), (b, source_b))]
        if bits[0] != bits[1]:
            return 9, bits[1] - bits[0]
    return 10, 0


def counted(destination: str, source: str, policy: AddressPolicy) -> int:
    """Return what each implementation compares in rule 9."""
    bits = common(destination, source) - (96 if is_ipv4(source) else 0)
    if policy.longest_prefix == "subnet":
        return bits if not is_ipv4(source) or bits == 32 else 0
    if policy.longest_prefix == "64 bits of IPv6":
        return 0 if is_ipv4(source) else min(bits, 64)
    return bits if policy.longest_prefix == "128 bits" or is_ipv4(source) else min(bits, 64)


def oracle(own: list[str], server: list[str], policy: AddressPolicy) -> tuple[list[str], list[int]]:
    """Return the order, and the rule between each and the next."""
    if not policy.orders_ipv4_alone and all(is_ipv4(each) for each in server):
        return server, [10] * (len(server) - 1)
    ordered = sorted(server, key=cmp_to_key(lambda a, b: rule_between(a, b, own, policy)[1]))
    return ordered, [rule_between(a, b, own, policy)[0] for a, b in pairwise(ordered)]


def answered(order, pod_class: int, server: int) -> list[str]:
    return [order.servers.text(row) for row in order.destination[pod_class, server] if row >= 0]


# --- The table of first choices. ---

GUA, ULA, PRIVATE, PUBLIC = "2600:1f00:1::5", "fd00:10:244:1::5", "10.0.1.5", "8.8.8.8"
SERVER, VIP, FAR_VIP, VIP4, SYNTHETIC = (
    "2600:1f00:2::1",
    "fd00:10:244:ff::a",
    "fd00:10:96::a",
    "10.96.0.10",
    "64:ff9b::808:808",
)
LINK4 = "169.254.172.5"

# pod, server, and what each policy tries first with the rule: rfc6724, glibc, update draft, musl, go
ROWS = [
    ([GUA, PRIVATE], [SERVER, PUBLIC], "v6 6", "v6 6", "v6 6", "v6 6", "v6 6", "labels match in both: precedence"),
    ([ULA, PRIVATE], [SERVER, PUBLIC], "v4 5", "v4 5", "v4 5", "v4 5", "v4 5", "the pitfall: label 13 against 1"),
    ([ULA, GUA, PRIVATE], [SERVER, PUBLIC], "v6 6", "v6 6", "v6 6", "v6 6", "v6 6", "the source is the GUA"),
    ([ULA], [SERVER, PUBLIC], "v6 1", "v6 1", "v6 1", "v6 1", "v6 1", "there is no other source, and it fails"),
    ([ULA, PRIVATE], [FAR_VIP, VIP4], "v4 6", "v6 6", "v4 5", "v4 6", "v4 6", "another /48: label 14 against 13"),
    ([ULA, PRIVATE], [VIP, VIP4], "v4 6", "v6 6", "v6 6", "v4 6", "v4 6", "the same /48 is known to be local"),
    ([GUA, PRIVATE], [FAR_VIP, VIP4], "v4 5", "v4 5", "v4 5", "v4 5", "v4 5", "a GUA does not match a ULA"),
    ([GUA, PRIVATE], [SYNTHETIC, PUBLIC], "v6 6", "v6 6", "v6 6", "v6 6", "v6 6", "DNS64 pulls off native IPv4"),
    ([ULA, PRIVATE], [SYNTHETIC, PUBLIC], "v4 5", "v4 5", "v4 5", "v4 5", "v4 5", "64:ff9b::/96 is under ::/0"),
    ([GUA, LINK4], [FAR_VIP, VIP4], "v6 2", "v6 2", "v6 2", "v4 5", "v6 2", "musl takes 169.254 for global scope"),
    ([ULA, LINK4], [SERVER, PUBLIC], "v6 2", "v6 2", "v6 2", "v4 5", "v6 2", "musl takes 169.254 for global scope"),
]
NAMES = ("rfc6724", "glibc", "draft-rfc6724-update", "musl", "go")


@pytest.mark.parametrize("column", range(5), ids=NAMES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[-1])
def test_first_choices(row, column) -> None:
    own, server, *expected, why = row
    order = order_destinations(AddressSets.of([own]), AddressSets.of([server]), policy=NAMES[column])
    found = f"{'v6' if order.is_ipv6[0, 0] else 'v4'} {order.family_rule[0, 0]}"
    assert found == expected[column], why
    # the order of the answer must not matter where a rule decides
    turned = order_destinations(AddressSets.of([own[::-1]]), AddressSets.of([server[::-1]]), policy=NAMES[column])
    assert answered(turned, 0, 0) == answered(order, 0, 0)
    assert order.why(0, 0).startswith(f"{server[0] if order.is_ipv6[0, 0] else server[1]} first, by rule ")


def test_the_source_of_a_pod_with_both_is_the_one_that_matches() -> None:
    order = order_destinations(AddressSets.of([[ULA, GUA, PRIVATE]]), AddressSets.of([[SERVER, PUBLIC], [VIP, VIP4]]))
    assert [order.sources.text(row) for row in order.source[0, 0]] == [GUA, PRIVATE]
    assert [order.sources.text(row) for row in order.source[0, 1]] == [PRIVATE, ULA]


@pytest.mark.parametrize(
    ("own", "server", "policy", "words"),
    [
        (
            [ULA, PRIVATE],
            [SERVER, PUBLIC],
            "rfc6724",
            "all ULA reaches dual-stack servers by IPv4, even where IPv6 masquerading works",
        ),
        ([ULA, PRIVATE], [SERVER, PUBLIC], "glibc", "its source fd00:10:244:1::5 label 6"),
        ([ULA, PRIVATE], [FAR_VIP, VIP4], "draft-rfc6724-update", "its source fd00:10:244:1::5 label 14"),
        (
            [ULA],
            [SERVER, PUBLIC],
            "rfc6724",
            "the pod has no IPv4 address to reach 8.8.8.8 from. The source fd00:10:244:1",
        ),
        ([GUA, LINK4], [FAR_VIP, VIP4], "rfc6724", "its source 169.254.172.5 link-local scope"),
        ([GUA, PRIVATE], [SERVER, PUBLIC], "musl", "2600:1f00:2::1 has precedence 40, 8.8.8.8 35"),
        ([PRIVATE], [SERVER], "rfc6724", "no address of the other family, and the pod has no IPv6 address"),
        ([GUA], [], "rfc6724", "The server has no address."),
        ([], [PUBLIC, SERVER], "go", "no rule tells them apart, and the answer lists it first"),
    ],
)
def test_the_sentence_names_what_the_rule_compares(own, server, policy, words) -> None:
    assert words in order_destinations(AddressSets.of([own]), AddressSets.of([server]), policy=policy).why(0, 0)


def test_announced_prefixes_make_services_in_another_48_local() -> None:
    question = AddressSets.of([[ULA, PRIVATE]]), AddressSets.of([[FAR_VIP, VIP4]])
    update = "draft-rfc6724-update"
    assert not order_destinations(*question, policy=update).is_ipv6[0, 0]
    assert order_destinations(*question, policy=update, known_local=["fd00:10:96::/48"]).is_ipv6[0, 0]
    assert not order_destinations(*question, policy="rfc6724", known_local=["fd00:10:96::/48"]).is_ipv6[0, 0]


def test_known_local_destinations_go_before_global_ones() -> None:
    order = order_destinations(
        AddressSets.of([[ULA, GUA]]), AddressSets.of([[SERVER, VIP]]), policy="draft-rfc6724-update"
    )
    assert answered(order, 0, 0) == [VIP, SERVER]
    assert order.rule[0, 0].tolist() == [6, 0]
    assert order.family_rule[0, 0] == 0


@pytest.mark.parametrize(
    ("policy", "server", "expected", "why"),
    [
        ("rfc6724", ["2600:1f00:9::1", "2600:1f00:1::9"], [1, 0], "the longer common prefix, up to /64"),
        ("rfc6724", ["2600:1f00:1::8:1", "2600:1f00:1::4"], [0, 1], "beyond the source's /64 nothing counts"),
        ("glibc", ["2600:1f00:1::8:1", "2600:1f00:1::4"], [1, 0], "glibc counts all 128 bits"),
        ("musl", ["2600:1f00:1::8:1", "2600:1f00:1::4"], [1, 0], "musl too"),
        ("go", ["2600:1f00:1::8:1", "2600:1f00:1::4"], [0, 1], "Go stops at 64"),
        ("rfc6724", ["203.0.113.1", "10.0.9.1"], [1, 0], "IPv4 by prefix too"),
        ("glibc", ["203.0.113.1", "10.0.9.1"], [0, 1], "not in the subnet of the pod's /32"),
        ("go", ["203.0.113.1", "10.0.9.1"], [0, 1], "Go leaves IPv4 alone"),
        ("musl", ["203.0.113.1", "10.0.9.1"], [0, 1], "musl does not order answers of IPv4 alone"),
    ],
)
def test_rule_9_as_each_implementation_has_it(policy, server, expected, why) -> None:
    order = order_destinations(AddressSets.of([[GUA, PRIVATE]]), AddressSets.of([server]), policy=policy)
    assert answered(order, 0, 0) == [server[place] for place in expected], why


def test_glibc_orders_ipv4_inside_the_subnet() -> None:
    question = AddressSets.of([[PRIVATE]]), AddressSets.of([["203.0.113.1", "10.0.1.9"]])
    assert answered(order_destinations(*question, policy="glibc", prefix_lengths=(24, 64)), 0, 0)[0] == "10.0.1.9"


def test_a_table_of_ones_own_as_gai_conf_has_it() -> None:
    glibc = POLICIES["glibc"]
    rows = tuple(PolicyRow(r.cidr, 100 if r.label == 4 else r.precedence, r.label) for r in glibc.table.rows)
    policy = AddressPolicy(
        table=PolicyTable("gai.conf", rows, "2026-11", "precedence ::ffff:0:0/96 100"), source_table=glibc.source_table
    )
    order = order_destinations(AddressSets.of([[GUA, PRIVATE]]), AddressSets.of([[SERVER, PUBLIC]]), policy=policy)
    assert not order.is_ipv6[0, 0]
    assert order.family_rule[0, 0] == 6


def test_families_that_tie_keep_the_order_of_the_answer() -> None:
    rows = (PolicyRow(Cidr("::/0"), 40, 1), PolicyRow(Cidr("::ffff:0:0/96"), 40, 4))
    policy = AddressPolicy(table=PolicyTable("flat", rows, "2026-11", "ours"), source_table=POLICIES["rfc6724"].table)
    for server in ([PUBLIC, SERVER], [SERVER, PUBLIC]):
        order = order_destinations(AddressSets.of([[GUA, PRIVATE]]), AddressSets.of([server]), policy=policy)
        assert answered(order, 0, 0) == server
        assert order.family_rule[0, 0] == 10


POOL = [
    *(GUA, ULA, PRIVATE, PUBLIC, SERVER, VIP, FAR_VIP, VIP4, SYNTHETIC, LINK4),
    *("fe80::1", "::1", "fec0::1", "2002:808:808::1", "2001::5", "3ffe::1", "ff02::1", "ff0e::1", "::5", "127.0.0.1"),
    *("fd00:10:244:1::9", "fd00:10:244:2::9", "10.0.1.9", "169.254.1.1", "fc00::1", "2600:1f00:1::6", "172.16.0.1"),
]
SETS = st.lists(st.lists(st.sampled_from(POOL), max_size=5, unique=True), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(SETS, SETS, st.sampled_from(NAMES))
def test_agrees_with_the_rules_read_one_by_one(pods, servers, name) -> None:
    order = order_destinations(AddressSets.of(pods), AddressSets.of(servers), policy=name)
    for pod_class, own in enumerate(pods):
        for server, addresses in enumerate(servers):
            expected, rules = oracle(own, addresses, POLICIES[name])
            assert answered(order, pod_class, server) == expected
            assert order.rule[pod_class, server, : len(rules)].tolist() == rules
            starts = [source_of(each, own, POLICIES[name]) for each in expected]
            found = [order.sources.text(r) if r >= 0 else None for r in order.source[pod_class, server, : len(starts)]]
            assert found == starts
            first_other = next((x for x in expected if is_ipv4(x) != is_ipv4(expected[0])), None)
            rule = rule_between(expected[0], first_other, own, POLICIES[name])[0] if first_other else 0
            assert order.family_rule[pod_class, server] == rule
            assert order.why(pod_class, server).endswith(".")


def test_many_classes_and_servers_agree_with_each_alone() -> None:
    rng = np.random.default_rng(5)
    pods = [list(rng.choice(POOL, 3, replace=False)) for _ in range(60)]
    servers = [list(rng.choice(POOL, int(n), replace=False)) for n in rng.integers(0, 5, 70)]
    whole = order_destinations(AddressSets.of(pods), AddressSets.of(servers), policy="glibc")
    for pod_class, server in zip(rng.integers(0, 60, 40), rng.integers(0, 70, 40), strict=True):
        expected = oracle(pods[pod_class], servers[server], POLICIES["glibc"])[0]
        assert answered(whole, pod_class, server) == expected


def test_pods_of_a_table_at_once() -> None:
    n = 200_000
    base = AddressSets.of([[ULA, PRIVATE]])
    ipv6 = np.repeat(base.ipv6[:1], n)
    ipv6["lo"] = np.arange(n)
    has = np.ones(n, np.bool_)
    has_ipv6 = np.arange(n) % 2 == 0
    pods = AddressSets.from_columns(np.arange(n, dtype=np.uint32) + np.uint32(10 << 24), has, ipv6, has_ipv6)
    begin = time.perf_counter()
    order = order_destinations(pods, AddressSets.of([[SERVER, PUBLIC]]), policy="glibc")
    assert time.perf_counter() - begin < 5
    assert not order.is_ipv6.any()
    assert (order.family_rule[:, 0] == np.where(has_ipv6, 5, 1)).all()


def test_empty_questions() -> None:
    none, one = AddressSets.of([]), AddressSets.of([[GUA]])
    assert order_destinations(none, one).is_ipv6.shape == (0, 1)
    assert order_destinations(one, none).is_ipv6.shape == (1, 0)
    lost = order_destinations(one, AddressSets.of([[]]))
    assert not lost.has_first.any()
    assert not lost.is_usable.any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"policy": "windows"}, "policy='windows': known are rfc6724, draft-rfc6724-update, glibc, musl, go"),
        ({"known_local": ["2600::/48"]}, "known_local 2600::/48: hosts take only prefixes inside fd00::/8"),
        ({"known_local": ["fd00::/32"]}, "of /40 or longer"),
        ({"prefix_lengths": (33, 64)}, "/33 is no IPv4 prefix length; use 0 to 32"),
    ],
)
def test_what_is_refused(arguments, words) -> None:
    with pytest.raises(InvalidInput, match=words.replace("(", r"\(")):
        order_destinations(AddressSets.of([[GUA]]), AddressSets.of([[SERVER]]), **arguments)


def test_the_kernel_orders_no_destinations() -> None:
    with pytest.raises(InvalidInput, match="'linux' has no precedences; it can be a source_table"):
        AddressPolicy(table=POLICIES["glibc"].source_table, source_table=POLICIES["glibc"].source_table)


def test_columns_that_do_not_belong_together() -> None:
    sets = AddressSets.of([[GUA], [PRIVATE]])
    with pytest.raises(InvalidInput, match="columns of \\[1, 2\\] rows"):
        AddressSets.from_columns(sets.ipv4[:1], ~sets.is_ipv6, sets.ipv6, sets.is_ipv6)


def test_every_address_of_the_pool_has_a_row_in_every_table() -> None:
    for policy in POLICIES.values():
        assert all(row_of(text, policy.table, [], policy) for text in chain(POOL))

import numpy as np
import pytest
from contracts.pool_contract import PoolContract, machine

from dsmodel.addresses.cidr import Cidr
from dsmodel.errors import InvalidInput, NotInRange
from dsmodel.pools.ranges import AddressRange, PortRange


class TestAddressRangeContract(PoolContract):
    def make(self):
        return AddressRange(Cidr("10.96.0.0/25"), reserve_first=1, reserve_last=1, band_offset=16)

    def twin(self):
        return AddressRange(Cidr("10.96.0.0/25"), reserve_first=1, reserve_last=1, band_offset=16, storage="sparse")


class TestPortRangeContract(PoolContract):
    def make(self):
        return PortRange(30000, 30127, band_offset=16)


TestWideMachine = machine(
    lambda: AddressRange(Cidr("fd00::/64"), reserve_first=1, limit=301, strategy="scan", storage="sparse")
)


@pytest.mark.parametrize(
    ("cidr", "kwargs", "usable"),
    [
        ("10.0.0.0/24", {"reserve_first": 1, "reserve_last": 1}, 254),
        ("10.0.0.0/30", {"reserve_first": 1, "reserve_last": 1}, 2),
        ("10.0.0.0/31", {"reserve_first": 1, "reserve_last": 1}, 0),
        ("10.0.0.0/32", {"reserve_first": 1, "reserve_last": 1}, 0),
        ("fd00::/112", {"reserve_first": 1}, 65_535),
        ("fd00::/108", {"reserve_first": 1, "limit": 65_536}, 65_535),
        ("fd00::/64", {"reserve_first": 1}, 2**64 - 1),
        ("fd00::/48", {"limit": 2**64}, 2**64),
    ],
)
def test_usable_is_what_is_left(cidr, kwargs, usable):
    pool = AddressRange(Cidr(cidr), **kwargs)
    assert (pool.usable, pool.free, pool.size) == (usable, usable, Cidr(cidr).size)


def test_reserved_addresses_are_not_in_range():
    pool = AddressRange(Cidr("10.0.0.0/29"), reserve_first=1, reserve_last=1)
    assert pool.allocate(np.arange(8)).ok.tolist() == [False] + 6 * [True] + [False]
    with pytest.raises(NotInRange, match="usable offsets are 1 to 6"):
        pool.allocate(7)


def test_more_than_64_bits_need_a_limit():
    with pytest.raises(InvalidInput, match="cap it with limit="):
        AddressRange(Cidr("fd00::/63"))


def test_negative_numbers_are_refused():
    with pytest.raises(InvalidInput, match="0 or more"):
        AddressRange(Cidr("10.0.0.0/24"), reserve_first=-1)


@pytest.mark.parametrize("cidr", ["10.96.0.0/20", "fd00:10:96::/112", "fd00::/64"])
def test_offsets_and_addresses_are_one_to_one(cidr):
    pool = AddressRange(Cidr(cidr))
    offsets = np.array([0, 1, 77, min(pool.usable, 2**64) - 1], dtype=np.uint64)
    column = pool.addresses(offsets)
    back, inside = pool.offsets(column)
    np.testing.assert_array_equal(back, offsets)
    assert inside.all()


def test_an_offset_outside_has_no_address():
    with pytest.raises(InvalidInput, match="offset 256"):
        AddressRange(Cidr("10.0.0.0/24")).addresses([256])


def test_the_band_of_ports_comes_last():
    ports = PortRange(30000, 32767, band_offset=86, rng=np.random.default_rng(1))
    upper = ports.ports(ports.allocate_next(2768 - 86))
    assert upper.min() == 30086
    assert ports.ports(ports.allocate_next(5)).max() < 30086


def test_ports_have_offsets():
    ports = PortRange(30000, 30009)
    offsets, inside = ports.offsets([30003, 29999, 30010])
    assert inside.tolist() == [True, False, False]
    assert offsets[0] == 3
    with pytest.raises(InvalidInput, match="offset 10"):
        ports.ports([10])
    with pytest.raises(InvalidInput, match="ports 9 to 3"):
        PortRange(9, 3)

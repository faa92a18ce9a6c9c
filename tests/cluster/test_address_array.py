"""Addresses inside pandas: pandas' own tests of extension arrays, and ours against columns of plain objects."""

import ipaddress
import operator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.tests.extension import base
from pandas.tests.extension import conftest as pandas_fixtures

from dsmodel import IPFamily
from dsmodel.addresses.arrays import IPV6_DTYPE
from dsmodel.cluster.address_array import AddressArray, AddressDtype
from dsmodel.errors import InvalidAddress, InvalidInput

MANY = [f"10.0.{i}.1" for i in range(10)]


def array_of(dtype, texts):
    if dtype.family is IPFamily.IPV6:
        texts = [text and (text if ":" in text else f"fd00::{text.replace('.', ':')}") for text in texts]
    return AddressArray._from_sequence(texts, dtype=dtype)


@pytest.fixture(params=["ipv4", "ipv6"])
def dtype(request):
    return AddressDtype.construct_from_string(request.param)


@pytest.fixture
def data(dtype):
    return array_of(dtype, MANY)


@pytest.fixture
def data_for_twos(dtype):
    pytest.skip(f"{dtype} has no arithmetic")


@pytest.fixture
def data_missing(dtype):
    return array_of(dtype, [None, "10.0.0.1"])


@pytest.fixture
def data_for_sorting(dtype):
    return array_of(dtype, ["10.0.0.2", "10.0.0.3", "10.0.0.1"])


@pytest.fixture
def data_missing_for_sorting(dtype):
    return array_of(dtype, ["10.0.0.2", None, "10.0.0.1"])


@pytest.fixture
def data_for_grouping(dtype):
    b, a, c = "10.0.0.2", "10.0.0.1", "10.0.0.3"
    return array_of(dtype, [b, b, None, None, a, a, b, c])


@pytest.fixture
def na_value():
    return np.nan


@pytest.fixture
def na_cmp():
    return lambda left, right: pd.isna(left) and pd.isna(right)


all_data = pandas_fixtures.all_data
data_repeated = pandas_fixtures.data_repeated
groupby_apply_op = pandas_fixtures.groupby_apply_op
as_frame = pandas_fixtures.as_frame
as_series = pandas_fixtures.as_series
as_array = pandas_fixtures.as_array
use_numpy = pandas_fixtures.use_numpy
fillna_method = pandas_fixtures.fillna_method
box_in_series = pandas_fixtures.box_in_series
using_nan_is_na = pandas_fixtures.using_nan_is_na
invalid_scalar = pandas_fixtures.invalid_scalar


class TestConstructors(base.BaseConstructorsTests):
    pass


class TestDtype(base.BaseDtypeTests):
    pass


class TestGetitem(base.BaseGetitemTests):
    pass


class TestSetitem(base.BaseSetitemTests):
    pass


class TestInterface(base.BaseInterfaceTests):
    pass


class TestMissing(base.BaseMissingTests):
    pass


class TestPrinting(base.BasePrintingTests):
    pass


class TestReshaping(base.BaseReshapingTests):
    pass


class TestMethods(base.BaseMethodsTests):
    pass


class TestGroupby(base.BaseGroupbyTests):
    pass


class TestCasting(base.BaseCastingTests):
    pass


class TestIndex(base.BaseIndexTests):
    pass


# ours ---------------------------------------------------------------------------------------------------------------

NARROW = st.integers(0, 40).map(lambda n: (0xFD00 << 112) + n)
WIDE = st.integers(0, 2**128 - 1)
OPERATORS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@st.composite
def columns(draw):
    """An array and the same as plain objects with None, in one family, near each other or anywhere."""
    family = draw(st.sampled_from([4, 6]))
    values = (st.integers(0, 2**32 - 1) | st.integers(9, 12)) if family == 4 else draw(st.sampled_from([NARROW, WIDE]))
    kind = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
    objects = draw(st.lists(st.none() | values.map(kind), max_size=12))
    return AddressArray._from_sequence(objects, dtype=f"ipv{family}"), objects


@settings(deadline=None)
@given(columns())
def test_order_groups_and_membership_are_those_of_the_objects(both):
    array, objects = both
    present = [value for value in objects if value is not None]
    series = pd.Series(array)
    assert series.sort_values().dropna().tolist() == sorted(present)
    assert series.sort_values(ascending=False).dropna().tolist() == sorted(present, reverse=True)
    stable = sorted((value, row) for row, value in enumerate(objects) if value is not None)
    assert array.argsort()[: len(present)].tolist() == [row for _, row in stable]
    assert array.argsort(na_position="first")[len(objects) - len(present) :].tolist() == [row for _, row in stable]
    codes, uniques = array.factorize()
    assert list(uniques) == list(dict.fromkeys(present))
    assert [None if code < 0 else uniques[code] for code in codes] == objects
    assert series.groupby(series).size().to_dict() == {value: present.count(value) for value in present}
    some = objects[::2]
    assert array.isin(some).tolist() == [value in some for value in objects]
    assert array.isin(array[::2]).tolist() == [value in some for value in objects]
    assert array.isin(["nonsense", "::1", 7, object()]).tolist() == [str(value) == "::1" for value in objects]


@settings(deadline=None)
@given(columns(), st.data())
def test_comparisons_are_those_of_the_objects_and_false_for_missing(both, data):
    array, objects = both
    present = [value for value in objects if value is not None] or [array.dtype.type(0)]
    scalar = data.draw(st.sampled_from(present))
    for compare in OPERATORS:
        missing = compare is operator.ne
        expected = [missing if value is None else compare(value, scalar) for value in objects]
        assert compare(array, scalar).tolist() == expected
        assert compare(array, str(scalar)).tolist() == expected
        other = array[::-1]
        expected = [
            missing if a is None or b is None else compare(a, b) for a, b in zip(objects, objects[::-1], strict=True)
        ]
        assert compare(array, other).tolist() == expected
    assert (array == "no address").tolist() == [False] * len(array)
    assert (array != 7).tolist() == [True] * len(array)


@settings(deadline=None)
@given(columns())
def test_the_lowest_and_the_highest(both):
    array, objects = both
    present = [value for value in objects if value is not None]
    series = pd.Series(array)
    for ours, theirs in (("min", min), ("max", max)):
        result = getattr(series, ours)()
        assert result == theirs(present) if present else pd.isna(result)
        assert len(present) == len(objects) or pd.isna(getattr(series, ours)(skipna=False))


@settings(deadline=None)
@given(columns())
def test_text_and_back(both):
    array, objects = both
    texts = pd.Series(array).astype("str")
    assert texts.dropna().tolist() == [str(value) for value in objects if value is not None]
    again = pd.Series(texts.array, dtype=array.dtype)
    pd.testing.assert_extension_array_equal(again.array, array)
    assert pa.array(array).to_pylist() == [value and str(value) for value in objects]


def test_memory_is_that_of_the_numbers():
    assert AddressArray(np.zeros(1000, IPV6_DTYPE)).nbytes == 16_000
    assert AddressArray(np.zeros(1000, IPV6_DTYPE), np.zeros(1000, bool)).nbytes == 17_000
    assert AddressArray(np.zeros(1000, np.uint32)).nbytes == 4_000


def test_writing_into_an_array_leaves_a_table_alone():
    column = np.zeros(3, np.uint32)
    column.flags.writeable = False
    array = AddressArray(column)
    array[0] = "10.0.0.1"
    array[1] = None
    assert array[0] == ipaddress.IPv4Address("10.0.0.1")
    assert array.isna().tolist() == [False, True, False]
    assert column.tolist() == [0, 0, 0]


def test_errors_name_what_is_wrong():
    array = AddressArray(np.zeros(2, np.uint32))
    with pytest.raises(InvalidInput, match="mask of as many booleans"):
        AddressArray(np.zeros(2, np.uint32), [True])
    with pytest.raises(InvalidAddress, match="nonsense"):
        pd.Series(["nonsense"], dtype="ipv4")
    with pytest.raises(InvalidAddress, match="ipv6 addresses are no ipv4"):
        pd.array(pd.array(["::1"], dtype="ipv6"), dtype="ipv4")
    with pytest.raises(InvalidAddress, match="cannot put ipv6 addresses into an ipv4 array"):
        array[:1] = pd.array(["::1"], dtype="ipv6")
    with pytest.raises(TypeError, match="the words are ipv4 and ipv6"):
        AddressDtype.construct_from_string("ipv5")
    with pytest.raises(TypeError, match="no ipv4 address to compare with"):
        array < "::1"  # noqa: B015 - the comparison is what raises
    with pytest.raises(ValueError, match="Lengths must match"):
        array == ["10.0.0.1"]  # noqa: B015 - the comparison is what raises
    with pytest.raises(TypeError, match="does not support operation 'sum'"):
        pd.Series(array).sum()

"""Tables: what they refuse, share and write into frames."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import dsmodel as ds
from dsmodel.addresses.arrays import IPV6_DTYPE
from dsmodel.cluster.block_column import BlockColumn
from dsmodel.cluster.schema import FINDINGS, NODE_PORTS, NODES, PODS, SERVICES
from dsmodel.cluster.table import Table
from dsmodel.errors import InvalidInput

SCHEMAS = {schema.name: schema for schema in (NODES, PODS, SERVICES, NODE_PORTS, FINDINGS)}


def column_values(declared, n):
    if declared.words:
        return st.lists(st.sampled_from(list(declared.words)), min_size=n, max_size=n).map(
            lambda codes: np.array(codes, np.uint8)
        )
    if declared.is_text:
        word = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
        return st.lists(word, min_size=n, max_size=n).map(lambda words: np.array(words, declared.dtype))
    if declared.dtype == IPV6_DTYPE:
        halves = hnp.arrays(np.uint64, (n, 2))
        return halves.map(lambda both: both.view(IPV6_DTYPE).reshape(n))
    return hnp.arrays(declared.dtype, n)


@st.composite
def tables(draw, schema, n=None):
    """A table with values a frame can say: addresses present only where their mask says, masks that are lengths."""
    n = draw(st.integers(0, 6)) if n is None else n
    columns = {declared.name: draw(column_values(declared, n)) for declared in schema.columns}
    for declared in schema.columns:
        if declared.prefix_length:
            bits = 128 if declared.dtype == IPV6_DTYPE else 32
            present = columns[declared.null]
            columns[declared.prefix_length] = np.where(present, columns[declared.prefix_length] % bits + 1, 0).astype(
                np.uint8
            )
            columns[declared.name] = np.zeros(n, declared.dtype)
    return Table(schema, columns)


@pytest.mark.parametrize("addresses", ["text", "values"])
@pytest.mark.parametrize("name", SCHEMAS)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_a_frame_and_back_is_the_same_table(name, addresses, data):
    table = data.draw(tables(SCHEMAS[name]))
    frame = table.to_frame(addresses=addresses)
    assert Table.from_frame(SCHEMAS[name], frame).equals(table)
    assert len(frame) == len(table)


def test_a_frame_says_kubernetes_words_and_hides_the_masks():
    table = Table(
        NODES,
        {
            "name": ["a", "b"],
            "pod_cidr_ipv4": np.array([0x0AF40000, 0], np.uint32),
            "pod_cidr_ipv4_mask": [24, 0],
            "primary_ip_family": ["IPv4", ""],
        },
    )
    frame = table.to_frame()
    assert frame["pod_cidr_ipv4"].tolist()[0] == "10.244.0.0/24"
    assert pd.isna(frame["pod_cidr_ipv4"][1])
    assert frame["primary_ip_family"].tolist()[0] == "IPv4"
    assert pd.isna(frame["primary_ip_family"][1])
    assert frame["name"].dtype == "str"
    assert not [name for name in frame.columns if name.startswith("has_") or name.endswith("_mask")]
    values = table.to_frame(addresses="values")
    assert values["pod_cidr_ipv4"].dtype == "ipv4"
    assert values["pod_cidr_ipv4_mask"].tolist() == [24, 0]


@settings(deadline=None, max_examples=40)
@given(table=tables(PODS, 5), other=tables(PODS, 3), picks=st.lists(st.integers(0, 4), max_size=7))
def test_verbs_do_what_numpy_does_to_each_column(table, other, picks):
    mask = np.isin(np.arange(5), picks)
    for name in table.names:
        assert np.array_equal(table.take(picks)[name], table[name][np.array(picks, int)])
        assert np.array_equal(table.where(mask)[name], table[name][mask])
        assert np.array_equal(table.append(other)[name], np.concatenate((table[name], other[name])))


def test_columns_never_change_and_copies_share_them():
    names = np.array(["a", "b"], dtype=np.dtypes.StringDType())
    pool = np.array([110, 32], np.uint32)
    table = Table(NODES, {"name": names, "allocatable_pods": pool})
    pool[0] = 7
    assert table["allocatable_pods"].tolist() == [110, 32]
    with pytest.raises(ValueError, match="read-only"):
        table["allocatable_pods"][0] = 1
    changed = table.replace({"zone": ["x", "y"]})
    assert changed["allocatable_pods"] is table["allocatable_pods"]
    assert table["zone"].tolist() == ["", ""]


def test_a_column_of_one_value_takes_the_memory_of_one_row():
    table = Table(PODS, {"phase": np.broadcast_to(np.uint8(2), (1000,))})
    more = table.append(table).append(table).where(np.arange(3000) % 2 == 0)
    assert len(more) == 1500
    assert more.nbytes < 200
    assert more["phase"].tolist() == [2] * 1500
    assert table.append(Table(PODS, {"phase": ["Failed"]}))["phase"].tolist() == [2] * 1000 + [4]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"nam": ["a"]}, "has no column 'nam'; it has name,"),
        ({"name": ["a", "b"], "zone": ["x"]}, "columns differ in length: name 2, zone 1"),
        (
            {"primary_ip_family": np.array([5], np.uint8)},
            "column primary_ip_family .uint8, missing: code 0.: got code 5",
        ),
        ({"primary_ip_family": ["IPv5"]}, "got 'IPv5'; the words are '', 'IPv4', 'IPv6'"),
        ({"ready": np.array([1])}, "column ready .bool, missing: never.: got dtype int64"),
        ({"allocatable_pods": [-1]}, "got -1 to -1, allowed 0 to 4294967295"),
        ({"internal_ipv4": [1]}, "column internal_ipv4 .uint32, missing: has_internal_ipv4.: got dtype int64"),
        ({"pod_cidr_ipv6": np.zeros(1, np.uint32)}, "column pod_cidr_ipv6"),
        (
            {"pod_cidr_ipv6": BlockColumn(np.zeros(1, np.int32), np.zeros(1, np.uint8), np.zeros(1, np.uint32))},
            "uint32",
        ),
        ({"name": [["a"]]}, "one dimension"),
    ],
)
def test_errors_name_column_dtype_and_rule(columns, words):
    with pytest.raises(InvalidInput, match=words):
        Table(NODES, columns)


def test_verbs_name_what_they_refuse():
    table = Table(NODES, {"name": ["a"]})
    with pytest.raises(InvalidInput, match="a mask needs 1 booleans"):
        table.where([1])
    with pytest.raises(InvalidInput, match="cannot append pods to nodes"):
        table.append(Table(PODS))
    with pytest.raises(IndexError, match="out of bounds"):
        table.take([1])
    with pytest.raises(InvalidInput, match="has no column"):
        table["pod_ipv4"]
    with pytest.raises(InvalidInput, match='allowed are "text" and "values"'):
        table.to_frame(addresses="bytes")
    with pytest.raises(InvalidInput, match="row 0 is missing"):
        Table.from_frame(NODES, pd.DataFrame({"ready": [None]}))
    with pytest.raises(InvalidInput, match="got IPv6 addresses"):
        Table.from_frame(NODES, pd.DataFrame({"internal_ipv4": pd.array(["fd00::1"], dtype="ipv6")}))
    with pytest.raises(InvalidInput, match="has no column 'colour'"):
        Table.from_frame(NODES, pd.DataFrame({"colour": ["red"]}))


def test_every_column_is_declared_with_its_field_and_meaning():
    for schema in SCHEMAS.values():
        assert len(set(schema.names)) == len(schema.names)
        for column in schema.columns:
            assert column.meaning
            assert column.null
            if column.null.startswith("has_"):
                assert schema.column(column.null).dtype == np.bool_
            assert (column.dtype == np.uint8) == bool(column.words or column.unit == "bits")


# block columns ------------------------------------------------------------------------------------------------------

BASES = np.array([(1, 0), (2, 0), (3, 256)], IPV6_DTYPE)


def block_column(rows, ordinals, bases=BASES):
    return BlockColumn(np.array(rows, np.int32), np.array(ordinals, np.uint16), bases)


def test_a_block_column_writes_addresses_out_when_asked():
    column = block_column([2, -1, 0], [5, 9, 300])
    assert column.addresses().tolist() == [(3, 261), (0, 0), (1, 300)]
    assert BlockColumn(column.rows[:0], column.ordinals[:0], BASES[:0]).addresses().tolist() == []


def test_block_columns_stay_unwritten_while_one_table_of_bases_begins_the_other():
    table = Table(PODS, {"pod_ipv6": block_column([0, 1], [1, 2], BASES[:2])})
    longer = table.append(Table(PODS, {"pod_ipv6": block_column([2], [700])}))
    assert isinstance(longer.stored("pod_ipv6"), BlockColumn)
    assert longer["pod_ipv6"].tolist() == [(1, 1), (2, 2), (3, 956)]
    strange = longer.append(Table(PODS, {"pod_ipv6": block_column([0], [0], BASES[::-1])}))
    assert not isinstance(strange.stored("pod_ipv6"), BlockColumn)
    assert strange["pod_ipv6"].tolist() == [(1, 1), (2, 2), (3, 956), (3, 256)]
    assert longer.take([2, 0])["pod_ipv6"].tolist() == [(3, 956), (1, 1)]


def test_arrays_shared_by_columns_stay_shared():
    rows, ordinals = np.zeros(100, np.int32), np.zeros(100, np.uint8)
    rows.flags.writeable = ordinals.flags.writeable = False
    both = {
        "node": rows,
        "pod_ipv6": BlockColumn(rows, ordinals, BASES),
        "pod_ipv4": BlockColumn(rows, ordinals, np.zeros(1, np.uint32)),
    }
    table = Table(PODS, both)
    picked = table.append(table).where(np.arange(200) < 150)
    assert picked.stored("pod_ipv6").rows is picked["node"]
    assert picked.stored("pod_ipv6").ordinals is picked.stored("pod_ipv4").ordinals
    assert table.nbytes < 5 * 100 + 200


def test_a_cluster_that_has_been_to_another_process_is_as_good_as_new() -> None:
    cluster = pickle.loads(pickle.dumps(ds.examples.nearly_full()))  # noqa: S301 - our own bytes
    assert cluster.nodes.schema is NODES
    assert cluster.add_services(3).granted == ds.examples.nearly_full().add_services(3).granted

"""Whatever a dump holds, the answer is a cluster or an `InvalidDump`."""

import io
import json
from typing import Any

import pytest
from dump_texts import listed, network_objects, small_cluster
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.errors import InvalidDump
from dsmodel.io.kubectl import read_cluster

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=4,
)
odd_texts = st.sampled_from(
    [
        "",
        "None",
        "10.0.0.1",
        "fd00::1",
        "10.244.0.0/24",
        "::/0",
        "0.0.0.0/0",
        "IPv4",
        "v1",
        "List",
        "Pod",
        "\ud800x",
        "\0",
    ]
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            found += paths(inner, (*path, place))
    return found


def mutated(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = mutated(document[path[0]], path[1:], value)
    return copy


CLUSTER = json.loads(listed(*small_cluster(), *network_objects()))
PATHS = paths(CLUSTER)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_mutated_dump_is_a_cluster_or_an_invalid_dump(data: st.DataObject) -> None:
    document = CLUSTER
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(PATHS))
        try:
            document = mutated(document, path, data.draw(json_values | odd_texts))
        except (KeyError, IndexError, TypeError):
            continue
    streaming = data.draw(st.booleans())
    try:
        cluster = read_cluster(io.BytesIO(json.dumps(document).encode()), streaming=streaming)
    except InvalidDump:
        return
    cluster.findings.to_frame()
    cluster.pods.to_frame()
    assert len(cluster.objects.agents) <= 2
    assert cluster.pods["labels"].max(initial=-1) < len(cluster.pod_labels)
    items = document.get("items") if isinstance(document, dict) else None
    if isinstance(items, list) and str(document.get("kind", "")).endswith("List"):
        flat = [item for item in items if not (isinstance(item, dict) and str(item.get("kind")).endswith("List"))]
        total = sum(sum(count.values()) for count in cluster.counts.values())
        assert total >= len(flat), "an object is unaccounted for"


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_damaged_bytes_are_a_cluster_or_an_invalid_dump(data: st.DataObject) -> None:
    text = bytearray(
        listed(*small_cluster(), *network_objects(), indent=data.draw(st.sampled_from([None, 4]))).encode()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "drop", "insert"]))
        if kind == "flip":
            text[place] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            text = text[: place + 1]
        elif kind == "drop":
            del text[place : place + data.draw(st.integers(1, 40))]
            text = text or bytearray(b" ")
        else:
            text[place:place] = data.draw(st.binary(max_size=8))
    try:
        cluster = read_cluster(io.BytesIO(bytes(text)), streaming=data.draw(st.booleans()))
    except InvalidDump:
        return
    cluster.findings.to_frame()


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_invalid_dump(data: bytes) -> None:
    with pytest.raises(InvalidDump, match="<stream>"):
        read_cluster(io.BytesIO(data))

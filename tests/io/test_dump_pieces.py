"""Pieces of any size hold the same objects."""

import io
import json
import mmap
from pathlib import Path
from typing import Any

import pytest
from dump_texts import listed, pod, small_cluster, write
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.io.dump_batches import Batch, PodBatch
from dsmodel.io.dump_pieces import read_mapped, read_pieces


@settings(deadline=None, max_examples=40)
@given(st.integers(64, 4000), st.sampled_from([None, 1, 4]), st.booleans())
def test_pieces_of_any_size_give_the_same_objects(size: int, indent: int | None, heads_first: bool) -> None:  # noqa: FBT001 - hypothesis passes by position
    text = listed(*small_cluster(), indent=indent)
    if heads_first:
        text = json.dumps({"kind": "List", **json.loads(text)}, indent=indent)
    names = [
        item.metadata.name for batch in read_pieces(io.BytesIO(text.encode()), "x", size=size) for item in batch.objects
    ]
    assert names == [item["metadata"]["name"] for item in small_cluster()]


def mapped(folder: Path, text: str, size: int) -> list[Batch | PodBatch] | None:
    """Read a file as it lies in memory."""
    path = write(folder, text)
    with path.open("rb") as stream:
        batches = read_mapped(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY), "x", size=size)
    assert path.read_text() == text
    return batches


@pytest.mark.parametrize("size", [128, 700, 2000, 100_000])
@pytest.mark.parametrize("options", [{"separators": (",", ":")}, {}, {"indent": 1}, {"indent": 4}])
def test_a_mapped_file_gives_the_same_objects(tmp_path: Path, size: int, options: dict[str, Any]) -> None:
    items = [*small_cluster(), *(pod(f"more-{i}", f"10.244.1.{i}") for i in range(20))]
    batches = mapped(tmp_path, json.dumps({"kind": "List", "apiVersion": "v1", "items": items}, **options), size)
    assert batches is not None
    assert [item.metadata.name for batch in batches for item in batch.objects] == [
        item["metadata"]["name"] for item in items
    ]
    if size == 2000:
        assert len(batches) > 2
        assert {type(batch) for batch in batches} == {Batch, PodBatch}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(pod("alone")),
        listed(*small_cluster())[:-9],
        listed(*small_cluster(), pod("wrong") | {"spec": 7}),
        listed(*small_cluster()).replace('"kind":"Pod"', '"kind":7'),
    ],
)
def test_what_is_odd_in_a_mapped_file_is_left_to_others(tmp_path: Path, text: str) -> None:
    assert mapped(tmp_path, text, 300) is None


def test_control_plane_pods_are_decoded_with_their_containers(tmp_path: Path) -> None:
    pods = [pod(f"p{i}") for i in range(4)]
    own = pod("kube-apiserver-a", namespace="kube-system", containers=[{"name": "kube-apiserver"}])
    text = json.dumps({"kind": "List", "apiVersion": "v1", "items": [*pods, own, *pods]}, separators=(",", ":"))
    batches = mapped(tmp_path, text, 64) or []
    assert [
        (item.metadata.name, bytes(item.spec.containers))
        for batch in batches
        if isinstance(batch, Batch)
        for item in batch.objects
        if item.metadata.namespace == "kube-system"
    ] == [("kube-apiserver-a", b'[{"name":"kube-apiserver"}]')]

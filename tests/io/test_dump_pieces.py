"""Pieces of any size hold the same objects."""

import io
import json

from dump_texts import listed, small_cluster
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.io.dump_pieces import read_pieces


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

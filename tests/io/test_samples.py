import gzip
import json

import pytest

from dsmodel.errors import InvalidInput
from dsmodel.io.samples import SAMPLES, sample_path


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_lists_of_objects(name: str) -> None:
    with gzip.open(sample_path(name)) as stream:
        assert {item["kind"] for item in json.load(stream)["items"]} >= {"Node", "Pod", "Service"}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="there are dual-stack-shop, nearly-full, single-stack-legacy"):
        sample_path("atlantis")

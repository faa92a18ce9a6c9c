"""Configuration text inside ConfigMaps becomes values, or an error that names the place."""

import pytest

from dsmodel import errors
from dsmodel.kube.embedded_configs import read_embedded_config

READ = [
    ("YAML", "mode: nftables\nclusterCIDR: 10.244.0.0/16\n", {"mode": "nftables", "clusterCIDR": "10.244.0.0/16"}),
    ("JSON", '{"Network": "10.244.0.0/16"}', {"Network": "10.244.0.0/16"}),
    ("nothing", "", {}),
    ("a comment", "# nothing\n", {}),
]
REFUSED = [
    ("no YAML", "a: b: c", "is no YAML"),
    ("a tab", "a:\n\t- b", "is no YAML"),
    ("a list", "- a", "is list, and a mapping"),
    ("aliases", "a: &x [1]\nb: *x", "uses aliases"),
    ("a tag that runs", "a: !!python/object/apply:os.system [ls]", "is no YAML"),
    ("a date that is none", "a: 2024-99-99", "is no YAML"),
    ("far too long", "a: " + "x" * (1 << 20), "a ConfigMap holds"),
    ("two documents", "a: 1\n---\nb: 2", "is no YAML"),
    ("nested without end", "[" * 5000, "is no YAML"),
]


@pytest.mark.parametrize(("reason", "text", "values"), READ, ids=[row[0] for row in READ])
def test_text_is_read(reason: str, text: str, values: dict[str, str]) -> None:
    assert read_embedded_config(text, place="here") == values, reason


@pytest.mark.parametrize(("reason", "text", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_text_is_refused(reason: str, text: str, words: str) -> None:
    with pytest.raises(errors.InvalidConfig, match=f"^ConfigMap/a, b: .*{words}"):
        read_embedded_config(text, place="ConfigMap/a, b")
    assert reason

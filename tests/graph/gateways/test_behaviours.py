"""Versions as rows: without gaps, the newest last."""

import pytest

from dsmodel.graph.gateways.behaviours import BEHAVIOURS, behaviour, version_of_image

NAMES = sorted({(row.product, row.name) for row in BEHAVIOURS})


@pytest.mark.parametrize(("product", "name"), NAMES)
def test_rows_of_a_behaviour_follow_each_other(product, name):
    rows = [row for row in BEHAVIOURS if (row.product, row.name) == (product, name)]
    assert (rows[0].since, rows[-1].before) == ("", "")
    assert [row.before for row in rows[:-1]] == [row.since for row in rows[1:]]
    assert all(row.source for row in rows)


@pytest.mark.parametrize(
    ("version", "expected", "why"),
    [
        ("1.17", "ignored", "a minor version is its first patch"),
        ("v1.17.9", "ignored", "with a v"),
        ("1.18.0-rc.1", "served", "what follows the numbers does not count"),
        ("2.0", "served", "a later major version"),
        ("", "served", "not known: the newest"),
        ("latest", "served", "no version at all"),
    ],
)
def test_a_version_finds_its_row(version, expected, why):
    assert behaviour("Cilium", "IPv6 policies", version=version).value == expected, why


@pytest.mark.parametrize(
    ("image", "version", "why"),
    [
        ("quay.io/cilium/cilium:v1.18.3@sha256:00", "1.18.3", "tag and digest"),
        ("localhost:5000/cilium:1.20", "1.20", "a port is no tag"),
        ("cilium@sha256:1.18", "", "a digest alone"),
        ("cilium:latest", "", "no version"),
        ("", "", "no image"),
    ],
)
def test_versions_of_images(image, version, why):
    assert version_of_image(image) == version, why


def test_an_unknown_behaviour_is_our_error():
    with pytest.raises(KeyError, match="Cilium: nothing"):
        behaviour("Cilium", "nothing")

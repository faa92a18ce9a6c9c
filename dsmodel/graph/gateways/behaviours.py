"""What a product does in which of its versions, as rows.

Promises that a version is data: a row holds for versions from `since` up to, and without, `before`. Where the version
is not known, the newest behaviour is assumed and the finding says so.

What it does not know: builds between releases, and vendors' backports.

Sources: each row names its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["BEHAVIOURS", "Behaviour", "behaviour", "version_of_image"]

_IMAGE_VERSION = re.compile(r":v?(\d+\.\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Behaviour:
    """One behaviour of one product in some of its versions.

    Parameters
    ----------
    product : str
        Its name.
    name : str
        What differs.
    value : str
        What these versions do.
    source : str
        Where it was read.
    since : str, default ""
        First version; empty for all before `before`.
    before : str, default ""
        First version that does otherwise; empty for none so far.
    """

    product: str
    name: str
    value: str
    source: str
    since: str = ""
    before: str = ""


BEHAVIOURS: tuple[Behaviour, ...] = (
    Behaviour(
        "Cilium",
        "IPv6 policies",
        "ignored",
        "cilium/cilium#36201: destinations are IPv4 only",
        before="1.18",
    ),
    Behaviour("Cilium", "IPv6 policies", "served", "cilium/cilium#40075, pkg/egressgateway/policy.go", since="1.18"),
    Behaviour(
        "Cilium",
        "IPv6 egressIP",
        "refused",
        "cilium/cilium#38962, #44524: the API server takes IPv4 only",
        before="1.20",
    ),
    Behaviour("Cilium", "IPv6 egressIP", "served", "cilium/cilium#44524, pkg/egressgateway/policy.go", since="1.20"),
    Behaviour(
        "Cilium",
        "other family beside egressIP",
        "none",
        "cilium/cilium#44524: no address of the other family is derived",
        before="1.20",
    ),
    Behaviour("Cilium", "other family beside egressIP", "of its device", "cilium/cilium#44524", since="1.20"),
    Behaviour("Cilium", "egressIP without other family", "that family", "pkg/egressgateway/policy.go", before="1.20.0"),
    Behaviour(
        "Cilium",
        "egressIP without other family",
        "both families",
        "cilium/cilium#48660",
        since="1.20.0",
        before="1.20.2",
    ),
    Behaviour("Cilium", "egressIP without other family", "that family", "cilium/cilium#48661", since="1.20.2"),
    Behaviour("Cilium", "egressGateways", "dropped", "cilium/cilium#39304: no such field yet", before="1.18"),
    Behaviour("Cilium", "egressGateways", "read", "cilium/cilium#39304", since="1.18"),
    Behaviour(
        "Cilium", "nodeSelector of selectors", "dropped", "cilium/cilium#35421: no such field yet", before="1.17"
    ),
    Behaviour("Cilium", "nodeSelector of selectors", "read", "cilium/cilium#35421", since="1.17"),
    Behaviour(
        "Cilium",
        "sources in selectors",
        "refused",
        "pkg/policy/api/selector.go: keys are taken as they are, and k8s:app is no key of a label",
        before="1.20",
    ),
    Behaviour(
        "Cilium", "sources in selectors", "read", "pkg/egressgateway/policy.go, NewSourceEncodedLabelKey", since="1.20"
    ),
)
"""In the order of versions."""


def behaviour(product: str, name: str, *, version: str = "") -> Behaviour:
    """Return what a version of a product does.

    Parameters
    ----------
    product : str
        Its name.
    name : str
        What differs.
    version : str, default ""
        "1.18.3"; empty, or not a version, for not known: the newest behaviour.

    Returns
    -------
    Behaviour
        The row that holds.

    Raises
    ------
    KeyError
        There is no such behaviour, which is an error of ours.

    Examples
    --------
    >>> behaviour("Cilium", "egressIP without other family", version="1.20.1").value
    'both families'
    >>> behaviour("Cilium", "egressIP without other family").value
    'that family'
    """
    rows = [row for row in BEHAVIOURS if (row.product, row.name) == (product, name)]
    if not rows:
        raise KeyError(f"{product}: {name}")
    given = _parts(version)
    if not given:
        return rows[-1]
    return next(row for row in rows if _parts(row.since) <= given and (not row.before or given < _parts(row.before)))


def version_of_image(image: str) -> str:
    """Return the version in the tag of an image.

    Parameters
    ----------
    image : str
        With a tag, a digest, or neither.

    Returns
    -------
    str
        "1.18.3"; empty where the tag has no version.

    Raises
    ------
    None
        Any text has an answer.

    Examples
    --------
    >>> version_of_image("quay.io/cilium/cilium:v1.18.3@sha256:aa"), version_of_image("cilium@sha256:bb")
    ('1.18.3', '')
    """
    found = _IMAGE_VERSION.search(image.partition("@")[0])
    return found[1] if found else ""


def _parts(version: str) -> tuple[int, ...]:
    """Split a version into numbers, the patch 0 where it is left out; empty for no version."""
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(part or 0) for part in found.groups()) if found else ()

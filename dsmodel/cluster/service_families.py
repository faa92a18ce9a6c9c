"""Decide the families of a batch of Services, once for each different shape.

`decide` asks the API server's own table (`dsmodel.kube.families`) for one shape: policy, families asked for, headless
or not. `decide_many` finds the shapes of a batch, decides each once and hands the answers out.

What it does not know: cluster IPs that a Service names itself, Services without selector (all rows count as having
one), updates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.schema import IP_FAMILIES, IP_FAMILY_POLICIES
from dsmodel.errors import Reason
from dsmodel.kube.families import FamilyShape, resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cluster.table import Table
    from dsmodel.kube.behaviour import Behaviour

__all__ = ["Families", "decide", "decide_many"]

_EXTERNAL_NAME = 4  # code of schema.SERVICE_TYPES
_FAMILY_CODES = {word: code for code, word in IP_FAMILIES.items()}
_POLICY_CODES = {word: code for code, word in IP_FAMILY_POLICIES.items()}


@dataclass(frozen=True)
class Families:
    """What one shape of Service becomes.

    Parameters
    ----------
    policy : str
        The policy stored; empty where the API stores none.
    families : tuple of IPFamily
        In order, the primary first; one cluster IP of each unless headless.
    reason : Reason
        OK, or why the Service is refused.
    """

    policy: str
    families: tuple[IPFamily, ...]
    reason: Reason = Reason.OK


def decide(
    policy: str,
    asked: tuple[str, ...],
    *,
    headless: bool = False,
    configured: tuple[IPFamily, ...],
    behaviour: Behaviour,
) -> Families:
    """Decide policy and families of one shape.

    Parameters
    ----------
    policy : str
        The policy asked for; empty for none.
    asked : tuple of str
        Families asked for, in order; may be empty.
    headless : bool, default False
        Whether clusterIP is "None".
    configured : tuple of IPFamily
        Families of the API server's service ranges, the default first.
    behaviour : Behaviour
        Of the API server's version.

    Returns
    -------
    Families
        With a reason other than OK where the API server refuses.

    Raises
    ------
    None
        Every shape has an answer.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> from dsmodel.kube.behaviour import behaviour_of
    >>> v136, both = behaviour_of(KubeVersion("1.36")), (IPFamily.IPV4, IPFamily.IPV6)
    >>> [str(family) for family in decide("PreferDualStack", (), configured=both, behaviour=v136).families]
    ['IPv4', 'IPv6']
    >>> decide("RequireDualStack", (), configured=both[:1], behaviour=v136).reason
    <Reason.FAMILY_NOT_CONFIGURED: 11>
    """
    if not configured:
        return Families(policy, (), Reason.FAMILY_NOT_CONFIGURED)
    if not behaviour.dual_stack:  # v1.20 with the gate off drops both fields
        return Families("", configured[:1])
    cluster = tuple(str(family) for family in configured)
    shape = FamilyShape(policy or None, asked, (), headless=headless, selector=True, cluster=cluster)
    outcome = resolve(shape, behaviour.families)
    if outcome.refusals:
        lacking = len(cluster) < 2 and (policy == "RequireDualStack" or any(family not in cluster for family in asked))
        return Families(policy, (), Reason.FAMILY_NOT_CONFIGURED if lacking else Reason.REJECTED)
    return Families(outcome.policy or "", tuple(IPFamily(family) for family in outcome.families))


def decide_many(
    services: Table, *, configured: tuple[IPFamily, ...], behaviour: Behaviour
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Decide a batch, each different shape once.

    Parameters
    ----------
    services : Table
        Rows as asked for; an ExternalName has no families.
    configured : tuple of IPFamily
        Families of the API server's service ranges, the default first.
    behaviour : Behaviour
        Of the API server's version.

    Returns
    -------
    tuple of ndarray of uint8, shape (n,)
        Policy codes, codes of the families that get cluster IPs, reasons.

    Raises
    ------
    None
        Every shape has an answer.
    """
    external = services["type"] == _EXTERNAL_NAME
    shapes = services["ip_family_policy"].astype(np.intp) << 8 | services["ip_families"]
    shapes |= services["headless"].astype(np.intp) << 11 | external.astype(np.intp) << 12
    answers = np.zeros((3, 1 << 13), np.uint8)
    for shape in np.flatnonzero(np.bincount(shapes, minlength=1)).tolist():
        if shape >> 12:
            continue
        asked = IP_FAMILIES[shape & 255]
        answer = decide(
            IP_FAMILY_POLICIES[shape >> 8 & 7],
            tuple(asked.split(",")) if asked else (),
            headless=bool(shape >> 11 & 1),
            configured=configured,
            behaviour=behaviour,
        )
        answers[:, shape] = _POLICY_CODES[answer.policy], _FAMILY_CODES[",".join(answer.families)], answer.reason
    policies, families, reasons = answers[:, shapes]
    return policies, families, reasons

"""Decide the families of Services from what they ask for, once for each different shape.

`decide` is the whole decision: (policy, families asked for, headless) in one cluster to (policy, families) or a
reason. It covers Services with a selector and without cluster IPs of their own. What it does not know: static cluster
IPs, Services without selector, updates; the API server's full table decides those.

Sources: ``initIPFamilyFields`` of ``pkg/registry/core/service/storage/alloc.go`` (v1.36.2),
``tryDefaultValidateServiceClusterIPFields`` of ``pkg/registry/core/service/storage/rest.go`` (v1.20.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Families", "decide", "decide_many"]

_SINGLE, _PREFER, _REQUIRE = 1, 2, 3  # codes of schema.IP_FAMILY_POLICIES
_EXTERNAL_NAME = 4  # code of schema.SERVICE_TYPES
_NUMBER = {IPFamily.IPV4: 4, IPFamily.IPV6: 6}


@dataclass(frozen=True)
class Families:
    """What one shape of Service becomes.

    Parameters
    ----------
    policy : int
        Code of `schema.IP_FAMILY_POLICIES`; 0 where the API stores none.
    families : tuple of IPFamily
        In order, the primary first.
    reason : Reason
        OK, or why the Service is refused.
    """

    policy: int
    families: tuple[IPFamily, ...]
    reason: Reason = Reason.OK

    @property
    def code(self) -> int:
        """Code of `schema.IP_FAMILIES`."""
        return int("".join(str(_NUMBER[family]) for family in self.families) or "0")


def decide(
    policy: int, asked: tuple[IPFamily, ...], *, configured: tuple[IPFamily, ...], dual_stack_api: bool = True
) -> Families:
    """Decide policy and families of one shape.

    Parameters
    ----------
    policy : int
        Code of the policy asked for; 0 for none.
    asked : tuple of IPFamily
        Families asked for, in order; may be empty.
    configured : tuple of IPFamily
        Families of the API server's service ranges, the default first.
    dual_stack_api : bool, default True
        False for v1.20 with the gate IPv6DualStack off: policy and families are dropped.

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
    >>> both = (IPFamily.IPV4, IPFamily.IPV6)
    >>> decide(2, (), configured=both).code, decide(2, (), configured=both[:1]).code
    (46, 4)
    >>> decide(3, (), configured=both[:1]).reason
    <Reason.FAMILY_NOT_CONFIGURED: 11>
    """
    if not dual_stack_api:
        return Families(0, configured[:1], Reason.OK if configured else Reason.FAMILY_NOT_CONFIGURED)
    policy = policy or _SINGLE
    if policy == _SINGLE and len(asked) > 1:
        return Families(policy, (), Reason.REJECTED)
    short = policy == _REQUIRE and len(configured) < 2
    if short or not configured or any(family not in configured for family in asked):
        return Families(policy, (), Reason.FAMILY_NOT_CONFIGURED)
    families = asked or configured[:1]
    if policy != _SINGLE and len(families) == 1:
        families += tuple(family for family in configured if family not in families)
    return Families(policy, families)


def decide_many(
    types: NDArray[Any],
    policies: NDArray[Any],
    asked: NDArray[Any],
    *,
    configured: tuple[IPFamily, ...],
    dual_stack_api: bool = True,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Decide a batch, each different shape once.

    Parameters
    ----------
    types : ndarray of uint8, shape (n,)
        Codes of `schema.SERVICE_TYPES`; an ExternalName has no families.
    policies : ndarray of uint8, shape (n,)
        Codes of the policies asked for.
    asked : ndarray of uint8, shape (n,)
        Codes of the families asked for.
    configured : tuple of IPFamily
        Families of the API server's service ranges, the default first.
    dual_stack_api : bool, default True
        See `decide`.

    Returns
    -------
    tuple of ndarray of uint8, shape (n,)
        Policy codes, family codes, reasons.

    Raises
    ------
    None
        Every shape has an answer.
    """
    shapes = (types == _EXTERNAL_NAME).astype(np.uint32) << 16 | policies.astype(np.uint32) << 8 | asked
    answers = np.zeros((3, 1 << 17), np.uint8)
    for shape in np.flatnonzero(np.bincount(shapes, minlength=1)):
        if shape >> 16:
            continue
        families = tuple(IPFamily.IPV4 if digit == "4" else IPFamily.IPV6 for digit in str(shape & 255) if digit != "0")
        answer = decide(int(shape >> 8) & 255, families, configured=configured, dual_stack_api=dual_stack_api)
        answers[:, shape] = answer.policy, answer.code, answer.reason
    chosen = answers[:, shapes]
    return chosen[0], chosen[1], chosen[2]

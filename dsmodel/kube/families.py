"""Which families and policy a Service gets: one decision table over *shapes*.

What the API server decides about ``ipFamilyPolicy`` and ``ipFamilies`` depends on a small shape of the request: its
policy, its families, the families of the addresses it names, headless or not, selector or not, the cluster's families,
and on an update what was stored. `resolve` maps a shape to the result or to the server's complaints. A table is an
ordered tuple of rows, each with its reason and source; a request walks down the rows until one refuses or settles.

Promises: the same answer for the same shape, hence one decision for a million equal Services.

Not known here: whether the addresses are well formed (that is validated before) or free.

Sources: ``tryDefaultValidateServiceClusterIPFields`` of ``pkg/registry/core/service/storage/rest.go`` (1.20 to 1.22),
``initIPFamilyFields`` of ``alloc.go`` (since 1.23); recordings of 1.20, 1.21, 1.23, 1.26 and 1.36.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "STORAGE_ROWS",
    "STORE_ROWS",
    "FamilyBefore",
    "FamilyOutcome",
    "FamilyRules",
    "FamilyShape",
    "IPFamilyPolicy",
    "Refusal",
    "Row",
    "resolve",
]


class IPFamilyPolicy(enum.StrEnum):
    """The three values of ``spec.ipFamilyPolicy``.

    Examples
    --------
    >>> IPFamilyPolicy("PreferDualStack").value
    'PreferDualStack'
    """

    SINGLE_STACK = "SingleStack"
    PREFER_DUAL_STACK = "PreferDualStack"
    REQUIRE_DUAL_STACK = "RequireDualStack"


_SINGLE, _PREFER, _REQUIRE = (policy.value for policy in IPFamilyPolicy)
_OTHER = {"IPv4": "IPv6", "IPv6": "IPv4"}


@dataclass(frozen=True, slots=True)
class FamilyRules:
    """What of the table depends on the version.

    Parameters
    ----------
    generation : {"rest", "store"}
        Which table.
    infers_policy : bool
        Two families or addresses without a policy mean RequireDualStack.
    prefer_headless_needs_dual_stack : bool
        A headless PreferDualStack Service without selector gets one family on a single-stack cluster.
    prefer_left_alone : bool
        Updates that touch nothing leave PreferDualStack Services alone.
    """

    generation: Literal["rest", "store"] = "store"
    infers_policy: bool = False
    prefer_headless_needs_dual_stack: bool = False
    prefer_left_alone: bool = True


@dataclass(frozen=True, slots=True)
class FamilyBefore:
    """What of the stored Service an update's shape depends on.

    Parameters
    ----------
    policy : str or None
        Stored policy.
    same_type : bool
        The type does not change.
    same_ips, same_families : bool
        ``clusterIPs`` and ``ipFamilies`` are those stored.
    ip_count, family_count : int
        How many were stored.
    """

    policy: str | None
    same_type: bool
    same_ips: bool
    same_families: bool
    ip_count: int
    family_count: int


@dataclass(frozen=True, slots=True)
class FamilyShape:
    """What a decision depends on.

    Parameters
    ----------
    policy : str or None
        ``ipFamilyPolicy``, a known value or None.
    families : tuple of str
        ``ipFamilies``, valid and distinct.
    ips : tuple of str
        Family of each address in ``clusterIPs``; empty when headless.
    headless : bool
        ``clusterIP: None``.
    selector : bool
        The selector is not empty.
    cluster : tuple of str
        Families of the service ranges, primary first.
    before : FamilyBefore or None
        What is stored, on an update.
    """

    policy: str | None
    families: tuple[str, ...]
    ips: tuple[str, ...]
    headless: bool
    selector: bool
    cluster: tuple[str, ...]
    before: FamilyBefore | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """One complaint; the caller prints the bad value.

    Parameters
    ----------
    path : str
        Field path.
    value : {"policy", "cluster_ips", "family"}
        What the server prints as the bad value: the policy, the whole list of addresses, or `family`.
    detail : str
        The server's words.
    family : str
        The family meant, where `value` is ``"family"``.
    """

    path: str
    value: Literal["policy", "cluster_ips", "family"]
    detail: str
    family: str = ""


@dataclass(frozen=True, slots=True)
class FamilyOutcome:
    """The decision.

    Parameters
    ----------
    policy : str or None
        Resulting policy.
    families : tuple of str
        Resulting families, primary first; one address of each is allocated unless headless.
    ip_count : int
        How many of the addresses named are kept (one is dropped when SingleStack releases it).
    refusals : tuple of Refusal
        Empty when accepted; else policy and families are as far as they got, which error messages show.
    untouched : bool
        The update leaves families and addresses alone.
    """

    policy: str | None
    families: tuple[str, ...]
    ip_count: int
    refusals: tuple[Refusal, ...] = ()
    untouched: bool = False


@dataclass(slots=True)
class _Working:
    """A decision under way."""

    shape: FamilyShape
    rules: FamilyRules
    policy: str | None
    families: list[str]
    ip_count: int
    refusals: list[Refusal] = field(default_factory=list)
    untouched: bool = False

    def refuse(
        self, path: str, value: Literal["policy", "cluster_ips", "family"], detail: str, *, family: str = ""
    ) -> None:
        """Add a complaint."""
        self.refusals.append(Refusal(path, value, detail, family))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Parameters
    ----------
    says : str
        What the row decides and why.
    source : str
        Where it was read or seen.
    apply : callable
        Changes the working state; returns True when the decision is final.
    """

    says: str
    source: str
    apply: Callable[[_Working], bool]


@lru_cache(maxsize=16384)
def resolve(shape: FamilyShape, rules: FamilyRules) -> FamilyOutcome:
    """Decide policy and families of a Service that is not of type ExternalName.

    Parameters
    ----------
    shape : FamilyShape
        What the request and the cluster look like.
    rules : FamilyRules
        What the version does.

    Returns
    -------
    FamilyOutcome
        The result, or the complaints.

    Raises
    ------
    None
        Every shape has an answer.

    Examples
    --------
    >>> shape = FamilyShape("PreferDualStack", ("IPv6",), (), headless=False, selector=True, cluster=("IPv4", "IPv6"))
    >>> resolve(shape, FamilyRules()).families
    ('IPv6', 'IPv4')
    """
    work = _Working(shape, rules, shape.policy, list(shape.families), len(shape.ips))
    for row in STORE_ROWS if rules.generation == "store" else STORAGE_ROWS:
        if row.apply(work):
            break
    return FamilyOutcome(work.policy, tuple(work.families), work.ip_count, tuple(work.refusals), work.untouched)


def _leave_prefer_alone(work: _Working) -> bool:
    """Settle an update that touches nothing of a PreferDualStack Service."""
    before = work.shape.before
    work.untouched = (
        work.rules.prefer_left_alone
        and before is not None
        and work.policy == _PREFER
        and before.policy in {None, _PREFER}
        and before.same_type
        and before.same_ips
        and before.same_families
    )
    return work.untouched


def _default_policy(work: _Working) -> bool:
    """Fill in the policy: the stored one, RequireDualStack when headless without selector, else SingleStack."""
    if work.policy is None:
        before = work.shape.before
        if before is not None and before.policy is not None:
            work.policy = before.policy
        else:
            work.policy = _REQUIRE if work.shape.headless and not work.shape.selector else _SINGLE
    return False


def _release_second(work: _Working) -> bool:
    """Drop the second address and family for SingleStack; otherwise complain when they were dropped."""
    before = work.shape.before
    if before is None:
        return False
    if work.policy == _SINGLE:
        if before.same_ips and work.ip_count > 1:
            work.ip_count = 1
        if before.same_families and len(work.families) > 1:
            del work.families[1:]
        return False
    named = 1 if work.shape.headless else work.ip_count
    if 0 < named < before.ip_count:
        work.refuse("spec.ipFamilyPolicy", "policy", "must be 'SingleStack' to release the secondary cluster IP")
    if 0 < len(work.families) < before.family_count:
        work.refuse("spec.ipFamilyPolicy", "policy", "must be 'SingleStack' to release the secondary IP family")
    return False


def _single_with_two(work: _Working) -> bool:
    """Complain about two addresses or families under SingleStack."""
    if work.policy == _SINGLE:
        words = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
        if work.ip_count == 2:
            work.refuse("spec.ipFamilyPolicy", "policy", words.format("cluster IPs"))
        if len(work.families) == 2:
            work.refuse("spec.ipFamilyPolicy", "policy", words.format("IP families"))
    return False


def _families_of_ips(work: _Working) -> bool:
    """Infer families from the addresses named."""
    for index, family in enumerate(work.shape.ips[: work.ip_count]):
        if index < len(work.families):
            continue
        if family in work.shape.cluster:
            work.families.append(family)
        else:
            work.refuse(f"spec.clusterIPs[{index}]", "cluster_ips", f"{family} is not configured on this cluster")
    return bool(work.refusals)


def _headless_without_selector(work: _Working) -> bool:
    """Settle headless Services without selector, whatever the cluster has."""
    if not work.shape.headless or work.shape.selector:
        return False
    if not work.families:
        work.families.append(work.shape.cluster[0])
    needs_dual = work.policy == _PREFER and work.rules.prefer_headless_needs_dual_stack
    wants_both = work.policy != _SINGLE and (not needs_dual or len(work.shape.cluster) == 2)
    if wants_both and len(work.families) == 1:
        work.families.append(_OTHER[work.families[0]])
    return True


def _require_on_single_stack(work: _Working) -> bool:
    """Complain about RequireDualStack on a single-stack cluster."""
    if work.policy == _REQUIRE and len(work.shape.cluster) < 2:
        words = {
            "store": "this cluster is not configured for dual-stack services",
            "rest": "Cluster is not configured for dual stack services",
        }
        work.refuse("spec.ipFamilyPolicy", "policy", words[work.rules.generation])
    return False


def _families_configured(work: _Working) -> bool:
    """Complain about families the cluster does not have."""
    for index, family in enumerate(work.families):
        if family not in work.shape.cluster:
            path = f"spec.ipFamilies[{index}]"
            if work.rules.generation == "store":
                work.refuse(path, "family", "not configured on this cluster", family=family)
            else:  # prints the addresses as the bad value, an upstream slip
                work.refuse(path, "cluster_ips", f"ipfamily {family} is not configured on cluster")
    return bool(work.refusals)


def _late_single(work: _Working) -> bool:
    """Default the policy to SingleStack."""
    if work.policy is None:
        work.policy = _SINGLE
    return False


def _default_family(work: _Working) -> bool:
    """Take the cluster's primary family."""
    if not work.families:
        work.families.append(work.shape.cluster[0])
    return False


def _second_family(work: _Working) -> bool:
    """Add the other family on a dual-stack cluster."""
    if work.policy != _SINGLE and len(work.families) == 1 and len(work.shape.cluster) == 2:
        work.families.append(_OTHER[work.families[0]])
    return True


def _single_with_two_at_once(work: _Working) -> bool:
    """Complain about two addresses or families under SingleStack, and stop."""
    if work.policy == _SINGLE:
        words = "must be RequireDualStack or PreferDualStack when multiple '{}' are specified"
        if len(work.shape.ips) == 2:
            work.refuse("spec.ipFamilyPolicy", "policy", words.format("clusterIPs"))
        if len(work.families) == 2:
            work.refuse("spec.ipFamilyPolicy", "policy", words.format("ipFamilies"))
    return bool(work.refusals)


def _families_of_ips_in_turn(work: _Working) -> bool:
    """Infer families from the addresses named, stopping at the first the cluster lacks."""
    for index, family in enumerate(work.shape.ips):
        if index < len(work.families):
            continue
        if family not in work.shape.cluster:
            words = f"may not use {family} on a cluster which is not configured for it"
            work.refuse(f"spec.clusterIPs[{index}]", "cluster_ips", words)
            return True
        work.families.append(family)
    return False


def _inferred_policy(work: _Working) -> bool:
    """Take two families or two addresses as RequireDualStack."""
    if work.policy is None:
        headless = work.shape.headless and not work.shape.selector
        two = len(work.shape.ips) == 2 or len(work.families) == 2
        if headless or (work.rules.infers_policy and two):
            work.policy = _REQUIRE
    return False


_ALLOC = "initIPFamilyFields of pkg/registry/core/service/storage/alloc.go"
_REST = "tryDefaultValidateServiceClusterIPFields of pkg/registry/core/service/storage/rest.go"

STORE_ROWS: tuple[Row, ...] = (
    Row("an untouched PreferDualStack Service keeps what it has", _ALLOC, _leave_prefer_alone),
    Row("the policy defaults to the stored one, RequireDualStack or SingleStack", _ALLOC, _default_policy),
    Row("SingleStack releases the second address and family; no other policy may", _ALLOC, _release_second),
    Row("SingleStack takes one address and one family", _ALLOC, _single_with_two),
    Row("addresses name families", _ALLOC, _families_of_ips),
    Row("headless without selector does not ask the cluster", _ALLOC, _headless_without_selector),
    Row("RequireDualStack needs a dual-stack cluster", _ALLOC, _require_on_single_stack),
    Row("families must be configured", _ALLOC, _families_configured),
    Row("the primary family is the default", _ALLOC, _default_family),
    Row("a dual-stack policy adds the other family on a dual-stack cluster", _ALLOC, _second_family),
)
"""The table since 1.23."""

STORAGE_ROWS: tuple[Row, ...] = (
    Row("an untouched PreferDualStack Service keeps what it has (1.22)", _REST, _leave_prefer_alone),
    Row("SingleStack takes one address and one family", _REST, _single_with_two_at_once),
    Row("addresses name families", _REST, _families_of_ips_in_turn),
    Row("headless without selector, and since 1.21 two of anything, mean RequireDualStack", _REST, _inferred_policy),
    Row("headless without selector does not ask the cluster", _REST, _headless_without_selector),
    Row("RequireDualStack needs a dual-stack cluster", _REST, _require_on_single_stack),
    Row("families must be configured", _REST, _families_configured),
    Row("the policy defaults to SingleStack", _REST, _late_single),
    Row("the primary family is the default", _REST, _default_family),
    Row("a dual-stack policy adds the other family on a dual-stack cluster", _REST, _second_family),
)
"""The table until 1.22."""

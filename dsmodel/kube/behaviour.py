"""One API server's behaviour: its version's rules and gates, read once.

Promises: everything that the rules of Services, Nodes and ServiceCIDRs ask a version for, as plain values with a name.

Not known here: what the values mean for an object; see the modules that use them.

Sources: the rows of `dsmodel.kube.versions`, each with its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from dsmodel.kube.versions import GATES, KubeVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.kube.syntax import AddressSyntax

__all__ = ["Behaviour", "behaviour_of"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one version with its gates does.

    Parameters
    ----------
    version : KubeVersion
        The version.
    error_values : str
        How field errors print values, ``"go"`` or ``"json"``.
    address_syntax : {"go", "sloppy", "strict"}
        How address fields read text.
    dual_stack : bool
        IPv6DualStack.
    """

    version: KubeVersion
    error_values: str
    address_syntax: AddressSyntax
    dual_stack: bool


@lru_cache(maxsize=64)
def _behaviour(version: KubeVersion, gates: tuple[tuple[str, bool], ...]) -> Behaviour:
    """Read the rules of a version once."""
    overrides = dict(gates)
    for name in overrides:
        if name in GATES:
            version.gate(name, overrides)
    strict = version.gate("StrictIPCIDRValidation", overrides)
    return Behaviour(
        version=version,
        error_values=version.rule("field_error_values"),
        address_syntax="strict" if strict else version.rule("address_syntax"),
        dual_stack=version.gate("IPv6DualStack", overrides),
    )


def behaviour_of(version: KubeVersion, feature_gates: Mapping[str, bool] | None = None) -> Behaviour:
    """Return what a version with these gates does.

    Parameters
    ----------
    version : KubeVersion
        The version.
    feature_gates : mapping of str to bool, optional
        ``--feature-gates`` of kube-apiserver; gates without a row are not looked at.

    Returns
    -------
    Behaviour
        The same object for the same question.

    Raises
    ------
    InvalidConfig
        A gate the version does not know, or has locked.

    Examples
    --------
    >>> behaviour_of(KubeVersion("1.20")).dual_stack, behaviour_of(KubeVersion("1.36")).address_syntax
    (False, 'strict')
    """
    return _behaviour(version, tuple(sorted((feature_gates or {}).items())))

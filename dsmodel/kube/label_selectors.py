"""Label selectors of the API: which labels an object must have to be meant.

Promises the answers of the API machinery: a selector that is not there selects nothing, an empty one everything, all
requirements must hold, and ``NotIn`` and ``DoesNotExist`` hold where the key is missing. What is refused is refused in
the words of the API server's validation.

What it does not know: whose labels they are; selectors of other languages, as Calico's (`dsmodel.cni.calico.selectors`)
or the comma lists of ``kubectl -l``.

Sources: k8s.io/apimachinery ``pkg/apis/meta/v1/helpers.go`` (LabelSelectorAsSelector), ``pkg/labels/selector.go``
(Requirement.Matches, String), ``pkg/apis/meta/v1/validation/validation.go`` (ValidateLabelSelector).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dsmodel.errors import InvalidField
from dsmodel.kube.names import label_value, qualified_name

__all__ = ["OPERATORS", "LabelSelector", "Requirement", "read_selector"]

# operator of the API -> whether it takes values
OPERATORS: Final[Mapping[str, bool]] = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one label must be.

    Parameters
    ----------
    key : str
        Of the label.
    operator : str
        A key of `OPERATORS`.
    values : tuple of str
        Sorted; empty for operators that take none.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels are as required.

        Parameters
        ----------
        labels : mapping of str to str
            Of one object.

        Returns
        -------
        bool
            ``NotIn`` and ``DoesNotExist`` hold where the key is missing.

        Raises
        ------
        None
            Every set of labels has an answer.

        Examples
        --------
        >>> Requirement("tier", "NotIn", ("web",)).matches({})
        True
        """
        if self.operator == "In":
            return labels.get(self.key) in self.values
        if self.operator == "NotIn":
            return labels.get(self.key) not in self.values
        return (self.key in labels) is (self.operator == "Exists")

    def __str__(self) -> str:
        """Write it as kubectl does."""
        if self.operator == "Exists":
            return self.key
        if self.operator == "DoesNotExist":
            return f"!{self.key}"
        if self.operator == "In" and len(self.values) == 1:
            return f"{self.key}={self.values[0]}"
        return f"{self.key} {self.operator.lower()} ({','.join(self.values)})"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Requirements that must all hold.

    Parameters
    ----------
    requirements : tuple of Requirement, or None
        Sorted by key. None selects nothing, an empty tuple everything.
    """

    requirements: tuple[Requirement, ...] | None = None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with these labels is selected.

        Parameters
        ----------
        labels : mapping of str to str
            Of one object; empty for one without labels.

        Returns
        -------
        bool
            Whether every requirement holds.

        Raises
        ------
        None
            Every set of labels has an answer.

        Examples
        --------
        >>> LabelSelector().matches({"app": "web"}), LabelSelector(()).matches({})
        (False, True)
        """
        if self.requirements is None:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        """Write it as kubectl does: ``app=web,tier notin (a,b)``; ``<none>`` for one that is not there."""
        if self.requirements is None:
            return "<none>"
        return ",".join(map(str, self.requirements)) or "<all>"


def read_selector(selector: Mapping[str, Any] | None, *, path: str = "selector") -> LabelSelector:
    """Read a LabelSelector of the API.

    Parameters
    ----------
    selector : mapping or None
        With ``matchLabels`` and ``matchExpressions``, as in the object; None for a field that is not there.
    path : str, default "selector"
        Field path of the selector, for messages.

    Returns
    -------
    LabelSelector
        None selects nothing, ``{}`` everything. Fields it does not know are passed over, as the API server does.

    Raises
    ------
    InvalidField
        An operator, key or value that the API server refuses, in its words, or a field of a wrong type.

    Notes
    -----
    Sources: ``LabelSelectorAsSelector`` of ``pkg/apis/meta/v1/helpers.go``, ``ValidateLabelSelector`` of
    ``pkg/apis/meta/v1/validation/validation.go``.

    Examples
    --------
    >>> chosen = read_selector({"matchLabels": {"app": "web"},
    ...     "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["b", "a"]}]})
    >>> str(chosen), chosen.matches({"app": "web"}), chosen.matches({"app": "web", "tier": "a"})
    ('app=web,tier notin (a,b)', True, False)
    >>> read_selector({"matchExpressions": [{"key": "app", "operator": "Equals"}]}, path="spec.podSelector")
    Traceback (most recent call last):
    dsmodel.errors.InvalidField: spec.podSelector.matchExpressions[0].operator: 'Equals': not a valid selector operator
    """
    if selector is None:
        return LabelSelector(None)
    _check_type(selector, Mapping, path, "must be an object with matchLabels and matchExpressions")
    found = _read_labels(selector.get("matchLabels"), f"{path}.matchLabels")
    expressions = selector.get("matchExpressions")
    if expressions is not None:
        _check_type(expressions, list | tuple, f"{path}.matchExpressions", "must be a list")
        for place, expression in enumerate(expressions):
            found.append(_read_expression(expression, f"{path}.matchExpressions[{place}]"))
    return LabelSelector(tuple(sorted(found, key=lambda each: (each.key, each.operator, each.values))))


def _read_labels(labels: Any, path: str) -> list[Requirement]:
    """Read ``matchLabels``: each is a requirement of one value."""
    if labels is None:
        return []
    _check_type(labels, Mapping, path, "must be an object of text to text")
    for key, value in labels.items():
        _check_key(key, path)
        _check_value(value, path)
    return [Requirement(key, "In", (value,)) for key, value in labels.items()]


def _read_expression(expression: Any, path: str) -> Requirement:
    """Read one of ``matchExpressions``, in the order in which the API server checks it."""
    _check_type(expression, Mapping, path, "must be an object with key, operator and values")
    key, operator, values = (expression.get(name) for name in ("key", "operator", "values"))
    if values is not None:
        _check_type(values, list | tuple, f"{path}.values", "must be a list")
    takes = OPERATORS.get(operator) if isinstance(operator, str) else None
    if takes is None:
        raise InvalidField(f"{path}.operator", operator or "", "not a valid selector operator")
    if takes and not values:
        raise InvalidField(f"{path}.values", values, "must be specified when `operator` is 'In' or 'NotIn'")
    if values and not takes:
        detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        raise InvalidField(f"{path}.values", values, detail)
    _check_key("" if key is None else key, f"{path}.key")
    for place, value in enumerate(values or ()):
        _check_value(value, f"{path}.values[{place}]")
    return Requirement(key, operator, tuple(sorted(set(values or ()))))


def _check_key(key: Any, path: str) -> None:
    """Refuse what is no label key."""
    _check_type(key, str, path, "must be text")
    for detail in qualified_name(key):
        raise InvalidField(path, key, detail)


def _check_value(value: Any, path: str) -> None:
    """Refuse what is no label value."""
    _check_type(value, str, path, "must be text")
    for detail in label_value(value):
        raise InvalidField(path, value, detail)


def _check_type(value: Any, kind: Any, path: str, detail: str) -> None:
    """Refuse a value of another type."""
    if not isinstance(value, kind):
        raise InvalidField(path, value, detail)

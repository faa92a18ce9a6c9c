"""Field errors as the API server words them: path, class, value and detail.

Promises: the text of a refusal is the server's own, including how each version prints a bad value (Go syntax, JSON
since 1.34), brackets around several errors and repeated errors printed once.

Not known here: which rule is broken; callers say that.

Sources: k8s.io/apimachinery ``pkg/util/validation/field/errors.go`` and ``pkg/api/errors/errors.go``; recordings of
kube-apiserver 1.20 to 1.36.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.errors import Cause, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "FieldError",
    "GoList",
    "GoStruct",
    "bad_request",
    "conflict",
    "duplicate",
    "exists",
    "forbidden",
    "internal",
    "internal_error",
    "invalid",
    "not_found",
    "not_supported",
    "rejected",
    "required",
]

# class of an error -> (reason of the cause, words before the value)
_CLASSES = {
    "Duplicate": ("FieldValueDuplicate", "Duplicate value"),
    "Forbidden": ("FieldValueForbidden", "Forbidden"),
    "InternalError": ("InternalError", "Internal error"),
    "Invalid": ("FieldValueInvalid", "Invalid value"),
    "NotSupported": ("FieldValueNotSupported", "Unsupported value"),
    "Required": ("FieldValueRequired", "Required value"),
}
_WITHOUT_VALUE = frozenset({"Forbidden", "InternalError", "Required"})
_GO_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


@dataclass(frozen=True, slots=True)
class GoList:
    """A list of strings with its Go element type, which older servers print with the values.

    Parameters
    ----------
    values : sequence of str or None
        None is Go's nil slice.
    element : str
        Go type of an element.
    """

    values: Sequence[str] | None
    element: str = "string"


@dataclass(frozen=True, slots=True)
class GoStruct:
    """A struct or a list of structs, already written both ways.

    Parameters
    ----------
    go : str
        The value in Go syntax.
    json : str
        The value in JSON.
    """

    go: str
    json: str


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule at one field.

    Parameters
    ----------
    kind : str
        Class of the error: Invalid, Required, Forbidden, NotSupported, Duplicate or InternalError.
    path : str
        Field path, for instance ``spec.clusterIPs[0]``.
    value : object
        The bad value; not printed for Required, Forbidden and InternalError.
    detail : str
        The server's words.
    """

    kind: str
    path: str
    value: object
    detail: str

    def body(self, style: str) -> str:
        """Write the error without its field, as the cause's message.

        Parameters
        ----------
        style : str
            ``"go"`` or ``"json"``: how a value is printed.

        Returns
        -------
        str
            For instance ``Invalid value: "x": must be a valid IP address``.

        Raises
        ------
        None
            Every error has words.

        Examples
        --------
        >>> invalid("spec.clusterIPs", GoList(["a"]), "no").body("go")
        'Invalid value: []string{"a"}: no'
        >>> invalid("spec.clusterIPs", GoList(["a"]), "no").body("json")
        'Invalid value: ["a"]: no'
        """
        words = _CLASSES[self.kind][1]
        if self.kind not in _WITHOUT_VALUE:
            words = f"{words}: {_value(self.value, style)}"
        return f"{words}: {self.detail}" if self.detail else words


def invalid(path: str, value: object, detail: str) -> FieldError:
    """Report a malformed or disallowed value.

    Parameters
    ----------
    path : str
        Field path.
    value : object
        The bad value.
    detail : str
        The server's words.

    Returns
    -------
    FieldError
        Of class Invalid.

    Raises
    ------
    None
        Always has an answer.
    """
    return FieldError("Invalid", path, value, detail)


def required(path: str, detail: str = "") -> FieldError:
    """Report a missing value.

    Parameters
    ----------
    path : str
        Field path.
    detail : str, optional
        The server's words.

    Returns
    -------
    FieldError
        Of class Required.

    Raises
    ------
    None
        Always has an answer.
    """
    return FieldError("Required", path, "", detail)


def forbidden(path: str, detail: str) -> FieldError:
    """Report a value that may not be set here.

    Parameters
    ----------
    path : str
        Field path.
    detail : str
        The server's words.

    Returns
    -------
    FieldError
        Of class Forbidden.

    Raises
    ------
    None
        Always has an answer.
    """
    return FieldError("Forbidden", path, "", detail)


def duplicate(path: str, value: object) -> FieldError:
    """Report a repeated value.

    Parameters
    ----------
    path : str
        Field path.
    value : object
        The repeated value.

    Returns
    -------
    FieldError
        Of class Duplicate.

    Raises
    ------
    None
        Always has an answer.
    """
    return FieldError("Duplicate", path, value, "")


def not_supported(path: str, value: object, supported: Sequence[str]) -> FieldError:
    """Report a value outside an enumeration.

    Parameters
    ----------
    path : str
        Field path.
    value : object
        The bad value.
    supported : sequence of str
        What is allowed, in the server's order.

    Returns
    -------
    FieldError
        Of class NotSupported.

    Raises
    ------
    None
        Always has an answer.

    Examples
    --------
    >>> not_supported("spec.type", "X", ["A", "B"]).body("go")
    'Unsupported value: "X": supported values: "A", "B"'
    """
    return FieldError("NotSupported", path, value, "supported values: " + ", ".join(map(_quote, supported)))


def internal(path: str, detail: str) -> FieldError:
    """Report a failure inside a check, which the server attaches to a field.

    Parameters
    ----------
    path : str
        Field path.
    detail : str
        The server's words.

    Returns
    -------
    FieldError
        Of class InternalError.

    Raises
    ------
    None
        Always has an answer.
    """
    return FieldError("InternalError", path, None, detail)


def rejected(kind: str, name: str, errors: Iterable[FieldError], *, style: str) -> Rejected:
    """Render a validation failure.

    Parameters
    ----------
    kind : str
        Kind of the object.
    name : str
        Its name.
    errors : iterable of FieldError
        In the server's order.
    style : str
        ``"go"`` or ``"json"``.

    Returns
    -------
    Rejected
        422 Invalid, one cause an error. The message names equal errors once, the causes as often as they came.

    Raises
    ------
    None
        Always has an answer.

    Examples
    --------
    >>> rejected("Service", "a", [required("spec.ports")], style="json").message
    'Service "a" is invalid: spec.ports: Required value'
    """
    causes, lines = [], []
    for error in errors:
        body = error.body(style)
        causes.append(Cause(error.path, _CLASSES[error.kind][0], body))
        line = f"{error.path}: {body}"
        if line not in lines:
            lines.append(line)
    text = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    return Rejected(f"{kind} {_quote(name)} is invalid: {text}", causes=causes)


def internal_error(detail: str) -> Rejected:
    """Render a failure that is no field's fault.

    Parameters
    ----------
    detail : str
        The server's words.

    Returns
    -------
    Rejected
        500 InternalError; the cause carries the words and no field.

    Raises
    ------
    None
        Always has an answer.
    """
    return Rejected(
        f"Internal error occurred: {detail}", code=500, reason="InternalError", causes=[Cause("", "", detail)]
    )


def bad_request(detail: str) -> Rejected:
    """Render a request that cannot be read.

    Parameters
    ----------
    detail : str
        What is wrong with it.

    Returns
    -------
    Rejected
        400 BadRequest.

    Raises
    ------
    None
        Always has an answer.
    """
    return Rejected(detail, code=400, reason="BadRequest")


def not_found(resource: str, name: str) -> Rejected:
    """Render a missing object.

    Parameters
    ----------
    resource : str
        Plural with its group, for instance ``services`` or ``servicecidrs.networking.k8s.io``.
    name : str
        Its name.

    Returns
    -------
    Rejected
        404 NotFound.

    Raises
    ------
    None
        Always has an answer.
    """
    return Rejected(f"{resource} {_quote(name)} not found", code=404, reason="NotFound")


def exists(resource: str, name: str) -> Rejected:
    """Render a name that is taken.

    Parameters
    ----------
    resource : str
        Plural with its group.
    name : str
        Its name.

    Returns
    -------
    Rejected
        409 AlreadyExists.

    Raises
    ------
    None
        Always has an answer.
    """
    return Rejected(f"{resource} {_quote(name)} already exists", code=409, reason="AlreadyExists")


def conflict(resource: str, name: str, detail: str) -> Rejected:
    """Render an update against an object that has moved on.

    Parameters
    ----------
    resource : str
        Plural with its group.
    name : str
        Its name.
    detail : str
        The server's words.

    Returns
    -------
    Rejected
        409 Conflict.

    Raises
    ------
    None
        Always has an answer.
    """
    message = f"Operation cannot be fulfilled on {resource} {_quote(name)}: {detail}"
    return Rejected(message, code=409, reason="Conflict")


def _value(value: object, style: str) -> str:
    """Print a bad value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quote(value)
    if value is None:
        return "null" if style == "json" else '"null"'
    if isinstance(value, GoStruct):
        return value.json if style == "json" else value.go
    if isinstance(value, GoList):
        return _list(value, style)
    return str(value)


def _list(value: GoList, style: str) -> str:
    """Print a list of strings."""
    if style == "json":
        return "null" if value.values is None else json.dumps(list(value.values), separators=(",", ":"))
    if value.values is None:
        return f"[]{value.element}(nil)"
    return f"[]{value.element}{{{', '.join(map(_quote, value.values))}}}"


def _quote(text: str) -> str:
    """Quote as Go's %q does for printable text."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    quoted = "".join(_GO_ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in text)
    return f'"{quoted}"'


def _escape(character: str) -> str:
    """Escape one unprintable character."""
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

"""Names, labels and ports as Kubernetes spells them: the syntax checks and the server's words.

Promises: each function returns the server's complaints, none when the text is fine; where the words changed with a
version the caller says which wording.

Sources: k8s.io/apimachinery ``pkg/util/validation/validation.go`` of v1.20.2 and v1.36.2; recordings.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.kube.fields import FieldError

from dsmodel.kube.fields import invalid

__all__ = [
    "dns_1035_label",
    "dns_1123_label",
    "dns_1123_subdomain",
    "label_errors",
    "label_value",
    "labels_fit",
    "port_name",
    "port_number",
    "qualified_name",
]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = "(" + _QUALIFIED + ")?"

# what a byte may be in a label: 1 a letter, 2 a digit, 4 a dash; 0 nothing
_BYTES = np.zeros(256, np.uint8)
_BYTES[ord("a") : ord("z") + 1], _BYTES[ord("0") : ord("9") + 1], _BYTES[ord("-")] = 1, 2, 4

_IS_LABEL = re.compile(_LABEL).fullmatch
_IS_LABEL_1035 = re.compile(_LABEL_1035).fullmatch
_IS_SUBDOMAIN = re.compile(_SUBDOMAIN).fullmatch
_IS_QUALIFIED = re.compile(_QUALIFIED).fullmatch
_IS_VALUE = re.compile(_VALUE).fullmatch
_IS_PORT_NAME = re.compile("[-a-z0-9]+").fullmatch

_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_LABEL_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    f"'{_LABEL_1035}')"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_QUALIFIED_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_VALUE}')"
)


@lru_cache(maxsize=1024)
def dns_1123_label(text: str, *, dots_named: bool = False) -> tuple[str, ...]:
    """Check a lower-case RFC 1123 label of at most 63 characters.

    Parameters
    ----------
    text : str
        The name.
    dots_named : bool
        Newer servers say "must not contain dots" where the text would be a valid subdomain.

    Returns
    -------
    tuple of str
        The complaints.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> dns_1123_label("my-svc"), dns_1123_label("a.b", dots_named=True)
    ((), ('must not contain dots',))
    """
    found = [_too_long(63)] if len(text) > 63 else []
    if not _IS_LABEL(text):
        found.append("must not contain dots" if dots_named and _IS_SUBDOMAIN(text) else _LABEL_WORDS)
    return tuple(found)


def labels_fit(texts: Sequence[str], *, digit_first: bool) -> NDArray[np.bool_]:
    """Tell which of many texts are labels, as `dns_1123_label` and `dns_1035_label` have it.

    Parameters
    ----------
    texts : sequence of str
        The names.
    digit_first : bool
        RFC 1123, which lets a label start with a digit, rather than RFC 1035.

    Returns
    -------
    ndarray of bool, shape (n,)
        Whether there would be no complaint.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> labels_fit(["my-svc", "1st", "A", ""], digit_first=False).tolist()
    [True, False, False, False]
    """
    data = np.frombuffer("\n".join(texts).encode(errors="replace"), np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    if len(ends) != len(texts) - 1:  # a text has a line break of its own, or there is none at all
        check = dns_1123_label if digit_first else dns_1035_label
        return np.array([not check(text) for text in texts], np.bool_)
    starts, stops = np.append(0, ends + 1), np.append(ends, len(data))
    kinds = np.append(_BYTES[data], np.uint8(0))
    fit: NDArray[np.bool_] = (kinds[starts] == 1) | (digit_first & (kinds[starts] == 2))
    fit &= (kinds[stops - 1] & 3 > 0) & (stops - starts <= 63)
    fit[np.searchsorted(ends, np.flatnonzero((kinds[:-1] == 0) & (data != ord("\n"))))] = False
    return fit


@lru_cache(maxsize=1024)
def dns_1035_label(text: str) -> tuple[str, ...]:
    """Check an RFC 1035 label: like RFC 1123, but it starts with a letter.

    Parameters
    ----------
    text : str
        The name.

    Returns
    -------
    tuple of str
        The complaints.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> dns_1035_label("svc1"), len(dns_1035_label("1svc"))
    ((), 1)
    """
    found = [_too_long(63)] if len(text) > 63 else []
    if not _IS_LABEL_1035(text):
        found.append(_LABEL_1035_WORDS)
    return tuple(found)


@lru_cache(maxsize=1024)
def dns_1123_subdomain(text: str) -> tuple[str, ...]:
    """Check a lower-case RFC 1123 subdomain of at most 253 characters.

    Parameters
    ----------
    text : str
        The name.

    Returns
    -------
    tuple of str
        The complaints.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> dns_1123_subdomain("example.com"), len(dns_1123_subdomain("-x.example.com"))
    ((), 1)
    """
    found = [_too_long(253)] if len(text) > 253 else []
    if not _IS_SUBDOMAIN(text):
        found.append(_SUBDOMAIN_WORDS)
    return tuple(found)


@lru_cache(maxsize=1024)
def qualified_name(text: str, *, word: str = "a qualified name") -> tuple[str, ...]:
    """Check a name with an optional DNS prefix and slash, as label keys have it.

    Parameters
    ----------
    text : str
        The name.
    word : str
        What the server calls such a name where there is more than one slash.

    Returns
    -------
    tuple of str
        The complaints.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> qualified_name("example.com/lb"), qualified_name("example.com/")[0]
    ((), 'name part must be non-empty')
    """
    parts = text.split("/")
    if len(parts) > 2:
        optional = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return (f"{word} {_QUALIFIED_WORDS}{optional}",)
    found: list[str] = []
    name = parts[-1]
    if len(parts) == 2:
        prefix = parts[0]
        found += (
            ["prefix part must be non-empty"]
            if not prefix
            else [f"prefix part {m}" for m in dns_1123_subdomain(prefix)]
        )
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append(f"name part {_too_long(63)}")
    if not _IS_QUALIFIED(name):
        found.append(f"name part {_QUALIFIED_WORDS}")
    return tuple(found)


@lru_cache(maxsize=1024)
def label_value(text: str) -> tuple[str, ...]:
    """Check the value of a label or selector.

    Parameters
    ----------
    text : str
        The value.

    Returns
    -------
    tuple of str
        The complaints.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> label_value(""), len(label_value("a b"))
    ((), 1)
    """
    found = [_too_long(63)] if len(text) > 63 else []
    if not _IS_VALUE(text):
        found.append(_VALUE_WORDS)
    return tuple(found)


def label_errors(labels: Mapping[str, str], path: str) -> list[FieldError]:
    """Check keys and values of labels or of a selector.

    Parameters
    ----------
    labels : mapping of str to str
        The labels.
    path : str
        Field path of the map; the server names the map, not the entry.

    Returns
    -------
    list of FieldError
        In the order of the map.

    Raises
    ------
    None
        Every map has an answer.

    Examples
    --------
    >>> label_errors({"app": "web"}, "spec.selector")
    []
    """
    found: list[FieldError] = []
    for key, value in labels.items():
        found += [invalid(path, key, message) for message in qualified_name(key)]
        found += [invalid(path, value, message) for message in label_value(value)]
    return found


def port_number(number: int) -> tuple[str, ...]:
    """Check a port number.

    Parameters
    ----------
    number : int
        The port.

    Returns
    -------
    tuple of str
        The complaints.

    Raises
    ------
    None
        Every number has an answer.

    Examples
    --------
    >>> port_number(80), port_number(0)
    ((), ('must be between 1 and 65535, inclusive',))
    """
    return () if 1 <= number <= 65535 else ("must be between 1 and 65535, inclusive",)


@lru_cache(maxsize=1024)
def port_name(text: str, *, digits_named: bool = False) -> tuple[str, ...]:
    """Check the IANA service name of a target port.

    Parameters
    ----------
    text : str
        The name.
    digits_named : bool
        Older servers ask for "one letter or number" though they mean a letter.

    Returns
    -------
    tuple of str
        The complaints.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> port_name("http"), port_name("8080")
    ((), ('must contain at least one letter (a-z)',))
    """
    found = [_too_long(15)] if len(text) > 15 else []
    if not _IS_PORT_NAME(text):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= c <= "z" for c in text):
        found.append(
            "must contain at least one letter or number (a-z, 0-9)"
            if digits_named
            else "must contain at least one letter (a-z)"
        )
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text[:1] == "-" or text[-1:] == "-":
        found.append("must not begin or end with a hyphen")
    return tuple(found)


def _too_long(limit: int) -> str:
    """Word a length limit."""
    return f"must be no more than {limit} characters"

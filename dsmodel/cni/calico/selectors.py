"""Calico's selector language, as ``nodeSelector`` and ``namespaceSelector`` of an IPPool use it.

Promises ``all()``, ``has(k)``, ``k == 'v'``, ``k != 'v'``, ``k in {'a', 'b'}``, ``k not in {…}``, ``k contains 'v'``,
``k starts with 'v'``, ``k ends with 'v'``, ``!``, ``&&``, ``||`` and parentheses. An empty selector selects nothing
here: what empty means is the field's business. ``global()`` is read, and selects nothing.

Sources: projectcalico/calico ``libcalico-go/lib/selector``; tigera/docs ``calico/reference/resources/ippool.mdx``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Selector", "parse_selector"]

Selector: TypeAlias = "Callable[[Mapping[str, str]], bool]"

_TOKEN = re.compile(
    r"\s*(?:(?P<call>all|global|has)\s*\(\s*(?P<argument>[\w./-]*)\s*\)|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>==|!=|&&|\|\||[!(){},])|(?P<word>not\s+in|starts\s+with|ends\s+with|in|contains)(?=[\s{'\"])"
    r"|(?P<label>[\w./-]+))"
)
_TESTS: dict[str, Callable[[str | None, list[str]], bool]] = {
    "==": lambda value, wanted: value == wanted[0],
    "!=": lambda value, wanted: value != wanted[0],
    "in": lambda value, wanted: value in wanted,
    "not in": lambda value, wanted: value not in wanted,
    "contains": lambda value, wanted: value is not None and wanted[0] in value,
    "starts with": lambda value, wanted: value is not None and value.startswith(wanted[0]),
    "ends with": lambda value, wanted: value is not None and value.endswith(wanted[0]),
}


def parse_selector(text: str) -> Selector:
    """Turn a selector into a question about labels.

    Parameters
    ----------
    text : str
        The selector.

    Returns
    -------
    callable
        Takes labels, answers bool.

    Raises
    ------
    InvalidInput
        The text is no selector; the message says where.

    Examples
    --------
    >>> chosen = parse_selector("zone == 'a' && !has(spot)")
    >>> chosen({"zone": "a"}), chosen({"zone": "a", "spot": ""})
    (True, False)
    """
    return _Reader(text).whole()


class _Reader:
    """The tokens of one selector, and how far they are read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        self._next = 0
        place, end = 0, len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            if not found:
                raise self._wrong(f"cannot read {text[place:]!r}")
            kind = found.lastgroup if found.lastgroup != "argument" else "call"
            value = f"{found['call']}({found['argument']})" if found["call"] else found[str(kind)]
            self._tokens.append((str(kind), " ".join(value.split()) if kind == "word" else value))
            place = found.end()

    def whole(self) -> Selector:
        """Read all of it."""
        answer = self._either()
        if self._next < len(self._tokens):
            raise self._wrong(f"{self._tokens[self._next][1]!r} is one too many")
        return answer

    def _either(self) -> Selector:
        """Read parts joined by ``||``."""
        parts = [self._both()]
        while self._take("||"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda labels: any(part(labels) for part in parts)

    def _both(self) -> Selector:
        """Read parts joined by ``&&``."""
        parts = [self._one()]
        while self._take("&&"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda labels: all(part(labels) for part in parts)

    def _one(self) -> Selector:
        """Read a test, a negation, or something in parentheses."""
        if self._take("!"):
            inner = self._one()
            return lambda labels: not inner(labels)
        if self._take("("):
            inner = self._either()
            self._expect(")")
            return inner
        kind, value = self._read()
        if kind == "call":
            name, argument = value[:-1].split("(")
            if (name == "has") != bool(argument):
                raise self._wrong(f"{value!r} is no test")
            return (lambda labels: argument in labels) if name == "has" else (lambda _labels: name == "all")
        if kind == "label":
            return self._test(value)
        raise self._wrong(f"{value!r} where a test should be")

    def _test(self, key: str) -> Selector:
        """Read what a label is compared with."""
        _, operator = self._read()
        if operator not in _TESTS:
            raise self._wrong(f"{operator!r} is no operator")
        wanted = self._set() if operator in {"in", "not in"} else [self._literal()]
        test = _TESTS[operator]
        return lambda labels: test(labels.get(key), wanted)

    def _set(self) -> list[str]:
        """Read ``{'a', 'b'}``."""
        self._expect("{")
        values: list[str] = []
        while not self._take("}"):
            values.append(self._literal())
            if not self._take(","):
                self._expect("}")
                break
        return values

    def _literal(self) -> str:
        """Read quoted text."""
        kind, value = self._read()
        if kind != "text":
            raise self._wrong(f"{value!r} should be quoted")
        return value[1:-1]

    def _read(self) -> tuple[str, str]:
        """Read any token."""
        if self._next == len(self._tokens):
            raise self._wrong("it ends too early")
        self._next += 1
        return self._tokens[self._next - 1]

    def _take(self, sign: str) -> bool:
        """Read a sign if it is the next token."""
        if self._next < len(self._tokens) and self._tokens[self._next] == ("sign", sign):
            self._next += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        """Read a sign that must be there."""
        if not self._take(sign):
            raise self._wrong(f"{sign!r} is missing")

    def _wrong(self, why: str) -> InvalidInput:
        """Make the error."""
        return InvalidInput(f"selector {self._text!r}: {why}; write for instance has(zone) && zone == 'a'")

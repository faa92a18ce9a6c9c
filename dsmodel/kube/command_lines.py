"""Command lines of Kubernetes components: reading flags as pflag does, and the findings a judgement of them yields.

Promises the value each flag ends up with, the words of pflag for a value it cannot read, and a finding for everything
odd: a flag given twice, an argument that is no flag, a flag this model has no rule for. Nothing here raises.

Does not know the full flag list of any component: a flag without a rule is a note, although the component would refuse
to start if it does not know it either.

Sources: ``github.com/spf13/pflag``; ``k8s.io/component-base/cli/flag``; ``k8s.io/component-base/featuregate``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsmodel.errors import InvalidConfig, InvalidInput
from dsmodel.kube.versions import GATES

if TYPE_CHECKING:
    from dsmodel.kube.versions import KubeVersion

__all__ = ["TRUE_WORDS", "CommandLine", "Finding", "parse_command_line", "words_of"]

# what Go's strconv.ParseInt reads with base 0, as pflag calls it: a 0 in front is octal, as is 0o
_DIGITS = {
    "0x": (16, re.compile("(_?[0-9a-f])+")),
    "0o": (8, re.compile("(_?[0-7])+")),
    "0b": (2, re.compile("(_?[01])+")),
    "0": (8, re.compile("(_?[0-7])+")),
    "": (10, re.compile("[0-9](_?[0-9])*")),
}
_INT32 = range(-(2**31), 2**31)
_LONGEST_NUMBER = 80  # digits; longer ones are out of every range
TRUE_WORDS = frozenset({"1", "t", "T", "TRUE", "true", "True"})  # of Go's strconv.ParseBool
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}
_ALIKE = 0.88  # of difflib: a letter or two of a flag's name are wrong
_GROUP_GATES = {"AllAlpha", "AllBeta"}


@dataclass(frozen=True)
class Finding:
    """One result of a judgement.

    Parameters
    ----------
    component : str
        Whose flags.
    flag : str
        With its dashes; empty where no single flag is to blame.
    rule : str
        Name of the rule.
    severity : str
        ``fatal`` (it would not start), ``error``, ``warning`` or ``note``.
    message : str
        The component's own words where it has any.
    fix : str
        The way out.
    source : str
        Where the rule was read.

    Raises
    ------
    None
        A record.
    """

    component: str
    flag: str
    rule: str
    severity: str
    message: str
    fix: str
    source: str


@dataclass
class CommandLine:
    """The flags of one component, and what was found while reading and judging them.

    Parameters
    ----------
    component : str
        Name of the component.
    kube_version : KubeVersion
        Its version.
    values : dict of str to str
        Flag name without dashes to its last value.
    findings : list of Finding
        In the order they were made.

    Raises
    ------
    None
        A record.
    """

    component: str
    kube_version: KubeVersion
    values: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def is_refused(self) -> bool:
        """Tell whether something fatal was found.

        Returns
        -------
        bool
            True where the component would not start.

        Raises
        ------
        None
            There is always an answer.

        Examples
        --------
        >>> from dsmodel import KubeVersion
        >>> CommandLine("kubelet", KubeVersion("1.36")).is_refused()
        False
        """
        return any(finding.severity == "fatal" for finding in self.findings)

    def find(self, severity: str, rule: str, message: str, *, flag: str = "", fix: str = "", source: str = "") -> None:
        """Add a finding.

        Parameters
        ----------
        severity, rule, message : str
            As in `Finding`.
        flag : str
            Name without dashes.
        fix, source : str
            As in `Finding`.

        Raises
        ------
        None
            Every finding is taken.

        Examples
        --------
        >>> from dsmodel import KubeVersion
        >>> line = CommandLine("kubelet", KubeVersion("1.36"))
        >>> line.find("note", "example", "an example")
        >>> line.findings[0].severity
        'note'
        """
        shown = f"--{flag}" if flag else ""
        self.findings.append(Finding(self.component, shown, rule, severity, message, fix, source))

    def text(self, name: str, default: str = "") -> str:
        """Return the value of a flag.

        Parameters
        ----------
        name : str
            Without dashes.
        default : str
            Where the flag is not given.

        Returns
        -------
        str
            The last value given.

        Raises
        ------
        None
            Every name has an answer.

        Examples
        --------
        >>> from dsmodel import KubeVersion
        >>> parse_command_line("kubelet", ["--node-ip=10.0.0.1"], KubeVersion("1.36")).text("node-ip")
        '10.0.0.1'
        """
        return self.values.get(name, default)

    def parts(self, name: str) -> list[str]:
        """Return the entries of a comma-separated flag, not trimmed.

        Parameters
        ----------
        name : str
            Without dashes.

        Returns
        -------
        list of str
            Empty where the flag is missing or empty.

        Raises
        ------
        None
            Every name has an answer.

        Examples
        --------
        >>> from dsmodel import KubeVersion
        >>> parse_command_line("kubelet", ["--node-ip=10.0.0.1, ::1"], KubeVersion("1.36")).parts("node-ip")
        ['10.0.0.1', ' ::1']
        """
        text = self.text(name)
        return text.split(",") if text else []

    def number(self, name: str, default: int = 0) -> int:
        """Return the value of an integer flag, finding fault with text that is none.

        Parameters
        ----------
        name : str
            Without dashes.
        default : int
            Where the flag is missing or no number.

        Returns
        -------
        int
            Its value.

        Raises
        ------
        None
            Bad text is a fatal finding.

        Examples
        --------
        >>> from dsmodel import KubeVersion
        >>> parse_command_line("kubelet", ["--max-pods=250"], KubeVersion("1.36")).number("max-pods", 110)
        250
        """
        text = self.values.get(name)
        if text is None:
            return default
        value = _parse_int(text)
        if value is not None and value in _INT32:
            return value
        why = "invalid syntax" if value is None else "value out of range"
        self._refuse_value(name, text, f'strconv.ParseInt: parsing "{text}": {why}')
        return default

    def is_on(self, name: str) -> bool:
        """Return the value of a boolean flag, finding fault with text that is none.

        Parameters
        ----------
        name : str
            Without dashes.

        Returns
        -------
        bool
            False where the flag is missing or no boolean.

        Raises
        ------
        None
            Bad text is a fatal finding.

        Examples
        --------
        >>> from dsmodel import KubeVersion
        >>> parse_command_line("kube-proxy", ["--masquerade-all"], KubeVersion("1.36")).is_on("masquerade-all")
        True
        """
        text = self.values.get(name, "false")
        if text not in TRUE_WORDS | _FALSE:
            self._refuse_value(name, text, f'strconv.ParseBool: parsing "{text}": invalid syntax')
        return text in TRUE_WORDS

    def feature_gates(self) -> dict[str, bool]:
        """Return the gates named, finding fault with those this version does not take.

        Returns
        -------
        dict of str to bool
            Gates that take effect.

        Raises
        ------
        None
            A bad gate is a finding: fatal where every build refuses it, an error where some only log it.

        Examples
        --------
        >>> from dsmodel import KubeVersion
        >>> line = parse_command_line("kubelet", ["--feature-gates=IPv6DualStack=false"], KubeVersion("1.23"))
        >>> line.feature_gates(), line.findings[0].message
        ({}, 'cannot set feature gate IPv6DualStack to false, feature is locked to true')
        """
        taken = {}
        for pair in filter(None, (part.strip() for part in self.text("feature-gates").split(","))):
            name, separator, text = (part.strip() for part in pair.partition("="))
            if not separator:
                self._refuse_value("feature-gates", pair, f"missing bool value for {name}")
            elif text not in TRUE_WORDS | _FALSE:
                words = f'invalid value of {name}={text}, err: strconv.ParseBool: parsing "{text}": invalid syntax'
                self._refuse_value("feature-gates", pair, words)
            elif self._takes_gate(name, on=text in TRUE_WORDS):
                taken[name] = text in TRUE_WORDS
        return taken

    def _takes_gate(self, name: str, *, on: bool) -> bool:
        """Judge one gate."""
        source = "staging/src/k8s.io/component-base/featuregate/feature_gate.go"
        if name in _GROUP_GATES:
            return True
        if name not in GATES:
            words = f"feature gate {name} is not modelled"
            self.find("note", "feature-gate-not-modelled", words, flag="feature-gates", fix="judge it by hand")
            return False
        try:
            self.kube_version.gate(name, {name: on})
        except InvalidConfig as error:
            is_gone = self.kube_version.gate_row(name) is None
            severity = "error" if is_gone else "fatal"
            fix = (
                f"drop it: Kubernetes {self.kube_version} has no such gate and refuses to start; OpenShift's build "
                "only logs it"
                if is_gone
                else "drop it"
            )
            words = f"unrecognized feature gate: {name}" if is_gone else str(error)
            self.find(severity, "feature-gate", words, flag="feature-gates", fix=fix, source=source)
            return False
        return True

    def _refuse_value(self, name: str, text: str, words: str) -> None:
        """Find a value that pflag cannot read."""
        if not any(finding.rule == "flag-syntax" and finding.flag == f"--{name}" for finding in self.findings):
            message = f'invalid argument "{text}" for "--{name}" flag: {words}'
            self.find(
                "fatal", "flag-syntax", message, flag=name, fix="write a value of the flag's type", source="pflag"
            )


def parse_command_line(
    component: str, flags: Iterable[str], kube_version: KubeVersion, *, known: Mapping[str, str] | None = None
) -> CommandLine:
    """Read the flags of a component.

    Parameters
    ----------
    component : str
        Its name; the same word as the first argument is skipped.
    flags : iterable of str
        ``--name=value``, ``--name value`` as two items, or ``--name`` for a boolean; underscores read as dashes. What
        is no flag of the component, and is spelled almost as one that has a rule, is a warning.
    kube_version : KubeVersion
        Its version.
    known : mapping of str to str, optional
        Flags with a rule, to their type (``"bool"`` or anything else); others become notes. None knows every flag.

    Returns
    -------
    CommandLine
        Values and findings so far.

    Raises
    ------
    InvalidInput
        Not a list of words: one text, a mapping, a number. All else that is odd is a finding.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> line = parse_command_line("kubelet", ["--max-pods", "250", "--max-pods=110"], KubeVersion("1.36"))
    >>> line.values, line.findings[0].rule
    ({'max-pods': '110'}, 'flag-repeated')
    """
    line = CommandLine(component, kube_version)
    items = words_of(component, flags)
    place = 1 if items and items[0].rsplit("/", 1)[-1] == component else 0
    while place < len(items):
        item = items[place]
        place += 1
        if not item.startswith("-") or item in {"-", "--"}:
            line.find("note", "argument", f"{item!r} is no flag and is not looked at", fix="write --name=value")
            continue
        name, separator, value = item.lstrip("-").partition("=")
        name = name.replace("_", "-")
        is_bool = (known or {}).get(name) == "bool"
        if not separator and not is_bool and place < len(items) and not items[place].startswith("-"):
            value = items[place]
            place += 1
        elif not separator:
            value = "true"
        _keep(line, name, value, known=known)
    return line


def _parse_int(text: str) -> int | None:
    """Read a whole number as ``strconv.ParseInt(text, 0, 64)``; None for what is none."""
    sign, digits = (text[0], text[1:]) if text[:1] in {"+", "-"} and text else ("", text)
    digits = digits.lower()
    if digits == "0":
        return 0
    prefix = next(prefix for prefix in _DIGITS if digits.startswith(prefix))
    base, shape = _DIGITS[prefix]
    digits = digits[len(prefix) :]
    if not shape.fullmatch(digits) or len(digits) > _LONGEST_NUMBER:
        return None if not shape.fullmatch(digits) else _INT32.stop
    return int(f"{sign}{digits.replace('_', '')}", base)


def words_of(component: str, flags: Iterable[str]) -> list[str]:
    """Read a component's flags as words.

    Parameters
    ----------
    component : str
        For the message.
    flags : iterable of str
        Its flags.

    Returns
    -------
    list of str
        Each as text.

    Raises
    ------
    InvalidInput
        One text, a mapping, or nothing that can be gone through.

    Examples
    --------
    >>> words_of("kubelet", ("--max-pods", 250))
    ['--max-pods', '250']
    >>> words_of("kubelet", "--max-pods=250")
    Traceback (most recent call last):
    dsmodel.errors.InvalidInput: flags of kubelet: got a str; give a list of words such as '--name=value', as \
shlex.split makes of a line
    """
    if isinstance(flags, str | bytes | Mapping) or not isinstance(flags, Iterable):
        raise InvalidInput(
            f"flags of {component}: got a {type(flags).__name__}; give a list of words such as '--name=value', as "
            "shlex.split makes of a line"
        )
    return [str(item) for item in flags]


def _keep(line: CommandLine, name: str, value: str, *, known: Mapping[str, str] | None) -> None:
    """Keep one flag, noting what is odd about it."""
    if known is not None and name not in known:
        meant = difflib.get_close_matches(name, [*known], n=1, cutoff=_ALIKE)
        if meant and name not in line.values:
            words = f"--{name} is no flag of {line.component}, which does not start with an unknown one"
            line.find("warning", "flag-misspelled", words, flag=name, fix=f"write --{meant[0]}", source="pflag")
        elif name not in line.values:
            words = f"--{name} has no rule here and was not looked at"
            line.find("note", "flag-not-modelled", words, flag=name, fix="judge it by hand")
    elif name in line.values and name == "feature-gates":
        value = f"{line.values[name]},{value}"  # pflag merges maps
    elif name in line.values:
        words = f"--{name} is given twice; the last value {value!r} holds, {line.values[name]!r} does not"
        line.find("warning", "flag-repeated", words, flag=name, fix="give it once", source="pflag")
    line.values[name] = value

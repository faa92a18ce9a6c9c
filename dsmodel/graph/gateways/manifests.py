"""Read the fields of one egress object; what cannot be read becomes a finding, and the rest goes on.

A `Manifest` promises never to raise: a field of a wrong type, a CIDR or a selector that is none, a field that the
product does not have, each is a finding with path, value and way out. Whether a policy can live without the field is
the product's business.

What it does not know: what fields mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.errors import InvalidAddress, InvalidCidr, InvalidField
from dsmodel.kube.label_selectors import LabelSelector, read_selector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dsmodel.cluster.checks.rules import Finding

__all__ = ["Manifest", "family_of_text"]

_CLOSED = LabelSelector(None)  # selects nothing
_SELECTOR_FIELDS = ("matchLabels", "matchExpressions")


class Manifest:
    """One object, and what is wrong with it.

    Parameters
    ----------
    manifest : mapping
        The object as ``kubectl get -o json`` gives it.
    fields : mapping of str to iterable of str
        Fields that the product has, by path in the spec ("" for the spec itself, ``*`` for each item of a list); any
        other is a finding. None leaves the spec unjudged.

    Raises
    ------
    None
        A spec that is no object is a finding.

    Examples
    --------
    >>> policy = Manifest({"kind": "Egress", "metadata": {"name": "a"}, "spec": {"egressIp": "192.0.2.1"}},
    ...                   fields={"": ("appliedTo", "egressIP")})
    >>> policy.findings[0][1:3]
    ('egress-unknown-field', 'Egress/a')
    """

    def __init__(self, manifest: Mapping[str, Any], *, fields: Mapping[str, Iterable[str]] | None = None) -> None:
        self.findings: list[Finding] = []
        metadata = manifest.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        self.kind = str(manifest.get("kind") or "")
        self.namespace = str(metadata.get("namespace") or "")
        self.name = str(metadata.get("name") or "")
        self._root = manifest
        self.mapping("spec")  # which finds a spec that is no object
        for place, known in (fields or {}).items():
            for path in self._paths("spec", [part for part in place.split(".") if part]):
                self._check_fields(path, known)

    @property
    def title(self) -> str:
        """Kind and name, as findings give it."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)

    def find(self, severity: str, rule: str, message: str) -> None:
        """Add a finding about this object.

        Parameters
        ----------
        severity : str
            "error", "warning" or "info".
        rule : str
            Short name of the rule.
        message : str
            What is wrong, and the way out.

        Returns
        -------
        None
            It stands in `findings`.

        Raises
        ------
        None
            Any text is taken.
        """
        self.findings.append((severity, rule, self.title, message))

    def value(self, path: str) -> Any:
        """Return what stands at a path, None where nothing does.

        Parameters
        ----------
        path : str
            Keys and places joined by dots: "spec.egressGateways.0.interface".

        Returns
        -------
        object
            As the object has it.

        Raises
        ------
        None
            A path that leads nowhere is None.
        """
        found: Any = self._root
        for part in path.split("."):
            if isinstance(found, Mapping):
                found = found.get(part)
            elif isinstance(found, list | tuple) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            else:
                return None
        return found

    def mapping(self, path: str) -> Mapping[str, Any]:
        """Return the object at a path, empty where there is none.

        Parameters
        ----------
        path : str
            As `value` takes it.

        Returns
        -------
        mapping
            As the object has it.

        Raises
        ------
        None
            Something else is a finding and counts as empty.
        """
        found = self.value(path)
        if isinstance(found, Mapping):
            return found
        self._refuse(path, found, "an object")
        return {}

    def items(self, path: str) -> list[Any]:
        """Return the list at a path, empty where there is none.

        Parameters
        ----------
        path : str
            As `value` takes it.

        Returns
        -------
        list
            As the object has it.

        Raises
        ------
        None
            Something else is a finding and counts as empty.
        """
        found = self.value(path)
        if isinstance(found, list | tuple):
            return list(found)
        self._refuse(path, found, "a list")
        return []

    def text(self, path: str) -> str:
        """Return the text at a path, empty where there is none.

        Parameters
        ----------
        path : str
            As `value` takes it.

        Returns
        -------
        str
            As the object has it.

        Raises
        ------
        None
            Something else is a finding and counts as empty.
        """
        found = self.value(path)
        if isinstance(found, str):
            return found
        self._refuse(path, found, "text")
        return ""

    def flag(self, path: str) -> bool:
        """Return the boolean at a path, False where there is none.

        Parameters
        ----------
        path : str
            As `value` takes it.

        Returns
        -------
        bool
            As the object has it.

        Raises
        ------
        None
            Something else is a finding and counts as False.
        """
        found = self.value(path)
        if isinstance(found, bool):
            return found
        self._refuse(path, found, "true or false")
        return False

    def cidr(self, path: str, *, bare: bool = False) -> Cidr | None:
        """Return the CIDR at a path, its host bits cleared.

        Parameters
        ----------
        path : str
            As `value` takes it.
        bare : bool, default False
            Whether an address without a prefix length is one too.

        Returns
        -------
        Cidr or None
            None where it is none, which is a finding.

        Raises
        ------
        None
            Everything is a finding.
        """
        found = self.text(path)
        try:
            if bare and "/" not in found:
                family, number = parse_address(found)
                return Cidr.from_parts(family, number, family.bits)
            return Cidr(found, host_bits="mask")
        except (InvalidCidr, InvalidAddress) as error:
            self.find("error", "egress-invalid-cidr", f"{path}: {error}")
            return None

    def cidrs(self, path: str, *, bare: bool = False) -> tuple[list[Cidr], bool]:
        """Return the CIDRs of the list at a path, and whether all of them could be read.

        Parameters
        ----------
        path : str
            As `value` takes it.
        bare : bool, default False
            Whether an address without a prefix length is one too.

        Returns
        -------
        tuple of (list of Cidr, bool)
            Those that are CIDRs, in order.

        Raises
        ------
        None
            What is none is a finding.
        """
        read = [self.cidr(f"{path}.{place}", bare=bare) for place in range(len(self.items(path)))]
        return [each for each in read if each is not None], None not in read

    def address(self, path: str) -> str:
        """Return the address at a path in canonical text, empty where there is none.

        Parameters
        ----------
        path : str
            As `value` takes it.

        Returns
        -------
        str
            Canonical text.

        Raises
        ------
        None
            What is no address is a finding.
        """
        found = self.text(path)
        if not found:
            return ""
        try:
            return format_address(*parse_address(found))
        except InvalidAddress as error:
            self.find("error", "egress-invalid-address", f"{path}: {error}")
            return ""

    def selector(self, path: str, *, absent: LabelSelector = _CLOSED) -> LabelSelector:
        """Return the label selector at a path.

        Parameters
        ----------
        path : str
            As `value` takes it.
        absent : LabelSelector
            What holds where there is none.

        Returns
        -------
        LabelSelector
            One that selects nothing where it cannot be read, which is a finding.

        Raises
        ------
        None
            Everything is a finding.
        """
        found = self.value(path)
        return absent if found is None else self.selector_of(found, path)

    def selector_of(self, selector: Any, path: str) -> LabelSelector:
        """Read a label selector that stands at a path, or that was made of what stands there.

        Parameters
        ----------
        selector : mapping
            With ``matchLabels`` and ``matchExpressions``.
        path : str
            For the finding.

        Returns
        -------
        LabelSelector
            One that selects nothing where it cannot be read, which is a finding.

        Raises
        ------
        None
            Everything is a finding.
        """
        if isinstance(selector, Mapping):
            self._check_fields(path, _SELECTOR_FIELDS, selector)
        try:
            return read_selector(selector, path=path)
        except InvalidField as error:
            self.find("error", "egress-invalid-selector", f"{error}; the policy selects nothing until it is corrected")
            return _CLOSED

    def _paths(self, path: str, parts: list[str]) -> Iterator[str]:
        """Yield the paths that a pattern stands for."""
        if not parts:
            yield path
        elif parts[0] == "*":
            found = self.value(path)
            for place in range(len(found) if isinstance(found, list | tuple) else 0):
                yield from self._paths(f"{path}.{place}", parts[1:])
        else:
            yield from self._paths(f"{path}.{parts[0]}", parts[1:])

    def _check_fields(self, path: str, known: Iterable[str], found: Any = None) -> None:
        """Find fields that the product does not have."""
        found = self.value(path) if found is None else found
        for name in sorted(set(map(str, found)) - set(known)) if isinstance(found, Mapping) else ():
            words = f"{path}.{name} is no field of {self.kind}; nothing comes of it: correct its spelling or drop it"
            self.find("warning", "egress-unknown-field", words)

    def _refuse(self, path: str, found: object, wanted: str) -> None:
        """Add a finding where something of another kind stands."""
        if found is not None:
            self.find("error", "egress-invalid-field", f"{path}: {found!r} is not {wanted}; it counts as not set")


def family_of_text(address: str) -> IPFamily:
    """Return the family of an address in canonical text.

    Parameters
    ----------
    address : str
        As `Manifest.address` gives it.

    Returns
    -------
    IPFamily
        Of the address.

    Raises
    ------
    None
        It is an address already.

    Examples
    --------
    >>> str(family_of_text("2001:db8::1"))
    'IPv6'
    """
    return IPFamily.IPV6 if ":" in address else IPFamily.IPV4

"""What can go wrong, as one tree, and the reason codes of batch results.

    DsmodelError
    ├── InvalidInput (also ValueError)      the caller's value breaks a rule
    │   ├── InvalidAddress                  not an address, or not of the asked family
    │   ├── InvalidCidr                     not a CIDR, or host bits set
    │   ├── InvalidField                    one field of a manifest: path, value, detail
    │   ├── InvalidConfig                   flags or configuration no component would start with
    │   └── InvalidDump                     a file that is not the dump it should be
    ├── UnsupportedVersion (also ValueError)
    ├── PoolError (also LookupError)        a pool cannot do what is asked
    │   ├── PoolFull
    │   ├── AlreadyAllocated
    │   ├── NotInRange
    │   └── CIDRNotAvailable                node IPAM found no block, in Kubernetes' word
    ├── Rejected                            the API server's answer: code, reason, causes, message
    ├── CNIError                            a network plugin's answer: code, msg
    ├── MissingDependency (also ImportError)
    ├── Unreachable (also ConnectionError)  a server or store that does not answer
    ├── InconsistentState (also RuntimeError)   corrupt input or our own bug; says which
    └── CheckFailed (also AssertionError)   a hard check found something

Exceptions are for one thing that cannot be done. A verb that takes many rows raises none of them for a row: it
returns a `Reason` beside each row, and the codes map one to one to the classes above.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AlreadyAllocated",
    "CIDRNotAvailable",
    "CNIError",
    "Cause",
    "CheckFailed",
    "DsmodelError",
    "InconsistentState",
    "InvalidAddress",
    "InvalidCidr",
    "InvalidConfig",
    "InvalidDump",
    "InvalidField",
    "InvalidInput",
    "MissingDependency",
    "NotInRange",
    "PoolError",
    "PoolFull",
    "Reason",
    "Rejected",
    "Unreachable",
    "UnsupportedVersion",
]


class Reason(enum.IntEnum):
    """Why a row of a batch succeeded or not; stored as uint8 columns.

    >>> Reason(1).name
    'POOL_FULL'
    """

    OK = 0
    POOL_FULL = 1
    ALREADY_ALLOCATED = 2
    NOT_IN_RANGE = 3
    INVALID_ADDRESS = 4
    INVALID_CIDR = 5
    CIDR_NOT_AVAILABLE = 6
    INVALID_FIELD = 7
    NOT_FOUND = 8
    ALREADY_EXISTS = 9
    POD_LIMIT = 10
    FAMILY_NOT_CONFIGURED = 11
    REJECTED = 12


class DsmodelError(Exception):
    """Root of every error this package raises on purpose."""


class InvalidInput(DsmodelError, ValueError):
    """The caller's value breaks a rule."""


class InvalidAddress(InvalidInput):
    """Text or number that is no address of the asked family."""


class InvalidCidr(InvalidInput):
    """Text that is no CIDR, or a CIDR with host bits set."""


class InvalidField(InvalidInput):
    """One field of an object breaks a rule.

    Parameters
    ----------
    path : str
        Kubernetes field path, for instance ``spec.clusterIPs[0]``.
    value : object
        The value found there.
    detail : str
        The rule it breaks and the way out.
    """

    def __init__(self, path: str, value: object, detail: str) -> None:
        self.path = path
        self.value = value
        self.detail = detail
        super().__init__(f"{path}: {value!r}: {detail}")


class InvalidConfig(InvalidInput):
    """Flags or configuration that a component would not start with."""


class InvalidDump(InvalidInput):
    """A file that is not the dump it should be; names the file and, where known, the object."""


class UnsupportedVersion(DsmodelError, ValueError):
    """A Kubernetes version outside the modelled window."""


class PoolError(DsmodelError, LookupError):
    """A pool cannot do what is asked; nothing has changed."""


class PoolFull(PoolError):
    """No free offset is left where one was asked for."""


class AlreadyAllocated(PoolError):
    """The offset asked for is in use."""


class NotInRange(PoolError):
    """The offset or address asked for is outside the pool."""


class CIDRNotAvailable(PoolError):
    """Node IPAM found no block for the node, as the event of the same name says."""


@dataclass(frozen=True)
class Cause:
    """One entry of ``status.details.causes``: a field, Kubernetes' reason, and its words."""

    field: str
    reason: str
    message: str


class Rejected(DsmodelError):
    """The API server's refusal of one object.

    Parameters
    ----------
    message : str
        The server's words.
    code : int
        HTTP code, 422 for a validation failure.
    reason : str
        Status reason, ``Invalid`` for a validation failure.
    causes : iterable of Cause
        In the server's order.
    """

    def __init__(self, message: str, *, code: int = 422, reason: str = "Invalid", causes: Iterable[Cause] = ()) -> None:
        self.message = message
        self.code = code
        self.reason = reason
        self.causes = tuple(causes)
        super().__init__(message)


class CNIError(DsmodelError):
    """A network plugin's refusal, with the code of the CNI specification.

    Parameters
    ----------
    msg : str
        The plugin's words.
    code : int
        CNI error code; plugins use 999 for their own failures.
    """

    def __init__(self, msg: str, *, code: int = 999) -> None:
        self.msg = msg
        self.code = code
        super().__init__(msg)


class MissingDependency(DsmodelError, ImportError):
    """An optional library is not installed; the message says how to get it."""


class Unreachable(DsmodelError, ConnectionError):
    """A server or store that does not answer, or not as one; names it and what to look at."""


class InconsistentState(DsmodelError, RuntimeError):
    """Corrupt input or a bug of this package; the message says which is likelier."""


class CheckFailed(DsmodelError, AssertionError):
    """A hard check found something.

    Parameters
    ----------
    message : str
        What failed.
    findings : object
        The frame of findings.
    """

    def __init__(self, message: str, findings: Any = None) -> None:
        self.findings = findings
        super().__init__(message)

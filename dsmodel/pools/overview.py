"""What a pool shows of itself: how much of each band is in use, and how it chooses.

Promises the counts of the pool's own verbs, as plain text and as HTML with the same content; looking changes nothing.
Knows counts and strategies of `dsmodel.pools.offsets`; a kind of pool adds what its offsets stand for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dsmodel.cards import Card, Section, print_pretty
from dsmodel.wording import counted

__all__ = ["CHOICES", "Shown"]

CHOICES = {
    "scan": "the next free one from a random start",
    "sample": "any free one, all equally likely",
    "lowest": "the lowest free one",
    "next": "the next free one behind the last",
}
"""What each strategy takes."""

_LONGEST = 1 << 48  # a larger number is read as a power of two


class Shown:
    """A pool that can be looked at.

    Examples
    --------
    >>> from dsmodel import CidrSet, Cidr
    >>> from IPython.lib.pretty import pprint
    >>> pprint(CidrSet(Cidr("10.0.0.0/16"), 24))
    CidrSet 10.0.0.0/16 in /24
    In use:
             usable  used  free
        all  256     0     256
    How it chooses:
        strategy  next: the next free one behind the last
    """

    __slots__ = ()

    def _subject(self) -> tuple[str, str]:
        """Name what the offsets stand for, and one of them."""
        return "of offsets", "offset"

    def __repr__(self) -> str:
        """Return counts and strategy."""
        pool: Any = self
        return f"<{type(self).__name__} {pool.used} of {pool.usable} used, {pool.strategy}>"

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        return self._card().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001, ARG002 - IPython's signature
        """Show the card in IPython."""
        print_pretty(self._card(), printer, short=repr(self))

    def _card(self) -> Card:
        """Count what is in use of each band, and say how the next is chosen."""
        pool: Any = self
        used, (what, unit) = pool.used_offsets(), self._subject()
        bands = [("all", pool.usable, len(used))]
        if band := pool.band_offset:
            static = int(np.searchsorted(used, np.uint64(pool._first + band)))  # noqa: SLF001 - its own
            bands += [("static band", band, static), ("dynamic band", pool.usable - band, len(used) - static)]
        counts = [(name, _short(size), _short(taken), _short(size - taken)) for name, size, taken in bands]
        settings = [("strategy", f"{pool.strategy}: {CHOICES[pool.strategy]}")]
        if 0 < (reserved := pool.size - pool.usable) < _LONGEST:
            settings.append(("never handed out", counted(reserved, unit)))
        sections = (Section("In use", counts, ("", "usable", "used", "free")), Section("How it chooses", settings))
        return Card(f"{type(self).__name__} {what}", sections)


def _short(number: int) -> str:
    """Write a number; a power of two where it is too large to read."""
    return f"{number:,}" if number < _LONGEST else f"about 2^{round(np.log2(float(number)))}"

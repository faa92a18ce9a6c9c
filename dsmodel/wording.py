"""Numbers with their nouns, as a sentence has them.

Promises: one thing is singular, any other number of things plural, thousands are grouped. Knows the few ways in which
the nouns of this package form a plural, and no others.
"""

from __future__ import annotations

import re

__all__ = ["agreeing", "counted"]

_SIBILANT, _CONSONANT_Y = re.compile("(s|x|ch|sh)$"), re.compile("[^aeiou]y$")


def counted(number: int, noun: str, *, none: str = "0") -> str:
    """Write a number of things.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        The word for one of them, its last word the one that changes: "node", "IPv4 address".
    none : str, default "0"
        What stands for zero.

    Returns
    -------
    str
        Number and noun.

    Raises
    ------
    None
        Every number can be written.

    Examples
    --------
    >>> counted(1, "more node"), counted(2000, "IPv4 address"), counted(0, "policy", none="no")
    ('1 more node', '2,000 IPv4 addresses', 'no policies')
    """
    words = f"{number:,}" if number else none
    if number == 1:
        return f"{words} {noun}"
    if _CONSONANT_Y.search(noun):
        return f"{words} {noun[:-1]}ies"
    return f"{words} {noun}es" if _SIBILANT.search(noun) else f"{words} {noun}s"


def agreeing(number: int, singular: str, plural: str) -> str:
    """Choose the word that goes with a number of things.

    Parameters
    ----------
    number : int
        How many do it.
    singular, plural : str
        What one does, and what any other number of them do.

    Returns
    -------
    str
        One of the two.

    Raises
    ------
    None
        There is a word for every number.

    Examples
    --------
    >>> f"{counted(1, 'node')} {agreeing(1, 'waits', 'wait')}, {counted(2, 'node')} {agreeing(2, 'waits', 'wait')}"
    '1 node waits, 2 nodes wait'
    """
    return singular if number == 1 else plural

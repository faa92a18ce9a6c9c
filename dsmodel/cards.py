"""A card: what an object shows of itself, once, as plain text and as HTML with the same content.

Promises: both forms hold the same words in the same order; HTML is escaped, loads nothing, carries no ids, scripts or
colours of its own (so it reads in light and dark), and its sections fold; the same card gives the same bytes. Links go
only where a row names one.

What it does not know: which objects there are. Each makes its own card.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Card", "Link", "Section", "print_pretty"]

MOST_ROWS = 20  # of a section; the rest is counted
_WIDEST_CELL = 88  # characters of a cell; a card is an overview, frames hold every word
_INDENT = "    "
_CELL = "text-align:left;vertical-align:top;padding:.1em .9em .1em 0;background:none;border:0"


@dataclass(frozen=True)
class Link:
    """A cell that leads somewhere.

    Parameters
    ----------
    text : str
        What is read.
    url : str
        Where it leads; only ``https`` addresses become links.
    """

    text: str
    url: str

    def __str__(self) -> str:
        """Return what is read."""
        return self.text


@dataclass(frozen=True)
class Section:
    """One part of a card.

    Parameters
    ----------
    title : str
        Words of the line that folds it.
    rows : sequence of sequences of str or Link
        Cells, a row each.
    header : sequence of str, optional
        Titles of the columns.
    count : int, optional
        How many there are, where `rows` holds only the first.
    is_open : bool, default True
        Whether HTML shows it unfolded.
    whole : bool, default False
        Whether long cells are kept whole.
    """

    title: str
    rows: Sequence[Sequence[str | Link]]
    header: Sequence[str] = ()
    count: int | None = None
    is_open: bool = True
    whole: bool = False

    @property
    def shown(self) -> Sequence[Sequence[str | Link]]:
        """The rows that are written out, their cells cut where they would stretch a table beyond reading."""
        return [[cell if self.whole else _short(cell) for cell in row] for row in self.rows[:MOST_ROWS]]

    @property
    def rest(self) -> str:
        """What is said about the rows that are not; empty if there are none."""
        left = (len(self.rows) if self.count is None else self.count) - len(self.shown)
        return f"and {left:,} more" if left > 0 else ""


@dataclass(frozen=True, repr=False)
class Card:
    """What an object shows of itself; a notebook shows a card itself in the same two ways.

    Parameters
    ----------
    title : str
        One line: what it is.
    sections : tuple of Section
        In reading order; those without rows are left out.
    summary : str, default ""
        A sentence below the title.

    Examples
    --------
    >>> card = Card("Cidr 10.0.0.0/8", (Section("Size", [("addresses", "16,777,216")]),), "Private-Use.")
    >>> print(card.text())
    Cidr 10.0.0.0/8
    Private-Use.
    Size:
        addresses  16,777,216
    >>> "<summary>Size</summary>" in card.html()
    True
    """

    title: str
    sections: tuple[Section, ...] = field(default=())
    summary: str = ""

    def text(self) -> str:
        """Write the card as plain text.

        Returns
        -------
        str
            Lines joined by newlines, none at the end.

        Raises
        ------
        None
            Every card has a text.
        """
        lines = [self.title, *([self.summary] if self.summary else [])]
        for section in self._filled():
            lines.append(f"{section.title}:")
            lines += _aligned([*([section.header] if section.header else []), *section.shown])
            lines += [_INDENT + section.rest] if section.rest else []
        return "\n".join(lines)

    def html(self) -> str:
        """Write the card as a fragment of HTML.

        Returns
        -------
        str
            One ``div``; every text in it is escaped.

        Raises
        ------
        None
            Every card has a fragment.
        """
        summary = Markup("<div>{}</div>").format(self.summary) if self.summary else Markup()
        sections = Markup().join(_folded(section) for section in self._filled())
        return str(
            Markup('<div class="dsmodel-card" style="overflow-x:auto"><strong>{}</strong>{}{}</div>').format(
                self.title, summary, sections
            )
        )

    def __repr__(self) -> str:
        """Return the card as plain text."""
        return self.text()

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        return self.html()

    def _filled(self) -> Iterable[Section]:
        """Return the sections that say something."""
        return (section for section in self.sections if section.rows)


def print_pretty(card: Card, printer: Any, *, short: str) -> None:
    """Print a card where an object is a cell's whole answer, and its short form where it is part of another.

    Parameters
    ----------
    card : Card
        What the object shows.
    printer : IPython.lib.pretty.PrettyPrinter
        What IPython hands to ``_repr_pretty_``.
    short : str
        The object's ``repr``.

    Raises
    ------
    None
        Either is text.
    """
    printer.text(card.text() if len(printer.stack) <= 1 else short)


def _aligned(rows: Sequence[Sequence[str | Link]]) -> list[str]:
    """Lay cells under each other."""
    cells = [[" ".join(str(cell).split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip_longest(*cells, fillvalue="")]
    return [
        (_INDENT + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))).rstrip()
        for row in cells
    ]


def _short(cell: str | Link) -> str | Link:
    """Cut a cell that is too wide."""
    line = " ".join(str(cell).split())
    line = line if len(line) <= _WIDEST_CELL else line[: _WIDEST_CELL - 1] + "…"
    return Link(line, cell.url) if isinstance(cell, Link) else line


def _folded(section: Section) -> Markup:
    """Write a section that folds."""
    head = Markup("<tr>{}</tr>").format(_cells(section.header, "th")) if section.header else Markup()
    body = Markup().join(Markup("<tr>{}</tr>").format(_cells(row, "td")) for row in section.shown)
    rest = Markup("<div>{}</div>").format(section.rest) if section.rest else Markup()
    opened = Markup(" open") if section.is_open else Markup()
    return Markup(
        "<details{}><summary>{}</summary><table style='border-collapse:collapse'>{}{}</table>{}</details>"
    ).format(opened, section.title, head, body, rest)


def _cells(row: Sequence[str | Link], tag: str) -> Markup:
    """Write the cells of a row."""
    return Markup().join(
        Markup('<{tag} style="{style}">{cell}</{tag}>').format(tag=Markup(tag), style=Markup(_CELL), cell=_cell(cell))  # noqa: S704 - a constant of ours
        for cell in row
    )


def _cell(cell: str | Link) -> Markup:
    """Write one cell, as a link if it leads somewhere."""
    if isinstance(cell, Link) and cell.url.startswith("https://"):
        return Markup('<a href="{}">{}</a>').format(cell.url, cell.text)
    return escape(str(cell))

"""Where a sweep keeps what is computed: a folder of Parquet parts.

Promises that a part is whole or not there at all, whenever the program is stopped, and that a folder of another sweep
is refused.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["KEY", "Shelf"]

KEY = "scenario"  # column with a scenario's name; no plan may answer with it
_NOTE = "sweep.json"


@dataclass(frozen=True)
class Shelf:
    """A folder that belongs to one sweep.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    note : mapping
        What tells this sweep from others: its entropy and its parameters.

    Raises
    ------
    InvalidInput
        The folder holds another sweep, or is none.
    """

    folder: Path
    note: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Take the folder, or refuse it."""
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidInput(f"resume={str(self.folder)!r} is a file; name a folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / _NOTE
        if not place.exists():
            _write(place, json.dumps(dict(self.note), sort_keys=True).encode())
        known = json.loads(place.read_text(encoding="utf-8"))
        if known != json.loads(json.dumps(dict(self.note))):
            raise InvalidInput(
                f"resume={str(self.folder)!r} holds a sweep over {', '.join(known['parameters'])} with entropy "
                f"{known['entropy']}; this one is another: name another folder"
            )

    def read(self) -> list[pd.DataFrame]:
        """Return what is kept.

        Returns
        -------
        list of pandas.DataFrame
            The parts, each with the column ``scenario``.

        Raises
        ------
        InvalidInput
            A part cannot be read.
        """
        frames = []
        for place in self._parts():
            try:
                frames.append(pd.read_parquet(place))
            except (OSError, ValueError) as error:
                raise InvalidInput(
                    f"{place.name}: cannot be read ({error}); delete it, and it is computed again"
                ) from None
        return frames

    def keep(self, frame: pd.DataFrame) -> None:
        """Keep some rows.

        Parameters
        ----------
        frame : pandas.DataFrame
            With the column ``scenario``.

        Raises
        ------
        OSError
            The folder cannot be written; nothing of the part is there then.
        """
        number = 1 + max((int(place.stem.rpartition("-")[2]) for place in self._parts()), default=0)
        _write(self.folder / f"part-{number:06d}.parquet", frame.to_parquet(index=False))

    def _parts(self) -> list[Path]:
        """List the parts."""
        return sorted(self.folder.glob("part-*.parquet"))


def _write(place: Path, content: bytes) -> None:
    """Write a file under another name first, so that it is never seen half written."""
    draft = place.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(place)

"""What every explorer is made of: labelled controls, a message beside each, an answer below.

Promises: an explorer answers when it is made and whenever a control changes; input that means nothing is named beside
its control, and the last answer stays, marked as not of this input; nothing it shows carries ids, scripts or outside
resources. A quick explorer answers at once, a slow one when the controls have been still for a moment. Work of more
than `PATIENCE_SECONDS` leaves the kernel free, shows how far it is, and can be cancelled; without a kernel's loop, when
an explorer is made, and in `Explorer.refresh`, it runs through.

What it does not know: which questions there are.
"""

from __future__ import annotations

import asyncio
import base64
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets
from markupsafe import Markup, escape

from dsmodel.errors import DsmodelError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import pandas as pd

    from dsmodel.cluster.state import Cluster

__all__ = ["Answer", "Control", "Explorer", "Trouble", "picture"]

SETTLE_SECONDS = 0.25  # how long the controls of a slow explorer must be still
PATIENCE_SECONDS = 0.5  # how long work may hold the kernel before it goes on beside it
_SLICE_SECONDS, _PAUSE_SECONDS = 0.05, 0.005  # of work beside the kernel: at a time, and in between
_LABEL_WIDTH, _CONTROL_WIDTH = "13em", "22em"
_FIXED = "0 0 auto"  # a long message makes nothing else narrower
_BESIDE = {"min_width": "16em", "flex": "1 1 0", "display": "none"}  # on a narrow page it goes below its control
_KEPT = Markup("<em>The answer below is of the last input that was valid.</em>")
_STOPPED = Markup("<em>Cancelled. The answer below is of the last input that was worked out.</em>")


@dataclass(frozen=True)
class Control:
    """One control of an explorer.

    Parameters
    ----------
    widget : ipywidgets.Widget
        With a ``value``; bounded where it is a number.
    label : str
        What it sets, in the field's word.
    unit : str
        Of its value, its bounds in words, or what its words are about.
    """

    widget: Any
    label: str
    unit: str


@dataclass(frozen=True)
class Answer:
    """What an explorer found.

    Parameters
    ----------
    frame : pandas.DataFrame
        The answer as data.
    html : str
        The answer as it is shown; escaped by who wrote it.
    """

    frame: pd.DataFrame
    html: str


class Trouble(InvalidInput):
    """Input of one control that means nothing.

    Parameters
    ----------
    control : str
        Its name.
    message : str
        What is wrong, and the way out.
    """

    def __init__(self, control: str, message: str) -> None:
        self.control = control
        super().__init__(message)


class Explorer:
    """Controls, an answer, and the cluster it is about.

    Parameters
    ----------
    title : str
        The question.
    controls : mapping of str to Control
        By the name they are read by.
    cluster : Cluster or None
        What the answer is about; a copy, where the explorer changes it.
    slow : bool, default False
        Answer when the controls have been still, rather than at every change.

    Attributes
    ----------
    controls : dict of str to ipywidgets.Widget
        Set ``.value`` to move one.
    frame : pandas.DataFrame
        The last answer.
    view : ipywidgets.VBox
        What a notebook shows.

    Raises
    ------
    None
        What is wrong at the start is shown beside its control.
    """

    _now = staticmethod(time.monotonic)  # seconds, to tell how long work has held the kernel

    def __init__(
        self, title: str, controls: Mapping[str, Control], *, cluster: Cluster | None, slow: bool = False
    ) -> None:
        self.cluster = cluster
        self.controls = {name: control.widget for name, control in controls.items()}
        self.frame: pd.DataFrame | None = None
        self._messages = {name: ipywidgets.HTML(layout=dict(_BESIDE)) for name in controls}
        self._answer, self._state = ipywidgets.HTML(), ipywidgets.HTML()
        self._slow = slow
        self._waiting: asyncio.TimerHandle | None = None
        self._working: asyncio.Task[None] | None = None
        self._bar = ipywidgets.FloatProgress(min=0.0, max=1.0, description="working")
        button = ipywidgets.Button(description="cancel", tooltip="Stop, and keep the last answer")
        button.on_click(lambda _button: self.cancel())
        self._busy = ipywidgets.HBox([self._bar, button], layout={"display": "none"})
        rows = [_row(control, self._messages[name]) for name, control in controls.items()]
        heading = ipywidgets.HTML(str(Markup("<h3 style='margin:0'>{}</h3>").format(title)))
        self.view = ipywidgets.VBox([heading, *rows, self._busy, self._state, self._answer])
        for widget in self.controls.values():
            widget.observe(self._changed, names="value")
        self.refresh()

    def answer(self) -> Answer:
        """Work out the answer from the controls.

        Returns
        -------
        Answer
            Frame and HTML.

        Raises
        ------
        Trouble
            A control's value means nothing.
        """
        raise Trouble("", "this explorer has no question")

    def work(self) -> Generator[float, None, Answer]:
        """Work out the answer step by step, for what can take long.

        Yields
        ------
        float
            How far it is, 0 to 1.

        Returns
        -------
        Answer
            As `answer`, which is the only step of an explorer that is always quick.

        Raises
        ------
        Trouble
            A control's value means nothing.
        """
        yield 0.0
        return self.answer()

    def refresh(self) -> None:
        """Answer now, however long it takes.

        Raises
        ------
        None
            Trouble is shown beside its control.
        """
        self._stop()
        self._advance(self.work(), math.inf)

    def cancel(self) -> None:
        """Stop what is being worked out; the last answer stays.

        Raises
        ------
        None
            Where nothing is being worked out nothing happens.
        """
        if self._working is not None or self._waiting is not None:
            self._stop()
            self._state.value = str(_STOPPED)

    def __repr__(self) -> str:
        """Name the explorer and its controls."""
        return f"{type(self).__name__}({', '.join(self.controls)})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Show the view in a notebook."""
        return self.view._repr_mimebundle_(**options) | {"text/plain": repr(self)}

    def _changed(self, _change: object) -> None:
        """Answer at once, or when the controls have been still."""
        self._stop()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: nobody waits
            self.refresh()
            return
        if self._slow:
            self._state.value = "<em>working ...</em>"
            self._waiting = loop.call_later(SETTLE_SECONDS, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        """Answer, and go on beside the kernel if that takes long."""
        self._waiting = None
        steps = self.work()
        if not self._advance(steps, PATIENCE_SECONDS):
            self._working = asyncio.get_running_loop().create_task(self._go_on(steps))

    async def _go_on(self, steps: Generator[float, None, Answer]) -> None:
        """Work in slices between which the kernel hears its controls."""
        self._state.value = ""
        self._busy.layout.display = "flex"
        try:
            while not self._advance(steps, _SLICE_SECONDS):  # noqa: ASYNC110 - the work is done here, nobody signals it
                await asyncio.sleep(_PAUSE_SECONDS)
            self._working = None
        finally:
            steps.close()
            if self._working in {None, asyncio.current_task()}:
                self._busy.layout.display = "none"

    def _advance(self, steps: Generator[float, None, Answer], seconds: float) -> bool:
        """Work for some time; tell whether it came to an end, which is shown."""
        troubles = dict.fromkeys(self._messages, "")
        deadline = self._now() + seconds
        try:
            while True:
                self._bar.value = next(steps)
                if self._now() > deadline:
                    return False
        except StopIteration as done:
            found: Answer = done.value
            self.frame = found.frame
            self._show_trouble(troubles)
            self._answer.value = found.html
        except Trouble as trouble:
            troubles[trouble.control] = str(trouble)
            self._show_trouble(troubles)
        except DsmodelError as error:
            self._show_trouble(troubles, general=str(error))
        return True

    def _stop(self) -> None:
        """Forget what was to be worked out."""
        if self._waiting is not None:
            self._waiting.cancel()
        if self._working is not None:
            self._working.cancel()
            self._busy.layout.display = "none"
        self._waiting = self._working = None

    def _show_trouble(self, troubles: Mapping[str, str], *, general: str = "") -> None:
        """Write each message beside its control."""
        wrong = bool(general) or any(troubles.values())
        for name, text in troubles.items():
            if name in self._messages:
                message = self._messages[name]
                message.value = str(Markup("<strong>&#9888; {}</strong>").format(text)) if text else ""
                message.layout.display = None if text else "none"
        told = Markup("<strong>&#9888; {}</strong> ").format(general) if general else Markup()
        kept = _KEPT if wrong else Markup()
        self._state.value = str(told + kept)


def picture(png: bytes, alt: str) -> Markup:
    """Put a picture into HTML, with the same in words.

    Parameters
    ----------
    png : bytes
        The picture.
    alt : str
        What it shows.

    Returns
    -------
    markupsafe.Markup
        One ``img`` that carries its bytes.

    Raises
    ------
    None
        Every picture can be shown.

    Examples
    --------
    >>> str(picture(b"x", 'a "map"'))[:45]
    '<img style="max-width:100%" alt="a &#34;map&#'
    """
    data = base64.b64encode(png).decode()
    return Markup('<img style="max-width:100%" alt="{}" src="data:image/png;base64,{}">').format(alt, escape(data))


def _row(control: Control, message: Any) -> Any:
    """Lay label, control, unit and message beside each other."""
    label = ipywidgets.Label(control.label, layout={"width": _LABEL_WIDTH, "flex": _FIXED})
    control.widget.layout.width, control.widget.layout.flex = _CONTROL_WIDTH, _FIXED
    control.widget.tooltip = control.label
    unit = ipywidgets.Label(control.unit, layout={"flex": _FIXED})
    return ipywidgets.HBox([label, control.widget, unit, message], layout={"flex_flow": "row wrap"})

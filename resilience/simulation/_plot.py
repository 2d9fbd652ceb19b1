"""The result of a simulation as a picture: SVG, without a library.

Three panels over the same seconds: the requests that the server gets beside the calls that are made, how the calls end,
and the queue at the server. The trouble is grey. The colours follow the reader's light or dark theme.

Nothing in it depends on time or chance, so that pictures can be compared.
"""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from resilience.simulation._text import describe_event, rate

if TYPE_CHECKING:
    from resilience.simulation._result import Simulation

__all__ = ["svg"]

_WIDTH, _LEFT, _RIGHT = 800, 76, 164
_PANEL, _GAP, _FOOT = 130, 52, 44
_LINE = 18
_CHARACTERS = 100

_STYLE = """\
svg { font: 12px system-ui, 'DejaVu Sans', Verdana, Arial, sans-serif; background: var(--paper);
  --paper: #ffffff; --ink: #1f2328; --faint: #59636e; --band: #eceff2; --calls: #59636e; --sent: #bc4c00;
  --answered: #2c8c4b; --late: #d9a400; --substituted: #2b83c6; --rejected: #8a63c7;
  --failed: #d1242f; --queue: #2b83c6; }
@media (prefers-color-scheme: dark) { svg { --paper: #0d1117; --ink: #e6edf3; --faint: #9198a1; --band: #1f262e;
  --calls: #9198a1; --sent: #f0883e; --answered: #3fb264; --late: #e3b341; --substituted: #58a6ff; --rejected: #b392f0;
  --failed: #ff6a69; --queue: #58a6ff; } }
text { fill: var(--ink); } .faint { fill: var(--faint); } .title { font-weight: 600; }
.grid { stroke: var(--faint); stroke-opacity: .3; } .band { fill: var(--band); }
path { fill: none; stroke-width: 2; stroke-linejoin: round; }"""

_ENDS = (
    ("answered", "answered in time"),
    ("late", "answered too late"),
    ("substituted", "got a substitute"),
    ("rejected", "rejected by a policy"),
    ("failed", "failed"),
)


def svg(result: Simulation) -> str:
    """Return the picture as SVG: of the same result the same text."""
    return _Picture(result).draw()


class _Picture:
    """One picture: it knows the seconds and the panels, and collects the elements.

    Panels are drawn from the top downwards: `top` is the upper edge of the next one. Later elements hide earlier ones.
    All text of the user's goes through `_text` or the label, which escape it.
    """

    def __init__(self, result: Simulation) -> None:
        self.result = result
        self.seconds = len(result.series)
        self.parts: list[str] = []
        self.top = 0

    def draw(self) -> str:
        """Return the document: the headings, the three panels, and the axis of seconds below them."""
        result = self.result
        heading = [*textwrap.wrap(result.conclusion, _CHARACTERS)]
        self._text(12, 24, result.target, "title")
        for number, line in enumerate(heading):
            self._text(12, 24 + _LINE * (number + 1), line)
        below = [line for event in result.scenario.events for line in textwrap.wrap(describe_event(event), _CHARACTERS)]
        for number, line in enumerate(below):
            self._text(12, 24 + _LINE * (len(heading) + number + 1), line, "faint")
        self.top = 24 + _LINE * (len(heading) + len(below)) + 40
        self._load()
        self._ends()
        self._queue()
        height = self.top - _GAP + _FOOT
        self._text(_LEFT + self._plot_width / 2, height - 8, "seconds", "faint", anchor="middle")
        label = html.escape(f"{result.target}. {result.conclusion}")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}" role="img" aria-label="{label}">\n'
            f"<title>{label}</title>\n<style>\n{_STYLE}\n</style>\n"
            f'<rect width="{_WIDTH}" height="{height}" fill="var(--paper)"/>\n' + "\n".join(self.parts) + "\n</svg>\n"
        )

    # -- panels -------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Draw the requests and the calls of each second, with the server's capacity where it is within the scale.

        The space between the two lines is the amplification, and requests above the capacity are the overload.
        """
        series, capacity = self.result.series, self.result.scenario.capacity or 0.0
        most = _round_up(max(*series.sent, *series.arrivals, 1))
        panel = self._panel("Requests that the server gets, and calls that are made, per second", most, _count)
        if capacity <= most:
            height = panel(capacity)
            self.parts.append(
                f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height:.1f}" y2="{height:.1f}" stroke="var(--faint)"'
                ' stroke-dasharray="2 4"/>'
            )
            self._legend(2, "faint", f"capacity {rate(capacity)}", dashes="2 4")
        self._curve(series.sent, panel, "sent")
        self._curve(series.arrivals, panel, "calls", dashes="5 3")
        self._legend(0, "sent", "requests")
        self._legend(1, "calls", "calls", dashes="5 3")
        self._next()

    def _ends(self) -> None:
        """Draw how the calls end that began in each second, stacked: all of them are 100 %."""
        series = self.result.series
        panel = self._panel("How calls end, by the second in which they began", 1.0, _percent)
        base = [0.0] * self.seconds
        shown = 0
        for name, label in _ENDS:
            counts: Sequence[int] = getattr(series, name)
            if not any(counts):
                continue
            upper = [
                low + count / max(1, calls) for low, count, calls in zip(base, counts, series.arrivals, strict=True)
            ]
            forth = " ".join(f"{self._x(at):.1f},{panel(value):.1f}" for at, value in _steps(upper))
            back = " ".join(f"{self._x(at):.1f},{panel(value):.1f}" for at, value in reversed([*_steps(base)]))
            self.parts.append(f'<polygon points="{forth} {back}" fill="var(--{name})"/>')
            self._legend(shown, name, label)
            base, shown = upper, shown + 1
        self._edges()
        self._next()

    def _edges(self) -> None:
        """Draw where the trouble begins and ends, over what hides its grey."""
        for moments in self._troubles():
            for moment in moments:
                x = f"{self._x(moment):.1f}"
                self.parts.append(
                    f'<line x1="{x}" x2="{x}" y1="{self.top}" y2="{self.top + _PANEL}" stroke="var(--paper)"'
                    ' stroke-dasharray="3 3"/>'
                )

    def _queue(self) -> None:
        """Draw the queue at the end of each second."""
        queue = self.result.series.queue
        panel = self._panel("Requests that wait at the server", _round_up(max(*queue, 1)), _count)
        self._curve(queue, panel, "queue")
        self._next()

    # -- elements -----------------------------------------------------------------------------------------------------

    @property
    def _plot_width(self) -> int:
        """The width of a panel, without the labels on its left and the legend on its right."""
        return _WIDTH - _LEFT - _RIGHT

    def _x(self, second: float) -> float:
        """Return the horizontal place of a *second*."""
        return _LEFT + self._plot_width * second / self.seconds

    def _panel(self, title: str, most: float, label: Callable[[float], str]) -> Callable[[float], float]:
        """Draw the frame of a panel; return the function from a value to its height."""
        top, bottom = self.top, self.top + _PANEL

        def height(value: float) -> float:
            return bottom - _PANEL * value / most

        self._text(_LEFT, top - 10, title, "title")
        for begin, end in self._troubles():
            self.parts.append(
                f'<rect class="band" x="{self._x(begin):.1f}" y="{top}" width="{self._x(end) - self._x(begin):.1f}"'
                f' height="{_PANEL}"/>'
            )
        for share in (0.0, 0.5, 1.0):
            at = height(share * most)
            self.parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
            self._text(_LEFT - 8, at + 4, label(share * most), "faint", anchor="end")
        step = _tick(self.seconds)
        for second in range(0, self.seconds + 1, step):
            self._text(self._x(second), bottom + 16, str(second), "faint", anchor="middle")
        return height

    def _troubles(self) -> Iterator[tuple[float, float]]:
        """Yield the seconds of the disturbances, as far as they are in the run; a pause that repeats each time."""
        for event in self.result.scenario.events:
            every = getattr(event, "every", None)
            begin = event.at
            while begin < self.seconds:
                yield begin, min(begin + event.lasts, self.seconds)
                if every is None:
                    break
                begin += every

    def _curve(self, counts: Sequence[float], panel: Callable[[float], float], name: str, *, dashes: str = "") -> None:
        """Draw *counts* as a line of steps, in the colour called *name*."""
        points = " ".join(f"{self._x(at):.1f},{panel(value):.1f}" for at, value in _steps(counts))
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<path d="M{points}" stroke="var(--{name})"{dash}/>')

    def _legend(self, place: int, name: str, label: str, *, dashes: str = "") -> None:
        """Draw the entry of a legend on the right of the panel, the *place* counted from its top."""
        x, y = _WIDTH - _RIGHT + 14, self.top + 10 + _LINE * place
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(
            f'<line x1="{x}" x2="{x + 16}" y1="{y}" y2="{y}" stroke="var(--{name})" stroke-width="3"{dash}/>'
        )
        self._text(x + 22, y + 4, label)

    def _text(self, x: float, y: float, content: str, kind: str = "", *, anchor: str = "start") -> None:
        """Draw *content*, escaped, in the style called *kind*."""
        named = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{named}>{html.escape(content)}</text>')

    def _next(self) -> None:
        """Go on to the panel below."""
        self.top += _PANEL + _GAP


def _steps(values: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Yield the corners of a line that has one value in each second."""
    for second, value in enumerate(values):
        yield second, value
        yield second + 1, value


def _round_up(number: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, ... from *number* on."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= number * 0.999)


def _tick(seconds: int) -> int:
    """Return the seconds between two labels of the axis: about ten labels, at round numbers."""
    return max(1, int(_round_up(seconds / 10)))


def _count(number: float) -> str:
    """Return a *number* as a label, with commas between thousands."""
    return f"{number:,.10g}"


def _percent(share: float) -> str:
    """Return a *share* as a label in percent."""
    return f"{share:.0%}"

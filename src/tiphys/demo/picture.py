"""How do wanted weight and measured share look over time?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from tiphys.demo.measure import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What was wanted and measured behind one router: windows, and points of (seconds, percent)."""

    router: str
    windows: Sequence[Window]
    points: Sequence[tuple[float, float]]


_COLOURS = ("#e45756", "#54a24b", "#b279a2", "#f58518", "#72b7b2", "#9d755d", "#bab0ac", "#eeca3b")


def draw(path: Path, *, title: str, curves: Sequence[Curve], since: float, end: float) -> None:
    """Write an SVG: the wanted weight as steps, each router's measured share as a line (percent over seconds)."""
    import matplotlib as mpl  # noqa: PLC0415 (slow to import, and needed only at the end)

    mpl.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415 (the same)

    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    times, wanted = _staircase(curves[0].windows, since=since, end=end)
    axes.fill_between(times, wanted, step="post", color="#4c78a8", alpha=0.18, linewidth=0)
    axes.step(times, wanted, where="post", color="#4c78a8", linewidth=2, label="wanted weight")
    for curve, colour in zip(curves, cycle(_COLOURS), strict=False):
        label = "measured share" if len(curves) == 1 else f"measured behind {curve.router}"
        axes.plot([time for time, _ in curve.points], [value for _, value in curve.points], color=colour, linewidth=1.5, label=label)
    axes.set(xlabel="seconds", ylabel="% of requests to the canary", ylim=(-3, 103), xlim=(0, end - since), title=title)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(loc="upper left", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _staircase(windows: Sequence[Window], *, since: float, end: float) -> tuple[list[float], list[int]]:
    times, wanted = [0.0], [0]
    for window in windows:
        times.append(window.begin - since)
        wanted.append(window.wanted)
    times.append(end - since)
    wanted.append(wanted[-1])
    return times, wanted

"""How do wanted weight and measured share look over time?"""

from pathlib import Path

from tiphys.demo.measure import Window


def draw(path: Path, *, title: str, windows: list[Window], points: list[tuple[float, float]], since: float, end: float) -> None:
    """Write an SVG: the wanted weight as steps, the measured share as a line (percent over seconds)."""
    import matplotlib as mpl  # noqa: PLC0415 (slow to import, and needed only at the end)

    mpl.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415 (the same)

    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    times, wanted = _staircase(windows, since=since, end=end)
    axes.fill_between(times, wanted, step="post", color="#4c78a8", alpha=0.18, linewidth=0)
    axes.step(times, wanted, where="post", color="#4c78a8", linewidth=2, label="wanted weight")
    axes.plot([time for time, _ in points], [value for _, value in points], color="#e45756", linewidth=1.5, label="measured share")
    axes.set(xlabel="seconds", ylabel="% of requests to the canary", ylim=(-3, 103), xlim=(0, end - since), title=title)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(loc="upper left", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _staircase(windows: list[Window], *, since: float, end: float) -> tuple[list[float], list[int]]:
    times, wanted = [0.0], [0]
    for window in windows:
        times.append(window.begin - since)
        wanted.append(window.wanted)
    times.append(end - since)
    wanted.append(wanted[-1])
    return times, wanted

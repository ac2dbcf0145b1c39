"""Measure: `python -m benchmarks [NAME...]`; each question in a process of its own, one after the other."""

import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console

from benchmarks.figures import Figure, show
from benchmarks.questions import QUESTIONS, answer


def main(names: list[str]) -> int:
    """Measure what is named, or everything; the status is 1 where something that does not depend on the machine is wrong."""
    console = Console(width=160, soft_wrap=True)
    unknown = [name for name in names if name not in QUESTIONS]
    if unknown:
        sys.stderr.write(f"error: benchmark: found {', '.join(unknown)}, wanted {', '.join(QUESTIONS)}\n")
        return 1
    began = time.monotonic()
    found: list[Figure] = []
    for name in names or QUESTIONS:
        console.rule(f"{name} (load of this machine: {os.getloadavg()[0]:.1f})", align="left")
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            figures = process.submit(answer, name).result()
        show(console, figures)
        found += figures
    console.rule(f"all figures, after {time.monotonic() - began:.0f} s", align="left")
    show(console, found)
    return 1 if any(each.counted and not each.met for each in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

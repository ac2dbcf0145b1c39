"""Which questions are there, and who answers one?"""

import importlib

from benchmarks.figures import Figure

QUESTIONS = ("decide", "hour", "requests", "releases", "latency", "memory", "big", "render", "steady")


def answer(name: str) -> list[Figure]:
    """Answer one question; prints what it has to tell besides its figures."""
    module = importlib.import_module(f"benchmarks.{name}")
    figures: list[Figure] = module.run()
    return figures

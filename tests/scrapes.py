"""What does a page of metrics hold, read from its text as it is?"""

import re
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([A-Za-z_]\w*)="')
_OF_HISTOGRAMS = re.compile(r"_(bucket|sum|count)$")


@dataclass
class Series:
    """All samples of one name: its type, the names of its labels (of each sample that has others: more than one set), its buckets."""

    type: str
    labels: set[frozenset[str]] = field(default_factory=set)
    buckets: set[float] = field(default_factory=set)


def read(page: str) -> dict[str, Series]:
    """Give the series by the names that stand in *page*; the library's own parser has to make sense of it, too."""
    found: dict[str, Series] = {}
    samples = 0
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in found, f"{name} is there twice"
            found[name] = Series(kind)
        sample = _SAMPLE.match(line)
        if sample is None or line.startswith("#"):
            continue
        samples += 1
        whole, labels = sample[1], set(_LABEL.findall(sample[2] or ""))
        name = whole if whole in found else _OF_HISTOGRAMS.sub("", whole)
        found[name].labels.add(frozenset(labels - {"le"}))
        found[name].buckets |= {float(bound) for bound in re.findall(r'le="([\d.]+)"', sample[2] or "")}
    assert sum(len(family.samples) for family in text_string_to_metric_families(page)) == samples
    return found

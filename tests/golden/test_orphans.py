from pathlib import Path

from goldens import orphans


def test_every_golden_file_belongs_to_a_case_that_a_test_reads() -> None:
    assert orphans() == []


def test_an_output_an_input_or_a_case_alone_is_an_orphan(tmp_path: Path) -> None:
    (tmp_path / "traffic" / "istio").mkdir(parents=True)
    (tmp_path / "traffic" / "test_it.py").touch()
    (tmp_path / "lost" / "lost").mkdir(parents=True)
    for name in ("whole.in.yaml", "whole.out.yaml", "left.out.yaml", "new.in.yaml"):
        (tmp_path / "traffic" / "istio" / name).touch()
    for name in ("unread.in.yaml", "unread.out.txt"):
        (tmp_path / "lost" / "lost" / name).touch()

    assert orphans(tmp_path) == ["lost/lost/unread.in.yaml", "traffic/istio/left.out.yaml", "traffic/istio/new.in.yaml"]

"""Is every event, metric, condition and message that the reference lists either asserted by a test or listed with the reason why not?"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rows import (
    CONDITIONS,
    CONDITIONS_ELSEWHERE,
    CONDITIONS_OF_OURS,
    DELAYS_COMING,
    DELAYS_ELSEWHERE,
    EVENTS,
    EVENTS_COMING,
    EVENTS_ELSEWHERE,
    FIELDS,
    FIELDS_COMING,
    FIELDS_ELSEWHERE,
    FLAGS_REFUSED,
    METRICS,
    METRICS_COMING,
    PHASES,
    PHASES_ELSEWHERE,
    TRIGGERS,
    TRIGGERS_COMING,
    TRIGGERS_ELSEWHERE,
)
from rules import NUMBERED, TABLES
from tiphys.api import names, words
from tiphys.cli.options import CONNECTION
from tiphys.cli.run import controller

TESTS = Path(__file__).parents[1]
LIFECYCLE = TESTS.parents[1] / "shared" / "reference" / "rollout-lifecycle.md"
INTERFACES = LIFECYCLE.with_name("user-interfaces.md")

needs_reference = pytest.mark.skipif(not LIFECYCLE.is_file(), reason="the reference lies beside the repository, and only there")


def section(file: Path, number: str) -> str:
    """Give one section of the reference, up to the next heading."""
    found = re.search(rf"^#+ {re.escape(number)}\.? .*?(?=^#+ |\Z)", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{file.name} has no section {number}"
    return found[0]


def table(text: str) -> Iterator[list[str]]:
    """Give the cells of the rows of the tables in *text*, headings left out."""
    lines = text.splitlines()
    for position, line in enumerate(lines):
        heading = position + 1 < len(lines) and lines[position + 1].startswith("|---")
        if line.startswith("|") and not line.startswith("|---") and not heading:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@needs_reference
def test_every_event_is_asserted_or_listed() -> None:
    reasons = {reason.removesuffix("<Phase>") for row in table(section(LIFECYCLE, "10.1")) for reason in quoted(row[0])}
    reasons = {reason for reason in reasons if reason[0].isupper()}

    assert len(reasons) > 20
    assert reasons == {row.reason for row in EVENTS} | set(EVENTS_ELSEWHERE) | set(EVENTS_COMING)


@needs_reference
def test_every_field_of_the_status_is_asserted_or_listed() -> None:
    fields, group = set(), ""
    for first, *_ in table(section(LIFECYCLE, "2.1")):
        for field in quoted(first):
            group = field.partition(".")[0] if not field.startswith(".") and "." in field else group
            fields.add((f"{group}{field}" if field.startswith(".") else field).removesuffix("[]"))

    assert len(fields) > 30
    assert fields == {row.path for row in FIELDS} | set(FIELDS_ELSEWHERE) | set(FIELDS_COMING)


@needs_reference
def test_every_condition_is_asserted_or_listed() -> None:
    rows, kind = set(), ""
    for first, _, reason, *_ in table(section(LIFECYCLE, "2.2")):
        kind = (quoted(first) or [kind])[0]
        rows |= {(kind, each) for each in quoted(reason)} or {(kind, "")}

    asserted = {(row.type, row.reason) for row in CONDITIONS} | {(kind, "") for kind in CONDITIONS_ELSEWHERE}
    assert len(rows) > 15
    assert rows == asserted
    assert {kind for kind, _ in rows} | {kind for kind, _, _ in CONDITIONS_OF_OURS} == set(words.ConditionType)


@needs_reference
def test_every_message_of_a_phase_is_asserted_or_listed() -> None:
    variable = {"InvalidSpec: <cond message>", "<reason>: <cond message>"}
    messages = {message for row in table(section(LIFECYCLE, "2.4")) for message in quoted(row[3])} - variable

    fixed = {row.message for row in PHASES if row.phase != "Degraded" and row.message and row.message not in set(words.PauseReason)}
    assert len(messages) == 9
    assert messages == fixed | set(PHASES_ELSEWHERE)
    assert {row.message.partition(":")[0] for row in PHASES if row.phase == "Degraded"} == {
        "InvalidSpec",
        "RolloutAborted",
        "ProgressDeadlineExceeded",
    }


@needs_reference
def test_every_metric_is_asserted_or_listed() -> None:
    names = set(_metrics(section(LIFECYCLE, "10.2"))) | set(_metrics(section(INTERFACES, "4")))

    ours = {name for name in METRICS if not name.startswith(("workqueue_", "process_"))}
    assert len(names) > 30
    assert names - {"workqueue_*", "process_*"} == ours | set(METRICS_COMING)


def _metrics(text: str) -> Iterator[str]:
    """Give the names of the first column; `_x` behind a name stands for the name with that end in place of its own last word."""
    for first, *_ in table(text):
        whole = ""
        for part in re.split(r"[\s,/`]+", first):
            if part.startswith("_"):
                yield f"{whole.removesuffix('_available')}{part}"
            elif "_" in part:
                whole = part
                yield part


@needs_reference
def test_everything_that_causes_a_pass_is_asserted_or_listed() -> None:
    first = {row[0].replace("`", "").replace("*", "") for row in table(section(LIFECYCLE, "9.1"))}
    watched = {"VirtualService, DestinationRule"} | {each for each in TRIGGERS if each not in {"VirtualService", "DestinationRule"}}

    assert len(first) == 10
    assert first == watched | set(TRIGGERS_ELSEWHERE) | set(TRIGGERS_COMING)


@needs_reference
def test_every_delay_is_asserted_or_listed() -> None:
    first = {row[0].replace("`", "") for row in table(section(LIFECYCLE, "9.2"))}

    assert len(first) == 12
    assert first == set(DELAYS_ELSEWHERE) | set(DELAYS_COMING)


@needs_reference
def test_every_flag_of_the_controller_is_taken_or_listed() -> None:
    text = section(LIFECYCLE, "9.3").replace("`--traefik-api-group` / `-version`", "`--traefik-api-group` `--traefik-api-version`")
    flags = {flag for cell in re.findall(r"`(--[^`]+)`", text) for flag in cell.split()}
    taken = {name for option in (*controller.params, *CONNECTION) for name in option.opts}

    assert len(flags) > 35
    assert flags - taken == set(FLAGS_REFUSED)


@needs_reference
def test_every_name_on_an_object_is_a_constant() -> None:
    labels = {name for kind, cell, _ in table(section(LIFECYCLE, "10.3")) if kind in {"label", "annotation"} for name in quoted(cell)}
    constants = {value for value in vars(names).values() if isinstance(value, str)}

    assert len(labels) > 10
    assert labels - constants == {"Step", "Background", "PrePromotion", "PostPromotion", "argo-rollouts.argoproj.io/restarted-after"}


@needs_reference
@pytest.mark.parametrize("number", NUMBERED)
def test_every_numbered_rule_has_its_test(number: str) -> None:
    assert re.findall(r"^(\d+)\. ", section(LIFECYCLE, number), re.MULTILINE) == list(NUMBERED[number])


@needs_reference
@pytest.mark.parametrize("number", TABLES)
def test_every_row_of_a_rule_has_its_test(number: str) -> None:
    assert [row[0].replace("`", "") for row in table(section(LIFECYCLE, number))] == list(TABLES[number])


def test_every_test_that_is_named_exists() -> None:
    rules = (*NUMBERED.values(), *TABLES.values())
    named = (*rules, EVENTS_ELSEWHERE, FIELDS_ELSEWHERE, CONDITIONS_ELSEWHERE, PHASES_ELSEWHERE, TRIGGERS_ELSEWHERE, DELAYS_ELSEWHERE)
    for place in (place for table_of in named for place in table_of.values()):
        file, _, name = place.partition("::")
        assert re.search(rf"^(async )?def {name}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE), place

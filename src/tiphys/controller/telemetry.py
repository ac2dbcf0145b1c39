"""What does the controller measure about itself and its Rollouts? (Lifecycle reference 10.2)"""

import platform
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from tiphys.api.rollout import Rollout
from tiphys.api.status import RolloutDuration
from tiphys.controller.scrape import RolloutStates, text
from tiphys.core.actions import Event
from tiphys.kube.clock import SystemClock
from tiphys.kube.resources import Resource
from tiphys.kube.store import Key

_PASS_SECONDS: Final = (0.01, 0.15, 0.25, 0.5, 1)
_DURATION: Final = (30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
_PROGRESSION: Final = (30, 60, 120, 300, 600, 900, 1800, 3600)
_MANUAL_PAUSE: Final = (0, 60, 300, 600, 1800, 3600, 7200, 14400, 28800)
_QUESTION_SECONDS: Final = (0.1, 0.5, 1, 2.5, 5, 10, 30)
_QUEUE_SECONDS: Final = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10)
_WHO: Final = ("namespace", "name")
KEPT_SECONDS: Final = 65.0
"""So long the series of a Rollout outlive it: more than there is between two scrapes, nearly everywhere."""
_UNNAMED: Final = frozenset({"events", "replicasets"})
_VERBS: Final = frozenset({"get", "list", "watch", "create", "update", "patch", "delete"})
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


class Telemetry:
    """
    The metrics of one controller, in a registry of its own.

    Names and labels are those that dashboards and alerts of the reference ask for; what only we measure begins with `tiphys_`. Series
    of a Rollout go some time after it (`forget`), in seconds of *monotonic*. The state of Rollouts is read from the caches when somebody
    scrapes: it costs a pass nothing.
    """

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        self._monotonic = SystemClock().monotonic if monotonic is None else monotonic
        self.registry = CollectorRegistry()
        registry = self.registry
        self._passes = Histogram("rollout_reconcile", "Rollout reconciliation in seconds", _WHO, buckets=_PASS_SECONDS, registry=registry)
        self._errors = Counter("rollout_reconcile_error", "Failed reconciliations of a Rollout", _WHO, registry=registry)
        self._events = Counter("rollout_events", "Events recorded on a Rollout", (*_WHO, "type", "reason"), registry=registry)
        self._refused = Counter("tiphys_unsafe_action_refused", "Actions that the last gate stopped", (*_WHO, "rule"), registry=registry)
        self._bugs = Counter("tiphys_decision_failed", "Decisions that ended in an error of our own", _WHO, registry=registry)
        self._questions = Histogram(
            "tiphys_verification_question_seconds",
            "Questions to products about what their traffic really does",
            ("via", "outcome"),
            buckets=_QUESTION_SECONDS,
            registry=registry,
        )
        self._stale = Counter("tiphys_stale_cache", "Passes put off because the caches were behind our own writes", registry=registry)
        self._conflicts = Counter("tiphys_write_conflict", "Writes refused because somebody wrote first", registry=registry)
        self._requests = Counter(
            "controller_clientset_k8s_request",
            "Requests to the API server",
            ("kind", "namespace", "name", "verb", "status_code"),
            registry=registry,
        )
        self._duration = Histogram(
            "rollout_duration_seconds", "Start to end of an update", ("status",), buckets=_DURATION, registry=registry
        )
        self._progression = Histogram(
            "rollout_progression_duration_seconds",
            "The same without the time people waited",
            ("status",),
            buckets=_PROGRESSION,
            registry=registry,
        )
        self._manual = Histogram(
            "rollout_manual_pause_duration_seconds",
            "Time an update waited for people",
            ("status",),
            buckets=_MANUAL_PAUSE,
            registry=registry,
        )
        Gauge("argo_rollouts_controller_info", "Running controller", ("version",), registry=registry).labels(own_version()).set(1)
        build = Gauge("build_info", "What runs here", ("version", "goversion", "goarch", "commit"), registry=registry)
        build.labels(own_version(), "", architecture(), "").set(1)
        ProcessCollector(registry=registry)
        self._event_series: dict[Key, set[tuple[str, str]]] = {}
        self._refused_series: dict[Key, set[str]] = {}
        self._leaving: dict[Key, float] = {}

    def page(self) -> bytes:
        """Give all metrics in the text format of Prometheus."""
        self._let_go()
        return text(self.registry)

    def watch_rollouts(self, rollouts: Callable[[], Iterable[Rollout]]) -> None:
        """Report the state of *rollouts* whenever somebody scrapes."""
        self.registry.register(RolloutStates(rollouts))

    def passed(self, key: Key, seconds: float) -> None:
        """Note how long a pass took, well or not."""
        self._passes.labels(*key).observe(seconds)

    def failed(self, key: Key) -> None:
        """Count a pass that failed."""
        self._errors.labels(*key).inc()

    def broke(self, key: Key) -> None:
        """Count an error of our own."""
        self._bugs.labels(*key).inc()

    def asked(self, via: str, answered: bool, seconds: float) -> None:  # noqa: FBT001 - see `tiphys.controller.desk.Watcher`
        """Note a question about the traffic, and how it ended."""
        self._questions.labels(via, "answer" if answered else "error").observe(seconds)

    def stale(self) -> None:
        """Count a pass that was put off."""
        self._stale.inc()

    def conflicted(self) -> None:
        """Count a conflict."""
        self._conflicts.inc()

    def refused(self, key: Key, rule: str) -> None:
        """Count an action that the gate stopped; *rule* begins with the invariant's name."""
        short = rule.partition(":")[0].split(",")[0]
        self._refused.labels(*key, short).inc()
        self._refused_series.setdefault(key, set()).add(short)

    def told(self, namespace: str, name: str, event: Event) -> None:
        """Count an event."""
        series = (event.type.value, event.reason.value)
        self._events.labels(namespace, name, *series).inc()
        self._event_series.setdefault(Key(namespace, name), set()).add(series)

    def requested(
        self, verb: str, resource: Resource | None, namespace: str | None, name: str | None, status: int, _seconds: float
    ) -> None:
        """Count a request; of kinds with many names only the kind, and the verb as clients in Go call it."""
        kind = resource.plural if resource is not None else "Unknown"
        shown = "N/A" if not name or kind in _UNNAMED else name
        called = verb.capitalize() if verb in _VERBS else "Unknown"
        self._requests.labels(kind, namespace or "", shown, called, str(status)).inc()

    def finished(self, duration: RolloutDuration) -> None:
        """Note how long an update took that ended now."""
        if duration.rollout_started_at is None or duration.finished_at is None:
            return
        seconds = (duration.finished_at - duration.rollout_started_at).total_seconds()
        waited = duration.total_manual_pause_duration_seconds
        self._duration.labels(duration.completion_status).observe(seconds)
        self._progression.labels(duration.completion_status).observe(max(0.0, seconds - waited))
        self._manual.labels(duration.completion_status).observe(waited)

    def present(self, key: Key) -> None:
        """Keep the series of a Rollout that is there, perhaps again."""
        self._leaving.pop(key, None)

    def forget(self, key: Key) -> None:
        """Drop the series of a Rollout that is gone, once Prometheus had the time to read what became of it."""
        self._let_go()
        self._leaving[key] = self._monotonic() + KEPT_SECONDS

    def _let_go(self) -> None:
        now = self._monotonic()
        for key in [key for key, until in self._leaving.items() if until <= now]:
            del self._leaving[key]
            self._drop(key)

    def _drop(self, key: Key) -> None:
        for metric in (self._passes, self._errors, self._bugs):
            _drop(metric, *key)
        for series in self._event_series.pop(key, ()):
            _drop(self._events, *key, *series)
        for rule in self._refused_series.pop(key, ()):
            _drop(self._refused, *key, rule)


class QueueMetrics:
    """What the queue does, under the names that dashboards know; *working* gives the seconds each busy worker has been at its key."""

    def __init__(self, registry: CollectorRegistry, name: str, depth: Callable[[], int], working: Callable[[], Iterable[float]]) -> None:
        self._added = Counter("workqueue_adds", "Keys that came in", ("name",), registry=registry).labels(name)
        self._retried = Counter("workqueue_retries", "Keys that failed and come back", ("name",), registry=registry).labels(name)
        self._waited = Histogram(
            "workqueue_queue_duration_seconds", "Waiting", ("name",), buckets=_QUEUE_SECONDS, registry=registry
        ).labels(name)
        self._worked = Histogram("workqueue_work_duration_seconds", "Work", ("name",), buckets=_QUEUE_SECONDS, registry=registry).labels(
            name
        )
        for what, help_text, found in (
            ("depth", "Keys that wait for a worker", depth),
            ("unfinished_work_seconds", "Work that has begun and not ended, of all workers", lambda: sum(working())),
            ("longest_running_processor_seconds", "Work that has begun and not ended, of the slowest", lambda: max(working(), default=0)),
        ):
            Gauge(f"workqueue_{what}", help_text, ("name",), registry=registry).labels(name).set_function(found)

    def added(self) -> None:
        """Count a key that came in."""
        self._added.inc()

    def started(self, waited: float) -> None:
        """Note how long a key waited."""
        self._waited.observe(waited)

    def finished(self, worked: float) -> None:
        """Note how long a worker had a key."""
        self._worked.observe(worked)

    def retried(self) -> None:
        """Count a key that failed."""
        self._retried.inc()


def own_version() -> str:
    """Give the version of this installation."""
    try:
        return version("tiphys")
    except PackageNotFoundError:
        return "unknown"


def architecture() -> str:
    """Give the processor's architecture in the words of container images."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _drop(metric: Counter | Histogram, *labels: str) -> None:
    try:
        metric.remove(*labels)
    except KeyError:
        return

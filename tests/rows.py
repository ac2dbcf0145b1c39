"""Which events, conditions, phases and metrics do other programs read of a Rollout? The tables of the reference, row by row."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind

_ANALYSIS: Final = "comes with analysis, which is refused today"
_EXPERIMENTS: Final = "comes with experiments, which are refused today"
_PLUGINS: Final = "comes with step plugins, which are refused today"


class Event(NamedTuple):
    """An event, how often it is told in a life (`lives.py`), and in which."""

    life: str
    type: str
    reason: str
    message: str
    times: int = 1


EVENTS: Final = (
    Event("plain", "Normal", "RolloutAddedToInformer", "Rollout resource added to informer: default/web"),
    Event("plain", "Normal", "RolloutDeleted", "Rollout web/default is deleted."),
    Event("plain", "Normal", "RolloutUpdated", "Rollout updated to revision 2"),
    Event("plain", "Normal", "RolloutNotCompleted", "Rollout not completed, started update to revision 2 (<2>)"),
    Event("plain", "Normal", "NewReplicaSetCreated", "Created ReplicaSet web-<2> (revision 2)"),
    Event("plain", "Normal", "ScalingReplicaSet", "Scaled up ReplicaSet web-<2> (revision 2) from 0 to 1", 2),
    Event("plain", "Normal", "ScalingReplicaSet", "Scaled down ReplicaSet web-<2> (revision 2) from 1 to 0"),
    Event("plain", "Normal", "RolloutPaused", "Rollout is paused (CanaryPauseStep)", 2),
    Event("plain", "Normal", "RolloutResumed", "Rollout is resumed"),
    Event("plain", "Warning", "RolloutAborted", "Rollout aborted update to revision 2"),
    Event("plain", "Normal", "RolloutCompleted", "Rollout completed update to revision 1 (<1>): Initial deploy"),
    Event("plain", "Normal", "RolloutCompleted", "Rollout completed update to revision 2 (<2>): Completed all 2 canary steps"),
    Event(
        "late", "Warning", "RolloutAborted",
        'Rollout aborted update to revision 2: ReplicaSet "web-<2-never-ready>" has timed out progressing.',
    ),
    Event("wrong", "Warning", "ReplicaSetCreateError", 'Failed to create new replica set "web-<2>": no quota'),
    Event("routed", "Normal", "RolloutStepCompleted", "Rollout step 1/9 completed (setCanaryScale{replicas: 1})"),
    Event("routed", "Normal", "RolloutStepCompleted", "Rollout step 2/9 completed (setHeaderRoute: beta)"),
    Event("routed", "Normal", "RolloutStepCompleted", "Rollout step 3/9 completed (setMirrorRoute: shadow)"),
    Event("routed", "Normal", "RolloutStepCompleted", "Rollout step 4/9 completed (setCanaryScale{weight: 50})"),
    Event("routed", "Normal", "RolloutStepCompleted", "Rollout step 5/9 completed (setCanaryScale{matchTrafficWeight: true})"),
    Event("routed", "Normal", "RolloutStepCompleted", "Rollout step 6/9 completed (setWeight: 25)"),
    Event("routed", "Normal", "RolloutStepCompleted", "Rollout step 7/9 completed (pause)"),
    Event("routed", "Normal", "RolloutStepCompleted", "Rollout step 9/9 completed (pause: 10s)"),
    Event("routed", "Normal", "RolloutPaused", "Rollout is paused (CanaryPauseStep)", 2),
    Event("routed", "Normal", "SwitchService", "Switched selector for service 'web-stable' from '<1>' to '<2-slow-5s>'"),
    Event("routed", "Normal", "SwitchService", "Switched selector for service 'web-canary' from '' to '<1>'"),
    Event("routed", "Normal", "TrafficWeightUpdated", "Traffic weight updated from 25 to 50"),
    Event("superseded", "Normal", "SkipSteps", "Rollback to stable ReplicaSets"),
    Event("superseded", "Normal", "SkipSteps", "Rollback to active ReplicaSets within RollbackWindow"),
    Event("superseded", "Normal", "RolloutCompleted", "Rollout completed update to revision 9 (<7>): Full promotion requested"),
    Event("superseded", "Normal", "RolloutCompleted", "Rollout completed update to revision 10 (<6>): Rollback within window"),
    Event("blue-green", "Normal", "RolloutPaused", "Rollout is paused (BlueGreenPause)", 3),
    Event("blue-green", "Normal", "RolloutResumed", "Rollout is resumed", 2),
    Event("blue-green", "Normal", "RolloutCompleted", "Rollout completed update to revision 2 (<2-slow-5s>): Completed blue-green update"),
    Event("blue-green", "Normal", "RolloutCompleted", "Rollout completed update to revision 3 (<1>): Fast rollback"),
    Event("blue-green", "Normal", "RolloutCompleted", "Rollout completed update to revision 4 (<3>): Full promotion requested"),
)  # fmt: skip

EVENTS_ELSEWHERE: Final = {
    "TrafficRoutingError": "scenario/test_several_routers.py::test_one_that_fails_holds_back_the_step_and_no_other_router",
    "WeightVerifyError": "scenario/test_verified.py::test_an_error_holds_the_step_and_is_told_once",
    "LoadBalancerNotFound": (
        "unit/traffic/test_alb_verify.py::test_a_load_balancer_that_aws_does_not_know_and_one_that_is_not_there_yet_confirm_nothing"
    ),
    "TargetGroupVerified": "scenario/test_alb_verified.py::test_an_update_goes_through_once_the_load_balancer_follows_each_weight",
    "TargetGroupUnverified": "scenario/test_alb_verified.py::test_a_load_balancer_that_stands_still_holds_the_step_and_is_told_once",
    "TargetGroupVerifyError": "scenario/test_alb_verified.py::test_an_aws_that_does_not_answer_is_told_and_holds_no_way_back",
    "ReconciliationError": (
        "contract/controller/test_trouble.py::test_a_decision_that_raises_is_told_traced_once_and_backed_off_while_other_rollouts_go_on"
    ),
}
"""Reasons that a test of their own asserts."""

EVENTS_COMING: Final = {
    "ExperimentCreated": _EXPERIMENTS,
    "AnalysisRun": _ANALYSIS,
    "StepPluginTransition": _PLUGINS,
}


class Said(NamedTuple):
    """A condition as it is read in a life."""

    life: str
    type: str
    status: str
    reason: str
    message: str


CONDITIONS: Final = (
    Said("plain", "Progressing", "True", "NewReplicaSetCreated", 'Created new replica set "web-<2>"'),
    Said("found", "Progressing", "True", "FoundNewReplicaSet", 'Found new replica set "web-<1>"'),
    Said("plain", "Progressing", "True", "ReplicaSetUpdated", 'ReplicaSet "web-<2>" is progressing.'),
    Said("plain", "Progressing", "True", "ReplicaSetNotAvailable", "Rollout does not have minimum availability"),
    Said("plain", "Progressing", "True", "NewReplicaSetAvailable", 'ReplicaSet "web-<2>" has successfully progressed.'),
    Said("plain", "Progressing", "Unknown", "RolloutPaused", "Rollout is paused"),
    Said("routed", "Progressing", "Unknown", "RolloutResumed", "Rollout is resumed"),
    Said("plain", "Progressing", "Unknown", "RolloutRetry", "Retrying Rollout after abort"),
    Said("plain", "Progressing", "False", "RolloutAborted", "Rollout aborted update to revision 2"),
    Said("late", "Progressing", "False", "ProgressDeadlineExceeded", 'ReplicaSet "web-<2-never-ready>" has timed out progressing.'),
    Said("wrong", "Progressing", "False", "ReplicaSetCreateError", 'Failed to create new replica set "web-<2>": no quota'),
    Said("plain", "Available", "True", "AvailableReason", "Rollout has minimum availability"),
    Said("plain", "Available", "False", "AvailableReason", "Rollout does not have minimum availability"),
    Said("plain", "Paused", "True", "RolloutPaused", "Rollout is paused"),
    Said("plain", "Paused", "False", "RolloutPaused", "Rollout is paused"),
    Said("plain", "Completed", "True", "RolloutCompleted", "RolloutCompleted"),
    Said("plain", "Completed", "False", "RolloutCompleted", "RolloutCompleted"),
    Said("plain", "Healthy", "True", "RolloutHealthy", "Rollout is healthy"),
    Said("plain", "Healthy", "False", "RolloutHealthy", "Rollout is not healthy"),
    Said(
        "wrong", "InvalidSpec", "True", "InvalidSpec",
        'The Rollout "web" is invalid: spec.minReadySeconds: Invalid value: -1: must be 0 or more',
    ),
)  # fmt: skip


CONDITIONS_OF_OURS: Final = frozenset({("ProgressDeadline", "True", "DeadlineRuns")})
"""Type, status and reason of what the reference does not say (decision 0028)."""

CONDITIONS_ELSEWHERE: Final = {
    "ReplicaFailure": "unit/core/test_conditions.py::test_what_the_new_replica_set_cannot_do_is_passed_on_first",
}


class Shown(NamedTuple):
    """Phase and message as they are read in a life."""

    life: str
    phase: str
    message: str


PHASES: Final = (
    Shown("wrong", "Degraded", 'InvalidSpec: The Rollout "web" is invalid: spec.minReadySeconds: Invalid value: -1: must be 0 or more'),
    Shown("plain", "Degraded", "RolloutAborted: Rollout aborted update to revision 2"),
    Shown("late", "Degraded", 'ProgressDeadlineExceeded: ReplicaSet "web-<2-never-ready>" has timed out progressing.'),
    Shown("routed", "Paused", "manually paused"),
    Shown("plain", "Paused", "CanaryPauseStep"),
    Shown("blue-green", "Paused", "BlueGreenPause"),
    Shown("routed", "Progressing", "rollout is restarting"),
    Shown("plain", "Progressing", "more replicas need to be updated"),
    Shown("routed", "Progressing", "updated replicas are still becoming available"),
    Shown("blue-green", "Progressing", "active service cutover pending"),
    Shown("plain", "Progressing", "old replicas are pending termination"),
    Shown("routed", "Progressing", "waiting for all steps to complete"),
    Shown("plain", "Healthy", ""),
)

_PHASE_TEST: Final = "unit/core/test_phase.py::test_the_first_rule_that_holds_gives_phase_and_message"

PHASES_ELSEWHERE: Final = {
    "waiting for analysis to complete": _PHASE_TEST,
    "waiting for post-promotion verification to complete": _PHASE_TEST,
}
"""Messages of features that are refused today."""


class Field(NamedTuple):
    """A field of the status (its path), and what is read there at a moment of a life; nothing where it is not to be there."""

    life: str
    moment: str
    path: str
    value: object


_BEGAN: Final = "2030-01-01T00:23:20Z"

FIELDS: Final = (
    Field("plain", "aborted", "abort", value=True),
    Field("plain", "aborted", "abortedAt", _BEGAN),
    Field("plain", "updated", "abortedAt", None),
    Field("plain", "paused", "pauseConditions", [{"reason": "CanaryPauseStep", "startTime": _BEGAN}]),
    Field("plain", "aborted", "pauseConditions", None),
    Field("plain", "paused", "controllerPause", value=True),
    Field("plain", "aborted", "controllerPause", None),
    Field("plain", "updated", "controllerPause", None),
    Field("plain", "paused", "currentPodHash", "<2>"),
    Field("plain", "paused", "stableRS", "<1>"),
    Field("plain", "updated", "stableRS", "<2>"),
    Field("plain", "paused", "currentStepHash", "68cc556cc7"),
    Field("blue-green", "paused", "currentStepHash", None),
    Field("plain", "paused", "currentStepIndex", 1),
    Field("plain", "aborted", "currentStepIndex", 0),
    Field("plain", "updated", "currentStepIndex", 2),
    Field("blue-green", "paused", "currentStepIndex", None),
    Field("workload", "updated", "currentStepIndex", None),
    Field("routed", "paused", "replicas", 5),
    Field("routed", "paused", "updatedReplicas", 1),
    Field("routed", "paused", "readyReplicas", 5),
    Field("routed", "paused", "availableReplicas", 5),
    Field("routed", "paused", "HPAReplicas", 5),
    Field("blue-green", "paused", "replicas", 4),
    Field("blue-green", "paused", "updatedReplicas", 2),
    Field("blue-green", "paused", "readyReplicas", 2),
    Field("blue-green", "paused", "availableReplicas", 2),
    Field("blue-green", "paused", "HPAReplicas", 2),
    Field("plain", "paused", "selector", "app=web"),
    Field("blue-green", "paused", "selector", "app=web,rollouts-pod-template-hash=<1>"),
    Field("plain", "paused", "observedGeneration", "2"),
    Field("workload", "updated", "workloadObservedGeneration", "2"),
    Field("plain", "updated", "workloadObservedGeneration", None),
    Field("superseded", "full promotion asked for", "promoteFull", value=True),
    Field("blue-green", "fully promoted", "promoteFull", None),
    Field(
        "routed", "paused", "canary.weights",
        {
            "canary": {"weight": 25, "serviceName": "web-canary", "podTemplateHash": "<2-slow-5s>"},
            "stable": {"weight": 75, "serviceName": "web-stable", "podTemplateHash": "<1>"},
        },
    ),
    Field("blue-green", "paused", "blueGreen.previewSelector", "<2-slow-5s>"),
    Field("blue-green", "paused", "blueGreen.activeSelector", "<1>"),
    Field("routed", "paused", "duration", {"rolloutStartedAt": _BEGAN, "manualPauseStartedAt": "2030-01-01T00:23:30Z"}),
    Field(
        "routed", "updated", "duration",
        {
            "rolloutStartedAt": _BEGAN, "totalManualPauseDurationSeconds": 2,
            "finishedAt": "2030-01-01T00:23:52Z", "completionStatus": "Promoted",
        },
    ),
)  # fmt: skip

FIELDS_ELSEWHERE: Final = {
    "conditions": "scenario/test_rows.py::test_a_condition_is_read_as_documented",
    "phase": "scenario/test_rows.py::test_a_phase_and_its_message_are_read_as_documented",
    "message": "scenario/test_rows.py::test_a_phase_and_its_message_are_read_as_documented",
    "restartedAt": "unit/core/test_restart.py::test_a_pod_as_old_as_the_wish_is_young_enough",
    "collisionCount": (
        "contract/controller/test_passes.py::test_a_taken_name_raises_the_collision_count_and_the_template_gets_another_hash"
    ),
    "canary.stablePingPong": (
        "scenario/test_ping_pong.py::test_three_promotions_give_ping_pong_ping_and_no_service_under_weight_changes_its_pods"
    ),
    "alb": "scenario/test_alb_verified.py::test_all_ingresses_have_to_follow",
    "albs": "scenario/test_alb_verified.py::test_all_ingresses_have_to_follow",
    "blueGreen.scaleUpPreviewCheckPoint": "scenario/test_blue_green.py::test_a_preview_of_its_own_size_grows_before_the_switch",
}

FIELDS_COMING: Final = {
    "canary.currentStepAnalysisRunStatus": _ANALYSIS,
    "canary.currentBackgroundAnalysisRunStatus": _ANALYSIS,
    "canary.currentExperiment": _EXPERIMENTS,
    "canary.stepPluginStatuses": _PLUGINS,
    "blueGreen.prePromotionAnalysisRunStatus": _ANALYSIS,
    "blueGreen.postPromotionAnalysisRunStatus": _ANALYSIS,
}

_TOUCH: Final[Manifest] = {"metadata": {"annotations": {"example.com/touched": "yes"}}}

TRIGGERS: Final[Mapping[str, tuple[Kind, str, Manifest]]] = {
    "Rollout add/update/resync": (("argoproj.io", "Rollout"), "web", {"spec": {"revisionHistoryLimit": 9}}),
    "ReplicaSet": (("apps", "ReplicaSet"), "", _TOUCH),
    "Service": (("", "Service"), "web-stable", {"spec": {"ports": [{"name": "http", "port": 81, "targetPort": "http"}]}}),
    "VirtualService": (("networking.istio.io", "VirtualService"), "web", _TOUCH),
    "DestinationRule": (("networking.istio.io", "DestinationRule"), "web", _TOUCH),
}
"""
What is watched: kind and name of an object of a canary behind Istio, and a change of it that is looked at.

The ReplicaSet is the stable one. Of Services only what a decision reads counts.
"""

TRIGGERS_ELSEWHERE: Final = {
    "Rollout delete": "scenario/test_release.py::test_a_deleted_rollout_leaves_its_services_as_the_user_wrote_them",
    "Ingress": "scenario/test_alb.py::test_a_rollout_that_is_deleted_while_nobody_looks_is_noticed_by_the_ingress_itself",
    "workload objects": (
        "scenario/test_workload_ref.py::test_a_change_of_the_deployment_is_an_update_and_clients_are_told_which_generation_was_seen"
    ),
    "not watched": "scenario/test_triggers.py::test_a_pod_that_changes_alone_wakes_nobody",
}

TRIGGERS_COMING: Final = {"AnalysisRun": _ANALYSIS, "Experiment": _EXPERIMENTS}

DELAYS_ELSEWHERE: Final = {
    "error in pass": "unit/controller/test_queue.py::test_a_failing_key_waits_twice_as_long_each_time_up_to_ten_seconds",
    "every event": "unit/controller/test_queue.py::test_changes_do_not_bring_a_failing_key_back_before_its_delay",
    "stale cache": "contract/controller/test_passes.py::test_a_pass_waits_until_the_caches_have_seen_what_it_wrote",
    "workloadRef unresolved": "scenario/test_workload_ref.py::test_46_a_workload_that_is_missing_is_named_and_awaited",
    "pause step, blue-green auto promotion": "scenario/test_pinned_steps.py::test_20_a_pause_lasts_as_long_as_it_says",
    "old RS delay": ("scenario/test_blue_green.py::test_an_update_is_switched_when_it_is_whole_and_the_old_version_goes_after_its_delay"),
    "abort delay": (
        "scenario/test_blue_green.py::test_an_abort_before_the_switch_leaves_the_traffic_and_lets_the_preview_go_after_its_delay"
    ),
    "weight or target not verified": "scenario/test_verified.py::test_between_two_questions_lies_the_interval",
    "restart": "scenario/test_pinned_services.py::test_39_a_restart_in_the_future_begins_on_time_however_far_it_is",
    "progress deadline": "unit/core/test_deadline.py::test_the_wake_up_is_a_second_after_the_deadline",
    "resync": "scenario/test_triggers.py::test_every_rollout_is_looked_at_again_after_the_resync_period_though_nothing_happened",
}
"""When a Rollout is looked at again. An event waits for nothing here unless a pass failed, however many there are."""

DELAYS_COMING: Final = {"step plugin": _PLUGINS}

_WHO: Final = ("namespace", "name")
_QUEUE: Final = ("name",)

METRICS: Final = {
    "rollout_info": ("gauge", {*_WHO, "strategy", "traffic_router", "phase"}),
    "rollout_info_replicas_available": ("gauge", {*_WHO}),
    "rollout_info_replicas_unavailable": ("gauge", {*_WHO}),
    "rollout_info_replicas_desired": ("gauge", {*_WHO}),
    "rollout_info_replicas_updated": ("gauge", {*_WHO}),
    "rollout_phase": ("gauge", {*_WHO, "strategy", "phase"}),
    "rollout_reconcile": ("histogram", {*_WHO}),
    "rollout_reconcile_error": ("counter", {*_WHO}),
    "rollout_events_total": ("counter", {*_WHO, "type", "reason"}),
    "rollout_duration_seconds": ("histogram", {"status"}),
    "rollout_progression_duration_seconds": ("histogram", {"status"}),
    "rollout_manual_pause_duration_seconds": ("histogram", {"status"}),
    "controller_clientset_k8s_request_total": ("counter", {*_WHO, "kind", "verb", "status_code"}),
    "workqueue_adds_total": ("counter", {*_QUEUE}),
    "workqueue_retries_total": ("counter", {*_QUEUE}),
    "workqueue_depth": ("gauge", {*_QUEUE}),
    "workqueue_unfinished_work_seconds": ("gauge", {*_QUEUE}),
    "workqueue_longest_running_processor_seconds": ("gauge", {*_QUEUE}),
    "workqueue_queue_duration_seconds": ("histogram", {*_QUEUE}),
    "workqueue_work_duration_seconds": ("histogram", {*_QUEUE}),
    "argo_rollouts_controller_info": ("gauge", {"version"}),
    "build_info": ("gauge", {"version", "goversion", "goarch", "commit"}),
    "process_cpu_seconds_total": ("counter", set[str]()),
    "process_resident_memory_bytes": ("gauge", set[str]()),
    "process_virtual_memory_bytes": ("gauge", set[str]()),
    "process_start_time_seconds": ("gauge", set[str]()),
    "process_open_fds": ("gauge", set[str]()),
    "process_max_fds": ("gauge", set[str]()),
}

BUCKETS: Final = {
    "rollout_reconcile": (0.01, 0.15, 0.25, 0.5, 1),
    "rollout_duration_seconds": (30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800),
    "rollout_progression_duration_seconds": (30, 60, 120, 300, 600, 900, 1800, 3600),
    "rollout_manual_pause_duration_seconds": (0, 60, 300, 600, 1800, 3600, 7200, 14400, 28800),
}

FLAGS_REFUSED: Final = {
    "--controllers": "would run a part alone that is not there: " + _ANALYSIS,
    "--self-service-notification-enabled": "comes with notifications",
    "--version": "`tiphys --version` and `tiphys version` print it",
}
"""Flags of the reference controller that ours does not take: they would ask for what it does not do."""

METRICS_COMING: Final = {
    "analysis_run_info": _ANALYSIS,
    "analysis_run_phase": _ANALYSIS,
    "analysis_run_metric_type": _ANALYSIS,
    "analysis_run_metric_phase": _ANALYSIS,
    "analysis_run_reconcile": _ANALYSIS,
    "analysis_run_reconcile_error": _ANALYSIS,
    "analysis_template_info": _ANALYSIS,
    "analysis_template_metric_info": _ANALYSIS,
    "experiment_info": _EXPERIMENTS,
    "experiment_phase": _EXPERIMENTS,
    "experiment_reconcile": _EXPERIMENTS,
    "experiment_reconcile_error": _EXPERIMENTS,
    "notification_send": "comes with notifications",
    "notification_send_success": "comes with notifications",
    "notification_send_error": "comes with notifications",
    "go_*": "the runtime of a language that this controller is not written in",
}

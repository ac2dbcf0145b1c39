"""Which test holds each rule of the reference about conditions, what clients write, durations, and pauses and aborts?"""

from typing import Final

_DEADLINE: Final = "unit/core/test_deadline.py::"
_DURATIONS: Final = "unit/core/test_durations.py::"
_READERS: Final = "scenario/test_readers.py::"

NUMBERED: Final = {
    "2.3": {
        "1": "unit/core/test_conditions.py::test_another_reason_goes_to_the_end_and_keeps_the_transition_time",
        "2": "unit/core/test_conditions.py::test_blue_green_is_available_when_the_active_pods_are_saturated",
        "3": "unit/core/test_report.py::test_an_update_is_not_completed_and_says_so_once",
        "4": "unit/core/test_conditions.py::test_a_rollout_that_misses_anything_is_not_healthy_any_more",
        "5": f"{_DEADLINE}test_any_move_is_progress_and_restarts_the_clock",
        "6": f"{_DEADLINE}test_pause_and_resume_by_a_person_are_told",
        "7": "unit/core/test_conditions.py::test_what_the_new_replica_set_cannot_do_is_passed_on_first",
        "8": "unit/core/test_report.py::test_a_healthy_rollout_reports_all_of_it",
        "9": "unit/core/test_report.py::test_an_abort_degrades_and_warns_once",
    },
    "2.7": {
        "1": "unit/core/test_report.py::test_a_pause_that_an_abort_ends_is_not_called_resumed",
        "2": "scenario/test_pinned_counts.py::test_26_promote_full_grows_the_canary_and_promotes_when_all_are_available",
        "3": "scenario/test_pinned_steps.py::test_18_an_endless_pause_is_one_condition_with_its_first_start_and_one_event",
    },
}
"""
By the number of the rule.

Deviations: Healthy does not wait for a pass that had seen the generation before (`tiphys.core.conditions.is_healthy`), and pause, resume
and retry are told in the one status write of a pass (`tiphys.core.deadline.with_progress`).
"""

TABLES: Final = {
    "2.5": {
        "pause / resume": "scenario/test_basic.py::test_owners_pause_and_resume",
        "abort / retry": f"{_READERS}test_argo_cds_retry_takes_the_abort_away",
        "restart": f"{_READERS}test_the_actions_of_argo_cd_do_what_they_are_called",
        "promote": "unit/cli/test_patches.py::test_promote_patches_the_status_by_what_holds_the_rollout",
        "promote out of an inconclusive step analysis": (
            "scenario/test_pinned_analyses.py::test_21_an_inconclusive_step_pauses_and_after_the_resume_another_run_has_to_answer"
        ),
        "skip current / all steps": f"{_READERS}test_the_actions_of_argo_cd_do_what_they_are_called",
        "promote --full": f"{_READERS}test_the_actions_of_argo_cd_do_what_they_are_called",
        "undo": "scenario/test_basic.py::test_an_update_to_an_old_version_takes_all_steps",
        "set image": "unit/cli/test_steering.py::test_set_image_keeps_every_other_field",
    },
    "2.6": {
        "rolloutStartedAt": f"{_DURATIONS}test_any_other_change_starts_an_attempt",
        "manualPauseStartedAt": f"{_DURATIONS}test_the_time_that_people_wait_is_counted",
        "totalManualPauseDurationSeconds": f"{_DURATIONS}test_waiting_adds_up",
        "finishedAt": f"{_DURATIONS}test_a_promotion_below_full_size_finishes_when_the_pods_are_there",
        "completionStatus": "scenario/test_rows.py::test_every_update_is_measured_once_by_how_it_ends",
    },
}
"""By the first cell of the row."""

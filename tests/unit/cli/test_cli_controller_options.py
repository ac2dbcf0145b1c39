"""Do options of the reference controller that mean nothing here let ours start, and are those refused that mean something else?"""

import pytest
from click.testing import CliRunner

from tiphys.cli.run import controller


@pytest.mark.parametrize(
    "options",
    [
        ["--ingress-api-version", "networking.k8s.io/v1"],
        ["--alb-ingress-classes", "alb", "--alb-ingress-classes", "", "--nginx-ingress-classes", "nginx"],
        ["--aws-target-group-binding-api-version", "eks.amazonaws.com/v1"],
        ["--alb-verify-weight", "--alb-tag-key-resource-id", "ingress.eks.amazonaws.com/resource"],
        ["--leader-elect=false", "--namespaced=true", "--metricsport", "9000", "--kloglevel=3", "--loglevel", "warn"],
        ["--qps", "40.5", "--burst=80", "--istio-api-version", "v1alpha3", "--enable-pprof-address", ":6060"],
        ["--analysis-threads=30", "--service-threads", "10", "--ephemeral-metadata-update-pod-retries", "3"],
    ],
)
def test_options_of_existing_manifests_are_taken(options: list[str]) -> None:
    assert CliRunner().invoke(controller, [*options, "--help"]).exit_code == 0


def test_ingresses_of_a_version_that_nobody_serves_are_refused_by_name() -> None:
    said = CliRunner().invoke(controller, ["--ingress-api-version", "extensions/v1beta1"])

    assert said.exit_code == 2
    assert "Invalid value for '--ingress-api-version': 'extensions/v1beta1' is not one of '', 'networking.k8s.io/v1'" in said.output

"""What does a Rollout look like that takes its pod template from another workload?"""

from typing import Final

from scenarios import Story, template
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind

DEPLOYMENT: Final[Kind] = ("apps", "Deployment")
REFERENCE: Final = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def deployment(image: str = "1", *, replicas: int = 5, name: str = "web") -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(image)},
    }


def referring(
    manifests: list[Manifest], *, workload: Manifest | None = None, keep: tuple[str, ...] = (), **reference: str
) -> list[Manifest]:
    """Let the Rollout among *manifests* take its template, its selector and what is not in *keep* from *workload*."""
    *others, rollout = manifests
    spec = {key: value for key, value in rollout["spec"].items() if key not in {"template", "selector"} or key in keep}
    rollout = {**rollout, "spec": {**spec, "workloadRef": {**REFERENCE, **reference}}}
    return [*others, *([deployment()] if workload is None else [workload]), rollout]


def pods_of_deployment(story: Story) -> int:
    return int(story.controller.manifest(DEPLOYMENT, "web")["spec"]["replicas"])

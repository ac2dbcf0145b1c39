"""Does a canary behind an Application Load Balancer wait for AWS itself, asked by a controller that was started as people start it?"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alb_cloud import PREFIX, ROUTING, SERVICES, ingress
from inprocess import rollout_manifest, service_manifest
from moto_server import REGION, Balancing, forward, moto_server
from scenarios import template, weight
from terminal import Terminal
from tiphys.api.crds import crd_manifests
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.kinds import ENDPOINT_SLICES, EVENTS, INGRESSES
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.resources import ResourceType

PATIENCE = 60
CONTROLLER = "controller --no-leader-elect --metricsPort 0 --healthzPort 0 --verify-retry-interval 0.5 --aws-verify-target-group"


@dataclass
class Shop:
    """A cluster whose Ingress `shop` belongs to a load balancer of the emulated AWS; nobody but `follow` carries one to the other."""

    cluster: DevCluster
    aws: Balancing

    def __post_init__(self) -> None:
        self.balancer = self.aws.load_balancer("shop")
        self.groups = {
            name: self.aws.target_group(name, **{"ingress.k8s.aws/resource": f"default/shop-{name}:80"})
            for name in ("web-stable", "web-canary", "pages")
        }
        self.listener = self.aws.listener(self.balancer["LoadBalancerArn"], 80, {self.groups["pages"]: 1})
        self.rule = self.aws.rule(self.listener, 1, "/", {self.groups["web-stable"]: 100, self.groups["web-canary"]: 0})

    def create(self) -> None:
        for manifest in (service_manifest("web-stable"), service_manifest("web-canary"), ingress()):
            self._put(manifest)
        status = {"status": {"loadBalancer": {"ingress": [{"hostname": self.balancer["DNSName"]}]}}}
        self.cluster.store.patch(INGRESSES, "shop", PatchKind.MERGE, status, namespace="default", subresource="status")
        rollout = rollout_manifest("web", weight(20), {"pause": {}}, istio=False, trafficRouting=ROUTING, **SERVICES)
        rollout["spec"]["template"] = template("1")
        self._put(rollout)

    def set_image(self, version: str) -> None:
        change = {"spec": {"template": template(version)}}
        self.cluster.store.patch(self._rollouts, "web", PatchKind.MERGE, change, namespace="default")

    def follow(self) -> None:
        """Do what the load balancer controller does: carry weights and addresses to AWS."""
        text = self._get(INGRESSES, "shop")["metadata"]["annotations"][f"{PREFIX}/actions.web-root"]
        weights = {group["ServiceName"]: int(group["Weight"]) for group in json.loads(text)["ForwardConfig"]["TargetGroups"]}
        self.aws.elb.modify_rule(RuleArn=self.rule, Actions=[forward({self.groups[name]: given for name, given in weights.items()})])
        for stored in self.cluster.store.scan(ENDPOINT_SLICES, namespace="default"):
            found: dict[str, Any] = stored.manifest
            group = self.groups[found["metadata"]["labels"]["kubernetes.io/service-name"]]
            addresses = [address for endpoint in found["endpoints"] for address in endpoint["addresses"]]
            targets = [{"Id": address, "Port": 8080, "AvailabilityZone": "all"} for address in addresses]
            if targets:
                self.aws.elb.register_targets(TargetGroupArn=group, Targets=targets)

    async def until(self, kind: ResourceType, holds: Callable[[Mapping[str, Any]], bool]) -> None:
        subscription = self.cluster.store.watch(kind, namespace="default")
        try:
            async with asyncio.timeout(PATIENCE):
                async for event in subscription:
                    if holds(event.manifest):
                        return
        finally:
            subscription.close()

    async def until_status(self, holds: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        await self.until(self._rollouts, lambda found: holds(found.get("status", {})))
        return self.status

    @property
    def status(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._get(self._rollouts, "web")["status"]
        return found

    @property
    def _rollouts(self) -> ResourceType:
        found = self.cluster.store.registry.kind("argoproj.io/v1alpha1", "Rollout")
        assert found is not None
        return found

    def _get(self, kind: ResourceType, name: str) -> Any:  # noqa: ANN401 - any JSON
        return self.cluster.store.get(kind, name, namespace="default")

    def _put(self, manifest: Any) -> None:  # noqa: ANN401 - any JSON
        self.cluster.store.create(self.cluster.store.registry.of_manifest(manifest), manifest, namespace="default")


@asynccontextmanager
async def shop(home: Path) -> AsyncIterator[Shop]:
    with moto_server() as url:
        async with DevCluster(definitions=crd_manifests(), api=ApiServer, drain_seconds=0.1) as cluster:
            write_kubeconfig(home / "kubeconfig", cluster.url)
            keys = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": REGION}
            terminal = Terminal(home=home, kubeconfig=home / "kubeconfig", variables={**keys, "AWS_ENDPOINT_URL": url})
            made = Shop(cluster, Balancing(url))
            made.create()
            process = await terminal.start("tiphys", *CONTROLLER.split())
            try:
                yield made
            finally:
                process.terminate()
                _, err = await asyncio.wait_for(process.communicate(), PATIENCE)
            assert process.returncode == 0, err.decode()


def verified(status: Mapping[str, Any]) -> bool | None:
    found: bool | None = status.get("canary", {}).get("weights", {}).get("verified")
    return found


async def test_a_step_is_held_until_the_load_balancer_follows(tmp_path: Path) -> None:
    async with shop(tmp_path) as running:
        await running.until_status(lambda status: status.get("phase") == "Healthy")
        running.follow()
        running.set_image("2")
        written = '"ServiceName":"web-canary","ServicePort":"80","Weight":20'
        await running.until(INGRESSES, lambda found: written in found["metadata"]["annotations"].get(f"{PREFIX}/actions.web-root", ""))

        await running.until(EVENTS, lambda event: event["reason"] == "TargetGroupUnverified" and "web-canary 20" in event["message"])
        held = await running.until_status(lambda status: verified(status) is False)
        running.follow()
        after = await running.until_status(lambda status: status.get("phase") == "Paused")

    assert held["currentStepIndex"] == 0
    assert (after["currentStepIndex"], verified(after)) == (1, True)
    assert after["alb"]["loadBalancer"]["name"] == "shop"
    assert after["alb"]["canaryTargetGroup"]["name"] == "web-canary"

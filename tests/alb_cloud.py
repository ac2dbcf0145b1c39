"""AWS and its load balancer controller beside a cluster in virtual time: they follow Ingresses late, or wrongly, and can be asked."""

import json
from datetime import datetime, timedelta
from typing import Any

from inprocess import InProcessController
from scenarios import CANARY_SERVICE, STABLE_SERVICE
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind
from tiphys.controller.inquiries import Answered, AskError, Desk, Outcome
from tiphys.devcluster.kinds import ENDPOINT_SLICES, INGRESSES
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.traffic.router import Question, Router

ACCOUNT = "arn:aws:elasticloadbalancing:eu-west-1:123456789012"
INGRESS: Kind = ("networking.k8s.io", "Ingress")
PREFIX = "alb.ingress.kubernetes.io"
ALB: Manifest = {"ingress": "shop", "servicePort": 80, "rootService": "web-root"}
ROUTING: Manifest = {"alb": ALB, "managedRoutes": [{"name": "beta"}]}
SERVICES: dict[str, Any] = {"canaryService": CANARY_SERVICE, "stableService": STABLE_SERVICE}
PING_PONG: dict[str, Any] = {"pingPong": {"pingService": CANARY_SERVICE, "pongService": STABLE_SERVICE}}


def ingress(name: str = "shop") -> Manifest:
    root = {"service": {"name": "web-root", "port": {"name": "use-annotation"}}}
    pages = {"service": {"name": "pages", "port": {"number": 80}}}
    rules = [
        {"host": f"{host}.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        for host, backend in (("web", root), ("pages", pages))
    ]
    metadata = {"name": name, "namespace": "default", "annotations": {f"{PREFIX}/scheme": "internal"}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": {"ingressClassName": "alb", "rules": rules},
    }


def plain_ingress(service: str, name: str = "shop") -> Manifest:
    """Give an Ingress whose requests all go to a Service, without an action."""
    made = ingress(name)
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}
    made["spec"]["rules"] = [{"host": "web.example", "http": {"paths": [path]}}]
    return made


def action(controller: InProcessController, name: str = "web-root") -> dict[str, int]:
    """Give the weights of an action by Service; none where it is not there."""
    text = controller.manifest(INGRESS, "shop")["metadata"].get("annotations", {}).get(f"{PREFIX}/actions.{name}")
    groups = json.loads(text)["ForwardConfig"]["TargetGroups"] if text else []
    return {group["ServiceName"]: group["Weight"] for group in groups}


class Cloud:
    """
    One load balancer for each Ingress, at the DNS name `NAME.elb.example`.

    What it does follows the annotations and the pods *lag* seconds late. *frozen* Ingresses are followed no longer; While *deaf* no address
    is registered. *ill* is what every question is answered with, where it is set. *asks* counts the questions.
    """

    def __init__(self, cluster: VirtualCluster, *, lag: float = 3.0) -> None:
        self.cluster = cluster
        self.lag = timedelta(seconds=lag)
        self.frozen: set[str] = set()
        self.deaf = False
        self.ill: AskError | None = None
        self.asks = 0
        self.does: dict[str, Manifest] = {}
        self._coming: dict[str, tuple[datetime, Manifest]] = {}
        self._pending: list[tuple[datetime, str, Answered, _Desk]] = []
        self._desk: _Desk | None = None
        cluster.join(self)

    # For the controller

    def asked(self, router: Router) -> Router:
        return router

    def desk(self) -> Desk:
        self._desk = _Desk(self)
        return self._desk

    def begin(self, desk: "_Desk", question: Question, answered: Answered) -> None:
        assert question.via == "elbv2"
        self.asks += 1
        self._pending.append((self.cluster.now + timedelta(seconds=1), question.request["hostname"], answered, desk))

    # For the cluster

    def step(self) -> bool:
        moved = [self._follow(each.manifest) for each in self.cluster.store.scan(INGRESSES, namespace="default")]
        due = next((each for each in self._pending if each[0] <= self.cluster.now), None)
        if due is None:
            return any(moved)
        self._pending.remove(due)
        _, hostname, answered, desk = due
        if desk is self._desk:
            answered(self.answer(hostname))
        return True

    def wakes_at(self) -> datetime | None:
        return min([at for at, *_ in self._pending] + [at for at, _ in self._coming.values()], default=None)

    def answer(self, hostname: str) -> Outcome:
        """Say what the load balancer *hostname* does now."""
        if self.ill is not None:
            return self.ill
        name = hostname.partition(".")[0]
        if name not in self.does:
            return {"loadBalancer": None, "targetGroups": [], "rules": []}
        arn = f"{ACCOUNT}:loadbalancer/app/{name}/50dc"
        groups: dict[str, Manifest] = {}
        rules = [
            {"listener": f"{arn}/listener", "priority": str(at + 1), "targetGroups": self._forwarded(name, path, groups)}
            for at, path in enumerate(path for rule in self.does[name]["spec"]["rules"] for path in rule["http"]["paths"])
        ]
        balancer = {"name": name, "arn": arn, "fullName": f"app/{name}/50dc"}
        return {"loadBalancer": balancer, "targetGroups": list(groups.values()), "rules": rules}

    def _follow(self, ingress: Manifest) -> bool:
        name = ingress["metadata"]["name"]
        if not (ingress.get("status") or {}).get("loadBalancer", {}).get("ingress"):
            status = {"status": {"loadBalancer": {"ingress": [{"hostname": f"{name}.elb.example"}]}}}
            self.cluster.store.patch(INGRESSES, name, PatchKind.MERGE, status, namespace="default", subresource="status")
            return True
        said = {"metadata": {"annotations": ingress["metadata"].get("annotations", {})}, "spec": ingress["spec"]}
        coming = self._coming.get(name)
        if name in self.frozen or (coming is None and said == self.does.get(name)):
            self._coming.pop(name, None)
            return False
        if coming is None or coming[1] != said:
            self._coming[name] = coming = (self.cluster.now + self.lag, said)
        if coming[0] > self.cluster.now:
            return False
        self.does[name] = self._coming.pop(name)[1]
        return True

    def _forwarded(self, ingress: str, path: Manifest, groups: dict[str, Manifest]) -> dict[str, int]:
        backend = path["backend"]["service"]
        text = self.does[ingress]["metadata"]["annotations"].get(f"{PREFIX}/actions.{backend['name']}")
        if backend["port"].get("name") != "use-annotation" or text is None:
            return {self._group(ingress, backend["name"], "80", groups): 1}
        listed = json.loads(text)["ForwardConfig"]["TargetGroups"]
        return {self._group(ingress, each["ServiceName"], each["ServicePort"], groups): each["Weight"] for each in listed}

    def _group(self, ingress: str, service: str, port: str, groups: dict[str, Manifest]) -> str:
        arn = f"{ACCOUNT}:targetgroup/{ingress}-{service}/73e2"
        if arn not in groups:
            addresses = [] if self.deaf else self._addresses(service)
            targets = [{"id": address, "port": 8080, "state": "healthy"} for address in addresses]
            groups[arn] = {
                "arn": arn,
                "fullName": f"targetgroup/{ingress}-{service}/73e2",
                "name": f"{ingress}-{service}",
                "tags": {"ingress.k8s.aws/resource": f"default/{ingress}-{service}:{port}"},
                "targetType": "ip",
                "targets": targets,
            }
        return arn

    def _addresses(self, service: str) -> list[str]:
        slices: list[dict[str, Any]] = [each.manifest for each in self.cluster.store.scan(ENDPOINT_SLICES, namespace="default")]
        mine = [each for each in slices if each["metadata"]["labels"].get("kubernetes.io/service-name") == service]
        return [address for each in mine for endpoint in each["endpoints"] for address in endpoint["addresses"]]


class _Desk:
    """One controller's way to the cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def begin(self, question: Question, answered: Answered) -> None:
        self._cloud.begin(self, question, answered)

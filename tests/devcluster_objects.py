"""Small manifests for tests of the development cluster, with a keyword for what matters."""

from typing import Any

Manifest = dict[str, Any]


def replica_set(name: str = "web", *, replicas: int = 1, version: str = "v1", app: str = "web", **spec: Any) -> Manifest:  # noqa: ANN401 (any JSON value)
    """A ReplicaSet whose pods carry the labels `app` and `version`; further keywords are fields of its spec."""
    labels = {"app": app, "version": version}
    container = {"name": "main", "image": f"registry.example/{app}:{version}", "ports": [{"name": "http", "containerPort": 8080}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
    }


def service(name: str, selector: dict[str, str] | None = None, *, port: int = 80, **spec: Any) -> Manifest:  # noqa: ANN401 (any JSON value)
    """A Service to the port `http` of the pods that *selector* means."""
    ports = [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": selector or {}, "ports": ports, **spec},
    }


def endpoint_slice(service_name: str, *endpoints: Manifest) -> Manifest:
    """A slice of *service_name*; see `endpoint`."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service_name}-1", "namespace": "default", "labels": {"kubernetes.io/service-name": service_name}},
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def endpoint(address: str, *, pod: str = "", ready: bool = True, serving: bool = True, terminating: bool = False) -> Manifest:
    """One endpoint of a slice."""
    return {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {"kind": "Pod", "name": pod or address, "namespace": "default"},
    }


def virtual_service(*http: Manifest, hosts: tuple[str, ...] = ("web",), name: str = "web", **spec: Any) -> Manifest:  # noqa: ANN401 (any JSON value)
    """A VirtualService with these http routes."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"hosts": list(hosts), "http": list(http), **spec},
    }


def route(*weights: tuple[str, int], **more: Any) -> Manifest:  # noqa: ANN401 (any JSON value)
    """An http route to hosts by weight; further keywords are fields of the route."""
    return {"route": [{"destination": {"host": host}, "weight": weight} for host, weight in weights], **more}


def destination_rule(host: str, **subsets: dict[str, str]) -> Manifest:
    """A DestinationRule with subsets by name."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": host.split(".", maxsplit=1)[0], "namespace": "default"},
        "spec": {"host": host, "subsets": [{"name": name, "labels": labels} for name, labels in subsets.items()]},
    }


def deployment(name: str = "web", *, replicas: int = 1, version: str = "v1", app: str = "web", **spec: Any) -> Manifest:  # noqa: ANN401 (any JSON value)
    """A Deployment of pods that carry the label `app`; *version* is their image's tag, further keywords are fields of its spec."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": pod_template(version, app=app), **spec},
    }


def pod_template(version: str = "v1", *, app: str = "web", **spec: Any) -> Manifest:  # noqa: ANN401 (any JSON value)
    """A template of pods that carry the label `app`; *version* is their image's tag."""
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "image": f"registry.example/{app}:{version}"}], **spec},
    }


def job(tag: str, *, name: str = "work", policy: str = "Never", **spec: Any) -> Manifest:  # noqa: ANN401 (any JSON value)
    """A Job whose pods do what the words in *tag* say; further keywords are fields of its spec."""
    container = {"name": "main", "image": f"registry.example/work:{tag}"}
    template = {"spec": {"restartPolicy": policy, "containers": [container]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": template, **spec},
    }


def autoscaler(kind: str, *, api_version: str = "apps/v1", name: str = "web", most: int = 10, target: int = 50, **spec: Any) -> Manifest:  # noqa: ANN401 (any JSON value)
    """A HorizontalPodAutoscaler of the *kind* called `web`, with a *target* utilisation of CPU; further keywords are fields of its spec."""
    wanted = {"type": "Utilization", "averageUtilization": target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": api_version, "kind": kind, "name": "web"},
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": wanted}}],
            **spec,
        },
    }


def requesting(template: Manifest, cpu: str = "100m") -> Manifest:
    """The same pod template, with containers that request *cpu*."""
    containers = [{**each, "resources": {"requests": {"cpu": cpu}}} for each in template["spec"]["containers"]]
    return {**template, "spec": {**template["spec"], "containers": containers}}

"""Whatever a body holds, it is stored or refused with a reason: nothing a client sends breaks the server."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tiphys.devcluster import kinds
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store
from tiphys.devcluster.wire import Json

Manifest = dict[str, Any]
ODD: list[Json] = [None, 1, -1, 1.5, True, "x", "", [], {}, [1], ["x"], [{}], [None], {"a": 1}, {"a": {"b": []}}, {"a": None}, [[1]]]

POD: Manifest = {
    "containers": [
        {
            "name": "m",
            "image": "i:1",
            "ports": [{"containerPort": 80}],
            "env": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
            "resources": {"limits": {"cpu": "1"}},
            "readinessProbe": {"httpGet": {"port": 1}},
            "lifecycle": {"preStop": {"httpGet": {"port": 1}}},
            "volumeMounts": [{"name": "v", "mountPath": "/x"}],
        }
    ],
    "volumes": [
        {"name": "v", "configMap": {"name": "x"}},
        {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
    ],
    "tolerations": [{"key": "x"}],
}
TEMPLATE: Manifest = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
SELECTOR: Manifest = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
COLUMN: Manifest = {"name": "Size", "type": "string", "jsonPath": ".spec.size"}
VERSION: Manifest = {
    "name": "v1",
    "served": True,
    "storage": True,
    "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
    "additionalPrinterColumns": [COLUMN],
    "schema": {
        "openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "array", "items": {"type": "string", "enum": ["a"]}}}}
    },
}
OBJECTS: list[tuple[ResourceType, Manifest]] = [
    (kinds.PODS, {"spec": POD}),
    (kinds.REPLICA_SETS, {"spec": {"replicas": 1, "selector": SELECTOR, "template": TEMPLATE}}),
    (kinds.DEPLOYMENTS, {"spec": {"selector": SELECTOR, "template": TEMPLATE, "strategy": {"rollingUpdate": {"maxSurge": 1}}}}),
    (kinds.JOBS, {"spec": {"template": {"spec": {**POD, "restartPolicy": "Never"}}}}),
    (kinds.SERVICES, {"spec": {"ports": [{"port": 80, "targetPort": "x"}], "selector": {"a": "b"}, "clusterIP": "None"}}),
    (kinds.CONFIG_MAPS, {"data": {"a": "b"}, "binaryData": {"b": "AA=="}}),
    (kinds.SECRETS, {"data": {"a": "AA=="}, "stringData": {"x": "y"}}),
    (kinds.ENDPOINT_SLICES, {"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"], "conditions": {}}], "ports": [{"port": 1}]}),
    (kinds.ENDPOINTS, {"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}]}]}),
    (kinds.EVENTS, {"involvedObject": {"namespace": "default"}, "source": {"component": "x"}}),
    (kinds.INGRESSES, {"spec": {"rules": [{"host": "x", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {}}]}}]}}),
    (kinds.NAMESPACES, {"spec": {"finalizers": ["x"]}}),
    (kinds.POD_DISRUPTION_BUDGETS, {"spec": {"minAvailable": 1, "selector": SELECTOR}}),
    (
        kinds.CRDS,
        {
            "spec": {
                "group": "t.example.com",
                "scope": "Cluster",
                "names": {"plural": "a", "kind": "A", "shortNames": ["x"]},
                "versions": [VERSION],
            }
        },
    ),
]
METADATA: Manifest = {
    "labels": {"a": "b"},
    "annotations": {"a": "b"},
    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u"}],
    "finalizers": ["example.com/b"],
}


def places(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


def spoilt(manifest: Manifest) -> Iterator[Manifest]:
    """Give the manifest once for every place and odd value."""
    for path in places(manifest):
        for odd in ODD:
            changed = copy.deepcopy(manifest)
            place: Json = changed
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = copy.deepcopy(odd)
            yield changed


@pytest.mark.parametrize(("resource", "body"), OBJECTS, ids=[resource.plural for resource, _ in OBJECTS])
def test_every_body_is_taken_or_refused(resource: ResourceType, body: Manifest) -> None:
    cluster = Store(names=Names(1))
    namespace = "default" if resource.namespaced else ""
    name = "a.t.example.com" if resource is kinds.CRDS else "a"
    cluster.create(resource, {"metadata": {"name": name, **METADATA}, **body}, namespace=namespace, dry_run=True)

    def code(manifest: Manifest) -> int:
        try:
            cluster.create(resource, manifest, namespace=namespace, dry_run=True)
        except StatusError as error:
            return error.code
        return 201

    codes = {code(manifest) for manifest in spoilt({"metadata": {"name": name, **METADATA}, **body})}
    assert {201, 400} < codes <= {201, 400, 404, 422}

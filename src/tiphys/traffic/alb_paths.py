"""Which paths of an Ingress lead to an action, and where do those of header routes stand? (Reference 4.2.2, 4.2.3, 7.2.)"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.traffic.manifests import entries, mapping, text

PathTo = tuple[Mapping[str, Any], str, Mapping[str, Any]]
"""A rule, the place of one of its paths, and that path."""

USE_ANNOTATION: Final = "use-annotation"


def rules_of(manifest: Manifest) -> Sequence[Mapping[str, Any]]:
    """
    Give the rules of an Ingress.

    Raises:
        SpecError: they are malformed.

    """
    return entries(mapping(manifest.get("spec"), "spec").get("rules"), "spec.rules")


def default_of(manifest: Manifest) -> str:
    """
    Name the Service of an Ingress that gets the requests for which there is no rule; the empty text where there is none.

    Raises:
        SpecError: it is malformed.

    """
    spec = mapping(manifest.get("spec"), "spec")
    return _backend({"backend": spec.get("defaultBackend")}, "spec.defaultBackend")[0]


def paths_to(rules: Sequence[Mapping[str, Any]], action: str) -> Iterator[PathTo]:
    """
    Give each rule, place and path that lead to *action*.

    Raises:
        SpecError: a part is malformed, or a path leads past the annotation to a Service of that name.

    """
    for at, rule in enumerate(rules):
        for place, path in _paths(rule, f"spec.rules[{at}]"):
            name, port = _backend(path, place)
            if name != action:
                continue
            if port != USE_ANNOTATION:
                field = f"{place}.backend.service.port.name"
                raise SpecError(
                    field=field, found=port or None, wanted=f"must be {USE_ANNOTATION}, or the weights of {action} have no effect"
                )
            yield rule, place, path


def backends_of(rules: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """
    Give the place of each path, the Service that it names and the name of its port.

    Raises:
        SpecError: a part is malformed.

    """
    for at, rule in enumerate(rules):
        for place, path in _paths(rule, f"spec.rules[{at}]"):
            yield place, *_backend(path, place)


def with_paths(rules: Sequence[Mapping[str, Any]], action: str, names: Sequence[str], gone: Collection[str]) -> list[Mapping[str, Any]]:
    """
    Give *rules* in which a path to each of *names* stands before all others, once for each path to *action*; those to *gone* go.

    Raises:
        SpecError: a part is malformed.

    """
    leaving = {(name, USE_ANNOTATION) for name in (*names, *gone)}
    changed: list[Mapping[str, Any]] = []
    for at, rule in enumerate(rules):
        listed = [(path, _backend(path, place)) for place, path in _paths(rule, f"spec.rules[{at}]")]
        kept = [path for path, backend in listed if backend not in leaving]
        ours = [path for path, backend in listed if backend == (action, USE_ANNOTATION)]
        paths = [*(_path_to(name, path) for name in names for path in ours), *kept]
        same = paths == [path for path, _ in listed]
        changed.append(rule if same else {**rule, "http": {**rule["http"], "paths": paths}})
    return changed


def patterns_of(path: Mapping[str, Any]) -> int:
    """Count the path patterns that the load balancer controller makes of *path*: a prefix is the path itself, and all below it."""
    written = path.get("path") or ""
    if not written:
        return 0
    return 2 if path.get("pathType") == "Prefix" and written != "/" else 1


def _path_to(name: str, path: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {key: path[key] for key in ("path", "pathType") if key in path}
    return {**kept, "backend": {"service": {"name": name, "port": {"name": USE_ANNOTATION}}}}


def _paths(rule: Mapping[str, Any], at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    listed = entries(mapping(rule.get("http"), f"{at}.http").get("paths"), f"{at}.http.paths")
    for index, path in enumerate(listed):
        yield f"{at}.http.paths[{index}]", path


def _backend(path: Mapping[str, Any], at: str) -> tuple[str, str]:
    """Give the Service that *path* names, and the name of its port; empty where the backend is something else."""
    try:
        usual = path["backend"]["service"]
        name, port = usual["name"], usual["port"]["name"]
    except (KeyError, TypeError):
        pass
    else:
        if type(name) is str and type(port) is str:
            return name, port  # an Ingress may have hundreds of these
    service = mapping(mapping(path.get("backend"), f"{at}.backend").get("service"), f"{at}.backend.service")
    port = mapping(service.get("port"), f"{at}.backend.service.port")
    return text(service.get("name"), f"{at}.backend.service.name"), text(port.get("name"), f"{at}.backend.service.port.name")

"""How is a request about objects answered?"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from tiphys.devcluster import http_media, http_options, tables
from tiphys.devcluster.applying.apply import apply
from tiphys.devcluster.disruption import evict
from tiphys.devcluster.errors import StatusError, bad_request, details_of, not_found
from tiphys.devcluster.http_watch import Watch
from tiphys.devcluster.patching import APPLY, PatchKind, unsupported_media_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tiphys.devcluster.history import Stored
    from tiphys.devcluster.http_media import Answer
    from tiphys.devcluster.http_paths import Target
    from tiphys.devcluster.paging import Page
    from tiphys.devcluster.resources import ResourceType
    from tiphys.devcluster.rules import Admission
    from tiphys.devcluster.storage import Store
    from tiphys.devcluster.wire import Json

LARGEST_BODY = 3 * 1024 * 1024
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_JSON_HEADERS = {"Content-Type": "application/json"}


def not_allowed() -> StatusError:
    """Refuse a method that a path does not have (405)."""
    return StatusError(405, "the server does not allow this method on the requested resource", details={})


def _not_supported(verb: str, resource: ResourceType) -> StatusError:
    """Refuse a method that a custom resource does not have (405)."""
    details = {"group": resource.group, "kind": resource.plural}
    return StatusError(405, f'{verb} is not supported on resources of kind "{resource.qualified}"', details=details)


def no_such_resource() -> StatusError:
    """Say that nothing is served at a path (404)."""
    return StatusError(404, "the server could not find the requested resource", details={})


class Objects:
    """Answers requests about objects out of one store; `watches` are the streams that are open now."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.watches: set[Watch] = set()

    async def answer(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        """
        Answer one request.

        Raises:
            StatusError: it is refused.

        """
        _check_subresource(target)
        answer = http_media.accepted(request.headers.get("Accept", ""))
        match request.method:
            case "GET" | "HEAD":
                return await self._get(request, target, answer)
            case "POST":
                return await self._create(request, target, answer)
            case "PUT":
                return await self._update(request, target, answer)
            case "PATCH":
                return await self._patch(request, target, answer)
            case "DELETE":
                return await self._delete(request, target, answer)
        raise not_allowed()

    # -- reading ----------------------------------------------------------------------------------------------------

    async def _get(self, request: web.BaseRequest, target: Target, answer: Answer) -> web.StreamResponse:
        query = request.query
        if target.name and not target.watches:
            if target.subresource in ("finalize", "eviction"):
                raise not_allowed()
            stored = self.store.fetch(target.resource, target.name, namespace=target.namespace or "", subresource=target.subresource)
            return self._object(stored, target, answer, include=query.get("includeObject", ""))
        options = http_options.list_options(query, watch=target.watches)
        if options.watch:
            watch = Watch(self.store, target, options, answer, query.get("includeObject", ""))
            self.watches.add(watch)
            try:
                return await watch.serve(request)
            finally:
                self.watches.discard(watch)
        version = options.version
        if version is not None and version > self.store.version:
            why = f"Too large resource version: {version}, current: {self.store.version}"
            cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            raise StatusError(504, why, details={"causes": [cause], "retryAfterSeconds": 1})
        exact = options.match == "Exact" or (version and options.limit and options.match != "NotOlderThan")
        page = self.store.list(
            target.resource,
            namespace=target.namespace,
            labels=options.labels,
            fields=options.fields,
            limit=options.limit,
            continue_=options.continue_,
            at=version if exact else None,
        )
        return self._list(page, target, answer, include=query.get("includeObject", ""))

    def _list(self, page: Page, target: Target, answer: Answer, *, include: str = "") -> web.Response:
        resource = target.resource
        metadata: dict[str, Any] = {"resourceVersion": str(page.version)}
        if page.continue_:
            metadata["continue"] = page.continue_
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
        if answer.shown_as == "Table":
            body = tables.table(resource, page.items, metadata, self._view(answer, include))
            return _response(200, body, answer)
        if answer.shown_as:
            shown = [tables.partial(item, answer.version) for item in page.items]
            about = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{answer.version}"}
            body = {**about, "metadata": metadata, "items": shown}
            return _response(200, body, answer)
        if not resource.rules.strategic:
            metadata.setdefault("continue", "")
        head = {"kind": resource.list_kind or f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata}
        items = [item.as_item for item in page.items] if resource.rules.strategic else [item.encoded for item in page.items]
        raw = _encode(head)[:-1] + b',"items":[' + b",".join(items) + b"]}"
        return _raw(200, raw, answer)

    def _object(self, stored: Stored, target: Target, answer: Answer, *, status: int = 200, include: str = "") -> web.Response:
        if answer.shown_as == "Table":
            metadata = {"resourceVersion": str(stored.version)}
            body = tables.table(target.resource, [stored], metadata, self._view(answer, include))
            return _response(status, body, answer)
        if answer.shown_as:
            return _response(status, tables.partial(stored, answer.version), answer)
        return _raw(status, stored.encoded, answer)

    def _view(self, answer: Answer, include: str) -> tables.View:
        return tables.View(now=self.store.clock(), include=include, version=answer.version)

    # -- writing ----------------------------------------------------------------------------------------------------

    async def _create(self, request: web.BaseRequest, target: Target, answer: Answer) -> web.StreamResponse:
        resource = target.resource
        custom = not resource.rules.strategic
        if target.subresource == "eviction":
            return await self._evict(request, target, answer)
        if (target.name and not custom) or target.subresource:
            raise not_allowed()
        body, write = await self._written(request, target, "CreateOptions")
        if target.namespace is None and resource.namespaced:
            raise not_allowed()
        with _warning(write):
            stored = self.store.insert(body, write, namespace=target.namespace or "")
        return _warned(self._object(stored, target, answer, status=201), write)

    async def _evict(self, request: web.BaseRequest, target: Target, answer: Answer) -> web.StreamResponse:
        body = http_media.decoded(await _body(request), _media(request), target.resource)
        if ((body.get("metadata") or {}).get("name") or target.name) != target.name:
            raise bad_request("name in URL does not match name in Eviction object")
        options = http_options.delete_options(request.query, body.get("deleteOptions") or {})
        evict(
            self.store,
            target.name,
            namespace=target.namespace or "",
            grace_seconds=options.grace_seconds,
            preconditions=options.preconditions,
            dry_run=options.dry_run,
        )
        return _response(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, answer)

    async def _update(self, request: web.BaseRequest, target: Target, answer: Answer) -> web.StreamResponse:
        if not target.name:
            raise bad_request("name must be provided") if not target.resource.rules.strategic else not_allowed()
        body, write = await self._written(request, target, "UpdateOptions")
        with _warning(write):
            stored = self.store.replace(body, write, name=target.name, namespace=target.namespace or "")
        return _warned(self._object(stored, target, answer), write)

    async def _written(self, request: web.BaseRequest, target: Target, kind: str) -> tuple[dict[str, Any], Admission]:
        raw = await _body(request)
        options = http_options.write_options(request.query, request.headers.get("User-Agent", ""), kind)
        media = _media(request)
        body = http_media.decoded(raw, media, target.resource)
        write = self._admission(target, options)
        if "fieldValidation" in request.query and options.field_validation != "Ignore" and media in ("", http_media.JSON):
            write.duplicate_fields.extend(http_media.duplicates(raw))
        return body, write

    def _admission(self, target: Target, options: http_options.WriteOptions) -> Admission:
        write = self.store.admission(target.resource, manager=options.manager)
        write.dry_run = options.dry_run
        write.field_validation = options.field_validation
        write.subresource = target.subresource
        return write

    async def _patch(self, request: web.BaseRequest, target: Target, answer: Answer) -> web.StreamResponse:
        resource = target.resource
        if not target.name:
            raise not_allowed()
        media = _media(request)
        raw = await _body(request)
        if media == APPLY:
            return self._apply(raw, request, target, answer)
        try:
            kind = PatchKind(media)
        except ValueError as error:
            raise unsupported_media_type(resource) from error
        if kind is PatchKind.STRATEGIC and not resource.rules.strategic:
            raise unsupported_media_type(resource)
        options = http_options.write_options(request.query, request.headers.get("User-Agent", ""), "PatchOptions")
        if self.store.read(resource, target.name, target.namespace or "") is None:
            raise not_found(resource, target.name)
        try:
            body = _decode(raw)
        except msgspec.DecodeError as error:
            raise bad_request(f"error decoding patch: {http_media.go_words(raw)}") from error
        write = self._admission(target, options)
        with _warning(write):
            stored = self.store.amend(target.name, kind, body, write, namespace=target.namespace or "")
        return _warned(self._object(stored, target, answer), write)

    def _apply(self, raw: bytes, request: web.BaseRequest, target: Target, answer: Answer) -> web.StreamResponse:
        options = http_options.apply_options(request.query, request.headers.get("User-Agent", ""))
        write = self._admission(target, options)
        config = http_media.from_json_or_yaml(raw)
        with _warning(write):
            stored, created = apply(self.store, target.name, config, write, namespace=target.namespace or "", force=options.force)
        return _warned(self._object(stored, target, answer, status=201 if created else 200), write)

    # -- deleting ---------------------------------------------------------------------------------------------------

    async def _delete(self, request: web.BaseRequest, target: Target, answer: Answer) -> web.StreamResponse:
        resource = target.resource
        if target.subresource:
            raise not_allowed() if resource.rules.strategic else _not_supported("delete", resource)
        options = http_options.delete_options(request.query, await _delete_body(request, target))
        if not target.name:
            return await self._delete_collection(request, target, answer, options)
        outcome = self.store.delete(
            resource,
            target.name,
            namespace=target.namespace or "",
            propagation=options.propagation,
            preconditions=options.preconditions,
            grace_seconds=options.grace_seconds,
            dry_run=options.dry_run,
        )
        if not outcome.gone or resource.rules.answers_deleted:
            return self._object(outcome.stored, target, answer)
        details = {**details_of(resource, target.name), "uid": outcome.stored.manifest["metadata"]["uid"]}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return _response(200, status, answer)

    async def _delete_collection(
        self, request: web.BaseRequest, target: Target, answer: Answer, options: http_options.DeleteOptions
    ) -> web.StreamResponse:
        if "deletecollection" not in target.resource.verbs:
            raise not_allowed()
        chosen = http_options.list_options(request.query, watch=False)
        page = self.store.list(target.resource, namespace=target.namespace, labels=chosen.labels, fields=chosen.fields)
        self.store.delete_collection(
            target.resource,
            namespace=target.namespace,
            labels=chosen.labels,
            fields=chosen.fields,
            propagation=options.propagation,
            grace_seconds=options.grace_seconds,
            dry_run=options.dry_run,
        )
        return self._list(page, target, answer)


def _check_subresource(target: Target) -> None:
    """Only subresources that the kind has are served; custom resources say it as if the object were not there."""
    if target.subresource and target.subresource not in target.resource.subresources:
        if not target.resource.rules.strategic:
            raise not_found(target.resource, target.name)
        raise no_such_resource()


def _media(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip()


async def _body(request: web.BaseRequest) -> bytes:
    raw = await request.content.read()
    if len(raw) > LARGEST_BODY:
        raise StatusError(413, f"Request entity too large: limit is {LARGEST_BODY}", details={})
    return raw


async def _delete_body(request: web.BaseRequest, target: Target) -> Mapping[str, Any]:
    raw = await _body(request)
    if not raw:
        return {}
    media = _media(request)
    if media == http_media.PROTOBUF:
        body = http_media.from_protobuf(raw, target.resource, "DeleteOptions")
        if body["kind"] != "DeleteOptions":
            raise bad_request("decoded object cannot be converted to DeleteOptions")
    else:
        body = http_media.from_yaml(raw) if media == http_media.YAML else _read_json(raw, target)
    return body if isinstance(body, dict) else {}


def _read_json(raw: bytes, target: Target) -> Json:
    try:
        return _decode(raw)
    except msgspec.DecodeError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {http_media.go_words(raw)} (deleting {target.name})") from error


def _response(status: int, body: Json, answer: Answer) -> web.Response:
    return _raw(status, _encode(body), answer)


def _raw(status: int, raw: bytes, answer: Answer) -> web.Response:
    if answer.media == http_media.YAML:
        return web.Response(status=status, body=http_media.as_yaml(_decode(raw)), headers={"Content-Type": http_media.YAML})
    return web.Response(status=status, body=raw, headers=_JSON_HEADERS)


@contextmanager
def _warning(write: Admission) -> Iterator[None]:
    """Let a refusal take along what there was to warn of before it."""
    try:
        yield
    except StatusError as error:
        error.warnings = write.warnings
        raise


def _warned(response: web.Response, write: Admission) -> web.Response:
    _add_warnings(response, write.warnings)
    return response


def _add_warnings(response: web.Response, warnings: Sequence[str]) -> None:
    for text in warnings:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')


def refusal(error: StatusError) -> web.Response:
    """Give a refusal as an answer."""
    response = web.Response(status=error.code, body=_encode(error.wire()), headers=_JSON_HEADERS)
    _add_warnings(response, error.warnings)
    return response

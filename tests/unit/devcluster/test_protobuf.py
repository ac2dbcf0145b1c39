"""Is a protobuf body the same manifest as its JSON? (the samples are what Go's own serializers made of one object: tools/protobuf)"""

import json
import lzma
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protobuf_writer import varint, written
from tiphys.devcluster.kinds import install
from tiphys.devcluster.protobuf import Envelope, WireError, manifest, opened
from tiphys.devcluster.protobuf.leaves import LEAVES
from tiphys.devcluster.protobuf.table import table
from tiphys.devcluster.reviews import REVIEWS
from tiphys.devcluster.storage import Store

_LINES = lzma.decompress(Path(__file__).with_name("protobuf_samples.txt.xz").read_bytes()).decode().splitlines()
SAMPLES: list[tuple[dict[str, Any], bytes]] = [
    (json.loads(as_json), b64decode(as_protobuf)) for as_json, as_protobuf in zip(_LINES[::2], _LINES[1::2], strict=True)
]
SCALARS = {"string", "bytes", "bool", "int32", "int64", "float64"}


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A null says as much as an absent field."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def config_map(message: bytes) -> Envelope:
    return Envelope(api_version="v1", kind="ConfigMap", message=message)


@pytest.mark.parametrize("kind", sorted({(sample["apiVersion"], sample["kind"]) for sample, _ in SAMPLES}))
def test_a_body_is_the_same_manifest_as_its_json(kind: tuple[str, str]) -> None:
    of_kind = [(sample, raw) for sample, raw in SAMPLES if (sample["apiVersion"], sample["kind"]) == kind]

    assert [without_nulls(manifest(opened(raw))) for _, raw in of_kind] == [without_nulls(sample) for sample, _ in of_kind]
    assert len(of_kind) == 3  # every field set, every field there and zero, none there


def test_the_table_knows_every_kind_that_clients_may_send() -> None:
    store = Store()
    install(store)
    served = {(resource.api_version, resource.kind) for resource in store.registry}
    reviews = {(f"{group}/{version}", kind) for group, version, _, kind, _ in REVIEWS}

    beside = {("v1", "DeleteOptions"), ("autoscaling/v1", "Scale"), ("policy/v1", "Eviction")}

    sampled = {(sample["apiVersion"], sample["kind"]) for sample, _ in SAMPLES}
    assert set(table().kinds) == served | reviews | beside == sampled, "name the kind in tools/protobuf/main.go, then `make protobuf`"


def test_the_table_leads_nowhere_that_it_does_not_know() -> None:
    named = {*table().kinds.values(), *(field.type for fields in table().messages.values() for field in fields.values())}

    assert named - SCALARS == table().messages.keys() | LEAVES.keys()


def test_delete_options_go_by_the_name_of_any_group_version() -> None:
    options = Envelope(api_version="policy/v1", kind="DeleteOptions", message=written(4, b"Background"))

    assert manifest(options) == {"apiVersion": "policy/v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}


def test_what_other_writers_do_is_read_too() -> None:
    numbers_in_a_row, from_the_future = written(4, b"\x01\x02"), written(1999, b"?")
    pod = Envelope(api_version="v1", kind="Pod", message=written(2, written(14, numbers_in_a_row)) + from_the_future)

    assert manifest(pod)["spec"] == {"securityContext": {"supplementalGroups": [1, 2]}}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "1970-01-01T00:00:00Z"), (-1, "1969-12-31T23:59:59Z"), (-62135596799, "0001-01-01T00:00:01Z")],
)
def test_a_time_counts_seconds_since_1970(seconds: int, shown: str) -> None:
    creation = written(8, b"\x08" + varint(seconds & 0xFFFF_FFFF_FFFF_FFFF))

    assert manifest(config_map(written(1, creation)))["metadata"] == {"creationTimestamp": shown}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty data"),
        (b"{}", "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"),
        (b"k8s\0", "empty body"),
        (b"k8s\0\x0a\x7f", "unexpected EOF"),
        (b"k8s\0" + b"\xff" * 11, "proto: integer overflow"),
        (b"k8s\0\x04", "proto: Unknown: wiretype end group for non-group"),
        (b"k8s\0\x02\x00", "proto: Unknown: illegal tag 0 (wire type 2)"),
        (b"k8s\0\x0f", "proto: illegal wireType 7"),
    ],
)
def test_a_body_without_an_envelope_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(WireError) as error:
        opened(raw)

    assert str(error.value) == words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (config_map(b"\x08\x01"), "proto: wrong wireType = 0 for field Metadata"),
        (config_map(b"\x0a\x05\x0a"), "unexpected EOF"),
        (config_map(b"\x0a" + b"\xff" * 9 + b"\x01"), "proto: negative length found during unmarshaling"),
        (Envelope(api_version="v1", kind="Nothing", message=b""), 'no kind "Nothing" is registered for version "v1" in scheme'),
    ],
)
def test_a_message_that_is_none_of_its_kind_is_refused(body: Envelope, words: str) -> None:
    with pytest.raises(WireError) as error:
        manifest(body)

    assert str(error.value).startswith(words)


def test_a_schema_within_schemas_without_end_is_refused() -> None:
    schema = b""
    for _ in range(500):
        schema = written(28, schema)  # "not"
    definition = written(2, written(7, written(4, written(1, schema))))  # spec.versions[0].schema.openAPIV3Schema

    with pytest.raises(WireError) as error:
        manifest(Envelope(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition", message=definition))

    assert str(error.value) == "proto: exceeded maximum recursion depth"


@settings(max_examples=60)
@given(sample=st.sampled_from(SAMPLES), data=st.data())
def test_damaged_bodies_are_read_or_refused_and_nothing_else(sample: tuple[dict[str, Any], bytes], data: st.DataObject) -> None:
    damaged = bytearray(sample[1][: data.draw(st.integers(4, 600))])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    try:
        found = manifest(opened(bytes(damaged)))
    except WireError:
        return
    assert json.loads(json.dumps(found)) == found

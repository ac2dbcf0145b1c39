"""Protobuf as typed Go clients write it, as far as tests have to write some by hand."""


def written(number: int, value: bytes) -> bytes:
    """Write one field of bytes."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def enveloped(api_version: str, kind: str, message: bytes) -> bytes:
    """Write what a request carries: *message* in an envelope that names its kind."""
    named = written(1, api_version.encode()) + written(2, kind.encode())
    return b"k8s\0" + written(1, named) + written(2, message)


def config_map(name: str, **data: str) -> bytes:
    """Write a whole ConfigMap."""
    items = [written(2, written(1, key.encode()) + written(2, value.encode())) for key, value in data.items()]
    return enveloped("v1", "ConfigMap", written(1, written(1, name.encode())) + b"".join(items))


def varint(value: int) -> bytes:
    """Write a number that is not negative."""
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)

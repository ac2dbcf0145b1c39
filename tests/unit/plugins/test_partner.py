"""Which routers may the operator name, and how are the others refused?"""

from pathlib import Path

import pytest

from tiphys.kube.errors import ConfigError
from tiphys.plugins.partner import Partner, partners_of, stays_inside


def test_flags_and_file_are_taken_together(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    config = tmp_path / "routers.yaml"
    config.write_text(
        "routerPlugins:\n- {name: b/router, url: 'https://router.example:8443/base', tokenFile: token, timeoutSeconds: 2.5}\n"
    )

    assert partners_of(["a/router=http://router.routers.svc:8080"], config) == (
        Partner(name="a/router", url="http://router.routers.svc:8080"),
        Partner(name="b/router", url="https://router.example:8443/base", token_file=tmp_path / "token", seconds=2.5),
    )


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("a/router", "--router-plugin: found 'a/router', wanted NAME=URL"),
        ("=http://localhost", "--router-plugin: name: found ''"),
        ("a b=http://localhost", "--router-plugin: a b: name: found 'a b'"),
        ("argoproj-labs/gatewayAPI=http://localhost", "wanted another name: this router is built in"),
        ("a=ftp://localhost", "a: url: found ftp://localhost"),
        ("a=http://", "a: url: found"),
        ("a=http://[::1", "a: url: found no address"),
        ("a=http://localhost:99999", "a: url: found no address"),
        ("a=http://router.example:80", "wanted https, or http to this machine or to a Service of the cluster (NAME.NAMESPACE.svc)"),
        ("a=https://user:secret@router.example", "wanted an address without user, query and fragment"),
        ("a=https://router.example?token=secret", "wanted an address without user, query and fragment"),
    ],
)
def test_what_cannot_be_talked_to_is_refused(pair: str, says: str) -> None:
    with pytest.raises(ConfigError) as told:
        partners_of([pair], None)

    assert says in str(told.value)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("routerPlugins: [{name: a, url: 'http://localhost', caFile: missing.pem}]", "a: caFile: found"),
        ("routerPlugins: [{name: a, url: 'http://localhost', tokenFile: missing}]", "a: tokenFile: found"),
        ("routerPlugins: [{name: a, url: 'http://localhost', timeoutSeconds: 0}]", "a: timeoutSeconds: found 0, wanted more than 0"),
        ("routerPlugins: [{name: a, url: 'http://localhost', timeoutSeconds: 900}]", "a: timeoutSeconds: found 900"),
        ("routerPlugins: [{name: a, url: 'http://localhost'}, {name: a, url: 'http://localhost'}]", "wanted each router once"),
        ("routerPlugins: [{name: a, url: 'http://localhost', token: secret}]", "found another form"),
        ("routerPlugins: {}", "found another form"),
        ("- [", "found another form"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, says: str) -> None:
    config = tmp_path / "routers.yaml"
    config.write_text(text)

    with pytest.raises(ConfigError) as told:
        partners_of([], config)

    assert says in str(told.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        partners_of([], tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("localhost", True),
        ("127.9.8.7", True),
        ("::1", True),
        ("router", True),
        ("router.routers.svc", True),
        ("router.routers.svc.cluster.local", True),
        ("router.example", False),
        ("svc.example.com", False),
        ("10.0.0.7", False),
        ("a.b.c.svc", False),
    ],
)
def test_plain_http_stays_inside(host: str, *, inside: bool) -> None:
    assert stays_inside(host) is inside

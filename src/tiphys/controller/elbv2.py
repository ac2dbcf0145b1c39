"""What does an AWS load balancer really do: which target groups, with which weights, and which targets in which state?"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any, Final, Protocol

from tiphys.api.meta import Manifest
from tiphys.controller.inquiries import AskError
from tiphys.kube.clock import Clock

LISTING_SECONDS: Final = 300.0
"""How long the names of load balancers are believed. A name is given to one load balancer only, so it ages only by being gone."""
UNKNOWN_SECONDS: Final = 20.0
"""How long it is believed that a name is nobody's: a load balancer may be on its way."""
LOAD_BALANCERS_A_PAGE: Final = 300
OTHERS_A_PAGE: Final = 400
TAGS_AT_ONCE: Final = 20
"""So many resources may be asked about in one request for tags."""
ATTEMPTS: Final = 6
CONNECT_SECONDS: Final = 4
READ_SECONDS: Final = 8
THREADS: Final = 4


class Pages(Protocol):
    """Reads an answer of several pages."""

    def paginate(self, **request: object) -> Iterable[Mapping[str, Any]]:
        """Give the pages one by one."""


class Elbv2(Protocol):
    """The client of AWS's own library, as far as it is needed here."""

    meta: Any
    exceptions: Any

    def get_paginator(self, operation: str) -> Pages:
        """Give what reads all pages of an operation."""

    def describe_tags(self, **request: object) -> Mapping[str, Any]:
        """Give the tags of resources."""

    def describe_target_health(self, **request: object) -> Mapping[str, Any]:
        """Give the targets of a target group."""


class LoadBalancers:
    """
    Asks ELBv2 about one load balancer at a time, by the DNS name that stands in an Ingress.

    Credentials, region and endpoint come from where every AWS tool looks for them. The library blocks, so it works in threads; it slows
    down by itself when AWS throttles. Only names are kept between two questions: weights and targets are always asked anew, because an
    answer of before a write confirms nothing.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        connect: Callable[[], Elbv2] | None = None,
        load_balancers_a_page: int = LOAD_BALANCERS_A_PAGE,
        others_a_page: int = OTHERS_A_PAGE,
    ) -> None:
        self._clock = clock
        self._connect = connect or elbv2_client
        self._first_page = load_balancers_a_page
        self._page = others_a_page
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="elbv2")
        self._making = Lock()
        self._client: Elbv2 | None = None
        self._listing = Lock()
        self._listed: tuple[float, Mapping[str, Mapping[str, Any]]] | None = None
        self._closed = Event()

    async def ask(self, request: Mapping[str, Any]) -> Manifest:
        """
        Give what the load balancer does whose DNS name is the request's `hostname`.

        `loadBalancer` has `name`, `arn` and `fullName`, or is nothing where there is none of that name; `targetGroups` have `arn`,
        `fullName`, `name`, `tags`, `targetType` and `targets` (with `id`, `port` and `state`); `rules` have `listener`, `priority` and,
        by ARN, the weights of their `targetGroups`.

        Raises:
            AskError: AWS could not be asked, or refused.

        """
        hostname = request.get("hostname")
        if not isinstance(hostname, str) or not hostname:
            raise AskError(f"hostname: found {hostname!r}, wanted the DNS name of a load balancer")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, hostname.lower())

    async def close(self) -> None:
        """Ask nothing more."""
        self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # In a thread

    def _read(self, hostname: str) -> Manifest:
        try:
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - installed only where AWS is asked
        except ModuleNotFoundError as error:
            raise AskError("found no botocore, wanted what `pip install 'tiphys[aws]'` installs") from error
        try:
            client = self._connected()
            found = self._find(client, hostname)
            return _nobody() if found is None else self._describe(client, found)
        except ClientError as error:
            said = error.response.get("Error", {})
            if said.get("Code") == "LoadBalancerNotFound":
                self._listed = None
                return _nobody()
            raise AskError(f"{error.operation_name}: {said.get('Code')}: {said.get('Message')}") from error
        except BotoCoreError as error:
            raise AskError(str(error)) from error

    def _connected(self) -> Elbv2:
        """Make the client, once: reading the description of the API takes a while."""
        with self._making:
            if self._client is None:
                client = self._connect()
                client.meta.events.register("before-send", self._before_send)
                self._client = client
            return self._client

    def _before_send(self, **_request: object) -> None:
        """End what is still tried again when the controller stops."""
        if self._closed.is_set():
            raise AskError("the controller is stopping")

    def _find(self, client: Elbv2, hostname: str) -> Mapping[str, Any] | None:
        """Find a load balancer by its name, in a listing that serves all questions for a while."""
        with self._listing:
            now = self._clock.monotonic()
            if self._listed is not None:
                age = now - self._listed[0]
                if age < (LISTING_SECONDS if hostname in self._listed[1] else UNKNOWN_SECONDS):
                    return self._listed[1].get(hostname)
            everything = _all(client, "describe_load_balancers", "LoadBalancers", self._first_page)
            self._listed = (now, {str(each.get("DNSName", "")).lower(): each for each in everything})
            return self._listed[1].get(hostname)

    def _describe(self, client: Elbv2, found: Mapping[str, Any]) -> Manifest:
        arn = found["LoadBalancerArn"]
        listeners = list(_all(client, "describe_listeners", "Listeners", self._page, LoadBalancerArn=arn))
        rules = [
            _rule(listener["ListenerArn"], rule)
            for listener in listeners
            for rule in _all(client, "describe_rules", "Rules", self._page, ListenerArn=listener["ListenerArn"])
        ]
        groups = self._groups(client, arn)
        tags = _tags(client, [group["TargetGroupArn"] for group in groups])
        return {
            "loadBalancer": {"name": found["LoadBalancerName"], "arn": arn, "fullName": "/".join(arn.split("/")[2:])},
            "targetGroups": [_group(client, group, tags.get(group["TargetGroupArn"], {})) for group in groups],
            "rules": rules,
        }

    def _groups(self, client: Elbv2, arn: str) -> list[Mapping[str, Any]]:
        """Read the target groups; that there are none may be told as an error."""
        try:
            return list(_all(client, "describe_target_groups", "TargetGroups", self._page, LoadBalancerArn=arn))
        except client.exceptions.TargetGroupNotFoundException:
            return []


def elbv2_client(**given: str) -> Elbv2:
    """
    Make a client of AWS's own library.

    *given* are arguments of its `create_client`; what is not given comes from where every AWS tool looks for it.
    """
    from botocore.config import Config  # noqa: PLC0415 - installed only where AWS is asked
    from botocore.session import get_session  # noqa: PLC0415

    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        user_agent_extra="tiphys",
    )
    return get_session().create_client("elbv2", config=config, **given)  # type: ignore[no-any-return]


def _all(client: Elbv2, operation: str, field: str, page: int, **request: object) -> Iterator[Mapping[str, Any]]:
    for answer in client.get_paginator(operation).paginate(**request, PaginationConfig={"PageSize": page}):
        yield from answer.get(field) or ()


def _tags(client: Elbv2, arns: list[str]) -> Mapping[str, Mapping[str, str]]:
    tags: dict[str, Mapping[str, str]] = {}
    for start in range(0, len(arns), TAGS_AT_ONCE):
        answer = client.describe_tags(ResourceArns=arns[start : start + TAGS_AT_ONCE])
        for each in answer.get("TagDescriptions") or ():
            tags[each["ResourceArn"]] = {tag["Key"]: tag.get("Value", "") for tag in each.get("Tags") or ()}
    return tags


def _group(client: Elbv2, group: Mapping[str, Any], tags: Mapping[str, str]) -> Manifest:
    arn = group["TargetGroupArn"]
    answer = client.describe_target_health(TargetGroupArn=arn)
    return {
        "arn": arn,
        "fullName": "/".join(arn.split("/")[1:]),
        "name": group["TargetGroupName"],
        "tags": dict(tags),
        "targetType": group.get("TargetType", "instance"),
        "targets": [_target(each) for each in answer.get("TargetHealthDescriptions") or ()],
    }


def _target(described: Mapping[str, Any]) -> Manifest:
    target = described.get("Target") or {}
    return {"id": target.get("Id", ""), "port": target.get("Port", 0), "state": (described.get("TargetHealth") or {}).get("State", "")}


def _rule(listener: str, rule: Mapping[str, Any]) -> Manifest:
    """Give the weights of a rule; a forward to a single group has none, and means all."""
    weights: dict[str, int] = {}
    for action in rule.get("Actions") or ():
        if action.get("Type") != "forward":
            continue
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or ()
        for group in groups:
            weights[group["TargetGroupArn"]] = group.get("Weight", 1)
        if not groups and action.get("TargetGroupArn"):
            weights[action["TargetGroupArn"]] = 1
    return {"listener": listener, "priority": rule.get("Priority", "default"), "targetGroups": weights}


def _nobody() -> Manifest:
    return {"loadBalancer": None, "targetGroups": [], "rules": []}

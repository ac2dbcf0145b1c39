"""Does the controller get from AWS what a load balancer really does?"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from xml.sax.saxutils import escape

import pytest
from aiohttp import web

from moto_server import Balancing, client_of, moto_server
from tiphys.api.meta import Manifest
from tiphys.controller.elbv2 import LoadBalancers
from tiphys.controller.inquiries import AskError
from tiphys.kube.clock import SystemClock

NOBODY: Final[Manifest] = {"loadBalancer": None, "targetGroups": [], "rules": []}


@pytest.fixture(scope="module")
def aws() -> Iterator[Balancing]:
    with moto_server() as url:
        yield Balancing(url)


@asynccontextmanager
async def asking(url: str, *, a_page: int = 400) -> AsyncIterator[LoadBalancers]:
    asker = LoadBalancers(SystemClock(), connect=partial(client_of, url), load_balancers_a_page=min(a_page, 300), others_a_page=a_page)
    try:
        yield asker
    finally:
        await asker.close()


async def ask(url: str, hostname: str, *, a_page: int = 400) -> Manifest:
    async with asking(url, a_page=a_page) as asker:
        return await asker.ask({"hostname": hostname})


async def test_weights_targets_and_tags_of_one_load_balancer_and_no_other(aws: Balancing) -> None:
    shop, other = aws.load_balancer("shop"), aws.load_balancer("other")
    stable, canary = aws.target_group("shop-stable", resource="default/shop-stable:80"), aws.target_group("shop-canary")
    foreign = aws.target_group("foreign")
    aws.listener(other["LoadBalancerArn"], 80, {foreign: 1})
    http = aws.listener(shop["LoadBalancerArn"], 80, {stable: 1})
    aws.rule(http, 3, "/shop", {stable: 80, canary: 20})
    aws.elb.register_targets(TargetGroupArn=canary, Targets=[{"Id": "172.31.0.7", "Port": 8080}])

    answer = await ask(aws.url, shop["DNSName"].upper())

    arn = shop["LoadBalancerArn"]
    assert answer["loadBalancer"] == {"name": "shop", "arn": arn, "fullName": f"shop/{arn.rpartition('/')[2]}"}
    assert answer["rules"] == [
        {"listener": http, "priority": "3", "targetGroups": {stable: 80, canary: 20}},
        {"listener": http, "priority": "default", "targetGroups": {stable: 1}},
    ]
    assert sorted(answer["targetGroups"], key=lambda group: str(group["name"]), reverse=True) == [
        {
            "arn": stable,
            "fullName": f"shop-stable/{stable.rpartition('/')[2]}",
            "name": "shop-stable",
            "tags": {"resource": "default/shop-stable:80"},
            "targetType": "ip",
            "targets": [],
        },
        {
            "arn": canary,
            "fullName": f"shop-canary/{canary.rpartition('/')[2]}",
            "name": "shop-canary",
            "tags": {},
            "targetType": "ip",
            "targets": [{"id": "172.31.0.7", "port": 8080, "state": "healthy"}],
        },
    ]


async def test_what_changes_is_asked_anew_and_what_is_gone_is_nobody(aws: Balancing) -> None:
    made = aws.load_balancer("moving")
    one, two = aws.target_group("moving-1"), aws.target_group("moving-2")
    listener = aws.listener(made["LoadBalancerArn"], 80, {one: 1})
    rule = aws.rule(listener, 1, "/", {one: 100, two: 0})

    async with asking(aws.url) as asker:
        before = await asker.ask({"hostname": made["DNSName"]})
        aws.elb.modify_rule(RuleArn=rule, Actions=[{"Type": "forward", "TargetGroupArn": two}])
        after = await asker.ask({"hostname": made["DNSName"]})
        aws.elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
        gone = await asker.ask({"hostname": made["DNSName"]})

    assert before["rules"][0]["targetGroups"] == {one: 100, two: 0}
    assert after["rules"][0]["targetGroups"] == {two: 1}
    assert gone == NOBODY


async def test_a_load_balancer_that_does_not_exist(aws: Balancing) -> None:
    assert await ask(aws.url, "nobody-1.eu-central-1.elb.amazonaws.com") == NOBODY


async def test_many_load_balancers_come_page_by_page(aws: Balancing) -> None:
    names = [aws.load_balancer(f"one-of-many-{number}")["DNSName"] for number in range(5)]

    answer = await ask(aws.url, names[-1], a_page=2)

    assert answer["loadBalancer"]["name"] == "one-of-many-4"


async def test_a_request_without_a_name_and_an_endpoint_that_nobody_serves() -> None:
    with pytest.raises(AskError, match="hostname: found None, wanted the DNS name of a load balancer"):
        async with asking("http://127.0.0.1:1") as asker:
            await asker.ask({})


# What moto does not do: pages of everything, throttling, refusals

Handler = Callable[[str, dict[str, str]], tuple[int, str]]
ARN: Final = "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/shop/1"
NAME: Final = "shop-1.eu-central-1.elb.amazonaws.com"


def member(**fields: str) -> str:
    return "<member>" + "".join(f"<{key}>{value}</{key}>" for key, value in fields.items()) + "</member>"


def many(action: str, field: str, members: list[str], form: dict[str, str], *, a_page: int) -> str:
    """Answer one page; the marker is the number of the next member."""
    start = int(form.get("Marker", 0))
    more = f"<NextMarker>{start + a_page}</NextMarker>" if start + a_page < len(members) else ""
    body = f"<{field}>{''.join(members[start : start + a_page])}</{field}>{more}"
    return f"<{action}Response><{action}Result>{body}</{action}Result></{action}Response>"


def shop(action: str, form: dict[str, str], *, a_page: int = 5) -> tuple[int, str]:
    """A load balancer with 21 target groups and as many rules."""
    numbers = range(21)
    match action:
        case "DescribeLoadBalancers":
            answer = many(
                action, "LoadBalancers", [member(LoadBalancerArn=ARN, LoadBalancerName="shop", DNSName=NAME)], form, a_page=a_page
            )
        case "DescribeListeners":
            answer = many(action, "Listeners", [member(ListenerArn=f"listener-{number}") for number in range(6)], form, a_page=a_page)
        case "DescribeRules":
            forwards = [
                f"<member><Type>forward</Type><TargetGroupArn>a/group-{number}/{number}</TargetGroupArn></member>" for number in numbers
            ]
            rules = [member(Priority=str(number), Actions=forwards[number]) for number in numbers]
            answer = many(action, "Rules", rules, form, a_page=a_page)
        case "DescribeTargetGroups":
            groups = [member(TargetGroupArn=f"a/group-{number}/{number}", TargetGroupName=f"group-{number}") for number in numbers]
            answer = many(action, "TargetGroups", groups, form, a_page=a_page)
        case "DescribeTags":
            asked = [value for key, value in form.items() if key.startswith("ResourceArns.")]
            assert len(asked) <= 20, "AWS refuses more"
            tags = "<Tags><member><Key>is</Key><Value>{}</Value></member></Tags>"
            answer = many(
                action,
                "TagDescriptions",
                [f"<member><ResourceArn>{arn}</ResourceArn>{tags.format(escape(arn))}</member>" for arn in asked],
                {},
                a_page=99,
            )
        case "DescribeTargetHealth":
            answer = many(action, "TargetHealthDescriptions", [], form, a_page=a_page)
        case _:
            raise AssertionError(f"nobody may ask for {action}")
    return 200, answer


@asynccontextmanager
async def fake_aws(handler: Handler, calls: list[str]) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        calls.append(form["Action"])
        status, body = handler(form["Action"], form)
        return web.Response(status=status, text=body, content_type="text/xml")

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def refusal(code: str, message: str) -> tuple[int, str]:
    return 400, f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"


async def test_everything_is_read_page_by_page() -> None:
    calls: list[str] = []
    async with fake_aws(shop, calls) as url:
        answer = await ask(url, NAME)

    assert [group["name"] for group in answer["targetGroups"]] == [f"group-{number}" for number in range(21)]
    assert {group["name"]: group["tags"] for group in answer["targetGroups"]}["group-20"] == {"is": "a/group-20/20"}
    assert len(answer["rules"]) == 6 * 21
    assert answer["rules"][-1] == {"listener": "listener-5", "priority": "20", "targetGroups": {"a/group-20/20": 1}}
    assert calls.count("DescribeTags") == 2
    assert calls.count("DescribeListeners") == 2


async def test_throttling_is_survived() -> None:
    calls: list[str] = []

    def throttled(action: str, form: dict[str, str]) -> tuple[int, str]:
        if action == "DescribeListeners" and calls.count(action) <= 2:
            return refusal("Throttling", "Rate exceeded")
        return shop(action, form)

    async with fake_aws(throttled, calls) as url:
        answer = await ask(url, NAME)

    assert len(answer["rules"]) == 6 * 21
    assert calls.count("DescribeListeners") == 2 + 2


async def test_names_are_listed_once_for_many_questions() -> None:
    calls: list[str] = []
    async with fake_aws(shop, calls) as url, asking(url) as asker:
        await asyncio.gather(*(asker.ask({"hostname": name}) for name in (NAME, NAME, "nobody-1.example", "nobody-2.example")))

    assert calls.count("DescribeLoadBalancers") == 1


async def test_a_refusal_is_told_in_the_words_of_aws() -> None:
    calls: list[str] = []

    def refused(action: str, form: dict[str, str]) -> tuple[int, str]:
        return refusal("AccessDenied", "not authorised to describe rules") if action == "DescribeRules" else shop(action, form)

    async with fake_aws(refused, calls) as url:
        with pytest.raises(AskError, match="DescribeRules: AccessDenied: not authorised to describe rules"):
            await ask(url, NAME)

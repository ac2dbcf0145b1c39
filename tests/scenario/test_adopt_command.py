"""`tiphys adopt --check` reads what kubectl writes, knows the controller's options, and says what is missing."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import pytest
import yaml
from click.testing import CliRunner, Result

from router_server import RouterServer
from scenarios import PAUSE_STEP, old_dump, told, weight
from takeover.leaving import NEW_FORM
from takeover.routed import ROUTED
from takeover.states import arrive
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.cli.adopt import adopt
from tiphys.cli.main import root
from tiphys.cli.run import controller
from tiphys.cli.taken import NUMBERS, TEXTS

STEPS: Final = (weight(20), PAUSE_STEP, weight(60), PAUSE_STEP)


def command(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(root, ["adopt", "--check", *arguments], input=given, obj={})


def verdicts(result: Result) -> dict[str, str]:
    return {f"{each['namespace']}/{each['name']}": each["verdict"] for each in json.loads(result.stdout)}


@pytest.fixture(scope="module")
def paused() -> list[Manifest]:
    story = told(*STEPS)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    story.rest()
    return old_dump(story)


def listed(objects: list[Manifest]) -> str:
    """Write a dump as `kubectl get -o json` does."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=4)


def of_kind(objects: list[Manifest], kind: str) -> list[Manifest]:
    return [each for each in objects if each["kind"] == kind]


def without(objects: list[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in objects if each["kind"] not in kinds]


# --- what kubectl writes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        lambda objects: yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": objects}),
        yaml.safe_dump_all,
        listed,
        lambda objects: "\n---\n".join(
            yaml.safe_dump(
                {
                    "apiVersion": of_kind(objects, kind)[0]["apiVersion"],
                    "kind": f"{kind}List",
                    "items": [
                        {key: value for key, value in each.items() if key not in {"apiVersion", "kind"}} for each in of_kind(objects, kind)
                    ],
                }
            )
            for kind in ("Rollout", "ReplicaSet", "Service", "EndpointSlice", "VirtualService")
        ),
    ],
    ids=["List in YAML", "many documents", "List in JSON", "a list of each kind"],
)
def test_a_dump_in_any_form_is_read(written: Callable[[list[Manifest]], str], paused: list[Manifest]) -> None:
    result = command("-f", "-", "--json", given=written(paused))

    assert (result.exit_code, verdicts(result)) == (0, {"default/web": "nothing"}), result.output


def test_several_files_are_one_cluster(tmp_path: Path, paused: list[Manifest]) -> None:
    routes = {"VirtualService", "EndpointSlice"}
    (tmp_path / "first.yaml").write_text(listed(without(paused, *routes)))
    (tmp_path / "second.yaml").write_text(listed([each for each in paused if each["kind"] in routes]))

    result = command("-f", str(tmp_path / "first.yaml"), "-f", str(tmp_path / "second.yaml"))

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "  ROLLOUT      PHASE   VERDICT  WRITES  WHY",
        "✔ default/web  Paused  nothing  -       step 1: a pause step is running (wanted to be promoted, found running)",
        "",
        "1 rollout: 1 nothing (nothing is written)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "found no object, wanted what `kubectl get ... -o yaml` prints"),
        ("{apiVersion: v1, kind: List, items: []}", "found no object, wanted what"),
        ("{apiVersion: v1, kind: List, items: [1]}", "document 1: items[0]: found no object, wanted one"),
        ("{apiVersion: apps/v1, kind: ReplicaSet, metadata: {}}", "document 1: metadata.name: found null, wanted text"),
        ("a: [", "malformed YAML"),
        ("{apiVersion: v1, kind: Service, metadata: {name: a}}", "no Rollout found"),
    ],
)
def test_what_is_no_dump_is_told(text: str, problem: str) -> None:
    result = command("-f", "-", given=text)

    assert (result.exit_code, result.stdout) == (1, "")
    assert problem in str(result.exception)


# --- what is missing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ReplicaSet", "Service", "EndpointSlice"])
def test_a_dump_without_what_there_must_be_proves_nothing(kind: str, paused: list[Manifest]) -> None:
    result = command("-f", "-", "--json", given=listed(without(paused, kind)))

    (told_of,) = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (told_of["verdict"], told_of["missing"]) == ("stop", [kind])
    assert f"no object of kind {kind} was given, and this Rollout has some" in told_of["reasons"]
    assert f"Note: no {kind} among the objects: they do not show the whole cluster" in result.stderr


def test_routes_that_are_missing_are_refused_and_named(paused: list[Manifest]) -> None:
    result = command("-f", "-", "--json", given=listed(without(paused, "VirtualService")))

    (told_of,) = json.loads(result.stdout)
    assert (result.exit_code, told_of["empty"]) == (1, ["VirtualService"])
    assert told_of["refusals"][0].startswith("spec.strategy.canary.trafficRouting.istio.virtualService.name: ")
    assert "Note: no VirtualService among the objects: right only if the cluster has none" in result.stderr


def test_an_update_that_nobody_has_begun_is_told_from_a_template_that_is_not_recognised(paused: list[Manifest]) -> None:
    objects = json.loads(json.dumps(paused))
    rollout = of_kind(objects, "Rollout")[0]
    rollout["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/web:3"

    unknown = command("-f", "-", "--json", given=listed(objects))
    rollout["metadata"]["generation"] = 7
    edited = command("-f", "-", "--json", given=listed(objects))

    assert verdicts(unknown) == verdicts(edited) == {"default/web": "stop"}
    assert "an update that nobody has begun yet" not in unknown.stdout
    assert "the spec is of generation 7 and 2 was looked at last" in edited.stdout


def test_a_restart_cannot_be_judged_without_pods() -> None:
    objects = old_dump(told(*STEPS))
    of_kind(objects, "Rollout")[0]["spec"]["restartAt"] = "2021-01-01T00:00:00Z"

    with_pods = command("-f", "-", "--json", given=listed(objects))
    blind = command("-f", "-", "--json", given=listed(without(objects, "Pod")))

    assert verdicts(with_pods) == {"default/web": "step"}
    assert "spec.restartAt asks for it" in with_pods.stdout
    assert json.loads(blind.stdout)[0]["missing"] == ["Pod"]


# --- at three in the morning -----------------------------------------------------------------------------------------------------


def named(objects: list[Manifest], namespace: str) -> list[Manifest]:
    text = json.dumps([each for each in objects if "namespace" in each["metadata"]])
    for place, uid in enumerate(sorted({each["metadata"]["uid"] for each in objects})):
        text = text.replace(uid, f"{namespace}-{place}")
    return list(json.loads(text.replace('"namespace": "default"', f'"namespace": "{namespace}"')))


def fleet(paused: list[Manifest]) -> list[Manifest]:
    """Give one that rests, one whose next weight is due, and one that asks for what is not carried out."""
    due, refused = named(paused, "due"), named(paused, "refused")
    due_rollout, refused_rollout = of_kind(due, "Rollout")[0], of_kind(refused, "Rollout")[0]
    due_rollout["status"] |= {"currentStepIndex": 2, "pauseConditions": [], "controllerPause": False, "phase": "Progressing"}
    refused_rollout["spec"]["strategy"]["canary"]["steps"].append({"plugin": {"name": "example.com/step"}})
    return [*named(paused, "calm"), *due, *refused]


def test_the_worst_comes_first_then_every_write_then_a_line_that_sums_it_up(paused: list[Manifest]) -> None:
    result = command("-f", "-", given=listed(fleet(paused)))

    lines = result.stdout.splitlines()
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["✖", "refused/web", "Paused", "stop"],
        ["•", "due/web", "Progressing", "step"],
        ["✔", "calm/web", "Paused", "nothing"],
    ]
    assert "spec.strategy.canary.steps[4].plugin" in lines[1]
    assert max(map(len, lines[:4])) <= 180
    assert "✖ refused/web: must be looked at first" in lines
    start = lines.index("• due/web: goes on with what is under way")
    assert lines[start + 1].endswith("would go from 1 to 3 pods")
    assert lines[start + 2].startswith("    would patch ReplicaSet due/web-")
    assert lines[-1] == (
        "3 rollouts: 1 stop (must be looked at first), 1 step (goes on with what is under way), 1 nothing (nothing is written)"
    )
    assert result.exit_code == 1
    assert str(result.exception) == "not to be taken over like this: refused/web"


def test_namespace_selector_and_instance_id_choose_rollouts(paused: list[Manifest]) -> None:
    objects = fleet(paused)
    rollouts = of_kind(objects, "Rollout")
    rollouts[0]["metadata"]["labels"] = {"team": "shop"}
    rollouts[1]["metadata"]["labels"] = {names.INSTANCE_ID_LABEL: "blue"}
    given = listed(objects)

    assert verdicts(command("-f", "-", "--json", given=given)) == {"calm/web": "nothing", "refused/web": "stop"}
    assert verdicts(command("-f", "-", "--json", "--instance-id", "blue", given=given)) == {"due/web": "step"}
    assert verdicts(command("-f", "-", "--json", "-n", "refused", given=given)) == {"refused/web": "stop"}
    assert verdicts(command("-f", "-", "--json", "-l", "team=shop", given=given)) == {"calm/web": "nothing"}
    assert verdicts(command("-f", "-", "--json", "-l", "team!=shop", given=given)) == {"refused/web": "stop"}
    assert verdicts(command("-f", "-", "--json", "-l", "!team", given=given)) == {"refused/web": "stop"}
    left_alone = command("-f", "-", "-n", "calm", given=given)
    assert "1 rollouts are of another instance id, and left alone" not in left_alone.stderr
    assert "1 rollouts are of another instance id, and left alone" in command("-f", "-", given=given).stderr
    assert "another instance id" in str(command("-f", "-", "-n", "due", given=given).exception)
    assert 'found "a=b=c", wanted labels' in str(command("-f", "-", "-l", "a=b=c", given=given).exception)


# --- the options of the controller -----------------------------------------------------------------------------------------------


def test_every_option_that_changes_what_a_pass_decides_is_the_controllers_own() -> None:
    own = {"--check", "--filename", "--all-namespaces", "--selector", "--json"}
    process = {"--namespaced", "--rollout-threads", "--rollout-resync", "--verify-retry-interval", "--logformat"}
    process |= {"--leader-elect", "--leader-election-lease-duration", "--leader-election-renew-deadline", "--leader-election-retry-period"}
    process |= {"--bind-address", "--metricsPort", "--healthzPort", *NUMBERS, *TEXTS}

    def options(of: Any) -> dict[str, Any]:  # noqa: ANN401 - a click command
        return {next(name for name in each.opts if name.startswith("--")): each.to_info_dict() for each in of.params}

    mine, controllers = options(adopt), options(controller)

    assert controllers.keys() - mine.keys() == process
    assert mine.keys() - controllers.keys() == own
    assert all(mine[name] == controllers[name] for name in mine.keys() & controllers.keys())


def test_choices_about_routers_are_those_that_the_controller_will_get() -> None:
    story = arrive(ROUTED["behind traefik"], NEW_FORM)
    older = json.loads(json.dumps(old_dump(story)).replace("traefik.io", "traefik.containo.us"))

    assert verdicts(command("-f", "-", "--json", given=listed(older))) == {"default/web": "stop"}
    assert verdicts(command("-f", "-", "--json", "--traefik-api-group", "traefik.containo.us", given=listed(older))) == {
        "default/web": "nothing"
    }


def test_asking_aws_is_not_done_and_what_would_wait_for_it_waits() -> None:
    given = listed(old_dump(arrive(ROUTED["behind alb"], NEW_FORM)))

    asked = command("-f", "-", "--json", "--aws-verify-target-group", given=given)

    assert verdicts(command("-f", "-", "--json", given=given)) == {"default/web": "nothing"}
    (told_of,) = json.loads(asked.stdout)
    assert told_of["verdict"] in {"nothing", "note"}
    assert any("the data plane has not confirmed yet" in wait for wait in told_of["waits"])


def test_a_probe_that_the_controller_will_not_allow_is_refused(paused: list[Manifest]) -> None:
    probed = json.loads(json.dumps(paused))
    routing = of_kind(probed, "Rollout")[0]["spec"]["strategy"]["canary"]["trafficRouting"]
    routing["verification"] = {"probe": {"url": "http://mesh.example/", "hashHeader": "x-hash"}}

    assert verdicts(command("-f", "-", "--json", given=listed(probed)))["default/web"] != "stop"
    refused = command("-f", "-", "--json", "--no-probes", given=listed(probed))
    assert json.loads(refused.stdout)[0]["refusals"] == [
        "spec.strategy.trafficRouting.verification.probe: no probe: this controller was started with --no-probes"
    ]


@contextmanager
def served() -> Iterator[RouterServer]:
    """Serve a router from a thread of its own, because the command has a loop of its own."""
    server, ready, over = RouterServer(), Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with server.serve():
            ready.set()
            await over.wait()

    thread = Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


def test_a_router_in_another_process_is_asked_what_it_says_and_told_nothing(paused: list[Manifest]) -> None:
    objects = json.loads(json.dumps(without(paused, "VirtualService")))
    of_kind(objects, "Rollout")[0]["spec"]["strategy"]["canary"]["trafficRouting"] = {"plugins": {"example.com/router": {}}}
    given = listed(objects)

    with served() as server:
        result = command("-f", "-", "--json", "--router-plugin", f"example.com/router={server.url}", given=given)
        asked = [method for method, _, _ in server.asked]
    silent = command("-f", "-", "--json", "--router-plugin", f"example.com/router={server.url}", given=given)
    unknown = command("-f", "-", "--json", given=given)

    (told_of,) = json.loads(result.stdout)
    assert (told_of["verdict"], set(asked)) == ("step", {"GET"})
    assert "routes would say weight" in " ".join(told_of["reasons"])
    assert verdicts(silent) == {"default/web": "stop"}
    assert "cannot reach" in " ".join(json.loads(silent.stdout)[0]["reasons"])
    assert "example.com/router" in json.loads(unknown.stdout)[0]["refusals"][0]


def test_without_check_nothing_happens() -> None:
    result = CliRunner().invoke(root, ["adopt"], obj={})

    assert result.exit_code == 2
    assert "use --check, then start the controller" in result.output

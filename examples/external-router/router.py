"""
A router for Tiphys in another process: it steers a Traefik through one configuration file. Copy it and put your own product in.

The contract is docs/external-routers.md. The wishes lie in `wishes.json` and what Traefik reads in `traefik/`, so that neither a restart
of this process nor one of Traefik changes where a request goes.
"""

import argparse
import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web

FEATURES = ["weights", "header exact", "header prefix", "header regex", "mirror", "experiment weights", "ping-pong", "maxTrafficWeight"]
Json = dict[str, Any]


class Router:
    """What is wished for each Rollout, and how Traefik is told."""

    def __init__(self, folder: Path, api: str, traefik: str) -> None:
        self.wishes, self.config, self.api, self.traefik = folder / "wishes.json", folder / "traefik" / "routes.yaml", api, traefik
        self.held: dict[str, Json] = json.loads(self.wishes.read_text()) if self.wishes.exists() else {}
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3))

    async def introduce(self, _: web.Request) -> web.Response:
        return web.json_response({"name": "traefik-file", "contracts": ["v1"], "features": FEATURES})

    async def health(self, _: web.Request) -> web.Response:
        try:
            async with self.session.get(f"{self.traefik}/ping") as answer:
                return web.json_response({"message": f"Traefik answers {answer.status}"}, status=200 if answer.status == 200 else 503)
        except aiohttp.ClientError as error:
            return web.json_response({"message": str(error)}, status=503)

    async def states(self, _: web.Request) -> web.Response:
        return web.json_response({"states": [await self.said(state) for state in self.held.values()]})

    async def state(self, request: web.Request) -> web.Response:
        state = self.held.get(key(request))
        return refused(404, "no wish") if state is None else web.json_response(await self.said(state))

    async def wish(self, request: web.Request) -> web.Response:
        wish = await request.json()
        known = self.held.get(key(request))
        if wish.get("version") != (known and known["version"]):
            return refused(409, f"the state is at version {known and known['version']}")
        if not isinstance(wish["config"], dict) or not re.fullmatch(r"[a-z0-9.-]+", str(wish["config"].get("host"))):
            return refused(422, "", field="host", wanted="the host whose requests are shared, such as shop.example")
        state = {part: wish[part] for part in ("rollout", "config", "traffic")}
        if known is None or state != {part: known[part] for part in state}:
            self.held[key(request)] = {**state, "version": uuid4().hex}
            await self.publish()
        return web.json_response(await self.said(self.held[key(request)]))

    async def forget(self, request: web.Request) -> web.Response:
        known = self.held.get(key(request))
        if known is None:
            return refused(404, "no wish")
        if (known["version"], known["rollout"]["uid"]) != (request.query.get("version"), request.query.get("uid")):
            return refused(409, f"the state is at version {known['version']}")
        del self.held[key(request)]
        await self.publish()
        return web.json_response({})

    async def said(self, state: Json) -> Json:
        """Add whether Traefik has taken the state: its own API knows, because the names in its file carry the version."""
        name = f"{plain(state)}-{state['version']}"
        try:
            async with self.session.get(f"{self.traefik}/api/http/routers/{name}@file") as answer:
                taken = answer.status == 200 and (await answer.json()).get("status") == "enabled"
        except aiohttp.ClientError as error:
            return {**state, "verified": "notYet", "detail": f"Traefik cannot be asked: {error}"}
        return {
            **state,
            "verified": "yes" if taken else "notYet",
            "detail": f"Traefik {'has' if taken else 'has not'} taken version {state['version']}",
        }

    # What Traefik is told

    async def publish(self) -> None:
        """Write down the wishes, then the file that Traefik watches; each at once or not at all, and only if something differs."""
        replace(self.wishes, self.held)
        http: Json = {"routers": {}, "services": {}, "middlewares": {"again": {"retry": {"attempts": 3}}}}
        for state in self.held.values():
            await self.describe(state, http)
        replace(self.config, {"http": http} if self.held else {})

    async def describe(self, state: Json, http: Json) -> None:
        name, traffic, host = f"{plain(state)}-{state['version']}", state["traffic"], f"Host(`{state['config']['host']}`)"
        shares = [share for share in traffic["backends"] if share.get("weight") or share["role"] == "canary"]
        for share in shares:
            servers = [{"url": url} for url in await self.servers(state["rollout"]["namespace"], share["service"])]
            http["services"][f"{name}-{share['role']}-{share['service']}"] = {"loadBalancer": {"servers": servers}}
        split = [
            {"name": f"{name}-{share['role']}-{share['service']}", "weight": share["weight"]} for share in shares if share.get("weight")
        ]
        http["services"][name] = {"weighted": {"services": split}}
        http["routers"][name] = {"rule": host, "service": name, "priority": 1000, "middlewares": ["again"]}
        canary = next((f"{name}-canary-{share['service']}" for share in shares if share["role"] == "canary"), name)
        for rank, route in enumerate(traffic.get("headerRoutes", [])):
            rule = " || ".join(header(each) for each in route["anyOf"])
            told = {"rule": f"{host} && ({rule})", "service": canary, "priority": 3000 - rank, "middlewares": ["again"]}
            http["routers"][f"{name}-{route['name']}"] = told
        for rank, route in enumerate(traffic.get("mirrors", [])):
            mirror = {"service": name, "mirrors": [{"name": canary, "percent": route.get("percent", 100)}]}
            http["services"][f"{name}-{route['name']}"] = {"mirroring": mirror}
            rule = " || ".join(f"({request(each)})" for each in route["anyOf"])
            told = {"rule": f"{host} && ({rule})", "service": f"{name}-{route['name']}", "priority": 2000 - rank}
            http["routers"][f"{name}-{route['name']}"] = told

    async def servers(self, namespace: str, service: str) -> list[str]:
        """Find the pods of a Service; without the address of an API server the Service's own name does."""
        if not self.api:
            return [f"http://{service}.{namespace}.svc"]
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        async with self.session.get(self.api + path, params={"labelSelector": f"kubernetes.io/service-name={service}"}) as answer:
            found = (await answer.json())["items"]
        ready = [
            (each, port["port"])
            for part in found
            for each in part["endpoints"] or ()
            for port in part["ports"]
            if each["conditions"]["ready"]
        ]
        return sorted(f"http://{each['addresses'][0]}:{port}" for each, port in ready)

    async def follow(self) -> None:
        """Tell Traefik of pods that come and go."""
        while True:
            await asyncio.sleep(0.2)
            try:
                await self.publish()
            except (aiohttp.ClientError, TimeoutError) as error:
                print(f"pods not looked up: {error}", flush=True)


def header(match: Json) -> str:
    return text(match["value"], f"Header(`{match['header']}`, `{{}}`)", f"HeaderRegexp(`{match['header']}`, `{{}}`)")


def request(match: Json) -> str:
    parts = [header(each) for each in match.get("headers", [])]
    parts += [text(match["method"], "Method(`{}`)", "")] if match.get("method") else []
    parts += [text(match["path"], "Path(`{}`)", "PathRegexp(`{}`)")] if match.get("path") else []
    return " && ".join(parts) or "PathPrefix(`/`)"


def text(value: Json, exact: str, regex: str) -> str:
    if "exact" in value:
        return exact.format(value["exact"])
    return regex.format(f"^{re.escape(value['prefix'])}" if "prefix" in value else f"^(?:{value['regex']})$")


def key(request: web.Request) -> str:
    return f"{request.match_info['namespace']}/{request.match_info['name']}"


def plain(state: Json) -> str:
    return f"{state['rollout']['namespace']}-{state['rollout']['name']}"


def refused(status: int, message: str, **more: str) -> web.Response:
    return web.json_response({"message": message, **more}, status=status)


def replace(file: Path, content: Json) -> None:
    wanted = json.dumps(content, indent=1, sort_keys=True)
    if not file.exists() or file.read_text() != wanted:
        beside = file.with_name(f".{file.name}.new")
        beside.write_text(wanted)
        os.replace(beside, file)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9300)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--folder", type=Path, required=True, help="where the wishes are kept; Traefik watches its folder traefik/")
    parser.add_argument("--traefik", required=True, help="address of Traefik's own API, such as http://127.0.0.1:8080")
    parser.add_argument("--api", default="", help="address of an API server to find pods with, where Services have no addresses")
    given = parser.parse_args()
    router = Router(given.folder, given.api.rstrip("/"), given.traefik.rstrip("/"))
    app = web.Application()
    place = "/v1/states/{namespace}/{name}"
    app.add_routes([web.get("/healthz", router.health), web.get("/v1/router", router.introduce), web.get("/v1/states", router.states)])
    app.add_routes([web.get(place, router.state), web.put(place, router.wish), web.delete(place, router.forget)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, given.host, given.port).start()
    print(f"serving on {runner.addresses[0][1]}", flush=True)
    await router.follow()


if __name__ == "__main__":
    asyncio.run(main())

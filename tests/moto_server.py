"""AWS as far as load balancers go: moto's emulation, a process of its own in an environment of its own, on loopback."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Final

from botocore.session import get_session

from tiphys.controller.elbv2 import Elbv2, elbv2_client

REGION: Final = "eu-central-1"
ENVIRONMENT: Final = Path(__file__).parent.parent / ".venv-moto"
CREDENTIALS: Final = {"region_name": REGION, "aws_access_key_id": "somebody", "aws_secret_access_key": "nothing"}


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto, and give its URL."""
    program = ENVIRONMENT / "bin" / "moto_server"
    assert program.exists(), f"found no {program}, wanted what `make moto` installs"
    command = [str(program), "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        rest = Thread(target=process.stderr.read, daemon=True)
        try:
            url = next(match[0] for line in process.stderr if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
            rest.start()  # a full pipe would stop it
            yield url
            process.kill()
            rest.join()
        finally:
            process.kill()


def client_of(url: str) -> Elbv2:
    """Give AWS's own client for the server at *url*."""
    return elbv2_client(endpoint_url=url, **CREDENTIALS)


@dataclass
class Balancing:
    """Makes load balancers and what belongs to them, as the AWS Load Balancer Controller would."""

    url: str

    def __post_init__(self) -> None:
        session = get_session()
        self.elb: Any = session.create_client("elbv2", endpoint_url=self.url, **CREDENTIALS)
        ec2 = session.create_client("ec2", endpoint_url=self.url, **CREDENTIALS)
        subnets = ec2.describe_subnets()["Subnets"]
        self.vpc = subnets[0]["VpcId"]
        self.subnets = [subnet["SubnetId"] for subnet in subnets[:2]]

    def load_balancer(self, name: str) -> Any:  # noqa: ANN401 - AWS's answer
        return self.elb.create_load_balancer(Name=name, Subnets=self.subnets)["LoadBalancers"][0]

    def target_group(self, name: str, **tags: str) -> str:
        given = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} if tags else {}
        made = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=self.vpc, TargetType="ip", **given)
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def listener(self, load_balancer: str, port: int, weights: dict[str, int]) -> str:
        made = self.elb.create_listener(LoadBalancerArn=load_balancer, Protocol="HTTP", Port=port, DefaultActions=[forward(weights)])
        return str(made["Listeners"][0]["ListenerArn"])

    def rule(self, listener: str, priority: int, path: str, weights: dict[str, int]) -> str:
        condition = {"Field": "path-pattern", "Values": [path]}
        made = self.elb.create_rule(ListenerArn=listener, Priority=priority, Conditions=[condition], Actions=[forward(weights)])
        return str(made["Rules"][0]["RuleArn"])


def forward(weights: dict[str, int]) -> dict[str, object]:
    """Give the action that forwards by *weights*."""
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}

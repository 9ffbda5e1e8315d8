"""python -m tests.drill: stages in forked processes that kill themselves, for tests/test_kill.py.

Reads one JSON line an attempt, {"environment", "road", "steps", "kill_at", "when"}, and forks: the child does the
steps and dies by SIGKILL before or after its `kill_at`-th request to the object store (null: it lives).
Answers with {"done": steps done, "killed", "requests", "results", "error"}. Forking from a process that
has imported everything costs milliseconds where starting one costs seconds.
"""

import json
import os
import signal
import sys
from datetime import date
from typing import Any

import boto3
import pandas  # noqa: F401  by DuckDB at its first table from Python; all of this is imported before the fork

from etl import contract, judge, stages
from etl.billing import stages as billing
from etl.errors import UsageError
from etl.settings import ROOT
from tests.conftest import decide


def main() -> None:
    contract.load_all(ROOT / "contracts")  # kept for every attempt
    judge.judge = decide
    for line in sys.stdin:
        print(json.dumps(attempt(json.loads(line))), flush=True)


def attempt(order: dict) -> dict:
    """Fork, and collect what the child said before it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as say:
            perform(order, say)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as heard:
        said = [json.loads(line) for line in heard]
    _, status = os.waitpid(child, 0)
    return {
        "done": sum("result" in one for one in said),
        "killed": os.WIFSIGNALED(status),
        "requests": [one["requests"] for one in said if "requests" in one],
        "results": [one["result"] for one in said if "result" in one],
        "error": next((one["error"] for one in said if "error" in one), None),
    }


def perform(order: dict, say: Any) -> None:
    """The steps, each told as it is done; a refusal is told and ends them."""
    os.environ.update(order["environment"])
    counted = watch(order["kill_at"], order["when"])
    road = billing if order.get("road") == "billing" else stages
    try:
        for name, *arguments in order["steps"]:
            before = len(counted)
            result = getattr(road, name)(*map(value, arguments))
            told = {"result": result, "requests": len(counted) - before}
            say.write(json.dumps(told) + "\n")
            say.flush()
    except UsageError as error:
        say.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")


def value(argument: Any) -> Any:
    try:
        return date.fromisoformat(argument)
    except (TypeError, ValueError):
        return argument


def watch(kill_at: int | None, when: str) -> list[str]:
    """Count requests from now on, and die at one of them: nothing else of a stage reaches outside."""
    counted: list[str] = []

    def die(moment: str) -> None:
        if moment == when and len(counted) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def asked(**_: object) -> None:
        counted.append("")
        die("before")

    boto3.setup_default_session()
    events = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
    events.register("before-send.s3", asked)
    events.register("needs-retry.s3", lambda **_: die("after"))
    return counted


if __name__ == "__main__":
    main()

"""The control plane's API keeps to its own document, whatever is asked: schemathesis makes requests,
good and bad, from `/openapi.json` and judges the answers by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from rest import ask
from schemathesis.checks import CHECKS, load_all_checks
from stack import Ports, Stack

ROOT = Path(__file__).resolve().parents[2]

# Requests of each kind for each operation.
EXAMPLES = 25
SECONDS_MAX = 20

load_all_checks()
# A request of the document's shape may yet be refused with 422, since a shape does not say which
# agents are there, or which texts are Cedar.
# Which role may call what is tested beside the control plane, route by route.
NOT_ASKED = (
    "positive_data_acceptance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)
JUDGES = [check for check in CHECKS.get_all() if check.__name__ not in NOT_ASKED]


@schemathesis.serializer("application/toml")
def rules(_context: object, value: object) -> bytes:
    """A file of rules as schemathesis made it up: any text."""
    return str(value).encode()


class Api:
    """A control plane of the test's own, with a key of each role and something to ask about."""

    def __init__(self, stack: Stack) -> None:
        self.url = stack.control_plane_url
        admin = stack.identity["admin_key"]
        self.keys = {"admin": admin, "proxy": stack.identity["proxy_key"]}
        for role in ("operator", "auditor", "tool"):
            made = ask("POST", f"{self.url}/v1/keys", {"role": role}, key=admin)
            self.keys[role] = made.json["key"]
        ask("POST", f"{self.url}/v1/agents", {"id": "a"}, key=admin)
        ask("PUT", f"{self.url}/v1/tools/t", {"scope": "s"}, key=admin)

    def headers(self, operation: dict) -> dict[str, str]:
        """Authorization for the role that the document says the operation asks for. Where it asks
        for none, a stranger would not be told that a method is not there."""
        wanted = operation.get("security", [{}])[0].get("key", ["admin"])
        return {"authorization": f"Bearer {self.keys[wanted[0]]}"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    stack = Stack(tmp_path_factory.mktemp("api"), Ports.free())
    stack.initialise()
    stack.start_control_plane()
    try:
        yield Api(stack)
    finally:
        stack.down()


# The committed one: that it is what is served is tested beside the control plane. The stream of events
# never ends, so nothing of it can be judged.
document = schemathesis.openapi.from_path(ROOT / "docs" / "openapi.json")
document = document.exclude(path="/v1/audit/stream")


@document.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_document_says(case: schemathesis.Case, api: Api) -> None:
    if case.query and "wait" in case.query:
        # A poll that waits says the same, only later.
        case.query["wait"] = 0
    headers = api.headers(case.operation.definition.raw)
    response = case.call(base_url=api.url, headers=headers, timeout=SECONDS_MAX)
    case.validate_response(response, checks=JUDGES)

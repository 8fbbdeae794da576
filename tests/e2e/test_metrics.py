"""The gateway counts under the documented names."""

from __future__ import annotations

import re
import time

import pytest
from gateway import EVIL_SQL, SAFE_SQL, Gateway
from processes import wait_until

NAMES = (
    "agentguard_requests_total",
    "agentguard_requests_denied_total",
    "agentguard_requests_allowed_total",
    "agentguard_requests_flagged_total",
    "agentguard_circuit_breaker_open_total",
    "agentguard_cache_hits_total",
    "agentguard_latency_sum_us",
    "agentguard_latency_count",
)


def scrape(gateway: Gateway) -> str:
    answer = gateway.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.body.decode()


def settled(gateway: Gateway) -> str:
    """The metrics once every worker has told what it counted, which it does each tenth of a second."""
    time.sleep(0.4)
    return scrape(gateway)


def total(text: str, name: str) -> float:
    """The sum of a metric over all its labels."""
    samples = re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+]+)$", text, re.M)
    return sum(map(float, samples))


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_metric_exists(gateway: Gateway, name: str):
    gateway.verify(SAFE_SQL)
    assert re.search(rf"^# TYPE {name} (?:counter|gauge)$", scrape(gateway), re.M)
    assert re.search(rf"^{name}[{{ ]", scrape(gateway), re.M)


def test_calls_are_counted_by_what_became_of_them(gateway: Gateway):
    before = settled(gateway)
    for _ in range(3):
        gateway.verify(SAFE_SQL)
    for _ in range(2):
        gateway.verify(EVIL_SQL)

    def counted() -> bool:
        after = scrape(gateway)
        added = [total(after, name) - total(before, name) for name in NAMES]
        return added[:4] == [5, 2, 3, 0] and added[6] > 0 and added[7] == 5

    assert wait_until(counted, 5), scrape(gateway)


def test_nothing_but_clampd_s_own_metrics_is_shown(gateway: Gateway):
    for line in scrape(gateway).splitlines():
        assert "agentguard" in line, line


@pytest.mark.parametrize("path", ["/metrics?filter=.*", "/metrics/", "/stats", "/config_dump"])
def test_the_admin_interface_is_not_to_be_had(gateway: Gateway, path: str):
    assert gateway.ask("GET", path).status == 404
    assert gateway.ask("POST", "/metrics", {}).status in (404, 405)

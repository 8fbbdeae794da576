"""The manifests of the mesh: rendered by kubectl, and no security knob can be taken off unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from knobs import DIFFERENT, REFERENCE, complaints, without
from manifests import envoy_filter
from merge import Json, Merged, PatchError

SIDECAR = yaml.safe_load(Path(__file__).with_name("sidecar.yaml").read_text())
GUARDED = {
    "inbound": ["virtualInbound"],
    "outbound": ["0.0.0.0_8000"],
    "gateway": ["virtualInbound", "0.0.0.0_8000", "0.0.0.0_8001"],
}
contexts = pytest.mark.parametrize("context", GUARDED)


def judged(manifest: Json, context: str) -> list[str]:
    """What is wrong with a proxy that the EnvoyFilter is laid upon."""
    try:
        merged = Merged(SIDECAR, [manifest], gateway=context == "gateway")
        return complaints(manifest, SIDECAR, merged, GUARDED[context])
    except (PatchError, KeyError, TypeError, ValueError) as error:
        return [repr(error)]


@contexts
def test_a_guarded_proxy_has_every_knob_of_envoy_yaml(context: str):
    assert judged(envoy_filter(context), context) == []


@contexts
def test_whatever_is_taken_off_an_envoy_filter_is_missed(context: str):
    whole = envoy_filter(context)
    removed = list(without(whole))
    assert len(removed) > 150
    unseen = [name for name, manifest in removed if not judged(manifest, context)]
    assert unseen == []


@contexts
def test_a_field_of_the_filter_s_configuration_is_missed_too(context: str):
    whole = envoy_filter(context)
    where = whole["spec"]["configPatches"][1]["patch"]["value"]["typed_config"]["config"]
    text = where["configuration"]["value"]
    for name, fewer in without(json.loads(text)):
        where["configuration"]["value"] = json.dumps(fewer)
        assert judged(whole, context), name


def test_each_excuse_for_a_difference_is_still_needed():
    for part, excuses in DIFFERENT.items():
        assert all(excuses.values()), part
    assert set(DIFFERENT["bootstrap"]) == set(REFERENCE)

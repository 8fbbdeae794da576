"""Renders `envoy.yaml` for other ports and paths than the ones it names.

A scalar followed by the comment `# $NAME` is replaced by the value of NAME where there is one; all
else stays as it is, so that the file itself is plain Envoy configuration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_MARKED = re.compile(
    r"""(?P<scalar>'[^']*'|"[^"\n]*"|[^\s'"#]+)(?P<mark>[ \t]+\#[ ]\$(?P<name>[A-Z0-9_]+))"""
)


def render(text: str, values: Mapping[str, str]) -> str:
    """The text with each marked scalar replaced whose name is in `values`."""

    def replace(match: re.Match[str]) -> str:
        value = values.get(match["name"])
        return match[0] if value is None else _scalar(value) + match["mark"]

    return _MARKED.sub(replace, text)


def filter_config(text: str) -> dict[str, Any]:
    """The filter's configuration as the file has it: the scalar marked `CLAMPD_FILTER_CONFIG`."""
    for match in _MARKED.finditer(text):
        if match["name"] == "CLAMPD_FILTER_CONFIG":
            return json.loads(match["scalar"].strip("'"))
    raise ValueError("no scalar of envoy.yaml is marked `# $CLAMPD_FILTER_CONFIG`")


def _scalar(value: str) -> str:
    """A YAML scalar: a plain number where it is one, else a single-quoted string."""
    return value if value.isdecimal() else "'" + value.replace("'", "''") + "'"

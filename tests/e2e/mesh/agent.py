"""What Istio's agent does with a module on its way from istiod to Envoy.

It fetches what an extension config names, holds it against the digest, and hands Envoy a file; what
it cannot fetch it replaces by a filter that denies every request.
"""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

from merge import Json
from rest import ask

DENIES_ALL: Json = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
    "rules": {},
}


def handed_over(extension: Json, directory: Path) -> Json:
    """The extension config as Envoy gets it."""
    remote = extension["config"]["vm_config"]["code"]["remote"]
    try:
        module = ask("GET", remote["http_uri"]["uri"])
    except OSError:
        return DENIES_ALL
    if module.status != 200 or hashlib.sha256(module.body).hexdigest() != remote["sha256"]:
        return DENIES_ALL
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{remote['sha256']}.wasm"
    file.write_bytes(module.body)
    local = copy.deepcopy(extension)
    local["config"]["vm_config"]["code"] = {"local": {"filename": str(file)}}
    return local

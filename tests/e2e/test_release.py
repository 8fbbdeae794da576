"""What a release promises: the same bytes again, images that can be read, nobody runs as root."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from fetch import envoy_path
from render import render
from stack import FILTER_WASM, ROOT, SAMPLE_TRUST_ROOT

PACKAGING = ROOT / "packaging"
KUBECTL = Path(sys.executable).parent / "kubectl"
IMAGES = ("filter", "control-plane", "cli")

# Each line of a unit and what would be possible without it.
CONFINED = {
    "DynamicUser=yes": "it would run as root",
    "CapabilityBoundingSet=": "it could have capabilities",
    "NoNewPrivileges=yes": "it could gain privileges",
    "ProtectSystem=strict": "it could write the system",
    "ProtectHome=yes": "it could read homes",
    "PrivateDevices=yes": "it could reach devices",
    "PrivateTmp=yes": "it would share /tmp",
    "ProtectKernelTunables=yes": "it could change the kernel's settings",
    "ProtectKernelModules=yes": "it could load modules",
    "RestrictNamespaces=yes": "it could make namespaces",
    "RestrictSUIDSGID=yes": "it could leave programs that run as others",
    "SystemCallFilter=@system-service": "it could make any system call",
    "UMask=0077": "others could read what it writes",
}


def make(binaries: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PACKAGING / "release.py"), "--out", str(out)]
    command += ["--binaries", str(binaries), "--module", str(FILTER_WASM)]
    command += ["--registry", "registry.test/acme"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Static programs in the place of the real ones, which take minutes to build."""
    directory = tmp_path_factory.mktemp("binaries")
    source = directory / "program.c"
    source.write_text("int main(void) { return 0; }\n")
    for name in ("clampd", "clampd-control-plane"):
        command = ["cc", "-static", "-s", "-o", str(directory / name), str(source)]
        subprocess.run(command, check=True, timeout=60)
    return directory


@pytest.fixture(scope="module")
def dist(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("release") / "dist"
    done = make(binaries, out)
    assert done.returncode == 0, done.stderr
    return out


def test_the_same_binaries_give_the_same_bytes(dist: Path, binaries: Path, tmp_path: Path):
    assert make(binaries, tmp_path / "again").returncode == 0
    sums = (dist / "checksums.txt").read_text()
    assert (tmp_path / "again/checksums.txt").read_text() == sums
    assert sums.count("\n") == sum(1 for path in dist.rglob("*") if path.is_file()) - 1


def test_the_checksums_are_those_of_the_files(dist: Path):
    command = ["sha256sum", "--check", "--quiet", "checksums.txt"]
    subprocess.run(command, cwd=dist, check=True, timeout=60)


def test_a_program_that_loads_libraries_is_refused(binaries: Path, tmp_path: Path):
    (tmp_path / "clampd-control-plane").write_bytes((binaries / "clampd").read_bytes())
    (tmp_path / "clampd").write_bytes(Path(sys.executable).resolve().read_bytes())
    done = make(tmp_path, tmp_path / "dist")
    assert done.returncode == 1 and "clampd is not static" in done.stderr


def blob(layout: Path, described: dict[str, Any]) -> bytes:
    """A blob of a layout, held against what is said of it."""
    content = (layout / "blobs/sha256" / described["digest"].removeprefix("sha256:")).read_bytes()
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == described["digest"]
    assert len(content) == described["size"]
    return content


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_layout_is_whole_and_pinned(dist: Path, name: str):
    layout = dist / "oci" / name
    assert json.loads((layout / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    pinned = json.loads((dist / "images.json").read_bytes())[name]
    assert pinned == f"registry.test/acme/{name}@{described['digest']}"
    manifest = json.loads(blob(layout, described))
    config = json.loads(blob(layout, manifest["config"]))
    (layer,) = manifest["layers"]
    tar = gzip.decompress(blob(layout, layer))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(tar).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        files = {one.name: one for one in archive.getmembers() if one.isfile()}
        (file,) = files.values()
        assert file.mode & 0o222 == 0, "nobody may write it"
        if name == "filter":
            assert list(files) == ["plugin.wasm"]
            assert archive.extractfile(file).read() == FILTER_WASM.read_bytes()
        else:
            assert config["config"]["User"] == "65532:65532"
            assert config["config"]["Entrypoint"] == [f"/{file.name}"] and file.mode == 0o555
        owned = [one for one in archive.getmembers() if one.isdir()]
        assert all((one.uid, one.mode) == (65532, 0o700) for one in owned)


def test_the_manifests_of_a_release_name_its_digests(dist: Path, tmp_path: Path):
    with tarfile.open(dist / "istio.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    for overlay in ("strict", "gateway", "demo"):
        command = [str(KUBECTL), "kustomize", str(tmp_path / "istio/overlays" / overlay)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert "0" * 64 not in done.stdout and "registry.example.com" not in done.stdout
        images = json.loads((dist / "images.json").read_bytes())
        assert f"image: {images['control-plane']}\n" in done.stdout
        assert f"uri: oci://{images['filter']}\n" in done.stdout
        module = hashlib.sha256(FILTER_WASM.read_bytes()).hexdigest()
        assert module in done.stdout


def test_a_list_of_parts_names_what_is_compiled_in_and_no_more(dist: Path):
    lists = {file.name: json.loads(file.read_bytes()) for file in dist.glob("*.cdx.json")}
    names = {
        name: {one["name"] for one in document["components"]} for name, document in lists.items()
    }
    assert names["clampd-control-plane.cdx.json"] >= {"axum", "rusqlite", "clampd-model"}
    assert names["filter.wasm.cdx.json"] >= {"proxy-wasm", "clampd-guard", "serde_json"}
    assert not names["filter.wasm.cdx.json"] & {"tokio", "axum", "proptest", "windows-sys"}
    for document in lists.values():
        assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
        for one in document["components"]:
            assert one["licenses"], one["name"]
            assert one["name"].startswith("clampd-") or one["hashes"], one["name"]
        known = {one["ref"] for one in document["dependencies"]}
        assert all(set(one["dependsOn"]) <= known for one in document["dependencies"])


def test_the_gateway_s_configuration_in_the_image_is_one_that_envoy_takes(
    dist: Path, tmp_path: Path
):
    text = (dist / "envoy.yaml").read_text()
    assert "'/etc/clampd/filter.wasm'" in text and "'0.0.0.0'" in text
    config = tmp_path / "envoy.yaml"
    config.write_text(render(text, {"CLAMPD_FILTER_WASM": str(dist / "filter.wasm")}))
    command = [str(envoy_path()), "--mode", "validate", "--config-path", str(config)]
    keys = {"CLAMPD_PROXY_KEY": "ag_live_validate", "CLAMPD_TRUST_ROOT": SAMPLE_TRUST_ROOT}
    done = subprocess.run(
        command, env=os.environ | keys, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("unit", ["clampd-control-plane", "clampd-gateway"])
def test_a_unit_is_confined_in_every_way(dist: Path, unit: str):
    lines = (dist / f"{unit}.service").read_text().splitlines()
    assert [why for line, why in CONFINED.items() if line not in lines] == []
    for line in CONFINED:
        less = [one for one in lines if one != line]
        assert len(less) == len(lines) - 1, f"{line} is there once"


@pytest.mark.parametrize("image", ["control-plane", "filter", "gateway"])
def test_a_dockerfile_has_no_root_and_copies_what_the_release_has(dist: Path, image: str):
    lines = (dist / f"{image}.Dockerfile").read_text().splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    users = [line[1] for line in words if line[0] == "USER"]
    assert users == ([] if image == "filter" else ["65532:65532"])
    for line in words:
        assert line[0] in (
            "FROM",
            "ARG",
            "COPY",
            "USER",
            "ENV",
            "VOLUME",
            "EXPOSE",
            "ENTRYPOINT",
            "CMD",
        )
        if line[0] == "COPY":
            sources = [word for word in line[1:-1] if not word.startswith("--")]
            assert all((dist / source).exists() for source in sources)


def test_every_service_of_the_compose_file_is_confined(dist: Path):
    compose = yaml.safe_load((dist / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] == "65532:65532", name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert (dist / service["build"]["dockerfile"]).exists(), name
        assert not any(
            isinstance(one, str) and "=" in one for one in service.get("environment", [])
        )

"""The compose files and the Dockerfile: Compose itself reads them, and what they name is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from headway.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSE = Path(sys.executable).with_name("docker-compose")
FILES = ("docker-compose.yml", "docker-compose.dev.yml", "docker-compose.gpu.yml")
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "HEADWAY_TOKEN")


def config(folder: Path, *files: str, without: str = "") -> subprocess.CompletedProcess[str]:
    for file in FILES:
        shutil.copy(ROOT / file, folder)
    example = (ROOT / ".env.example").read_text()
    for name in SECRETS:
        assert f"\n{name}=\n" in example, f"{name} is missing from .env.example, or has a value there"
        example = example.replace(f"\n{name}=\n", f"\n{name}={'' if name == without else 'secret0'}\n")
    (folder / ".env").write_text(example)
    named = [part for file in files for part in ("-f", file)]
    command = [COMPOSE, *named, "config", "--format", "json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})


def services(folder: Path, *files: str) -> dict[str, Any]:
    done = config(folder, *files)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)["services"]


@pytest.mark.parametrize("over", [[], ["docker-compose.dev.yml"], ["docker-compose.gpu.yml"]])
def test_compose_reads_each_combination_of_the_files(tmp_path: Path, over: list[str]) -> None:
    found = services(tmp_path, "docker-compose.yml", *over)
    assert set(found) == {
        "nginx", "api-1", "api-2", "api-3", "worker-gpu", "worker-cpu", "worker-io", "system", "beat", "migrate",
        "postgres", "redis",
    }  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_without_a_secret_compose_refuses_by_its_name(tmp_path: Path, name: str) -> None:
    done = config(tmp_path, "docker-compose.yml", without=name)
    assert done.returncode != 0
    assert name in done.stderr


def test_every_service_is_bounded_and_logs_are_rotated(tmp_path: Path) -> None:
    for name, service in services(tmp_path, "docker-compose.yml").items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["logging"]["options"]["max-size"], name


def test_every_long_running_service_restarts_and_all_of_headway_share_one_host_name(tmp_path: Path) -> None:
    found = services(tmp_path, "docker-compose.yml")
    assert {name for name, service in found.items() if service["restart"] != "unless-stopped"} == {"migrate"}
    ours = [service for service in found.values() if service["image"].startswith("headway:")]
    assert len(ours) == 9
    assert {service["hostname"] for service in ours} == {"headway"}


def test_settings_in_the_compose_file_are_settings_of_headway(tmp_path: Path) -> None:
    known = {name.upper() for name in Settings.model_fields}
    for name, service in services(tmp_path, "docker-compose.yml").items():
        named = {key for key in service.get("environment", {}) if key.startswith("HEADWAY_")}
        assert named - {"HEADWAY_HOSTNAME", "HEADWAY_HTTP_PORT"} <= known, name


def test_redis_persists_and_drops_nothing_and_no_secret_stands_on_a_command_line(tmp_path: Path) -> None:
    found = services(tmp_path, "docker-compose.yml")
    command = " ".join(found["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    for name, service in found.items():
        assert "secret0" not in " ".join(service.get("command") or ()), name


def test_the_dockerfile_copies_only_what_is_there_and_reaches_the_build() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    kept = {line[1:] for line in ignored if line.startswith("!")}
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        found = re.match(r"COPY (?!--from)(.+) \S+$", line)
        for source in found[1].split() if found else ():
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in kept, f"{source} is ignored by .dockerignore"
            assert not any(fnmatch(source.rstrip("/"), each) for each in ignored[1:] if each[0] != "!"), source


def test_the_images_run_as_somebody_without_rights() -> None:
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.M)[1:]
    for stage in stages:
        if re.match(r"\S+ AS (headway|nginx)\n", stage):
            assert re.search(r"^USER (\d+)$", stage, re.M), stage.splitlines()[0]

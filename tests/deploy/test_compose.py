"""What can be known of the stack without an engine to run it."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from cli.embedded.temporal import DYNAMIC_CONFIG
from settings import MigrationSettings, Settings
from workflows.search_attributes import ALL

Services = dict[str, dict[str, Any]]
Execute = Callable[..., subprocess.CompletedProcess[str]]

OURS = ("api", "worker", "migrate")
JOBS = (
    "migrate",
    "temporal-schema",
    "temporal-namespace",
    "temporal-indexes",
    "promote",
    "sandbox-accounts",
)
OUR_IMAGES = ("paysaga:", "paysaga-sandbox:")
CLIENT_TLS = {
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "/run/secrets/temporal_ca_crt",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "/run/secrets/temporal_client_crt",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "/run/secrets/temporal_client_key",
}
SECRET_WORD = re.compile(r"password|passwd|pwd|secret|token|api_?key|private_key", re.IGNORECASE)
PINNED = re.compile(r"^[\w./-]+:\d+\.\d+(\.\d+)?(-[\w.]+)?(@sha256:[0-9a-f]{64})?$")


def test_the_file_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    package = pytest.importorskip("check_jsonschema", reason="ships the specification's schema")
    vendor = resources.files(package) / "builtin_schemas" / "vendor" / "compose-spec.json"
    errors = Draft202012Validator(json.loads(vendor.read_text())).iter_errors(compose)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


@pytest.mark.parametrize("env_file", [".env.example", "deploy/sandbox.env"])
def test_compose_itself_accepts_the_file(execute: Execute, env_file: str) -> None:
    if shutil.which("docker") is None or execute("docker", "compose", "version").returncode:
        pytest.skip("this machine has no `docker compose`")
    done = execute(
        *("docker", "compose", "--env-file", env_file, "--profile", "sandbox", "config", "-q")
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_is_given_and_none_that_nobody_reads(services: Services) -> None:
    read = {f"PAYSAGA_{name.upper()}" for name in Settings.model_fields}
    migrated = {f"PAYSAGA_{name.upper()}" for name in MigrationSettings.model_fields}
    assert set(services["migrate"]["environment"]) == migrated
    for name in ("api", "worker"):
        given = services[name]["environment"]
        assert {key for key in given if key.startswith("PAYSAGA_")} == read, name
        assert {key for key in given if key.startswith("TEMPORAL_")} == {
            "TEMPORAL_ADDRESS",
            "TEMPORAL_NAMESPACE",
            *CLIENT_TLS,
        }, name


def test_the_settings_are_accepted_as_they_are_given(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in services["worker"]["environment"].items():
        monkeypatch.setenv(name, value)
    assert Settings().mode == services["worker"]["environment"]["PAYSAGA_MODE"]


def test_the_api_and_the_worker_are_notified_the_same(services: Services) -> None:
    told = [
        {key: services[name][key] for key in ("environment", "secrets", "volumes", "image")}
        for name in ("api", "worker")
    ]
    api, worker = told
    # The API alone derives ids.
    assert set(api.pop("secrets")) - set(worker.pop("secrets")) == {"identity_key"}
    assert api == worker


def test_secrets_come_by_file_and_never_by_value(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            if SECRET_WORD.search(key) and key != "TEMPORAL_CODEC_PASS_ACCESS_TOKEN":
                assert value.startswith("/run/secrets/"), f"{name}: {key}"
                assert value.removeprefix("/run/secrets/") in service["secrets"], f"{name}: {key}"
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
    for name, secret in compose["secrets"].items():
        assert secret["file"].startswith("./deploy/secrets/"), name


def test_make_secrets_makes_every_secret_that_the_stack_names(
    compose: dict[str, Any], execute: Execute, tmp_path: Path
) -> None:
    execute("deploy/make-secrets.sh", tmp_path)
    for secret in compose["secrets"].values():
        assert (tmp_path / Path(secret["file"]).name).is_file(), secret


def test_no_secret_can_be_committed_or_sent_to_the_build(root: Path) -> None:
    assert (root / "deploy/secrets/.gitignore").read_text().split() == ["*", "!.gitignore"]
    ignored = (root / ".dockerignore").read_text().split()
    assert "*" in ignored
    assert not any("secrets" in line for line in ignored if line.startswith("!"))


def test_every_image_is_pinned(services: Services) -> None:
    for name, service in services.items():
        if not service["image"].startswith(OUR_IMAGES):
            assert PINNED.match(service["image"]), f"{name}: {service['image']}"
        assert "latest" not in service["image"], name


def test_each_image_of_ours_is_built_once(services: Services) -> None:
    # The build before was built when it was the newest.
    now = {name: each for name, each in services.items() if name != "worker-previous"}
    ours = {each["image"] for each in now.values() if each["image"].startswith(OUR_IMAGES)}
    built = [service["image"] for service in services.values() if "build" in service]
    assert sorted(built) == sorted(ours)


def test_every_image_takes_a_digest(root: Path) -> None:
    raw = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    images = {s["image"] for s in raw.values() if not s["image"].startswith(OUR_IMAGES)}
    assert all(re.search(r"\$\{\w+_DIGEST:-\}$", image) for image in images)


def test_only_loopback_is_published_and_temporal_and_postgres_are_not(services: Services) -> None:
    for name, service in services.items():
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), f"{name}: {port}"
    assert "ports" not in services["temporal"]
    assert "ports" not in services["postgres"]


def test_every_server_has_a_health_check_and_comes_back(services: Services) -> None:
    for name, service in services.items():
        if name in JOBS:
            assert service["restart"].startswith("on-failure:"), name
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_nothing_starts_before_what_it_needs_is_healthy_or_done(services: Services) -> None:
    for name, service in services.items():
        for needed, rule in service.get("depends_on", {}).items():
            done = "service_completed_successfully" if needed in JOBS else "service_healthy"
            assert rule["condition"] == done, f"{name} -> {needed}"
            same_profile = services[needed].get("profiles") == service.get("profiles")
            optional = rule.get("required", True) is False
            assert same_profile or optional or "profiles" not in services[needed]
    for name in ("api", "worker"):
        assert {"migrate", "temporal-namespace", "temporal", "postgres"} <= set(
            services[name]["depends_on"]
        )


def test_a_service_can_reach_every_server_that_it_is_notified_of(services: Services) -> None:
    for name, service in services.items():
        values = " ".join(str(value) for value in service.get("environment", {}).values())
        for other in re.findall(r"(?:@|\b)(postgres|temporal|sandbox)(?::\d+|\b$)", values):
            reachable = set(service["networks"]) & set(services[other]["networks"])
            assert reachable or name == "migrate", f"{name} cannot reach {other}"


def test_the_databases_are_on_networks_without_a_way_out(compose: dict[str, Any]) -> None:
    networks = ("data", "temporal-data", "engine")
    assert all(compose["networks"][name]["internal"] for name in networks)
    assert set(compose["services"]["postgres"]["networks"]) == {"data", "temporal-data"}


def test_only_its_clients_reach_temporal_and_only_with_a_certificate(services: Services) -> None:
    temporal = services["temporal"]
    assert set(temporal["networks"]) == {"engine", "temporal-data"}
    clients = {name for name, service in services.items() if "engine" in service["networks"]}
    jobs = {"temporal-namespace", "temporal-indexes"}
    ours = {"api", "worker", "worker-previous", "promote"}
    assert clients == {"temporal", "temporal-ui"} | ours | jobs
    beside = {name for name, service in services.items() if "temporal-data" in service["networks"]}
    assert beside == {"temporal", "temporal-schema", "temporal-indexes", "postgres"}

    given = temporal["environment"]
    assert given["TEMPORAL_TLS_REQUIRE_CLIENT_AUTH"] == "true"
    for trusted in ("TEMPORAL_TLS_SERVER_CA_CERT", "TEMPORAL_TLS_CLIENT1_CA_CERT"):
        assert given[trusted] == "/run/secrets/temporal_ca_crt"
    for name in (*ours, *jobs):
        assert CLIENT_TLS.items() <= services[name]["environment"].items(), name
    ui = services["temporal-ui"]["environment"]
    assert ui["TEMPORAL_TLS_CERT"] == "/run/secrets/temporal_client_crt"
    assert ui["TEMPORAL_TLS_ENABLE_HOST_VERIFICATION"] == "true"


def test_every_certificate_is_given_to_those_who_read_it_and_the_authoritys_key_to_nobody(
    compose: dict[str, Any],
) -> None:
    for name, service in compose["services"].items():
        read = {
            value.removeprefix("/run/secrets/")
            for key, value in service.get("environment", {}).items()
            if "_TLS_" in key and str(value).startswith("/run/secrets/")
        }
        had = {
            each
            for each in service.get("secrets", [])
            if each.startswith("temporal_") and each.endswith(("_crt", "_key"))
        }
        assert read == had, name
    files = [secret["file"] for secret in compose["secrets"].values()]
    assert not any(file.endswith("temporal_ca.key") for file in files)


def test_our_processes_may_write_nothing_and_gain_nothing(services: Services) -> None:
    for name, service in services.items():
        if service["image"].startswith(OUR_IMAGES):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert "user" not in service, f"{name}: the image's own user"


def test_the_ui_only_reads_and_queries_our_api_to_open_payloads(services: Services) -> None:
    ui = services["temporal-ui"]["environment"]
    assert ui["TEMPORAL_DISABLE_WRITE_ACTIONS"] is True or (
        ui["TEMPORAL_DISABLE_WRITE_ACTIONS"] == "true"
    )
    assert ui["TEMPORAL_CODEC_ENDPOINT"].endswith("/ops/codec")
    assert ui["TEMPORAL_CORS_ORIGINS"] == services["api"]["environment"]["PAYSAGA_UI_ORIGIN"]


def test_the_number_of_history_shards_is_fixed(root: Path) -> None:
    # The databases keep the number that they began with, so no variable may say another.
    assert 'NUM_HISTORY_SHARDS: "512"' in (root / "docker-compose.yml").read_text()


def test_temporal_is_set_up_as_in_every_test(root: Path) -> None:
    given = yaml.safe_load((root / "deploy/temporal/dynamic-config.yaml").read_text())
    values = {f"{name}={json.dumps(entry['value'])}" for name, [entry] in given.items()}

    assert values == set(DYNAMIC_CONFIG)


def test_every_service_has_a_memory_limit(services: Services) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name


def test_no_proxy_is_believed_but_by_our_own_rule(services: Services, root: Path) -> None:
    # uvicorn believes whoever connects from 127.0.0.1, unless it is told not to.
    assert "--no-proxy-headers" in services["api"]["command"]
    assert "--no-proxy-headers" in (root / "Dockerfile").read_text()


def test_workers_scale_by_a_number(services: Services) -> None:
    assert services["worker"]["deploy"]["replicas"] >= 1
    assert "ports" not in services["worker"]
    assert "container_name" not in services["worker"]


def test_the_sandbox_is_only_there_when_requested(services: Services) -> None:
    profiled = {name for name, service in services.items() if service.get("profiles")}
    assert profiled == {"sandbox", "sandbox-accounts", "worker-previous"}
    assert services["sandbox"]["profiles"] == ["sandbox"]


def test_every_mounted_file_exists_and_scripts_can_be_run(services: Services, root: Path) -> None:
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            if not source.startswith("./") or source == "./deploy/secrets/accounts":
                continue
            assert (root / source).is_file(), f"{name}: {source}"
            assert mode == ["ro"], f"{name}: {source}"
            if source.endswith(".sh"):
                assert (root / source).stat().st_mode & 0o111, f"{source} is not executable"
            command = service.get("command", [])
            if command and command[0].startswith("/paysaga/"):
                assert command[0] in {each.split(":")[1] for each in service["volumes"]}
            assert target


def test_every_variable_is_explained(root: Path, variables: set[str]) -> None:
    papers = (root / ".env.example").read_text() + (root / "docs/operations.md").read_text()
    papers += (root / "deploy/sandbox.env").read_text()
    assert {name for name in variables if name not in papers} == set()


def test_the_namespace_job_registers_our_search_attributes(root: Path) -> None:
    script = (root / "deploy/temporal/namespace.sh").read_text()
    registered = dict(re.findall(r"^attribute (\w+) (\w+)$", script, re.MULTILINE))
    kinds = {"KEYWORD": "Keyword", "INT": "Int"}
    assert registered == {key.name: kinds[key.indexed_value_type.name] for key in ALL}

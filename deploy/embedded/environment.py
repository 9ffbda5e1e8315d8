"""Settings of the embedded stack: secrets made once and kept under .run/, everything on loopback."""

import json
import os
import secrets
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.embedded.objectstore import ObjectStore

ROOT = Path(__file__).parent.parent.parent
USERS = {"operator": "admin", "analyst": "viewer"}


@dataclass(frozen=True)
class Secrets:
    """Kept with mode 0600; the pseudonym key must stay, or a rerun would give other hashes."""

    access_key: str
    secret_key: str
    pii_key: str
    jwt_secret: str
    operator: str
    analyst: str


def run_folder() -> Path:
    return Path(os.environ.get("USAGE_EXPORT_RUN_FOLDER") or ROOT / ".run").absolute()


def keep_secrets(folder: Path) -> Secrets:
    """Read the stack's secrets, or make them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "secrets.json"
    if not path.exists():
        made = Secrets(
            *(secrets.token_hex(n) for n in (10, 20, 32, 48)),
            *(secrets.token_urlsafe(9) for _ in USERS),
        )
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(made)))
    return Secrets(**json.loads(path.read_text()))


def environment(
    folder: Path, kept: Secrets, store: ObjectStore, port: int = 8080
) -> dict[str, str]:
    """The environment of every process of the stack; the same names as in docker-compose.yaml."""
    return _inherited() | {
        "USAGE_EXPORT_LANDING": "s3://landing",
        "USAGE_EXPORT_LAKE": "s3://lake",
        "USAGE_EXPORT_CONTRACTS": os.environ.get("USAGE_EXPORT_CONTRACTS", str(ROOT / "contracts")),
        "USAGE_EXPORT_PII_KEY": kept.pii_key,
        "USAGE_EXPORT_MEMORY": os.environ.get("USAGE_EXPORT_MEMORY", "1GB"),
        "USAGE_EXPORT_THREADS": os.environ.get("USAGE_EXPORT_THREADS", "2"),
        "USAGE_EXPORT_SWEEP_AFTER_DAYS": os.environ.get("USAGE_EXPORT_SWEEP_AFTER_DAYS", "7"),
        "AWS_ACCESS_KEY_ID": store.access_key,
        "AWS_SECRET_ACCESS_KEY": store.secret_key,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": store.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        **_airflow(folder, kept, port),
    }


def _inherited() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "AWS_", "USAGE_EXPORT_"))
    }
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "dags")]),
    }


def _airflow(folder: Path, kept: Secrets, port: int) -> dict[str, str]:
    home = folder / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    passwords = home / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({"operator": kept.operator, "analyst": kept.analyst}))
    config = home / "airflow.cfg"
    shutil.copyfile(ROOT / "deploy" / "airflow" / "airflow.cfg", config)
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(config),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{name}:{role}" for name, role in USERS.items()
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        # SQLite has one writer at a time: after its 5 s of waiting a click was answered with a 500
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": kept.jwt_secret,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }

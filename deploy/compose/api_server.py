"""python -m deploy.compose.api_server: passwords to a file, then the API server."""

import json
import os
from pathlib import Path

PASSWORDS = {"operator": "AIRFLOW_OPERATOR_PASSWORD", "analyst": "AIRFLOW_ANALYST_PASSWORD"}


def write_passwords(path: Path) -> None:
    """The file that Airflow's simple auth manager reads; only its owner may read it."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps({user: os.environ[name] for user, name in PASSWORDS.items()}))


if __name__ == "__main__":
    write_passwords(Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]))
    os.execvp("airflow", ["airflow", "api-server"])

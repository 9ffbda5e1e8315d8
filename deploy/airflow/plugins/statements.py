"""Browse → Statements: the lake's pages inside the Airflow UI. Loaded by the API server alone.

Airflow mounts a plugin's application without asking who calls. So it asks itself: whoever may see the DAG that
makes the statements may read them.
"""

from datetime import date

from airflow.api_fastapi.app import API_ROOT_PATH
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from etl import layout, settings
from etl.errors import UsageError
from etl.statement.page import document, tag

PREFIX = "/statements"
HEADERS = {
    # a page brings a stricter policy of its own; its style sheet may be that of an older release of the code
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}
may_read = requires_access_dag(method="GET", param_dag_id="usage_build")
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(may_read)])


@app.get("/{name}.html")
def page(name: str) -> HTMLResponse:
    from etl.store import Store  # a second to import: not before somebody looks

    if name != "index" and not _is_day(name):
        return _says(404, "There is no such page.")
    found = Store(settings.from_environment().lake).read(layout.statement(name))
    if found is None:
        return _says(404, "Nothing is written yet: the runs of usage_ingest and usage_build do it.")
    return HTMLResponse(found.data, headers=HEADERS)


@app.get("/")
def home() -> RedirectResponse:
    return RedirectResponse("index.html")


@app.exception_handler(UsageError)
def unreadable(_: Request, error: UsageError) -> HTMLResponse:
    from etl.privacy import mask

    return _says(503, f"{type(error).__name__}: {mask(str(error))}")


def _is_day(name: str) -> bool:
    try:
        return str(date.fromisoformat(name)) == name
    except ValueError:
        return False


def _says(status: int, text: str) -> HTMLResponse:
    home = tag("a", "All days", href="index.html")
    html = document(
        "Usage statements", tag("main", tag("h1", "Usage statements"), tag("p", text), home)
    )
    return HTMLResponse(html, status, headers=HEADERS)


APPS = [{"app": app, "url_prefix": PREFIX, "name": "usage statements"}]
VIEWS = [
    {
        "name": "Statements",
        "href": f"{API_ROOT_PATH.rstrip('/')}{PREFIX}/index.html",
        "destination": "nav",
        "category": "browse",
        "url_route": "statements",
    }
]


class Statements(AirflowPlugin):
    """A page in the menu, and the application that serves it."""

    name = "usage_statements"
    fastapi_apps = APPS
    external_views = VIEWS

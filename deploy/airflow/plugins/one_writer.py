"""With SQLite, the embedded database, the API server takes one request that may write at a time.

SQLite has one writer. Airflow writes its audit log inside its event loop, and a route that has written needs that
loop to end its transaction: two requests at once would wait for each other until SQLite gives up (`?timeout=`),
while nothing else is answered, and the later one would get a 500. PostgreSQL locks rows and needs none of this.
"""

import asyncio

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from starlette.types import ASGIApp, Receive, Scope, Send

READING = {"GET", "HEAD", "OPTIONS"}


class OneAtATime:
    """Lets a request that may write begin when the one before it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.turn = app, asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READING:
            await self.app(scope, receive, send)
            return
        async with self.turn:
            await self.app(scope, receive, send)


SQLITE = conf.get_mandatory_value("database", "sql_alchemy_conn").startswith("sqlite")


class OneWriter(AirflowPlugin):
    """Where the database is SQLite, and nowhere else."""

    name = "one_writer"
    fastapi_root_middlewares = [{"middleware": OneAtATime, "name": name}] if SQLITE else []

"""Questions about bills that change nothing: deliveries, and what moved between two releases."""

from pathlib import Path
from tempfile import TemporaryDirectory

from etl import catalog, layout, release, settings, sql, staged
from etl.billing import bill_text, contract, delivery
from etl.billing.delivery import Delivery
from etl.billing.tables import CHARGE, CHARGE_DAILY
from etl.errors import SourceError
from etl.release import Release
from etl.store import Store


def streams() -> list[str]:
    return contract.streams(settings.without_store().contracts)


def deliveries(stream: str) -> list[Delivery]:
    """Every delivery of a contract that the current release knows, oldest first."""
    contract.known(settings.without_store().contracts, stream)
    env = settings.from_environment()
    lake = Store(env.lake)
    with TemporaryDirectory(dir=env.scratch) as folder:
        return delivery.ledger(env, lake, release.current(lake), stream, Path(folder))


def path(stream: str) -> str:
    """Where the deliveries of a contract are looked for in landing."""
    env = settings.from_environment()
    return env.landing.url(contract.load(env.contracts, stream).discovery.path)


def appends(stream: str) -> bool:
    """Whether deliveries of a contract add rows; their month is then that in which they came in."""
    return contract.load(settings.without_store().contracts, stream).discovery.kind == "append"


def newest_period(number: int | None = None) -> str:
    """The newest month with a bill, of the current release or an older one; SourceError where there is none."""
    env = settings.from_environment()
    found = _release(Store(env.lake), number)
    periods = [
        layout.partition_values(name)["billing_period"]
        for name in found.partitions(CHARGE_DAILY.name)
    ]
    if not periods:
        raise SourceError(
            f"no bill is loaded in {env.lake.url()}, release {found.number}: "
            "usage-export billing ingest CONTRACT"
        )
    return max(periods)


def statement(billing_period: str, number: int | None = None) -> str:
    """The bills of a month by provider and service, as text; of the current release or an older one."""
    env = settings.from_environment()
    found = _release(Store(env.lake), number)
    with catalog.open_release(found, env.lake) as engine:
        rows = sql.rows(engine, sql.model("report/bill_month"), {"period": billing_period})
    return bill_text.text(billing_period, found.number, rows)


def diff(provider: str, billing_period: str, first: int, last: int | None) -> list[dict]:
    """What moved of a provider's month from one release to another, by day, account and service.

    The same comparison as the ledger keeps, of any two releases; amounts are decimals. SourceError where neither
    has a bill of it.
    """
    env = settings.from_environment()
    lake = Store(env.lake)
    old = release.load(lake, first)
    new = _release(lake, last)
    held = [_charges(one, provider, billing_period) for one in (old, new)]
    if not any(held):
        raise SourceError(_no_bill(provider, billing_period, old, new))
    with TemporaryDirectory(dir=env.scratch) as folder, sql.connect(env) as engine:
        for view, entries in zip(("published_charge", "charge"), held, strict=True):
            staged.give(engine, lake, view, CHARGE.name, entries, Path(folder) / view)
        sql.create(
            engine,
            "moved",
            "charge/charge_restatement",
            stream="",
            replaced=first,
            closed=0,
            cause="",
        )
        return sql.rows(engine, "FROM moved ORDER BY ALL")


def _release(lake: Store, number: int | None) -> Release:
    return release.current(lake) if number is None else release.load(lake, number)


def _charges(found: Release, provider: str, billing_period: str) -> list[release.Entry]:
    return staged.partitions(
        found, CHARGE.name, x_provider=provider, x_billing_period=billing_period
    )


def _no_bill(provider: str, billing_period: str, old: Release, new: Release) -> str:
    names = {name for one in (old, new) for name in one.partitions(CHARGE.name)}
    found = [layout.partition_values(name) for name in names]
    known = sorted({f"{one['x_provider']} {one['x_billing_period']}" for one in found})
    said = (
        f"there is no bill of {provider} {billing_period} in release {old.number} or {new.number}"
    )
    return f"{said}: there are {', '.join(known) or 'none'}"

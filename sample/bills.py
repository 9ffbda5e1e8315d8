"""Two providers' bills of one month, as they are delivered: AWS in FOCUS, twice; Google's export table, day by day."""

import csv
import gzip
import io
import json
import random
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from sample.model import LandedObject

STREAMS = ("aws_focus", "gcp_billing")
SERVICES = (
    ("Amazon Elastic Compute Cloud", "Compute", "Hours", "0.0416"),
    ("Amazon Simple Storage Service", "Storage", "GB-Months", "0.023"),
    ("AWS Lambda", "Compute", "Seconds", "0.0000166667"),
)
ACCOUNTS = (("210987654321", "shop"), ("310987654321", "search"))
PROJECTS = ("shop-prod", "search-prod")


def bills(seed: int, day: date) -> list[LandedObject]:
    """Objects of the month of `day`, delivered on that day and the next, in the order of delivery.

    The second delivery of AWS holds the month again with a day more, and one line that was re-rated.
    """
    rng = random.Random(f"{seed} bills")
    first = day.replace(day=1)
    dates = [first + timedelta(days=n) for n in range((day - first).days + 1)]
    lines = [
        _aws(rng, one, account, service)
        for one in dates
        for account in ACCOUNTS
        for service in SERVICES
    ]
    month = f"billing/aws/focus/sample/billing_period={first:%Y-%m}"
    early, late = (datetime.combine(day + timedelta(days=n), time(6)) for n in (0, 1))
    yesterday = [line for line in lines if line["ChargePeriodStart"] < f"{day}T"]
    rerated = [lines[0] | {"BilledCost": "9.99", "EffectiveCost": "9.99"}, *lines[1:]]
    made = [
        LandedObject(f"{month}/{early:%Y%m%d}.csv", _csv(yesterday), early),
        LandedObject(f"{month}/{late:%Y%m%d}.csv", _csv(rerated), late),
    ]
    for number, moment in enumerate((early, late)):
        rows = [
            _google(rng, one, project, moment) for one in dates[number::2] for project in PROJECTS
        ]
        folder = f"billing/gcp/json/sample/export_date={moment:%Y-%m-%d}"
        body = "".join(json.dumps(row) + "\n" for row in rows).encode()
        made.append(LandedObject(f"{folder}/part-0.json.gz", gzip.compress(body, mtime=0), moment))
        marker = json.dumps({"rows": len(rows)}).encode()
        made.append(LandedObject(f"{folder}/_SUCCESS.json", marker, moment))
    return sorted(made, key=lambda one: (one.delivered_at, one.key))


def _aws(rng: random.Random, day: date, account: tuple[str, str], service: tuple) -> dict[str, str]:
    name, category, unit, price = service
    quantity = Decimal(rng.randrange(1, 10**7)) / 1000
    cost = quantity * Decimal(price)
    discounted = cost * Decimal("0.9")
    following = day + timedelta(days=1)
    end = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return {
        "BilledCost": f"{discounted}",
        "BillingAccountId": "110987654321",
        "BillingAccountName": "Example",
        "BillingCurrency": "USD",
        "BillingPeriodStart": f"{day:%Y-%m}-01T00:00:00Z",
        "BillingPeriodEnd": f"{end}T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{unit} of {name}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": f"{day}T00:00:00Z",
        "ChargePeriodEnd": f"{following}T00:00:00Z",
        "ConsumedQuantity": f"{quantity}",
        "ConsumedUnit": unit,
        "ContractedCost": f"{discounted}",
        "EffectiveCost": f"{discounted}",
        "InvoiceIssuerName": "Amazon Web Services, Inc.",
        "ListCost": f"{cost}",
        "PricingCategory": "Standard",
        "PricingQuantity": f"{quantity}",
        "PricingUnit": unit,
        "ProviderName": "AWS",
        "PublisherName": "AWS",
        "RegionId": "eu-west-1",
        "RegionName": "EU (Ireland)",
        "ServiceCategory": category,
        "ServiceName": name,
        "SkuId": f"SKU-{SERVICES.index(service)}",
        "SubAccountId": account[0],
        "SubAccountName": account[1],
        "Tags": json.dumps({"team": account[1]}),
    }


def _google(rng: random.Random, day: date, project: str, exported: datetime) -> dict:
    cost = rng.randrange(1, 10**6) / 10**4
    return {
        "billing_account_id": "01AB12-34CD56-EF7890",
        "service": {"id": "6F81-5844-456A", "description": "Compute Engine"},
        "sku": {"id": "F449-33EC-A5EF", "description": "E2 instance core"},
        "usage_start_time": f"{day}T00:00:00Z",
        "usage_end_time": f"{day}T23:00:00Z",
        "project": {"id": project, "name": project, "labels": []},
        "labels": [{"key": "team", "value": project.partition("-")[0]}],
        "location": {"location": "europe-west1", "region": "europe-west1"},
        "cost": cost,
        "currency": "USD",
        "usage": {
            "amount": cost * 100,
            "unit": "seconds",
            "amount_in_pricing_units": cost,
            "pricing_unit": "hour",
        },
        "credits": [{"name": "sustained use", "amount": round(-cost / 10, 6)}],
        "invoice": {"month": f"{day:%Y%m}"},
        "cost_type": "regular",
        "export_time": f"{exported.isoformat()}Z",
    }


def _csv(lines: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()

"""The tables of the billing road: charges as FOCUS names them, what is made of them, and their ledgers.

FOCUS 1.2 columns in snake_case (https://focus.finops.org/focus-specification/v1-2/), beside them the two
names that FOCUS 1.3 gave the provider and the publisher; columns of ours start with `x_`. Amounts are
decimal(38,18) in the currency of their row; periods end exclusive.
"""

from etl.columns import Table
from etl.columns import columns as _columns

FOCUS = """
availability_zone          string?    zone of the resource
billed_cost                amount     what is invoiced, after all discounts
billing_account_id         string     account that pays
billing_account_name       string?    its name
billing_account_type       string?    kind of that account
billing_currency           string     ISO 4217 code of every cost of the row
billing_period_start       timestamp  first moment of the invoice's month
billing_period_end         timestamp  first moment after it
capacity_reservation_id    string?    capacity that was reserved
capacity_reservation_status string?   Used or Unused
charge_category            string     Usage, Purchase, Tax, Credit or Adjustment
charge_class               string?    Correction, where the row corrects an invoiced period
charge_description         string?    what the provider calls it
charge_frequency           string?    One-Time, Recurring or Usage-Based
charge_period_start        timestamp  when the charge begins to apply
charge_period_end          timestamp  when it ends to apply, exclusive
commitment_discount_category string?  Spend or Usage
commitment_discount_id     string?    commitment that covers the row, or that it buys
commitment_discount_name   string?    its name
commitment_discount_quantity amount?  how much of the commitment
commitment_discount_status string?    Used or Unused
commitment_discount_type   string?    the provider's kind of commitment
commitment_discount_unit   string?    unit of commitment_discount_quantity
consumed_quantity          amount?    how much was used
consumed_unit              string?    unit of consumed_quantity
contracted_cost            amount     at the agreed price, before commitments
contracted_unit_price      amount?    the agreed price of one pricing unit
effective_cost             amount     with commitments spread over what they cover
invoice_id                 string?    invoice that holds the row
invoice_issuer_name        string     who sends the invoice
list_cost                  amount     at the public price
list_unit_price            amount?    the public price of one pricing unit
pricing_category           string?    Standard, Dynamic, Committed or Other
pricing_currency           string?    currency of the price list
pricing_currency_contracted_unit_price amount? contracted price in that currency
pricing_currency_effective_cost amount? effective cost in that currency
pricing_currency_list_unit_price amount? list price in that currency
pricing_quantity           amount?    how much was priced
pricing_unit               string?    unit of pricing_quantity
provider_name              string     who sells (FOCUS 1.2)
publisher_name             string     who makes what is sold (FOCUS 1.2)
region_id                  string?    provider region
region_name                string?    its name
resource_id                string?    resource that is charged for
resource_name              string?    its name
resource_type              string?    its kind
service_category           string     what the service is for, as FOCUS lists it; Other where it is not known
service_name               string     service that is charged for
service_subcategory        string?    finer than service_category
sku_id                     string?    what is sold
sku_meter                  string?    what is metered of it
sku_price_details          string?    JSON object: what the price depends on
sku_price_id               string?    its price
sub_account_id             string?    account, subscription, project or compartment that used it
sub_account_name           string?    its name
sub_account_type           string?    kind of that account
tags                       string?    JSON object: tag key to value
service_provider_name      string     provider_name, as FOCUS 1.3 calls it
host_provider_name         string     publisher_name, as FOCUS 1.3 calls it
"""
OURS = """
x_service_id               string?    the provider's own key of the service
x_operation                string?    the provider's own name of what was done
x_charge_type              string?    the provider's own kind of line
x_row_key                  string?    the provider's own key of the line, where it gives one
x_source_cost              amount     the amount that the provider's own total counts for this line
x_source_credits           amount?    credits that the provider lists beside that amount
x_changes                  labels     what was altered or filled: code to the value before, empty text where none was
x_other_columns            labels?    what no column here holds: name as delivered, or `x_…` of the contract, to text
x_object_key               string     object that held the line
x_row                      bigint     row of the line in that object, header not counted, first is 1
x_provider                 string     provider, as the contract names it
x_billing_period           string     month of the invoice, YYYY-MM
x_stream                   string     contract that produced the row
x_schema_version           string     version of that contract
x_delivery                 string     first 16 hex digits of sha256(delivery_id)
"""

CHARGE = Table(
    "charge",
    "one line of one delivery of a bill",
    ("x_provider", "x_billing_period", "x_stream", "x_delivery"),
    ("x_object_key", "x_row"),
    _columns(FOCUS + OURS.lstrip()),
)
CHARGE_DAILY = Table(
    "charge_daily",
    "day x billing account x sub-account x service x SKU x region x charge category x currency",
    ("provider", "billing_period", "stream"),
    (
        *("charge_date", "billing_account_id", "sub_account_id", "service_name", "sku_id"),
        *("region_id", "charge_category", "billing_currency"),
    ),
    _columns("""
provider           string      provider, as the contract names it
billing_period     string      month of the invoice, YYYY-MM
stream             string      contract
charge_date        date        UTC day of charge_period_start
billing_account_id string      account that pays
sub_account_id     string?     account, subscription, project or compartment that used it
service_name       string      service that is charged for
sku_id             string?     what is sold
region_id          string?     provider region
charge_category    string      Usage, Purchase, Tax, Credit or Adjustment
billing_currency   string      ISO 4217 code of the four costs
list_cost          amount      at the public price
contracted_cost    amount      at the agreed price
billed_cost        amount      what is invoiced
effective_cost     amount      with commitments spread over what they cover
charges            bigint      rows of charge summed
"""),
)
DELIVERY = Table(
    "delivery",
    "one delivery of one billing period, as it was seen last",
    ("stream",),
    ("billing_period", "submitted_at", "delivery_id"),
    _columns("""
stream             string      contract
provider           string      provider, as the contract names it
billing_period     string      month of the invoice, YYYY-MM; where deliveries append, of their arrival
delivery_id        string      the provider's own id, or object key and version where it gives none
state              string      seen, complete (and waits for somebody to act), loaded, superseded or rejected
reason             string?     why it is not loaded, see the list in the data dictionary
detail             string?     object, column or number that the reason is about
manifest_key       string?     manifest in landing
manifest_etag      string?     ETag of the manifest as it was read; once settled, not read again while it lies there
landed_at          timestamp?  last change of the manifest, else of the last object, as listed when it was read, UTC
submitted_at       timestamp   when the provider made it, else when it arrived, UTC
objects            bigint      objects that hold its rows
bytes              bigint      their size together
rows               bigint?     rows that were read
rows_stated        bigint?     rows that the manifest, or the marker, states
last_day           date?       last UTC day of its billing period that its rows charge
schema_version     string      version of the contract that judged it
unknown_columns    string?     columns that the contract does not name, joined by commas: see x_other_columns
content_hash       string?     sha256 over its objects' sha256, by which an equal delivery is known
held_against       string?     where it waits: month, and sha256 of what it was held against; read again once that moves
"""),
)
DELIVERY_OBJECT = Table(
    "delivery_object",
    "one object of one delivery that was read",
    ("stream", "delivery"),
    ("object_key",),
    _columns("""
stream             string      contract
delivery           string      first 16 hex digits of sha256(delivery_id)
object_key         string      key in the landing bucket
object_etag        string      ETag that was pinned and read
size_bytes         bigint      size of the object
sha256             string      of the object's bytes, hex
kept_key           string?     copy in the lake, where the provider overwrites what it delivered
rows               bigint      rows in the object
"""),
)
CHARGE_CONTROL = Table(
    "charge_control",
    "one stage of one delivery, by the category that this stage knows and by currency",
    ("provider", "billing_period", "stream"),
    ("stage", "delivery", "category", "currency"),
    _columns("""
provider           string      provider, as the contract names it
billing_period     string      month of the invoice, YYYY-MM
stream             string      contract
stage              string      source (text), mirror (text of lines that another contract counts), charge, charge_daily
delivery           string?     first 16 hex digits of sha256(delivery_id); null for charge_daily, which sums them
category           string?     source: the provider's own kind of line; else charge_category
currency           string?     ISO 4217 code
rows               bigint      rows
source_cost        string?     exact sum of what the provider's own total counts, as a decimal text of up to 28 places
source_credits     string?     exact sum of credits listed beside, the same
billed_cost        amount?     sum
effective_cost     amount?     sum
list_cost          amount?     sum
contracted_cost    amount?     sum
"""),
)
CHARGE_RESTATEMENT = Table(
    "charge_restatement",
    "account x service x day whose published costs changed; append only",
    ("provider", "billing_period", "stream", "replaced"),
    (
        *("charge_date", "billing_account_id", "sub_account_id", "service_name"),
        "billing_currency",
    ),
    _columns("""
provider           string      provider, as the contract names it
billing_period     string      month of the invoice, YYYY-MM
stream             string      contract
replaced           bigint      release in which the old costs had been published
charge_date        date        UTC day
billing_account_id string      account that pays
sub_account_id     string?     account, subscription, project or compartment that used it
service_name       string      service that is charged for
billing_currency   string      ISO 4217 code
old_billed_cost    amount      before, 0 where there was no row
new_billed_cost    amount      after, 0 where the row is gone
billed_difference  amount      new minus old
old_effective_cost amount      before
new_effective_cost amount      after
effective_difference amount    new minus old
rows_added         bigint      lines that are new
rows_removed       bigint      lines that are gone
rows_changed       bigint      lines of the same key with other costs; 0 where the provider gives no key
closed             bigint      1 where the month was closed when it moved, else 0
cause              string      deliveries that are new
old_list_cost      amount?     before; null where it was written before these were compared
new_list_cost      amount?     after
list_difference    amount?     new minus old
old_contracted_cost amount?    before
new_contracted_cost amount?    after
contracted_difference amount?  new minus old
"""),
)

ALL = (CHARGE, CHARGE_DAILY, DELIVERY, DELIVERY_OBJECT, CHARGE_CONTROL, CHARGE_RESTATEMENT)

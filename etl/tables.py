"""The tables of the lake: grain, partition, order of rows and columns. Source of the data dictionary.

Times are UTC, `timestamp[us]` without zone. Quantities are decimal(38,9) in the row's own unit.
Nothing that differs between two runs over the same landing enters a table.
"""

from etl.billing import tables
from etl.columns import Table
from etl.columns import columns as _columns

CANONICAL = """
idempotency_key    string      identity of the row: sha256(record_key, U+001F, meter), hex
record_key         string      identity of the source record, shared by its measures: sha256(stream and identity columns joined by U+001F), hex
stream             string      contract that produced the row
schema_version     string      version of that contract
source             string      who emitted the record, as the producer names it
source_event_id    string?     the producer's own id of the record
sequence_scope     string?     what a sequence counts within, for example a Kafka partition
sequence_id        bigint?     position in that scope, for example a Kafka offset; a gap means loss
record_kind        string      usage, void or adjust
corrects_key       string?     record_key that a void or an adjust refers to
tenant_id          string      who consumed; UNATTRIBUTED where no rule of the contract matched
attribution        string      rule that named the tenant: event, label, resource_map, key_prefix, account_map or none
billing_account_id string?     the provider's paying account
sub_account_id     string?     the provider's account or project
principal_hash     string?     keyed pseudonym of a user or role (HMAC-SHA-256, first 32 hex digits)
service_name       string?     service that was used
resource_id        string?     resource that was used
resource_type      string?     kind of that resource
meter              string      what is counted
sku_id             string?     what is sold; filled by a price map, never by a source
quantity           quantity    how much, in `unit`, before weighting; signed for adjust, 0 for void
unit               string      unit of quantity, in the form that FOCUS asks for
sample_weight      integer     occurrences that this row stands for; weighted quantity = quantity x weight
derivation         string      how the quantity came about: event
event_time         timestamp   when the usage is charged to, UTC
period_start       timestamp   start of the charge period, inclusive, UTC
period_end         timestamp   end of the charge period, exclusive, UTC; equal to the start for an instant
usage_date         date        UTC day of period_start
time_quality       string      source, or clamped where the producer's clock ran more than five minutes ahead of delivery
delivered_at       timestamp   when the object arrived, UTC: its metadata delivered-at, else LastModified
ingested_at        timestamp   when the run that owns the landed date is due, UTC: midnight after that date
region_id          string?     provider region
labels             labels      further dimensions, at most 16, keys allowed by the contract, sorted
trace_id           string?     W3C trace id, 32 hex digits
raw_object_key     string      landing object that held the record
raw_object_etag    string      ETag of that object when it was read
raw_line           bigint      line of the record in the object (first is 1); position in the array for JSON arrays
run_id             string      logical run that owns the row: stream/landed_date
landed_date        date        UTC day in the object's key, else of its arrival
"""

USAGE_ARRIVAL = Table(
    "usage_arrival",
    "one measure of one delivered source record",
    ("stream", "usage_date", "landed_date"),
    ("delivered_at", "raw_object_key", "raw_line", "meter"),
    _columns(CANONICAL),
)
USAGE_EVENT = Table(
    "usage_event",
    "one measure of one identity, after deduplication, voids and adjustments",
    ("stream", "usage_date"),
    ("landed_date", "delivered_at", "raw_object_key", "raw_line", "meter"),
    _columns(CANONICAL),
)
USAGE_KEY = Table(
    "usage_key",
    "one delivered source record: index of identities across usage dates",
    ("stream", "usage_date", "landed_date"),
    ("key_hash", "corrects_hash", "delivered_at", "void_hash"),
    _columns("""
stream             string      contract that produced the record
usage_date         date        UTC day that the record claims
landed_date        date        UTC day in the object's key, else of its arrival
key_hash           hash        first 64 bits of record_key
corrects_hash      hash?       first 64 bits of corrects_key
delivered_at       timestamp   when the object arrived, UTC
void_hash          hash?       corrects_hash of a void: an adjust that becomes one moves its target
"""),
)
QUARANTINE = Table(
    "quarantine",
    "one refused record, or one refused object (raw_line 0)",
    ("stream", "landed_date"),
    ("raw_object_key", "raw_line"),
    _columns("""
stream             string      contract that refused the record
schema_version     string      version of that contract
landed_date        date        UTC day in the object's key, else of its arrival
reason             string      stable reason code, see the list in the data dictionary
raw_object_key     string      landing object that held the record
raw_object_etag    string      ETag of that object when it was read
raw_line           bigint      line of the record (first is 1), 0 for the whole object
delivered_at       timestamp   when the object arrived, UTC
event_time         timestamp?  time of the record where it could be read, UTC
quantities         labels      what the record would have counted: "meter unit" to quantity, as text
raw_encoding       string      utf-8, or base64 where the bytes are not valid UTF-8
raw_text           string?     the record as it was written; personal data is possible: same access as landing
"""),
)
MANIFEST = Table(
    "manifest",
    "one landed object that a run has read",
    ("stream", "landed_date"),
    ("raw_object_key",),
    _columns("""
stream             string      contract that read the object
schema_version     string      version of that contract
landed_date        date        UTC day in the object's key, else of its arrival
raw_object_key     string      key in the landing bucket
raw_object_etag    string      ETag that was pinned and read
version_id         string?     object version, in a bucket that keeps versions
size_bytes         bigint      size of the object
sha256             string      of the object's bytes, hex
delivered_at       timestamp   when the object arrived, UTC
sequence_scope     string?     what the sequence in the key counts within
first_sequence     bigint?     sequence of the object's first record
outcome            string      read, or the reason code for which the whole object was refused
records            bigint      records in the object
records_accepted   bigint      records of which at least one measure was accepted
records_refused    bigint      records in quarantine
rows               bigint      measures accepted
"""),
)
UNREAD = Table(
    "unread",
    "one landed object that was to be read and could not be; gone once it is read",
    ("stream", "landed_date"),
    ("raw_object_key",),
    _columns("""
stream             string      contract that was to read the object
landed_date        date        UTC day in the object's key, else of its arrival, else the day whose run found it
raw_object_key     string      key in the landing bucket
raw_object_etag    string      ETag that was listed
reason             string      stable reason code, see the list in the data dictionary
"""),
)
TALLY = Table(
    "tally",
    "one stage over one object or partition, and one meter of it",
    ("stage", "stream", "date"),
    ("scope", "meter", "unit"),
    _columns("""
stage              string      normalize (scope: an object), deduplicate or aggregate (scope: a partition)
stream             string      contract
date               date        landed date for normalize, usage date for the others
scope              string      what was counted
meter              string?     null on the row that counts records or rows of all meters
unit               string?     unit of the quantities
rows_in            bigint      rows read; for normalize: records (all meters), measures (one meter)
rows_out           bigint      rows kept
rows_duplicate     bigint      rows that repeat an identity
rows_quarantined   bigint      rows refused
rows_sampled_out   bigint      rows left out by a stated rule
rows_voided        bigint      rows cancelled by a void
rows_void          bigint      void instructions
quantity_in        quantity?   exact sum of what was read
quantity_out       quantity?   exact sum of what was kept
quantity_duplicate quantity?   exact sum of repeats
quantity_quarantined quantity? exact sum of what was refused, where it could be read
quantity_voided    quantity?   exact sum of what was cancelled
"""),
)
DUPLICATE = Table(
    "duplicate",
    "one measure that repeats an identity, with the record that was kept",
    ("stream", "usage_date"),
    ("raw_object_key", "raw_line", "meter"),
    _columns("""
stream             string      contract
usage_date         date        day that the repeat claims
class              string      re_delivery (same record), re_stamped (same but for its time), conflict (another payload)
record_key         string      identity that is repeated
meter              string      what is counted
unit               string      unit of the quantities
quantity           quantity    quantity that was kept out
kept_quantity      quantity?   quantity of the record that was kept; null where it has no such measure
kept_usage_date    date        day on which the kept record counts
raw_object_key     string      object that held the repeat
raw_line           bigint      line of the repeat
kept_object_key    string      object that holds the kept record
kept_line          bigint      line of the kept record
"""),
)
CORRECTION = Table(
    "correction",
    "one measure that a void cancelled, or one void instruction (role void)",
    ("stream", "usage_date"),
    ("role", "raw_object_key", "raw_line", "meter"),
    _columns("""
stream             string      contract
usage_date         date        day of the row
role               string      voided or void
record_key         string      identity of the row
corrects_key       string?     record_key that the row refers to
meter              string      what is counted
unit               string      unit of quantity
quantity           quantity    quantity that no longer counts; 0 for void
raw_object_key     string      object that held the row
raw_line           bigint      line of the row
"""),
)
USAGE_DAILY = Table(
    "usage_daily",
    "usage date x stream x tenant x meter x unit x sku x region x labels kept by the contract",
    ("usage_date", "stream"),
    ("tenant_id", "meter", "unit", "sku_id", "region_id", "labels"),
    _columns("""
usage_date         date        UTC day
stream             string      contract
tenant_id          string      who consumed
meter              string      what is counted
unit               string      unit of the quantities
sku_id             string?     what is sold
region_id          string?     provider region
labels             labels      dimensions that the contract keeps in daily totals
quantity           quantity    exact sum of quantities, not weighted
weighted_quantity  quantity    exact sum of quantity x sample_weight; differs from quantity only where events were sampled
events             bigint      rows of usage_event summed
sampled_events     bigint      those with a sample_weight above 1: the total is an estimate where this is not 0
"""),
)
RESTATEMENT = Table(
    "restatement",
    "one published daily total that changed; append only",
    ("usage_date", "stream", "replaced"),
    ("tenant_id", "meter", "unit", "sku_id", "region_id", "labels"),
    _columns("""
usage_date         date        UTC day whose total changed
stream             string      contract
replaced           bigint      release in which the old total had been published
tenant_id          string      who consumed
meter              string      what is counted
unit               string      unit of the quantities
sku_id             string?     what is sold
region_id          string?     provider region
labels             labels      dimensions that the contract keeps in daily totals
old_quantity       quantity    total before, 0 where there was no row
new_quantity       quantity    total after, 0 where the row is gone
difference         quantity    new minus old
cause              string      what is new: the landed dates whose arrivals changed, or the code or contract; then the reason of a replay
"""),
)

ALL = {
    table.name: table
    for table in (
        USAGE_ARRIVAL,
        USAGE_EVENT,
        USAGE_DAILY,
        QUARANTINE,
        DUPLICATE,
        CORRECTION,
        RESTATEMENT,
        MANIFEST,
        UNREAD,
        TALLY,
        USAGE_KEY,
        *tables.ALL,
    )
}

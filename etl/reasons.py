"""Why a record or an object stands in quarantine or in unread: every stable reason code and what it means.

A code is never given another meaning. Readers, contract SQL and sql/usage/usage_arrival.sql give
no other (tests/test_dictionary.py reads them).
"""

OBJECT = {
    "object_too_large": "The object, decompressed, is larger than the contract's max_object_bytes.",
    "object_truncated": "The compressed stream ends before its end.",
    "object_not_gzip": "The contract says gzip and the bytes are not.",
    "object_not_json": "The object is not one JSON document with the contract's array in it.",
    "object_repeated_key": "The JSON object around the contract's array, or the header of a CSV, names a key twice.",
    "object_not_csv": "A quote stays open, or beyond max_line_bytes; or the header is none: another mark, no UTF-8.",
}
UNREAD = {
    "line_too_long": "The record is longer than max_line_bytes; only its beginning is kept.",
    "not_utf8": "The bytes of the record are not valid UTF-8; they are kept as base64.",
    "not_json": "The record is not one JSON object.",
    "repeated_key": "A JSON object in the record names a key twice: readers differ in which one they take.",
    "too_deep": "Objects and arrays in the record are nested more than 200 levels deep.",
    "wrong_type": "A field that holds a single value in the contract is an object or an array.",
    "not_csv": "The row has more or fewer cells than the header, or a quote stands where none may.",
    "no_match": "The line does not match the contract's pattern.",
}
MAPPING = {
    "unknown_version": "The event's specversion is not the one that the contract reads.",
    "unknown_type": "The event's type, or the type that an adjust names, has no meter.",
    "no_operation": "The record does not name the service or the operation that was called.",
    "no_target": "A void or an adjust does not say which record it corrects.",
    "no_quantity": "There is no quantity.",
    "quantity_not_a_number": "The quantity is not a decimal number in text form.",
    "quantity_too_precise": "The quantity needs more than 9 decimal places; it is never rounded.",
    "mapping_failed": "The contract's SQL raised on the record, or beside it where hundreds of an object raise: "
    "mend the SQL, then replay.",
    "quantity_too_large": "The quantity, weighted, is 10^20 or more: sums of such could not be held exactly.",
}
JUDGED = {
    "no_measure": "The contract's SQL found nothing to count in the record.",
    "no_identity": "A column of the identity is missing or empty, or holds the separator U+001F.",
    "no_time": "The event time is missing, cannot be read, or has no zone.",
    "no_source": "The record does not say who emitted it.",
    "sample_weight": "The sample weight is not a whole number of at least 1.",
    "unknown_kind": "The record kind is not usage, void or adjust.",
    "negative_quantity": "The quantity of a usage record is below 0; only an adjust may subtract.",
    "void_with_quantity": "A void carries a quantity; it cancels a record and counts nothing itself.",
    "repeated_meter": "The contract's SQL gave the same meter twice for one record.",
    "unknown_meter": "The contract does not name this meter with this unit.",
    "unknown_attribution": "The contract does not name the rule that named the tenant.",
    "labels_not_allowed": "There are more than 16 labels, or one that the contract does not allow.",
    "period_reversed": "The charge period ends before it starts.",
    "too_late": "The event is older at delivery than the contract's late window.",
    "personal_data": "A column to be published looks like a mail or IP address, a telephone or card number, a key.",
}
NOT_READ = {
    "not_answered": "Object storage did not answer for the object, also after retries; it did for others.",
    "denied": "Object storage refuses us the object: its policy, its encryption key, or it is archived.",
    "damaged": "Size or checksum of what was read are not those of the object, each time it was read.",
    "replaced": "The object was replaced between listing and reading; the next run reads what is there now.",
    "vanished": "The object was deleted before it was read; it stays named until it is delivered again under its key.",
    "lost": "The object was gone before this version of it was read, and still when no run looked back to its date.",
    "no_arrival": "The object's metadata delivered-at is not a time with a zone.",
    "batch_failed": "The task that was to read the object and others ended first: killed, out of time or failed.",
}
GROUPS = {
    "The whole object is refused (raw_line 0)": OBJECT,
    "The record cannot be read": UNREAD,
    "The contract's SQL refuses the record": MAPPING,
    "The record does not become an arrival": JUDGED,
    "The object was not read (table unread)": NOT_READ,
}
REASONS = OBJECT | UNREAD | MAPPING | JUDGED | NOT_READ

DELIVERY = {
    "manifest_not_readable": "rejected: The manifest is not JSON, or lacks what the contract says it holds.",
    "dataset_version": "rejected: The data set has another version than the contract reads.",
    "foreign_dataset": "rejected: The manifest is of another data set than the contract reads.",
    "foreign_bucket": "rejected: The manifest names objects of another bucket.",
    "repeated_object": "rejected: The manifest names an object twice.",
    "object_missing": "seen: An object that the manifest names is not there yet.",
    "object_size": "seen: An object has not the size yet that the manifest states.",
    "no_marker": "seen: The marker that is written last does not lie beside the objects yet.",
    "not_stable": "seen: The object changed within the time that the contract waits.",
    "partial_month": "rejected: It holds part of a month, or ends before what is loaded.",
    "several_months": "rejected: Its manifest spans more than one month.",
    "wrong_period": "rejected: It holds rows of another month than it says.",
    "empty": "rejected: It holds no rows, and rows of the month are loaded.",
    "row_count": "rejected: It has other rows than its manifest states.",
    "same_content": "superseded: Its objects equal, byte for byte, those that are loaded.",
    "older_than_loaded": "superseded: A newer delivery of the month is loaded.",
    "newer_delivery": "superseded: A newer complete delivery took its place.",
    "withdrawn": "superseded: It no longer lies in landing, and the month was asked for, of which an older one does.",
    "newer_withdrawn": "complete: The newer one that is loaded no longer lies in landing; this one does.",
    "counted_elsewhere": "complete: Another contract has loaded the month of one of its accounts.",
    "two_folders": "complete: The month of one of its accounts lies in two folders.",
    "begins_later": "complete: It would take over a month, and begins after what is loaded of it.",
    "account_gone": "complete: It has nothing of an account whose month is loaded, or of most of its sub-accounts.",
    "not_valid": "complete: Its month breaks an expectation of a published table.",
    "vanished": "seen: It no longer lies in landing, and was never loaded.",
    "taken_over": "superseded: Another contract, which takes over from this one, has loaded the month.",
    "missing_column": "rejected: A column that the contract requires is not there.",
    "repeated_column": "rejected: Two columns have the same name.",
    "too_many_columns": "rejected: It has more columns than the contract allows.",
    "object_empty": "rejected: An object is empty; not even a header is there.",
    "object_not_csv": "rejected: An object is not CSV, or a row has another number of columns.",
    "object_not_parquet": "rejected: An object is not Parquet.",
    "object_not_utf8": "rejected: An object is not UTF-8 text.",
    "object_not_gzip": "rejected: An object should be gzip and is not.",
    "object_truncated": "rejected: The gzip stream of an object ends early.",
    "object_too_large": "rejected: An object is larger than the contract allows.",
    "amount_not_a_number": "rejected: A cost, price or quantity is not a number.",
    "amount_too_large": "rejected: A cost, price or quantity is too large to be exact.",
    "time_not_readable": "rejected: A time has none of the forms that bills have.",
    "not_json": "rejected: Tags, credits or another nested value, or a whole line, is not JSON.",
    "no_value": "rejected: A column that every charge has is empty in a row.",
    "repeated_key": "rejected: A JSON object in a line names a key twice.",
    "too_deep": "rejected: A line is nested more than 200 levels deep.",
    "line_too_long": "rejected: A line or row has more bytes than the contract allows, or a quote is not closed.",
    "not_utf8": "rejected: A line is not UTF-8 text.",
}

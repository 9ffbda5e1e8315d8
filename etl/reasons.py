"""Why a record or an object stands in quarantine: every stable reason code and what it means.

A code is never given another meaning. Readers, contract SQL and sql/usage/usage_arrival.sql give
no other (tests/test_dictionary.py reads them).
"""

OBJECT = {
    "object_too_large": "The object, decompressed, is larger than the contract's max_object_bytes.",
    "object_truncated": "The compressed stream ends before its end.",
    "object_not_gzip": "The contract says gzip and the bytes are not.",
    "object_not_json": "The object is not one JSON document with the contract's array in it.",
    "object_repeated_key": "The JSON object around the contract's array names a key twice.",
}
UNREAD = {
    "line_too_long": "The record is longer than max_line_bytes; only its beginning is kept.",
    "not_utf8": "The bytes of the record are not valid UTF-8; they are kept as base64.",
    "not_json": "The record is not one JSON object.",
    "repeated_key": "A JSON object in the record names a key twice: readers differ in which one they take.",
    "too_deep": "Objects and arrays in the record are nested more than 200 levels deep.",
    "wrong_type": "A field that holds a single value in the contract is an object or an array.",
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
    "personal_data": "A column to be published looks like personal data (see etl/privacy.py).",
}
GROUPS = {
    "The whole object is refused (raw_line 0)": OBJECT,
    "The record cannot be read": UNREAD,
    "The contract's SQL refuses the record": MAPPING,
    "The record does not become an arrival": JUDGED,
}
REASONS = OBJECT | UNREAD | MAPPING | JUDGED

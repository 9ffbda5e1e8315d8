"""Requests to an object store that fail: which are tried again, and what a refusal means for who asked."""

import time
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    EndpointConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ResponseStreamingError,
)
from urllib3.exceptions import HTTPError

from etl.errors import (
    Corrupt,
    Denied,
    ObjectChanged,
    SettingError,
    StoreUnavailable,
    Vanished,
)
from etl.proof import Damaged

BODY_FAULTS = (
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    HTTPError,  # botocore lets it through where the body of a refusal breaks off
)
# bytes that were hurt before the store saw them, which refused them
DIGESTS = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
ATTEMPTS = 5
T = TypeVar("T")


def retried(verb: str, url: str, action: Callable[[], T]) -> T:
    """Run one request with the body inside the retry, and name the object in what is raised."""
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except (FlexibleChecksumError, Damaged) as error:
            if attempt == ATTEMPTS - 1:
                raise Corrupt(
                    f"{verb} {url}: {error}: restore the object, or remove it and run again from the "
                    "first stage"
                ) from error
        except BODY_FAULTS as error:
            if attempt == ATTEMPTS - 1:
                raise StoreUnavailable(f"{verb} {url}: {error}{_remedy(error)}") from error
        except ClientError as error:
            if error.response["Error"]["Code"] not in DIGESTS or attempt == ATTEMPTS - 1:
                raise _ours(error, verb, url) from error
        except BotoCoreError as error:
            raise SettingError(f"{verb} {url}: {error}{_remedy(error)}") from error
        time.sleep(0.1 * 2**attempt)
    raise StoreUnavailable(f"{verb} {url}")


def _remedy(error: Exception) -> str:
    if isinstance(error, EndpointConnectionError):
        return ": is AWS_ENDPOINT_URL_S3 right, and does the store run?"
    if isinstance(error, NoCredentialsError):
        return ": set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    return ""


def status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _ours(error: ClientError, verb: str, url: str) -> Exception:
    code = error.response["Error"]["Code"]
    match status(error):
        case 412:
            return ObjectChanged(
                f"{verb} {url}: it was replaced meanwhile; run again to pin it anew"
            )
        case 403 if code == "RequestTimeTooSkewed":
            return SettingError(
                f"{verb} {url}: the clock of this machine is off: set it, then retry"
            )
        case 403 if code == "InvalidObjectState":
            return Denied(f"{verb} {url}: it is archived: restore it in its bucket")
        case 403 if code == "SignatureDoesNotMatch":
            return Denied(f"{verb} {url}: {code}: check AWS_SECRET_ACCESS_KEY")
        case 403 | 401:
            return Denied(f"{verb} {url}: {code}: check AWS_ACCESS_KEY_ID and its policy")
        case 404 if code == "NoSuchBucket":
            return SettingError(
                f"{verb} {url}: the bucket does not exist: create it or fix the URL"
            )
        case 404:
            return Vanished(f"{verb} {url}: there is no such object")
        case _ if code in DIGESTS:
            return Corrupt(
                f"{verb} {url}: {code}: what was sent is not what was hashed: a file of the scratch folder "
                "changed, or a proxy changes bytes; nothing was put: run the task again"
            )
        case _:
            return StoreUnavailable(f"{verb} {url}: {code}: {error}")

"""Seeded sample of raw usage files with its truth, computed while the files are made, not by the pipeline."""

import random
from datetime import date, timedelta

from sample import app_usage, cloudtrail, s3_access
from sample.model import LandedObject, Sample, Truth

__all__ = ["LandedObject", "Sample", "generate"]


def generate(seed: int, first_day: date, days: int) -> Sample:
    """Objects of three sources for `days` UTC days, a few landing on the day after; the same bytes for
    the same arguments."""
    dates = [first_day + timedelta(days=n) for n in range(days)]
    truth, objects = Truth(), []
    for source in (app_usage, s3_access, cloudtrail):
        objects += source.generate(random.Random(f"{seed} {source.STREAM}"), dates, truth)
    return Sample(tuple(objects), truth.to_json())

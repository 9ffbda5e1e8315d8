"""The stages of a bill over a real object store, each measured: python -m bench.bill_library CONTRACT.

The environment names landing and lake. Prints one JSON object a stage, as bench.library does, and what was billed.
"""

import json
import sys
from datetime import date

from bench.library import measured
from etl.billing import stages

RUN, TODAY = "bench", date.today()


def main(stream: str) -> None:
    plan = measured(TODAY, stages.deliver, stream, RUN)
    for number in plan["loads"]:
        measured(TODAY, stages.load, stream, RUN, number)
    settled = measured(TODAY, stages.settle, stream, RUN)
    for stage in (stages.validate, stages.publish):
        measured(TODAY, stage, stream, RUN)
    print(json.dumps(settled["sums"]))


if __name__ == "__main__":
    main(sys.argv[1])

"""Great Expectations: judge a one-row summary (violations by rule) by a suite, and render Data Docs.

The rules' SQL counts bad rows over the whole partition in the engine; the suite decides. An ephemeral
context leaves nothing in the tree. great_expectations and pandas live here.
"""

import logging
import warnings
from datetime import datetime
from pathlib import Path

SITE = "data_docs"


def judge(
    suite: dict, violations: dict[str, int], run_name: str, moment: datetime, site: Path
) -> list[dict]:
    """One result a rule: {"rule", "severity", "success", "violations"}; writes the site's pages.

    `moment` stands in for the run's time, so that the pages of equal data have equal names.
    """
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _checkpoint(suite, violations, run_name, moment, site)
    results = [
        {
            "rule": one["expectation_config"]["kwargs"]["column"],
            "severity": one["expectation_config"]["severity"],
            "success": one["success"],
            "violations": violations[one["expectation_config"]["kwargs"]["column"]],
        }
        for one in found
    ]
    return sorted(results, key=lambda one: one["rule"])


def ready() -> None:
    """Import what judges: seconds, in which another thread may count."""
    import great_expectations  # noqa: F401


def _checkpoint(
    suite: dict, violations: dict[str, int], run_name: str, moment: datetime, site: Path
) -> list[dict]:
    import great_expectations as gx  # only where a table is judged
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.add_data_docs_site(site_name=SITE, site_config=_site(site))  # type: ignore[arg-type]
    asset = context.data_sources.add_pandas("summary").add_dataframe_asset(suite["name"])
    batch = asset.add_batch_definition_whole_dataframe("violations")
    expectations = context.suites.add(
        gx.ExpectationSuite(name=suite["name"], expectations=suite["expectations"])
    )
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name=suite["name"], data=batch, suite=expectations)
    )
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name=suite["name"],
            validation_definitions=[definition],
            actions=[gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=[SITE])],
        )
    )
    result = checkpoint.run(
        batch_parameters={"dataframe": pd.DataFrame([violations])},
        run_id=gx.RunIdentifier(run_name=run_name, run_time=moment),
    )
    (validation,) = result.run_results.values()
    return [one.to_json_dict() for one in validation.results]


def _site(folder: Path) -> dict:
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder),
        },
    }

"""BigQuery client: every query has a cost limit and a time-out, and every failure becomes one sentence.

Google's library keeps its own transport and its own retries of single requests (`REQUEST_RETRY`);
transactions that lose against a concurrent one are repeated here.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from revisit.adapters.gcp.bigquery_settings import INCOMING_COLUMNS, REQUEST_RETRY
from revisit.adapters.gcp.catalog_check import check
from revisit.adapters.gcp.catalog_sql import Statement, Tables
from revisit.adapters.gcp.errors import TRANSIENT_REASONS, translate_errors
from revisit.adapters.gcp.settings import Settings
from revisit.errors import PermanentError, TransientError
from revisit.net.retry import RetryPolicy

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

MAX_QUERY_BYTES = 2 * 10**9
"""Bytes that one query may read and be charged for; loading a whole index sets its own limit."""
QUERY_TIMEOUT_S = 60.0
"""Longest that a query may take, retries included."""
CONTENTION_RETRY = RetryPolicy(first_delay_s=0.5, max_delay_s=8.0, max_elapsed_s=120.0, full_jitter=True)
"""For a transaction that a concurrent one aborted. Random delays let one of the competitors through."""
REQUIRED_ROLES = "roles/bigquery.dataEditor on the dataset and roles/bigquery.jobUser on the project"
LABELS = {"suite": "revisit"}


class QueryTooLargeError(PermanentError):
    """The query would read more than its limit; nothing was read or charged."""


class _ContentionError(TransientError):
    """A concurrent transaction committed first."""


def create_client(settings: Settings) -> "Client":
    """The client of a deployment's dataset."""
    with translate_errors("BigQuery", f"the project {settings.project}", REQUIRED_ROLES):
        return bigquery.Client(
            settings.project,
            AnonymousCredentials() if settings.uses_emulator else None,
            location=settings.location,
        )


class QueryRunner:
    """Runs statements on one dataset."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.dataset = f"{settings.project}.{settings.dataset}"
        self.tables = Tables(*(self.quote_table(name) for name in ("product", "addition", "turn")))

    def quote_table(self, table: str) -> str:
        """A table of the dataset, quoted for SQL."""
        return f"`{self.dataset}.{table}`"

    @cached_property
    def client(self) -> "Client":
        """Made on first use, after checking the dataset's location and the columns of its tables (four small
        requests, free of charge).

        Raises:
            TransientError: BigQuery does not answer.
            PermanentError: Location or columns differ from what the statements expect, or the account lacks
                access.
        """
        if faults := check(self, self._settings.location):
            raise PermanentError(faults[0])
        return self.unchecked_client

    @cached_property
    def unchecked_client(self) -> "Client":
        """The client without the check; for the check itself."""
        return create_client(self._settings)

    def run(
        self, statement: Statement, max_bytes: int = MAX_QUERY_BYTES, timeout_s: float = QUERY_TIMEOUT_S
    ) -> list[dict[str, Any]]:
        """Run a statement.

        Args:
            statement: Text and parameters.
            max_bytes: Bytes that it may read.
            timeout_s: Longest time, retries included.

        Returns:
            The rows of the result.

        Raises:
            QueryTooLargeError: It would read more.
            TransientError: BigQuery does not answer.
            PermanentError: BigQuery refuses, or the tables are not those that Revisit expects.
        """
        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in statement.values.items()],
            maximum_bytes_billed=max_bytes,
            use_legacy_sql=False,
            labels=LABELS,
        )
        with self.translate_errors():
            job = self.client.query(statement.text, job_config=config, timeout=timeout_s, retry=REQUEST_RETRY)
            return [dict(row.items()) for row in job.result(timeout=timeout_s, retry=REQUEST_RETRY)]

    def transact(
        self, statement: Statement, max_bytes: int = MAX_QUERY_BYTES, timeout_s: float = QUERY_TIMEOUT_S
    ) -> list[dict[str, Any]]:
        """`run`, repeated after a conflict with a concurrent transaction."""
        return CONTENTION_RETRY.call(lambda: self.run(statement, max_bytes, timeout_s), _ContentionError)

    def translate_errors(self) -> "_ErrorTranslator":
        """A context that translates BigQuery's errors to one sentence each."""
        return _ErrorTranslator(self._settings)


class _ErrorTranslator:
    """Translates BigQuery's errors to transient and permanent errors."""

    def __init__(self, settings: Settings) -> None:
        self._dataset = f"{settings.project}.{settings.dataset}"
        self._location = settings.location
        self._common = translate_errors("BigQuery", f"the dataset {self._dataset}", REQUIRED_ROLES)

    def __enter__(self) -> None:
        self._common.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, exceptions.GoogleAPICallError) and (sentence := self._translate(error)):
            raise sentence from error
        self._common.__exit__(kind, error, trace)

    def _translate(self, error: exceptions.GoogleAPICallError) -> Exception | None:
        message, reasons = str(error.message), {each.get("reason") for each in error.errors or ()}
        if "aborted due to concurrent update" in message or "write-write conflict" in message:
            return _ContentionError(
                f"concurrent transactions keep changing the dataset {self._dataset}; it is retried later"
            )
        if "bytesBilledLimitExceeded" in reasons or "exceeded limit for bytes billed" in message.lower():
            return QueryTooLargeError(
                f"this query would read more of {self._dataset} than its limit allows; "
                "name a shorter period or a tile"
            )
        if reasons & TRANSIENT_REASONS:
            return TransientError(f"BigQuery cannot serve {self._dataset} now: {message[:200]}")
        if isinstance(error, exceptions.NotFound):
            return PermanentError(
                f"BigQuery finds nothing in {self._location} ({message.splitlines()[0][:200]}); run "
                "`terraform apply`, or set REVISIT_DATASET and REVISIT_LOCATION to its outputs"
            )
        if isinstance(error, exceptions.BadRequest):
            return PermanentError(
                f"BigQuery refuses a query of {self._dataset}: {message.splitlines()[0][:300]}; "
                "if its tables have another version, run `terraform apply`"
            )
        return None


_SCALAR_TYPES = {str: "STRING", bool: "BOOL", int: "INT64", float: "FLOAT64", datetime: "TIMESTAMP"}


def _parameter(name: str, value: Any) -> Any:
    if not isinstance(value, list):
        return bigquery.ScalarQueryParameter(name, _SCALAR_TYPES[type(value)], value)
    if value and isinstance(value[0], Mapping):
        return bigquery.ArrayQueryParameter(name, "RECORD", [_struct(row) for row in value])
    return bigquery.ArrayQueryParameter(name, "STRING", value)


def _struct(row: Mapping[str, Any]) -> Any:
    kinds = dict(INCOMING_COLUMNS)
    return bigquery.StructQueryParameter(
        None, *(bigquery.ScalarQueryParameter(name, kinds[name], value) for name, value in row.items())
    )

"""The only caller of BigQuery: every query has a limit of what it may cost, and every failure is a
sentence."""

import random
import time
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
from revisit.adapters.gcp.errors import translate_errors
from revisit.adapters.gcp.settings import Settings
from revisit.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

MAX_QUERY_BYTES = 2 * 10**9
"""What one query may read, and so cost; a load of a whole index names its own limit."""
QUERY_TIMEOUT_S = 60.0
"""Longest a question may take, its tries included."""
CONTENTION_TIMEOUT_S = 120.0
"""An addition that others get in the way of is not begun again later than this."""
REQUIRED_ROLES = "roles/bigquery.dataEditor on the dataset and roles/bigquery.jobUser on the project"
LABELS = {"suite": "revisit"}


class QueryTooLargeError(PermanentError):
    """The query would read more than it may; nothing was read and nothing is charged."""


class _ContentionError(TransientError):
    """Another transaction was quicker."""


def create_client(settings: Settings) -> "Client":
    """The client of a deployment's dataset."""
    with translate_errors("BigQuery", f"the project {settings.project}", REQUIRED_ROLES):
        return bigquery.Client(
            settings.project,
            AnonymousCredentials() if settings.uses_emulator else None,
            location=settings.location,
        )


class QueryRunner:
    """Asks BigQuery about one dataset."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.dataset = f"{settings.project}.{settings.dataset}"
        self.tables = Tables(*(self.quote_table(name) for name in ("product", "addition", "turn")))

    def quote_table(self, table: str) -> str:
        """A table of the dataset as a text has it."""
        return f"`{self.dataset}.{table}`"

    @cached_property
    def client(self) -> "Client":
        """Made on first use, and handed out once the dataset lies where it should and its tables are those
        that the texts know: four
        small requests, which cost nothing, before anything is read or written.

        Raises:
            TransientError: BigQuery does not answer.
            PermanentError: They are not, or the account may not see them.
        """
        if faults := check(self, self._settings.location):
            raise PermanentError(faults[0])
        return self.unchecked_client

    @cached_property
    def unchecked_client(self) -> "Client":
        """For whoever looks whether all is well."""
        return create_client(self._settings)

    def run(
        self, statement: Statement, max_bytes: int = MAX_QUERY_BYTES, timeout_s: float = QUERY_TIMEOUT_S
    ) -> list[dict[str, Any]]:
        """The rows of the answer.

        Args:
            limit: Bytes the query may read.
            seconds: How long it may take.

        Raises:
            TooMuch: It would read more.
            TransientError: BigQuery does not answer.
            PermanentError: It refuses, or the tables are not those that Revisit knows.
        """
        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter(*one) for one in statement.values.items()],
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
        """As `ask`, begun anew where another transaction was quicker."""
        until, longest = time.monotonic() + CONTENTION_TIMEOUT_S, 0.5
        while True:
            try:
                return self.run(statement, max_bytes, timeout_s)
            except _ContentionError:
                if time.monotonic() > until:
                    raise
                # A different wait for each lets one of them through.
                time.sleep(random.uniform(0, longest))  # noqa: S311
                longest = min(2 * longest, 8.0)

    def translate_errors(self) -> "_ErrorTranslator":
        """Say in one sentence why BigQuery did not do what was asked."""
        return _ErrorTranslator(self._settings)


class _ErrorTranslator:
    """What BigQuery answers when it does not, as one of the two ways to fail."""

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
        message, reasons = str(error.message), {one.get("reason") for one in error.errors or ()}
        if "aborted due to concurrent update" in message or "write-write conflict" in message:
            return _ContentionError(
                f"others are adding to the dataset {self._dataset}; it is tried again later"
            )
        if "bytesBilledLimitExceeded" in reasons or "exceeded limit for bytes billed" in message.lower():
            return QueryTooLargeError(
                f"BigQuery would read more than it may for this question to {self._dataset}; name a shorter period or a tile"
            )
        if reasons & {"rateLimitExceeded", "quotaExceeded", "jobRateLimitExceeded", "backendError"}:
            return TransientError(f"BigQuery has no room for {self._dataset} just now: {message[:200]}")
        if isinstance(error, exceptions.NotFound):
            return PermanentError(
                f"BigQuery finds no such thing in {self._location} ({message.splitlines()[0][:200]}); run `terraform apply`, "
                "or set REVISIT_DATASET and REVISIT_LOCATION as it printed them"
            )
        if isinstance(error, exceptions.BadRequest):
            return PermanentError(
                f"BigQuery cannot do what was asked of {self._dataset}: {message.splitlines()[0][:300]}; "
                "if its tables are of another version, run `terraform apply`"
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

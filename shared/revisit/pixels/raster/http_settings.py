"""Time-outs and credentials of raster reads over HTTP, read once from GDAL's environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_GDAL_ONLY_OPTIONS = (
    "GDAL_HTTP_HEADERS",
    "GDAL_HTTP_HEADER_FILE",
    "GDAL_HTTP_AUTH",
    "GDAL_HTTP_USERPWD",
    "GDAL_HTTP_BEARER",
    "GDAL_HTTP_PROXY",
)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Limits that hold for GDAL's requests and for our own range requests.

    An operator sets them with the variables that GDAL documents
    (https://gdal.org/en/stable/user/configoptions.html), such as GDAL_HTTP_TIMEOUT.
    """

    connect_timeout_s: float = 10.0
    total_timeout_s: float = 60.0
    """Of one request, from the first byte sent to the last byte received."""
    idle_timeout_s: float = 15.0
    """Without a byte received."""
    retry_delay_s: float = 0.5
    """Before GDAL repeats a failed request, once."""
    ca_bundle: str | None = None
    """Path of further certificate authorities; None leaves the system's alone."""
    gdal_only: bool = False
    """Whether a header, a user or a proxy is configured that only GDAL sends."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the variables; those that are unset or empty keep their default.

        Args:
            environment: Defaults to the process's.

        Raises:
            ValueError: A time-out is not a number of seconds.
        """
        found = os.environ if environment is None else environment
        default = cls()

        def seconds(name: str, default_s: float) -> float:
            return float(found.get(name) or default_s)

        return cls(
            seconds("GDAL_HTTP_CONNECTTIMEOUT", default.connect_timeout_s),
            seconds("GDAL_HTTP_TIMEOUT", default.total_timeout_s),
            seconds("GDAL_HTTP_LOW_SPEED_TIME", default.idle_timeout_s),
            seconds("GDAL_HTTP_RETRY_DELAY", default.retry_delay_s),
            found.get("CURL_CA_BUNDLE") or None,
            any(found.get(name) for name in _GDAL_ONLY_OPTIONS),
        )

    @property
    def gdal_options(self) -> dict[str, str]:
        """The time-outs under GDAL's names."""
        return {
            "GDAL_HTTP_CONNECTTIMEOUT": f"{self.connect_timeout_s:g}",
            "GDAL_HTTP_TIMEOUT": f"{self.total_timeout_s:g}",
            "GDAL_HTTP_LOW_SPEED_TIME": f"{self.idle_timeout_s:g}",
            "GDAL_HTTP_RETRY_DELAY": f"{self.retry_delay_s:g}",
        }

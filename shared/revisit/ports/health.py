"""Optional abilities of adapters that `revisit doctor` uses."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class SupportsCheck(Protocol):
    """An adapter that can check its own storage or service."""

    def check(self) -> list[str]:
        """Faults, one sentence each; empty if there are none. Nothing is written.

        Raises:
            TransientError: The service does not answer.
            PermanentError: A fault that keeps the check from continuing.
        """
        ...


@runtime_checkable
class SupportsRebuild(Protocol):
    """A catalog whose index can be rebuilt from its log."""

    def rebuild(self) -> int:
        """Rebuild the index.

        Returns:
            How many products were lost; if there are any, every source must be listed from its beginning.
        """
        ...

"""Sentences on what a source has and the last listing did not take: incomplete and rejected products."""

from revisit.ports.system_records import SourceState

MAX_NAMED = 5
"""Incomplete or rejected products of a source that are named."""


def describe_unread(state: SourceState) -> list[str]:
    """A sentence on a source's incomplete products, and one on what was rejected; none if all is read."""
    return [
        *([_describe_incomplete(state)] if state.incomplete else []),
        *([_describe_rejections(state)] if state.rejections else []),
    ]


def _describe_incomplete(state: SourceState) -> str:
    """Which products of a source are incomplete, and what becomes of them."""
    [*first] = sorted(state.incomplete.items())[:MAX_NAMED]
    named = "; ".join(
        f"{product} ({missing})" + (", which waits for its files" if product in state.held else "")
        for product, missing in first
    )
    return (
        f"{len(state.incomplete):,} product{'s' if len(state.incomplete) > 1 else ''} of {state.id} "
        f"incomplete: {named}{_count_more(len(state.incomplete) - len(first))}; copy what is "
        "missing, or remove what is not wanted"
    )


def _describe_rejections(state: SourceState) -> str:
    """What was rejected, and why."""
    first = [*state.rejection_examples.items()][:MAX_NAMED]
    # Listings before this field was kept name one only.
    named = "; ".join(f"{name} ({reason})" for name, reason in first) or state.rejected
    more = _count_more(state.rejections - max(1, len(first)))
    return f"{state.rejections:,} of {state.id} not read: {named}{more}"


def _count_more(count: int) -> str:
    return f"; and {count:,} more" if count > 0 else ""

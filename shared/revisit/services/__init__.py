"""What a user can ask for: the same verbs behind the API and the command line.

Everything is validated before anything is written, and every verb can be repeated: ids are derived, so a repeat completes what
a crash left undone and doubles nothing.
"""

from revisit.services.accounts.account import erase, export
from revisit.services.accounts.keys import holder, keys, make_key, revoke_key
from revisit.services.operations.dead_letters import dead_letter, dead_letters, replay
from revisit.services.operations.status import status
from revisit.services.orders.create import order, order_of, orders
from revisit.services.orders.resolve_recipe import recipe_of
from revisit.services.products.passes import next_passes
from revisit.services.products.search import search
from revisit.services.subscriptions.create import delete, pause, resume, revision, subscribe, subscription, subscriptions
from revisit.services.subscriptions.preview import extent_of, extent_of_tile, past_of
from revisit.services.subscriptions.redeliver import deliveries, redeliver
from revisit.services.subscriptions.results import alerts, job, latest, results, series
from revisit.services.subscriptions.update import change, end_feed, renew_feed, rotate_secret, webhook_secrets

__all__ = ["alerts", "change", "dead_letter", "dead_letters", "delete", "deliveries", "end_feed", "erase", "export", "extent_of",
           "extent_of_tile", "holder", "job", "keys", "latest", "make_key", "next_passes", "order", "order_of", "orders",
           "past_of", "pause", "recipe_of", "redeliver", "renew_feed", "replay", "results", "resume", "revision", "revoke_key",
           "rotate_secret", "search", "series", "status", "subscribe", "subscription", "subscriptions", "webhook_secrets"]

"""What a user can ask for: the same verbs behind the API and the command line.

Everything is validated before anything is written, and every verb can be repeated: ids are derived, so a repeat completes what
a crash left undone and doubles nothing.
"""

from revisit.commands.account import erase, export
from revisit.commands.changing import change, end_feed, renew_feed
from revisit.commands.keys import holder, keys, make_key, revoke_key
from revisit.commands.ordering import order, order_of, orders
from revisit.commands.passing import next_passes
from revisit.commands.previewing import extent_of, extent_of_tile, past_of
from revisit.commands.reading import alerts, job, latest, results, series
from revisit.commands.recipes import recipe_of
from revisit.commands.redelivering import deliveries, redeliver
from revisit.commands.replaying import dead_letter, dead_letters, replay
from revisit.commands.reporting import status
from revisit.commands.rotating import rotate_secret, webhook_secrets
from revisit.commands.searching import search
from revisit.commands.subscribing import delete, pause, resume, revision, subscribe, subscription, subscriptions

__all__ = ["alerts", "change", "dead_letter", "dead_letters", "delete", "deliveries", "end_feed", "erase", "export", "extent_of",
           "extent_of_tile", "holder", "job", "keys", "latest", "make_key", "next_passes", "order", "order_of", "orders",
           "past_of", "pause", "recipe_of", "redeliver", "renew_feed", "replay", "results", "resume", "revision", "revoke_key",
           "rotate_secret", "search", "series", "status", "subscribe", "subscription", "subscriptions", "webhook_secrets"]

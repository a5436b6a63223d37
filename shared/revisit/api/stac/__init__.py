"""/stac: a STAC API 1.0 over the catalog and one's own results.

landing      what there is: collections, conformance, queryables
parameters   what is asked for, of an address or a body
items        items found, page by page, and one by one
files        the files of an item
telling      what sources tell of them, soon
teller       one source, and those who wait for it
told         what one told of a product
numbers      what is found in numbers, and as a file
showing      what is found, as items
"""

from revisit.api.stac import assets, items, landing, statistics_export

ROUTES = (*landing.ROUTES, *items.ROUTES, *assets.ROUTES, *statistics_export.ROUTES)

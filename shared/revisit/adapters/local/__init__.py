"""The ports on one disk: a data folder with a database, a catalog and assets. A product, not a stand-in."""

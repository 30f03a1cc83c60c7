"""Contract tests: what every registered editor must hold, also one from another package.

Run them with ``pytest --pyargs memla.testing``; they need no network and no download.
"""

"""Contract tests: what every registered editor and benchmark must hold, also one from elsewhere.

Run them with ``pytest --pyargs memla.testing``; they need no network and no download.
"""

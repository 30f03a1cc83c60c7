"""Settings of Sphinx."""

from __future__ import annotations

from importlib import metadata

project = "memla"
author = "The memla developers"
release = metadata.version("memla")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"memla {release}"

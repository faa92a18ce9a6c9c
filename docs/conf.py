"""The site: tutorials are the notebooks as stored, the reference is the docstrings, tables are those the code uses."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pages

import dsmodel

project = "dsmodel"
author = "the dsmodel developers"
copyright = "the dsmodel developers"  # noqa: A001 - Sphinx' word
version = release = dsmodel.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nb_execution_mode = "off"  # the stored outputs are what the tests compare
nb_render_markdown_format = "myst"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"dsmodel {release}"
html_show_copyright = False
html_show_sourcelink = False
html_theme_options = {"light_css_variables": {"font-stack": "system-ui, sans-serif"}}

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types, with shape and unit
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = ["Source", "Sources"]
default_role = "code"
suppress_warnings = ["ref.python"]  # a word of a type, as in shape (nodes,), may be the name of several members too

pages.write(Path(__file__).parent)

"""How Sphinx builds these pages: ``make docs``. Nothing is fetched, neither while they are built nor while they are read."""

from importlib.metadata import version as version_of
from typing import Any, Final

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

project: Final = "trimtab"
author: Final = "the authors of trimtab"
project_copyright: Final = "the authors of trimtab; Apache-2.0"
release = version = version_of("trimtab")

extensions: Final = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns: Final = ["_build"]
highlight_language: Final = "none"
suppress_warnings: Final[list[str]] = []

myst_enable_extensions: Final = ["dollarmath", "colon_fence"]
myst_heading_anchors: Final = 4
myst_links_external_new_tab: Final = False

autodoc_member_order: Final = "bysource"
autodoc_typehints: Final = "signature"
autodoc_use_type_comments: Final = False
numpydoc_show_class_members: Final = False

html_theme: Final = "furo"
html_title: Final = f"trimtab {release}"
html_static_path: Final = ["_static"]
html_css_files: Final = ["pages.css"]
html_copy_source: Final = False
html_show_sphinx: Final = False
html_math_renderer: Final = "mathml"


def setup(app: Sphinx) -> None:
    """Formulas as MathML, which browsers show by themselves: MathJax would come from another host. Fences of ours as plain text."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    for name in ("csv", "fix"):
        app.add_lexer(name, TextLexer)


def _inline(writer: HTML5Translator, node: nodes.math) -> None:
    _write(writer, node, as_block=False)


def _display(writer: HTML5Translator, node: nodes.math_block) -> None:
    _write(writer, node, as_block=True)


def _write(writer: HTML5Translator, node: Any, *, as_block: bool) -> None:
    writer.body.append(tex2mathml(node.astext(), as_block=as_block))
    raise nodes.SkipNode

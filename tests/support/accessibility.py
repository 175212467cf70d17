"""What a page is to those who see little, use no mouse, or have another screen; each answer names what is wrong."""

from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDTHS: Final = (420, 820, 1280, 2560)
GRAVE: Final = frozenset({"critical", "serious", "moderate"})
_MOUSE_ONLY: Final = """() => {
  const reached = 'a[href], button:not([disabled]), input, select, textarea, summary, label, [tabindex]';
  const found = [];
  for (const each of document.body.querySelectorAll('*')) {
    if (!each.checkVisibility() || getComputedStyle(each).cursor !== 'pointer') continue;
    if (each.closest(reached) || each.querySelector('a[href], button, summary')) continue;
    if (each.closest('[disabled], [aria-disabled=true], svg, canvas')) continue;
    found.push(each.outerHTML.slice(0, 200));
  }
  return found;
}"""
"""What shows a hand and is neither reached by Tab, nor part of what is, nor has such a part."""
_FOCUSED: Final = """() => {
  const each = document.activeElement;
  if (!each || each === document.body) return null;
  const style = getComputedStyle(each), field = each.closest('.q-field__control');
  const isLined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const seen = isLined || [each, field].some((one) => one && getComputedStyle(one).boxShadow !== 'none');
  const isSame = each === window.focusedBefore && each.type !== 'date';  // a date has three parts
  window.focusedBefore = each;
  return {html: each.outerHTML.slice(0, 200), seen: Boolean(seen), isSame};
}"""
_CUT: Final = """() => document.documentElement.scrollWidth - window.innerWidth"""


_UNSTUCK: Final = ".side:is(aside) { position: static !important; }"
"""Axe takes what sticks for having nothing behind it, and measures contrast against the page."""


def violations(page: Page) -> list[str]:
    """What axe-core finds that is critical, serious or moderate: the rule, then the element."""
    page.add_style_tag(content=_UNSTUCK)
    found: dict[str, Any] = Axe().run(page).response
    return [
        f"{rule['impact']} {rule['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for rule in found["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


def too_wide(page: Page) -> dict[int, int]:
    """Widths of a window in which the page is wider than it, and by how much."""
    over = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_timeout(150)  # charts follow a window's size
        if (more := page.evaluate(_CUT)) > 0:
            over[width] = more
    return over


def mouse_only(page: Page) -> list[str]:
    """What can be clicked and not be reached by the keyboard."""
    found: list[str] = page.evaluate(_MOUSE_ONLY)
    return found


def unseen_focus(page: Page, steps: int = 40) -> list[str]:
    """Where Tab leads and nothing shows it, or where it gets stuck."""
    page.evaluate("document.activeElement.blur()")
    wrong = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        at = page.evaluate(_FOCUSED)
        if at is None:
            break
        if at["isSame"]:
            wrong.append(f"stuck at {at['html']}")
            break
        if not at["seen"]:
            wrong.append(f"no sign of focus on {at['html']}")
    return wrong

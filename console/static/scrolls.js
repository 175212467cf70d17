// What is wider or higher than its frame and holds nothing that Tab leads to can be scrolled by the keyboard too.
const REACHED = "a[href], button, input, select, textarea, summary, [tabindex='0']";

function markScrolls() {
  for (const each of document.querySelectorAll(".q-table__middle, .panel, .grid, .side, .pages")) {
    const isCut = each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1;
    if (isCut && !each.querySelector(REACHED)) each.tabIndex = 0;
    else if (each.tabIndex === 0) each.removeAttribute("tabindex");
  }
}

let isDue = false;
function markSoon() {
  if (isDue) return;
  isDue = true;
  setTimeout(() => { isDue = false; markScrolls(); }, 150);
}

new MutationObserver(markSoon).observe(document.documentElement, { childList: true, subtree: true });
addEventListener("resize", markSoon);

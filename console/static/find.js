// "/" goes to the search box, except where somebody types, or where the page has a filter of its own for that key.
document.addEventListener("keydown", (event) => {
  const box = document.querySelector(".find input");
  const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey || !box || isTyping || document.querySelector(".filter-input")) return;
  event.preventDefault();
  box.focus();
});

// Tells the desktop of what is new to know of, where the person allowed it. What was told is remembered, so that another page tells it not again;
// what is over and comes back is new.
window.trimtabNotices = (notices) => {
  const told = new Set(JSON.parse(localStorage.getItem("trimtab-notices") || "[]"));
  localStorage.setItem("trimtab-notices", JSON.stringify(notices.map((one) => one.key)));
  if (!window.Notification || Notification.permission !== "granted") return;
  for (const one of notices.filter((each) => !told.has(each.key))) {
    const shown = new Notification("trimtab", { body: one.text, tag: one.key });
    shown.onclick = () => { window.focus(); location.assign(one.link); };
  }
};

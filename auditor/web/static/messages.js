// Marks a message as sent when its link is followed, as the button beside it does without this file.
"use strict";

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-sent]");
  if (!link) return;
  const { id } = link.closest("article");
  const body = new URLSearchParams({ is_sent: "true" });
  const response = await fetch(link.dataset.sent, { method: "POST", body, keepalive: true });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById(id);
  if (response.ok && fresh) document.getElementById(id).replaceWith(fresh);
});

// Search as you type, filters without a reload, and "select all" in the grid of associations.
// The page works without this file: it fetches the same addresses and shows their list.
"use strict";

(() => {
  const form = document.querySelector("#grid-filter");
  const TYPING_PAUSE_MS = 250;
  let timer = 0;
  let request = null;

  const show = async (url, isHistoryEntry) => {
    request?.abort();
    const current = (request = new AbortController());
    const list = document.querySelector("#list");
    list.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(url, { signal: current.signal });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.querySelector("#list");
      if (!response.ok || !fresh) throw new Error(response.statusText);
      list.replaceWith(fresh);
      history[isHistoryEntry ? "pushState" : "replaceState"](null, "", url);
      updateLinks(page);
      prepareSelection();
    } catch (error) {
      if (error.name !== "AbortError") location.assign(url);
    }
  };

  // The links to other languages keep the filters.
  const updateLinks = (page) => {
    for (const link of document.querySelectorAll(".languages a")) {
      const fresh = page.querySelector(`.languages a[hreflang="${link.hreflang}"]`);
      if (fresh) link.href = fresh.getAttribute("href");
    }
  };

  const buildUrl = () => {
    const fields = [...new FormData(form)].filter(([, value]) => value);
    const query = new URLSearchParams(fields).toString();
    return form.getAttribute("action") + (query ? `?${query}` : "");
  };

  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    const isTyped = event.target.type === "search";
    timer = setTimeout(() => show(buildUrl(), !isTyped), isTyped ? TYPING_PAUSE_MS : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    show(buildUrl(), true);
  });

  // Chips, heads of columns and pages: the fields of the form follow the address.
  const followAddress = (url) => {
    const query = new URL(url, location.href).searchParams;
    for (const field of form.elements) {
      if (field.name) field.value = query.get(field.name) ?? "";
    }
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#list a");
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
    if (!link || event.button || !isPlain || link.pathname !== new URL(form.action).pathname) return;
    event.preventDefault();
    followAddress(link.href);
    show(link.href, true);
  });
  addEventListener("popstate", () => location.reload());

  const listBoxes = () => [...document.querySelectorAll('#selection input[name="id"]')];

  const prepareSelection = () => {
    const all = document.querySelector("#select-all");
    if (all) all.hidden = false;
    countSelected();
  };

  const countSelected = () => {
    const bar = document.querySelector(".bulk");
    if (!bar) return;
    const boxes = listBoxes();
    const count = boxes.filter((box) => box.checked).length;
    const all = document.querySelector("#select-all");
    all.checked = count > 0 && count === boxes.length;
    all.indeterminate = count > 0 && !all.checked;
    document.querySelector("#selected-count").textContent = count;
    bar.hidden = count === 0;
  };

  document.addEventListener("change", (event) => {
    if (event.target.id === "select-all") {
      for (const box of listBoxes()) box.checked = event.target.checked;
    }
    if (event.target.closest("#selection")) countSelected();
  });

  document.documentElement.classList.add("has-scripts");
  prepareSelection();
})();

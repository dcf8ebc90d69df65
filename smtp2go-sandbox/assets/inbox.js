// Updates a page and saves reloads. Without this script, every link and form still works.
"use strict";

const byId = (id) => document.getElementById(id);
// An element's HTML from the server, before its times were converted to local time.
const served = new WeakMap();

function remember(root) {
  for (const live of root.querySelectorAll("[data-live]")) served.set(live, live.innerHTML);
  for (const row of root.querySelectorAll("#rows > li")) served.set(row, row.outerHTML);
}

function localTimes(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    time.title = date.toLocaleString();
    time.textContent = date.toDateString() === today
      ? date.toLocaleTimeString()
      : date.toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  }
}

// Loads a page as a document.
async function load(address, options) {
  const response = await fetch(address, { ...options, headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return { page, address: response.url, ok: response.ok };
}

// Runs a change of the document, and keeps the focus on the element with the same id.
function adopt(change) {
  const focused = document.activeElement?.id;
  change();
  if (focused && document.activeElement?.id !== focused) byId(focused)?.focus({ preventScroll: true });
}

function replaceLive(old, fresh) {
  if (served.get(old) === fresh.innerHTML) return;
  served.set(old, fresh.innerHTML);
  const open = new Set([...old.querySelectorAll("details[open]")].map((one) => one.id));
  adopt(() => old.replaceChildren(...fresh.childNodes));
  for (const id of open) if (id && byId(id)) byId(id).open = true;
  localTimes(old);
}

// Replaces the first rows of a list, and keeps older rows that were loaded before by the same search.
function mergeList(old, fresh) {
  const rows = old.querySelector("#rows");
  const news = [...fresh.querySelectorAll("#rows > li")];
  const isSame = old.dataset.search === fresh.dataset.search;
  const last = isSame && news.length > 0 && rows?.querySelector(`#${CSS.escape(news.at(-1).id)}`);
  if (!last) {
    if (isSame && served.get(old) === fresh.innerHTML) return;
    old.dataset.search = fresh.dataset.search;
    remember(fresh);
    served.set(old, fresh.innerHTML);
    adopt(() => old.replaceChildren(...fresh.childNodes));
    localTimes(old);
    watchMore();
    return;
  }
  served.set(old, fresh.innerHTML);
  const known = new Map([...rows.children].map((row) => [row.id, row]));
  const wanted = news.map((row) => {
    const mine = known.get(row.id);
    if (mine && served.get(mine) === row.outerHTML) return mine;
    served.set(row, row.outerHTML);
    localTimes(row);
    if (!mine) row.classList.add("new");
    return row;
  });
  const hasOlder = fresh.querySelector("#more [data-more]") !== null;
  for (let row = last.nextElementSibling; hasOlder && row; row = row.nextElementSibling) wanted.push(row);
  const keep = new Set(wanted);
  adopt(() => {
    for (const row of [...rows.children]) if (!keep.has(row)) row.remove();
    wanted.forEach((row, place) => {
      if (rows.children[place] !== row) rows.insertBefore(row, rows.children[place] ?? null);
    });
  });
  const tail = wanted.length > news.length;
  const more = fresh.querySelector("#more");
  if (!tail && more) {
    old.querySelector("#more")?.replaceWith(more);
    watchMore();
  }
}

// Fits the frame of a mail to the mail's height. The frame has an origin of its own, so the page
// measures a hidden copy, which can run no script and which nobody can use, and removes it.
let measuring;
function fit() {
  measuring?.remove();
  measuring = undefined;
  const frame = document.querySelector(".mail-frame[data-measured]");
  if (!frame || frame.clientWidth === 0) return;
  const copy = document.createElement("iframe");
  copy.className = "measured";
  copy.inert = true;
  copy.tabIndex = -1;
  copy.setAttribute("aria-hidden", "true");
  copy.sandbox = "allow-same-origin";
  copy.referrerPolicy = "no-referrer";
  copy.style.width = `${frame.clientWidth}px`;
  copy.addEventListener("load", () => {
    const root = copy.contentDocument?.documentElement;
    const height = Number(root?.scrollHeight) + (root?.scrollWidth > frame.clientWidth ? 18 : 0);
    copy.remove();
    if (measuring !== copy || !frame.isConnected || !(height > 0)) return;
    measuring = undefined;
    const most = Math.max(matchMedia("(min-width: 42rem)").matches ? innerHeight - 110 : innerHeight * 0.7, 240);
    frame.style.height = `${Math.min(Math.max(height, 60), most) + 2}px`;
  });
  copy.src = frame.dataset.measured;
  measuring = copy;
  document.body.append(copy);
}

let resizing;
let width = innerWidth;
addEventListener("resize", () => {
  // The height changes each time a phone hides its address bar.
  if (innerWidth === width) return;
  width = innerWidth;
  clearTimeout(resizing);
  resizing = setTimeout(fit, 150);
});

function update(page) {
  for (const old of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(old.id);
    if (!fresh) continue;
    if (old.dataset.live === "list") mergeList(old, fresh);
    else replaceLive(old, fresh);
  }
}

// Runs one update at a time, and another one if a change arrived during it.
let looking = false;
let stale = false;
async function refresh() {
  stale = true;
  if (looking || document.hidden) return;
  looking = true;
  try {
    while (stale) {
      stale = false;
      const asked = location.href;
      const { page, ok } = await load(asked);
      // If the user has changed the page in the meantime, load that one instead.
      if (ok && asked === location.href) update(page);
      else if (asked !== location.href) stale = true;
    }
  } catch {
    // The sandbox does not respond, which the event stream reports.
  } finally {
    looking = false;
  }
}

function state(name, text) {
  const link = byId("link");
  if (link.dataset.state === name) return;
  link.dataset.state = name;
  byId("link-text").textContent = text;
  byId("lost").hidden = name !== "lost";
}

function listen() {
  const events = new EventSource("/_inbox/live");
  events.onopen = () => state("live", "Live");
  events.addEventListener("change", () => {
    refresh();
    lookForMail();
  });
  events.onerror = () => {
    state("lost", "Not connected");
    // Reconnect if the browser gave up.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

// Marks the row of the open item. A page of an item has only the newest rows, so older ones are marked here.
function markOpen() {
  for (const link of rowLinks()) {
    const isOpen = link.pathname === location.pathname;
    if (!isOpen) link.removeAttribute("aria-current");
    else link.setAttribute("aria-current", "true");
    if (isOpen && link.parentElement.classList.replace("unread", "read")) link.querySelector(".who .hidden")?.remove();
  }
}

let busy = 0;
async function whileBusy(work) {
  const detail = byId("detail");
  busy += 1;
  // A fast request shows no progress bar.
  const timer = setTimeout(() => {
    byId("busy").hidden = false;
    detail?.setAttribute("aria-busy", "true");
  }, 150);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
    busy -= 1;
    if (busy === 0) byId("busy").hidden = true;
    detail?.removeAttribute("aria-busy");
  }
}

// The width of the preview stays for the next mail.
function keepWidth() {
  const chosen = byId(sessionStorage.getItem("width"));
  if (chosen) chosen.checked = true;
}

document.addEventListener("change", (event) => {
  if (event.target.name !== "width") return;
  sessionStorage.setItem("width", event.target.id);
  fit();
});

// Shows another item, or the same item after a form was submitted, without a reload.
let shown = 0;
async function go(address, options, { push = true, focus = true } = {}) {
  const turn = ++shown;
  await whileBusy(async () => {
    const { page, address: at } = await load(address, options);
    if (turn !== shown) return;
    const panes = page.querySelector("main.panes");
    const here = document.querySelector("main.panes");
    if (!panes || !here || !byId("detail")) {
      location.assign(address);
      return;
    }
    if (push && !options) history.pushState(null, "", at);
    else if (options && page.querySelector(".error[role=alert]") === null) history.replaceState(null, "", at);
    document.title = page.title;
    here.className = panes.className;
    const fresh = page.getElementById("detail");
    remember(fresh);
    byId("detail").replaceChildren(...fresh.childNodes);
    localTimes(byId("detail"));
    keepWidth();
    update(page);
    markOpen();
    const search = byId("search");
    const searched = page.getElementById("search");
    if (search && searched && document.activeElement !== search) search.value = searched.value;
    fit();
    if (focus) (byId("detail").querySelector("[role=alert]") ?? byId("title"))?.focus({ preventScroll: true });
    if (focus) byId("detail").scrollTop = 0;
  }).catch(() => {
    if (turn === shown) location.assign(address);
  });
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest("a[data-pane], a[data-close]");
  if (!link) return;
  event.preventDefault();
  const tab = link.closest(".tabs, .part");
  const name = tab && link.textContent;
  go(link.href, undefined, { focus: !tab }).then(() => {
    if (!tab) return;
    const links = [...document.querySelectorAll(".tabs a, .part .bar a")];
    (links.find((one) => one.textContent === name) ?? links.find((one) => one.hasAttribute("aria-current")))?.focus();
  });
});

document.addEventListener("submit", (event) => {
  if (event.target.method === "dialog") return;
  const form = event.target.closest("form[data-pane-form]");
  clearTimeout(typing);
  if (!form) {
    // The browser loads another page, and a search that is still loading must not replace it.
    shown += 1;
    return;
  }
  event.preventDefault();
  const fields = new FormData(form, event.submitter);
  const { id, value } = event.submitter ?? {};
  const top = byId("detail").scrollTop;
  const address = new URL(form.action);
  address.search = location.search;
  const row = document.querySelector("#rows a[aria-current]")?.closest("li");
  const neighbour = (row?.nextElementSibling ?? row?.previousElementSibling)?.querySelector("a")?.id;
  go(address, { method: "POST", body: new URLSearchParams(fields) }, { focus: false }).then(() => {
    byId("detail").scrollTop = top;
    const button = id ? byId(id) : document.querySelector(`[data-pane-form] button${value ? `[value="${CSS.escape(value)}"]` : ""}`);
    if (button) button.focus({ preventScroll: true });
    // The item was deleted.
    else if (!document.querySelector("main.open")) {
      row?.remove();
      (byId(neighbour ?? "") ?? byId("main")).focus();
    }
  });
});

addEventListener("popstate", () => go(location.href, undefined, { push: false }));

// Search while typing.
let typing;
document.addEventListener("input", (event) => {
  if (event.target.id !== "search") return;
  clearTimeout(typing);
  typing = setTimeout(() => {
    const address = new URL(event.target.form.action);
    if (event.target.value.trim()) address.searchParams.set("q", event.target.value.trim());
    go(address, undefined, { focus: false });
  }, 200);
});

// Settings of this browser. Without storage they last as long as the page.
const settings = new Map();
function setting(name) {
  try {
    return localStorage.getItem(name) ?? settings.get(name);
  } catch {
    return settings.get(name);
  }
}
function set(name, value) {
  settings.set(name, value);
  try {
    localStorage.setItem(name, value);
  } catch {
    // Storage is off.
  }
}

// The keys, which the dialog `keys` lists.
const rowLinks = () => [...document.querySelectorAll("#rows > li > a")];
const isTyping = (element) =>
  element.closest?.("input:not([type=checkbox]), select, textarea, [contenteditable]") !== null;

// Moves the focus through the list, from the focused row or the open one. If only the open item is
// shown, opens its neighbour.
function move(step) {
  const links = rowLinks();
  const focused = links.indexOf(document.activeElement);
  const open = links.findIndex((link) => link.hasAttribute("aria-current"));
  const from = focused >= 0 ? focused : open;
  const next = links[from < 0 ? 0 : from + step];
  if (!next) return;
  if (next.checkVisibility?.() === false) {
    go(next.href);
    return;
  }
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

const keys = {
  j: () => move(1),
  k: () => move(-1),
  "/": () => byId("search")?.focus(),
  "?": () => byId("keys").showModal(),
  Escape: () => {
    const back = document.querySelector("#detail a[data-close]");
    if (!back) return;
    const open = document.querySelector("#rows a[aria-current]")?.id;
    go(back.href, undefined, { focus: false }).then(() => (byId(open ?? "") ?? byId("main")).focus());
  },
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
  if (setting("keys") === "off" || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  let key = event.key;
  if (key === "ArrowDown" || key === "ArrowUp") {
    // Elsewhere these keys scroll.
    if (event.target !== document.body && !event.target.closest("#list, #main:focus")) return;
    key = key === "ArrowDown" ? "j" : "k";
  }
  if (!Object.hasOwn(keys, key)) return;
  event.preventDefault();
  keys[key]();
});

byId("keys-open").hidden = false;
byId("keys-open").addEventListener("click", () => byId("keys").showModal());
byId("keys-on").checked = setting("keys") !== "off";
byId("keys-on").addEventListener("change", (event) => set("keys", event.target.checked ? "on" : "off"));

// Notifications of new mail. The browser is asked only when the user clicks on the button.
const canNotify = "Notification" in window && isSecureContext && Notification.permission !== "denied";
const notifies = () => canNotify && setting("notify") === "on" && Notification.permission === "granted";
// Number of mails that the user knows.
let known;
let asking = false;
let news = false;

function notify(title, body, href, tag) {
  const notice = new Notification(title, { body, tag, icon: "/_inbox/icon.svg" });
  notice.addEventListener("click", () => {
    window.focus();
    notice.close();
    if (document.querySelector("main.panes")) go(href);
    else location.assign(href);
  });
}

// Asks for the mails that are new, one request at a time.
async function lookForMail() {
  news = true;
  if (asking || !notifies()) return;
  asking = true;
  try {
    while (news) {
      news = false;
      const response = await fetch(`/_inbox/news${known === undefined ? "" : `?after=${known}`}`);
      if (!response.ok) break;
      const { total, mails, more } = await response.json();
      known = total;
      for (const { from, subject, to, href } of mails) {
        notify(`${from}: ${subject || "(no subject)"}`, `to ${to}`, href, href);
      }
      if (more > 0) notify(`${more} more new mails`, "", "/", "more");
    }
  } catch {
    // The sandbox does not respond, or this browser notifies only from service workers.
  } finally {
    asking = false;
  }
}

function showNotify() {
  const button = byId("notify");
  button.hidden = !canNotify || Notification.permission === "denied";
  button.setAttribute("aria-pressed", String(notifies()));
}

byId("notify").addEventListener("click", async () => {
  if (notifies()) set("notify", "off");
  else if ((await Notification.requestPermission()) === "granted") set("notify", "on");
  known = undefined;
  showNotify();
  lookForMail();
});

// Loads older rows when the end of the list becomes visible.
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) older(entry.target);
}, { rootMargin: "600px" });

function watchMore() {
  watcher.disconnect();
  const more = document.querySelector("#more [data-more]");
  if (more) watcher.observe(more);
}

async function older(link) {
  if (link.dataset.loading) return;
  link.dataset.loading = "1";
  try {
    const { page, ok } = await load(link.href);
    const rows = byId("rows");
    if (!ok || !rows || !link.isConnected) return;
    remember(page);
    localTimes(page);
    for (const row of page.querySelectorAll("#rows > li")) {
      if (!byId(row.id)) rows.append(row);
    }
    const more = page.querySelector("#more [data-more]");
    if (more) link.replaceWith(more);
    else link.remove();
    watchMore();
  } catch {
    delete link.dataset.loading;
  }
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && stale) refresh();
});

remember(document);
localTimes(document);
keepWidth();
watchMore();
fit();
showNotify();
listen();

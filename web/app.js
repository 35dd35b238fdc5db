// deuced's built-in page. What the server says is the truth: after every change and every
// live event the page fetches anew instead of guessing, and it never claims what was not confirmed.

const PAGE = 30;
const EMOJIS = {
  "👍": "thumbs up", "❤️": "heart", "😂": "laughing", "😮": "surprised",
  "😢": "sad", "😡": "angry", "🔥": "fire", "👏": "applause",
};

// What was fetched last. `me` is a new object for every login, so late answers can be told apart.
const nothing = { groups: [], shown: null, group: null, members: [], entries: [], more: false };
const state = { me: null, ...nothing };
let wanted = PAGE; // How many entries are asked for.
let picker = null; // The entry whose emojis are laid out.
let lastPerson = null;

const $ = (id) => document.getElementById(id);
const nameOf = (user) => user?.username || [user?.firstName, user?.lastName].filter(Boolean).join(" ") || "Someone";
const many = (count, one, more) => `${count} ${count === 1 ? one : more}`;
const openId = () => location.hash.match(/^#\/group\/([\w-]+)$/)?.[1] ?? null;
const inviteId = () => new URLSearchParams(location.search).get("join");

// ---- The API

/** What went wrong, in words for the person. Status 0: nobody knows whether the server heard us. */
const failed = (message, status = 0) => Object.assign(new Error(message), { status });

async function send(method, path, body, headers = {}) {
  const asker = state.me;
  // A link that died silently would leave a request hanging for minutes.
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), 20_000);
  if (body !== undefined) headers = { ...headers, "content-type": "application/json" };
  let response, data;
  try {
    response = await fetch(path, { method, headers, body: JSON.stringify(body), signal: abort.signal });
    data = parsed(await response.text());
    tellStorage(response.headers.get("x-deuced-storage"));
  } catch {
    throw failed("The server cannot be reached. Please try again in a moment.");
  } finally {
    clearTimeout(timer);
  }
  if (response.ok && data !== null) return { data, next: response.headers.get("x-next-cursor") };
  const ended = response.status === 401 && path !== "/api/login";
  if (ended && state.me === asker) endSession();
  throw failed(ended ? "Your login has ended." : sentence(data?.message, response.status), response.status);
}

const get = async (path) => (await send("GET", path)).data;
const post = async (path, body) => (await send("POST", path, body)).data;

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A line on top for as long as the server's card is in trouble: every answer says so. */
function tellStorage(state) {
  const lines = {
    full: "The server's disk is full: nothing new can be stored. Reading and deleting still work.",
    failing: "The server's card does not work: nothing can be stored until it does again.",
    damaged: "The server's database is damaged: nothing can be stored. Whoever runs the server can restore a backup.",
  };
  const line = $("storage");
  if (line.hidden !== !state || line.dataset.state !== (state ?? "")) {
    line.dataset.state = state ?? "";
    line.textContent = state ? (lines[state] ?? "The server's storage is in trouble.") : "";
    line.hidden = !state;
  }
}

/** "password: is required" is for programs; people read "Password is required". */
function sentence(message, status) {
  const text = String(message || `The server answered with an error (${status}).`).replace(/^(\w+): (is|must) /, "$1 $2 ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// ---- Building the page

/** An element. Texts become text nodes, never markup, whatever people have typed. */
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") node.addEventListener("click", value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Shows the items, touching only what changed: a live update must not take the keyboard focus
 *  away or move what somebody is reading. */
function reconcile(list, items, build) {
  const keys = new Set(items.map((item) => item.key));
  for (const node of [...list.children]) if (!keys.has(node.key)) node.remove();
  const known = new Map([...list.children].map((node) => [node.key, node]));
  items.forEach((item, index) => {
    const looks = JSON.stringify(item);
    let node = known.get(item.key);
    if (node?.looks !== looks) {
      const fresh = Object.assign(build(item), { looks, key: item.key });
      if (node) swap(node, fresh);
      else if (list.children[index]) fresh.classList.add("new");
      node = fresh;
    }
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
}

function swap(old, fresh) {
  const focused = old.contains(document.activeElement) && document.activeElement.dataset.hold;
  old.replaceWith(fresh);
  if (!focused) return;
  const held = [...fresh.querySelectorAll("[data-hold]")];
  (held.find((node) => node.dataset.hold === focused) ?? held.at(-1))?.focus();
}

/** Shows one view. Where one arrives anew, the eye is told by the top of the page and a screen
 *  reader by the focus. */
function show(view, title, anew = $(`view-${view}`).hidden) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== `view-${view}`;
  $("account").hidden = !state.me;
  $("bar").hidden = !view.startsWith("group") || state.groups.length === 0;
  document.title = title ? `${title} – Group diary` : "Group diary";
  if (!anew) return;
  scrollTo(0, 0);
  $(`view-${view}`).querySelector("h1").focus({ preventScroll: true });
}

/** A text that shows only when there is one. */
function tell(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

let bannerTimer = 0;
function notice(text) {
  clearTimeout(bannerTimer);
  $("banner").textContent = text;
  $("banner").classList.add("shown");
  bannerTimer = setTimeout(() => $("banner").classList.remove("shown"), 6000);
}

/** A question that needs a yes, because what follows is not easily undone. */
function ask(question, yes) {
  const dialog = $("ask-dialog");
  $("ask-text").textContent = question;
  $("ask-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Runs a form's deed, once at a time, and says in it what went wrong. */
function onSubmit(form, deed) {
  const say = (text) => (form.querySelector(".error").textContent = text);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    form.setAttribute("aria-busy", "true");
    say("");
    await deed(form).catch((failure) => say(failure.message));
    form.setAttribute("aria-busy", "false");
  });
}

/** For buttons outside of forms: what went wrong is said in the banner. */
const act = (deed) => () => deed().catch((failure) => notice(failure.message));

function when(iso) {
  const date = new Date(iso);
  const now = new Date();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === now.toDateString()) return `Today, ${time}`;
  const year = date.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return `${date.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short", year })}, ${time}`;
}

function avatar(name, picture) {
  if (picture) return el("img", { class: "avatar", src: picture, alt: "", width: 40, height: 40 });
  return el("span", { class: "avatar", "aria-hidden": "true" }, [...name][0].toUpperCase());
}

// ---- Logging in and out

/** Finds out who is here and shows where they are. */
const start = () => (state.me ? enter(state.me) : get("/api/auth/user").then(enter)).catch(trouble);

async function enter(me) {
  if (lastPerson !== null && lastPerson !== me.id) forget();
  lastPerson = me.id;
  state.me = me;
  $("who").textContent = nameOf(me);
  await joinIfInvited(); // Before anything is shown: it decides what will be.
  connect();
  await refresh();
}

function trouble(failure) {
  if (failure.status === 401) return; // The login form is there already.
  $("trouble-text").textContent = failure.message;
  show("trouble", "Out of reach");
}

function endSession() {
  const note = state.me ? "Your login has ended. Please log in again." : "";
  state.me = null;
  disconnect();
  linkIs("", "");
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  tell("login-note", note || (inviteId() ? "You were invited to a group. Log in to join it." : ""));
  show("login", "Log in");
  $("login-form").elements.username.focus();
}

/** Nothing of one person stays behind for the next on the same device, not even a draft. */
function forget() {
  Object.assign(state, nothing);
  for (const id of ["groups", "members", "entries", "log-groups", "place"]) $(id).replaceChildren();
  for (const form of document.forms) form.reset();
  for (const error of document.querySelectorAll(".error")) error.textContent = "";
  places = [];
  hideInvite();
}

onSubmit($("login-form"), async (form) => {
  const { username, password } = form.elements;
  const { user } = await post("/api/login", { username: username.value, password: password.value || undefined }).catch((failure) => {
    if (failure.status === 401 || /password/i.test(failure.message)) password.focus();
    throw failure;
  });
  password.value = "";
  await enter(user).catch(trouble);
});

$("logout").addEventListener("click", act(async () => {
  // The cookie is out of reach for scripts: without the server's word one is still logged in.
  await post("/api/auth/logout");
  history.replaceState(null, "", "/");
  endSession();
  forget();
  tell("login-note", "You are logged out.");
}));

// ---- Fetching and showing

/** Fetches what is shown; a burst of events becomes one fetch under way and one after it. */
let underWay = null;
let again = false;
function refresh() {
  again = true;
  underWay ??= (async () => {
    while (again) {
      again = false;
      await load();
    }
    underWay = null;
  })();
  return underWay;
}

async function load() {
  const { me } = state;
  const id = openId();
  if (!me) return;
  // Meanwhile somebody else may log in, or go to another page.
  const late = () => me !== state.me || id !== openId();
  try {
    const asked = [get("/api/groups"), id && get(`/api/groups/${id}?limit=1`), id && loadEntries(id)];
    const [groups, detail, entries] = await Promise.all(asked);
    if (late()) return;
    Object.assign(state, { groups, ...detail, ...entries });
    if (id) showGroup(id);
    else showGroups();
  } catch (failure) {
    if (late()) return;
    if (failure.status === 403) return leaveView("You are not a member of that group.");
    if (failure.status === 0 && socket) lose();
    // What is on the screen stays; the line in the header tells that it may be old.
    if (state.shown !== id || $(id ? "view-group" : "view-groups").hidden) trouble(failure);
    else if (failure.status !== 0) notice(failure.message);
  }
}

/** As many entries as were asked for, page by page, so that deleted ones vanish from all pages. */
async function loadEntries(id) {
  const entries = [];
  let cursor = null;
  do {
    const before = cursor ? `&before=${encodeURIComponent(cursor)}` : "";
    const limit = Math.min(100, wanted - entries.length);
    const { data, next } = await send("GET", `/api/deuces?groupId=${id}&limit=${limit}${before}`);
    entries.push(...data);
    cursor = next;
  } while (cursor && entries.length < wanted);
  return { entries, more: cursor !== null };
}

function showGroups() {
  state.shown = null;
  const items = state.groups.map((group) => {
    const last = group.lastActivity ? `Last: ${when(group.lastActivity)}` : "Nothing logged yet";
    const counts = `${many(group.memberCount, "member", "members")}, ${many(group.entryCount, "entry", "entries")}`;
    return { key: group.id, name: group.name, counts, last };
  });
  reconcile($("groups"), items, ({ key, name, counts, last }) => {
    const lines = [el("strong", {}, name), el("span", {}, counts), el("span", {}, last)];
    return el("li", {}, el("a", { href: `#/group/${key}`, "data-hold": "link" }, ...lines));
  });
  $("no-groups").hidden = items.length > 0;
  if ($("view-groups").hidden) $("new-group").open = items.length === 0;
  show("groups");
}

function showGroup(id) {
  const anew = state.shown !== id;
  state.shown = id;
  $("group-name").textContent = state.group.name;
  tell("group-about", state.group.description ?? "");
  $("people-title").textContent = `Members (${state.members.length})`;
  if (anew) {
    $("entries").replaceChildren();
    $("people").open = matchMedia("(min-width: 52rem)").matches;
    hideInvite();
  }
  showMembers();
  showEntries();
  show("group", state.group.name, anew || $("view-group").hidden);
}

function showMembers() {
  const admin = state.members.some(({ userId, role }) => userId === state.me.id && role === "admin");
  const items = state.members.map(({ userId, role, user }) => {
    const ever = `${many(user.deuceCount, "entry", "entries")} ever`;
    const about = [userId === state.me.id && "you", role === "admin" && "admin", ever].filter(Boolean).join(", ");
    // The last admin cannot leave, so there must be a way to make another one.
    return { key: userId, name: nameOf(user), about, picture: user.profileImageUrl, canRise: admin && role !== "admin" };
  });
  reconcile($("members"), items, ({ key, name, about, picture, canRise }) => {
    const label = `Make ${name} an admin`;
    const rise = act(async () => {
      if (!(await ask(`${label} of this group?`, "Make admin"))) return;
      await send("PUT", `/api/groups/${openId()}/members/${encodeURIComponent(key)}`, { role: "admin" });
      await refresh();
    });
    const button = canRise ? el("button", { class: "quiet", "data-hold": "rise", "aria-label": label, onclick: rise }, "Make admin") : null;
    return el("li", {}, avatar(name, picture), el("div", {}, name, el("small", {}, about)), button);
  });
}

function showEntries() {
  const names = new Map(state.members.map((member) => [member.userId, nameOf(member.user)]));
  const items = state.entries.map((entry) => {
    const given = new Map(); // By emoji: who gave it. Reactions carry ids only; who left has no name any more.
    for (const { emoji, userId } of entry.reactions) {
      const one = given.get(emoji) ?? { emoji, people: [], mine: false };
      one.people.push(userId === state.me.id ? "you" : names.get(userId) ?? "someone");
      one.mine ||= userId === state.me.id;
      given.set(emoji, one);
    }
    return { key: entry.id, entry, given: [...given.values()], picking: picker === entry.id, at: when(entry.loggedAt) };
  });
  reconcile($("entries"), items, entryCard);
  $("no-entries").hidden = items.length > 0;
  $("more").hidden = !state.more;
}

function entryCard({ entry, given, picking, at }) {
  const name = nameOf(entry.user);
  const about = el("small", {}, entry.location, " · ", el("time", { datetime: entry.loggedAt }, at));
  const remove = el("button", { class: "quiet", "aria-label": `Delete your entry: ${at}`, onclick: act(() => takeBack(entry)) }, "Delete");
  const toggle = { "aria-expanded": picking, "aria-label": `React to ${name}’s entry`, "data-hold": "add", onclick: () => pick(picking ? null : entry.id) };
  const chips = given.map((one) => reactionButton(entry, one, `${one.emoji} ${one.people.length}`));
  const all = Object.keys(EMOJIS).map((emoji) => given.find((one) => one.emoji === emoji) ?? { emoji, people: [], mine: false });
  return el("li", {},
    el("div", { class: "top" },
      avatar(name, entry.user?.profileImageUrl),
      el("div", {}, el("strong", {}, name), about),
      entry.userId === state.me.id ? remove : null),
    entry.thoughts ? el("p", { class: "thoughts" }, entry.thoughts) : null,
    el("div", { class: "reactions", role: "group", "aria-label": "Reactions" }, ...chips, el("button", toggle, picking ? "Close" : "React")),
    picking ? el("div", { class: "picker", role: "group", "aria-label": "Choose a reaction" }, ...all.map((one) => reactionButton(entry, one, one.emoji))) : null);
}

/** A reaction, pressed if it is one's own; pressing it gives it or takes it back. */
function reactionButton(entry, { emoji, people, mine }, text) {
  const label = [EMOJIS[emoji] ?? emoji, people.join(", ")].filter(Boolean).join(": ");
  const toggle = act(async () => {
    picker = null;
    // Also after a refusal: then another device was quicker, and the page is behind.
    await send(mine ? "DELETE" : "POST", `/api/entries/${entry.id}/reactions`, { emoji }).finally(refresh);
  });
  return el("button", { "aria-pressed": mine, "aria-label": label, title: label, "data-hold": emoji, onclick: toggle }, text);
}

function pick(id) {
  picker = id;
  showEntries();
}

async function takeBack(entry) {
  if (!(await ask("Delete this entry from this group? This cannot be undone.", "Delete"))) return;
  await send("DELETE", `/api/deuces/${entry.id}`);
  await refresh();
  notice("Deleted.");
}

$("entries").addEventListener("keydown", (event) => event.key === "Escape" && picker && pick(null));
$("more").addEventListener("click", () => {
  wanted = state.entries.length + PAGE;
  refresh();
});

function leaveView(reason) {
  location.hash = "#/";
  notice(reason);
}

// ---- Groups and invites

onSubmit($("group-form"), async (form) => {
  const { name, description } = form.elements;
  const group = await post("/api/groups", { name: name.value, description: description.value });
  form.reset();
  location.hash = `#/group/${group.id}`;
});

$("leave").addEventListener("click", act(async () => {
  const { id, name } = state.group;
  const alone = state.members.length === 1; // With its last member a group ends, and everything in it.
  const question = alone
    ? `You are the only member of ${name}. If you leave, the group and all its entries are deleted for good.`
    : `Leave ${name}? Your entries stay there. To come back you need an invite.`;
  if (!(await ask(question, alone ? "Leave and delete" : "Leave"))) return;
  await post(`/api/groups/${id}/leave`);
  leaveView(`You have left ${name}.`);
}));

onSubmit($("invite-form"), async () => {
  const id = openId();
  const invite = await post(`/api/groups/${id}/invite`);
  if (id !== openId()) return;
  // Behind a proxy the server may not know its own address; the one in the address bar works.
  $("invite-link").value = `${location.origin}/join/${invite.id}`;
  const local = /^(localhost|127\.|\[::1\])/.test(location.hostname);
  $("invite-until").textContent = `Whoever has it can join until ${when(invite.expiresAt)}.`
    + (local ? " It works on this computer only, because you opened the diary by its local address." : "");
  $("invite-code").src = `/api/groups/${id}/invites/${invite.id}/qr`;
  $("invite-code").hidden = local;
  $("invite").hidden = false;
  $("copy").focus();
});

function hideInvite() {
  $("invite").hidden = true;
  $("invite-link").value = "";
  $("invite-code").removeAttribute("src");
}

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("invite-link").value);
    notice("Link copied.");
  } catch {
    // On plain http there is no clipboard, but the old way works nearly everywhere.
    $("invite-link").select();
    notice(document.execCommand("copy") ? "Link copied." : "Please copy the marked link by hand.");
  }
});

/** An invite link leads to /?join=<id>. It stays in the address until the server has answered. */
async function joinIfInvited() {
  const id = inviteId();
  if (!id) return;
  try {
    const { group, message } = await post(`/api/join/${encodeURIComponent(id)}`);
    history.replaceState(null, "", `/#/group/${group.id}`);
    notice(message ? `You are in ${group.name} already.` : `You have joined ${group.name}.`);
  } catch (failure) {
    if (failure.status === 0 || failure.status === 401) throw failure;
    history.replaceState(null, "", "/#/");
    const expired = failure.status === 400 && /invite/i.test(failure.message);
    tell("invite-trouble", expired ? "This invite link has expired or was withdrawn. Ask for a new one." : `You could not join: ${failure.message}`);
  }
}

// ---- Logging an entry

const NEW_PLACE = "\u0000new"; // No place can be called that.
let places = [];
let attempt = {}; // What was sent under which key, so that trying again cannot log it twice.

$("log").addEventListener("click", async () => {
  const boxes = state.groups.map(({ id, name }) => {
    const box = el("input", { type: "checkbox", name: "group", value: id });
    box.checked = id === openId() || state.groups.length === 1;
    return el("label", { class: "check" }, box, name);
  });
  $("log-groups").replaceChildren(...boxes);
  showPlaces($("place").value);
  $("log-dialog").showModal();
  try {
    places = (await get("/api/locations")).map((place) => place.name);
    showPlaces($("place").value);
  } catch (failure) {
    $("log-error").textContent = `The places could not be loaded. ${failure.message}`;
  }
});

function showPlaces(chosen) {
  const options = [["", "Choose a place"], ...places.map((name) => [name, name]), [NEW_PLACE, "A new place…"]];
  $("place").replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
  $("place").value = options.some(([value]) => value === chosen) ? chosen : "";
  $("new-place").hidden = chosen !== NEW_PLACE;
}

$("place").addEventListener("change", () => {
  $("new-place").hidden = $("place").value !== NEW_PLACE;
  $("new-place").querySelector("input").focus();
});
$("log-cancel").addEventListener("click", () => $("log-dialog").close());
$("log-dialog").addEventListener("close", () => {
  attempt = {};
  $("log-error").textContent = "";
});

onSubmit($("log-form"), async (form) => {
  const { newPlace, thoughts } = form.elements;
  const groupIds = [...form.querySelectorAll("[name=group]:checked")].map((box) => box.value);
  const isNew = $("place").value === NEW_PLACE;
  const location = (isNew ? newPlace.value : $("place").value).trim();
  if (groupIds.length === 0) throw failed("Choose at least one group.");
  if (!location) throw failed(isNew ? "Name the new place." : "Choose a place.");
  if (isNew) await addPlace(location);
  await logOnce({ groupIds, location, thoughts: thoughts.value });
  thoughts.value = newPlace.value = "";
  $("log-dialog").close();
  notice("Logged.");
  refresh(); // Not waited for: the form is free again for the next entry.
});

async function addPlace(name) {
  await post("/api/locations", { name }).catch((failure) => {
    if (!/already exists/i.test(failure.message)) throw failure;
  });
  // From here on it is a place like the others, also if logging should fail.
  places = [...new Set([...places, name])];
  showPlaces(name);
}

/** Logs, and after a broken connection once more under the same key; the server counts it once. */
async function logOnce(body) {
  const text = JSON.stringify(body);
  // crypto.randomUUID does not exist on plain http; this does.
  if (attempt.text !== text) attempt = { text, key: crypto.getRandomValues(new Uint32Array(4)).join("-") };
  const log = () => send("POST", "/api/deuces", body, { "idempotency-key": attempt.key });
  try {
    await log();
  } catch (failure) {
    if (failure.status !== 0) throw failure;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await log().catch((second) => {
      throw second.status === 0 ? failed("The server did not confirm. Try again: it will not be logged twice.") : second;
    });
  }
}

// ---- Live

let socket = null;
let retryTimer = 0;
let failures = 0;
let hiddenSince = 0;

/** Opens a socket in place of the one there is. By its cookie it hears all groups of the person. */
function connect() {
  disconnect();
  const mine = new WebSocket(`${location.origin.replace("http", "ws")}/ws`);
  socket = mine;
  let openedAt = 0;
  const patience = setTimeout(() => socket === mine && lose(), 15_000);
  mine.onopen = () => {
    clearTimeout(patience);
    openedAt = Date.now();
    linkIs("live", "Live");
    refresh(); // Nothing is replayed: what came while we did not listen must be fetched.
  };
  mine.onmessage = (event) => socket === mine && hear(parsed(event.data));
  mine.onclose = (event) => {
    clearTimeout(patience);
    if (socket !== mine) return;
    // Only a socket that lasted is a reason to hurry; one that is closed at once is not.
    if (openedAt && Date.now() - openedAt > 10_000) failures = 0;
    lose();
    // An ended login shows as a refused or closed socket here, and as a 401 there.
    if (!openedAt || event.code === 1008) refresh();
  };
}

function disconnect() {
  clearTimeout(retryTimer);
  const old = socket;
  socket = null;
  old?.close();
}

/** No live updates for now: says so and tries again, each time later and never all pages at once. */
function lose() {
  disconnect();
  linkIs("lost", "Offline");
  retryTimer = setTimeout(connect, Math.min(30, 2 ** failures) * (750 + 500 * Math.random()));
  failures += 1;
}

function linkIs(kind, text) {
  $("link").className = kind;
  $("link").textContent = text;
}

function hear(frame) {
  if (frame?.type !== "deuce_logged") return;
  const id = frame.entry?.groupId;
  const group = state.groups.find((one) => one.id === id);
  if (frame.userId !== state.me.id) notice(group ? `${frame.message} in ${group.name}` : frame.message);
  if (openId() === null || openId() === id) refresh();
}

/** The device or the network is back: look at once, whatever the timers say. */
function wake(renew) {
  failures = 0;
  if (state.me && (renew || socket?.readyState !== WebSocket.OPEN)) connect();
  look();
}

/** Catches up with what no event told of, or tries again what had failed from the start. */
function look() {
  if (!$("view-trouble").hidden) start();
  else refresh();
}

addEventListener("online", () => wake(true));
addEventListener("offline", () => state.me && lose());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenSince = Date.now();
  // A phone that slept may hold a socket that is dead without knowing it.
  else wake(Date.now() - hiddenSince > 30_000);
});
// Reactions, deletions and new members make no event on this socket, so look now and then.
setInterval(() => document.hidden || look(), 60_000);

$("retry").addEventListener("click", start);
addEventListener("hashchange", () => {
  wanted = PAGE;
  picker = null;
  tell("invite-trouble", "");
  refresh();
});

start();

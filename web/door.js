// The pages before the diary: claiming it, joining it by invite, choosing a new password. They work on plain HTTP.

const $ = (id) => document.getElementById(id);
const failed = (message, status = 0) => Object.assign(new Error(message), { status });

/** Asks the server; what went wrong is thrown in words for the person. */
async function send(method, path, body) {
  const abort = new AbortController();
  // Hashing a password takes a moment on a small machine, a link that died for ever.
  const timer = setTimeout(() => abort.abort(), 30_000);
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  let response, data;
  try {
    response = await fetch(path, { method, headers, body: JSON.stringify(body), signal: abort.signal });
    data = parsed(await response.text());
  } catch {
    throw failed("The server cannot be reached. Please try again in a moment.");
  } finally {
    clearTimeout(timer);
  }
  if (response.ok && data !== null) return data;
  throw failed(sentence(data?.message, response.status), response.status);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** "username: there is…" is for programs; people read "There is…". */
function sentence(message, status) {
  let text = String(message || `The server answered with an error (${status}).`);
  text = text.replace(/^username: (?=there )/, "").replace(/^(\w+): (is|must) /, "$1 $2 ");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`.replace(/[^.!?]$/, "$&.");
}

/** Shows one section, and tells a screen reader where it is. */
function show(id, focus = false) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== id;
  if (focus) $(id).querySelector("h1")?.focus();
}

/** Runs a form's deed, once at a time, and says in it what went wrong. */
function onSubmit(form, deed) {
  const say = (text) => (form.querySelector(".error").textContent = text);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    form.setAttribute("aria-busy", "true");
    say("");
    await deed(form.elements).catch((failure) => say(failure.message));
    form.setAttribute("aria-busy", "false");
  });
  form.elements.show?.addEventListener("change", ({ target }) => {
    form.elements.password.type = target.checked ? "text" : "password";
  });
}

/** The secret behind the # of the link. It leaves the address bar at once, and stays with this tab for a reload. */
function takeSecret() {
  const secret = location.hash.slice(1);
  if (secret) history.replaceState({ secret }, "", location.pathname + location.search);
  return secret || (history.state?.secret ?? "");
}

/** Goes on to the diary; the way back does not lead here again. */
function enter(path = "/") {
  history.replaceState(null, "", location.pathname);
  location.replace(path);
}

function claim() {
  let secret = "";
  const begin = () => {
    secret = takeSecret();
    show(secret ? "open" : "shut");
  };
  // A link that is pasted into this very tab changes nothing but the part behind the #.
  addEventListener("hashchange", () => location.hash && begin());
  onSubmit($("form"), async ({ username, password }) => {
    try {
      await send("POST", "/api/claim", { secret, username: username.value, password: password.value });
    } catch (failure) {
      if (failure.status === 404) return show("done", true);
      if (failure.status === 403 && /claim secret/.test(failure.message)) throw failed("This link is not the one of this server. 'deuced claim' shows the right one.");
      throw failure;
    }
    enter();
  });
  begin();
}

function reset() {
  let secret = "";
  const begin = () => {
    secret = takeSecret();
    show(secret ? "open" : "shut");
  };
  addEventListener("hashchange", () => location.hash && begin());
  onSubmit($("form"), async ({ password }) => {
    try {
      await send("POST", "/api/reset", { secret, password: password.value });
    } catch (failure) {
      if ([401, 403, 404, 410].includes(failure.status)) return show("shut", true);
      throw failure;
    }
    enter();
  });
  begin();
}

function welcome() {
  const invite = new URLSearchParams(location.search).get("join") ?? "";
  const path = encodeURIComponent(invite);
  /** An invite can end while somebody thinks about a password. */
  const unlessOver = (failure) => {
    if (failure.status === 400 && /expired invite/i.test(failure.message)) return show("shut", true);
    if (/^There is /.test(failure.message)) throw failed(`${failure.message} Choose another name, or log in below if that is you.`);
    throw failure;
  };
  const goOn = ({ joinedGroup }) => enter(joinedGroup ? `/#/group/${joinedGroup.id}` : "/");

  async function look() {
    $("retry").hidden = true;
    try {
      const { group, invitedBy, expiresAt } = await send("GET", `/api/invites/${path}`);
      const day = new Date(expiresAt).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
      document.title = `Join ${group.name} – Group diary`;
      $("open-title").textContent = `${invitedBy} invites you to ${group.name}`;
      $("about").textContent = `Choose a name and a password, and you are in. The invite is good until ${day}.`;
      $("login-about").textContent = `You will be in ${group.name} right away.`;
      $("form").querySelector(".primary").textContent = `Join ${group.name}`;
      show("open");
    } catch (failure) {
      if (failure.status === 404) return show("shut");
      $("wait-text").textContent = failure.message;
      $("retry").hidden = false;
    }
  }

  onSubmit($("form"), async ({ username, password }) => {
    await send("POST", `/api/join/${path}/newcomer`, { username: username.value, password: password.value }).then(goOn).catch(unlessOver);
  });
  onSubmit($("login-form"), async ({ username, password }) => {
    await send("POST", "/api/login", { username: username.value, password: password.value, inviteCode: invite }).then(goOn).catch(unlessOver);
  });
  $("to-login").addEventListener("click", () => show("login", true));
  $("to-new").addEventListener("click", () => show("open", true));
  $("retry").addEventListener("click", look);
  look();
}

({ claim, reset, welcome })[document.body.dataset.page]();

// The stories inside pages of headless Chromium, and those that only a browser can tell. The pages load
// `deuced.js` from the server, as everybody's would.

import assert from "node:assert/strict";
import { accessSync, readFileSync } from "node:fs";
import { after, before, describe } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { load } from "./modules.mjs";
import { tellStories } from "./stories.mjs";
import { Handle, story as storyOn, texts } from "./world.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
accessSync(CHROMIUM);
const { chromium } = load("playwright-core");

// Any address that is not this machine's own name is one where plain HTTP is not trusted.
const UNTRUSTED = "10.1.2.3";

let browser;

before(async () => {
  // A user data directory of its own is made for every launch.
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", `--host-resolver-rules=MAP ${UNTRUSTED} 127.0.0.1`,
    ],
  });
});

after(() => browser?.close());

class PageHandle extends Handle {
  #context;
  #origin;
  #path;
  page;

  static async make({ link, host = "127.0.0.1", path = "/deuced.d.ts" }) {
    const handle = new PageHandle();
    handle.#context = await browser.newContext();
    handle.#origin = `http://${host}:${link.port}`;
    handle.#path = path;
    // The page itself must be the server's: Chromium lets one that comes from nowhere reach no local address.
    await handle.#context.route("**/device.mjs", (route) => {
      return route.fulfill({ contentType: "text/javascript", path: new URL("device.mjs", import.meta.url).pathname });
    });
    await handle.#show();
    return handle;
  }

  async #show() {
    this.page = await this.#context.newPage();
    await this.page.goto(this.#origin + this.#path);
  }

  /** One more tab of the same person. */
  async tab() {
    const tab = new PageHandle();
    tab.#context = this.#context;
    tab.#origin = this.#origin;
    tab.#path = this.#path;
    await tab.#show();
    return tab;
  }

  open(options) {
    return this.page.evaluate(async (options) => {
      const [{ connect }, { Device }] = await Promise.all([import("/deuced.js"), import("/device.mjs")]);
      globalThis.device = new Device(connect);
      device.open(options);
    }, options);
  }

  call(method, ...words) {
    return this.page.evaluate(([method, words]) => device[method](...words), [method, words]);
  }

  fetch(method, path, body, { cookies = true, token } = {}) {
    return this.page.evaluate(async ({ method, path, body, cookies, token }) => {
      const headers = { ...(body && { "content-type": "application/json" }), ...(token && { authorization: `Bearer ${token}` }) };
      const credentials = cookies ? "same-origin" : "omit";
      const response = await fetch(path, { method, headers, credentials, body: body && JSON.stringify(body) });
      return { status: response.status, body: await response.json().catch(() => null) };
    }, { method, path, body, cookies, token });
  }

  async reload(meanwhile) {
    const origin = this.#origin;
    await this.page.goto("about:blank");
    await meanwhile?.();
    await this.page.goto(origin + this.#path);
    await this.open(this.options);
  }

  /** Whether the browser has a network at all. */
  setOffline(offline) {
    return this.#context.setOffline(offline);
  }

  /** What the page thinks of being seen; headless pages are always visible. */
  turn(state) {
    return this.page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  }

  devtools() {
    return this.#context.newCDPSession(this.page);
  }

  async end() {
    await this.#context.close();
  }
}

const platform = { name: "chromium", device: (rest) => PageHandle.make(rest) };
const story = (name, act, limits) => storyOn(platform, name, act, limits);

// They mostly wait. Those below put the browser to sleep, and want it for themselves.
describe("in Chromium", { concurrency: 3 }, () => tellStories(platform));

// ---- What only a browser has

story("it works under the policy of the server's own page", async ({ device }) => {
  const ann = await device("Ann", { path: "/", channel: "general" });
  await ann.call("say", "general", ["Hello"]);
  await ann.answered();
  await ann.hears("general", 1);
});

story("a page on plain HTTP has no randomUUID, and needs none", async ({ device }) => {
  const ann = await device("Ann", { host: UNTRUSTED, channel: "general" });
  assert.deepEqual(await ann.page.evaluate(() => [isSecureContext, typeof crypto.randomUUID]), [false, "undefined"]);
  await ann.call("say", "general", ["Hello"]);
  await ann.answered();
  await ann.hears("general", 1);
});

story("the declarations are served beside the module", async ({ device }) => {
  const ann = await device("Ann");
  const served = await ann.page.evaluate(async () => {
    const one = async (path) => {
      const response = await fetch(path);
      return [response.status, response.headers.get("content-type"), await response.text()];
    };
    return [await one("/deuced.js"), await one("/deuced.d.ts")];
  });
  for (const [n, name] of ["deuced.js", "deuced.d.ts"].entries()) {
    assert.equal(served[n][0], 200);
    assert.equal(served[n][2], readFileSync(new URL(`../../web/${name}`, import.meta.url), "utf8"));
  }
  assert.match(served[0][1], /^text\/javascript/);
});

/** Lets the client's delays grow, so that coming back at once is told from coming back by itself. */
async function longOffline(device) {
  device.link.tear();
  await device.until(({ states }) => states.filter((state) => state.name === "offline").length >= 4, "four failures");
}

/** How long it takes to be online, in milliseconds. */
async function untilOnline(device) {
  const begin = Date.now();
  await device.online();
  return Date.now() - begin;
}

story("back at once when the device is online again", async ({ device }) => {
  const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
  await ann.setOffline(true);
  await longOffline(ann);
  await bob.call("say", "general", texts("Bob", 5));
  await bob.answered();
  await ann.until(({ state }) => state.name === "offline");
  ann.link.mend();
  await ann.setOffline(false);
  const took = await untilOnline(ann);
  assert.ok(took < 3000, `${took} ms`);
  await ann.hears("general", 5);
});

story("back at once when the page becomes visible", async ({ device }) => {
  const ann = await device("Ann", { channel: "general" });
  await ann.turn("hidden");
  await longOffline(ann);
  await ann.until(({ state }) => state.name === "offline");
  ann.link.mend();
  await ann.turn("visible");
  const took = await untilOnline(ann);
  assert.ok(took < 3000, `${took} ms`);
});

/** Somebody outside of the browser, who is awake while it sleeps. */
async function outsider(server, name) {
  const origin = `http://127.0.0.1:${server.port}`;
  const post = async (path, body, headers = {}) => {
    const response = await fetch(origin + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
    assert.ok(response.ok, `${path}: ${response.status}`);
    return response.json();
  };
  const { token } = await post("/api/login", { username: name });
  return async (texts) => {
    for (const text of texts) await post("/api/rooms/general/messages", { text }, { authorization: `Bearer ${token}` });
  };
}

// A tab sleeps when its process does, and a machine when all of the browser's do.
const SLEEPERS = { tab: ["renderer"], machine: ["browser", "renderer", "GPU", "utility"] };

/** Puts processes of the browser to sleep; returns what wakes them. */
async function sleep(who) {
  const devtools = await browser.newBrowserCDPSession();
  const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
  await devtools.detach();
  const pids = processInfo.filter(({ type }) => SLEEPERS[who].includes(type)).map(({ id }) => id);
  assert.ok(pids.length > 0);
  const signal = (name) => pids.forEach((pid) => process.kill(pid, name));
  const wake = () => {
    process.off("exit", wake);
    signal("SIGCONT");
  };
  process.on("exit", wake);
  signal("SIGSTOP");
  return wake;
}

for (const who of ["tab", "machine"]) {
  for (const network of ["lives on", "dies meanwhile"]) {
    story(`a ${who} that sleeps while the network ${network} has missed nothing`, async ({ device, server }) => {
      const ann = await device("Ann", { channel: "general" });
      const bob = await outsider(server, "Bob");
      await ann.turn("hidden");
      const wake = await sleep(who);
      try {
        if (network === "dies meanwhile") ann.link.stall();
        await bob(texts("Bob", 30));
        await pause(8000);
        if (network === "dies meanwhile") ann.link.cut();
        ann.link.mend();
      } finally {
        wake();
      }
      await ann.turn("visible");
      assert.deepEqual((await ann.hears("general", 30)).map((event) => event.text), texts("Bob", 30));
      await bob(["awake"]);
      await ann.hears("general", 31);
    }, { ping_every_seconds: 2 });
  }

  story(`a ${who} that wakes before a dead connection notices within moments`, async ({ device, server }) => {
    const ann = await device("Ann", { channel: "general" });
    const bob = await outsider(server, "Bob");
    await ann.turn("hidden");
    const wake = await sleep(who);
    try {
      ann.link.stall();
      await bob(texts("Bob", 5));
      await pause(2000);
    } finally {
      wake();
    }
    const begin = Date.now();
    await ann.turn("visible");
    await ann.until(({ states }) => states.some((state) => state.name === "offline"), "it notices");
    const noticed = Date.now() - begin;
    assert.ok(noticed > 2500 && noticed < 8000, `noticed after ${noticed} ms`);
    ann.link.cut();
    ann.link.mend();
    await ann.hears("general", 5);
  });
}

story("a slow link as the browser makes it", async ({ device }) => {
  const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
  const devtools = await ann.devtools();
  await devtools.send("Network.enable");
  await devtools.send("Network.emulateNetworkConditions", {
    offline: false, latency: 800, downloadThroughput: 3000, uploadThroughput: 3000, connectionType: "cellular2g",
  });
  await ann.call("say", "general", texts("Ann", 20));
  await bob.call("say", "general", texts("Bob", 20));
  await ann.answered();
  ann.link.cut();
  await ann.hears("general", 40);
  await bob.hears("general", 40);
});

story("two tabs of one person share a storage and an outbox, and say everything once", async ({ device }) => {
  const bob = await device("Bob", { channel: "general" });
  const ann = await device("Ann", { options: { persistOutbox: true } });
  await ann.online();
  ann.link.choke();
  await ann.call("say", "general", texts("Ann", 5));
  await bob.hears("general", 5);
  const tab = await ann.tab();
  await tab.page.evaluate(() => (globalThis.found = Object.keys(localStorage).filter((key) => key.includes(":outbox:")).length));
  await tab.open(ann.options);
  await tab.until(({ state, outbox }) => state.name === "online" && outbox.length === 0, "the other tab's turn");
  assert.equal(await tab.page.evaluate(() => found), 5, "the other tab found them");
  ann.link.cut();
  await ann.answered();
  assert.deepEqual((await bob.hears("general", 5)).map((event) => event.text), texts("Ann", 5));
  assert.deepEqual(await tab.page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes(":outbox:"))), []);
});

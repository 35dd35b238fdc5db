// What the pages' policy lets them do, in headless Chromium on plain HTTP: everything they need without one complaint in
// the console, and nothing of what a stranger might have written into them.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { load } from "./modules.mjs";
import { Server } from "./server.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const { chromium } = load("playwright-core");

// Any address that is not this machine's own name is one where plain HTTP is not trusted.
const UNTRUSTED = "10.1.2.3";

let browser;

before(async () => {
  const args = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", `--host-resolver-rules=MAP ${UNTRUSTED} 127.0.0.1`];
  browser = await chromium.launch({ executablePath: CHROMIUM, args });
});

after(() => browser?.close());

/** A page, and everything that its console, its errors and its network complain of. */
async function open(url) {
  const page = await (await browser.newContext()).newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (line) => ["error", "warning"].includes(line.type()) && complaints.push(`${line.type()}: ${line.text()}`));
  page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  page.setDefaultTimeout(15_000);
  await page.goto(url);
  return { page, complaints };
}

/** Puts it into the page as if it had been there, and says whether it ran. */
const inject = (page, html) => page.evaluate(async (html) => {
  globalThis.harmed = false;
  document.body.append(document.createRange().createContextualFragment(html));
  await new Promise((resolve) => setTimeout(resolve, 200));
  return globalThis.harmed;
}, html);

const STRANGERS = [
  "<script>globalThis.harmed = true</script>",
  "<img src='data:,' onerror='globalThis.harmed = true'>",
  "<iframe srcdoc='<script>parent.harmed = true</script>'></iframe>",
  "<object data='data:text/html,<script>parent.harmed = true</script>'></object>",
  "<script src='data:text/javascript,globalThis.harmed=true'></script>",
];

describe("the built-in page", () => {
  let server, origin;
  before(async () => {
    server = await new Server().start();
    origin = `http://${UNTRUSTED}:${server.port}`;
  });
  after(() => server?.remove());

  it("works from login to an entry, live, without a complaint", async () => {
    const { page, complaints } = await open(origin);
    await page.waitForSelector("#view-login:not([hidden])");
    // That nobody is logged in yet is what the page asks the server first.
    complaints.splice(0, complaints.length, ...complaints.filter((line) => !/401/.test(line)));
    await page.fill("#login-form [name=username]", "Ann");
    await page.click("#login-form .primary");
    await page.waitForSelector("#view-groups:not([hidden])");
    const made = await page.evaluate(async () => {
      const ask = (path, body) => fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }).then((answer) => answer.json());
      const group = await ask("/api/groups", { name: "Home" });
      location.hash = `#/group/${group.id}`;
      await new Promise((resolve) => setTimeout(resolve, 500));
      await ask("/api/deuces", { groupIds: [group.id], location: "Home", thoughts: "under a policy" });
      return group.id;
    });
    assert.ok(made);
    // It comes by socket: nobody has loaded the page again.
    await page.waitForSelector("text=under a policy");
    assert.deepEqual(complaints, []);
  });

  it("runs nothing that a stranger has written into it", async () => {
    const { page } = await open(origin);
    for (const html of STRANGERS) assert.equal(await inject(page, html), false, html);
    const colour = await page.evaluate(() => {
      document.body.insertAdjacentHTML("beforeend", "<p id=styled style='color: rgb(1, 2, 3)'>x</p>");
      return getComputedStyle(document.getElementById("styled")).color;
    });
    assert.notEqual(colour, "rgb(1, 2, 3)");
    const foreign = await page.evaluate(() => fetch("http://10.9.9.9/").then(() => "sent", () => "blocked"));
    assert.equal(foreign, "blocked");
  });

  it("is shown in nobody's frame", async () => {
    const { page } = await open(`${origin}/deuced.d.ts`);
    await page.evaluate((origin) => {
      const frame = document.createElement("iframe");
      frame.src = `${origin}/`;
      document.body.append(frame);
      return new Promise((resolve) => setTimeout(resolve, 1000));
    }, origin);
    const inside = page.frames().find((frame) => frame !== page.mainFrame());
    assert.ok(!inside || !(await inside.content()).includes("login-form"));
  });
});

// What builders of single-page apps make: modules and style sheets by name, styles set while it runs, pictures made in
// the page, a socket.
const APP = {
  "index.html": `<!doctype html><title>app</title><link rel="stylesheet" href="/assets/index-A1b2.css">
    <script type="module" crossorigin src="/assets/index-C3d4.js"></script>
    <style>#early { color: rgb(1, 1, 1) }</style><div id="early" style="padding: 3px">x</div><div id="root"></div>`,
  "assets/index-A1b2.css": "#root { color: rgb(2, 2, 2) }",
  "assets/lazy-E5f6.js": "export const lazy = 'lazy'",
  "assets/index-C3d4.js": `
    const style = document.createElement("style");
    style.textContent = "#late { color: rgb(3, 3, 3) }";
    document.head.append(style);
    document.body.insertAdjacentHTML("beforeend", "<p id=late style='margin: 7px'>x</p>");
    const canvas = document.createElement("canvas");
    const picture = (src) => new Promise((resolve, reject) => Object.assign(new Image(), { src, onload: resolve, onerror: reject }));
    const blob = await new Promise((resolve) => canvas.toBlob(resolve));
    await Promise.all([picture(canvas.toDataURL()), picture(URL.createObjectURL(blob))]);
    const { lazy } = await import("./lazy-E5f6.js");
    const login = await fetch("/api/login", { method: "POST", headers: { "content-type": "application/json" }, body: '{"username":"Ann"}' });
    await new Promise((resolve, reject) => Object.assign(new WebSocket("ws://" + location.host + "/ws"), { onopen: resolve, onerror: reject }));
    document.getElementById("root").textContent = lazy + " " + login.status;
  `,
};

describe("the owner's own app", () => {
  let server, origin;
  const web = mkdtempSync(join(tmpdir(), "deuced-web-"));
  before(async () => {
    mkdirSync(join(web, "assets"));
    for (const [name, text] of Object.entries(APP)) writeFileSync(join(web, name), text);
    process.env.DEUCED_WEB = web;
    server = await new Server().start();
    delete process.env.DEUCED_WEB;
    origin = `http://${UNTRUSTED}:${server.port}`;
  });
  after(async () => {
    await server?.remove();
    rmSync(web, { recursive: true, force: true });
  });

  it("works with styles, pictures and a socket of its own without a complaint", async () => {
    const { page, complaints } = await open(origin);
    await page.waitForSelector("text=lazy 200");
    const looks = await page.evaluate(() => {
      const look = (id) => getComputedStyle(document.getElementById(id));
      return [look("early").color, look("early").paddingTop, look("root").color, look("late").color, look("late").marginTop];
    });
    assert.deepEqual(looks, ["rgb(1, 1, 1)", "3px", "rgb(2, 2, 2)", "rgb(3, 3, 3)", "7px"]);
    assert.deepEqual(complaints, []);
  });

  it("runs no script that stands in the page", async () => {
    const { page } = await open(origin);
    for (const html of STRANGERS) assert.equal(await inject(page, html), false, html);
  });
});

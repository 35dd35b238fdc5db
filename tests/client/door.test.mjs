// The pages before the diary, in headless Chromium on plain HTTP, from a fresh server to a group of two: claiming,
// inviting, joining. Whatever a page may not do by its policy counts as a failure.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { load } from "./modules.mjs";
import { Server } from "./server.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const { chromium } = load("playwright-core");

// Any address that is not this machine's own name is one where plain HTTP is not trusted.
const UNTRUSTED = "10.1.2.3";
const PASSWORD = "correct horse";

let browser, server, origin, secret;
const complaints = [];

before(async () => {
  server = await new Server({}, { open: false }).start();
  origin = `http://${UNTRUSTED}:${server.port}`;
  secret = readFileSync(`${server.data}/claim`, "utf8").trim();
  const args = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", `--host-resolver-rules=MAP ${UNTRUSTED} 127.0.0.1`];
  browser = await chromium.launch({ executablePath: CHROMIUM, args });
});

after(async () => {
  await browser?.close();
  await server?.remove();
});

/** A phone of somebody, with cookies of its own. */
async function phone() {
  const page = await (await browser.newContext({ viewport: { width: 390, height: 844 } })).newPage();
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (line) => /Content Security Policy/.test(line.text()) && complaints.push(line.text()));
  page.setDefaultTimeout(15_000);
  return page;
}

const shown = (page, section) => page.waitForSelector(`#${section}:not([hidden])`);

async function fillIn(page, form, name, password) {
  await page.fill(`${form} [name=username]`, name);
  await page.fill(`${form} [name=password]`, password);
  await page.click(`${form} .primary`);
}

describe("the pages before the diary", () => {
  let ann, link;

  it("without the secret there is only advice", async () => {
    const page = await phone();
    const answer = await page.goto(`${origin}/groups`);
    assert.equal(answer.status(), 503);
    await shown(page, "shut");
    assert.match(await page.innerText("main"), /no owner yet[^]*deuced claim/);
  });

  it("a wrong link is refused in words", async () => {
    const page = await phone();
    await page.goto(`${origin}/claim#${"A".repeat(43)}`);
    await shown(page, "open");
    await fillIn(page, "#form", "Eve", PASSWORD);
    await page.waitForFunction(() => document.querySelector("#form .error").textContent.includes("not the one"));
  });

  it("the claim link makes the owner and leaves the address bar", async () => {
    ann = await phone();
    await ann.goto(`${origin}/claim#${secret}`);
    await shown(ann, "open");
    assert.equal(ann.url(), `${origin}/claim`);
    await ann.reload();
    await shown(ann, "open");
    await ann.fill("[name=password]", PASSWORD);
    await ann.check("[name=show]");
    assert.equal(await ann.getAttribute("[name=password]", "type"), "text");
    await fillIn(ann, "#form", "Ann", PASSWORD);
    await shown(ann, "view-groups");
    assert.equal(await ann.innerText("#who"), "Ann");
    const late = await phone();
    await late.goto(`${origin}/claim#${secret}`);
    await shown(late, "view-login");
  });

  it("an invite has a link and its picture", async () => {
    await ann.fill("#group-form [name=name]", "The Millers");
    await ann.click("#group-form .primary");
    await shown(ann, "view-group");
    await ann.click("#people-title");
    await ann.click("#invite-make");
    await shown(ann, "invite");
    link = await ann.inputValue("#invite-link");
    await ann.waitForFunction(() => document.getElementById("invite-code").naturalWidth > 0);
  });

  it("a newcomer is in the group in one step", async () => {
    const bob = await phone();
    await bob.goto(link);
    await shown(bob, "open");
    assert.equal(await bob.innerText("h1:visible"), "Ann invites you to The Millers");
    await fillIn(bob, "#form", "ann", PASSWORD);
    await bob.waitForFunction(() => document.querySelector("#form .error").textContent.includes("log in below"));
    await fillIn(bob, "#form", "Bob", PASSWORD);
    await shown(bob, "view-group");
    assert.equal(await bob.innerText("#group-name"), "The Millers");
  });

  it("who has an account logs in and joins", async () => {
    const tablet = await phone();
    await tablet.goto(link);
    await shown(tablet, "open");
    await tablet.click("#to-login");
    await fillIn(tablet, "#login-form", "Bob", "a wrong password");
    await tablet.waitForFunction(() => document.querySelector("#login-form .error").textContent.includes("Wrong name"));
    await fillIn(tablet, "#login-form", "Bob", PASSWORD);
    await shown(tablet, "view-group");
  });

  it("an invite that is over says so, and so does a link without its secret", async () => {
    const page = await phone();
    await page.goto(`${origin}/welcome?join=nonsense`);
    await shown(page, "shut");
    await page.goto(`${origin}/reset`);
    await shown(page, "shut");
    await page.goto(`${origin}/reset#${"A".repeat(43)}`);
    await shown(page, "open");
    assert.equal(page.url(), `${origin}/reset`);
    await page.fill("[name=password]", PASSWORD);
    await page.click("#form .primary");
    await shown(page, "shut");
  });

  it("no page did what its policy forbids", () => assert.deepEqual(complaints, []));
});

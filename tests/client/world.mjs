// What every story needs: a server, people with devices, and a bad network before each device.

import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Link } from "./link.mjs";
import { Server } from "./server.mjs";

const PATIENCE_MS = 30_000;

/** Tells a story on a platform, which makes devices: Node, or a page in a browser. */
export function story(platform, name, act, limits = {}) {
  test(`${platform.name}: ${name}`, { timeout: 150_000 }, async () => {
    const world = new World(platform, limits);
    try {
      await world.server.start();
      await act({ server: world.server, device: world.device.bind(world), group: world.group.bind(world) });
    } finally {
      await world.end();
    }
  });
}

class World {
  #platform;
  #ends = [];

  constructor(platform, limits) {
    this.#platform = platform;
    this.server = new Server(limits);
  }

  /** A network of its own between somebody and the server. */
  async link() {
    const link = await new Link(() => this.server.port).open();
    this.#ends.push(() => link.close());
    return link;
  }

  /**
   * A device of somebody, connected.
   * @param name who logs in; null: a guest
   * @param login "cookie"; "token" or "jwt", as the answer to the login calls them; or null for a guest
   */
  async device(name, { login = name && "cookie", options = {}, channel, ...rest } = {}) {
    const link = await this.link();
    const device = await this.#platform.device({ link, ...rest });
    this.#ends.unshift(() => device.end());
    let token;
    if (login) {
      const answer = await device.fetch("POST", "/api/login", { username: name }, { cookies: login === "cookie" });
      assert.equal(answer.status, 200, JSON.stringify(answer));
      if (login !== "cookie") token = answer.body[login];
      if (login !== "cookie") assert.ok(token, `the login answers ${login}`);
    }
    Object.assign(device, { link, token, options: { token, ...options } });
    await device.open(device.options);
    if (channel) await device.subscribe(channel);
    return device;
  }

  /** A group with members; the first of the devices makes it. */
  async group(first, ...others) {
    const group = (await first.fetch("POST", "/api/groups", { name: "Home" })).body;
    const id = group.id ?? group.group.id;
    for (const other of others) {
      const invite = (await first.fetch("POST", `/api/groups/${id}/invite`)).body;
      const joined = await other.fetch("POST", `/api/join/${invite.id}`);
      assert.ok(joined.status < 300, JSON.stringify(joined));
    }
    return id;
  }

  async end() {
    const failures = [];
    for (const end of [...this.#ends, () => this.server.remove()]) await end().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}

/** What all devices can do; a platform adds `call`, `fetch`, `open` and `end`. */
export class Handle {
  look() {
    return this.call("look");
  }

  /** Waits until what the device has seen fulfils a condition. */
  async until(condition, what = condition.toString()) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const look = await this.look();
      if (condition(look)) return look;
      if (Date.now() > end) {
        const { heard, answers, ...rest } = look;
        const counts = Object.fromEntries(Object.entries(heard).map(([channel, events]) => [channel, events.length]));
        const open = answers.filter((entry) => !entry.answer && !entry.code).length;
        assert.fail(`in vain: ${what}\n${JSON.stringify({ heard: counts, open, ...rest }).slice(0, 4000)}`);
      }
      await pause(20);
    }
  }

  subscribe(channel, options = { since: { seq: 0 } }) {
    return this.call("subscribe", channel, options);
  }

  online() {
    return this.until(({ state }) => state.name === "online", "online");
  }

  /** The texts heard in a channel, after a look at their order. */
  async texts(channel) {
    return textsOf((await this.look()).heard[channel]);
  }

  /** Waits for a number of events in a channel, and that no more come. */
  async hears(channel, count) {
    await this.until(({ heard }) => heard[channel].length >= count, `${count} events in ${channel}`);
    const { heard } = await this.look();
    assert.equal(heard[channel].length, count);
    return inOrder(heard[channel]);
  }

  /** Waits until everything said has its answer, and that is a good one. */
  async answered() {
    const { answers } = await this.until(({ answers }) => answers.every((entry) => entry.answer || entry.code), "every answer");
    assert.deepEqual(answers.filter((entry) => entry.code), []);
    return answers;
  }
}

/** Each event once, in order, without a gap. */
export function inOrder(events) {
  events.forEach((event, n) => assert.equal(event.seq, events[0].seq + n, `event ${n} of ${events.length}`));
  assert.equal(new Set(events.map((event) => event.id)).size, events.length);
  return events;
}

export const textsOf = (events) => inOrder(events).map((event) => event.text);

/** `count` texts that tell who said them, and when. */
export const texts = (name, count) => Array.from({ length: count }, (_, n) => `${name} ${n}`);

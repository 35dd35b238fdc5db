// The stories in Node, with the sockets of the package `ws`.

import { describe } from "node:test";
import { connect } from "../../web/deuced.js";
import { Device } from "./device.mjs";
import { FakeStorage } from "./fakes.mjs";
import { load } from "./modules.mjs";
import { tellStories } from "./stories.mjs";
import { Handle } from "./world.mjs";

const { WebSocket } = load("ws");

class NodeHandle extends Handle {
  #device;
  #origin;
  #cookie;
  #storage = new FakeStorage();

  constructor(link) {
    super();
    this.#origin = `http://127.0.0.1:${link.port}`;
  }

  async open(options) {
    const headers = () => ({ origin: this.#origin, ...(this.#cookie && { cookie: this.#cookie }) });
    this.#device = new Device(connect);
    this.#device.open({
      url: `${this.#origin}/ws`,
      storage: this.#storage,
      // A browser sends these by itself.
      WebSocket: class extends WebSocket {
        constructor(url, protocols) {
          super(url, protocols, { headers: headers() });
        }
      },
      ...options,
    });
  }

  async call(method, ...words) {
    return structuredClone(await this.#device[method](...words));
  }

  async fetch(method, path, body, { cookies = true, token } = {}) {
    const headers = { ...(body && { "content-type": "application/json" }) };
    if (cookies && this.#cookie) headers.cookie = this.#cookie;
    if (token) headers.authorization = `Bearer ${token}`;
    const response = await fetch(this.#origin + path, { method, headers, body: body && JSON.stringify(body) });
    const [set] = response.headers.getSetCookie();
    if (cookies && set) this.#cookie = set.split(";")[0];
    return { status: response.status, body: await response.json().catch(() => null) };
  }

  async reload(meanwhile) {
    this.#device.client.close();
    await meanwhile?.();
    await this.open(this.options);
  }

  async end() {
    this.#device?.client.close();
  }
}

// They mostly wait.
describe("in Node", { concurrency: 4 }, () => {
  tellStories({ name: "node", device: async ({ link }) => new NodeHandle(link) });
});

// A world of cardboard for the unit tests: sockets whose server is the test, a clock that moves when
// told to, and a page that is seen and hidden on command.

import { connect } from "../../web/deuced.js";

/** Timers in the order of their time. */
export class FakeTimers {
  #now = 1_000_000;
  #timers = new Map();
  #last = 0;

  now = () => this.#now;

  setTimeout = (action, delay) => {
    this.#timers.set((this.#last += 1), { at: this.#now + delay, action });
    return this.#last;
  };

  clearTimeout = (timer) => void this.#timers.delete(timer);

  /** Lets time pass, running what falls due on the way. */
  async pass(milliseconds) {
    const end = this.#now + milliseconds;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
      if (!due) break;
      const [timer, { at, action }] = due;
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, at);
      action();
    }
    this.#now = end;
    await settle();
  }

  /** Time passes while the machine sleeps: nothing runs. */
  sleep(milliseconds) {
    this.#now += milliseconds;
  }

  get waiting() {
    return this.#timers.size;
  }
}

/** Lets everything run that only waits for a promise. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A page: something that can come online, and be seen or hidden. */
class FakePage extends EventTarget {
  visibilityState = "visible";
  listeners = 0;

  addEventListener(...rest) {
    this.listeners += 1;
    super.addEventListener(...rest);
  }

  removeEventListener(...rest) {
    this.listeners -= 1;
    super.removeEventListener(...rest);
  }

  online() {
    this.dispatchEvent(new Event("online"));
  }

  turn(visibilityState) {
    this.visibilityState = visibilityState;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

export class FakeStorage {
  items = new Map();
  full = false;
  get length() { return this.items.size; }
  key(index) { return [...this.items.keys()][index] ?? null; }
  getItem(key) { return this.items.get(key) ?? null; }
  setItem(key, value) {
    if (this.full) throw new Error("QuotaExceededError");
    this.items.set(key, String(value));
  }
  removeItem(key) { this.items.delete(key); }
}

/** One socket; the test is its server. */
class FakeSocket {
  sent = [];
  closed = null;
  onmessage = null;
  onclose = null;
  onerror = null;

  constructor(url, protocols) {
    if (protocols.some((protocol) => /[^\w.-]/.test(protocol))) throw new Error(`bad subprotocol`);
    Object.assign(this, { url, protocols });
  }

  send(text) {
    if (this.closed) throw new Error("sent on a closed socket");
    this.sent.push(JSON.parse(text));
  }

  close(code, reason) {
    this.closed = { code, reason };
  }

  /** A frame of the server. */
  say(frame) {
    this.onmessage({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  hello(rest = {}) {
    this.say({ type: "hello", payload: { v: 1, conn: "5f2c", userId: "dev-ann", heartbeat: 30, maxPayload: 1_048_576, ...rest } });
  }

  ack(request, rest = {}) {
    this.say({ type: "ack", payload: { id: request.id, ...rest } });
  }

  refuse(request, code, message = "no") {
    this.say({ type: "error", payload: { code, message, id: request?.id } });
  }

  event(seq, rest = {}) {
    const { type = "message", id = `e${seq}`, channel = "general", ...payload } = rest;
    const from = { id: "dev-bob", name: "Bob" };
    this.say({ type, id, timestamp: 1795187924544, payload: { channel, seq, from, text: `text ${seq}`, ...payload } });
  }

  /** The connection is lost. */
  lose(code = 1006, reason = "") {
    this.onclose({ code, reason });
  }

  /** What was sent of one kind. */
  of(type) {
    return this.sent.filter((frame) => frame.type === type);
  }
}

/** A client in a world of cardboard. */
export class World {
  timers = new FakeTimers();
  page = new FakePage();
  storage = new FakeStorage();
  sockets = [];
  states = [];
  random = 0.5;

  /** Connects a client; `sockets` collects what it opens. */
  client(options = {}) {
    const { sockets } = this;
    const client = connect({
      url: "ws://diary.test/ws",
      WebSocket: class extends FakeSocket {
        constructor(...rest) {
          super(...rest);
          sockets.push(this);
        }
      },
      timers: this.timers, window: this.page, document: this.page, storage: this.storage, random: () => this.random,
      ...options,
    });
    client.on("state", (state) => this.states.push(state));
    return client;
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** Connects a client and greets it. */
  async online(options, hello) {
    const client = this.client(options);
    await settle();
    this.socket.hello(hello);
    return client;
  }

  /** Loses the connection and greets the next one. */
  async again(code) {
    const before = this.sockets.length;
    this.socket.lose(code);
    await this.timers.pass(1000);
    if (this.sockets.length === before) await this.timers.pass(40_000);
    this.socket.hello();
  }

  get lastState() {
    return this.states.at(-1);
  }
}

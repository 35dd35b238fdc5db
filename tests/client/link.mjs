// A bad network: a TCP proxy before the server that cuts, stalls, delays and throttles.

import { createServer, connect } from "node:net";

const TICK_MS = 20;

export class Link {
  #server;
  #target;
  #pipes = new Set();
  #refusing = false;
  /** Milliseconds that everything takes, each way. */
  delay = 0;
  /** Bytes a second, each way and connection. */
  rate = Infinity;
  /** Which ways are stalled: bytes wait, connections stay open. */
  stalled = { up: false, down: false };
  /** How many connections were made through it. */
  count = 0;

  /** @param target tells the server's port */
  constructor(target) {
    this.#target = target;
    this.#server = createServer({ noDelay: true }, (near) => this.#join(near));
  }

  open() {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", () => resolve(this)));
  }

  get port() {
    return this.#server.address().port;
  }

  /** Ends all connections at once. */
  cut() {
    for (const pipe of [...this.#pipes]) pipe.end();
  }

  /** Ends all connections and takes no new ones, until `mend`. */
  tear() {
    this.#refusing = true;
    this.cut();
  }

  mend() {
    this.#refusing = false;
    this.stalled = { up: false, down: false };
    this.delay = 0;
    this.rate = Infinity;
    this.#stir();
  }

  /** Nothing passes any more, and nobody is told. */
  stall(ways = { up: true, down: true }) {
    this.stalled = { up: false, down: false, ...ways };
    this.#stir();
  }

  /** Stalls what the server says to the sockets there are; new ones, and requests, pass. */
  choke() {
    for (const pipe of this.#pipes) pipe.choke();
  }

  close() {
    this.tear();
    return new Promise((resolve) => this.#server.close(resolve));
  }

  #stir() {
    for (const pipe of this.#pipes) pipe.stir();
  }

  #join(near) {
    if (this.#refusing) return near.resetAndDestroy();
    this.count += 1;
    const far = connect({ host: "127.0.0.1", port: this.#target(), noDelay: true, allowHalfOpen: true });
    let socket = false;
    near.once("data", (bytes) => (socket = bytes.includes("GET /ws")));
    const ways = [new Way(this, "up", near, far), new Way(this, "down", far, near)];
    const pipe = {
      stir: () => ways.forEach((way) => way.flush()),
      choke: () => (ways[1].choked = socket),
      end: () => {
        this.#pipes.delete(pipe);
        ways.forEach((way) => way.stop());
        // Node cannot reset what it is already ending: its handle would be left over, and the process never end.
        if (near.writableEnded || near.destroyed) near.destroy();
        else near.resetAndDestroy();
        far.destroy();
      },
    };
    this.#pipes.add(pipe);
    near.on("error", pipe.end);
    far.on("error", pipe.end);
    near.on("close", pipe.end);
    // What the server said last, a close frame say, is still to be handed over, and not overtaken by a reset.
    far.on("end", () => ways[1].finish());
  }
}

/** One direction of one connection. */
class Way {
  #waiting = []; // {bytes, at}: what may leave when.
  #timer = null;
  #ending = false;
  #stopped = false;
  choked = false;

  constructor(link, name, from, to) {
    Object.assign(this, { link, name, to });
    from.on("data", (bytes) => {
      this.#waiting.push({ bytes, at: Date.now() + link.delay });
      this.flush();
    });
  }

  flush() {
    if (this.#stopped || this.#timer || this.choked || this.link.stalled[this.name]) return;
    let budget = this.link.rate === Infinity ? Infinity : Math.max(1, Math.round((this.link.rate * TICK_MS) / 1000));
    while (this.#waiting.length > 0 && this.#waiting[0].at <= Date.now() && budget > 0) {
      const [next] = this.#waiting;
      const part = next.bytes.subarray(0, Math.min(budget, next.bytes.length));
      budget -= part.length;
      next.bytes = next.bytes.subarray(part.length);
      if (next.bytes.length === 0) this.#waiting.shift();
      this.to.write(part);
    }
    if (this.#waiting.length > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.flush();
      }, budget <= 0 ? TICK_MS : Math.max(1, this.#waiting[0].at - Date.now()));
    } else if (this.#ending) {
      this.to.end();
    }
  }

  /** Ends the direction when everything was handed over. */
  finish() {
    this.#ending = true;
    this.flush();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}

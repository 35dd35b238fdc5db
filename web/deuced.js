// The client of `deuced.v1` (docs/native.md), for browsers and for Node. No dependencies.
//
//     import { connect } from "/deuced.js";
//     const deuced = connect();
//     deuced.subscribe("general", { event: (event) => show(event), reload: () => loadHistory() });
//     await deuced.send("general", "Hello"); // Resolves once it is on the server's disk.
//
// What it promises: one socket that comes back by itself; per channel each event once and in order,
// or `reload` when what was missed cannot be told; and what is asked gets its one answer, however
// many connections that takes. It draws nothing, loads no history and keeps no events.

// Codes after which coming back would only repeat the mistake. All others are worth a new attempt.
const FINAL_CODES = new Set([1000, 1002, 1003, 1007, 1008, 1009]);
// With this code a server that is started anew says when to come back: to each client something else.
const RESTARTED = 1012;
const HINT = /^retry in (\d{1,6}) ms$/;
// Refusals that pass.
const PASSING = new Set(["RATE_LIMITED", "UNAVAILABLE"]);
// Events that may be the last this person hears of a channel.
const PARTINGS = new Set(["member_left", "group_deleted"]);

const ATTEMPT_MS = 10_000; // What an attempt may take, up to the server's greeting.
const STABLE_MS = 5_000; // A connection that lasted this long was a good one.
const WAKE_MS = 3_000; // What an answer may take when somebody is waiting before the screen.
const TYPING_MS = 1_000;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;
const LONGEST_HINT_MS = 120_000;

// The server takes 20 frames a second, 40 at once. A link that stalls hands over late, and then at once,
// whatever was under way; BURST + WINDOW stays below 40, so not even that is too much.
const FRAMES_PER_SECOND = 18;
const BURST = 16;
const WINDOW = 20; // Requests without an answer at a time.

/** What went wrong: one of the server's codes, or `STOPPED`, `UNSUBSCRIBED`, `OUTBOX_FULL`. */
export class DeucedError extends Error {
  constructor(code, message) {
    super(message || code);
    this.name = "DeucedError";
    this.code = code;
  }
}

/** Opens the client and begins to connect. */
export const connect = (options) => new Client(options);

// ---- The client

class Client {
  #options;
  #url;
  #store;
  #clock;
  #pace;

  #state = { name: "offline" };
  #listeners = { state: new Set(), sent: new Set(), refused: new Set(), error: new Set() };
  #subscriptions = new Map(); // By channel.
  #requests = new Map(); // By id, in the order in which they are asked.
  #typed = new Map(); // When typing was last told, by channel.
  #userId; // Undefined until the first greeting; null for a guest.

  #socket = null;
  #attempt = null; // An object of its own for every attempt, so that what comes late can be told apart.
  #failures = 0; // Attempts and short connections in a row.
  #refusals = 0; // Passing refusals in a row.
  #pausedUntil = 0;
  #onlineSince = 0;
  #heardAt = 0;
  #probing = false;
  #heartbeatMs = 30_000;
  #maxPayload = 1_048_576;

  constructor(options = {}) {
    const { WebSocket, document } = globalThis;
    const window = globalThis.addEventListener ? globalThis : null;
    this.#options = { WebSocket, window, document, random: Math.random, outboxLimit: 1000, ...options };
    this.#url = socketUrl(options.url);
    this.#store = new Store(options.storage ?? defaultStorage(), options.prefix ?? "deuced:");
    this.#clock = new Clock(options.timers);
    this.#pace = new Pace(this.#clock);
    this.#options.window?.addEventListener("online", this.#onChange);
    this.#options.document?.addEventListener("visibilitychange", this.#onChange);
    this.#connect();
  }

  get state() { return this.#state; }
  get userId() { return this.#userId; }

  /** Messages that have no answer yet, oldest first. */
  get outbox() {
    const messages = [...this.#requests.values()].filter((request) => request.type === "message");
    return messages.map(({ id, payload }) => ({ id, ...payload }));
  }

  on(type, listener) {
    this.#listeners[type].add(listener);
    return () => void this.#listeners[type].delete(listener);
  }

  subscribe(name, handlers = {}, options = {}) {
    const channel = plain(name);
    if (this.#state.name === "stopped") throw new DeucedError("STOPPED");
    if (this.#subscriptions.has(channel)) throw new DeucedError("INVALID", `channel: ${channel} is subscribed to already`);
    const subscription = new Subscription(channel, handlers, options, () => this.#unsubscribe(subscription));
    this.#subscriptions.set(channel, subscription);
    if (this.#state.name === "online") this.#ask(subscription);
    return subscription;
  }

  send(channel, text, { id = uuid() } = {}) {
    return this.#request({ type: "message", id, payload: { channel: plain(channel), text }, at: this.#store.moment() });
  }

  edit(channel, seq, text) { return this.#request({ type: "edit", payload: { channel: plain(channel), seq, text } }); }
  delete(channel, seq) { return this.#request({ type: "delete", payload: { channel: plain(channel), seq } }); }
  read(seq) { return this.#request({ type: "read", payload: { seq } }); }
  readAll() { return this.#request({ type: "read", payload: { all: true } }); }

  /** Says that this person is typing; at most once a second, and only when that can be said now. */
  typing(name) {
    const channel = plain(name);
    const now = this.#clock.now();
    if (this.#state.name !== "online" || now - (this.#typed.get(channel) ?? -Infinity) < TYPING_MS) return;
    if (!this.#pace.take()) return;
    if (this.#typed.size >= 100) this.#typed.clear();
    this.#typed.set(channel, now);
    this.#transmit({ type: "typing", payload: { channel } });
  }

  /** Comes back at once, or makes sure that the connection is alive, when there is reason to look. */
  wake() {
    const { name } = this.#state;
    if (name === "online") return this.#probe(WAKE_MS, () => this.wake());
    // An attempt from before the sleep may be waiting for an answer that nobody sends any more.
    if (name === "connecting" && this.#clock.now() - this.#attempt.at > WAKE_MS) this.#lost(1006, "a new attempt");
    if (this.#state.name === "offline") this.#connect();
  }

  /** Ends the client. What is persisted in the outbox stays there for the next one. */
  close() { this.#stop(1000, "closed"); }

  /** Takes everything of this person out of the storage, as a logout should. */
  forget() { this.#store.forget(); }

  // ---- The connection

  /** The device is online, or the page is seen or hidden. */
  #onChange = ({ type }) => {
    if (type === "online" || this.#options.document.visibilityState === "visible") this.wake();
  };

  async #connect() {
    const attempt = (this.#attempt = { at: this.#clock.now(), token: null, handIn: false });
    this.#clock.set("connection", ATTEMPT_MS, () => this.#lost(1006, "no answer"));
    this.#become({ name: "connecting" });
    let { token } = this.#options;
    try {
      await null; // Whoever made the client is listening by then.
      if (typeof token === "function") token = await token();
    } catch (error) {
      if (attempt === this.#attempt) this.#lost(1006, `token: ${error?.message ?? error}`);
      return;
    }
    if (attempt !== this.#attempt) return;
    // A browser does not tell why an attempt failed. If it is the token, the server says so to whoever
    // opens without it and hands it in with the first frame; so after three failures that is tried.
    attempt.token = token;
    attempt.handIn = Boolean(token) && this.#failures % 4 === 3;
    const protocols = token && !attempt.handIn ? ["deuced.v1", `jwt.${token}`] : ["deuced.v1"];
    let socket;
    try {
      socket = new this.#options.WebSocket(this.#url, protocols);
    } catch (error) {
      this.#stop(1008, error.message); // An address or a token that no socket takes.
      return;
    }
    this.#socket = socket;
    socket.onmessage = ({ data }) => socket === this.#socket && this.#hear(data);
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#lost(code, reason);
    socket.onerror = () => {}; // The close that follows says as much.
  }

  #hear(data) {
    this.#heardAt = this.#clock.now();
    this.#probing = false;
    const frame = parsed(data);
    const payload = frame?.payload ?? {};
    switch (frame?.type) {
      case "hello": return this.#greeted(payload);
      case "ack": return this.#acknowledged(payload);
      case "error": return this.#refused(payload);
      case "typing": return this.#subscriptions.get(payload.channel)?.tell("typing", payload.from);
      case "members": return this.#subscriptions.get(payload.channel)?.called(payload.members);
      case "joined":
      case "left": return this.#subscriptions.get(payload.channel)?.moved(frame.type, payload.member);
      default: if (Number.isInteger(payload.seq)) this.#deliver(frame, payload);
    }
  }

  #greeted({ userId, heartbeat, maxPayload }) {
    if (this.#state.name !== "connecting") return;
    if (heartbeat > 0) this.#heartbeatMs = heartbeat * 1000;
    if (maxPayload > 0) this.#maxPayload = maxPayload;
    const { token, handIn } = this.#attempt;
    if (handIn) this.#transmit({ type: "auth", payload: { token } });
    else this.#welcomed(userId ?? null);
  }

  #welcomed(userId) {
    // Cursors and messages belong to a person; nobody else may go on with them.
    const first = this.#userId === undefined;
    if (!first && userId !== this.#userId) return this.#stop(1008, "another login");
    this.#userId = this.#store.userId = userId;
    if (first && this.#options.persistOutbox) this.#restoreOutbox();
    this.#onlineSince = this.#clock.now();
    this.#pace = new Pace(this.#clock);
    this.#pausedUntil = 0;
    this.#watch();
    this.#clock.clear("connection");
    // First hear, then speak, so that one's own messages are heard as well.
    const waiting = [...this.#requests];
    this.#requests.clear();
    for (const subscription of this.#subscriptions.values()) this.#ask(subscription);
    for (const [id, request] of waiting) this.#requests.set(id, request);
    this.#become({ name: "online", userId });
    this.#pump();
  }

  /** The connection is gone; unless the code forbids it, there will be another. */
  #lost(code, reason) {
    if (FINAL_CODES.has(code)) return this.#stop(code, reason);
    this.#detach(4000, reason);
    const online = this.#state.name === "online";
    if (online && this.#clock.now() - this.#onlineSince >= STABLE_MS) this.#failures = 0;
    for (const subscription of this.#subscriptions.values()) subscription.live = false;
    for (const [id, request] of this.#requests) {
      // Subscriptions are asked for anew, and what was not heard of them is over.
      if (request.ofConnection) this.#requests.delete(id);
      request.sent = false;
    }
    const backoff = this.#backoff(this.#failures++);
    const hint = code === RESTARTED ? HINT.exec(reason) : null;
    const retryInMs = hint ? Math.min(Number(hint[1]), LONGEST_HINT_MS) : backoff;
    this.#clock.set("connection", retryInMs, () => this.#connect());
    this.#become({ name: "offline", code, reason, retryInMs });
  }

  #stop(code, reason) {
    if (this.#state.name === "stopped") return;
    this.#options.window?.removeEventListener("online", this.#onChange);
    this.#options.document?.removeEventListener("visibilitychange", this.#onChange);
    this.#detach(code === 1000 ? 1000 : 4000, reason);
    const error = new DeucedError("STOPPED", `stopped: ${code} ${reason}`);
    const subscriptions = [...this.#subscriptions.values()];
    const requests = [...this.#requests.values()];
    this.#subscriptions.clear();
    this.#requests.clear();
    for (const subscription of subscriptions) subscription.failed(error);
    for (const request of requests) if (!request.ofConnection) request.reject(error);
    this.#become({ name: "stopped", code, reason });
    for (const listeners of Object.values(this.#listeners)) listeners.clear();
  }

  /** Lets go of the socket, whatever becomes of it: a dead one would take minutes to say that it is closed. */
  #detach(code, reason) {
    const socket = this.#socket;
    this.#socket = this.#attempt = null;
    this.#clock.clear("connection", "heartbeat", "pump");
    socket?.close(code, reason.slice(0, 40)); // A reason has 123 bytes at most.
  }

  /** The delay before the next try: doubling, and not the same for everybody whose server restarts. */
  #backoff(tries) {
    const delay = Math.min(FIRST_DELAY_MS * 2 ** Math.min(tries, 10), LONGEST_DELAY_MS);
    return Math.round(delay * (0.75 + 0.5 * this.#options.random()));
  }

  /** Browsers do not show the server's pings, so silence is broken by a ping of our own. */
  #watch() {
    const quiet = this.#clock.now() - this.#heardAt;
    if (quiet >= this.#heartbeatMs) this.#probe(this.#heartbeatMs);
    else this.#clock.set("heartbeat", this.#heartbeatMs - quiet, () => this.#watch());
  }

  #probe(limit, afterwards) {
    this.#probing = true;
    this.#transmit({ type: "ping" });
    this.#clock.set("heartbeat", limit, () => {
      if (!this.#probing) return this.#watch();
      this.#lost(1006, "silent");
      afterwards?.();
    });
  }

  // ---- Requests and their answers

  #request(what) {
    return new Promise((resolve, reject) => {
      const request = requestOf({ ...what, resolve, reject });
      const bytes = new TextEncoder().encode(frameOf(request)).length;
      if (this.#state.name === "stopped") throw new DeucedError("STOPPED");
      if (this.#requests.has(request.id)) throw new DeucedError("INVALID", "id: is under way already");
      if (this.#requests.size >= this.#options.outboxLimit) throw new DeucedError("OUTBOX_FULL");
      // The server would end the connection, and every one after it, with 1009.
      if (bytes > this.#maxPayload) throw new DeucedError("INVALID", `longer than ${this.#maxPayload} bytes`);
      if (this.#isKept(request)) this.#store.keep(request);
      this.#queue(request);
    });
  }

  #queue(request) {
    this.#requests.set(request.id, request);
    this.#pump();
  }

  /** Before the first greeting nobody knows whose message it is. */
  #isKept(request) {
    return this.#options.persistOutbox && request.type === "message" && this.#userId !== undefined;
  }

  /** Takes up what an earlier page left, and keeps what was said before the greeting. */
  #restoreOutbox() {
    const ours = [...this.#requests.values()];
    for (const request of ours) if (this.#isKept(request)) this.#store.keep(request);
    const found = this.#store.kept().filter(({ id }) => !this.#requests.has(id));
    const theirs = found.map((kept) => requestOf({ ...kept, type: "message" }));
    this.#requests = new Map([...theirs, ...ours].map((request) => [request.id, request]));
  }

  /** Asks for a subscription, from behind what was heard of it. */
  #ask(subscription) {
    const { channel, options } = subscription;
    subscription.cursor ??= options.since ?? (options.store === false ? null : this.#store.cursor(channel));
    this.#queue(requestOf({
      type: "subscribe", ofConnection: true, subscription,
      // Made when it is sent: it may have to be sent again, and by then more was heard.
      payload: () => ({ channel, since: subscription.cursor ?? undefined, presence: options.presence || undefined }),
      resolve: (ack) => this.#subscribed(subscription, ack),
      reject: (error) => this.#ended(subscription, error),
    }));
  }

  /** Sends what is waiting, as fast as the server likes it. */
  #pump() {
    if (this.#state.name !== "online") return;
    let open = [...this.#requests.values()].filter((request) => request.sent).length;
    for (const request of this.#requests.values()) {
      if (request.sent) continue;
      if (open >= WINDOW) return; // The next answer comes back here.
      const pause = this.#pausedUntil - this.#clock.now();
      if (pause > 0 || !this.#pace.take()) {
        this.#clock.set("pump", Math.max(pause, this.#pace.wait()), () => this.#pump());
        return;
      }
      request.sent = true;
      request.tries += 1;
      open += 1;
      this.#socket.send(frameOf(request));
    }
  }

  #transmit(frame) { this.#socket.send(JSON.stringify(frame)); }

  #acknowledged({ id, ...answer }) {
    if (this.#state.name === "connecting" && this.#attempt.handIn) return this.#welcomed(answer.userId);
    const request = this.#settled(id);
    if (!request) return;
    this.#refusals = 0;
    request.resolve(answer);
    if (request.type === "message") this.#emit("sent", { id, ...answer, text: request.payload.text });
    this.#pump();
  }

  #refused({ id, code, message }) {
    const request = this.#requests.get(id);
    const error = new DeucedError(code, message);
    if (code === "INVALID_TOKEN") return this.#stop(1008, message);
    if (PASSING.has(code)) {
      // Frames beyond the rate are dropped, which is told once a second. So whatever has no answer is asked
      // again after more than a second, and slower; a message that did arrive is known by its id.
      const all = code === "RATE_LIMITED";
      for (const other of this.#requests.values()) if (all || other === request) other.sent = false;
      if (all) this.#pace.halve();
      this.#pausedUntil = this.#clock.now() + this.#backoff(++this.#refusals);
    } else if (!request) {
      this.#emit("error", error);
    } else {
      this.#settled(id);
      // It was deleted by the try whose answer got lost.
      const done = request.type === "delete" && request.tries > 1 && code === "NOT_FOUND";
      if (done) request.resolve({ channel: request.payload.channel });
      else request.reject(error);
      if (request.type === "message") this.#emit("refused", { id, ...request.payload, error });
    }
    this.#pump();
  }

  #settled(id) {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    if (request?.type === "message") this.#store.drop(id);
    return request;
  }

  // ---- Subscriptions

  #subscribed(subscription, ack) {
    subscription.live = true;
    subscription.called(ack.members);
    const head = { seq: ack.seq, id: ack.lastId ?? undefined };
    if (subscription.cursor && ack.recovered === false) subscription.tell("reload", head);
    if (!subscription.cursor || ack.recovered === false) this.#advance(subscription, head);
    subscription.resolve(ack);
  }

  #deliver({ type, id, timestamp }, payload) {
    const subscription = this.#subscriptions.get(payload.channel);
    const next = subscription?.cursor?.seq + 1;
    if (!subscription?.live || payload.seq < next) return;
    if (payload.seq > next) return this.#lost(1006, `${payload.channel}: ${next} is missing`); // And is sent next time.
    subscription.tell("event", { ...payload, type, id, timestamp });
    this.#advance(subscription, { seq: payload.seq, id });
    // Whoever left has heard everything, unless they are back already; the server knows.
    const parted = PARTINGS.has(type) && (payload.user?.id ?? this.#userId) === this.#userId;
    if (parted && this.#isCurrent(subscription)) this.#ask(subscription);
  }

  #isCurrent(subscription) { return this.#subscriptions.get(subscription.channel) === subscription; }

  #advance(subscription, cursor) {
    subscription.cursor = cursor;
    if (subscription.options.store !== false) this.#store.setCursor(subscription.channel, cursor);
  }

  #unsubscribe(subscription) {
    if (!this.#isCurrent(subscription)) return;
    this.#subscriptions.delete(subscription.channel);
    subscription.failed(new DeucedError("UNSUBSCRIBED"));
    const ours = [...this.#requests.values()].filter((request) => request.subscription === subscription);
    for (const request of ours) this.#requests.delete(request.id);
    if (this.#state.name !== "online" || !(subscription.live || ours.some((request) => request.sent))) return;
    this.#queue(requestOf({ type: "unsubscribe", ofConnection: true, payload: { channel: subscription.channel } }));
  }

  /** The server will not have this subscription any more. */
  #ended(subscription, error) {
    if (!this.#isCurrent(subscription)) return;
    this.#subscriptions.delete(subscription.channel);
    const isStored = subscription.options.store !== false;
    if (error.code === "FORBIDDEN" && isStored) this.#store.setCursor(subscription.channel, null);
    subscription.failed(error);
    subscription.tell("ended", error);
  }

  // ---- Telling

  #become(state) {
    this.#state = state;
    this.#emit("state", state);
  }

  #emit(type, value) {
    for (const listener of [...this.#listeners[type]]) guarded(() => listener(value));
  }
}

// ---- One channel

class Subscription {
  #handlers;
  #unsubscribe;
  #members = new Map();

  constructor(channel, handlers, options, unsubscribe) {
    this.channel = channel;
    this.options = options;
    this.cursor = null; // The last event heard.
    this.live = false; // Acknowledged on this connection.
    this.ready = new Promise((resolve, reject) => Object.assign(this, { resolve, failed: reject }));
    this.ready.catch(() => {}); // Whoever does not wait for it hears `ended`.
    this.#handlers = typeof handlers === "function" ? { event: handlers } : handlers;
    this.#unsubscribe = unsubscribe;
  }

  /** Who is there, if `presence` was asked for. */
  get members() { return [...this.#members.values()]; }

  unsubscribe() { this.#unsubscribe(); }

  tell(name, value) { guarded(() => this.#handlers[name]?.(value)); }

  called(members) {
    if (!members) return;
    this.#members = new Map(members.map((member) => [keyOf(member), member]));
    this.tell("members", members);
  }

  moved(how, member) {
    if (how === "joined") this.#members.set(keyOf(member), member);
    else this.#members.delete(keyOf(member));
    this.tell(how, member);
  }
}

// ---- What is remembered

/** Cursors and waiting messages in the storage, under the name of the person they belong to. */
class Store {
  #storage;
  #prefix;
  #last = 0;
  userId = null;

  constructor(storage, prefix) {
    this.#storage = storage;
    this.#prefix = prefix;
  }

  /** When something was said: ascending, whatever the clock does. */
  moment() { return (this.#last = Math.max(Date.now(), this.#last + 1)); }

  cursor(channel) {
    const cursor = this.#get(this.#key("cursor", channel));
    return Number.isInteger(cursor?.seq) ? cursor : null;
  }

  setCursor(channel, cursor) { this.#set(this.#key("cursor", channel), cursor); }

  keep({ id, payload, at }) { this.#set(this.#key("outbox", id), { id, payload, at }); }
  drop(id) { this.#set(this.#key("outbox", id), null); }

  /** The waiting messages, also those of other tabs: sent twice under one id they are one. */
  kept() {
    const found = this.#keys(this.#key("outbox", "")).map((key) => this.#get(key));
    return found.filter((kept) => kept?.id && kept.payload).sort((a, b) => a.at - b.at);
  }

  forget() {
    for (const key of this.#keys(this.#key("", ""))) this.#set(key, null);
  }

  #key(kind, name) {
    return `${this.#prefix}${this.userId ?? ""}:${kind && `${kind}:`}${name}`;
  }

  #keys(begin) {
    const all = Array.from({ length: this.#storage.length }, (_, index) => this.#storage.key(index));
    return all.filter((key) => key?.startsWith(begin));
  }

  #get(key) { return parsed(this.#storage.getItem(key)); }

  #set(key, value) {
    try {
      if (value === null) this.#storage.removeItem(key);
      else this.#storage.setItem(key, JSON.stringify(value));
    } catch {
      // The storage is full. What it was to remember holds until the page goes.
    }
  }
}

/** A storage that ends with the page. */
class MemoryStorage {
  #items = new Map();
  get length() { return this.#items.size; }
  key(index) { return [...this.#items.keys()][index] ?? null; }
  getItem(key) { return this.#items.get(key) ?? null; }
  setItem(key, value) { this.#items.set(key, value); }
  removeItem(key) { this.#items.delete(key); }
}

function defaultStorage() {
  try {
    if (globalThis.localStorage) return globalThis.localStorage;
  } catch {
    // Some pages may not even look at it.
  }
  return new MemoryStorage();
}

// ---- Time

/** The timers of a client, at most one of each name. */
class Clock {
  #timers;
  #set = {};

  constructor(timers = {}) {
    this.#timers = {
      setTimeout: (action, delay) => setTimeout(action, delay),
      clearTimeout: (timer) => clearTimeout(timer),
      now: () => performance.now(),
      ...timers,
    };
  }

  now() { return this.#timers.now(); }

  set(name, delay, action) {
    this.clear(name);
    this.#set[name] = this.#timers.setTimeout(action, delay);
  }

  clear(...names) {
    for (const name of names) this.#timers.clearTimeout(this.#set[name]);
  }
}

/** How fast frames may be sent: a bucket that fills with time. */
class Pace {
  #clock;
  #burst = BURST;
  #perSecond = FRAMES_PER_SECOND;
  #left = BURST;
  #filledAt;

  constructor(clock) {
    this.#clock = clock;
    this.#filledAt = clock.now();
  }

  take() {
    const now = this.#clock.now();
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#filledAt) / 1000) * this.#perSecond);
    this.#filledAt = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }

  /** How long until there is one to take, in milliseconds. */
  wait() { return Math.ceil((Math.max(0, 1 - this.#left) / this.#perSecond) * 1000); }

  /** For servers whose owner wants less. */
  halve() {
    this.#burst = Math.max(1, this.#burst / 2);
    this.#perSecond = Math.max(1, this.#perSecond / 2);
  }
}

// ---- Small things

const plain = (channel) => channel.replace(/^room:/, "");
const keyOf = (member) => member.id ?? `guest ${member.name}`;
const requestOf = (request) => ({ id: uuid(), sent: false, tries: 0, resolve() {}, reject() {}, ...request });
const frameOf = ({ id, type, payload }) =>
  JSON.stringify({ type, id, payload: typeof payload === "function" ? payload() : payload });

/** Where the socket is: on the server the page came from, unless told otherwise. */
function socketUrl(url = "/ws") {
  const address = new URL(url, globalThis.location?.href);
  address.protocol = address.protocol.replace(/^http/, "ws");
  address.hash = "";
  return address.href;
}

/** A random id that no other client has. Pages on plain HTTP have no crypto.randomUUID. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

/** The caller's code must not break ours; what it throws is reported like any uncaught error. */
function guarded(action) {
  try {
    action();
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

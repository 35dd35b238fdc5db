// The client's logic, against sockets whose server is the test. What a real server and real networks do
// to it is in stories.mjs.

import assert from "node:assert/strict";
import test from "node:test";
import { connect, DeucedError } from "../../web/deuced.js";
import { settle, World } from "./fakes.mjs";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const rejectsWith = (promise, code) => assert.rejects(promise, (error) => error instanceof DeucedError && error.code === code);
/** Rejections that a test does not look at. */
const ignore = (promise) => promise.catch(() => {});
const seqs = (events) => events.map((event) => event.seq);

// ---- Connecting

test("offers the protocol, and becomes online with the greeting", async () => {
  const world = new World();
  const client = world.client();
  assert.deepEqual(client.state, { name: "connecting" });
  assert.equal(client.userId, undefined);
  await settle();
  assert.equal(world.socket.url, "ws://diary.test/ws");
  assert.deepEqual(world.socket.protocols, ["deuced.v1"]);
  world.socket.hello();
  assert.deepEqual(client.state, { name: "online", userId: "dev-ann" });
  assert.equal(client.userId, "dev-ann");
});

test("the address comes from the page unless it is given", async () => {
  const cases = [
    [undefined, "https://home.test/app/index.html#x", "wss://home.test/ws"],
    [undefined, "http://pi.test:8222/", "ws://pi.test:8222/ws"],
    ["/elsewhere/ws", "http://pi.test:8222/app", "ws://pi.test:8222/elsewhere/ws"],
    ["https://other.test/ws", "http://pi.test/", "wss://other.test/ws"],
    [new URL("ws://other.test:1/ws"), undefined, "ws://other.test:1/ws"],
  ];
  for (const [url, page, expected] of cases) {
    const world = new World();
    if (page) globalThis.location = { href: page };
    const client = world.client({ url });
    await settle();
    assert.equal(world.socket.url, expected);
    client.close();
    delete globalThis.location;
  }
  assert.throws(() => connect({ WebSocket: class {} }), "without a page there is no default");
});

test("a token travels as a subprotocol, a function is asked before each attempt", async () => {
  const world = new World();
  world.client({ token: "abc" });
  await settle();
  assert.deepEqual(world.socket.protocols, ["deuced.v1", "jwt.abc"]);
  let asked = 0;
  const other = new World();
  other.client({ token: async () => `t${(asked += 1)}` });
  await settle();
  assert.deepEqual(other.socket.protocols, ["deuced.v1", "jwt.t1"]);
  other.socket.hello();
  await other.again();
  assert.deepEqual(other.socket.protocols, ["deuced.v1", "jwt.t2"]);
});

test("without a token a function may say so, and a failing one is tried again", async () => {
  const world = new World();
  let broken = true;
  world.client({
    token() {
      if (broken) throw new Error("no network");
      return null;
    },
  });
  await settle();
  assert.deepEqual(world.lastState, { name: "offline", code: 1006, reason: "token: no network", retryInMs: 1000 });
  broken = false;
  await world.timers.pass(1000);
  assert.deepEqual(world.socket.protocols, ["deuced.v1"]);
});

test("after three failures a token is handed in with the first frame, so that a bad one is told", async () => {
  const world = new World();
  const client = world.client({ token: "old" });
  await settle();
  for (const delay of [1000, 2000, 4000]) {
    assert.deepEqual(world.socket.protocols, ["deuced.v1", "jwt.old"]);
    world.socket.lose();
    await world.timers.pass(delay);
  }
  assert.deepEqual(world.socket.protocols, ["deuced.v1"]);
  world.socket.hello({ userId: null });
  assert.deepEqual(world.socket.sent, [{ type: "auth", payload: { token: "old" } }]);
  assert.equal(client.state.name, "connecting");
  world.socket.say({ type: "error", payload: { code: "INVALID_TOKEN", message: "no longer good" } });
  assert.deepEqual(client.state, { name: "stopped", code: 1008, reason: "no longer good" });
});

test("a token that was handed in and is good makes the client online", async () => {
  const world = new World();
  const client = world.client({ token: "good" });
  client.subscribe("general");
  await settle();
  for (const delay of [1000, 2000, 4000]) {
    world.socket.lose();
    await world.timers.pass(delay);
  }
  world.socket.hello({ userId: null });
  world.socket.say({ type: "ack", payload: { userId: "dev-ann" } });
  assert.deepEqual(client.state, { name: "online", userId: "dev-ann" });
  assert.deepEqual(world.socket.sent.map((frame) => frame.type), ["auth", "subscribe"]);
});

test("an address or token that no socket takes stops it", async () => {
  const world = new World();
  const client = world.client({ token: "a b" });
  await settle();
  assert.deepEqual(client.state, { name: "stopped", code: 1008, reason: "bad subprotocol" });
});

test("an attempt is given up after ten seconds, greeting included", async () => {
  const world = new World();
  world.client();
  await world.timers.pass(9_999);
  assert.equal(world.states.length, 0);
  await world.timers.pass(1);
  assert.deepEqual(world.lastState, { name: "offline", code: 1006, reason: "no answer", retryInMs: 1000 });
  assert.ok(world.socket.closed, "the socket is let go");
  const [first] = world.sockets;
  await world.timers.pass(1000);
  first.hello();
  first.lose(1008);
  assert.equal(world.lastState.name, "connecting", "what the old one says does not count");
});

test("a token function that never answers is given up, too, and its late answer is not used", async () => {
  const world = new World();
  const answers = [];
  world.client({ token: () => new Promise((resolve) => answers.push(resolve)) });
  await world.timers.pass(10_000);
  assert.equal(world.lastState.name, "offline");
  answers[0]("late");
  await settle();
  assert.equal(world.sockets.length, 0);
  await world.timers.pass(1000);
  answers[1]("good");
  await settle();
  assert.equal(world.sockets.length, 1);
});

test("it does not go on as somebody else", async () => {
  const world = new World();
  const client = await world.online();
  const sending = client.send("general", "as Ann");
  world.socket.lose();
  await world.timers.pass(1000);
  world.socket.hello({ userId: "dev-bob" });
  assert.deepEqual(client.state, { name: "stopped", code: 1008, reason: "another login" });
  assert.deepEqual(world.socket.sent, []);
  await rejectsWith(sending, "STOPPED");
});

// ---- Coming back

test("delays double from 1 s to 30 s", async () => {
  const world = new World();
  world.client();
  await settle();
  const delays = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    world.socket.lose();
    delays.push(world.lastState.retryInMs);
    await world.timers.pass(world.lastState.retryInMs - 1);
    assert.equal(world.lastState.name, "offline", "not before its time");
    await world.timers.pass(1);
    assert.equal(world.lastState.name, "connecting");
  }
  assert.deepEqual(delays, [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
});

test("each delay has a jitter of a quarter either way", async () => {
  for (const [random, factor] of [[0, 0.75], [0.25, 0.875], [1 - Number.EPSILON, 1.25]]) {
    const world = new World();
    world.random = random;
    world.client();
    await settle();
    for (const base of [1000, 2000, 4000, 8000, 16000, 30000, 30000]) {
      world.socket.lose();
      assert.equal(world.lastState.retryInMs, Math.round(base * factor));
      await world.timers.pass(world.lastState.retryInMs);
    }
  }
});

test("only a connection that lasted five seconds begins anew", async () => {
  const world = new World();
  await world.online();
  const flap = async (lasting) => {
    await world.timers.pass(lasting);
    world.socket.lose();
    const { retryInMs } = world.lastState;
    await world.timers.pass(retryInMs);
    world.socket.hello();
    return retryInMs;
  };
  assert.equal(await flap(0), 1000);
  assert.equal(await flap(4_999), 2000);
  assert.equal(await flap(100), 4000);
  assert.equal(await flap(5_000), 1000);
  assert.equal(await flap(10), 2000);
});

for (const code of [1000, 1002, 1003, 1007, 1008, 1009]) {
  test(`close code ${code} stops it, and is told`, async () => {
    const world = new World();
    const client = await world.online();
    const { ready } = client.subscribe("general");
    const sending = client.send("general", "x");
    world.socket.lose(code, "because");
    assert.deepEqual(world.lastState, { name: "stopped", code, reason: "because" });
    await rejectsWith(ready, "STOPPED");
    await rejectsWith(sending, "STOPPED");
    await rejectsWith(client.send("general", "y"), "STOPPED");
    assert.throws(() => client.subscribe("other"), { code: "STOPPED" });
    world.page.online();
    world.page.turn("visible");
    await world.timers.pass(100_000);
    assert.equal(world.sockets.length, 1);
    assert.equal(world.timers.waiting, 0);
    assert.equal(world.page.listeners, 0);
  });
}

for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 4000]) {
  test(`close code ${code} is come back from`, async () => {
    const world = new World();
    await world.online();
    world.socket.lose(code, "later");
    assert.deepEqual(world.lastState, { name: "offline", code, reason: "later", retryInMs: 1000 });
    await world.timers.pass(1000);
    assert.equal(world.sockets.length, 2);
  });
}

test("a server that is started anew says when to come back, once", async () => {
  const world = new World();
  await world.online();
  world.socket.lose(1012, "retry in 7340 ms");
  assert.deepEqual(world.lastState, { name: "offline", code: 1012, reason: "retry in 7340 ms", retryInMs: 7340 });
  await world.timers.pass(7339);
  assert.equal(world.sockets.length, 1);
  await world.timers.pass(1);
  assert.equal(world.sockets.length, 2);
  world.socket.lose(); // Not there yet: from here on it is as ever.
  assert.equal(world.lastState.retryInMs, 2000);
});

for (const [code, reason, retryInMs] of [
  [1012, "retry in 999999 ms", 120_000], [1012, "retry in 0 ms", 0], [1012, "retry in 1e9 ms", 1000],
  [1012, "retry in 9999999 ms", 1000], [1012, "retry", 1000], [1001, "retry in 7340 ms", 1000],
]) {
  test(`close code ${code} with "${reason}" waits ${retryInMs} ms`, async () => {
    const world = new World();
    await world.online();
    world.socket.lose(code, reason);
    assert.equal(world.lastState.retryInMs, retryInMs);
  });
}

test("it comes back at once when the device is online or the page is seen", async () => {
  for (const happen of [(page) => page.online(), (page) => page.turn("visible")]) {
    const world = new World();
    world.client();
    await settle();
    for (let n = 0; n < 5; n++) {
      world.socket.lose();
      await world.timers.pass(world.lastState.retryInMs);
    }
    world.socket.lose();
    assert.equal(world.lastState.retryInMs, 30_000);
    world.page.turn("hidden");
    await settle();
    assert.equal(world.lastState.name, "offline", "hiding is no reason");
    happen(world.page);
    await settle();
    assert.equal(world.lastState.name, "connecting");
    const count = world.sockets.length;
    world.socket.hello();
    await world.timers.pass(31_000);
    assert.equal(world.sockets.length, count, "the delay that was cut short is forgotten");
  }
});

test("an attempt from before the sleep makes way for a new one", async () => {
  const world = new World();
  world.client();
  await settle();
  world.page.turn("visible");
  await settle();
  assert.equal(world.sockets.length, 1, "a young attempt is left alone");
  world.timers.sleep(3_001);
  world.page.turn("visible");
  await settle();
  assert.equal(world.sockets.length, 2);
  world.socket.hello();
  assert.equal(world.lastState.name, "online");
});

test("closing ends everything", async () => {
  const world = new World();
  const client = await world.online();
  client.close();
  assert.deepEqual(client.state, { name: "stopped", code: 1000, reason: "closed" });
  assert.deepEqual(world.socket.closed, { code: 1000, reason: "closed" });
  client.close();
  assert.equal(world.states.filter((state) => state.name === "stopped").length, 1);
  assert.equal(world.timers.waiting, 0);
  assert.equal(world.page.listeners, 0);
});

test("closing while it waits for a token, for the server or for the next attempt", async () => {
  for (const waiting of ["token", "server", "delay"]) {
    const world = new World();
    const client = world.client({ token: waiting === "token" ? () => new Promise(() => {}) : null });
    if (waiting !== "token") await settle();
    if (waiting === "delay") world.socket.lose();
    client.close();
    await world.timers.pass(100_000);
    assert.ok(world.sockets.length <= 1);
    assert.equal(world.timers.waiting, 0);
  }
});

// ---- Dead connections

test("silence is answered with a ping, and more silence with a new connection", async () => {
  const world = new World();
  await world.online({}, { heartbeat: 20 });
  await world.timers.pass(19_999);
  assert.deepEqual(world.socket.of("ping"), []);
  await world.timers.pass(1);
  assert.deepEqual(world.socket.of("ping"), [{ type: "ping" }]);
  await world.timers.pass(19_999);
  assert.equal(world.lastState.name, "online");
  await world.timers.pass(1);
  assert.deepEqual(world.lastState, { name: "offline", code: 1006, reason: "silent", retryInMs: 1000 });
  assert.equal(world.sockets[0].closed.code, 4000);
});

test("anything heard is a sign of life, and saves the ping", async () => {
  const world = new World();
  await world.online({}, { heartbeat: 20 });
  for (let n = 0; n < 10; n++) {
    await world.timers.pass(15_000);
    world.socket.event(n + 1);
  }
  assert.deepEqual(world.socket.of("ping"), []);
  for (let n = 0; n < 5; n++) {
    await world.timers.pass(20_000);
    assert.equal(world.socket.of("ping").length, n + 1);
    world.socket.say({ type: "pong" });
  }
  assert.equal(world.sockets.length, 1);
});

test("when the page is seen again the connection must answer within three seconds", async () => {
  const world = new World();
  await world.online();
  world.page.turn("hidden");
  world.timers.sleep(3_600_000);
  world.page.turn("visible");
  assert.equal(world.socket.of("ping").length, 1);
  await world.timers.pass(2_999);
  assert.equal(world.lastState.name, "online");
  await world.timers.pass(1);
  assert.deepEqual(world.states.slice(-2).map((state) => state.name), ["offline", "connecting"], "and is replaced at once");
  world.socket.hello();
  world.page.turn("visible");
  world.socket.say({ type: "pong" });
  await world.timers.pass(20_000);
  assert.equal(world.sockets.length, 2, "one that answers stays");
});

// ---- Subscribing

test("subscribes from now, and tells each event once and in order", async () => {
  const world = new World();
  const client = await world.online();
  const heard = [];
  const subscription = client.subscribe("general", (event) => heard.push(event));
  const [request] = world.socket.of("subscribe");
  assert.match(request.id, UUID);
  assert.deepEqual(request.payload, { channel: "general" });
  world.socket.ack(request, { channel: "general", seq: 4, lastId: "e4" });
  assert.deepEqual(await subscription.ready, { channel: "general", seq: 4, lastId: "e4" });
  assert.equal(subscription.live, true);
  for (const seq of [4, 5, 5, 3, 6]) world.socket.event(seq);
  assert.deepEqual(seqs(heard), [5, 6]);
  assert.deepEqual(heard[0], {
    type: "message", id: "e5", timestamp: 1795187924544, channel: "general", seq: 5,
    from: { id: "dev-bob", name: "Bob" }, text: "text 5",
  });
  assert.deepEqual(subscription.cursor, { seq: 6, id: "e6" });
});

test("after a new connection it goes on behind what was heard", async () => {
  const world = new World();
  const client = await world.online();
  const heard = [];
  client.subscribe("general", { event: (event) => heard.push(event), reload: () => assert.fail("nothing was lost") });
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 4, lastId: "e4" });
  world.socket.event(5);
  await world.again();
  const [request] = world.socket.of("subscribe");
  assert.deepEqual(request.payload, { channel: "general", since: { seq: 5, id: "e5" } });
  world.socket.ack(request, { channel: "general", seq: 7, lastId: "e7", recovered: true, replay: 2 });
  for (const seq of [6, 7, 8]) world.socket.event(seq);
  assert.deepEqual(seqs(heard), [5, 6, 7, 8]);
});

test("a subscription without any event goes on behind the answer", async () => {
  const world = new World();
  const client = await world.online();
  client.subscribe("general");
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 0, lastId: null });
  await world.again();
  assert.deepEqual(world.socket.sent[0].payload, { channel: "general", since: { seq: 0 } });
});

test("what cannot be told is told as that, and it goes on from there", async () => {
  const world = new World();
  const client = await world.online();
  const heard = [];
  const reloads = [];
  const stored = () => JSON.parse(world.storage.getItem("deuced:dev-ann:cursor:general"));
  client.subscribe("general", {
    event: (event) => heard.push(event),
    reload: (head) => reloads.push({ head, stored: stored() }),
  }, { since: { seq: 4, id: "e4" } });
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 900, lastId: "x900", recovered: false, replay: 0 });
  assert.deepEqual(reloads, [{ head: { seq: 900, id: "x900" }, stored: null }], "before the cursor moves");
  assert.deepEqual(stored(), { seq: 900, id: "x900" });
  world.socket.event(901);
  assert.deepEqual(seqs(heard), [901]);
});

test("the cursor moves when the listener has returned, and is there after a reload", async () => {
  const world = new World();
  const client = await world.online();
  const stored = () => JSON.parse(world.storage.getItem("deuced:dev-ann:cursor:general"));
  const during = [];
  client.subscribe("general", () => during.push(stored()));
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 4, lastId: "e4" });
  world.socket.event(5);
  world.socket.event(6);
  assert.deepEqual(during, [{ seq: 4, id: "e4" }, { seq: 5, id: "e5" }]);
  client.close();
  const later = await world.online();
  later.subscribe("general");
  assert.deepEqual(world.socket.sent[0].payload, { channel: "general", since: { seq: 6, id: "e6" } });
});

test("cursors belong to a person", async () => {
  const world = new World();
  world.storage.setItem("deuced:dev-ann:cursor:me", JSON.stringify({ seq: 9, id: "n9" }));
  for (const [userId, since] of [["dev-ann", { seq: 9, id: "n9" }], ["dev-bob", undefined], [null, undefined]]) {
    const client = await world.online({}, { userId });
    client.subscribe("me");
    assert.deepEqual(world.socket.sent[0].payload.since, since);
    client.close();
  }
});

test("a given cursor goes before the stored one, and store: false leaves the storage alone", async () => {
  const world = new World();
  world.storage.setItem("deuced:dev-ann:cursor:general", JSON.stringify({ seq: 9, id: "e9" }));
  const client = await world.online();
  const subscription = client.subscribe("general", {}, { since: { seq: 0 } });
  assert.deepEqual(world.socket.sent[0].payload.since, { seq: 0 });
  subscription.unsubscribe();
  client.subscribe("general", {}, { store: false });
  const request = world.socket.of("subscribe")[1];
  assert.equal(request.payload.since, undefined);
  world.socket.ack(request, { channel: "general", seq: 20, lastId: "e20" });
  world.socket.event(21);
  assert.deepEqual(JSON.parse(world.storage.getItem("deuced:dev-ann:cursor:general")), { seq: 9, id: "e9" });
});

test("a full or broken storage does not stop anything", async () => {
  const world = new World();
  world.storage.setItem("deuced:dev-ann:cursor:general", "{broken");
  world.storage.setItem("deuced:dev-ann:cursor:other", "7");
  world.storage.full = true;
  const client = await world.online({ persistOutbox: true });
  const heard = [];
  client.subscribe("general", (event) => heard.push(event));
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 0, lastId: null });
  world.socket.event(1);
  ignore(client.send("general", "x"));
  client.subscribe("other");
  assert.equal(world.socket.of("subscribe")[1].payload.since, undefined);
  assert.deepEqual(seqs(heard), [1]);
  assert.equal(world.socket.of("message").length, 1);
});

test("a listener that throws is reported, and the next event comes all the same", async () => {
  const world = new World();
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  const client = await world.online();
  const heard = [];
  client.subscribe("general", (event) => {
    heard.push(event);
    throw new Error(`at ${event.seq}`);
  });
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 0, lastId: null });
  world.socket.event(1);
  world.socket.event(2);
  assert.deepEqual(seqs(heard), [1, 2]);
  assert.deepEqual(reported, ["at 1", "at 2"]);
  delete globalThis.reportError;
});

test("a gap is not passed over: the connection is made anew", async () => {
  const world = new World();
  const client = await world.online();
  const heard = [];
  client.subscribe("general", (event) => heard.push(event));
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 0, lastId: null });
  world.socket.event(1);
  world.socket.event(3);
  assert.deepEqual(seqs(heard), [1]);
  assert.deepEqual(world.lastState, { name: "offline", code: 1006, reason: "general: 2 is missing", retryInMs: 1000 });
  await world.timers.pass(1000);
  world.socket.hello();
  assert.deepEqual(world.socket.sent[0].payload.since, { seq: 1, id: "e1" });
});

test("channels have one plain name, and one subscription", async () => {
  const world = new World();
  const client = await world.online();
  const heard = [];
  client.subscribe("room:general", (event) => heard.push(event));
  assert.equal(world.socket.sent[0].payload.channel, "general");
  assert.throws(() => client.subscribe("general"), { code: "INVALID" });
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 0, lastId: null });
  world.socket.event(1);
  world.socket.event(1, { channel: "other" });
  assert.deepEqual(heard.map((event) => event.channel), ["general"]);
});

test("after unsubscribing nothing is heard, and nothing is asked for again", async () => {
  const world = new World();
  const client = await world.online();
  const heard = [];
  const subscription = client.subscribe("general", (event) => {
    heard.push(event);
    subscription.unsubscribe();
  });
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 0, lastId: null });
  world.socket.event(1);
  world.socket.event(2);
  subscription.unsubscribe();
  assert.deepEqual(seqs(heard), [1]);
  assert.deepEqual(world.socket.of("unsubscribe").map((frame) => frame.payload), [{ channel: "general" }]);
  assert.deepEqual(JSON.parse(world.storage.getItem("deuced:dev-ann:cursor:general")), { seq: 1, id: "e1" });
  await world.again();
  assert.deepEqual(world.socket.sent, []);
});

test("unsubscribing before the answer, and subscribing again", async () => {
  const world = new World();
  const client = await world.online();
  const first = client.subscribe("general", () => assert.fail("it was unsubscribed"));
  first.unsubscribe();
  await rejectsWith(first.ready, "UNSUBSCRIBED");
  const heard = [];
  client.subscribe("general", (event) => heard.push(event));
  assert.deepEqual(world.socket.sent.map((frame) => frame.type), ["subscribe", "unsubscribe", "subscribe"]);
  const [one, two] = world.socket.of("subscribe");
  world.socket.ack(one, { channel: "general", seq: 4, lastId: "e4" });
  world.socket.event(5);
  world.socket.ack(two, { channel: "general", seq: 5, lastId: "e5" });
  world.socket.event(6);
  assert.deepEqual(seqs(heard), [6]);
});

test("subscribing while offline waits for the connection, unsubscribing takes it back", async () => {
  const world = new World();
  const client = world.client();
  client.subscribe("general");
  client.subscribe("other").unsubscribe();
  await settle();
  world.socket.hello();
  assert.deepEqual(world.socket.sent.map((frame) => frame.payload), [{ channel: "general" }]);
});

test("a refused subscription ends and says why", async () => {
  const world = new World();
  const client = await world.online();
  world.storage.setItem("deuced:dev-ann:cursor:group:1", JSON.stringify({ seq: 9, id: "e9" }));
  const ended = [];
  const { ready } = client.subscribe("group:1", { ended: (error) => ended.push(error.code) });
  world.socket.refuse(world.socket.sent[0], "FORBIDDEN");
  assert.deepEqual(ended, ["FORBIDDEN"]);
  await rejectsWith(ready, "FORBIDDEN");
  assert.equal(world.storage.getItem("deuced:dev-ann:cursor:group:1"), null);
  await world.again();
  assert.deepEqual(world.socket.sent, []);
});

test("a subscription that is refused for the moment is asked for again", async () => {
  const world = new World();
  const client = await world.online();
  const { ready } = client.subscribe("general");
  world.socket.refuse(world.socket.sent[0], "UNAVAILABLE");
  assert.equal(world.socket.sent.length, 1);
  await world.timers.pass(2000);
  world.socket.refuse(world.socket.sent[1], "UNAVAILABLE");
  await world.timers.pass(3999);
  assert.equal(world.socket.sent.length, 2);
  await world.timers.pass(1);
  world.socket.ack(world.socket.sent[2], { channel: "general", seq: 1, lastId: "e1" });
  assert.equal((await ready).seq, 1);
});

test("whoever leaves a group has heard everything, unless the server says otherwise", async () => {
  const world = new World();
  const client = await world.online();
  const heard = [];
  const ended = [];
  client.subscribe("group:1", { event: (event) => heard.push(event.type), ended: (error) => ended.push(error.code) });
  world.socket.ack(world.socket.sent[0], { channel: "group:1", seq: 0, lastId: null });
  const event = (seq, rest) => world.socket.event(seq, { channel: "group:1", ...rest });
  event(1, { type: "member_left", user: { id: "dev-bob", name: "Bob" } });
  assert.equal(world.socket.of("subscribe").length, 1, "somebody else left");
  event(2, { type: "member_left", user: { id: "dev-ann", name: "Ann" } });
  world.socket.ack(world.socket.of("subscribe")[1], { channel: "group:1", seq: 3, lastId: "e3", recovered: true, replay: 1 });
  event(3, { type: "member_joined", user: { id: "dev-ann", name: "Ann" } });
  assert.deepEqual(ended, []);
  event(4, { type: "group_deleted" });
  assert.deepEqual(world.socket.of("subscribe")[2].payload.since, { seq: 4, id: "e4" });
  world.socket.refuse(world.socket.of("subscribe")[2], "FORBIDDEN");
  assert.deepEqual(heard, ["member_left", "member_left", "member_joined", "group_deleted"]);
  assert.deepEqual(ended, ["FORBIDDEN"]);
});

test("who is there: the roster, those who come and those who go", async () => {
  const world = new World();
  const client = await world.online();
  const told = [];
  const [ann, bob] = [{ id: "dev-ann", name: "Ann" }, { id: "dev-bob", name: "Bob" }];
  const guest = { id: null, name: "Alice", guest: true };
  const subscription = client.subscribe("general", {
    members: (members) => told.push(members.map((member) => member.name)),
    joined: (member) => told.push(`+${member.name}`),
    left: (member) => told.push(`-${member.name}`),
  }, { presence: true });
  assert.deepEqual(world.socket.sent[0].payload, { channel: "general", presence: true });
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 0, lastId: null, members: [ann, guest] });
  world.socket.say({ type: "joined", payload: { channel: "general", member: bob } });
  assert.deepEqual(subscription.members, [ann, guest, bob]);
  world.socket.say({ type: "left", payload: { channel: "general", member: guest } });
  assert.deepEqual(subscription.members, [ann, bob]);
  await world.again();
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 0, lastId: null, recovered: true, replay: 0, members: [ann] });
  assert.deepEqual(subscription.members, [ann]);
  assert.deepEqual(told, [["Ann", "Alice"], "+Bob", "-Alice", ["Ann"]]);
});

test("typing is heard, and said once a second at most and only online", async () => {
  const world = new World();
  const client = await world.online();
  const typing = [];
  client.subscribe("general", { typing: (from) => typing.push(from.name) });
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 0, lastId: null });
  world.socket.say({ type: "typing", payload: { channel: "general", from: { id: "dev-bob", name: "Bob" } } });
  world.socket.say({ type: "typing", payload: { channel: "other", from: { id: "dev-bob", name: "Bob" } } });
  assert.deepEqual(typing, ["Bob"]);
  for (let n = 0; n < 30; n++) {
    client.typing("general");
    await world.timers.pass(100);
  }
  assert.deepEqual(world.socket.of("typing"), Array(3).fill({ type: "typing", payload: { channel: "general" } }));
  client.typing("other");
  assert.equal(world.socket.of("typing").length, 4, "each channel has its own second");
  world.socket.lose();
  client.typing("general");
  await world.timers.pass(1000);
  world.socket.hello();
  assert.equal(world.socket.of("typing").length, 0);
});

// ---- Asking

test("a message resolves with its answer", async () => {
  const world = new World();
  const client = await world.online();
  const told = [];
  client.on("sent", (message) => told.push(message));
  const sending = client.send("general", "Hello");
  const [frame] = world.socket.sent;
  assert.match(frame.id, UUID);
  assert.deepEqual(frame, { type: "message", id: frame.id, payload: { channel: "general", text: "Hello" } });
  assert.deepEqual(client.outbox, [{ id: frame.id, channel: "general", text: "Hello" }]);
  world.socket.ack(frame, { channel: "general", seq: 5, messageId: "m5" });
  assert.deepEqual(await sending, { channel: "general", seq: 5, messageId: "m5" });
  assert.deepEqual(told, [{ id: frame.id, channel: "general", seq: 5, messageId: "m5", text: "Hello" }]);
  assert.deepEqual(client.outbox, []);
});

test("ids are random UUIDs also where there is no crypto.randomUUID", async () => {
  const world = new World();
  const client = await world.online();
  const { randomUUID } = globalThis.crypto;
  Object.defineProperty(globalThis.crypto, "randomUUID", { value: undefined, configurable: true });
  for (let n = 0; n < 10; n++) ignore(client.send("general", "x"));
  Object.defineProperty(globalThis.crypto, "randomUUID", { value: randomUUID, configurable: true });
  const ids = world.socket.sent.map((frame) => frame.id);
  assert.equal(new Set(ids).size, 10);
  for (const id of ids) assert.match(id, UUID);
});

test("what has no answer is sent again, under its id and in its order, behind the subscriptions", async () => {
  const world = new World();
  const client = world.client();
  const sending = [client.send("general", "1"), client.send("general", "2")];
  client.subscribe("general");
  await settle();
  world.socket.hello();
  sending.push(client.send("general", "3"));
  const first = world.socket.of("message");
  assert.deepEqual(first.map((frame) => frame.payload.text), ["1", "2", "3"]);
  world.socket.ack(first[0], { channel: "general", seq: 1, messageId: "m1" });
  world.socket.lose();
  sending.push(client.send("general", "4"));
  await world.timers.pass(1000);
  world.socket.hello();
  assert.equal(world.socket.sent[0].type, "subscribe");
  const second = world.socket.of("message");
  assert.deepEqual(second.map((frame) => frame.payload.text), ["2", "3", "4"]);
  assert.deepEqual(second.slice(0, 2).map((frame) => frame.id), first.slice(1).map((frame) => frame.id));
  second.forEach((frame, n) => world.socket.ack(frame, { channel: "general", seq: n + 2, messageId: `m${n + 2}` }));
  assert.deepEqual((await Promise.all(sending)).map((answer) => answer.seq), [1, 2, 3, 4]);
});

test("a refusal rejects, and the next goes on", async () => {
  const world = new World();
  const client = await world.online();
  const told = [];
  client.on("refused", ({ text, error }) => told.push([text, error.code]));
  const [bad, good] = [client.send("general", ""), client.send("general", "x")];
  world.socket.refuse(world.socket.sent[0], "INVALID", "text: at least 1 character");
  world.socket.ack(world.socket.sent[1], { channel: "general", seq: 1, messageId: "m1" });
  await assert.rejects(bad, { name: "DeucedError", code: "INVALID", message: "text: at least 1 character" });
  await good;
  assert.deepEqual(told, [["", "INVALID"]]);
  await world.again();
  assert.deepEqual(world.socket.sent, []);
});

test("edit, delete and read marks", async () => {
  const world = new World();
  const client = await world.online();
  const asked = [client.edit("general", 5, "New"), client.delete("general", 6), client.read(7), client.readAll()];
  assert.deepEqual(world.socket.sent.map(({ type, payload }) => ({ type, payload })), [
    { type: "edit", payload: { channel: "general", seq: 5, text: "New" } },
    { type: "delete", payload: { channel: "general", seq: 6 } },
    { type: "read", payload: { seq: 7 } },
    { type: "read", payload: { all: true } },
  ]);
  const answers = [{ channel: "general", seq: 8, messageId: "m5" }, { channel: "general", seq: 9, messageId: "m6" }, { count: 1 }, { count: 3 }];
  world.socket.sent.forEach((frame, n) => world.socket.ack(frame, answers[n]));
  assert.deepEqual(await Promise.all(asked), answers);
  assert.deepEqual(client.outbox, []);
});

test("a message that a lost answer deleted is deleted", async () => {
  const world = new World();
  const client = await world.online();
  const again = client.delete("general", 6);
  await world.again();
  world.socket.refuse(world.socket.sent[0], "NOT_FOUND");
  assert.deepEqual(await again, { channel: "general" });
  const never = client.delete("general", 7);
  world.socket.refuse(world.socket.sent[1], "NOT_FOUND");
  await rejectsWith(never, "NOT_FOUND");
});

test("the outbox is bounded, and so is a message", async () => {
  const world = new World();
  const client = world.client({ outboxLimit: 3 });
  for (let n = 0; n < 3; n++) ignore(client.send("general", "x"));
  await rejectsWith(client.send("general", "x"), "OUTBOX_FULL");
  await settle();
  world.socket.hello({ maxPayload: 2000 });
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 1, messageId: "m1" });
  await rejectsWith(client.send("general", "ä".repeat(1000)), "INVALID");
  const id = "0f8fad5b-d9cb-469f-a165-70867728950e";
  ignore(client.send("general", "y", { id }));
  assert.equal(client.outbox.at(-1).id, id);
});

test("one id is not under way twice", async () => {
  const world = new World();
  const client = await world.online();
  ignore(client.send("general", "x", { id: "0f8fad5b-d9cb-469f-a165-70867728950e" }));
  await rejectsWith(client.send("general", "x", { id: "0f8fad5b-d9cb-469f-a165-70867728950e" }), "INVALID");
});

test("an error without a request is told", async () => {
  const world = new World();
  const client = await world.online();
  const errors = [];
  const off = client.on("error", (error) => errors.push(error.code));
  world.socket.say({ type: "error", payload: { code: "FORBIDDEN", message: "no" } });
  off();
  world.socket.say({ type: "error", payload: { code: "FORBIDDEN", message: "no" } });
  assert.deepEqual(errors, ["FORBIDDEN"]);
});

test("what is not understood is passed over", async () => {
  const world = new World();
  const client = await world.online();
  for (const frame of ["{broken", "null", "7", "[]", '{"type":"news"}', '{"type":"ack"}', '{"type":"typing"}', '{"type":"message","payload":null}']) world.socket.say(frame);
  assert.equal(client.state.name, "online");
});

// ---- The server's pace

test("frames keep to the server's pace", async () => {
  const world = new World();
  const client = await world.online();
  for (let n = 0; n < 200; n++) ignore(client.send("general", `${n}`));
  let acknowledged = 0;
  const answer = () => {
    for (; acknowledged < world.socket.sent.length; acknowledged++) {
      world.socket.ack(world.socket.sent[acknowledged], { channel: "general", seq: acknowledged, messageId: "m" });
    }
  };
  assert.equal(world.socket.sent.length, 16);
  for (let tenths = 1; world.socket.sent.length < 200; tenths++) {
    answer();
    await world.timers.pass(100);
    assert.ok(world.socket.sent.length <= 16 + 18 * tenths / 10, `${world.socket.sent.length} after ${tenths} tenths`);
    assert.ok(tenths < 120, "it takes no longer than it must");
  }
  assert.deepEqual(world.socket.sent.map((frame) => Number(frame.payload.text)), [...Array(200).keys()]);
});

test("no more than twenty requests are under way, so that a stalled link does not add up", async () => {
  const world = new World();
  const client = await world.online();
  for (let n = 0; n < 50; n++) ignore(client.send("general", `${n}`));
  await world.timers.pass(10_000);
  assert.equal(world.socket.sent.length, 20);
  for (const frame of world.socket.sent.slice(0, 5)) world.socket.ack(frame, { channel: "general", seq: 1, messageId: "m" });
  assert.equal(world.socket.sent.length, 25);
});

test("RATE_LIMITED: a pause, then everything without an answer again", async () => {
  const world = new World();
  const client = await world.online();
  const sending = ["1", "2", "3"].map((text) => client.send("general", text));
  const [one, two] = world.socket.sent;
  world.socket.ack(one, { channel: "general", seq: 1, messageId: "m1" });
  world.socket.say({ type: "error", payload: { code: "RATE_LIMITED", message: "slower" } });
  sending.push(client.send("general", "4"));
  world.socket.ack(two, { channel: "general", seq: 2, messageId: "m2" });
  await world.timers.pass(1999);
  assert.equal(world.socket.sent.length, 3);
  await world.timers.pass(1);
  const again = world.socket.sent.slice(3);
  assert.deepEqual(again.map((frame) => frame.payload.text), ["3", "4"]);
  assert.equal(again[0].id, world.socket.sent[2].id);
  again.forEach((frame, n) => world.socket.ack(frame, { channel: "general", seq: n + 3, messageId: "m" }));
  assert.deepEqual((await Promise.all(sending)).map((answer) => answer.seq), [1, 2, 3, 4]);
});

test("RATE_LIMITED halves the pace for as long as the connection lasts", async () => {
  const world = new World();
  const client = await world.online();
  for (let n = 0; n < 100; n++) ignore(client.send("general", `${n}`));
  assert.equal(world.socket.sent.length, 16);
  const answer = () => world.socket.sent.forEach((frame) => world.socket.ack(frame, { channel: "general", seq: 1, messageId: "m" }));
  world.socket.say({ type: "error", payload: { code: "RATE_LIMITED", message: "slower" } });
  await world.timers.pass(2000);
  assert.equal(world.socket.sent.length, 16 + 8);
  answer();
  await world.timers.pass(1000);
  assert.equal(world.socket.sent.length, 16 + 8 + 9);
  answer();
  await world.again();
  assert.equal(world.socket.sent.length, 16);
});

test("refusals that last are met with patience", async () => {
  const world = new World();
  const client = await world.online();
  ignore(client.send("general", "x"));
  for (const pause of [2000, 4000, 8000, 16000, 30000, 30000]) {
    world.socket.refuse(world.socket.sent.at(-1), "UNAVAILABLE");
    const count = world.socket.sent.filter((frame) => frame.type === "message").length;
    for (let rest = pause - 1; rest > 0; rest -= 10_000) {
      await world.timers.pass(Math.min(rest, 10_000));
      world.socket.say({ type: "pong" });
    }
    assert.equal(world.socket.of("message").length, count);
    await world.timers.pass(1);
    assert.equal(world.socket.of("message").length, count + 1);
  }
});

// ---- The persisted outbox

test("a persisted outbox is sent by the next client, under the same ids and in order", async () => {
  const world = new World();
  const client = await world.online({ persistOutbox: true });
  for (const text of ["1", "2", "3"]) ignore(client.send("general", text));
  const ids = world.socket.sent.map((frame) => frame.id);
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 1, messageId: "m1" });
  client.close();
  const later = world.client({ persistOutbox: true });
  const sent = [];
  later.on("sent", (message) => sent.push(message.text));
  const fourth = later.send("general", "4");
  await settle();
  world.socket.hello();
  assert.deepEqual(later.outbox.map((message) => message.text), ["2", "3", "4"]);
  assert.deepEqual(world.socket.sent.map((frame) => frame.id).slice(0, 2), ids.slice(1));
  world.socket.sent.forEach((frame, n) => world.socket.ack(frame, { channel: "general", seq: n + 2, messageId: "m" }));
  assert.equal((await fourth).seq, 4);
  assert.deepEqual(sent, ["2", "3", "4"]);
  assert.deepEqual([...world.storage.items.keys()], []);
});

test("only messages are persisted, only on request, and only for their author", async () => {
  const world = new World();
  const plain = await world.online();
  ignore(plain.send("general", "x"));
  assert.equal(world.storage.length, 0);
  plain.close();
  const client = await world.online({ persistOutbox: true });
  ignore(client.edit("general", 1, "x"));
  ignore(client.send("general", "mine"));
  assert.equal(world.storage.length, 1);
  client.close();
  await world.online({ persistOutbox: true }, { userId: "dev-bob" });
  assert.deepEqual(world.socket.sent, []);
});

test("what was said before the first greeting is persisted with it", async () => {
  const world = new World();
  const client = world.client({ persistOutbox: true });
  ignore(client.send("general", "early"));
  assert.equal(world.storage.length, 0);
  await settle();
  world.socket.hello();
  assert.equal(world.storage.length, 1);
  world.socket.refuse(world.socket.sent[0], "FORBIDDEN");
  assert.equal(world.storage.length, 0);
});

test("forgetting removes everything of this person", async () => {
  const world = new World();
  world.storage.setItem("deuced:dev-annabel:cursor:general", "1");
  world.storage.setItem("theirs", "1");
  const client = await world.online({ persistOutbox: true });
  ignore(client.send("general", "x"));
  client.subscribe("general");
  world.socket.ack(world.socket.of("subscribe")[0], { channel: "general", seq: 4, lastId: "e4" });
  assert.equal(world.storage.length, 4);
  client.close();
  client.forget();
  assert.deepEqual([...world.storage.items.keys()], ["deuced:dev-annabel:cursor:general", "theirs"]);
});

test("without any storage the client's own memory does", async () => {
  const world = new World();
  const client = await world.online({ storage: undefined, persistOutbox: true });
  client.subscribe("general");
  world.socket.ack(world.socket.sent[0], { channel: "general", seq: 4, lastId: "e4" });
  ignore(client.send("general", "x"));
  world.socket.ack(world.socket.of("message")[0], { channel: "general", seq: 5, messageId: "m5" });
  await world.again();
  assert.deepEqual(world.socket.sent[0].payload.since, { seq: 4, id: "e4" });
});

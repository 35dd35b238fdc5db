// What the client promises, told with people and their devices against the real server. Every story
// runs in Node and inside a page.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { inOrder, story as storyOn, texts, textsOf } from "./world.mjs";

export function tellStories(platform) {
  const story = (name, act, limits) => storyOn(platform, name, act, limits);

  // ---- Saying and hearing

  story("Ann says something, Bob and she hear it once", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    assert.equal((await ann.look()).userId, "dev-ann");
    const { answer } = await ann.call("ask", "send", "general", "Hello");
    assert.equal(answer.channel, "general");
    assert.equal(answer.seq, 1);
    for (const listener of [ann, bob]) {
      const [event] = await listener.hears("general", 1);
      const { id, timestamp, ...rest } = event;
      assert.equal(id, answer.messageId);
      assert.ok(Math.abs(timestamp - Date.now()) < 60_000);
      assert.deepEqual(rest, { type: "message", channel: "general", seq: 1, from: { id: "dev-ann", name: "Ann" }, text: "Hello" });
    }
    assert.deepEqual((await ann.look()).outbox, []);
  });

  for (const login of ["token", "jwt"]) {
    story(`a login by ${login} alone`, async ({ device }) => {
      const ann = await device("Ann", { login, channel: "general" });
      assert.equal((await ann.look()).userId, "dev-ann");
      await ann.call("say", "general", ["Hello"]);
      await ann.answered();
      await ann.hears("general", 1);
    });
  }

  story("a guest talks in a free room, and hears no group", async ({ device, group }) => {
    const ann = await device("Ann", { channel: "general" });
    const guest = await device(null, { channel: "general" });
    assert.equal((await guest.look()).userId, null);
    await guest.call("say", "general", ["Hello"]);
    await guest.answered();
    const [event] = await ann.hears("general", 1);
    assert.deepEqual(event.from, { id: null, name: "Guest", guest: true });
    const id = await group(ann);
    await assert.rejects(guest.subscribe(`group:${id}`), /UNAUTHORIZED|FORBIDDEN/);
  });

  story("a bad token is told as that, and ends it", async ({ device }) => {
    const nobody = await device(null, { options: { token: "a".repeat(43) } });
    const { state, states } = await nobody.until(({ state }) => state.name === "stopped");
    assert.equal(state.code, 1008);
    assert.equal(states.filter(({ name }) => name === "offline").length, 3, "after three attempts that told nothing");
  });

  story("a token that ends later ends it", async ({ device }) => {
    const ann = await device("Ann", { login: "token", channel: "general" });
    await ann.fetch("POST", "/api/auth/logout", undefined, { token: ann.token });
    const { state } = await ann.until(({ state }) => state.name === "stopped");
    assert.equal(state.code, 1008);
  });

  story("what the server refuses is refused, and the next goes on", async ({ device }) => {
    const ann = await device("Ann", { channel: "general" });
    await ann.call("say", "general", ["", "x".repeat(1001), "fine", "x".repeat(2_000_000)]);
    const { answers } = await ann.until(({ answers }) => answers.every((entry) => entry.answer || entry.code));
    assert.deepEqual(answers.map((entry) => entry.code), ["INVALID", "INVALID", undefined, "INVALID"]);
    assert.deepEqual((await ann.look()).outbox, []);
    await ann.hears("general", 1);
    await undisturbed(ann);
  });

  story("one's own messages are changed and deleted, others' are not", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    const { answer } = await ann.call("ask", "send", "general", "Helo");
    const { seq, messageId } = answer;
    assert.equal((await bob.call("ask", "edit", "general", seq, "Mine")).code, "FORBIDDEN");
    assert.equal((await bob.call("ask", "delete", "general", seq)).code, "FORBIDDEN");
    assert.deepEqual((await ann.call("ask", "edit", "general", seq, "Hello")).answer, { channel: "general", seq: 2, messageId });
    assert.deepEqual((await ann.call("ask", "delete", "general", seq)).answer, { channel: "general", seq: 3, messageId });
    assert.equal((await ann.call("ask", "edit", "general", 77, "x")).code, "NOT_FOUND");
    const [said, edited, deleted] = await bob.hears("general", 3);
    assert.equal(said.text, "Helo");
    assert.deepEqual([edited.type, edited.messageId, edited.messageSeq, edited.text], ["message_edited", messageId, seq, "Hello"]);
    assert.deepEqual([deleted.type, deleted.messageId, deleted.messageSeq], ["message_deleted", messageId, seq]);
  });

  story("typing is heard by the others, once a second", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    const begin = Date.now();
    for (let n = 0; n < 12; n++) {
      await ann.call("tell", "typing", "general");
      await pause(100);
    }
    const most = 1 + Math.floor((Date.now() - begin) / 1000);
    await bob.until(({ told }) => told.length > 0);
    await pause(1000);
    const { told } = await bob.look();
    assert.ok(told.length <= most, `${told.length} times`);
    assert.deepEqual(told[0], ["typing", "general", { id: "dev-ann", name: "Ann" }]);
    assert.deepEqual((await ann.look()).told, []);
    assert.deepEqual((await ann.look()).errors, []);
  });

  story("who is there is known, and does not flap", async ({ device }) => {
    const ann = await device("Ann");
    const ack = await ann.subscribe("general", { presence: true });
    assert.deepEqual(ack.members.map((member) => member.name), ["Ann"]);
    const bob = await device("Bob", { channel: "general" });
    const tablet = await device("Bob", { channel: "general" });
    await ann.until(({ told }) => told.some(([name]) => name === "joined"));
    assert.deepEqual(await ann.call("members", "general"), ["Ann", "Bob"]);
    bob.link.tear();
    await tablet.call("tell", "close");
    await pause(1000);
    bob.link.mend();
    await bob.until(({ states }) => states.filter((state) => state.name === "online").length === 2);
    await pause(6000);
    await bob.call("tell", "close");
    await ann.until(({ told }) => told.some(([name]) => name === "left"));
    const { told } = await ann.look();
    assert.deepEqual(told.map(([name, , who]) => `${name} ${who.name ?? who.length}`), ["members 1", "joined Bob", "left Bob"]);
    assert.deepEqual(await ann.call("members", "general"), ["Ann"]);
  });

  story("notifications reach all of Ann's devices, and what one has read the others know", async ({ device, group }) => {
    const [phone, tablet, bob] = [await device("Ann", { channel: "me" }), await device("Ann", { channel: "me" }), await device("Bob")];
    const id = await group(phone, bob);
    await bob.fetch("POST", "/api/deuces", { groupIds: [id], location: "Home", thoughts: "All well." });
    await bob.call("say", `group:${id}`, ["Hello @Ann"]);
    await bob.answered();
    const heard = await phone.hears("me", 3);
    assert.deepEqual(heard.map((event) => event.type), Array(3).fill("notification"));
    assert.deepEqual(heard.map((event) => event.notification.data.type), ["member_joined", "deuce_logged", "mention"]);
    assert.ok(heard.every((event) => event.notification.read === false && event.notification.id === event.seq));
    assert.deepEqual(await tablet.hears("me", 3), heard);
    assert.deepEqual((await phone.call("ask", "read", heard[1].seq)).answer, { count: 1 });
    const mark = (await tablet.hears("me", 4))[3];
    assert.deepEqual([mark.type, mark.notificationId], ["notification_read", heard[1].seq]);
    assert.deepEqual((await tablet.call("ask", "readAll")).answer, { count: 2 });
    const all = (await phone.hears("me", 5))[4];
    assert.deepEqual([all.type, all.all], ["notification_read", true]);
    assert.deepEqual((await phone.fetch("GET", "/api/notifications/unread-count")).body, { count: 0 });
    assert.equal((await phone.call("ask", "read", 12345)).code, "NOT_FOUND");
  });

  story("a group is heard until one is removed, and again when one is back", async ({ device, group }) => {
    const [ann, bob] = [await device("Ann"), await device("Bob")];
    const id = await group(ann, bob);
    const channel = `group:${id}`;
    await bob.subscribe(channel);
    await ann.call("say", channel, ["Hello"]);
    await bob.until(({ heard }) => heard[channel].some((event) => event.text === "Hello"));
    await ann.fetch("DELETE", `/api/groups/${id}/members/dev-bob`);
    const { heard, told } = await bob.until(({ told }) => told.some(([name]) => name === "ended"));
    assert.equal(inOrder(heard[channel]).at(-1).type, "member_left");
    assert.deepEqual(told.at(-1), ["ended", channel, "FORBIDDEN"]);
    await ann.call("say", channel, ["Without Bob"]);
    await ann.answered();
    assert.equal((await bob.look()).heard[channel].length, heard[channel].length);
    await assert.rejects(bob.subscribe(channel), /FORBIDDEN/);
  });

  story("a group that ends is heard to the end", async ({ device, group }) => {
    const [ann, bob] = [await device("Ann"), await device("Bob")];
    const id = await group(ann, bob);
    await bob.subscribe(`group:${id}`);
    await ann.fetch("DELETE", `/api/groups/${id}`);
    const { heard } = await bob.until(({ told }) => told.some(([name]) => name === "ended"));
    assert.equal(inOrder(heard[`group:${id}`]).at(-1).type, "group_deleted");
  });

  story("unsubscribed is unheard", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    await bob.call("unsubscribe", "general");
    await bob.subscribe("other");
    await ann.call("say", "general", ["Hello"]);
    await ann.answered();
    await ann.call("say", "other", ["Hello"]);
    await bob.hears("other", 1);
    await bob.hears("general", 0);
  });

  /** One connection all the time, and no complaints. */
  async function undisturbed(device) {
    const { errors, states } = await device.look();
    assert.deepEqual(errors, []);
    assert.deepEqual(states.map((state) => state.name).filter((name) => name !== "connecting"), ["online"]);
  }

  // ---- Servers that end

  /** Everything was heard once, in one order by all, and in its author's order. */
  async function nothingMissing(speakers, listeners, channel = "general") {
    const said = [];
    for (const speaker of speakers) said.push(...(await speaker.answered()).map((entry) => ({ ...entry, speaker })));
    let first;
    for (const listener of listeners) {
      const heard = await listener.hears(channel, said.length);
      first ??= heard;
      assert.deepEqual(heard, first, "all heard the same");
    }
    assert.deepEqual(first.map((event) => event.text).sort(), said.map((entry) => entry.text).sort());
    for (const { answer, text } of said) assert.equal(first[answer.seq - first[0].seq].text, text, "an answer names its message");
    for (const speaker of speakers) {
      const own = said.filter((entry) => entry.speaker === speaker).map((entry) => entry.answer.seq);
      assert.deepEqual(own, [...own].sort((a, b) => a - b), "in the order in which they were said");
    }
  }

  async function through({ device, server }, crash) {
    const [ann, bob, eve] = [
      await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" }), await device("Eve", { channel: "general" }),
    ];
    await ann.call("say", "general", texts("Ann", 120));
    await bob.call("say", "general", texts("Bob", 120));
    for (const count of [40, 100, 180]) {
      await eve.until(({ heard }) => heard.general.length >= count, `${count} events`);
      await crash(server);
      await server.start();
    }
    await nothingMissing([ann, bob], [ann, bob, eve]);
    return eve.look();
  }

  story("the server is killed in the middle of sending, three times", async (world) => {
    await through(world, (server) => server.kill());
  });

  story("the server is restarted in the middle of sending, three times", async (world) => {
    const { states } = await through(world, (server) => server.stop());
    const told = states.filter((state) => state.code === 1012);
    assert.ok(told.length > 0, "and says that it goes");
    for (const { reason, retryInMs } of told) assert.equal(reason, `retry in ${retryInMs} ms`);
  });

  story("a restored backup is another history, and said to be", async ({ device, server }) => {
    const ann = await device("Ann", { channel: "general" });
    await ann.call("say", "general", texts("Ann", 3));
    await ann.answered();
    await server.stop();
    server.backup();
    await server.start();
    await ann.call("say", "general", texts("lost", 3));
    await ann.answered();
    await ann.hears("general", 6);
    await server.stop();
    server.restore();
    await server.start();
    const { told } = await ann.until(({ told }) => told.length > 0);
    assert.equal(told[0][0], "reload");
    assert.equal(told[0][2].seq, 3);
    await ann.call("say", "general", ["after"]);
    await ann.until(({ heard }) => heard.general.length === 7);
    const { heard } = await ann.look();
    assert.deepEqual([heard.general[6].seq, heard.general[6].text], [4, "after"]);
  });

  story("what was trimmed cannot be told, and is said so", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    await ann.call("say", "general", ["before"]);
    await bob.hears("general", 1);
    bob.link.tear();
    await bob.until(({ state }) => state.name !== "online");
    for (let n = 0; n < 300; n++) {
      const { status } = await ann.fetch("POST", "/api/rooms/general/messages", { text: `${n}` });
      assert.ok(status < 300, `status ${status}`);
    }
    bob.link.mend();
    const { told } = await bob.until(({ told }) => told.length > 0);
    assert.deepEqual([told[0][0], told[0][2].seq], ["reload", 301]);
    await ann.call("say", "general", ["after"]);
    const { heard } = await bob.until(({ heard }) => heard.general.length === 2);
    assert.deepEqual(heard.general.map((event) => event.text), ["before", "after"]);
    assert.equal((await bob.look()).told.length, 1);
  }, { events_per_room: 100 });

  // ---- Networks that fail

  story("the network is cut in the middle of sending, again and again", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    await ann.call("say", "general", texts("Ann", 100));
    for (const count of [10, 30, 60, 80]) {
      await bob.until(({ heard }) => heard.general.length >= count, `${count} events`);
      ann.link.cut();
      bob.link.cut();
    }
    await nothingMissing([ann], [ann, bob]);
    assert.ok(ann.link.count >= 4);
  });

  story("a message whose answer is lost is sent again, and is one message", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    ann.link.stall({ down: true });
    await ann.call("say", "general", texts("Ann", 10));
    await bob.hears("general", 10);
    assert.equal((await ann.look()).outbox.length, 10);
    ann.link.cut();
    ann.link.mend();
    await nothingMissing([ann], [ann, bob]);
  });

  story("a network that swallows everything is noticed, and left", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    const begin = Date.now();
    ann.link.stall();
    await ann.call("say", "general", texts("Ann", 5));
    await bob.call("say", "general", texts("Bob", 5));
    const { states } = await ann.until(({ states }) => states.some((state) => state.name === "offline"));
    const lost = states.find((state) => state.name === "offline");
    assert.equal(lost.reason, "silent");
    assert.ok(lost.at - begin < 8000, `after ${lost.at - begin} ms`);
    ann.link.cut();
    ann.link.mend();
    await nothingMissing([ann, bob], [ann, bob]);
  }, { ping_every_seconds: 2 });

  story("a calm connection is not taken for a dead one", async ({ device }) => {
    const ann = await device("Ann", { channel: "general" });
    await pause(5000);
    await undisturbed(ann);
  }, { ping_every_seconds: 1 });

  story("a stalled network that goes on is not overrun", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    ann.link.stall({ up: true });
    await ann.call("say", "general", texts("Ann", 60));
    await pause(4000);
    ann.link.mend();
    await nothingMissing([ann], [ann, bob]);
    await undisturbed(ann);
  });

  story("a slow link is slow, and nothing else", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    for (const { link } of [ann, bob]) Object.assign(link, { delay: 400, rate: 4000 });
    await ann.call("say", "general", texts("Ann".repeat(20), 60));
    await nothingMissing([ann], [ann, bob]);
    for (const one of [ann, bob]) await undisturbed(one);
  }, { ping_every_seconds: 5 });

  story("sending fast keeps to the server's pace", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    await ann.call("say", "general", texts("Ann", 150));
    await nothingMissing([ann], [ann, bob]);
    await undisturbed(ann);
  });

  story("a stricter server slows it down, and loses nothing", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    await ann.call("say", "general", texts("Ann", 40));
    await ann.answered();
    await bob.hears("general", 40);
    const { heard } = await bob.look();
    assert.deepEqual(textsOf(heard.general).sort(), texts("Ann", 40).sort());
  }, { commands_per_second: 5, commands_burst: 10 });

  story("thirty channels at once, over a new connection", async ({ device }) => {
    const [ann, bob] = [await device("Ann"), await device("Bob")];
    const channels = Array.from({ length: 30 }, (_, n) => `room-${n}`);
    for (const channel of channels) await bob.subscribe(channel);
    bob.link.cut();
    for (const channel of channels) await ann.call("say", channel, [channel]);
    await ann.answered();
    for (const channel of channels) assert.equal((await bob.hears(channel, 1))[0].text, channel);
    assert.deepEqual((await bob.look()).errors, []);
  });

  story("back at once when there is reason to hope", async ({ device }) => {
    const ann = await device("Ann", { channel: "general" });
    ann.link.tear();
    await ann.until(({ states }) => states.filter((state) => state.name === "offline").length >= 3);
    ann.link.mend();
    const { state } = await ann.until(({ state }) => state.name === "offline");
    assert.ok(state.retryInMs >= 3000 * 0.999, `${state.retryInMs} ms`);
    const begin = Date.now();
    await ann.call("tell", "wake");
    await ann.online();
    assert.ok(Date.now() - begin < 2500);
  });

  story("a connection that died during the sleep is replaced within moments", async ({ device }) => {
    const [ann, bob] = [await device("Ann", { channel: "general" }), await device("Bob", { channel: "general" })];
    ann.link.stall();
    await bob.call("say", "general", texts("Bob", 5));
    await bob.answered();
    const begin = Date.now();
    await ann.call("tell", "wake");
    await ann.until(({ states }) => states.some((state) => state.name === "offline"));
    const noticed = Date.now() - begin;
    assert.ok(noticed > 2900 && noticed < 8000, `noticed after ${noticed} ms`);
    ann.link.cut();
    ann.link.mend();
    await nothingMissing([bob], [ann, bob]);
  });

  // ---- Pages that are loaded again

  story("a page that is loaded again goes on where it was", async ({ device }) => {
    const [ann, bob] = [await device("Ann"), await device("Bob")];
    await ann.subscribe("general", {});
    await bob.call("say", "general", texts("first", 3));
    await ann.hears("general", 3);
    await ann.reload(async () => {
      await bob.call("say", "general", texts("second", 3));
      await bob.answered();
    });
    const ack = await ann.subscribe("general", {});
    assert.deepEqual([ack.recovered, ack.replay], [true, 3]);
    assert.deepEqual((await ann.hears("general", 3)).map((event) => event.text), texts("second", 3));
  });

  story("what waits in the outbox survives the page", async ({ device }) => {
    const ann = await device("Ann", { options: { persistOutbox: true } });
    const bob = await device("Bob", { channel: "general" });
    await ann.online();
    ann.link.stall();
    await ann.call("say", "general", texts("Ann", 5));
    ann.link.mend();
    ann.link.stall({ down: true });
    await bob.hears("general", 5);
    ann.link.tear();
    await ann.call("say", "general", ["Ann 5"]);
    await ann.reload(async () => ann.link.mend());
    const { outbox } = await ann.until(({ outbox, states }) => states.length > 0 && outbox.length === 0, "an empty outbox");
    assert.deepEqual(outbox, []);
    const heard = await bob.hears("general", 6);
    assert.deepEqual(heard.map((event) => event.text), texts("Ann", 6));
  });

  // ---- All of it

  story("a torn world: everybody hears everything, once and in order", async ({ device, server }) => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    const random = numbers(seed);
    const people = [];
    for (const name of ["Ann", "Bob", "Eve", "Dan"]) people.push(await device(name, { channel: "general" }));
    for (const one of people) await one.call("say", "general", texts(await one.call("look").then((look) => look.userId), 80));
    try {
      for (let turn = 0; turn < 25; turn++) {
        const { link } = people[Math.floor(random() * people.length)];
        const deed = Math.floor(random() * 9);
        if (deed < 3) link.cut();
        else if (deed < 5) link.stall({ up: random() < 0.5, down: random() < 0.5 });
        else if (deed < 6) Object.assign(link, { delay: random() * 300, rate: 2000 + random() * 20_000 });
        else if (deed < 7) link.tear();
        else if (deed < 8) await server.kill().then(() => server.start());
        else await server.stop().then(() => server.start());
        await pause(random() * 600);
        if (random() < 0.7) link.mend();
      }
      for (const { link } of people) link.mend();
      await nothingMissing(people, people);
    } catch (error) {
      error.message += `\nSEED=${seed}`;
      throw error;
    }
  }, { ping_every_seconds: 2 });
}

/** Numbers that look random and are the same for the same seed. */
function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// Compiled, never run: the type declarations say what the stories do.

import { connect, DeucedError } from "../../web/deuced.js";
import type { ChannelEvent, Client, ClientStorage, Cursor, Person, State, Subscription } from "../../web/deuced.js";

const client: Client = connect();
connect({ url: "/ws", token: async () => "abc", persistOutbox: true, storage: localStorage });
connect({ url: new URL("ws://home.test/ws"), token: null, WebSocket, window, document, timers: { now: () => Date.now() } });
const memory: ClientStorage = sessionStorage;

const off: () => void = client.on("state", (state: State) => {
  if (state.name === "offline") console.log(state.retryInMs.toFixed(), state.code);
  if (state.name === "stopped") console.log(state.reason);
  // @ts-expect-error only an offline client has a delay
  console.log(state.retryInMs);
});
client.on("refused", ({ text, error }) => console.log(text, error.code === "INVALID"));
// @ts-expect-error there is no such thing to tell
client.on("weather", () => {});

const subscription: Subscription = client.subscribe("general", {
  event(event) {
    if (event.type === "message") console.log(event.text, event.edited, event.from.name);
    if (event.type === "message_edited") console.log(event.messageSeq);
    if (event.type === "notification") console.log(event.notification.id, event.notification.read);
    // @ts-expect-error not every event has a text
    console.log(event.text);
  },
  reload: (head: Cursor) => console.log(head.seq),
  members: (members: Person[]) => console.log(members.length),
  ended: (error: DeucedError) => console.log(error.code),
}, { presence: true, since: { seq: 0 } });
client.subscribe("me", (event: ChannelEvent) => console.log(event.seq));
// @ts-expect-error a cursor is a number and an id
client.subscribe("me", {}, { since: 7 });

async function ask(): Promise<void> {
  const { seq, recovered } = await subscription.ready;
  const { messageId } = await client.send("general", "Hello", { id: "0f8fad5b-d9cb-469f-a165-70867728950e" });
  await client.edit("general", seq, "Hello!");
  const { count } = await client.read(1);
  console.log(messageId, recovered, count, memory.length, client.outbox[0]?.text);
  client.typing("general");
  subscription.unsubscribe();
  off();
  client.close();
}
void ask;

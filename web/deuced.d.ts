// Types of `deuced.js`. What travels on the wire is described in docs/native.md.

/** Opens a client and begins to connect. It comes back by itself until it is closed or stopped. */
export function connect(options?: Options): Client;

/** What went wrong. */
export class DeucedError extends Error {
  constructor(code: ErrorCode, message?: string);
  readonly name: "DeucedError";
  readonly code: ErrorCode;
}

/**
 * Why something was refused. The server's codes, and three of the client's own:
 * `STOPPED`: the client has ended; `UNSUBSCRIBED`: unsubscribed before the server answered;
 * `OUTBOX_FULL`: too much is waiting for an answer.
 */
export type ErrorCode =
  | "INVALID"
  | "UNAUTHORIZED"
  | "INVALID_TOKEN"
  | "FORBIDDEN"
  | "NOT_FOUND"
  | "RATE_LIMITED"
  | "LIMIT"
  | "UNAVAILABLE"
  | "INTERNAL"
  | "STOPPED"
  | "UNSUBSCRIBED"
  | "OUTBOX_FULL";

/** How to connect. A page needs none of these. */
export interface Options {
  /** The server's socket, absolute or relative to the page, as `ws(s):` or `http(s):`. Default: `/ws` of the page's own server. */
  url?: string | URL;
  /**
   * The login, for whoever has no cookie: a token from `POST /api/login`, or a function that is asked for
   * one before each attempt. When it throws, the attempt counts as failed.
   */
  token?: Token | (() => Token | Promise<Token>);
  /**
   * Where cursors, and with `persistOutbox` messages, are remembered. Default: `localStorage` where there is
   * one, else the client's own memory. Tabs that share a storage share their cursors.
   */
  storage?: ClientStorage;
  /** What keys in the storage begin with, before the person's id. Default: `"deuced:"`. */
  prefix?: string;
  /**
   * Whether messages that wait for their answer are kept in the storage and sent by the next client, say after
   * the page was loaded again. They are kept from the first greeting of the server on. Default: false.
   */
  persistOutbox?: boolean;
  /** How many requests may wait for their answers. Default: 1000. */
  outboxLimit?: number;

  /** Default: the global one. Node before version 22 has none; the package `ws` has one that fits. */
  WebSocket?: WebSocketConstructor;
  /** What tells `online`. Default: the page's window; null: nothing. */
  window?: Pick<EventTarget, "addEventListener" | "removeEventListener"> | null;
  /** What tells `visibilitychange`. Default: the page's document; null: nothing. */
  document?: (Pick<EventTarget, "addEventListener" | "removeEventListener"> & { readonly visibilityState: string }) | null;
  /** Timers and a clock in milliseconds that never goes back. Default: the global ones, and `performance.now`. */
  timers?: Partial<Timers>;
  /** Numbers from 0 up to 1, for the jitter of the delays. Default: `Math.random`. */
  random?: () => number;
}

/** `null` and the like: connect without one, by cookie or as a guest. */
export type Token = string | null | undefined;

/** What is needed of a `Storage`. */
export type ClientStorage = Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">;

export interface Timers {
  setTimeout(action: () => void, milliseconds: number): unknown;
  clearTimeout(timer: any): void;
  now(): number;
}

/** What is needed of a `WebSocket`. */
export interface WebSocketLike {
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** One person's connection to the server. */
export interface Client {
  /** What the connection is doing. */
  readonly state: State;
  /** Who one is: null for a guest, undefined before the first greeting. */
  readonly userId: string | null | undefined;
  /** The messages that have no answer yet, oldest first. */
  readonly outbox: readonly Message[];

  /** Tells of changes until the function it returns is called, or the client has stopped. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (value: ClientEvents[Name]) => void): () => void;

  /**
   * Listens to a channel: a room (`general`), a group (`group:<id>`) or one's inbox (`me`). It goes on behind
   * `options.since`, else behind the cursor in the storage, else from now. Every event is told once and in
   * order, over any number of connections. The cursor moves when the listener has returned, so that what it
   * was busy with when the page went away is told again.
   *
   * @throws DeucedError `INVALID` if this client listens to the channel already, `STOPPED` if it has ended.
   */
  subscribe(channel: string, handlers?: Handlers | ((event: ChannelEvent) => void), options?: SubscribeOptions): Subscription;

  /**
   * Says something; resolves when it is on the server's disk. Until then it is sent again on every new
   * connection, under the same id, so that it arrives once. Messages arrive in the order in which they were
   * said, unless the server refuses one for the moment. Rejects when the server refuses it for good.
   *
   * @param options.id a UUID of one's own, to know the message again; by default one is made.
   */
  send(channel: string, text: string, options?: { id?: string }): Promise<Sent>;

  /** Changes one's own message. Like all requests here, it is asked again until there is an answer. */
  edit(channel: string, seq: number, text: string): Promise<Changed>;

  /** Deletes one's own message. The answer has only the channel if an earlier answer got lost. */
  delete(channel: string, seq: number): Promise<Pick<Changed, "channel"> & Partial<Changed>>;

  /** Tells the others in the channel that one is typing: at most once a second, and not when offline. May be called at every key. */
  typing(channel: string): void;

  /** Marks a notification as read, by its `id`, which is its `seq` in the channel `me`. */
  read(seq: number): Promise<Read>;

  /** Marks all notifications as read that there are when the server hears this. */
  readAll(): Promise<Read>;

  /** Connects at once when offline; when online, makes sure within three seconds that it is so. Pages need not call it. */
  wake(): void;

  /** Ends the client. What waits in its outbox is rejected; what was persisted is sent by the next client. */
  close(): void;

  /** Removes this person's cursors and messages from the storage, for a logout. */
  forget(): void;
}

/** A client is `connecting`, `online` or `offline` in turn; `stopped` is the end. */
export type State =
  | { name: "connecting" }
  | { name: "online"; userId: string | null }
  /** The next attempt follows in `retryInMs`; sooner when the device comes online or the page becomes visible. */
  | { name: "offline"; code: number; reason: string; retryInMs: number }
  /**
   * There will be no further attempt: the client was closed (1000), or coming back would not help: 1008 says that
   * the login has ended (or is another person's now, "another login").
   */
  | { name: "stopped"; code: number; reason: string };

export interface ClientEvents {
  state: State;
  /** A message has arrived, also one that an earlier page left. */
  sent: Sent & { id: string; text: string };
  /** A message was refused for good. */
  refused: Message & { error: DeucedError };
  /** The server complains about something that was no request. */
  error: DeucedError;
}

export interface Message {
  id: string;
  channel: string;
  text: string;
}

export interface Sent {
  channel: string;
  seq: number;
  /** The `id` of the event that everybody hears. */
  messageId: string;
}

export interface Changed {
  channel: string;
  /** Of the event that tells the change. */
  seq: number;
  messageId: string;
}

export interface Read {
  /** How many were unread. */
  count: number;
}

export interface SubscribeOptions {
  /** Where to go on, whatever the storage says, e.g. behind the history that was loaded. `{seq: 0}`: from the beginning. */
  since?: Cursor;
  /** Whether to be told who is there. Default: false. */
  presence?: boolean;
  /** Whether the cursor goes into the storage. Default: true. */
  store?: boolean;
}

/** The place of an event in its channel. */
export interface Cursor {
  seq: number;
  id?: string;
}

/** What one is told of a channel. What a handler throws is reported and changes nothing. */
export interface Handlers {
  /** The next event. Kinds that are not in `ChannelEvent` may come with later servers. */
  event?(event: ChannelEvent): void;
  /**
   * What was missed cannot be told. Load everything anew over HTTP; events go on behind `head`, and those that
   * the answer already has are known by their `seq`.
   */
  reload?(head: Cursor): void;
  /** Somebody is typing. */
  typing?(from: Person): void;
  /** Who is there, with every connection anew, and after having been behind. With `presence` only, like the next two. */
  members?(members: Person[]): void;
  joined?(member: Person): void;
  left?(member: Person): void;
  /** The server refuses the subscription, or has ended it: one is no member (`FORBIDDEN`), or there are too many (`LIMIT`). */
  ended?(error: DeucedError): void;
}

/** Listening to one channel. */
export interface Subscription {
  readonly channel: string;
  /** The last event heard; null until the first answer, if nothing was remembered. */
  readonly cursor: Cursor | null;
  /** Whether events arrive right now. */
  readonly live: boolean;
  /** Who is there, if `presence` was asked for. */
  readonly members: Person[];
  /** The server's first answer. Rejects when there is none to come. */
  readonly ready: Promise<Subscribed>;
  /** Stops listening. The cursor stays in the storage, for the next time. */
  unsubscribe(): void;
}

export interface Subscribed {
  channel: string;
  /** The channel's newest event. */
  seq: number;
  lastId: string | null;
  /** With a cursor only: whether everything since then follows. */
  recovered?: boolean;
  /** How many events that is. */
  replay?: number;
  members?: Person[];
}

/** A guest has a name only. */
export type Person = { id: string; name: string } | { id: null; name: string; guest: true };

interface EventOf<Type extends string> {
  type: Type;
  /** Names the event; the same for everybody. */
  id: string;
  /** In milliseconds since 1970. */
  timestamp: number;
  channel: string;
  /** Its number in the channel: from 1, without gaps. */
  seq: number;
  /** Who caused it. */
  from: Person;
}

export type ChannelEvent =
  | (EventOf<"message"> & { text: string; edited?: true })
  | (EventOf<"message_edited"> & { messageId: string; messageSeq: number; text: string })
  | (EventOf<"message_deleted"> & { messageId: string; messageSeq: number })
  | (EventOf<"deuce_logged"> & { entry: Record<string, unknown> })
  | (EventOf<"deuce_deleted"> & { entryId: string })
  | (EventOf<"reaction_added" | "reaction_removed"> & { entryId: string; emoji: string })
  | (EventOf<"member_joined" | "member_left"> & { user: { id: string; name: string } })
  | (EventOf<"role_changed"> & { user: { id: string; name: string }; role: "admin" | "member" })
  | (EventOf<"group_changed"> & { group: { id: string; name: string; description: string | null } })
  | EventOf<"group_deleted">
  | (Omit<EventOf<"notification">, "from"> & { from?: Person | null; notification: Notification })
  | (Omit<EventOf<"notification_read">, "from"> & { from?: Person | null; notificationId?: number; all?: true });

export interface Notification {
  /** The same as the event's `seq`. */
  id: number;
  /** Whose it is, by number. */
  userId: number;
  data: Record<string, unknown>;
  /** ISO 8601, UTC. */
  createdAt: string;
  read: boolean;
}

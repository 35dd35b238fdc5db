// A device of a person, as the stories use it: a client, and a record of everything it was told. It
// runs in Node and inside a page alike; the stories see it through `call` and `look`.

export class Device {
  #connect;
  #subscriptions = {};
  client = null;
  heard = {}; // Events by channel.
  told = []; // Everything else that a channel tells, as [name, channel, value].
  states = [];
  errors = [];
  answers = []; // Of `say`, in its order: {text, answer} or {text, code}.

  constructor(connect) {
    this.#connect = connect;
  }

  open(options) {
    this.client = this.#connect(options);
    this.client.on("state", (state) => this.states.push({ ...state, at: Date.now() }));
    this.client.on("error", (error) => this.errors.push(error.code));
  }

  async subscribe(channel, options) {
    this.heard[channel] ??= [];
    const told = (name) => (value) => this.told.push([name, channel, value]);
    const subscription = this.client.subscribe(channel, {
      event: (event) => this.heard[channel].push(event),
      reload: told("reload"),
      typing: told("typing"),
      members: told("members"),
      joined: told("joined"),
      left: told("left"),
      ended: (error) => this.told.push(["ended", channel, error.code]),
    }, options);
    this.#subscriptions[channel] = subscription;
    return subscription.ready.catch((error) => {
      throw new Error(error.code); // All of an error that leaves a page.
    });
  }

  unsubscribe(channel) {
    this.#subscriptions[channel].unsubscribe();
  }

  members(channel) {
    return this.#subscriptions[channel].members.map((member) => member.name).sort();
  }

  /** Says several things without waiting for the answers, which are in `answers` later. */
  say(channel, texts) {
    for (const text of texts) {
      const entry = { text };
      this.answers.push(entry);
      this.client.send(channel, text).then(
        (answer) => (entry.answer = answer),
        (error) => (entry.code = error.code),
      );
    }
  }

  /** Asks the client something; what is refused is told as its code. */
  async ask(method, ...words) {
    try {
      return { answer: await this.client[method](...words) };
    } catch (error) {
      return { code: error.code ?? String(error) };
    }
  }

  /** Calls the client where nothing is answered. */
  tell(method, ...words) {
    this.client[method](...words);
  }

  look() {
    const { heard, told, states, errors, answers } = this;
    const { state, userId, outbox } = this.client;
    return { heard, told, states, errors, answers, state, userId, outbox };
  }
}

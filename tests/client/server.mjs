// The real server, on a fresh data directory and a port that it keeps over restarts.

import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const BINARY = process.env.DEUCED_BIN ?? new URL("../../target/release/deuced", import.meta.url).pathname;

// Servers end with the tests, also when these are ended.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

export class Server {
  #words;
  #root = mkdtempSync(join(tmpdir(), "deuced-client-"));
  #child = null;
  #said = "";
  #orphanage = () => this.#child?.kill("SIGKILL");
  port = 0;

  /**
   * @param limits other values for the server's limits
   * @param open whether a name alone logs in
   */
  constructor(limits = {}, { open = true } = {}) {
    this.#words = [...(open ? ["--open"] : []), ...Object.entries(limits).map(([name, value]) => `--limit=${name}=${value}`)];
    process.on("exit", this.#orphanage);
  }

  get data() {
    return join(this.#root, "data");
  }

  async start() {
    const address = join(this.data, "address");
    rmSync(address, { force: true });
    const words = ["serve", "--listen", `127.0.0.1:${this.port}`, "--data", this.data, ...this.#words];
    const child = spawn(BINARY, words, { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    child.on("error", (error) => (this.#said += `${error}\n`));
    child.stderr.on("data", (text) => (this.#said += text));
    for (const end = Date.now() + 20_000; Date.now() < end; await pause(5)) {
      const text = readIfThere(address);
      if (text?.endsWith("\n")) {
        this.port = Number(text.trim().split(":").at(-1));
        return this;
      }
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) break;
    }
    throw new Error(`the server did not start:\n${this.#said}`);
  }

  /** Ends it as the power does. */
  kill() {
    return this.#end("SIGKILL");
  }

  /** Ends it as an operator does. */
  async stop() {
    const code = await this.#end("SIGTERM");
    if (code !== 0) throw new Error(`the server did not stop cleanly (${code}):\n${this.#said}`);
  }

  async #end(signal) {
    const child = this.#child;
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, "exit");
    }
    return child.exitCode;
  }

  /** Puts the data of a stopped server aside, and back. */
  backup() {
    cpSync(this.data, join(this.#root, "backup"), { recursive: true });
  }

  restore() {
    rmSync(this.data, { recursive: true });
    cpSync(join(this.#root, "backup"), this.data, { recursive: true });
  }

  /** Ends and removes everything; a server that complained of itself has failed. */
  async remove() {
    await this.kill();
    process.off("exit", this.#orphanage);
    rmSync(this.#root, { recursive: true, force: true });
    if (/panic/i.test(this.#said)) throw new Error(`the server panicked:\n${this.#said}`);
  }
}

function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

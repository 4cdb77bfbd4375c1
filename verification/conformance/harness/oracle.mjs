// What each independent client for Node needs beside itself; the twin of oracle.py.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const WAIT_MS = 20_000;

/** The sandbox's manifest and its control API: what the payer does. */
export class Sandbox {
  constructor(path) {
    this.manifest = JSON.parse(readFileSync(path, 'utf8'));
  }

  /** POST to the control API. */
  async do(path, content = {}) {
    const answer = await fetch(`${this.manifest.control_url}/${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(content),
      signal: AbortSignal.timeout(WAIT_MS),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** The refunds of an order that moved money, in fen, as the sandbox's own ledger says. */
  async refunded(reference) {
    const url = `${this.manifest.control_url}/ledger`;
    const moves = await (await fetch(url, { signal: AbortSignal.timeout(WAIT_MS) })).json();
    const own = moves.filter((move) => move.reference === reference && move.kind === 'refund');
    return own.map((move) => move.amount);
  }
}

/** A merchant's endpoint on a free port: keeps what comes, answers as the provider wants. */
export class Receiver {
  #messages = [];
  #arrived = () => {};

  async listen(status, body) {
    this.server = createServer((request, response) => {
      const parts = [];
      request.on('data', (part) => parts.push(part));
      request.on('end', () => {
        this.#messages.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
        response.writeHead(status).end(body);
        this.#arrived();
      });
    });
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}/notify`;
    return this;
  }

  /** The next message that is about this; others are dropped. */
  async next(about = () => true) {
    const end = Date.now() + WAIT_MS;
    for (;;) {
      while (this.#messages.length > 0) {
        const message = this.#messages.shift();
        if (await about(message)) return message;
      }
      const left = end - Date.now();
      if (left <= 0) throw new Error('no such message came');
      let timer;
      await new Promise((resolve) => {
        this.#arrived = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** The fields of a form, decoded as the page of a merchant would. */
export function form(message) {
  return Object.fromEntries(new URLSearchParams(message.body));
}

/** One line of the table: passes where the block ends without an exception. */
export async function check(name, block) {
  let result = { name, passed: true, detail: '' };
  try {
    await block();
  } catch (error) {
    result = { name, passed: false, detail: String(error).slice(0, 600) };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** Throw unless both are equal. */
export function same(found, wanted) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${left} instead of ${right}`);
}

/** Throw unless the fact is true. */
export function holds(fact, otherwise = '') {
  if (!fact) throw new Error(`does not hold: ${JSON.stringify(otherwise)}`);
}

/** Throw unless the action throws; returns what it threw. */
export async function fails(action) {
  let result;
  try {
    result = await action();
  } catch (error) {
    return error;
  }
  throw new Error(`${JSON.stringify(result)} instead of an error`);
}

/** An order or refund number of our own form. */
export function newReference() {
  return randomUUID().replaceAll('-', '');
}

// A proxy between the browser and everything (SOCKS 5, RFC 1928), which remembers where the browser
// wanted to go, and can be told to cut, stall, delay and slow down.

import net from 'node:net';

const VERSION = 5;
const CONNECT = 1;

export class Proxy {
  /** Where the browser wanted to go, as `host:port`. */
  wanted = [];
  /** Whether connections are taken at all. */
  isOpen = true;
  /** Whether bytes to the browser are held back, with the connection left as it is. */
  isStalled = false;
  /** Bytes to the browser in a second; null for as many as there are. */
  bytesPerSecond = null;
  delayMs = 0;
  #pairs = new Set();
  #server;

  static async open() {
    const proxy = new Proxy();
    await new Promise((resolve) => { proxy.#server.listen(0, '127.0.0.1', resolve); });
    return proxy;
  }

  constructor() {
    this.#server = net.createServer((client) => this.#take(client));
  }

  get address() {
    return `socks5://127.0.0.1:${this.#server.address().port}`;
  }

  /** Ends all connections at once, as a cable that is pulled does with a reset. */
  cut() {
    for (const { client, target } of this.#pairs) {
      client.resetAndDestroy();
      target?.destroy();
    }
  }

  /** Ends what comes to the browser in order, and leaves the other direction. */
  halfClose() {
    for (const { client } of this.#pairs) client.end();
  }

  /** Lets go of what was held back. */
  flow() {
    this.isStalled = false;
    for (const pair of this.#pairs) pair.pump();
  }

  get connections() {
    return this.#pairs.size;
  }

  async close() {
    this.cut();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }

  #take(client) {
    client.on('error', () => {});
    if (!this.isOpen) {
      client.resetAndDestroy();
      return;
    }
    let head = Buffer.alloc(0);
    let isGreeted = false;
    const read = (piece) => {
      head = Buffer.concat([head, piece]);
      if (!isGreeted) {
        if (head.length < 2 || head.length < 2 + head[1]) return;
        head = head.subarray(2 + head[1]);
        client.write(Buffer.from([VERSION, 0]));
        isGreeted = true;
      }
      const told = addressOf(head);
      if (!told) return;
      client.off('data', read);
      this.#connect(client, told);
    };
    client.on('data', read);
  }

  #connect(client, { host, port, rest }) {
    this.wanted.push(`${host}:${port}`);
    const isOurs = host === '127.0.0.1';
    if (!isOurs) {
      // Not allowed by the rules. Nothing leaves this machine.
      client.end(Buffer.from([VERSION, 2, 0, 1, 0, 0, 0, 0, 0, 0]));
      return;
    }
    const target = net.connect(port, host);
    const pair = new Pair(this, client, target);
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      target.destroy();
    };
    target.on('error', () => {
      if (target.connecting) client.end(Buffer.from([VERSION, 5, 0, 1, 0, 0, 0, 0, 0, 0]));
      else end();
    });
    client.on('error', end);
    client.on('close', end);
    target.on('connect', () => {
      client.write(Buffer.from([VERSION, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
      if (rest.length > 0) target.write(rest);
      client.on('data', (piece) => target.write(piece));
    });
  }
}

/** One connection. What comes for the browser waits in a queue, so that it can be slowed down. */
class Pair {
  #proxy;
  #queue = [];
  #isPumping = false;
  #hasEnded = false;

  constructor(proxy, client, target) {
    this.#proxy = proxy;
    this.client = client;
    this.target = target;
    target.on('data', (piece) => {
      this.#queue.push(piece);
      this.pump();
    });
    target.on('end', () => {
      this.#hasEnded = true;
      this.pump();
    });
  }

  async pump() {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#queue.length > 0 && !this.#proxy.isStalled && !this.client.destroyed) {
      const { bytesPerSecond, delayMs } = this.#proxy;
      let piece = this.#queue.shift();
      if (bytesPerSecond && piece.length > bytesPerSecond / 20) {
        const most = Math.max(1, Math.floor(bytesPerSecond / 20));
        this.#queue.unshift(piece.subarray(most));
        piece = piece.subarray(0, most);
      }
      const wait = delayMs + (bytesPerSecond ? (piece.length / bytesPerSecond) * 1000 : 0);
      if (wait > 0) await new Promise((resolve) => { setTimeout(resolve, wait); });
      if (!this.client.destroyed) this.client.write(piece);
    }
    this.#isPumping = false;
    if (this.#hasEnded && this.#queue.length === 0) this.client.end();
  }
}

/** Reads a request to connect, or returns null where the rest of it is to come. */
function addressOf(head) {
  if (head.length < 5) return null;
  const [version, command, , kind] = head;
  if (version !== VERSION || command !== CONNECT) throw new Error('not a request to connect');
  const length = { 1: 4, 3: 1 + head[4], 4: 16 }[kind];
  if (head.length < 4 + length + 2) return null;
  const own = head.subarray(4, 4 + length);
  const host = kind === 1 ? [...own].join('.') : kind === 3 ? own.subarray(1).toString() : `[${own.toString('hex')}]`;
  return { host, port: head.readUInt16BE(4 + length), rest: head.subarray(4 + length + 2) };
}

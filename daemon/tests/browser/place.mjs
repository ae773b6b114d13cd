// A home with a daemon, and what a test asks of it. Every process is ended by its own number.

import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** How long anything that must happen is waited for, in milliseconds. The machine may be busy. */
export const PATIENCE_MS = Number(process.env.CANDOR_BROWSER_PATIENCE_MS ?? 120_000);

export const FAKE_AGENT = process.env.CANDOR_BROWSER_FAKE_AGENT;
const CANDOR = process.env.CANDOR_BROWSER_CANDOR;
/** Variables by which a session knows the daemon that it is of: these must be of no other one. */
const INHERITED = /^CANDOR_/;

export class Place {
  #child = null;

  static async open() {
    const home = await mkdtemp(path.join(tmpdir(), 'candor-browser-'));
    const place = new Place(home);
    // The scripted agent speaks as Claude Code does where that is its name.
    await symlink(FAKE_AGENT, place.claude);
    await place.start();
    return place;
  }

  constructor(home) {
    this.home = home;
    this.environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !INHERITED.test(name)));
    this.environment.CANDOR_HOME = home;
  }

  get claude() {
    return path.join(this.home, 'claude');
  }

  /** Starts the daemon, and waits until it answers. */
  async start() {
    const child = spawn(CANDOR, ['daemon', 'run'], { env: this.environment, stdio: 'ignore' });
    this.#child = child;
    const ended = new Promise((resolve) => { child.once('exit', resolve); });
    child.ended = ended;
    await within('the daemon to answer', async () => {
      if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}`);
      try {
        await this.ask('GET', '/v1/health');
        return true;
      } catch (error) {
        if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') return false;
        throw error;
      }
    });
  }

  /** Ends the daemon: with SIGTERM it leaves in order, with SIGKILL it does not. */
  async end(signal) {
    const child = this.#child;
    this.#child = null;
    child.kill(signal);
    await child.ended;
  }

  async close() {
    if (!this.#child) await this.start();
    await this.candor('daemon', 'stop', '--sessions').catch(() => {});
    await this.#child.ended;
    await rm(this.home, { recursive: true, force: true });
  }

  async candor(...words) {
    const { stdout } = await run(CANDOR, words, { env: this.environment, maxBuffer: 256 << 20 });
    return stdout;
  }

  /** Asks for something on the socket. Returns what was answered, as JSON where it is some. */
  ask(method, where, json) {
    return new Promise((resolve, reject) => {
      const body = json === undefined ? undefined : JSON.stringify(json);
      const headers = body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } : {};
      const request = http.request({ socketPath: path.join(this.home, 'candor.sock'), path: where, method, headers, agent: false }, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (piece) => { text += piece; });
        answer.on('error', reject);
        answer.on('end', () => {
          if (answer.statusCode >= 400) reject(Object.assign(new Error(text), { status: answer.statusCode }));
          else resolve(/json/.test(answer.headers['content-type'] ?? '') && !/ndjson/.test(answer.headers['content-type']) ? JSON.parse(text) : text);
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  async launch(command, more = {}) {
    return this.ask('POST', '/v1/sessions', { command, cwd: this.home, ...more });
  }

  /** Launches the replayed Claude Code, which does what the steps say. */
  async agent(steps, more = {}) {
    const { title = null, ...agent } = more;
    return this.ask('POST', '/v1/sessions', {
      command: [], cwd: this.home, title,
      agent: { kind: 'claude', program: this.claude, prompt: `steps:\n${steps.join('\n')}`, ...agent },
    });
  }

  session(id) {
    return this.ask('GET', `/v1/sessions/${id}`);
  }

  interrupt(id) {
    return this.ask('POST', `/v1/sessions/${id}/interrupt`);
  }

  wait(id) {
    return this.ask('GET', `/v1/sessions/${id}/wait`);
  }

  /** Waits until a session has a status. */
  async until(id, status) {
    return within(`${id} to be ${status}`, async () => {
      const view = await this.session(id);
      return view.status === status && view;
    });
  }

  /** Returns the whole log. */
  async events() {
    const text = await this.candor('events', '--json');
    return text.split('\n').filter(Boolean).map((line) => JSON.parse(line)).filter((event) => event.type !== 'reset');
  }

  /** Returns an address that logs one browser in. */
  async address() {
    return (await this.candor('open', '--print')).trim();
  }
}

/** Asks again until the answer is yes, and returns it. */
export async function within(what, ask, patience = PATIENCE_MS) {
  const until = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > until) throw new Error(`waited for ${what} in vain`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

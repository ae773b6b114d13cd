// Requests to the daemon. Each bears this tab's token; the cookie goes along by itself.

const TOKEN = 'candor.page_token';

/** What the daemon refuses, or what kept a request from reaching it. */
export class Problem extends Error {
  constructor(kind, status, detail) {
    super(detail);
    /** The stable word; `network` when nobody answered. */
    this.kind = kind;
    this.status = status;
  }
}

export function token() {
  return sessionStorage.getItem(TOKEN);
}

export function keepToken(value) {
  if (value === null) sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, value);
}

/** Sends a request, and returns an answer that is good. */
export async function send(method, path, { json, bytes, headers = {}, signal, isOpen = false } = {}) {
  const all = { ...headers };
  if (!isOpen) all.Authorization = `Bearer ${token() ?? ''}`;
  let body;
  if (json !== undefined) {
    all['Content-Type'] = 'application/json';
    body = JSON.stringify(json);
  } else if (bytes !== undefined) {
    all['Content-Type'] = 'application/octet-stream';
    body = bytes;
  }
  let answer;
  try {
    answer = await fetch(path, {
      method, headers: all, body, signal, credentials: 'same-origin', cache: 'no-store', redirect: 'error',
      referrerPolicy: 'no-referrer',
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem('network', 0, 'The daemon does not answer.');
  }
  if (answer.ok) return answer;
  throw await problemOf(answer);
}

async function problemOf(answer) {
  let told = {};
  try {
    told = await answer.json();
  } catch {
    // Not of the daemon, or cut off: the status says what there is to say.
  }
  const kind = String(told.type ?? '').replace('urn:candor:problem:', '') || `http_${answer.status}`;
  return new Problem(kind, answer.status, told.detail ?? `The daemon answered with ${answer.status}.`);
}

export async function get(path, options) {
  const answer = await send('GET', path, options);
  try {
    return await answer.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem('network', 0, 'The answer of the daemon was cut off.');
  }
}

export async function post(path, options) {
  const answer = await send('POST', path, options);
  return answer.json();
}

/** Reads an answer as text as it comes. Ends when the answer does; throws when it is cut off. */
export async function* pieces(answer, onBytes = () => {}) {
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      onBytes(value?.length ?? 0);
      const text = done ? decoder.decode() : decoder.decode(value, { stream: true });
      if (text) yield text;
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

export function pathOf(session, ...rest) {
  return ['/v1/sessions', encodeURIComponent(session), ...rest].join('/');
}

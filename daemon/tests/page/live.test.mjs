// What asks the daemon: when, how often, and what it makes of refusals.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Store, StoryReader, readUnread } from '../../web/live.js';
import { Log, viewOf } from './log.mjs';

const UNREAD = 20;

/** A store whose log has sessions that were not told along with their events. */
function withUnread() {
  const log = new Log();
  const store = new Store();
  store.dispatch({ type: 'snapshot', epoch: 0, snapshot: log.snapshot(0) });
  for (let number = 0; number < UNREAD; number += 1) log.change(`s${number}`, 'starting');
  const bare = log.events.map(({ seq }) => ({ ...log.sent(seq, seq), session_view: undefined }));
  store.dispatch({ type: 'events', events: bare });
  assert.equal(store.state.unread.size, UNREAD);
  return store;
}

test('what cannot be read keeps nobody else from being read, and is asked for once', async () => {
  const store = withUnread();
  const asked = [];
  await readUnread(store, async (session) => {
    asked.push(session);
    // More than are read at a time, and the first of all.
    if (asked.length <= 10) throw new Error('damaged');
    const { epoch, cursor: asOf } = store.state;
    store.dispatch({ type: 'session', epoch, asOf, view: viewOf(session, 'starting', 1) });
  });
  assert.equal(asked.length, UNREAD);
  assert.equal(new Set(asked).size, UNREAD);
  assert.equal(store.state.unread.size, 10);
});

test('a story that cannot be read is asked for again later, and not by whoever draws', async () => {
  const store = withUnread();
  const later = [];
  let asked = 0;
  const reader = new StoryReader(store, async () => {
    asked += 1;
    throw Object.assign(new Error('no room'), { status: 507, kind: 'store_unavailable' });
  }, (again) => later.push(again));
  store.subscribe(() => reader.look('s0'));
  await reader.look('s0');
  for (let count = 0; count < 10; count += 1) await reader.look('s0');
  assert.equal(asked, 1);
  assert.equal(later.length, 1);
  assert.equal(store.state.notices.length, 1);
  later.shift()();
  await reader.look('s0');
  assert.equal(asked, 2);
  // Nobody looks at it any more: it is not asked for again.
  reader.stop();
  for (const again of later) again();
  assert.equal(asked, 2);
});

/** The parts of a browser that a login needs. */
function asBrowser(answers) {
  const kept = new Map();
  const asked = [];
  globalThis.window = { location: { hash: '#code=abc', pathname: '/' } };
  window.history = { replaceState: () => { window.location.hash = ''; } };
  globalThis.sessionStorage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  };
  globalThis.fetch = async (path, { body }) => {
    asked.push(JSON.parse(body).code);
    const [status, told] = answers.shift() ?? assert.fail('asked once too often');
    if (status === 0) throw new TypeError('nobody is there');
    return new Response(JSON.stringify(told), { status });
  };
  return asked;
}

test('a code is kept until the daemon has said what it is good for', async () => {
  const { logIn } = await import('../../web/login.js');
  const asked = asBrowser([
    [0],
    [429, { type: 'urn:candor:problem:too_many_failures' }],
    [200, { page_token: 'token' }],
  ]);
  assert.equal(await logIn(), 'down');
  assert.equal(window.location.hash, '');
  assert.equal(await logIn(), 'down');
  assert.equal(await logIn(), 'logged_in');
  assert.deepEqual(asked, ['abc', 'abc', 'abc']);
  assert.equal(await logIn(), 'logged_in');
});

test('a code that was refused is not tried again', async () => {
  const { logIn } = await import('../../web/login.js');
  const asked = asBrowser([[401, { type: 'urn:candor:problem:not_authorized' }]]);
  assert.equal(await logIn(), 'code_used');
  assert.equal(await logIn(), 'no_token');
  assert.deepEqual(asked, ['abc']);
});

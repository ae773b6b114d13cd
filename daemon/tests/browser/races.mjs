// Interrupts at every moment, over connections that break in every way. At each frame the page shows what
// the log says, or has said, and never anything else.

import assert from 'node:assert/strict';

import { openPage, recorded, whenLive } from './browser.mjs';
import { Place, within } from './place.mjs';
import { Proxy } from './proxy.mjs';
import { hold } from './truth.mjs';

const AT_A_TIME = 8;
/** How late an interrupt may come: within that most of these sessions end by themselves. */
const SPAN_MS = 250;

/** Sessions that end in each way, some by themselves while they are interrupted. */
const KINDS = [
  { command: ['sh', '-c', 'trap "exit 130" INT; sleep 600 & wait'] },
  { command: ['sh', '-c', 'trap "exit 0" INT; sleep 600 & wait'] },
  { command: ['sh', '-c', 'trap "exit 1" INT; sleep 600 & wait'] },
  { command: ['sleep', '600'] },
  { command: ['sleep', '0.1'] },
  { command: ['sh', '-c', 'sleep 0.1; exit 3'] },
  { command: ['sh', '-c', 'sleep 0.1; kill -SEGV $$'] },
  { command: ['sh', '-c', 'trap "" INT; sleep 600'], graces: { interrupt_ms: 60, terminate_ms: 60, linger_ms: 2000 } },
  { command: ['sh', '-c', 'trap "" INT TERM; sleep 600'], graces: { interrupt_ms: 60, terminate_ms: 60, linger_ms: 2000 } },
  { command: ['no-such-program-at-all'] },
  { steps: ['hang'] },
  { steps: ['say one', 'result error_during_execution'] },
  { steps: ['say one'] },
];

export function randomOf(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * below);
  };
}

async function race(place, random, stop) {
  const kind = KINDS[random(KINDS.length)];
  const graces = kind.graces;
  const { id } = kind.steps ? await place.agent(['init', ...kind.steps]) : await place.launch(kind.command, graces ? { graces } : {});
  const after = random(SPAN_MS);
  await new Promise((resolve) => { setTimeout(resolve, after); });
  await stop(id, random);
  await within(`${id} to end`, async () => {
    try {
      return await place.wait(id);
    } catch (error) {
      // The daemon is being killed or started.
      if (['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE'].includes(error.code) || error.status === 503) return false;
      throw error;
    }
  });
  return id;
}

/** Runs so many races, a few at a time. */
async function races(place, count, random, stop) {
  let left = count;
  const worker = async () => {
    const ids = [];
    while (left > 0) {
      left -= 1;
      ids.push(await race(place, random, stop));
    }
    return ids;
  };
  return (await Promise.all(Array.from({ length: AT_A_TIME }, worker))).flat();
}

const byRequest = (place) => async (id) => { await place.interrupt(id); };

/** Waits until the page shows the log's end, and holds all that it has shown against the log. */
async function settle(place, pages) {
  const events = await place.events();
  const last = new Map();
  for (const event of events) last.set(event.session, event);
  let held = 0;
  for (const { page, told } of pages) {
    await whenLive(page);
    const ends = [...last].map(([session, { to, outcome }]) => ({ session, to, outcome }));
    await page.waitForFunction((all) => {
      const rows = new Map([...document.querySelectorAll('.row[data-session]')].map((row) => [row.dataset.session, row.querySelector('.status').dataset]));
      return all.every(({ session, to, outcome }) => {
        const shown = rows.get(session);
        return !shown || (shown.status === to && (shown.outcome ?? null) === outcome);
      });
    }, ends);
    const { shown } = await recorded(page);
    const rows = new Set(shown.map((one) => one.session));
    assert.ok(rows.size > 0, 'the page has shown sessions');
    held += hold(shown, events);
    assert.deepEqual(told.errors, []);
    assert.deepEqual(told.violations, []);
  }
  return held;
}

/** Follows one session after the other in the open pane, as they come. */
async function follow(page, place, isOver) {
  let before = null;
  while (!isOver()) {
    const [newest] = await place.ask('GET', '/v1/sessions?limit=1').catch(() => []);
    if (newest && newest.id !== before) {
      before = newest.id;
      await page.evaluate((id) => { window.location.hash = `#/s/${id}`; }, newest.id);
    }
    await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(resolve); }));
  }
}

export async function interruptRaces({ browser, count, seed }) {
  const place = await Place.open();
  try {
    const random = randomOf(seed);
    const one = await openPage(browser, place);
    const other = await openPage(browser, place);
    await Promise.all([whenLive(one.page), whenLive(other.page)]);
    let isOver = false;
    const following = follow(other.page, place, () => isOver);
    const [ids] = await Promise.all([
      races(place, count, random, byRequest(place)).finally(() => { isOver = true; }), following,
    ]);
    const held = await settle(place, [one, other]);
    const counts = await place.ask('GET', '/v1/snapshot').then((snapshot) => snapshot.counts);
    await within('the counts of the page', () => one.page.evaluate((all) => [...document.querySelectorAll('.chip')].every((chip) => Number(chip.querySelector('.count').textContent) === (all[chip.dataset.status] ?? 0)), counts));
    return `${ids.length} interrupts, ${held} statuses shown and true`;
  } finally {
    await place.close();
  }
}

/** The same with the keys of the page: what is asked for is pending, and no status before the log has it. */
export async function interruptsByKeys({ browser, count, seed }) {
  const place = await Place.open();
  try {
    const random = randomOf(seed);
    const opened = await openPage(browser, place);
    const { page } = opened;
    await whenLive(page);
    for (let round = 0; round < count; round += 1) {
      const kind = KINDS[random(5)];
      const { id } = await place.launch(kind.command);
      await page.evaluate((session) => { window.location.hash = `#/s/${session}`; }, id);
      await page.locator(`.detail-pane[data-session="${id}"] .title`).waitFor();
      await page.keyboard.press('i');
      await place.wait(id);
    }
    return `${count} interrupts by a key, ${await settle(place, [opened])} statuses shown and true`;
  } finally {
    await place.close();
  }
}

const BREAKS = [
  ['cut', (proxy) => proxy.cut()],
  ['half closed', (proxy) => proxy.halfClose()],
  ['refused for a while', async (proxy) => {
    proxy.isOpen = false;
    proxy.cut();
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    proxy.isOpen = true;
  }],
  ['held back', async (proxy) => {
    proxy.isStalled = true;
    await new Promise((resolve) => { setTimeout(resolve, 200); });
    proxy.flow();
  }],
  ['held back and cut', async (proxy) => {
    proxy.isStalled = true;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    proxy.cut();
    proxy.flow();
  }],
  ['slow', async (proxy) => {
    proxy.bytesPerSecond = 20_000;
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    proxy.bytesPerSecond = null;
  }],
  ['late', async (proxy) => {
    proxy.delayMs = 40;
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    proxy.delayMs = 0;
  }],
];

/** The connection breaks again and again in all ways, while sessions are interrupted. */
export async function brokenConnections({ browser, count, seed }) {
  const place = await Place.open();
  const proxy = await Proxy.open();
  try {
    const random = randomOf(seed);
    const opened = await openPage(browser, place, { proxy });
    await whenLive(opened.page);
    let isOver = false;
    let breaks = 0;
    const breaking = (async () => {
      while (!isOver || breaks < BREAKS.length) {
        await BREAKS[breaks % BREAKS.length][1](proxy);
        breaks += 1;
        await whenLive(opened.page);
      }
    })();
    const [ids] = await Promise.all([
      races(place, count, random, byRequest(place)).finally(() => { isOver = true; }), breaking,
    ]);
    const held = await settle(place, [opened]);
    return `${ids.length} interrupts, ${breaks} breaks, ${held} statuses shown and true`;
  } finally {
    await proxy.close();
    await place.close();
  }
}

/** While nobody can be reached the page says since when it knows nothing, and then it goes on. */
export async function saysThatItIsNotLive({ browser }) {
  const place = await Place.open();
  const proxy = await Proxy.open();
  try {
    const { id } = await place.launch(['sleep', '600']);
    await place.until(id, 'running');
    const opened = await openPage(browser, place, { proxy });
    const { page } = opened;
    await whenLive(page);
    const row = page.locator(`.row[data-session="${id}"] .status`);
    await row.waitFor();
    proxy.isOpen = false;
    proxy.cut();
    await page.locator('#connection[data-phase="down"]').waitFor();
    await page.locator('#banner').filter({ hasText: 'What is shown is as of' }).waitFor();
    assert.match(await page.locator('#connection-text').textContent(), /^not live since \d\d:\d\d:\d\d$/);
    await place.interrupt(id);
    await place.wait(id);
    assert.equal(await row.getAttribute('data-status'), 'running', 'what is not known is not shown');
    proxy.isOpen = true;
    await page.locator(`.row[data-session="${id}"] .status[data-outcome="interrupted"]`).waitFor();
    await whenLive(page);
    assert.ok(await page.locator('#banner').isHidden());
    await settle(place, [opened]);
    return 'said so, and went on';
  } finally {
    await proxy.close();
    await place.close();
  }
}

/** The daemon is killed and leaves in order, in the midst of interrupts. Pages go on with the next one. */
export async function daemonRestarts({ browser, count, seed }) {
  const place = await Place.open();
  try {
    const random = randomOf(seed);
    const opened = await openPage(browser, place);
    await whenLive(opened.page);
    let isOver = false;
    let restarts = 0;
    const restarting = (async () => {
      while (!isOver || restarts < 2) {
        await place.end(restarts % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
        await opened.page.locator('#connection[data-phase="down"]').waitFor();
        await place.start();
        restarts += 1;
        await whenLive(opened.page);
      }
    })();
    const stubborn = async (what) => within('the daemon to take it', async () => {
      try {
        await what();
        return true;
      } catch (error) {
        if (error.code || error.status === 503) return false;
        throw error;
      }
    });
    const ids = [];
    for (let round = 0; round < count; round += 1) {
      const { command, graces } = KINDS[random(9)];
      await stubborn(async () => { ids.push((await place.launch(command, graces ? { graces } : {})).id); });
      await new Promise((resolve) => { setTimeout(resolve, random(SPAN_MS)); });
      await stubborn(() => place.interrupt(ids.at(-1)));
    }
    isOver = true;
    await restarting;
    for (const id of ids) await place.wait(id);
    const held = await settle(place, [opened]);
    return `${ids.length} interrupts, ${restarts} restarts, ${held} statuses shown and true`;
  } finally {
    await place.close();
  }
}

/** Pages that lie, as others have: each must be found by what holds the true one against the log. */
const LIES = [
  ['shows the end of a stop as a failure', {
    file: 'status.js', from: 'const { status, outcome } = view;',
    to: "const { outcome } = view; const status = view.intent && view.status === 'completing' ? 'failed' : view.status;",
  }],
  ['shows a stop as done when it was asked for', {
    file: 'status.js', from: 'const { status, outcome } = view;',
    to: "const isAsked = view.status === 'completing'; const status = isAsked ? 'completed' : view.status; const outcome = isAsked ? 'interrupted' : view.outcome;",
  }],
  ['lets an end be followed', {
    file: 'list.js', from: 'showStatus(status, view);',
    to: "showStatus(status, view); if (view.status === 'completed') requestAnimationFrame(() => requestAnimationFrame(() => showStatus(status, { ...view, status: 'running', outcome: null })));",
  }],
];

export async function liesAreFound({ browser }) {
  for (const [lie, change] of LIES) {
    const place = await Place.open();
    try {
      const { page } = await openPage(browser, place, { change });
      await whenLive(page);
      const { id } = await place.launch(['sh', '-c', 'trap "sleep 0.3; exit 0" INT; sleep 600 & wait']);
      await page.locator(`.row[data-session="${id}"] .status[data-status="running"]`).waitFor();
      await place.interrupt(id);
      await place.wait(id);
      const events = await place.events();
      await within(`the lie of a page that ${lie}`, async () => {
        try {
          hold((await recorded(page)).shown, events);
          return false;
        } catch (error) {
          if (error.code !== 'ERR_ASSERTION') throw error;
          return true;
        }
      });
    } finally {
      await place.close();
    }
  }
  return `${LIES.length} pages that lie`;
}

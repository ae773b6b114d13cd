// Measures the page, and prints the figures as JSON. Started by `cargo xtask bench --only page`.

import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { launchBrowser, openPage, recorded, whenLive } from './browser.mjs';
import { Place } from './place.mjs';
import { hold } from './truth.mjs';

const SESSIONS = 1_000;
const AT_A_TIME = 8;
const VIEWS = 9;
/** A launch that ends makes three changes: 34 of them in a second make 100. */
const LAUNCHES_PER_S = 34;
const LAUNCHES = 6 * LAUNCHES_PER_S;

const median = (all) => [...all].sort((one, other) => one - other)[Math.floor(all.length / 2)];

async function launchMany(place, count) {
  let left = count;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await place.wait((await place.launch(['true'])).id);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

/** Milliseconds from the start of the navigation to the frame with the first rows. */
async function firstView(page) {
  await page.reload();
  await whenLive(page);
  return page.evaluate(() => globalThis.__recorded.frames.firstRowMs);
}

/** Changes at a steady rate, and what they were shown like. */
async function changes(place, browser) {
  const { page, context } = await openPage(browser, place);
  await whenLive(page);
  await page.locator('.row').first().waitFor();
  await page.evaluate(() => Object.assign(globalThis.__recorded.frames, { count: 0, longestMs: 0, before: 0 }));
  const begun = Date.now();
  const launched = [];
  for (let at = 0; at < LAUNCHES; at += 1) {
    const due = begun + (at * 1000) / LAUNCHES_PER_S;
    if (due > Date.now()) await new Promise((resolve) => { setTimeout(resolve, due - Date.now()); });
    launched.push(place.launch(['true']));
  }
  const ids = (await Promise.all(launched)).map((view) => view.id);
  for (const id of ids) await place.wait(id);
  const seconds = (Date.now() - begun) / 1000;
  await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
  const { shown, frames } = await recorded(page);
  await context.close();
  const events = await place.events();
  hold(shown, events);
  const when = new Map(events.map((event) => [`${event.session} ${event.to}`, Date.parse(event.at)]));
  const waits = shown.filter((one) => ids.includes(one.session)).map((one) => one.at - when.get(`${one.session} ${one.status}`));
  return { gap: frames.longestMs, wait: median(waits), rate: (ids.length * 3) / seconds };
}

const place = await Place.open();
const browser = await launchBrowser();
try {
  await launchMany(place, SESSIONS);
  const { page, context } = await openPage(browser, place);
  await whenLive(page);
  const views = [];
  for (let view = 0; view < VIEWS; view += 1) views.push(await firstView(page));
  await context.close();
  const { gap, wait, rate } = await changes(place, browser);
  const web = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../web');
  let weight = 0;
  for (const name of await readdir(web)) if (name !== 'package.json') weight += (await stat(path.join(web, name))).size;
  console.log(JSON.stringify({ first_view_ms: median(views), longest_gap_ms: gap, commit_to_frame_ms: wait, changes_per_s: rate, weight_kb: weight / 1000 }));
} finally {
  await browser.close();
  await place.close();
}

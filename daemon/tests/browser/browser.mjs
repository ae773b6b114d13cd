// A headless Chromium, and what is recorded in each page at every frame.

import { createRequire } from 'node:module';

import { PATIENCE_MS } from './place.mjs';

const require = createRequire(`${process.env.CANDOR_BROWSER_MODULES}/`);
const { chromium } = require('playwright-core');

export async function launchBrowser() {
  const isRoot = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: process.env.CANDOR_BROWSER_CHROMIUM,
    // Its sandbox works for no root, and nothing but our own page is opened.
    args: [...(isRoot ? ['--no-sandbox'] : []), '--disable-dev-shm-usage'],
  });
}

/**
 * Opens the page by a fresh login, through a proxy where there is one. Everything that is said, shown
 * or asked for is recorded. With `change` it is given a file in which one text is another.
 */
export async function openPage(browser, place, { proxy = null, address = null, change = null, ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    ...(proxy ? { proxy: { server: proxy.address, bypass: '<-loopback>' } } : {}),
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const told = { requests: [], dialogs: 0, errors: [], violations: [] };
  page.on('request', (request) => told.requests.push(request.url()));
  page.on('dialog', (dialog) => {
    told.dialogs += 1;
    dialog.dismiss();
  });
  page.on('pageerror', (error) => told.errors.push(String(error)));
  page.on('console', (message) => {
    const text = message.text();
    if (/Content Security Policy|TrustedHTML|TrustedScript/.test(text)) told.violations.push(text);
  });
  if (change) await page.route(`**/assets/${change.file}`, (route) => changed(route, change));
  await page.addInitScript(record);
  await page.goto(address ?? await place.address());
  return { context, page, told };
}

async function changed(route, { from, to }) {
  const answer = await route.fetch();
  const text = await answer.text();
  if (!text.includes(from)) throw new Error(`the page has no ${from}`);
  await route.fulfill({ response: answer, body: text.replace(from, to) });
}

export async function whenLive(page) {
  await page.locator('#connection[data-phase="live"]').waitFor();
}

/** Runs in the page: at each frame, what each row and the open session show of their status. */
function record() {
  const shown = [];
  const last = new Map();
  const frames = { count: 0, longestMs: 0, before: 0, firstRowMs: null };
  globalThis.__recorded = { shown, frames };
  const look = (where, session, element) => {
    if (!element) return;
    const text = element.textContent.replace(element.querySelector('.sign')?.textContent ?? '', '').trim();
    const key = `${where}:${session}`;
    if (last.get(key) === text) return;
    last.set(key, text);
    shown.push({ at: Date.now(), where, session, text, status: element.dataset.status, outcome: element.dataset.outcome ?? null });
  };
  const frame = (now) => {
    frames.count += 1;
    if (frames.before) frames.longestMs = Math.max(frames.longestMs, now - frames.before);
    frames.before = now;
    frames.firstRowMs ??= document.querySelector('.row') ? performance.now() : null;
    for (const row of document.querySelectorAll('.row[data-session]')) look('row', row.dataset.session, row.querySelector('.status'));
    const detail = document.querySelector('.detail-pane[data-session]');
    if (detail) look('detail', detail.dataset.session, detail.querySelector('.head-status .status'));
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  globalThis.__hooked = 0;
  globalThis.alert = globalThis.confirm = globalThis.prompt = () => { globalThis.__hooked += 1; };
}

export function recorded(page) {
  return page.evaluate(() => globalThis.__recorded);
}

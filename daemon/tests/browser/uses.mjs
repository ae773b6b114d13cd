// What people do with the page: log in, look, launch, answer, send, go on after a pause.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { openPage, recorded, whenLive } from './browser.mjs';
import { Place, within } from './place.mjs';
import { hold } from './truth.mjs';

/** Gives a test a home of its own. */
export function inPlace(test) {
  return async (options) => {
    const place = await Place.open();
    try {
      return await test({ place, ...options });
    } finally {
      await place.close();
    }
  };
}

const open = (page, id, tab = '') => page.evaluate((hash) => { window.location.hash = hash; }, `#/s/${id}${tab && `/${tab}`}`);
const detailOf = (page, id) => page.locator(`.detail-pane[data-session="${id}"]`);

export const login = inPlace(async ({ place, browser }) => {
  const address = await place.address();
  const { context, page } = await openPage(browser, place, { address });
  await whenLive(page);
  assert.equal(await page.evaluate(() => window.location.hash), '', 'the code is gone from the address');
  assert.ok(!(await page.evaluate(() => JSON.stringify(Object.values(localStorage)))).includes('token'));
  await page.reload();
  await whenLive(page);

  // A further tab is lent the login of this one.
  const second = await context.newPage();
  await second.goto(address.split('#')[0]);
  await whenLive(second);
  await second.close();

  // The cookie alone opens nothing, where no tab has the other half.
  const third = await context.newPage();
  await page.goto('about:blank');
  await third.goto(address.split('#')[0]);
  await third.locator('#connection[data-phase="no_token"]').waitFor();
  assert.match(await third.locator('#banner').textContent(), /candor open/);

  await third.close();
  await page.goBack();
  await whenLive(page);

  // A next daemon knows the login.
  await place.end('SIGKILL');
  await page.locator('#connection[data-phase="down"]').waitFor();
  await place.start();
  await whenLive(page);

  await place.candor('logout');
  await page.locator('#connection[data-phase="logged_out"]').waitFor();
  assert.match(await page.locator('#banner').textContent(), /login has ended.*candor open/);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);

  // A code that comes twice was seen by somebody else: it opens nothing, and ends what it has opened.
  const once = await place.address();
  const first = await openPage(browser, place, { address: once });
  await whenLive(first.page);
  const again = await openPage(browser, place, { address: once });
  await again.page.locator('#connection[data-phase="code_used"]').waitFor();
  assert.match(await again.page.locator('#banner').textContent(), /candor open/);
  await first.page.locator('#connection[data-phase="logged_out"]').waitFor();
  return 'once by code, again after a restart, and ended';
});

export const tooManyTabs = inPlace(async ({ place, browser }) => {
  const { context, page } = await openPage(browser, place);
  await whenLive(page);
  const pages = [page];
  while (pages.length < 12) {
    const next = await context.newPage();
    pages.push(next);
    await next.goto(await place.address());
    await next.locator('#connection[data-phase="live"], #connection[data-phase="too_many"]').first().waitFor();
    if (await next.locator('#connection').getAttribute('data-phase') === 'too_many') break;
  }
  const last = pages.at(-1);
  // The browser itself has six connections for one host: without limits of its own a tab would hang.
  assert.equal(await last.locator('#connection').getAttribute('data-phase'), 'too_many');
  assert.match(await last.locator('#banner').textContent(), /Too many tabs/);
  await page.close();
  await whenLive(last);
  return `tab ${pages.length} was told, and went on when another was closed`;
});

/** Plays that nobody sees the tab, by the clock of the page. */
export const hiddenTab = inPlace(async ({ place, browser }) => {
  const { id } = await place.launch(['sleep', '600']);
  await place.until(id, 'running');
  const { context, page } = await openPage(browser, place, { address: 'about:blank' });
  await page.clock.install();
  await page.goto(await place.address());
  await whenLive(page);
  await open(page, id);
  await detailOf(page, id).locator('.lines, .empty').first().waitFor({ state: 'attached' });
  const see = (isHidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, 'visibilityState', { value: hidden ? 'hidden' : 'visible', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);
  await see(true);
  await page.clock.runFor(31_000);
  await page.locator('#connection[data-phase="asleep"]').waitFor();
  await place.interrupt(id);
  await place.wait(id);
  assert.equal(await page.locator(`.row[data-session="${id}"] .status`).getAttribute('data-status'), 'running');
  await see(false);
  await page.clock.runFor(1_000);
  await page.locator(`.row[data-session="${id}"] .status[data-outcome="interrupted"]`).waitFor();
  await context.close();
  return 'slept, and went on where it was';
});

/** Everything by keys, without a pointer. */
export const keysAlone = inPlace(async ({ place, browser }) => {
  const first = await place.launch(['sleep', '600'], { title: 'the first' });
  const second = await place.launch(['sleep', '600'], { title: 'the second' });
  await place.until(first.id, 'running');
  await place.until(second.id, 'running');
  const { page, told } = await openPage(browser, place);
  await whenLive(page);
  await page.locator('.row').nth(1).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.closest('.row')?.dataset.session);
  await page.keyboard.press('j');
  assert.equal(await focused(), second.id);
  await page.keyboard.press('j');
  assert.equal(await focused(), first.id);
  await page.keyboard.press('k');
  assert.equal(await focused(), second.id);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await detailOf(page, first.id).locator('.title').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.className), 'title', 'the focus goes along');
  await page.keyboard.press('i');
  await detailOf(page, first.id).locator('.head-status .status[data-outcome="interrupted"]').waitFor();
  await page.keyboard.press('3');
  await detailOf(page, first.id).locator('.changes tbody tr').nth(3).waitFor();
  assert.match(await detailOf(page, first.id).locator('.verdict').textContent(), /It was interrupted: user \d+ asked for it/);
  await detailOf(page, first.id).locator('svg.lanes').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.detail-pane:not([data-session])').waitFor({ state: 'attached' });
  assert.equal(await focused(), first.id, 'the focus comes back');
  await page.keyboard.press('k');
  await page.keyboard.press('K');
  await page.locator('dialog[open]').waitFor();
  await page.keyboard.press('Escape');
  assert.equal((await place.session(second.id)).status, 'running', 'a question that was closed does nothing');
  await page.keyboard.press('K');
  await page.locator('dialog[open] [data-confirm]').waitFor();
  await page.keyboard.press('Enter');
  await page.locator(`.row[data-session="${second.id}"] .status[data-outcome="interrupted"]`).waitFor();
  assert.equal((await place.session(second.id)).intent.kind, 'kill');
  await page.keyboard.press('/');
  await page.keyboard.type('the fir');
  await within('the search', async () => (await page.locator('.row').count()) === 1);
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.locator('dialog[open] .keys').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#announcer').filter({ hasText: 'completed, interrupted' }).waitFor({ state: 'attached' });
  hold((await recorded(page)).shown, await place.events());
  assert.deepEqual(told.errors, []);
  return 'selected, opened, interrupted, killed, searched, announced';
});

export const launchForm = inPlace(async ({ place, browser }) => {
  const { page, told } = await openPage(browser, place);
  await whenLive(page);
  await page.keyboard.press('n');
  const dialog = page.locator('dialog[open]');
  await dialog.getByRole('button', { name: 'Start' }).click();
  await dialog.getByRole('alert').filter({ hasText: 'Name the folder' }).waitFor();
  await dialog.locator('[name=folder]').fill(place.home);
  await dialog.locator('[name=command]').fill('echo "a  b" | tr a c; exit 4');
  await dialog.locator('[name=title]').fill('from the page');
  // Nobody answers: what was typed is kept, and is launched once.
  await place.end('SIGKILL');
  await dialog.getByRole('button', { name: 'Start' }).click();
  await dialog.getByRole('alert').filter({ hasText: 'What you typed is kept' }).waitFor();
  await place.start();
  await dialog.getByRole('button', { name: 'Start' }).click();
  await page.locator('.detail-pane .head-status .status[data-status="failed"]').waitFor();
  await page.locator('.detail-pane .line').filter({ hasText: 'c  b' }).waitFor();
  const [view] = await place.ask('GET', '/v1/sessions');
  assert.deepEqual([view.title, view.exit.code, view.command.at(-1)], ['from the page', 4, 'echo "a  b" | tr a c; exit 4']);
  assert.equal((await place.ask('GET', '/v1/sessions')).length, 1);
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.locator('dialog[open] [data-confirm]').click();
  await page.locator('.detail-pane').filter({ hasText: 'it was removed' }).waitFor();
  assert.equal(await page.locator('.row').count(), 0);
  assert.deepEqual(told.errors, []);
  return 'launched, seen failing, removed';
});

export const approvals = inPlace(async ({ place, browser }) => {
  const { page, told } = await openPage(browser, place);
  await whenLive(page);
  const agent = await place.agent(['init', 'ask touch one', 'ask touch two', 'ask touch three', 'say done'], { title: 'asks' });
  await page.locator('.approvals .card').waitFor();
  assert.equal(await page.title(), '(1) Candor');
  await page.locator('.card').first().getByRole('button', { name: 'Review' }).click();
  const dialog = page.locator('dialog[open]');
  await dialog.locator('.asked').filter({ hasText: 'touch one' }).waitFor();
  const [request] = (await place.session(agent.id)).requests;
  assert.equal(await dialog.locator('.digest').textContent(), request.digest);
  await dialog.locator('[data-decision=approve]').click();

  // The second: denied by keys alone.
  await page.locator('.card-asked').filter({ hasText: 'touch two' }).first().waitFor();
  await page.keyboard.press('d');
  await dialog.locator('[data-decision=deny]:focus').waitFor();
  await page.keyboard.press('Enter');

  // The third is withdrawn while somebody looks at it: then there is nothing to press.
  await page.locator('.card-asked').filter({ hasText: 'touch three' }).first().waitFor();
  await page.keyboard.press('a');
  await dialog.locator('[data-decision=approve]:focus').waitFor();
  await place.interrupt(agent.id);
  await dialog.locator('.card-state').filter({ hasText: 'not open any more: withdrawn' }).waitFor();
  assert.ok(await dialog.locator('[data-decision=approve]').isDisabled());
  await page.keyboard.press('Escape');
  await place.wait(agent.id);
  await within('the title', async () => (await page.title()) === 'Candor');
  assert.deepEqual((await place.session(agent.id)).requests.map((one) => one.state), ['approved', 'denied', 'withdrawn']);
  await page.locator(`.row[data-session="${agent.id}"] .status[data-status="completed"]`).waitFor();
  hold((await recorded(page)).shown, await place.events());
  assert.deepEqual(told.errors, []);
  return 'approved, denied, withdrawn; the digest goes along';
});

export const messages = inPlace(async ({ place, browser }) => {
  const { page, told } = await openPage(browser, place);
  await whenLive(page);
  const agent = await place.agent(['init', 'say first answer', 'tool echo from a tool'], { interactive: true, title: 'talks' });
  await open(page, agent.id);
  const detail = detailOf(page, agent.id);
  await detail.locator('.message.assistant').filter({ hasText: 'first answer' }).waitFor();
  await detail.locator('.fold.call').click();
  await detail.locator('.fold.call pre').filter({ hasText: 'from a tool' }).first().waitFor();
  await detail.locator('.head-status .status[data-status="waiting_input"]').waitFor();
  // Its model answers when it is told to, so that both statuses are there to be seen.
  const fifo = path.join(place.home, 'model');
  execFileSync('mkfifo', [fifo]);
  await page.keyboard.press('c');
  await detail.locator('.message-form textarea:focus').fill(`steps:\nawait ${fifo}\nsay second answer`);
  await page.keyboard.press('Enter');
  await detail.locator('.head-status .status[data-status="running"]').waitFor();
  await writeFile(fifo, 'go\n');
  await detail.locator('.message.assistant').filter({ hasText: 'second answer' }).waitFor();
  await detail.locator('.head-status .status[data-status="waiting_input"]').waitFor();
  await detail.getByRole('button', { name: 'Finish' }).click();
  await detail.locator('.head-status .status[data-status="completed"]').waitFor();
  await place.wait(agent.id);

  const cat = await place.launch(['cat'], { input: 'held' });
  await place.until(cat.id, 'running');
  await open(page, cat.id);
  await detailOf(page, cat.id).locator('.message-form textarea').fill('to its input');
  await page.keyboard.press('Enter');
  await detailOf(page, cat.id).locator('.line').filter({ hasText: 'to its input' }).waitFor();
  await detailOf(page, cat.id).getByRole('button', { name: 'Close its input' }).click();
  await detailOf(page, cat.id).locator('.head-status .status[data-status="completed"]').waitFor();
  hold((await recorded(page)).shown, await place.events());
  assert.deepEqual(told.errors, []);
  return 'an agent and a command were told, and were finished';
});

export const output = inPlace(async ({ place, browser, isQuick }) => {
  const lines = isQuick ? 200_000 : 2_000_000;
  const { page, told } = await openPage(browser, place);
  await whenLive(page);
  const { id } = await place.launch(['sh', '-c', `seq ${lines}; printf '\\033[31mred\\033[0m plain\\nnot ended'; echo wrong >&2; sleep 600`]);
  await within('the whole output', async () => (await place.ask('GET', `/v1/sessions/${id}/output/stderr`)).includes('wrong'));
  await open(page, id);
  const detail = detailOf(page, id);
  await detail.locator('.line').filter({ hasText: 'not ended' }).waitFor();
  assert.equal(await detail.locator('.line .fg1').textContent(), 'red');
  assert.equal(await detail.locator('.line').filter({ hasText: /^1$/ }).count(), 0, 'only the end is there');
  const first = () => detail.locator('.line').first().textContent();
  const before = Number(await first());
  assert.ok(before > 1);
  await detail.getByRole('button', { name: 'Earlier output' }).click();
  await within('earlier output', async () => Number(await first()) < before);
  const numbers = await detail.locator('.block .line').allTextContents();
  const own = numbers.map(Number).filter((number) => Number.isInteger(number) && number > 0);
  assert.equal(own.at(-1), lines);
  own.forEach((number, at) => assert.equal(number, own[0] + at, 'no line is torn, missing or there twice'));
  await page.keyboard.press('2');
  await detail.locator('.line').filter({ hasText: 'wrong' }).waitFor();
  await place.interrupt(id);
  await place.wait(id);
  assert.deepEqual(told.errors, []);
  return `${lines} lines, the end first, and back from there`;
});

export const olderSessions = inPlace(async ({ place, browser }) => {
  const count = 230;
  for (let at = 0; at < count; at += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, more) => place.launch(['true'], { title: `number-${String(at + more).padStart(3, '0')}` })));
  }
  const all = await place.ask('GET', '/v1/sessions?limit=1000');
  for (const { id } of all) await place.wait(id);
  const { page } = await openPage(browser, place);
  await whenLive(page);
  const counted = async (status) => Number(await page.locator(`.chip[data-status="${status}"] .count`).textContent());
  await within('the counts', async () => (await counted('completed')) === count);
  const inList = () => page.locator('#rows').getAttribute('data-count').then(Number);
  await within('the newest', async () => (await inList()) === 200);
  await page.locator('#search').fill(all.at(-1).title);
  await within('what is not loaded', async () => (await page.locator('.row .name').allTextContents()).includes(all.at(-1).title));
  await page.locator('#search').fill('');
  await page.locator('#list').evaluate((list) => { list.scrollTop = list.scrollHeight; });
  await page.getByRole('button', { name: 'Load older sessions' }).click();
  await within('the older ones', async () => (await inList()) === count);
  assert.ok(await page.locator('#more').isHidden());
  await page.locator('#group').selectOption('folder');
  await within('a group', async () => (await inList()) === count + 1);
  await page.locator('#group').selectOption('');
  await page.locator('.chip[data-status="failed"]').click();
  await within('a filter', async () => (await inList()) === 0);
  assert.match(await page.locator('#empty').textContent(), /No session that is loaded fits/);
  assert.ok((await page.locator('.row').count()) < 60, 'only what can be seen is in the document');
  return `${count} sessions in pages, found, grouped, filtered`;
});

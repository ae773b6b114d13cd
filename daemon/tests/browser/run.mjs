// Runs the tests of the page in a browser, one after the other, and prints a line for each. Started by
// `cargo xtask browser`, which says where everything is.

import { access } from 'node:fs/promises';
import { createRequire } from 'node:module';

import * as attacks from './attacks.mjs';
import { launchBrowser } from './browser.mjs';
import * as looks from './looks.mjs';
import * as races from './races.mjs';
import * as uses from './uses.mjs';

const isQuick = process.env.CANDOR_BROWSER_TIER !== 'full';
const filter = process.env.CANDOR_BROWSER_FILTER ?? '';
const seed = Number(process.env.CANDOR_BROWSER_SEED ?? Math.floor(Math.random() * 1e9));
const many = (quick, full) => (isQuick ? quick : full);

const TESTS = [
  ['interrupt_races', races.interruptRaces, { count: many(64, 500) }],
  ['interrupts_by_keys', races.interruptsByKeys, { count: many(8, 60) }],
  ['broken_connections', races.brokenConnections, { count: many(24, 150) }],
  ['says_that_it_is_not_live', races.saysThatItIsNotLive],
  ['daemon_restarts', races.daemonRestarts, { count: many(10, 60) }],
  ['lies_are_found', races.liesAreFound],
  ['login', uses.login],
  ['too_many_tabs', uses.tooManyTabs],
  ['hidden_tab', uses.hiddenTab],
  ['keys_alone', uses.keysAlone],
  ['launch_form', uses.launchForm],
  ['approvals', uses.approvals],
  ['messages', uses.messages],
  ['output', uses.output],
  ['older_sessions', uses.olderSessions],
  ['scripts_in_text', attacks.scriptsInText],
  ['spoofed_requests', attacks.spoofedRequests],
  ['no_foreign_requests', attacks.noForeignRequests],
  ['embedding', attacks.embedding],
  ['nothing_is_kept', attacks.nothingIsKept],
  ['accessibility', looks.accessibility],
  ['phone', looks.phone],
];

/** Says what is missing, or null. */
async function missing() {
  try {
    createRequire(`${process.env.CANDOR_BROWSER_MODULES}/`).resolve('playwright-core');
  } catch {
    return 'playwright-core is not installed: run `cargo xtask browser --install`';
  }
  try {
    await access(process.env.CANDOR_BROWSER_CHROMIUM);
  } catch {
    return `there is no Chromium at ${process.env.CANDOR_BROWSER_CHROMIUM}`;
  }
  return null;
}

async function main() {
  const why = await missing();
  const wanted = TESTS.filter(([name]) => name.includes(filter));
  if (why) {
    for (const [name] of wanted) console.log(`${name.padEnd(28)} skipped: ${why}`);
    return;
  }
  console.log(`browser: seed ${seed}`);
  const sums = { passed: 0, skipped: 0, failed: 0 };
  for (const [name, test, options = {}] of wanted) {
    const begun = Date.now();
    const browser = await launchBrowser();
    const line = (words) => console.log(`${name.padEnd(28)} ${words} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
    try {
      const told = await test({ browser, seed, isQuick, ...options });
      if (told?.skipped) {
        sums.skipped += 1;
        line(`skipped: ${told.skipped}`);
      } else {
        sums.passed += 1;
        line(`passed: ${told}`);
      }
    } catch (error) {
      sums.failed += 1;
      line(`FAILED\n${error.stack}`);
    } finally {
      await browser.close();
    }
  }
  if (process.env.CANDOR_BROWSER_SCREENSHOTS) console.log(await looks.screenshots({ folder: process.env.CANDOR_BROWSER_SCREENSHOTS }));
  console.log(`${wanted.length} tests of the page: ${sums.passed} passed, ${sums.skipped} skipped, ${sums.failed} failed`);
  if (sums.failed > 0) process.exitCode = 1;
}

await main();

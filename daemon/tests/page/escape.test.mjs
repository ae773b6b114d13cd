// How text of others is shown where somebody decides on it: the corpus of spoofed requests.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { manyLines, oneLine, segments } from '../../web/escape.js';
import { SPOOFS } from './spoofs.mjs';

test('nothing that cannot be seen is shown as it is', () => {
  assert.ok(SPOOFS.length >= 60);
  for (const { name, text, tells } of SPOOFS) {
    const all = segments(text);
    const shown = all.filter((piece) => piece.kind !== 'break').map((piece) => piece.text).join('');
    assert.match(shown, /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}\u3164\u115f\u2800\ufe0f]*$/u, name);
    const told = all.filter((piece) => piece.kind !== 'plain').map((piece) => piece.text);
    assert.ok(told.includes(tells), `${name}: ${JSON.stringify(told)} does not tell ${tells}`);
  }
});

test('a plain command is shown as it is', () => {
  assert.deepEqual(segments('rm -rf ./build && echo done'), [
    { kind: 'plain', text: 'rm -rf ./build && echo done' },
  ]);
});

test('lines stay lines where there may be several, and one line is one', () => {
  assert.equal(oneLine('a\nb\tc\u202ed'), 'a b c⟨U+202E⟩d');
  assert.equal(manyLines('a\r\n\tb\u200b\n'), 'a\n\tb⟨U+200B⟩\n');
});

// The parser of coloured output, alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { AnsiParser, LINE_CHARS_MAX, SEQUENCE_CHARS_MAX, styled } from '../../web/ansi.js';

function parsed(...piecesOfOutput) {
  const parser = new AnsiParser();
  const lines = piecesOfOutput.flatMap((piece) => parser.push(piece));
  const open = parser.open();
  return open.length > 0 ? [...lines, open] : lines;
}

function plain(...piecesOfOutput) {
  return parsed(...piecesOfOutput).map((line) => line.map((piece) => piece.text).join(''));
}

test('colours and weights go with the text, to the end of the style', () => {
  const [line] = parsed('a\x1b[1;31mb\x1b[0mc\x1b[38;5;196md\x1b[48;2;1;2;3me\x1b[mf\n');
  const told = line.map(({ text, style }) => [text, style.fg, style.bg, style.bold]);
  assert.deepEqual(told, [
    ['a', null, null, false], ['b', 1, null, true], ['c', null, null, false],
    ['d', [255, 0, 0], null, false], ['e', [255, 0, 0], [1, 2, 3], false], ['f', null, null, false],
  ]);
});

test('a style goes on in the next line', () => {
  const [, second] = parsed('\x1b[32mone\ntwo\n');
  assert.equal(second[0].style.fg, 2);
});

test('numbers that are no colours change nothing', () => {
  const style = styled(styled({ fg: null, bg: null }, '31'), '38;5;256');
  assert.equal(style.fg, 1);
  assert.equal(styled({ fg: null }, '38;2;1;2').fg, null);
  assert.equal(styled({ fg: null }, '38;2;1;2;999').fg, null);
  assert.equal(styled({ fg: null }, '?31').fg, null);
  assert.equal(styled({ fg: null }, '>4;1').fg, null);
  assert.equal(styled({ fg: null }, '1000000000000000000000').fg, null);
});

test('whatever else a terminal would obey is left out', () => {
  const odd = [
    '\x1b[2J', '\x1b[10;20H', '\x1b[?1049h', '\x1b]0;a title\x07', '\x1b]8;;javascript:alert(1)\x1b\\',
    '\x1b]52;c;Zm9v\x07', '\x1bP$q"p\x1b\\', '\x1b(B', '\x1b=', '\x1bc', '\x1b[6n', '\x9b31m', '\x9d0;t\x9c',
    '\x1b[>c', '\x1b_private\x1b\\', '\x07', '\x08',
  ];
  for (const sequence of odd) {
    assert.deepEqual(plain(`a${sequence}b\n`), ['ab'], JSON.stringify(sequence));
  }
});

test('pieces of any length come to the same', () => {
  const source = 'a\x1b[1;31mred\x1b[0m\r\nb\x1b]0;title\x07c\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n50%\r100%\n';
  const whole = parsed(source);
  for (let length = 1; length < source.length; length += 1) {
    const cut = [];
    for (let at = 0; at < source.length; at += length) cut.push(source.slice(at, at + length));
    const together = parsed(...cut).map((line) => line.map((one) => [one.text, one.style.fg]));
    assert.deepEqual(together, whole.map((line) => line.map((one) => [one.text, one.style.fg])), `${length}`);
  }
  assert.deepEqual(plain(source), ['ared', 'bclink', '100%']);
});

test('a sequence without an end holds nothing up', () => {
  const endless = plain(`a\x1b[${'1;'.repeat(SEQUENCE_CHARS_MAX)}b\n`);
  assert.equal(endless.length, 1);
  assert.ok(endless[0].endsWith('b'));
  const title = plain(`a\x1b]0;${'t'.repeat(2 * SEQUENCE_CHARS_MAX)}`);
  assert.ok(title[0].length > SEQUENCE_CHARS_MAX);
});

test('a line without an end is cut into lines', () => {
  const lines = plain('x'.repeat(2 * LINE_CHARS_MAX + 5));
  assert.deepEqual(lines.map((line) => line.length), [LINE_CHARS_MAX, LINE_CHARS_MAX, 5]);
});

test('markup is text, and what cannot be seen is shown', () => {
  assert.deepEqual(plain('<img src=x onerror=alert(1)>\n'), ['<img src=x onerror=alert(1)>']);
  assert.deepEqual(plain('a\u202eb\u200bc\x01\n'), ['a\ufffdb\ufffdc\u2401']);
});

test('any bytes at all come to lines', () => {
  let seed = 7;
  const random = (below) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  const alphabet = '\x1b\x1b\x1b[]P\\;:?m0123456789abc\x07\x9b\x9c\r\n \u202e<>&';
  for (let round = 0; round < 2000; round += 1) {
    const source = Array.from({ length: random(80) }, () => alphabet[random(alphabet.length)]).join('');
    for (const line of plain(source, '\n')) {
      assert.ok(!/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/.test(line), JSON.stringify([source, line]));
    }
  }
});

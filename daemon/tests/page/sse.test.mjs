// The parser of the page's event stream, alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EVENT_CHARS_MAX, LineParser, SseParser } from '../../web/sse.js';

const STREAM = ': keep-alive\n\nid: 7\nevent: status_changed\ndata: {"a":\ndata: 1}\n\n'
  + 'data:no blank\r\n\r\nevent: lone\n\nid: 8\rdata: x\r\rdata\n\nunknown: y\ndata: last\n\ndata: unfinished';
const EVENTS = [
  { id: '7', event: 'status_changed', data: '{"a":\n1}' },
  { id: '7', event: 'message', data: 'no blank' },
  { id: '8', event: 'message', data: 'x' },
  { id: '8', event: 'message', data: '' },
  { id: '8', event: 'message', data: 'last' },
];

test('events come whole, whatever pieces the stream comes in', () => {
  for (let length = 1; length <= STREAM.length; length += 1) {
    const parser = new SseParser();
    const events = [];
    for (let at = 0; at < STREAM.length; at += length) {
      events.push(...parser.push(STREAM.slice(at, at + length)));
    }
    assert.deepEqual(events, EVENTS, `pieces of ${length}`);
  }
});

test('a mark of the byte order is left out at the beginning alone', () => {
  assert.deepEqual(new SseParser().push('\uFEFFdata: a\n\n'), [{ id: '', event: 'message', data: 'a' }]);
  const second = new SseParser();
  second.push('data: a\n\n');
  assert.deepEqual(second.push('\uFEFFdata: b\n\n'), []);
});

test('an id with a NUL is none', () => {
  const [event] = new SseParser().push('id: 1\nid: 2\0\ndata: a\n\n');
  assert.equal(event.id, '1');
});

test('an event without an end is not kept for ever', () => {
  const parser = new SseParser();
  const line = `data: ${'x'.repeat(1 << 20)}\n`;
  assert.throws(() => {
    for (let count = 0; count <= EVENT_CHARS_MAX >> 20; count += 1) parser.push(line);
  }, /too long/);
});

test('lines come whole, and empty ones not at all', () => {
  const parser = new LineParser();
  assert.deepEqual(parser.push('{"a"'), []);
  assert.deepEqual(parser.push(':1}\n\n{"b":2}\n{'), ['{"a":1}', '{"b":2}']);
  assert.deepEqual(parser.push('}\n'), ['{}']);
});

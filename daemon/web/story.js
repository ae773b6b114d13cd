// How a session came to its status: the verdict in words, what it rests on, the lanes of what happened,
// and each change.

import { send, pathOf } from './api.js';
import { h, replace, setText, svg } from './dom.js';
import { manyLines, oneLine } from './escape.js';
import { isTerminal } from './store.js';
import { bytesText, causeText, commandLine, durationText, exitText, person, runAgain, sentence, spanText, supervisionText, text, timeText, usageText, word } from './words.js';

const LANES = ['user', 'daemon', 'process', 'store'];
const LANE_WIDTH = 150;
const LEFT = 84;
const ROW = 24;
/** Steps that are drawn; the table has all changes. */
const STEPS_MAX = 200;

export class Story {
  element = h('div', { class: 'story' });
  #verdict = h('p', { class: 'verdict' });
  #facts = h('dl', { class: 'facts' });
  #again = h('code', { class: 'again' });
  #chart = h('div', { class: 'chart', tabindex: '0', role: 'group', 'aria-label': 'Lanes of what happened' });
  #rows = h('tbody', {});
  #session;
  #drawn = null;
  #told = null;
  #isStopped = false;

  constructor(session) {
    this.#session = session;
    const copied = h('span', { class: 'fine', role: 'status' });
    this.element.append(
      this.#verdict,
      h('h3', {}, 'What happened'), this.#chart,
      h('h3', {}, 'What it rests on'), this.#facts,
      h('h3', {}, 'Each change'),
      h('div', { class: 'table-scroll', tabindex: '0', role: 'group', 'aria-label': 'Each change' },
        h('table', { class: 'changes' },
          h('thead', {}, h('tr', {}, ['Rev.', 'Time', 'Change', 'Cause', 'By'].map((name) => h('th', { scope: 'col' }, name)))),
          this.#rows)),
      h('h3', {}, 'Run it again'),
      h('p', { class: 'again-line' }, this.#again, h('button', {
        type: 'button', class: 'quiet',
        onclick: async () => {
          await navigator.clipboard?.writeText(this.#again.textContent);
          setText(copied, 'copied');
        },
      }, 'Copy'), copied),
    );
  }

  stop() {
    this.#isStopped = true;
  }

  show(view, story) {
    setText(this.#verdict, manyLines(sentence(view)));
    setText(this.#again, oneLine(runAgain(view)));
    const told = JSON.stringify([view.revision, view.supervision, view.agent?.usage, view.agent?.model]);
    if (this.#told !== told) {
      this.#told = told;
      replace(this.#facts, factsOf(view).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
    }
    const events = story?.session === this.#session ? story.events : [];
    const key = `${view.revision}:${events.length}`;
    if (this.#drawn === key) return;
    this.#drawn = key;
    this.#showChanges(events);
    this.#draw(events);
  }

  #showChanges(events) {
    let before = null;
    replace(this.#rows, events.map((event) => {
      const since = before ? `+${preciseText(Date.parse(event.at) - Date.parse(before.at))}` : '';
      before = event;
      const isChange = event.from !== event.to;
      const to = event.to ? word(event.to) : 'removed';
      return h('tr', {},
        h('td', { class: 'number' }, String(event.revision)),
        h('td', {}, h('time', { datetime: event.at, title: event.at }, timeText(event.at, Date.now())), h('span', { class: 'since' }, since)),
        h('td', {}, isChange && event.from ? `${word(event.from)} → ` : '', h('strong', { data: { status: event.to ?? 'removed' } }, to),
          event.outcome && event.outcome !== 'succeeded' ? ` (${word(event.outcome)})` : ''),
        h('td', {}, causeText(event.cause)),
        h('td', {}, person(event.by)));
    }));
  }

  async #draw(events) {
    let entries;
    try {
      const answer = await send('GET', pathOf(this.#session, 'timeline'));
      entries = stepsOf(await answer.text(), events);
    } catch {
      replace(this.#chart, h('p', { class: 'fine' }, 'There is no recording of this session. The changes below are all that is known.'));
      return;
    }
    if (this.#isStopped) return;
    const shown = entries.slice(-STEPS_MAX);
    const rest = entries.length - shown.length;
    replace(this.#chart, rest > 0 && h('p', { class: 'fine' }, `The first ${rest} steps are left out.`), chart(shown));
  }
}

function preciseText(ms) {
  return ms < 10_000 ? `${(ms / 1000).toFixed(ms < 1000 ? 3 : 2)} s` : spanText(ms);
}

function factsOf(view) {
  const { evidence, report, intent, agent } = view;
  const now = Date.now();
  const output = evidence.output;
  const facts = [
    ['Session', h('code', {}, view.id)],
    ['Continues', view.parent && h('a', { href: `#/s/${view.parent}` }, view.parent)],
    ['Command', h('code', {}, oneLine(commandLine(view.command)))],
    ['Folder', h('code', {}, oneLine(text(view.cwd)))],
    ['Agent', agent && [agent.kind, agent.version, agent.model].filter(Boolean).map(oneLine).join(' · ')],
    ['Watched', supervisionText(view.supervision)],
    ['Asked for', intent && `${word(intent.kind)} by ${person(intent.by)} at ${timeText(intent.at, now)}`],
    ['Ladder', evidence.rung && `went up to ${word(evidence.rung)}`],
    ['Exit', exitText(view.exit)],
    ['Seen by', evidence.witness && word(evidence.witness)],
    ['Report', report && manyLines([report.success ? 'success' : 'error', report.kind, report.message].filter(Boolean).join(' · '))],
    ['Report came', report && intent && evidence.report_before_intent !== null
      && (evidence.report_before_intent ? 'before the end was asked for' : 'after the end was asked for')],
    ['Used', agent && usageText(agent.usage, agent.cost_usd)],
    ['Left behind', evidence.left_behind > 0 && `${evidence.left_behind} of its processes still ran when it ended`],
    ['Printed', output && `${bytesText(output.stdout_bytes)} to stdout, ${bytesText(output.stderr_bytes)} to stderr`],
    ...evidence.notes.map((note) => ['Note', `${timeText(note.at, now)} ${manyLines(note.text)}`]),
    ['Created', timeText(view.created_at, now)],
    ['Started', timeText(view.started_at, now)],
    ['Ran for', isTerminal(view.status) && view.started_at && durationText(view, now)],
    ['Ended', timeText(view.ended_at, now)],
  ];
  return facts.filter(([, value]) => value);
}

/** Reads a recording, and says of each line who told whom what. */
export function stepsOf(recording, events) {
  const steps = [];
  const changes = [...events].sort((one, other) => one.revision - other.revision);
  let stored = 0;
  let base = null;
  for (const line of recording.split('\n')) {
    if (!line) continue;
    const { at, call } = JSON.parse(line);
    if (!call) continue;
    base ??= at;
    const since = at - base;
    if (call.create) steps.push({ since, from: 'user', to: 'daemon', text: call.create.queued ? 'queue' : 'launch' });
    else if (call.resume) steps.push({ since, from: 'daemon', to: 'daemon', text: 'a new daemon takes over', isTurn: true });
    else if (call.take) steps.push({ since, ...inputStep(call.take.input) });
    else if (call.answered === 'stored') {
      const event = changes[stored];
      stored += 1;
      const told = event && [word(event.to), event.from === event.to ? causeText(event.cause) : '',
        event.outcome && event.outcome !== 'succeeded' ? word(event.outcome) : ''].filter(Boolean).join(' · ');
      steps.push({ since, from: 'daemon', to: 'store', text: told ?? 'stored', status: event?.to, outcome: event?.outcome });
    } else if (call.answered !== undefined) {
      steps.push({ since, from: 'store', to: 'daemon', text: `not stored: ${keyOf(call.answered)}`, isBad: true });
    } else if (call.looked) steps.push({ since, from: 'store', to: 'daemon', text: 'row read again' });
    else if (call === 'retry') steps.push({ since, from: 'daemon', to: 'store', text: 'once more' });
  }
  return steps;
}

function keyOf(value) {
  return word(typeof value === 'string' ? value : Object.keys(value ?? {})[0]);
}

const FROM_PROCESS = new Set(['spawned', 'adopted', 'gone', 'reported', 'report', 'turn_ended', 'turn_began', 'request_opened', 'request_closed', 'unreachable', 'request_withdrawn']);

function inputStep(input) {
  const key = typeof input === 'string' ? input : Object.keys(input)[0];
  const value = input[key];
  if (key === 'stop') return { from: 'user', to: 'daemon', text: word(keyOf(value)) };
  if (key === 'gone') return { from: 'process', to: 'daemon', text: goneText(value) };
  if (key === 'due' || key === 'deadline') return { from: 'daemon', to: 'daemon', text: `time over: ${keyOf(value)}` };
  if (FROM_PROCESS.has(key)) return { from: 'process', to: 'daemon', text: word(key) };
  return { from: 'daemon', to: 'daemon', text: word(key) };
}

function goneText(end) {
  if (end?.exited) {
    const { exit } = end.exited;
    if (exit.code !== undefined) return `exit ${exit.code}`;
    return `signal ${exit.signal?.number ?? ''}`.trim();
  }
  return word(keyOf(end));
}

/** Draws steps: lanes from left to right, time downwards, an arrow for each message. */
function chart(steps) {
  const x = Object.fromEntries(LANES.map((lane, at) => [lane, LEFT + at * LANE_WIDTH + LANE_WIDTH / 2]));
  const width = LEFT + LANES.length * LANE_WIDTH;
  const height = (steps.length + 2) * ROW;
  const drawing = svg('svg', {
    viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', class: 'lanes',
    'aria-label': `${steps.length} steps between user, daemon, process and store. The table below has each change in words.`,
  }, svg('defs', {}, svg('marker', {
    id: 'tip', viewBox: '0 0 6 6', refX: 5, refY: 3, markerWidth: 7, markerHeight: 7, markerUnits: 'userSpaceOnUse', orient: 'auto',
  }, svg('path', { d: 'M0 0L6 3L0 6', class: 'tip' }))));
  for (const lane of LANES) {
    drawing.append(
      svg('text', { x: x[lane], y: 15, class: 'lane-name', 'text-anchor': 'middle' }, lane),
      svg('line', { x1: x[lane], x2: x[lane], y1: 24, y2: height - 6, class: 'lane' }));
  }
  let lastTime = '';
  steps.forEach((step, at) => {
    const y = (at + 2) * ROW;
    const time = preciseText(step.since);
    if (time !== lastTime) drawing.append(svg('text', { x: LEFT - 12, y: y + 4, class: 'time', 'text-anchor': 'end' }, time));
    lastTime = time;
    drawing.append(...stepElements(step, x, y));
  });
  return drawing;
}

function stepElements({ from, to, text: told, status, outcome, isBad, isTurn }, x, y) {
  const kind = outcome === 'interrupted' ? 'interrupted' : status ?? '';
  const data = { status: kind };
  if (from === to) {
    return [svg('circle', { cx: x[from], cy: y, r: 3.5, class: isTurn ? 'dot turn' : 'dot' }),
      svg('text', { x: x[from] + 9, y: y + 4, class: 'step' }, told)];
  }
  const [start, end] = [x[from], x[to]];
  const isRight = end > start;
  const away = isRight ? 1 : -1;
  const textX = (start + end) / 2;
  const label = svg('text', { x: textX, y: y - 4, class: `step${isBad ? ' bad' : ''}`, 'text-anchor': 'middle', data }, told);
  return [svg('line', { x1: start + 4 * away, x2: end - 4 * away, y1: y, y2: y, class: 'arrow', 'marker-end': 'url(#tip)' }), label];
}

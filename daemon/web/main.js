// The page: puts store, connection and views together, and listens to addresses and keys.

import { Actions } from './actions.js';
import { get } from './api.js';
import { Approvals, review } from './decide.js';
import { Detail } from './detail.js';
import * as dialogs from './dialogs.js';
import { byId, h, replace, setAttribute, setHidden, setText } from './dom.js';
import { oneLine } from './escape.js';
import { launch } from './launch.js';
import { List } from './list.js';
import { Live, Store, StoryReader } from './live.js';
import { lend } from './login.js';
import { openApprovals } from './select.js';
import { nameOf, timeText, word } from './words.js';

const PAGE_SESSIONS = 200;
const HITS_MAX = 100;
/** How long nobody must have typed before the daemon is asked. */
const SEARCH_PAUSE_MS = 250;
/** What is announced is gathered for so long, so that many changes do not talk over each other. */
const ANNOUNCE_MS = 1_000;
const TITLE = 'Candor';

const store = new Store();
const actions = new Actions(store);
const live = new Live(store);
const list = new List({ list: byId('list'), rows: byId('rows'), empty: byId('empty'), chips: byId('chips') }, () => draw());
const detail = new Detail(byId('detail'), store, actions, (id) => openSession(id));
const approvals = new Approvals(byId('approvals'), (session, number) => review(store, actions, session, number));

let isDrawing = false;
const story = new StoryReader(store);

/** Shows what the store says, once in a frame at most. */
function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    const { state } = store;
    showConnection(state);
    approvals.show(state);
    list.show(state, detail.session);
    detail.show(state);
    showNotices(state);
    setHidden(byId('more'), !state.older);
    const open = openApprovals(state).length;
    const title = open > 0 ? `(${open}) ${TITLE}` : TITLE;
    if (document.title !== title) document.title = title;
    story.look(detail.session);
  });
}

const BANNERS = {
  no_token: 'This tab is not logged in. Run “candor open” in a terminal: it opens a page that is.',
  code_used: 'This login has been used, or is too old. Run “candor open” again for a new one.',
  logged_out: 'The login has ended. Run “candor open” in a terminal to log in again.',
  too_many: 'Too many tabs are open: this one gets no news until another is closed.',
};

function showConnection({ connection, needsSnapshot }) {
  const { phase, why, lastLiveAt } = connection;
  const isLive = phase === 'live' && !needsSnapshot;
  const since = lastLiveAt ? `not live since ${timeText(lastLiveAt, Date.now())}` : 'not live';
  const text = isLive ? 'live' : phase === 'opening' ? 'connecting' : phase === 'live' ? 'looking anew' : since;
  setText(byId('connection-text'), text);
  setAttribute(byId('connection'), 'data-phase', isLive ? 'live' : phase);
  setAttribute(document.body, 'data-stale', !isLive && phase !== 'opening' && phase !== 'live');
  let banner = BANNERS[phase] ?? '';
  if (phase === 'down') banner = `${why ?? 'The daemon does not answer.'} What is shown is as of ${lastLiveAt ? timeText(lastLiveAt, Date.now()) : 'before'}. Trying again…`;
  if (phase === 'down' && !lastLiveAt) banner = `${why ?? 'The daemon does not answer.'} Trying again…`;
  setText(byId('banner'), banner);
  setHidden(byId('banner'), banner === '');
}

function showNotices({ notices }) {
  const element = byId('notices');
  const key = notices.map((notice) => notice.number).join();
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  replace(element, notices.map((notice) => h('p', { class: 'notice' }, notice.text,
    h('button', {
      type: 'button', class: 'quiet icon', 'aria-label': 'Dismiss',
      onclick: () => store.dispatch({ type: 'notice_dismissed', number: notice.number }),
    }, '✕'))));
}

// What changed, for those who do not see it, and for the notifications that somebody asked for.

let announced = 0;
let announceTimer = null;
let knownRequests = null;

store.subscribe((state) => {
  draw();
  if (!announceTimer) announceTimer = setTimeout(announce, ANNOUNCE_MS);
  notifyOfRequests(state);
});

function announce() {
  announceTimer = null;
  const { changes, sessions } = store.state;
  const news = changes.filter((change) => change.seq > announced && change.from !== null);
  announced = changes.at(-1)?.seq ?? announced;
  if (news.length === 0) return;
  const told = news.slice(-3).map(({ session, to, outcome }) => {
    const view = sessions.get(session)?.view;
    return `${view ? oneLine(nameOf(view)).slice(0, 60) : 'A session'}: ${word(to)}${outcome ? `, ${word(outcome)}` : ''}`;
  });
  if (news.length > 3) told.unshift(`${news.length} changes`);
  setText(byId('announcer'), told.join('. '));
}

function notifyOfRequests(state) {
  const open = openApprovals(state);
  const ids = new Set(open.map(({ request }) => request.id));
  const isOn = byId('notify').getAttribute('aria-pressed') === 'true';
  if (knownRequests && isOn && document.visibilityState === 'hidden') {
    for (const { view, request } of open) {
      if (knownRequests.has(request.id)) continue;
      new Notification(`${view.agent?.kind ?? 'An agent'} asks for ${oneLine(request.tool)}`, { body: oneLine(nameOf(view)), tag: request.id });
    }
  }
  if (!state.needsSnapshot) knownRequests = ids;
}

byId('notify').addEventListener('click', async ({ currentTarget: button }) => {
  const isOn = button.getAttribute('aria-pressed') === 'true';
  const may = !isOn && 'Notification' in window && (await Notification.requestPermission()) === 'granted';
  setAttribute(button, 'aria-pressed', may ? 'true' : 'false');
});

// Addresses: #/ and #/s/ID/PART.

function openSession(id, tab = null) {
  window.location.hash = tab ? `#/s/${id}/${tab}` : `#/s/${id}`;
}

/** Says whether an address has a shortened id, which is then written out. */
function isShort(hash) {
  const found = /^#\/s\/([0-9a-f-]{4,36})$/.exec(hash);
  if (!found) return false;
  get(`/v1/sessions/${found[1]}`).then(({ id }) => {
    if (window.location.hash === hash) window.location.replace(`#/s/${id}`);
  }).catch((problem) => {
    if (window.location.hash !== hash) return;
    window.location.replace('#/');
    store.dispatch({ type: 'notice', text: problem.message, at: Date.now() });
  });
  return true;
}

function route() {
  const found = /^#\/s\/([0-9a-f-]{36})(?:\/([a-z]+))?$/.exec(window.location.hash);
  if (!found && isShort(window.location.hash)) return;
  const before = detail.session;
  setAttribute(document.body, 'data-open', Boolean(found));
  if (found) {
    const [, id, tab] = found;
    store.dispatch({ type: 'story_opened', session: id });
    detail.open(id, tab ?? null);
    list.select(id, false);
    story.look(id);
    if (before !== id) detail.focus();
  } else {
    store.dispatch({ type: 'story_closed' });
    detail.none();
    story.stop();
    if (before) list.select(before);
  }
  draw();
}

window.addEventListener('hashchange', route);

// Older sessions, and the search for them.

async function readPage(query, isOlder) {
  const { epoch, cursor: asOf } = store.state;
  try {
    const sessions = await get(`/v1/sessions?${query}`);
    const older = isOlder ? (sessions.length < PAGE_SESSIONS ? null : sessions.at(-1).id) : undefined;
    store.dispatch({ type: 'page', epoch, asOf, sessions, older });
  } catch (problem) {
    if (problem.kind !== 'network') store.dispatch({ type: 'notice', text: problem.message, at: Date.now() });
  }
}

byId('older').addEventListener('click', async ({ currentTarget: button }) => {
  button.disabled = true;
  await readPage(`limit=${PAGE_SESSIONS}&before=${encodeURIComponent(store.state.older)}`, true);
  button.disabled = false;
});

let searchTimer = null;
byId('search').addEventListener('input', ({ currentTarget: input }) => {
  list.filter.words = input.value;
  draw();
  clearTimeout(searchTimer);
  const query = input.value.trim();
  if (query.length < 2 || !store.state.older) return;
  searchTimer = setTimeout(() => readPage(`limit=${HITS_MAX}&q=${encodeURIComponent(query)}`, false), SEARCH_PAUSE_MS);
});
byId('group').addEventListener('change', ({ currentTarget: select }) => {
  list.filter.by = select.value;
  draw();
});

// The theme is the one thing that is kept in this browser.

const THEMES = ['auto', 'light', 'dark'];
function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = byId('theme');
  setText(button, { auto: '◐', light: '☀', dark: '☾' }[theme]);
  setAttribute(button, 'aria-label', `Theme: ${theme}`);
}
showTheme(THEMES.includes(localStorage.getItem('candor.theme')) ? localStorage.getItem('candor.theme') : 'auto');
byId('theme').addEventListener('click', () => {
  const now = document.documentElement.dataset.theme;
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  localStorage.setItem('candor.theme', next);
  showTheme(next);
});

byId('launch').addEventListener('click', () => launch(store, actions, (id) => openSession(id)));
byId('help').addEventListener('click', () => dialogs.help());

// Keys.

function chosen() {
  return detail.view ?? store.state.sessions.get(list.selected)?.view;
}

function decide(wanted) {
  const all = openApprovals(store.state);
  const own = all.find(({ view }) => view.id === chosen()?.id) ?? all[0];
  if (own) review(store, actions, own.view.id, own.request.number, wanted);
}

const KEYS = {
  j: () => list.move(1),
  k: () => list.move(-1),
  '/': () => byId('search').focus(),
  n: () => byId('launch').click(),
  i: () => detail.interrupt(chosen()),
  K: () => detail.kill(chosen()),
  c: () => detail.continue(chosen()),
  a: () => decide('approve'),
  d: () => decide('deny'),
  '?': () => dialogs.help(),
  1: () => detail.part(1), 2: () => detail.part(2), 3: () => detail.part(3), 4: () => detail.part(4),
};

document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || dialogs.isOpen()) return;
  const isTyping = event.target.closest('input, textarea, select');
  if (event.key === 'Escape') {
    if (isTyping) event.target.blur();
    else if (detail.session) window.location.hash = '#/';
    return;
  }
  if (isTyping) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

byId('rows').addEventListener('focusin', ({ target }) => {
  const session = target.closest('.row')?.dataset.session;
  if (session) list.selected = session;
});

setInterval(() => {
  if (document.visibilityState === 'visible') {
    list.tick();
    detail.show(store.state);
  }
}, 1000);

lend();
live.run().catch((error) => store.dispatch({ type: 'notice', text: `The page is broken: ${error.message}`, at: Date.now() }));
route();

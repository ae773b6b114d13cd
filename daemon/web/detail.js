// One session: how it stands, what can be done, and its parts: conversation, output, story.

import { Conversation } from './conversation.js';
import { review, showRequests } from './decide.js';
import { confirm } from './dialogs.js';
import { h, replace, setAttribute, setHidden, setText } from './dom.js';
import { oneLine } from './escape.js';
import { goOn } from './launch.js';
import { Output } from './output.js';
import { knownAt, pendingOf } from './select.js';
import { pendingText, showStatus, statusElement } from './status.js';
import { isTerminal } from './store.js';
import { Story } from './story.js';
import { durationText, nameOf, sentence, shortId, supervisionText, text, usageText } from './words.js';

/** How near to the end somebody must be to go along with what comes, in pixels. */
const AT_END_PX = 48;

export class Detail {
  session = null;
  tab = null;
  #element;
  #store;
  #actions;
  #go;
  #parts = null;
  #part = null;
  #isAtEnd = true;

  constructor(element, store, actions, go) {
    this.#element = element;
    this.#store = store;
    this.#actions = actions;
    this.#go = go;
    this.none();
  }

  /** Shows that no session is open. */
  none() {
    this.#close();
    replace(this.#element, h('p', { class: 'empty' }, 'Choose a session to see its story.'));
  }

  #close() {
    this.#part?.stop();
    this.#part = null;
    this.#parts = null;
    this.session = null;
    this.tab = null;
    delete this.#element.dataset.session;
    delete this.#element.dataset.tab;
  }

  /** Opens a session, or another part of it. */
  open(session, tab) {
    if (this.session !== session) {
      this.#close();
      this.session = session;
      this.#element.dataset.session = session;
      replace(this.#element, h('p', { class: 'empty' }, 'Reading the session…'));
    }
    this.#wanted = tab;
    this.show(this.#store.state);
  }

  #wanted = null;

  show(state) {
    if (!this.session) return;
    const view = state.sessions.get(this.session)?.view;
    if (!view) {
      if (state.removed.has(this.session)) this.#gone();
      return;
    }
    if (!this.#parts) this.#build(view);
    this.#showHead(state, view);
    showRequests(this.#parts.requests, state, view, (id, number) => review(this.#store, this.#actions, id, number));
    const tab = this.#wanted && this.#parts.tabs.has(this.#wanted) ? this.#wanted : this.#firstTab(view);
    if (tab !== this.tab) this.#openTab(tab);
    this.#part?.show?.(view, state.story);
  }

  #gone() {
    const { session } = this;
    this.#part?.stop();
    this.#part = null;
    this.#parts = null;
    if (this.#element.dataset.gone === session) return;
    this.#element.dataset.gone = session;
    replace(this.#element, this.#back(), h('p', { class: 'empty' }, 'There is no such session, or there is none any more.'));
  }

  #firstTab(view) {
    return view.agent ? 'conversation' : 'output';
  }

  #back() {
    return h('a', { class: 'back quiet', href: '#/' }, '‹ Sessions');
  }

  #build(view) {
    delete this.#element.dataset.gone;
    const parts = {
      name: h('h2', { class: 'title', tabindex: '-1' }), status: statusElement(), pending: h('span', { class: 'pending' }),
      sentence: h('p', { class: 'sentence' }), meta: h('p', { class: 'meta' }), actions: h('div', { class: 'actions', role: 'group', 'aria-label': 'Actions' }),
      requests: h('div', { class: 'requests', hidden: true }), body: h('div', { class: 'body', tabindex: '-1' }),
      watched: h('p', { class: 'trouble', hidden: true }), tabs: new Map(), message: null, buttons: new Map(),
    };
    this.#parts = parts;
    parts.body.addEventListener('scroll', () => {
      this.#isAtEnd = parts.body.scrollHeight - parts.body.scrollTop - parts.body.clientHeight < AT_END_PX;
    }, { passive: true });
    const names = view.agent ? [['conversation', 'Conversation'], ['story', 'Story'], ['output', 'Raw output'], ['stderr', 'Errors']]
      : [['output', 'Output'], ['stderr', 'Errors'], ['story', 'Story']];
    const tabs = h('nav', { class: 'tabs', 'aria-label': 'Parts of the session' });
    for (const [key, name] of names) {
      const tab = h('a', { class: 'tab', href: `#/s/${view.id}/${key}`, data: { tab: key } }, name);
      parts.tabs.set(key, tab);
      tabs.append(tab);
    }
    this.#addButtons(view);
    parts.message = this.#messageForm(view);
    replace(this.#element, this.#back(),
      h('header', { class: 'head' }, parts.name,
        h('p', { class: 'head-status' }, parts.status, parts.pending), parts.sentence, parts.watched, parts.meta, parts.actions),
      parts.requests, tabs, parts.body, parts.message.form);
  }

  #addButtons(view) {
    const add = (key, name, kind, act, hint) => {
      const button = h('button', { type: 'button', class: kind, data: { action: key }, title: hint, onclick: act }, name);
      this.#parts.buttons.set(key, button);
      this.#parts.actions.append(button);
    };
    add('interrupt', 'Interrupt', '', () => this.interrupt(), 'Ask it to stop (i)');
    add('kill', 'Kill', 'danger', () => this.kill(), 'End it at once (K)');
    if (view.agent?.interactive) add('finish', 'Finish', '', () => this.#actions.finish(view.id), 'End it after its turn');
    if (view.input === 'held' && !view.agent) add('end-input', 'Close its input', '', () => this.#actions.endInput(view.id), 'Nothing more will be sent');
    if (view.agent) add('continue', 'Continue', '', () => this.continue(), 'Go on with it in a new session (c)');
    add('delete', 'Delete', 'danger', () => this.delete(), 'Remove it and its output');
  }

  #messageForm(view) {
    const input = h('textarea', { rows: 1, 'aria-label': view.agent ? 'Message to the agent' : 'Line for its input', placeholder: view.agent ? 'Message to the agent' : 'A line for its input' });
    const form = h('form', {
      class: 'message-form', hidden: true,
      onsubmit: async (event) => {
        event.preventDefault();
        if (!input.value.trim() && view.agent) return;
        const value = input.value;
        input.value = '';
        const done = await this.#actions.message(view.id, value, Boolean(view.agent));
        if (!done && !input.value) input.value = value;
      },
    }, input, h('button', { type: 'submit', class: 'primary' }, 'Send'));
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    return { form, input };
  }

  #showHead(state, view) {
    const { name, status, pending, sentence: told, meta, watched, buttons, message } = this.#parts;
    const isLive = !isTerminal(view.status);
    const isEnding = view.status === 'completing';
    setText(name, oneLine(nameOf(view)));
    showStatus(status, view);
    setText(pending, pendingText(pendingOf(state, view.id)));
    setText(told, oneLine(sentence(view)));
    setText(watched, isLive ? supervisionText(view.supervision) : '');
    setHidden(watched, watched.textContent === '');
    setText(meta, [view.agent && [view.agent.kind, view.agent.model].filter(Boolean).join(' '), oneLine(text(view.cwd)),
      durationText(view, knownAt(state, Date.now())), usageText(view.agent?.usage, view.agent?.cost_usd), shortId(view.id)].filter(Boolean).join(' · '));
    const asked = new Set(pendingOf(state, view.id).map((action) => action.kind));
    const show = (key, isShown, isBusy = false) => {
      const button = buttons.get(key);
      if (!button) return;
      setHidden(button, !isShown);
      if (button.disabled !== isBusy) button.disabled = isBusy;
    };
    show('interrupt', isLive && !(isEnding && view.intent?.kind !== 'finish'), asked.has('interrupt'));
    show('kill', isLive, asked.has('kill'));
    show('finish', isLive && !isEnding, asked.has('finish'));
    show('end-input', isLive && !isEnding);
    show('continue', Boolean(view.agent?.agent_session), asked.has('continue'));
    show('delete', !isLive, asked.has('delete'));
    const canTell = isLive && !isEnding && view.status !== 'queued' && (view.agent ? view.agent.interactive : view.input === 'held');
    setHidden(message.form, !canTell);
  }

  #openTab(tab) {
    this.#part?.stop();
    this.tab = tab;
    this.#isAtEnd = tab !== 'story';
    for (const [key, element] of this.#parts.tabs) setAttribute(element, 'aria-current', key === tab ? 'page' : null);
    const onGrown = () => this.#grown();
    if (tab === 'conversation') this.#part = new Conversation(this.session, onGrown);
    else if (tab === 'story') this.#part = new Story(this.session);
    else this.#part = new Output(this.session, tab === 'stderr' ? 'stderr' : 'stdout', onGrown);
    this.#parts.body.dataset.tab = tab;
    this.#element.dataset.tab = tab;
    replace(this.#parts.body, this.#part.element);
    this.#parts.body.scrollTop = 0;
  }

  /** Goes along with what comes, if somebody looks at the end. */
  #grown() {
    const { body } = this.#parts ?? {};
    if (body && this.#isAtEnd) body.scrollTop = body.scrollHeight;
  }

  focus() {
    this.#parts?.name.focus({ preventScroll: true });
  }

  get view() {
    return this.session && this.#store.state.sessions.get(this.session)?.view;
  }

  interrupt(view = this.view) {
    if (view && !isTerminal(view.status)) this.#actions.interrupt(view.id);
  }

  kill(view = this.view) {
    if (!view || isTerminal(view.status)) return;
    confirm('Kill this session?', `“${oneLine(nameOf(view))}” gets SIGKILL at once, and cannot clean up.`, 'Kill it', () => this.#actions.kill(view.id));
  }

  delete(view = this.view) {
    if (!view || !isTerminal(view.status)) return;
    confirm('Delete this session?', `“${oneLine(nameOf(view))}” goes for good, with its output, its story and its conversation.`, 'Delete it', () => this.#actions.delete(view.id));
  }

  continue(view = this.view) {
    if (!view) return;
    if (view.id === this.session && this.#parts && !this.#parts.message.form.hidden) this.#parts.message.input.focus();
    else if (view.agent?.agent_session) goOn(view, this.#actions, (id) => this.#go(id));
  }

  /** Opens the part with this number, counted from 1. */
  part(number) {
    const tab = this.#parts && [...this.#parts.tabs.values()][number - 1];
    if (tab) window.location.hash = tab.getAttribute('href');
  }
}

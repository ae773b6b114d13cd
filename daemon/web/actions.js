// What a user can ask for. Each is pending in the store until the log has told what came of it; a refusal
// is told as a sentence. Nothing here says how a session stands.

import { Problem, pathOf, post, send } from './api.js';

/** How often a request that may be repeated is sent where nobody answers. */
const ATTEMPTS = 3;
const PAUSE_MS = 400;

const UNKNOWN = 'The daemon did not answer, so it is not known whether it got this. '
  + 'When the connection is back, see whether it did, and ask again if it did not.';

export class Actions {
  #store;

  constructor(store) {
    this.#store = store;
  }

  interrupt(session) {
    return this.#stop('interrupt', session);
  }

  kill(session) {
    return this.#stop('kill', session);
  }

  finish(session) {
    return this.#stop('finish', session);
  }

  #stop(kind, session) {
    return this.#pending({ key: `${kind}:${session}`, kind, session }, async () => {
      const answer = await post(pathOf(session, kind));
      return { revision: answer.session.revision };
    });
  }

  /** Answers what is asked: this, as it was shown, and nothing else. */
  answer(session, request, isApproved, message) {
    const { number, digest } = request;
    const json = { approved: isApproved, digest };
    if (message) json.message = message;
    const action = { key: `answer:${session}:${number}`, kind: 'answer', session, request: number };
    return this.#pending(action, async () => {
      const view = await post(pathOf(session, 'requests', number), { json });
      return { revision: view.revision };
    });
  }

  delete(session) {
    return this.#pending({ key: `delete:${session}`, kind: 'delete', session }, async () => {
      await send('DELETE', pathOf(session));
      return {};
    });
  }

  message(session, text, isAgent) {
    const id = crypto.randomUUID();
    const path = pathOf(session, isAgent ? 'messages' : 'input');
    const bytes = new TextEncoder().encode(isAgent ? text : `${text}\n`);
    return this.#pending({ key: `message:${id}`, kind: 'message', session }, async () => {
      await repeated(() => post(`${path}?message=${id}`, { bytes }));
      return {};
    });
  }

  endInput(session) {
    const id = crypto.randomUUID();
    return this.#pending({ key: `message:${id}`, kind: 'message', session }, async () => {
      await repeated(() => post(`${pathOf(session, 'input')}?message=${id}&end=true`, { bytes: '' }));
      return {};
    });
  }

  launch(request, key) {
    return this.#new('launch', null, '/v1/sessions', request, key);
  }

  continue(session, request) {
    return this.#new('continue', session, pathOf(session, 'continue'), request);
  }

  /** The key makes that a request which is sent twice launches once. */
  #new(kind, session, path, json, key = crypto.randomUUID()) {
    return this.#pending({ key: `${kind}:${key}`, kind, session }, async () => {
      const headers = { 'Idempotency-Key': key };
      const view = await repeated(() => post(path, { json, headers }));
      return { result: view.id, revision: view.revision };
    });
  }

  /** Returns what came of it, or null when it was refused, which the user has been told. */
  async #pending(action, work) {
    if (this.#store.state.pending.has(action.key)) return null;
    this.#store.dispatch({ type: 'action_started', at: Date.now(), ...action });
    try {
      const done = await work();
      this.#store.dispatch({ type: 'action_answered', key: action.key, ...done });
      return done;
    } catch (error) {
      const isNetwork = !(error instanceof Problem) || error.kind === 'network';
      const text = isNetwork ? UNKNOWN : sentence(error);
      this.#store.dispatch({ type: 'action_refused', key: action.key, text, at: Date.now() });
      return null;
    }
  }
}

function sentence(problem) {
  const text = problem.message.charAt(0).toUpperCase() + problem.message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

async function repeated(work) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const mayPass = error instanceof Problem && error.kind === 'network';
      if (!mayPass || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS * attempt); });
    }
  }
}

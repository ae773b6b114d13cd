// The login of this tab: a code in the address, which is good once, becomes a token of this tab alone.

import { keepToken, post, token } from './api.js';

/** The code of the address, until the daemon has said what it is good for. */
let kept = null;

/** Takes a code out of the address before anything else can see it. Returns null when there is none. */
export function takeCode(location, history) {
  const found = /^#code=([A-Za-z0-9_-]{1,512})$/.exec(location.hash);
  if (!location.hash.startsWith('#code=')) return null;
  history.replaceState(null, '', location.pathname);
  return found ? found[1] : '';
}

/** Where the tabs of this address, and nobody else, hear each other. */
const TABS = 'candor.tabs';
/** How long a new tab waits for another one to lend it its login. */
const LEND_MS = 400;

/** Lends this tab's login to a new tab of the same address that asks for it. */
export function lend() {
  const tabs = new BroadcastChannel(TABS);
  tabs.addEventListener('message', ({ data }) => {
    if (data?.wants === 'token' && token()) tabs.postMessage({ token: token() });
  });
}

/** Asks the other tabs for their login. Returns whether one had it. */
async function borrow() {
  const tabs = new BroadcastChannel(TABS);
  const lent = await new Promise((resolve) => {
    setTimeout(() => resolve(null), LEND_MS);
    tabs.addEventListener('message', ({ data }) => data?.token && resolve(data.token));
    tabs.postMessage({ wants: 'token' });
  });
  tabs.close();
  if (lent) keepToken(lent);
  return Boolean(lent);
}

/** Says whether this tab is logged in, after having tried the code in the address. */
export async function logIn() {
  kept = takeCode(window.location, window.history) ?? kept;
  if (kept === null) return token() || await borrow() ? 'logged_in' : 'no_token';
  try {
    const { page_token: given } = await post('/v1/web/login', { json: { code: kept }, isOpen: true });
    kept = null;
    keepToken(given);
    return 'logged_in';
  } catch (problem) {
    // Nothing was said of the code: it is tried again.
    if (problem.kind === 'network' || problem.status === 429 || problem.status >= 500) return 'down';
    kept = null;
    // A tab that is logged in already goes on: somebody came back to the address with the used code.
    return token() ? 'logged_in' : 'code_used';
  }
}

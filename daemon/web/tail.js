// Follows something that grows, an output or a conversation, from its own cursor. Where the connection
// is cut, or the tab was asleep, it goes on there.

import { Problem, send } from './api.js';
import { backoff } from './live.js';

export class Tail {
  #abort = new AbortController();
  #request = null;
  #wake = null;
  #isStopped = false;
  #isAsleep = false;
  #path;
  #onAnswer;
  #onPiece;
  #onEnd;
  #onTrouble;

  /**
   * `path()` says where to go on, `onAnswer(answer)` sees each answer first, `onPiece(bytes)` gets what
   * comes, `onEnd()` is called when all is there, `onTrouble(problem)` while it cannot be read (null: it
   * can again).
   */
  constructor({ path, onAnswer = () => {}, onPiece, onEnd = () => {}, onTrouble = () => {} }) {
    this.#path = path;
    this.#onAnswer = onAnswer;
    this.#onPiece = onPiece;
    this.#onEnd = onEnd;
    this.#onTrouble = onTrouble;
    const { signal } = this.#abort;
    document.addEventListener('candor:asleep', () => this.#sleep(), { signal });
    document.addEventListener('candor:awake', () => this.#awake(), { signal });
    this.#run();
  }

  stop() {
    this.#isStopped = true;
    this.#abort.abort();
    this.#request?.abort();
    this.#wake?.();
  }

  #sleep() {
    this.#isAsleep = true;
    this.#request?.abort();
  }

  #awake() {
    this.#isAsleep = false;
    this.#wake?.();
  }

  async #run() {
    let attempt = 0;
    while (!this.#isStopped) {
      if (this.#isAsleep) {
        await new Promise((resolve) => { this.#wake = resolve; });
        continue;
      }
      this.#request = new AbortController();
      try {
        const answer = await send('GET', this.#path(), { signal: this.#request.signal });
        if (this.#isStopped) return;
        this.#onAnswer(answer);
        this.#onTrouble(null);
        attempt = 0;
        for await (const bytes of bytesOf(answer)) {
          if (this.#isStopped) return;
          this.#onPiece(bytes);
        }
        this.#onEnd();
        return;
      } catch (error) {
        if (this.#isStopped) return;
        if (error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429) {
          this.#onTrouble(error);
          return;
        }
        if (!this.#isAsleep) {
          if (attempt > 0) this.#onTrouble(error instanceof Problem ? error : new Problem('network', 0, 'The connection was cut.'));
          await this.#later(backoff(attempt));
          attempt += 1;
        }
      } finally {
        this.#request.abort();
      }
    }
  }

  #later(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Reads an answer as bytes as it comes. */
export async function* bytesOf(answer) {
  const reader = answer.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

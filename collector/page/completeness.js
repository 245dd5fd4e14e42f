// The mark in the header: whether every record that was made has arrived.

import { get } from './api.js';
import { icon, show } from './dom.js';
import { count, counted } from './format.js';
import { repeat } from './poll.js';

/** Milliseconds between two looks. */
const EVERY = 10000;

/** The words for a status. */
export const STATUS = {
  complete: 'complete',
  open: 'open',
  gap: 'gap',
};

/** What a status means, in a sentence. */
export function explained(answer) {
  if (answer.status === 'gap') return `${counted(answer.unexplained_numbers, 'number')} missing, and no loss record explains why.`;
  if (answer.status === 'open') return `${counted(answer.open_numbers, 'number')} not here yet; there is still time for them to come.`;
  if (answer.explained_losses > 0) return `Nothing is missing without a reason: ${counted(answer.explained_losses, 'lost record')} explained.`;
  return 'Nothing is missing.';
}

/** Keeps the mark in the header up to date. */
export function completeness() {
  const badge = document.getElementById('completeness');
  const polling = repeat(EVERY, async (signal) => {
    try {
      const answer = await get('/api/streams', { summary: true }, signal);
      set(badge, answer.status, `${STATUS[answer.status] ?? 'unknown'}${missing(answer)}`, explained(answer));
    } catch (error) {
      if (!signal.aborted) set(badge, 'unknown', 'not known', `Completeness is not known: ${error.message}`);
      throw error;
    }
  });
  polling.now();
}

function missing(answer) {
  const number = answer.status === 'gap' ? answer.unexplained_numbers : answer.status === 'open' ? answer.open_numbers : 0;
  return number > 0 ? ` ${count(number)}` : '';
}

function set(badge, status, words, title) {
  badge.dataset.status = status;
  badge.title = title;
  badge.setAttribute('aria-label', `Completeness: ${words}. ${title}`);
  show(badge, icon(status in STATUS ? status : 'unknown'), words);
}

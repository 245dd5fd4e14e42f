// The page's frame: which view is shown, how the collector is, and the way from one view to the next.

import { connection, useToken } from './api.js';
import { completeness } from './completeness.js';
import { el, notice, show } from './dom.js';
import { live } from './live.js';
import { person } from './person.js';
import { retryNow } from './poll.js';
import { search } from './search.js';
import { sessions } from './sessions.js';
import { share } from './share.js';
import { streams } from './streams.js';
import { followLinks, onChange, params } from './url.js';
import { usage } from './usage.js';

const VIEWS = {
  live: ['Live', live], sessions: ['Sessions', sessions], person: ['Person', person], usage: ['Usage', usage], streams: ['Streams', streams],
};

const root = document.getElementById('view');
let name = null;
let view = null;

function route() {
  const wanted = params().get('view') ?? 'live';
  if (wanted === name) return view.update();
  view?.stop();
  name = wanted;
  mark();
  const [title, make] = VIEWS[wanted] ?? ['Not found', unknown];
  document.title = `${title} \u00b7 Audit`;
  view = make(root);
  scrollTo(0, 0);
}

function mark() {
  for (const link of document.querySelectorAll('nav [data-view]')) {
    if (link.dataset.view === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

function unknown(node) {
  show(node, el('h1', null, 'Not found'), notice('empty', 'There is no such view', 'Choose one above.'));
  return { update() {}, stop() {} };
}

/** Says when the collector last answered, and what is wrong when it does not. */
function watchConnection() {
  const updated = document.getElementById('updated');
  const banner = document.getElementById('banner');
  let last = null;

  connection.addEventListener('connected', () => {
    last = new Date().toLocaleTimeString('en-GB');
    updated.textContent = `Updated ${last}`;
    banner.replaceChildren();
  });
  connection.addEventListener('failed', ({ detail: failure }) => {
    // A refused question is the matter of the view that asked it.
    if (failure.kind === 'refused') return;
    const known = banner.firstElementChild;
    if (known?.dataset.kind === failure.kind && known.dataset.message === failure.message) return;
    show(banner, failure.kind === 'unauthorised' ? tokenBanner(failure) : troubleBanner(failure, last));
  });
}

function troubleBanner(failure, last) {
  const title = failure.kind === 'offline' ? 'The collector does not answer.' : 'The collector is not available (503 or the like).';
  const told = failure.kind === 'offline' ? '' : `${failure.message} `;
  const stale = last ? `What is shown is as of ${last}. ` : '';
  return el('div', { class: 'banner', 'data-kind': failure.kind, 'data-message': failure.message },
    el('strong', null, title), el('span', null, `${told}${stale}Trying again.`),
    el('button', { type: 'button', class: 'button', on: { click: retryNow } }, 'Try now'));
}

function tokenBanner(failure) {
  const input = el('input', { id: 'token', type: 'password', autocomplete: 'off', required: true });
  const submit = (event) => {
    event.preventDefault();
    useToken(input.value.trim());
    retryNow();
  };
  return el('form', { class: 'banner', 'data-kind': failure.kind, 'data-message': failure.message, on: { submit } },
    el('strong', null, 'Not authorised (401).'), el('span', null, failure.message),
    el('label', { for: 'token' }, 'Bearer token'), input, el('button', { type: 'submit', class: 'button' }, 'Use it'));
}

followLinks();
search();
share();
watchConnection();
onChange(route);
route();
completeness();

// One stream: which of its numbers have arrived, and what became of the others.

import { STATUS } from './completeness.js';
import { el, icon, svg } from './dom.js';
import { clock, count, counted, span } from './format.js';
import { href } from './url.js';

/** Width of the bar in its own units, and the least width of a mark on it. */
const WIDTH = 1000;
const LEAST = 5;

/** The word for a status. */
export function badge(status) {
  return el('span', { class: 'badge', 'data-status': status }, icon(status), STATUS[status] ?? status);
}

/** What the marks on a bar mean. */
export function legend() {
  const key = (kind, words) => el('span', { class: 'key' }, svg('svg', { class: 'bar key-bar', viewBox: '0 0 24 12', 'aria-hidden': 'true' },
    svg('rect', { class: 'received', width: 24, height: 12 }), mark(kind, 8, 8)), words);
  return el('p', { class: 'legend muted' }, key('none', 'received'), key('loss', 'lost, explained'), key('open', 'open'), key('gap', 'missing, unexplained'));
}

/** Kinds differ in height as well as in colour. */
function mark(kind, x, width) {
  const shapes = { loss: [8, 4], open: [4, 8], gap: [0, 12] };
  if (!(kind in shapes)) return null;
  const [y, height] = shapes[kind];
  return [svg('rect', { class: 'hole', x, y: 0, width, height: 12 }), svg('rect', { class: kind, x, y, width, height })];
}

/** The words for the life of a stream. */
const LIFE = { ended: 'ended', crashed: 'ended by a crash of its VM', alive: 'alive', silent: 'silent', unknown: 'no end yet' };

/** A stream with its bar, its life and its holes. */
export function card(stream) {
  return el('article', { class: 'stream', 'data-stream': stream.stream_id },
    el('header', null,
      el('h2', null, stream.service || 'unnamed service'), badge(stream.status),
      el('a', { class: 'mono id', href: href({ stream: stream.stream_id }), 'data-link': true, title: 'Its records' }, stream.stream_id)),
    bar(stream),
    el('p', { class: 'muted facts' },
      `${counted(stream.received, 'record')}, numbers ${count(stream.first_number)} to ${count(stream.last_number)}; ${life(stream)}; `,
      `seen ${clock(stream.first_seen_unix_nano, false)} to ${clock(stream.last_seen_unix_nano, false)}`),
    unknown(stream), holes(stream));
}

/** How much of a stream that goes on can be unknown, if it was killed right after it was last heard of. */
function unknown(stream) {
  if (stream.unknown_since_unix_nano === null) return null;
  const since = clock(stream.unknown_since_unix_nano, false);
  const most = stream.unknown_at_most === null ? 'Any number of records' : `No more than ${counted(stream.unknown_at_most, 'record')}`;
  const isSilent = stream.life === 'silent';
  const reason = isSilent ? 'Killed, or it cannot reach the collector. ' : '';
  return el('p', { class: isSilent ? 'silence' : 'unknown muted' }, isSilent ? icon('open') : null, `${reason}${most} after ${since} are unknown.`);
}

/** "alive, at least every 30.0 s" */
function life(stream) {
  const words = LIFE[stream.life] ?? LIFE.unknown;
  const often = stream.life === 'alive' && stream.alive_interval_ms ? `, at least every ${span(stream.alive_interval_ms)}` : '';
  return `${stream.started ? 'start seen' : 'start not seen'}, ${words}${often}`;
}

function bar(stream) {
  const end = Math.max(stream.last_number, (stream.next_number ?? 0) - 1, 0) + 1;
  const at = (number) => number / end * WIDTH;
  const drawn = (kind) => (range) => {
    const width = Math.max(at(range.last_number + 1) - at(range.first_number), LEAST);
    return mark(kind(range), Math.min(at(range.first_number), WIDTH - width), width);
  };
  const label = `Numbers 0 to ${end - 1}: ${counted(stream.received, 'record')} received, ${stream.gaps.length} gaps, ${stream.losses.length} losses`;
  return svg('svg', { class: 'bar', viewBox: `0 0 ${WIDTH} 12`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    svg('rect', { class: 'received', width: WIDTH, height: 12 }),
    stream.losses.map(drawn(() => 'loss')), stream.gaps.map(drawn((gap) => gap.state)));
}

function holes(stream) {
  const range = (first, last) => (first === last ? `number ${count(first)}` : `numbers ${count(first)} to ${count(last)}`);
  const gaps = stream.gaps.map((gap) => el('li', { class: `hole-${gap.state}` }, icon(gap.state),
    `${gap.state === 'gap' ? 'Missing, unexplained' : 'Not here yet'}: ${range(gap.first_number, gap.last_number)}, since ${clock(gap.since_unix_nano, false)}`));
  const losses = stream.losses.map((loss) => el('li', { class: 'hole-loss' }, icon('aborted'),
    `Lost: ${counted(loss.count, 'record')} for ${String(loss.reason).replaceAll('_', ' ')}, ${range(loss.first_number, loss.last_number)}`));
  return gaps.length + losses.length === 0 ? null : el('ul', { class: 'holes' }, gaps, losses);
}

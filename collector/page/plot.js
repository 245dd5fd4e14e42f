// A plot of two measures over one axis of time: requests as bars, below them unique users as a line.

import { el, show, svg } from './dom.js';
import { count, day, millis } from './format.js';

const LEFT = 52;
const RIGHT = 12;
const TOP = 30;
const BARS = 170;
const BETWEEN = 46;
const LINE = 80;
const BOTTOM = 26;
const HEIGHT = TOP + BARS + BETWEEN + LINE + BOTTOM;
/** Most pixels of a bar. */
const WIDEST = 44;
/** Steps between labels of the time axis, in seconds. */
const STEPS = [300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
/** Least distance of two labels of the time axis, in pixels. */
const ROOM = 64;

/** The plot of an answer over the last `range` seconds; `start()` once it is in the document, `stop()` at the end. */
export function plot(answer, range) {
  const slots = filled(answer, range);
  const tip = el('div', { class: 'tip', hidden: true });
  const live = el('div', { class: 'hidden', 'aria-live': 'polite' });
  const canvas = el('div', { class: 'canvas' });
  const label = `${count(sum(slots))} requests. Arrow keys go from bucket to bucket.`;
  const node = el('div', { class: 'plot', tabindex: '0', role: 'group', 'aria-label': label }, canvas, tip, live);
  const observer = new ResizeObserver(() => draw());
  let chosen = null;

  function draw() {
    show(canvas, picture(slots, Math.max(node.clientWidth, 200), answer.bucket_seconds));
    choose(chosen, false);
  }

  function choose(index, aloud) {
    chosen = index;
    const slot = slots[index];
    tip.hidden = !slot;
    const cross = canvas.querySelector('.cross');
    cross.toggleAttribute('hidden', !slot);
    if (!slot) return;
    const x = centre(slots, index, node.clientWidth);
    cross.setAttribute('x1', x);
    cross.setAttribute('x2', x);
    show(tip, el('strong', null, stamp(slot.at)), el('span', null, `${count(slot.requests)} requests`), el('span', null, `${count(slot.users)} unique users`),
      slot.users > 0 ? el('span', { class: 'muted' }, `${slot.mean.toFixed(1)} per user`) : null);
    const beside = pitch(slots, node.clientWidth) / 2 + 8;
    const right = x + beside;
    const fits = right + tip.offsetWidth <= node.clientWidth;
    tip.style.setProperty('left', `${fits ? right : Math.max(x - beside - tip.offsetWidth, 0)}px`);
    if (aloud) live.textContent = tip.innerText;
  }

  node.addEventListener('pointermove', (event) => choose(slotAt(slots, event.clientX - node.getBoundingClientRect().left, node.clientWidth), false));
  node.addEventListener('pointerleave', () => choose(null, false));
  node.addEventListener('blur', () => choose(null, false));
  node.addEventListener('keydown', (event) => {
    const last = slots.length - 1;
    const next = { ArrowLeft: (chosen ?? last + 1) - 1, ArrowRight: (chosen ?? last - 1) + 1, Home: 0, End: last }[event.key];
    if (next === undefined && event.key !== 'Escape') return;
    event.preventDefault();
    choose(event.key === 'Escape' ? null : Math.min(Math.max(next, 0), last), true);
  });
  return { node, start: () => { draw(); observer.observe(node); }, stop: () => observer.disconnect() };
}

/** Every bucket of the range: those without requests are not in the answer. */
function filled(answer, range) {
  const size = answer.bucket_seconds * 1000;
  const known = new Map(answer.buckets.map((bucket) => [millis(bucket.start_unix_nano), bucket]));
  // Buckets need not begin at multiples since the epoch (days do where the collector lives).
  const phase = answer.buckets.length > 0 ? millis(answer.buckets[0].start_unix_nano) % size : 0;
  const align = (at) => Math.floor((at - phase) / size) * size + phase;
  const slots = [];
  for (let at = align(Date.now() - range * 1000); at <= align(Date.now()); at += size) {
    const bucket = known.get(at);
    slots.push({ at, requests: bucket?.requests ?? 0, users: bucket?.unique_users ?? 0, mean: bucket?.mean_per_user ?? 0 });
  }
  return slots;
}

const sum = (slots) => slots.reduce((all, slot) => all + slot.requests, 0);
const pitch = (slots, width) => (width - LEFT - RIGHT) / slots.length;
const centre = (slots, index, width) => LEFT + (index + 0.5) * pitch(slots, width);

function slotAt(slots, x, width) {
  const index = Math.floor((x - LEFT) / pitch(slots, width));
  return index >= 0 && index < slots.length ? index : null;
}

function picture(slots, width, bucketSeconds) {
  const step = pitch(slots, width);
  const bars = scale(Math.max(...slots.map((slot) => slot.requests)), TOP, BARS);
  const users = scale(Math.max(...slots.map((slot) => slot.users)), TOP + BARS + BETWEEN, LINE);
  const bar = Math.min(step > 4 ? step - Math.min(2, step / 4) : step, WIDEST);
  const drawn = slots.map((slot, index) => slot.requests > 0 && svg('rect', {
    class: 'requests', x: centre(slots, index, width) - bar / 2, width: bar, y: bars.y(slot.requests), height: bars.base - bars.y(slot.requests), rx: step > 8 ? 1.5 : 0,
  }));
  const points = slots.map((slot, index) => `${centre(slots, index, width).toFixed(1)},${users.y(slot.users).toFixed(1)}`);
  return svg('svg', { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, 'aria-hidden': 'true' },
    axis(bars, width, 'Requests'), axis(users, width, 'Unique users'), times(slots, width, bucketSeconds),
    svg('line', { class: 'cross', y1: TOP, y2: users.base, hidden: true }), drawn,
    svg('polygon', { class: 'users-area', points: `${centre(slots, 0, width)},${users.base} ${points.join(' ')} ${centre(slots, slots.length - 1, width)},${users.base}` }),
    svg('polyline', { class: 'users', points: points.join(' ') }));
}

/** Whole numbers from 0 to a round one, in few steps. */
function scale(most, top, height) {
  const rough = Math.max(most, 1) / (height > 100 ? 4 : 2);
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((times) => times * magnitude).find((size) => size >= rough));
  const end = Math.ceil(Math.max(most, 1) / step) * step;
  const base = top + height;
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, index) => index * step);
  return { base, top, ticks, y: (value) => base - value / end * height };
}

function axis(measure, width, title) {
  return [
    svg('text', { class: 'axis-title', x: 0, y: measure.top - 16 }, title),
    measure.ticks.map((tick) => [
      svg('line', { class: tick === 0 ? 'axis' : 'grid', x1: LEFT, x2: width - RIGHT, y1: measure.y(tick), y2: measure.y(tick) }),
      svg('text', { class: 'tick', x: LEFT - 8, y: measure.y(tick) + 4, 'text-anchor': 'end' }, count(tick)),
    ]),
  ];
}

function times(slots, width, bucketSeconds) {
  const step = STEPS.find((seconds) => seconds >= bucketSeconds && seconds / bucketSeconds * pitch(slots, width) >= ROOM) ?? STEPS.at(-1);
  const offset = new Date().getTimezoneOffset() * 60;
  return slots.map((slot, index) => {
    if ((slot.at / 1000 - offset) % step >= bucketSeconds) return null;
    const x = LEFT + index * pitch(slots, width);
    const nearEnd = x > width - ROOM / 2;
    return nearEnd ? null : svg('text', { class: 'tick', x, y: HEIGHT - 8, 'text-anchor': index === 0 ? 'start' : 'middle' }, step >= 86400 ? day(new Date(slot.at)) : hour(slot.at));
  });
}

function hour(at) {
  const moment = new Date(at);
  const text = moment.toTimeString().slice(0, 5);
  return text === '00:00' ? day(moment) : text;
}

function stamp(at) {
  const moment = new Date(at);
  return `${day(moment)} ${moment.toTimeString().slice(0, 5)}`;
}

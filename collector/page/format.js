// Values as people read them. Times come as nanoseconds since the epoch, in digits.

const two = (number) => String(number).padStart(2, '0');
const NANOS = 1000000n;

/** Milliseconds since the epoch. */
export function millis(nanos) {
  return Number(BigInt(nanos) / NANOS);
}

/** Clock time, local; with the day when it is not today. */
export function clock(nanos, fraction = true) {
  const at = new Date(millis(nanos));
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const text = fraction ? `${time}.${String(at.getMilliseconds()).padStart(3, '0')}` : time;
  return at.toDateString() === new Date().toDateString() ? text : `${day(at)} ${text}`;
}

/** Day and month, and the year when it is another one. */
export function day(at) {
  const date = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return at.getFullYear() === new Date().getFullYear() ? date : `${at.getFullYear()}-${date}`;
}

/** UTC, to the nanosecond. */
export function utc(nanos) {
  const whole = BigInt(nanos);
  const seconds = new Date(millis(whole)).toISOString().slice(0, 19);
  const fraction = ((whole % 1000000000n) + 1000000000n) % 1000000000n;
  return `${seconds}.${String(fraction).padStart(9, '0')}Z`;
}

/** A span of milliseconds in at most two units. */
export function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '';
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  const units = [['d', 86400], ['h', 3600], ['m', 60], ['s', 1]];
  let rest = Math.round(ms / 1000);
  const parts = [];
  for (const [unit, seconds] of units) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    if (count > 0 || parts.length > 0) parts.push(`${count} ${unit}`);
  }
  return parts.slice(0, 2).join(' ');
}

/** A count with separators. */
export function count(number) {
  return Number(number).toLocaleString('en');
}

/** A size: "12.3 kB" */
export function bytes(number) {
  const power = Math.max(0, Math.min(3, Math.floor(Math.log10(Math.max(number, 1)) / 3)));
  const digits = power === 0 ? 0 : 1;
  return `${(number / 1000 ** power).toFixed(digits)} ${['bytes', 'kB', 'MB', 'GB'][power]}`;
}

/** A count with its noun: "1 record", "2 records". */
export function counted(number, noun) {
  return `${count(number)} ${noun}${Number(number) === 1 ? '' : 's'}`;
}

/** A long id by its ends. */
export function short(id) {
  const text = String(id);
  return text.length <= 18 ? text : `${text.slice(0, 8)}\u2026${text.slice(-6)}`;
}

/** The fields of a session context: base64 of a JSON object, or the object itself; null when it is neither. */
export function context(text) {
  return object(text) ?? object(decoded(text));
}

function object(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function decoded(text) {
  try {
    const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    return new TextDecoder().decode(Uint8Array.from(plain, (c) => c.charCodeAt(0)));
  } catch {
    return '';
  }
}

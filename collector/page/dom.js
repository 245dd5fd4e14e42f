// Elements. Text from records is untrusted: it only ever becomes a text node or the value of a harmless attribute.

const SVG = 'http://www.w3.org/2000/svg';

/** An element; children are elements or text, `on` holds listeners, and what is null or false is left out. */
export function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'on') {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else {
      node.setAttribute(key, value === true ? '' : value);
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const ICONS = {
  success: ['M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8z', 'm5.2 8.2 2 2 3.6-4.2'],
  denied: ['M8 1.5 13.5 3.5v4c0 3.4-2.3 5.8-5.5 7-3.2-1.2-5.5-3.6-5.5-7v-4z', 'M5.5 8h5'],
  failure: ['M5.4 1.8h5.2l3.6 3.6v5.2l-3.6 3.6H5.4l-3.6-3.6V5.4z', 'm6 6 4 4m0-4-4 4'],
  aborted: ['M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8z', 'm6 6 4 4m0-4-4 4'],
  complete: ['M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8z', 'm5.2 8.2 2 2 3.6-4.2'],
  open: ['M4 1.8h8M4 14.2h8M5 1.8v2.7L8 8l3-3.5V1.8M5 14.2v-2.7L8 8l3 3.5v2.7'],
  gap: ['M8 1.8 14.7 13.7H1.3z', 'M8 6.2v3.6m0 1.8v.2'],
  signal: ['M8 2 14 8 8 14 2 8z'],
  event: ['M2.5 8h11M8 2.5v11'],
  unknown: ['M5.6 6a2.4 2.4 0 1 1 3.4 2.2c-.7.4-1 .8-1 1.6', 'M8 12.4v.2'],
  close: ['m4 4 8 8m0-8-8 8'],
  pause: ['M5.5 3v10M10.5 3v10'],
  play: ['M5 3v10l8-5z'],
};

/** A drawing that only goes with words: readers of the screen do not hear of it. */
export function icon(name) {
  const paths = (ICONS[name] ?? ICONS.event).map((d) => svg('path', { d }));
  return svg('svg', { class: `icon icon-${name in ICONS ? name : 'event'}`, viewBox: '0 0 16 16', 'aria-hidden': 'true' }, paths);
}

/** A name in which a line may end where its parts end. */
export function breakable(name) {
  return name.split(/(?<=[./_])(?!$)/).flatMap((part, index) => (index === 0 ? [part] : [el('wbr'), part]));
}

/** Replaces what is in a node. */
export function show(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

/** A state in the place of content: loading, empty, or an error. */
export function notice(kind, title, text) {
  return el('div', { class: `notice notice-${kind}`, role: kind === 'error' ? 'alert' : 'status' },
    el('strong', null, title), text ? el('p', null, text) : null);
}

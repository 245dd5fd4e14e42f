//! Accessibility: the page works without a mouse, on a small screen, and with low vision.

use serde_json::{Value, json};

use crate::browser::{Browser, key};
use crate::fake::{Fake, World, ago, streams};

/// Each view, with a selector and a text that prove that it is shown.
const VIEWS: [(&str, &str, &str); 7] = [
    ("live", "/?q=c", ".records tbody tr"),
    ("detail", "/?record=138", ".detail h3"),
    ("sessions", "/?view=sessions", ".sessions tbody tr"),
    (
        "timeline",
        "/?view=sessions&key=s-ada-1",
        ".timeline li.event",
    ),
    ("person", "/?view=person&user=42", ".trait tbody tr"),
    ("usage", "/?view=usage", ".plot svg"),
    ("streams", "/?view=streams", ".stream .holes"),
];

/// Pairs of neighbouring elements that overlap.
const OVERLAPS: &str = "(() => {
  const groups = ['.top > *', '#search [role=option]', '.status > *', '.top nav > *', '.filters > *', '.toolbar > *', '.records tbody tr:first-child > td',
    '.sessions tbody tr:first-child > td', '.facts-row > *', '.links > *', '.traits > *', '.trait:first-child tbody tr:first-child > *', '.timeline li:nth-child(4) > *', '.stream header > *', '.field:first-of-type > *'];
  const found = [];
  for (const group of groups) {
    const boxes = [...document.querySelectorAll(group)].map((node) => [node, node.getBoundingClientRect()]).filter(([, box]) => box.width * box.height > 0);
    boxes.forEach(([a, one], index) => boxes.slice(index + 1).forEach(([b, other]) => {
      const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const height = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (a.parentNode === b.parentNode && width > 1 && height > 1) found.push(`${a.outerHTML.slice(0, 80)} and ${b.outerHTML.slice(0, 80)}`);
    }));
  }
  return found;
})()";

/// Texts below the contrast that WCAG 2 requires (4.5, for large text 3).
const PALE: &str = "(() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (value) => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if ((colour[3] ?? 1) > 0.9) return colour;
    }
    return [255, 255, 255];
  };
  const pale = [];
  for (const node of document.querySelectorAll('body *')) {
    const hasText = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    const style = getComputedStyle(node);
    if (!hasText || node.disabled || node.closest('.hidden, .skip, option') || node.getClientRects().length === 0) continue;
    const [one, other] = [luminance(channels(node instanceof SVGElement ? style.fill : style.color)), luminance(ground(node))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) pale.push(`${contrast.toFixed(2)} ${node.outerHTML.slice(0, 100)}`);
  }
  return pale;
})()";

/// Interactive elements without an accessible name.
const NAMELESS: &str = "[...document.querySelectorAll('a, button, input, select, [tabindex=\"0\"], [role=img]')].filter((node) =>
  !(node.getAttribute('aria-label') || node.labels?.length > 0 || node.textContent.trim())).map((node) => node.outerHTML)";

async fn world() -> Fake {
    let gaps = json!([{"first_number": 40, "last_number": 43, "state": "gap", "since_unix_nano": ago(300)},
        {"first_number": 99, "last_number": 99, "state": "open", "since_unix_nano": ago(3)}]);
    let losses =
        json!([{"first_number": 70, "last_number": 79, "count": 10, "reason": "buffer_full"}]);
    Fake::start(World {
        streams: streams("gap", &gaps, &losses),
        ..World::usual()
    })
    .await
}

#[tokio::test]
async fn every_view_fits_every_screen() {
    let fake = world().await;
    let browser = Browser::open(&fake.origin()).await;

    for (name, path, sign) in VIEWS {
        browser.go(path).await;
        browser
            .until(&format!("document.querySelector('{sign}')"))
            .await;
        for width in [360, 480, 640, 768, 924, 1024, 1280, 1600] {
            browser.resize(width, 800).await;
            browser.assert_fits().await;
            assert_eq!(browser.eval(OVERLAPS).await, json!([]), "{name} at {width}");
            if matches!(width, 360 | 768 | 1600) {
                browser.screenshot(&format!("{name}-{width}")).await;
            }
        }
    }
}

#[tokio::test]
async fn text_has_contrast_and_controls_have_names() {
    let fake = world().await;
    let browser = Browser::open(&fake.origin()).await;
    for theme in ["light", "dark"] {
        browser.theme(theme).await;
        for (name, path, sign) in VIEWS {
            browser.go(path).await;
            browser
                .until(&format!("document.querySelector('{sign}')"))
                .await;
            assert_eq!(browser.eval(PALE).await, json!([]), "{name}, {theme}");
            assert_eq!(browser.eval(NAMELESS).await, json!([]), "{name}");
            browser.screenshot(&format!("{name}-{theme}")).await;
        }
    }

    browser.assert_clean().await;
}

#[tokio::test]
async fn records_are_opened_and_closed_with_keys_alone() {
    let fake = world().await;
    let browser = Browser::open(&fake.origin()).await;
    browser
        .until("document.querySelector('.records tbody tr')")
        .await;

    let focused = "document.activeElement.closest('tr')?.dataset.position";
    let mut tabs = 0;
    while browser.eval(focused).await == Value::Null {
        browser.press(&[key::TAB]).await;
        tabs += 1;
        assert!(tabs < 30, "the list is never reached");
    }
    assert_eq!(browser.eval(focused).await, "140");

    browser.press(&[key::DOWN, key::DOWN, key::ENTER]).await;
    browser
        .until("document.activeElement.matches('.detail h2')")
        .await;
    assert_eq!(browser.address().await, "/?record=138");

    let ring = "getComputedStyle(document.querySelector('.close')).outlineStyle";
    browser.press(&[key::TAB, key::TAB]).await;
    assert_eq!(browser.eval(ring).await, "solid", "the focus is seen");

    browser.press(&[key::ESCAPE]).await;
    browser
        .until("document.querySelector('.detail').hidden")
        .await;
    assert_eq!(
        browser.eval(focused).await,
        "138",
        "the focus is where it was"
    );
}

#[tokio::test]
async fn suggestions_fit_every_screen_and_have_contrast() {
    let fake = world().await;
    let browser = Browser::open(&fake.origin()).await;
    for theme in ["light", "dark"] {
        browser.theme(theme).await;
        for width in [360, 768, 1024, 1600] {
            browser.resize(width, 800).await;
            browser.fill("#search-field", "a").await;
            browser
                .until("document.querySelectorAll('#search [role=option]').length === 4")
                .await;
            browser.press(&[key::DOWN]).await;

            browser.assert_fits().await;
            assert_eq!(browser.eval(OVERLAPS).await, json!([]), "{width}");
            assert_eq!(browser.eval(PALE).await, json!([]), "{width}, {theme}");
            browser.screenshot(&format!("search-{theme}-{width}")).await;
            browser.press(&[key::ESCAPE, key::ESCAPE]).await;
        }
    }
}

#[tokio::test]
async fn the_theme_follows_the_system_until_it_is_set() {
    let fake = world().await;
    let browser = Browser::open(&fake.origin()).await;
    let ground = "getComputedStyle(document.documentElement).backgroundColor";
    let light = browser.eval(ground).await;
    browser.theme("dark").await;
    let dark = browser.eval(ground).await;
    assert_ne!(light, dark);

    browser.click("#theme").await;
    assert_eq!(browser.eval(ground).await, light);

    browser.reload().await;
    assert_eq!(
        browser.eval(ground).await,
        light,
        "the choice is remembered"
    );

    assert_eq!(
        browser
            .eval("document.getElementById('theme').getAttribute('aria-pressed')")
            .await,
        "false"
    );
}

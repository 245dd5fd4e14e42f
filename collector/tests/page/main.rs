//! The page in a real browser: headless Chromium, driven through ChromeDriver.
//!
//! `journeys` runs on the complete product with a real Envoy; `search`, `person`,
//! `stages` and `exports` on a collector with records of their own; `states`, `access` and `share` on a fake
//! collector, for rare answers and for those that stay the same. Screenshots are in `target/page-screenshots/`.
#![cfg(test)]

mod access;
mod browser;
mod demo;
mod exports;
mod fake;
mod journeys;
mod person;
mod search;
mod share;
mod stages;
mod states;
mod stored;
mod supervised;
mod token;
mod webdriver;

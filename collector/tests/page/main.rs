//! The page in a real browser: headless Chromium, driven through ChromeDriver.
//!
//! `journeys` runs on the whole product, a real Envoy included; `states` on a collector that is made to answer as seldom
//! happens. Screenshots land in `target/page-screenshots/`.
#![cfg(test)]

mod access;
mod browser;
mod demo;
mod fake;
mod journeys;
mod states;
mod supervised;
mod token;
mod webdriver;

//! Parameters of a query: one table per route, used both for parsing and for the description of the
//! API.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;

use super::timestamp;
use crate::http::refusal::Refusal;

/// Most characters of an unknown parameter's name that are repeated to the client.
const MAX_NAME_CHARS: usize = 64;

/// A parameter of a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Its description.
    pub(super) description: &'static str,
}

/// The values that a parameter takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// See [`timestamp::read`].
    Time,
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// A cursor from an earlier answer.
    Cursor,
    /// Nothing, or `true`; or `false`, as when it is absent.
    Flag,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// Most entries of a page.
pub(super) const LIMIT: Parameter = Parameter {
    name: "limit",
    kind: Kind::Number(1, MAX_LIMIT),
    description: "Most entries of the page; 100 when absent.",
};

/// Where a page begins.
pub(super) const CURSOR: Parameter = Parameter {
    name: "cursor",
    kind: Kind::Cursor,
    description: "The page after the one that gave this.",
};

/// Entries of a page when the client sets no limit.
pub(super) const DEFAULT_LIMIT: i64 = 100;
/// Most entries of a page, so that a browser can still show it.
pub(super) const MAX_LIMIT: i64 = 1000;

/// As axum extracts them.
pub(super) type Sent = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// The parameters of one request; each is known to the route, and occurs once.
#[derive(Debug)]
pub(super) struct Given {
    values: BTreeMap<&'static str, String>,
    now: i64,
}

impl Given {
    /// Parses the parameters that were sent at `now`, in nanoseconds since the Unix epoch.
    pub(super) fn read(sent: Sent, table: &'static [Parameter], now: i64) -> Result<Self, Refusal> {
        let Query(sent) = sent.map_err(|_| Refusal::invalid("the query string cannot be read"))?;
        let mut values = BTreeMap::new();

        for (name, value) in sent {
            let known = table
                .iter()
                .find(|parameter| parameter.name == name)
                .ok_or_else(|| unknown(&name))?;
            if values.insert(known.name, value).is_some() {
                return Err(Refusal::invalid(format!(
                    "{} must not be given twice",
                    known.name
                )));
            }
        }

        Ok(Self { values, now })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.values.remove(name)
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        let values = [("", true), ("true", true), ("false", false)];
        match self.choice(name, &values) {
            Ok(flag) => Ok(flag.unwrap_or_default()),
            Err(_) => Err(Refusal::invalid(format!("{name} must be true or false"))),
        }
    }

    /// Most entries of a page.
    pub(super) fn limit(&self) -> Result<i64, Refusal> {
        Ok(self.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT))
    }

    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.values.get(name) else {
            return Ok(None);
        };
        timestamp::read(text, self.now)
            .map(Some)
            .map_err(|error| Refusal::invalid(format!("{name} {error}")))
    }

    pub(super) fn number(&self, name: &str, least: i64, most: i64) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.values.get(name) else {
            return Ok(None);
        };

        let number = text
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number));
        let refusal = || match most {
            i64::MAX => Refusal::invalid(format!("{name} must be an integer from {least}")),
            _ => Refusal::invalid(format!("{name} must be an integer from {least} to {most}")),
        };

        number.map(Some).ok_or_else(refusal)
    }

    pub(super) fn cursor<C: FromStr<Err: Display>>(&self) -> Result<Option<C>, Refusal> {
        let Some(text) = self.values.get("cursor") else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|error| Refusal::invalid(format!("cursor: {error}")))
    }

    /// The meaning of the chosen text; each of `choices` is a text and its meaning.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&'static str, T)],
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.values.get(name) else {
            return Ok(None);
        };

        let chosen = choices.iter().find(|(choice, _)| text == choice);
        chosen.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
            Refusal::invalid(format!("{name} must be one of {}", names.join(", ")))
        })
    }
}

fn unknown(name: &str) -> Refusal {
    let name: String = name.chars().take(MAX_NAME_CHARS).collect();
    Refusal::invalid(format!("unknown query parameter {name:?}"))
}

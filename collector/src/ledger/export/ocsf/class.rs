//! The class of a record, and what happened in the words of that class.

use crate::ledger::export::fields::Fields;

/// A class of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) uid: i64,
    pub(super) name: &'static str,
    pub(super) category_uid: i64,
    pub(super) category: &'static str,
}

/// A record that is none of the filter.
pub(super) const BASE_EVENT: Class = Class {
    uid: 0,
    name: "Base Event",
    category_uid: 0,
    category: "Uncategorized",
};

pub(super) const AUTHENTICATION: Class = Class {
    uid: 3002,
    name: "Authentication",
    category_uid: 3,
    category: "Identity & Access Management",
};

pub(super) const LIFECYCLE: Class = application(6002, "Application Lifecycle");
pub(super) const API_ACTIVITY: Class = application(6003, "API Activity");
pub(super) const ERROR: Class = application(6008, "Application Error");

const fn application(uid: i64, name: &'static str) -> Class {
    Class {
        uid,
        name,
        category_uid: 6,
        category: "Application Activity",
    }
}

/// Number of an activity that the class has no number for.
const OTHER: i64 = 99;

/// A class, and one of its activities.
pub(super) struct Activity {
    pub(super) class: Class,
    pub(super) id: i64,
    pub(super) name: String,
}

impl Activity {
    /// An exchange that is neither a login nor a logout is a call of an API.
    pub(super) fn of(event_name: &str, fields: &Fields) -> Self {
        let (class, id, name) = match event_name {
            "audit.http" | "audit.rpc" => match fields.session_event() {
                Some("start") => (AUTHENTICATION, 1, "Logon"),
                Some("end") => (AUTHENTICATION, 2, "Logoff"),
                _ => call(fields.see("http.request.method")),
            },
            "audit.loss" => (ERROR, 1, "General Error"),
            "audit.stream.start" => (LIFECYCLE, 3, "Start"),
            "audit.stream.end" => (LIFECYCLE, 4, "Stop"),
            "audit.stream.alive" => (LIFECYCLE, OTHER, "Alive"),
            _ => (BASE_EVENT, 0, "Unknown"),
        };

        Self {
            class,
            id,
            name: name.to_owned(),
        }
    }
}

/// The methods whose meaning RFC 9110 fixes. What a POST or a call by gRPC does is not known.
fn call(method: Option<&str>) -> (Class, i64, &str) {
    let (id, name) = match method {
        Some("GET" | "HEAD" | "OPTIONS" | "TRACE") => (2, "Read"),
        Some("PUT" | "PATCH") => (3, "Update"),
        Some("DELETE") => (4, "Delete"),
        Some(other) => (OTHER, other),
        None => (0, "Unknown"),
    };
    (API_ACTIVITY, id, name)
}

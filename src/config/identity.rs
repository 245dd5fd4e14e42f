//! The section `identity`, of the whole configuration or of a rule.

use std::rc::Rc;

use super::node::Node;
use super::sources::identity_source;
use crate::recorder::identity::response_json::Pointer;
use crate::recorder::identity::{Settings, Source};

/// Most bytes of one response's body that are kept, until the stream ends.
const MAX_BODY_BYTES: u64 = 1 << 20;

/// Defaults: the user from the upstream's `x-user-id`, else from a trusted hop's.
fn default_settings() -> Settings {
    let name = || "x-user-id".to_owned();
    Settings {
        fields: [
            vec![Source::ResponseHeader(name()), Source::Header(name())],
            Vec::new(),
            Vec::new(),
        ],
        max_body_bytes: 65_536,
    }
}

/// Reads the section of the whole configuration.
pub(super) fn global(node: Option<Node<'_>>) -> Rc<Settings> {
    Rc::new(over(node, default_settings()))
}

/// Reads the section of a rule. Its fields replace those of the whole configuration one by one.
pub(super) fn of_rule(node: Option<Node<'_>>, global: &Rc<Settings>) -> Rc<Settings> {
    match node {
        None => Rc::clone(global),
        node => Rc::new(over(node, Settings::clone(global))),
    }
}

/// Identity of the default rule `check`: the answer to a session check names the user.
pub(super) fn of_check(global: &Rc<Settings>) -> Rc<Settings> {
    let mut settings = Settings::clone(global);
    let [user_id, ..] = &mut settings.fields;
    *user_id = Pointer::parse("/UserId")
        .map(Source::ResponseJson)
        .into_iter()
        .collect();
    Rc::new(settings)
}

fn over(node: Option<Node<'_>>, mut settings: Settings) -> Settings {
    let Some(mut object) = node.and_then(|node| node.object()) else {
        return settings;
    };

    for (key, sources) in ["user_id", "user_name", "user_email"]
        .into_iter()
        .zip(&mut settings.fields)
    {
        if let Some(node) = object.field(key) {
            *sources = node.each(identity_source);
        }
    }

    settings.max_body_bytes = object.read("max_body_bytes", settings.max_body_bytes, |node| {
        node.size(1, MAX_BODY_BYTES)
    });
    object.finish();
    settings
}

//! The section `identity`, of the whole configuration or of a rule.

use std::rc::Rc;

use super::node::Node;
use super::value_source::identity_source;
use crate::recorder::identity::response_json::Pointer;
use crate::recorder::identity::{IdentitySettings, IdentitySource};

/// Most bytes of one response's body that are kept, until the stream ends.
const MAX_BODY_BYTES: u64 = 1 << 20;

/// Defaults: the user from the upstream's `x-user-id`, else from a trusted hop's.
fn default_settings() -> IdentitySettings {
    let name = || "x-user-id".to_owned();
    IdentitySettings {
        fields: [
            vec![
                IdentitySource::ResponseHeader(name()),
                IdentitySource::Header(name()),
            ],
            Vec::new(),
            Vec::new(),
        ],
        max_body_bytes: 65_536,
    }
}

/// Reads the section of the whole configuration.
pub(super) fn global(node: Option<Node<'_>>) -> Rc<IdentitySettings> {
    Rc::new(over(node, default_settings()))
}

/// Reads the section of a rule. Its fields replace those of the whole configuration one by one.
pub(super) fn of_rule(
    node: Option<Node<'_>>,
    global: &Rc<IdentitySettings>,
) -> Rc<IdentitySettings> {
    match node {
        None => Rc::clone(global),
        node => Rc::new(over(node, IdentitySettings::clone(global))),
    }
}

/// Identity of the default rule `check`: the answer to a session check names the user.
pub(super) fn of_check(global: &Rc<IdentitySettings>) -> Rc<IdentitySettings> {
    let mut settings = IdentitySettings::clone(global);
    let [user_id, ..] = &mut settings.fields;
    *user_id = Pointer::parse("/UserId")
        .map(IdentitySource::ResponseJson)
        .into_iter()
        .collect();
    Rc::new(settings)
}

fn over(node: Option<Node<'_>>, mut settings: IdentitySettings) -> IdentitySettings {
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

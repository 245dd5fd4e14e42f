//! The path of a value, as a chain of steps up to the root. It costs nothing to carry, and becomes
//! text only for a message.

/// One step, and those before it.
#[derive(Clone, Copy)]
pub(super) enum Trail<'t> {
    Root,
    Key(&'t Trail<'t>, &'t str),
    Index(&'t Trail<'t>, usize),
}

impl Trail<'_> {
    /// For example `rules[2].match.path`; nothing for the root.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(Trail::Root, key) => (*key).to_owned(),
            Self::Key(above, key) => [&above.path(), ".", key].concat(),
            Self::Index(above, index) => format!("{}[{index}]", above.path()),
        }
    }
}

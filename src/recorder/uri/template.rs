//! Path templates such as `/v1/users/{id}`.

/// A path with `{name}` segments, each of which matches one non-empty segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Variable,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// One sentence: it must start with `/`, and a brace may only enclose one whole segment.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let path = text.strip_prefix('/').ok_or(r#"must start with "/""#)?;
        let segments = path
            .split('/')
            .map(Segment::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            segments,
        })
    }

    /// The template as written; recorded as `http.route`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before the first variable and after the last one; both are the whole text if there
    /// are none.
    pub(in crate::recorder) fn ends(&self) -> (&str, &str) {
        let start = self
            .text
            .split_once('{')
            .map_or(self.text.as_str(), |(start, _)| start);
        let end = self
            .text
            .rsplit_once('}')
            .map_or(self.text.as_str(), |(_, end)| end);
        (start, end)
    }

    /// An example path that matches.
    pub(in crate::recorder) fn example(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => ["/", text].concat(),
            Segment::Variable => "/x".to_owned(),
        };
        self.segments.iter().map(segment).collect()
    }

    /// Whether every path that matches `other` matches this template too.
    pub(in crate::recorder) fn covers(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|(own, segment)| own.covers(segment))
    }

    /// Whether a normalized path matches.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let Some(path) = path.strip_prefix(b"/") else {
            return false;
        };
        let mut parts = path.split(|byte| *byte == b'/');
        self.segments
            .iter()
            .all(|segment| parts.next().is_some_and(|part| segment.matches(part)))
            && parts.next().is_none()
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) if !name.is_empty() && !name.contains(['{', '}']) => Ok(Self::Variable),
            None if !text.contains(['{', '}']) => Ok(Self::Literal(text.to_owned())),
            _ => Err("must enclose whole segments in braces, as in /users/{id}"),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Variable, Self::Variable) => true,
            (_, Self::Literal(text)) => self.matches(text.as_bytes()),
            (Self::Literal(_), Self::Variable) => false,
        }
    }

    fn matches(&self, part: &[u8]) -> bool {
        match self {
            Self::Literal(text) => text.as_bytes() == part,
            Self::Variable => !part.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let template = Template::parse("/v1/users/{id}/password").unwrap();
        assert!(template.matches(b"/v1/users/42/password"));
        assert!(!template.matches(b"/v1/users//password"));
        assert!(!template.matches(b"/v1/users/42/password/"));
        assert!(!template.matches(b"/v1/users/42"));
        assert!(!template.matches(b"/v1/users/a/b/password"));
        for bad in ["users", "/a{b}", "/{}", "/{a}{b}", "/{a"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}

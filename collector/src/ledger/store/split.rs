//! Splits JSON without parsing it: numbers keep their digits, and texts their escapes.

use memchr::memchr2;

/// The members of an object, each with the text of its name and of its value. `None` unless the text
/// is an object as `serde_json` writes it, without a space.
pub(crate) fn members(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut members = Vec::with_capacity(32);
    let mut rest = Rest { text, at: 0 };
    rest.take(b'{')?;
    if rest.take(b'}').is_some() {
        return rest.is_empty().then_some(members);
    }

    loop {
        let name = rest.string()?;
        rest.take(b':')?;
        members.push((name, rest.value()?));
        if rest.take(b',').is_none() {
            break;
        }
    }

    rest.take(b'}')?;
    rest.is_empty().then_some(members)
}

/// What is not read yet.
struct Rest<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Rest<'t> {
    fn is_empty(&self) -> bool {
        self.at == self.text.len()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn since(&self, start: usize) -> Option<&'t str> {
        self.text.get(start..self.at)
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<&'t str> {
        let start = self.at;
        self.take(b'"')?;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            self.at += memchr2(b'"', b'\\', rest)?;
            if self.take(b'"').is_some() {
                return self.since(start);
            }
            self.at += 2;
        }
    }

    fn value(&mut self) -> Option<&'t str> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' | b'[' => self.nested(),
            _ => self.bare(),
        }
    }

    /// An object or a list.
    fn nested(&mut self) -> Option<&'t str> {
        let (start, mut depth) = (self.at, 0_usize);
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return self.since(start);
            }
        }
    }

    /// A number, `true`, `false` or `null`.
    fn bare(&mut self) -> Option<&'t str> {
        let start = self.at;
        while !matches!(self.peek()?, b',' | b'}') {
            self.at += 1;
        }
        (self.at > start).then(|| self.since(start)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_split_at_its_members() {
        let text = r#"{"a":1,"b\"":"x,}\\","c":{"d":["]",{}]},"e":[],"f":1.250,"":null}"#;
        assert_eq!(
            members(text).unwrap(),
            [
                (r#""a""#, "1"),
                (r#""b\"""#, r#""x,}\\""#),
                (r#""c""#, r#"{"d":["]",{}]}"#),
                (r#""e""#, "[]"),
                (r#""f""#, "1.250"),
                (r#""""#, "null"),
            ]
        );
        assert_eq!(members("{}").unwrap(), []);
    }

    #[test]
    fn another_text_is_not_split() {
        for text in [
            "",
            "{",
            "[]",
            "1",
            "{}x",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":"x}"#,
            r#"{"a":"\"#,
            r#"{"a":[1}"#,
            r#"{a:1}"#,
            r#"{"a":1}}"#,
        ] {
            assert_eq!(members(text), None, "{text}");
        }
    }
}
